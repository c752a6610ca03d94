#include <sluice/health/server.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace sluice::health {
namespace {

Server server() { return Server{"pool", "", {wire::IpAddress::v4(0x0a000001U), 80}}; }

void begin(Server& server, std::size_t core, bool active = true)
{
    server.counters(core).flows.begin(active);
    server.flow_began();
}
void end(Server& server, std::size_t core, bool active = true)
{
    server.counters(core).flows.end(active);
    server.flow_ended();
}

TEST(FlowGauge, counts_active_and_inactive_flows_apart)
{
    FlowGauge gauge;
    gauge.begin(true);
    gauge.begin(false);
    gauge.begin(false);
    EXPECT_EQ(gauge.get(), (FlowCounts{1, 2}));
    gauge.turn(true);
    EXPECT_EQ(gauge.get(), (FlowCounts{2, 1}));
    gauge.turn(false);
    gauge.end(false);
    gauge.end(true);
    EXPECT_EQ(gauge.get(), (FlowCounts{0, 1}));
    EXPECT_EQ(gauge.get().all(), 1U);
}

TEST(ServerLimits, server_is_full_from_upper_on_until_it_falls_below_lower)
{
    Server one = server();
    one.set_limits(4, 3);
    for (std::size_t core = 0; core < 3; ++core) {
        begin(one, core, core != 1);
        EXPECT_TRUE(one.accepts_new());
    }
    begin(one, 3);
    EXPECT_TRUE(one.full());
    EXPECT_FALSE(one.accepts_new());
    EXPECT_TRUE(one.available()) << "full is not unhealthy";
    end(one, 0);
    EXPECT_FALSE(one.accepts_new()) << "3 flows are not fewer than lower";
    end(one, 1, false);
    EXPECT_TRUE(one.accepts_new());
}

TEST(ServerLimits, limits_that_change_hold_at_once)
{
    Server one = server();
    begin(one, 0);
    begin(one, 0);
    EXPECT_TRUE(one.accepts_new());
    one.set_limits(2, 2);
    EXPECT_FALSE(one.accepts_new());
    one.set_limits(3, 2);
    EXPECT_TRUE(one.accepts_new());
    one.set_limits(1, 1);
    EXPECT_FALSE(one.accepts_new());
    one.set_limits(0, 0);
    EXPECT_TRUE(one.accepts_new());
}

TEST(ServerLimits, full_does_not_hide_that_a_server_is_down_or_drained)
{
    Server one = server();
    one.set_limits(1, 1);
    begin(one, 0);
    one.set_status(Status::down);
    EXPECT_FALSE(one.available());
    end(one, 0);
    EXPECT_FALSE(one.accepts_new());
    one.set_status(Status::up);
    EXPECT_TRUE(one.accepts_new());
    one.set_drained(true);
    begin(one, 0);
    end(one, 0);
    EXPECT_FALSE(one.accepts_new());
}

TEST(ServerLimits, cores_that_fill_and_leave_at_once_never_leave_an_empty_server_full)
{
    for (int round = 0; round < 200; ++round) {
        Server one = server();
        one.set_limits(2, 1);
        std::atomic<int> ready{0};
        const auto work = [&](std::size_t core) {
            ++ready;
            while (ready.load() < 2) {
            }
            for (int flow = 0; flow < 50; ++flow) {
                begin(one, core);
                end(one, core);
            }
        };
        std::thread other{work, 1};
        work(0);
        other.join();
        ASSERT_EQ(one.flows().all(), 0U);
        ASSERT_FALSE(one.full());
    }
}

} // namespace
} // namespace sluice::health
