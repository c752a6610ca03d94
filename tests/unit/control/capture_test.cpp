// The verb `capture`: who may, when it ends, what it sends.
#include "fake_node.hpp"

#include <sluice/base/base64.hpp>
#include <sluice/control/verbs.hpp>

#include <gmock/gmock.h>

namespace sluice::control {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

namespace json = boost::json;

/// Packets of one byte, "p".
class Source final : public CaptureSource {
public:
    struct Seen {
        std::uint64_t waiting = 0;
        bool stopped = false;
        bool gone = false;
    };
    explicit Source(Seen& seen) : seen_{seen} {}
    ~Source() override { seen_.gone = true; }
    void stop() override { seen_.stopped = true; }
    std::size_t read(std::vector<std::byte>& out, std::size_t bytes, std::uint64_t packets) override
    {
        std::size_t count = 0;
        for (; seen_.waiting != 0 && count < packets && out.size() < bytes; --seen_.waiting, ++count) {
            out.push_back(std::byte{'p'});
        }
        return count;
    }
    [[nodiscard]] std::uint64_t discarded() const override { return 3; }
    [[nodiscard]] std::uint64_t unseen_drops() const override { return 4; }

private:
    Seen& seen_;
};

struct Caught final : Reply {
    std::vector<json::object> lines;
    bool ended = false;
    bool full = false;
    std::function<void()> left;
    std::function<void()> finished;

    void answer(json::object object) override
    {
        lines.push_back(std::move(object));
        ended = true;
    }
    void line(const json::object& object) override { lines.push_back(object); }
    void end() override { ended = true; }
    [[nodiscard]] bool congested() const override { return full; }
    void when_writable(std::function<void()>) override {}
    void when_left(std::function<void()> call) override { left = std::move(call); }
    void when_finished(std::function<void()> call) override { finished = std::move(call); }
};

struct CaptureTest : testing::Test {
    FakeNode node;
    Verbs verbs{node};
    Source::Seen seen;
    std::shared_ptr<Caught> reply = std::make_shared<Caught>();

    void ask(const std::string& arguments, bool may_change = true)
    {
        node.next_capture = std::make_unique<Source>(seen);
        verbs.handle(Request::parse(R"({"verb":"capture")" + arguments + "}").value(), {may_change, "somebody"}, reply);
    }
    void look()
    {
        for (const auto& then : std::exchange(node.later, {})) {
            then();
        }
    }
    std::string pieces()
    {
        std::string all;
        for (const json::object& line : reply->lines) {
            if (const json::value* piece = line.if_contains("pcapng")) {
                const auto bytes = base64_decode(piece->as_string());
                EXPECT_TRUE(bytes);
                all.append(bytes->size(), 'p');
            }
        }
        return all;
    }
};

TEST_F(CaptureTest, WhoMayLookOnly_IsRefused)
{
    ask("", false);
    ASSERT_EQ(reply->lines.size(), 1U);
    EXPECT_EQ(reply->lines[0].at("exit_code"), 1);
    EXPECT_TRUE(node.asked.empty());
}

TEST_F(CaptureTest, Arguments_ReachTheNode)
{
    ask(R"(,"filter":[6,0,0,1],"dropped":true,"snap_bytes":100)");
    EXPECT_EQ(node.asked, std::vector<std::string>{"capture 100 dropped filter 4"});
}

TEST_F(CaptureTest, Nonsense_IsAWrongCommandLine)
{
    for (const char* arguments : {R"(,"snap_bytes":63)", R"(,"snap_bytes":65536)", R"(,"filter":[-1])",
                                  R"(,"filter":"x")", R"(,"count":-1)", R"(,"for_seconds":0)"}) {
        reply->lines.clear();
        ask(arguments);
        ASSERT_EQ(reply->lines.size(), 1U) << arguments;
        EXPECT_EQ(reply->lines[0].at("exit_code"), 64) << arguments;
    }
    EXPECT_TRUE(node.asked.empty());
}

TEST_F(CaptureTest, CaptureThatRunsAlready_IsRefused)
{
    verbs.handle(Request::parse(R"({"verb":"capture"})").value(), {true, "root"}, reply);
    EXPECT_THAT(std::string{reply->lines.at(0).at("error").as_string()}, HasSubstr("already"));
}

TEST_F(CaptureTest, Count_EndsItExactly)
{
    ask(R"(,"count":5)");
    seen.waiting = 100;
    look();
    EXPECT_TRUE(reply->ended && seen.gone);
    EXPECT_EQ(pieces(), "ppppp");
    const json::object& last = reply->lines.back();
    EXPECT_EQ(last.at("exit_code"), 0);
    EXPECT_EQ(last.at("packets_total"), 5);
    EXPECT_EQ(last.at("discarded_total"), 3);
    EXPECT_EQ(last.at("drops_without_packet_total"), 4);
}

TEST_F(CaptureTest, Time_EndsItAndWhatWaitsIsSent)
{
    ask(R"(,"for_seconds":2)");
    node.time += 1900ms;
    look();
    EXPECT_FALSE(reply->ended);
    node.time += 200ms;
    seen.waiting = 7;
    look();
    EXPECT_TRUE(reply->ended && seen.stopped && seen.gone);
    EXPECT_EQ(pieces(), "ppppppp");
}

TEST_F(CaptureTest, CallerThatAsksNothingMore_GetsTheRest)
{
    ask("");
    seen.waiting = 2;
    reply->finished();
    look();
    EXPECT_TRUE(reply->ended && seen.gone);
    EXPECT_EQ(pieces(), "pp");
}

TEST_F(CaptureTest, CallerThatHasLeft_EndsIt)
{
    ask("");
    reply->left();
    EXPECT_TRUE(seen.gone);
    look();
    EXPECT_TRUE(node.later.empty());
}

TEST_F(CaptureTest, SlowReader_IsSentNothingMoreUntilItReads)
{
    ask("");
    const std::size_t before = reply->lines.size();
    seen.waiting = 1'000'000;
    reply->full = true;
    look();
    look();
    EXPECT_LE(reply->lines.size(), before + 2);
    EXPECT_FALSE(reply->ended);
}

TEST_F(CaptureTest, Silence_IsBrokenEverySecond)
{
    ask("");
    for (int tick = 0; tick < 30; ++tick) {
        node.time += 100ms;
        look();
    }
    EXPECT_GE(reply->lines.size(), 2U);
    EXPECT_LE(reply->lines.size(), 4U);
    EXPECT_TRUE(pieces().empty());
}

} // namespace
} // namespace sluice::control
