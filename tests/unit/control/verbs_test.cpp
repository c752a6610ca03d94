// Every verb: who may use it, what it asks of the node, and the exit code of its answer.
#include "fake_node.hpp"
#include "model_of.hpp"

#include <sluice/control/compile.hpp>
#include <sluice/control/verbs.hpp>

#include <boost/json/serialize.hpp>

#include <gmock/gmock.h>

namespace sluice::control {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

namespace json = boost::json;

constexpr const char* looking[] = {"status",     "services",     "pools",  "servers", "connections",
                                   "vrrp",       "ports",        "cores",  "drops",   "events",
                                   "neighbours", "certificates", "config", "plan",    "version"};
constexpr const char* changing[] = {
    R"({"verb":"reload"})",   R"({"verb":"drain","target":"web"})", R"({"verb":"undrain","target":"web"})",
    R"({"verb":"handover"})", R"({"verb":"handover","undo":true})", R"({"verb":"log","level":"debug"})",
    R"({"verb":"capture"})"};
constexpr const char* file = R"(
node: n
ports: [{name: front, device: {interface: eth1}, addresses: [192.0.2.11/24]}]
services: [{name: site, listen: 192.0.2.11:80/tcp, proxy: {routes: [{pool: web}]}}]
pools: [{name: web, servers: [{address: 192.0.2.21:80, name: one}, {address: 192.0.2.22:80}]}]
)";

class Answers final : public Reply {
public:
    explicit Answers(std::vector<json::object>& out) : out_{out} {}
    void answer(json::object object) override { out_.push_back(std::move(object)); }
    void line(const json::object& object) override { out_.push_back(object); }
    void end() override {}
    [[nodiscard]] bool congested() const override { return false; }
    void when_writable(std::function<void()>) override {}
    void when_left(std::function<void()>) override {}
    void when_finished(std::function<void()>) override {}

private:
    std::vector<json::object>& out_;
};

class VerbsTest : public testing::Test {
protected:
    VerbsTest()
    {
        node.configuration = model_of(file);
        node.file.model = node.configuration;
        node.servers.server_registry = &server_registry_;
        for (const config::Server& server : node.configuration.pools[0].servers) {
            static_cast<void>(
                node.servers.server("web", server.name, {server.address->address, server.address->port}, false));
        }
        node.connection_count = 1;
        node.events().add({}, {});
    }

    std::vector<json::object> ask(const std::string& request, const Caller& caller = {true, "root"})
    {
        std::vector<json::object> answers;
        verbs_.handle(Request::parse(request).value(), caller, std::make_shared<Answers>(answers));
        return answers;
    }
    int exit_of(const std::string& request)
    {
        const std::vector<json::object> answers = ask(request);
        EXPECT_EQ(answers.size(), 1U) << request;
        return answers.empty() ? -1 : static_cast<int>(answers.front().at("exit_code").as_int64());
    }
    static std::string verb(std::string_view name) { return R"({"verb":")" + std::string{name} + R"("})"; }

    FakeNode node;

private:
    l4::ServerRegistry server_registry_{16};
    Verbs verbs_{node};
};

TEST_F(VerbsTest, WhoMayLookOnly_IsAnsweredByEveryVerbThatShows)
{
    for (const char* name : looking) {
        const auto answers = ask(verb(name), {false, "uid 1000"});
        ASSERT_FALSE(answers.empty()) << name;
        EXPECT_FALSE(answers.front().contains("error")) << json::serialize(answers.front());
        for (const char* key : {"schema", "node", "time"}) {
            EXPECT_TRUE(answers.front().contains(key)) << name << " without " << key;
        }
    }
    EXPECT_THAT(node.asked, IsEmpty());
}

TEST_F(VerbsTest, WhoMayLookOnly_IsRefusedByEveryVerbThatChanges)
{
    for (const char* request : changing) {
        const auto answers = ask(request, {false, "uid 1000"});
        ASSERT_EQ(answers.size(), 1U) << request;
        EXPECT_EQ(answers.front().at("exit_code").as_int64(), 1) << request;
        EXPECT_THAT(std::string{answers.front().at("error").as_string()}, HasSubstr("only root"));
    }
    EXPECT_THAT(node.asked, IsEmpty());
}

TEST_F(VerbsTest, Root_ChangesWhatItAsksFor)
{
    node.next_reload.applied = true;
    node.is_standby = true;
    for (const char* request : changing) {
        ask(request);
    }
    EXPECT_THAT(node.asked, ElementsAre("reload", "drain web 192.0.2.21:80 root ", "drain web 192.0.2.22:80 root ",
                                        "undrain web 192.0.2.21:80", "undrain web 192.0.2.22:80", "handover 3000",
                                        "undo", "log 1", "capture 256 filter 0"));
}

TEST_F(VerbsTest, UnknownVerb_IsAUsageError) { EXPECT_EQ(exit_of(verb("dance")), 64); }

TEST_F(VerbsTest, Reload_ExitTellsAppliedRefusedAndInvalidApart)
{
    node.next_reload.applied = true;
    EXPECT_EQ(exit_of(verb("reload")), 0);
    node.next_reload.applied = false;
    EXPECT_EQ(exit_of(verb("reload")), 1);
    node.next_reload.file_invalid = true;
    EXPECT_EQ(exit_of(verb("reload")), 3);
    EXPECT_EQ(exit_of(R"({"verb":"reload","no_wait":true})"), 3);
    EXPECT_THAT(node.asked, ElementsAre("reload", "reload", "reload", "reload without waiting"));
}

TEST_F(VerbsTest, RefusedReload_AnswersEveryReason)
{
    node.next_reload.file_invalid = true;
    node.next_reload.diagnostics = {{Severity::error, {"f", 1, 1}, "first", "", {}},
                                    {Severity::error, {"f", 2, 1}, "second", "", {}}};
    const json::object answer = ask(verb("reload")).front();
    EXPECT_EQ(answer.at("diagnostics").as_array().size(), 2U);
    EXPECT_FALSE(answer.at("applied").as_bool());
}

TEST_F(VerbsTest, ExplainFlow_OfACoreThatDoesNotAnswerOrOfNoFlowSaysSo)
{
    const auto explain = [&](const char* protocol, const char* client, const char* service) {
        return ask(json::serialize(json::object{{"verb", "explain-flow"},
                                                {"protocol", protocol},
                                                {"client", client},
                                                {"service_address", service}}),
                   {false, "uid 1000"})
            .front();
    };
    EXPECT_EQ(explain("tcp", "203.0.113.9:5555", "192.0.2.100:80").at("exit_code").as_int64(), 1);
    ASSERT_TRUE(node.explained);
    EXPECT_EQ(node.explained->source_port, 5555);
    EXPECT_EQ(explain("sctp", "203.0.113.9:5555", "192.0.2.100:80").at("exit_code").as_int64(), 64);
    EXPECT_EQ(explain("tcp", "203.0.113.9", "192.0.2.100:80").at("exit_code").as_int64(), 64);
    EXPECT_EQ(explain("tcp", "203.0.113.9:5555", "[2001:db8::1]:80").at("exit_code").as_int64(), 64);
    node.explanation.emplace();
    node.explanation->decisions.reason = telemetry::DropReason::not_ours;
    const json::object answer = explain("udp", "203.0.113.9:5555", "198.51.100.1:53");
    EXPECT_FALSE(answer.at("passes").as_bool());
    EXPECT_EQ(answer.at("steps").as_array().front().at("decision").as_string(),
              "198.51.100.1 is no address of this node");
    EXPECT_EQ(answer.at("steps").as_array().back().at("decision").as_string(), "dropped: not_ours");
}

TEST_F(VerbsTest, Plan_TouchesNothingAndExitTellsWhatAReloadWould)
{
    EXPECT_EQ(exit_of(verb("plan")), 0);
    node.file.model->pools[0].servers[0].weight = 7;
    const json::object answer = ask(verb("plan")).front();
    EXPECT_EQ(answer.at("changes").as_array().size(), 1U);
    EXPECT_TRUE(answer.at("applies").as_bool());
    node.file.needs_restart = true;
    EXPECT_EQ(exit_of(verb("plan")), 1);
    node.file.model.reset();
    EXPECT_EQ(exit_of(verb("plan")), 3);
    EXPECT_THAT(node.asked, IsEmpty());
}

TEST_F(VerbsTest, Config_IsWhatRunsOrItsDifferenceFromTheDisk)
{
    const json::object running = ask(verb("config")).front();
    EXPECT_THAT(std::string{running.at("running").as_string()}, HasSubstr("mtu: 1500"));
    EXPECT_TRUE(ask(R"({"verb":"config","diff":true})").front().at("diff").as_array().empty());
    node.file.model->pools[0].retries = 9;
    const json::object changed = ask(R"({"verb":"config","diff":true})").front();
    EXPECT_THAT(json::serialize(changed.at("diff")), HasSubstr("retries: 9"));
    node.file.model.reset();
    EXPECT_EQ(exit_of(R"({"verb":"config","diff":true})"), 3);
}

TEST_F(VerbsTest, Drain_FindsServersByNameAndByAddress)
{
    EXPECT_EQ(exit_of(R"({"verb":"drain","target":"web/one","reason":"disk"})"), 0);
    EXPECT_EQ(exit_of(R"({"verb":"drain","target":"web/192.0.2.22:80"})"), 0);
    EXPECT_THAT(node.asked, ElementsAre("drain web 192.0.2.21:80 root disk", "drain web 192.0.2.22:80 root "));
    EXPECT_EQ(exit_of(R"({"verb":"drain","target":"api"})"), 1);
    EXPECT_EQ(exit_of(R"({"verb":"drain","target":"web/three"})"), 1);
    EXPECT_EQ(exit_of(R"({"verb":"drain","target":"web/"})"), 1);
    EXPECT_EQ(node.asked.size(), 2U);
}

TEST_F(VerbsTest, Handover_AnswersWhenItHasEnded)
{
    const std::pair<HandoverResult, int> table[] = {
        {HandoverResult::done, 0}, {HandoverResult::nobody_took_over, 1}, {HandoverResult::refused, 1}};
    for (const auto& [result, exit] : table) {
        std::vector<json::object> answers;
        Verbs verbs{node};
        verbs.handle(Request::parse(R"({"verb":"handover","timeout_seconds":0.5})").value(), {true, "root"},
                     std::make_shared<Answers>(answers));
        EXPECT_TRUE(answers.empty());
        node.handover_done(result);
        ASSERT_EQ(answers.size(), 1U);
        EXPECT_EQ(answers.front().at("exit_code").as_int64(), exit);
    }
    EXPECT_EQ(node.asked.front(), "handover 500");
    EXPECT_EQ(exit_of(R"({"verb":"handover","undo":true})"), 1) << "the node was not standby";
}

TEST_F(VerbsTest, Log_KnowsItsLevels)
{
    for (const char* level : {"trace", "debug", "info", "warn", "error"}) {
        EXPECT_EQ(exit_of(R"({"verb":"log","level":")" + std::string{level} + R"("})"), 0);
    }
    EXPECT_THAT(node.asked, ElementsAre("log 0", "log 1", "log 2", "log 3", "log 4"));
    EXPECT_EQ(exit_of(R"({"verb":"log","level":"loud"})"), 64);
    EXPECT_EQ(exit_of(R"({"verb":"log"})"), 64);
}

TEST_F(VerbsTest, Status_ExitTellsDegradedFromWell)
{
    node.core.since_last_turn = {};
    EXPECT_EQ(exit_of(verb("status")), 0);
    node.present_phase = NodePhase::standby;
    EXPECT_EQ(exit_of(verb("status")), 1);
}

TEST_F(VerbsTest, ServerThatWasRenamed_IsShownByItsNewName)
{
    node.configuration.pools[0].servers[0].name = "uno";
    adopt(node.servers, node.configuration);
    const json::object answer = ask(verb("servers")).front();
    EXPECT_EQ(answer.at("servers").as_array().at(0).at("server").as_string(), "uno");
}

} // namespace
} // namespace sluice::control
