#include <ctl/tables.hpp>

#include <boost/json/parse.hpp>
#include <gmock/gmock.h>

namespace sluice::ctl {
namespace {

using testing::HasSubstr;
using testing::Not;

boost::json::object object(const char* text) { return boost::json::parse(text).as_object(); }

TEST(Table, Columns_AreAsWideAsTheirWidestCell)
{
    EXPECT_EQ(format_table({"NAME", "COUNT"}, {{"a", "5"}, {"longer", "12345678"}}), "NAME    COUNT\n"
                                                                                     "a              5\n"
                                                                                     "longer  12345678\n");
}

TEST(Duration, Text_HasTwoUnitsAtMost)
{
    EXPECT_EQ(duration_text(0.0000313), "31us");
    EXPECT_EQ(duration_text(0.25), "250ms");
    EXPECT_EQ(duration_text(59.9), "59s");
    EXPECT_EQ(duration_text(125), "2m5s");
    EXPECT_EQ(duration_text(7260), "2h1m");
    EXPECT_EQ(duration_text(93784), "1d2h");
}

TEST(Status, WellNode_SaysSo)
{
    const std::string text = render("status", object(R"({"node":"n","state":"running","well":true,"degraded":[]})"));
    EXPECT_THAT(text, HasSubstr("node n: running, well"));
    EXPECT_THAT(text, Not(HasSubstr("DEGRADED")));
}

TEST(Status, DegradedNode_SaysWhatSinceWhenAndWhatToDo)
{
    const std::string text =
        render("status", object(R"({"node":"n","time":"2026-01-31T12:00:00.000Z","state":"running","well":false,
                   "degraded":[{"what":"port front has no link","hint":"look at the cable","since":"2026-01-31T11:00:00.000Z"}]})"));
    EXPECT_THAT(text, HasSubstr("DEGRADED"));
    EXPECT_THAT(text, HasSubstr("port front has no link (since 11:00:00)"));
    EXPECT_THAT(text, HasSubstr("look at the cable"));
}

TEST(Servers, DrainedServer_ShowsWhoWhenAndWhy)
{
    const std::string text = render(
        "servers", object(
                       R"({"time":"2026-01-31T12:00:00.000Z","servers":[{"pool":"web","server":"web1","status":"up",
                "drain":{"since":"2026-01-30T11:00:00.000Z","until":null,"by":"root","reason":"kernel"}}]})"));
    EXPECT_THAT(text, HasSubstr("up,drained"));
    EXPECT_THAT(text, HasSubstr("drained by root at 2026-01-30 11:00:00: kernel"));
}

TEST(Drops, ReasonsWithoutPackets_AreLeftOut)
{
    const std::string text =
        render("drops", object(R"({"drops":[{"reason":"no_route","packets_total":3,"meaning":"m","advice":"a"},
                                     {"reason":"not_ip","packets_total":0,"meaning":"m","advice":"a"}]})"));
    EXPECT_THAT(text, HasSubstr("no_route"));
    EXPECT_THAT(text, Not(HasSubstr("not_ip")));
    EXPECT_EQ(render("drops", object(R"({"drops":[]})")), "nothing was dropped\n");
}

TEST(Events, StateChange_IsOneLineWithItsReason)
{
    EXPECT_EQ(render_line("events", object(R"({"time":"2026-01-31T12:00:00.000Z","kind":"vrrp","subject":"public",
                                               "from":"backup","to":"active","reason":"peer_silent"})")),
              "2026-01-31T12:00:00.000Z  vrrp      public: backup -> active (peer_silent)\n");
}

TEST(Answers, KeysThatAreMissing_DoNoHarm)
{
    for (const char* verb : {"status", "services", "pools", "servers", "vrrp", "ports", "cores", "drops", "neighbours",
                             "certificates", "plan", "reload", "config", "drain", "handover", "log", "version"}) {
        const auto empty = object("{}");
        const auto bare = object(R"({"servers":[{}],"cores":[{}],"vrrp":[{}],"events":[{}],"changes":[{}],
                                    "degraded":[{}],"diagnostics":[{}],"configuration":{}})");
        EXPECT_NO_THROW(static_cast<void>(render(verb, empty))) << verb;
        EXPECT_NO_THROW(static_cast<void>(render(verb, bare))) << verb;
    }
}

} // namespace
} // namespace sluice::ctl
