// Weights that rise after a server came up, and limits that a file sets.
#include <sluice/control/compile.hpp>
#include <sluice/control/pools.hpp>

#include <gtest/gtest.h>

namespace sluice::control {
namespace {

using std::chrono::seconds;

class SlowStart : public testing::Test {
protected:
    SlowStart()
    {
        registry.server_registry = &servers;
        config::Pool pool;
        pool.name.value = "web";
        pool.slow_start = config::Located<Duration>{seconds{10}, {}};
        for (const char* address : {"10.0.0.1", "10.0.0.2"}) {
            config::Server server;
            server.address.value = {*wire::IpAddress::parse(address), 80};
            server.weight = 3;
            pool.servers.push_back(server);
        }
        model.pools.push_back(pool);
        for (const config::Server& server : pool.servers) {
            static_cast<void>(registry.server("web", "", endpoint(server), true));
        }
        record(0).set_status(health::Status::up);
        advance(seconds{0});
        advance(seconds{60});
        record(1).set_status(health::Status::up);
    }
    static wire::Endpoint endpoint(const config::Server& server)
    {
        return {server.address->address, server.address->port};
    }
    Registry::ServerEntry& entry(std::size_t index)
    {
        return registry.servers.at({"web", endpoint(model.pools[0].servers[index])});
    }
    health::Server& record(std::size_t index) { return *entry(index).server; }
    bool advance(Duration by)
    {
        now += by;
        return advance_slow_start(registry, model, now);
    }
    std::uint32_t weight(std::size_t index)
    {
        return present_weight(model.pools[0], model.pools[0].servers[index], entry(index));
    }

    l4::ServerRegistry servers{16};
    Registry registry;
    config::Model model;
    TimePoint now{seconds{1000}};
};

TEST_F(SlowStart, server_that_comes_up_begins_with_a_tenth_and_ends_with_its_share)
{
    advance(seconds{0});
    EXPECT_EQ(weight(0), 30U);
    EXPECT_EQ(weight(1), 3U);
    EXPECT_FALSE(advance(seconds{1})) << "between two steps";
    EXPECT_TRUE(advance(seconds{4}));
    EXPECT_EQ(weight(1), 15U);
    EXPECT_TRUE(advance(seconds{5}));
    EXPECT_EQ(weight(1), weight(0));
    EXPECT_FALSE(advance(seconds{3600}));
}

TEST_F(SlowStart, it_begins_anew_after_a_failure_and_after_a_drain)
{
    advance(seconds{0});
    advance(seconds{60});
    record(1).set_status(health::Status::down);
    EXPECT_TRUE(advance(seconds{1}));
    record(1).set_status(health::Status::up);
    advance(seconds{1});
    EXPECT_EQ(weight(1), 3U);
    advance(seconds{60});
    EXPECT_EQ(weight(1), 30U);
    record(1).set_drained(true);
    advance(seconds{1});
    record(1).set_drained(false);
    advance(seconds{1});
    EXPECT_EQ(weight(1), 3U);
}

TEST_F(SlowStart, rebuilt_pool_gives_the_rising_server_its_part)
{
    advance(seconds{0});
    const auto before =
        l4::Pool::make({1}, "web", {}, {{entry(0).id, entry(0).server, 30}, {entry(1).id, entry(1).server, 30}});
    const auto after = rebuilt(*before, model, registry);
    std::array<int, 2> hits{};
    l4::Cursor cursor;
    for (int flow = 0; flow < 110; ++flow) {
        ++hits[*after->scheduler->pick(after->servers, l4::PickRequest{}, cursor)];
    }
    EXPECT_EQ(hits[0], 100);
    EXPECT_EQ(hits[1], 10);
}

TEST_F(SlowStart, pool_without_it_weighs_as_written)
{
    model.pools[0].slow_start.reset();
    EXPECT_FALSE(advance(seconds{0}));
    EXPECT_EQ(weight(0), 3U);
    EXPECT_EQ(weight(1), 3U);
}

TEST_F(SlowStart, limits_of_the_file_hold_with_lvs_default_for_the_lower_one)
{
    model.pools[0].servers[0].limits = config::ServerLimits{8, {}, {}};
    model.pools[0].servers[1].limits = config::ServerLimits{8, 2, {}};
    adopt(registry, model);
    for (const std::size_t index : {0U, 1U}) {
        for (int flow = 0; flow < 8; ++flow) {
            record(index).counters(0).flows.begin(true);
            record(index).flow_began();
        }
        EXPECT_TRUE(record(index).full());
        for (int flow = 8; flow > (index == 0 ? 6 : 2); --flow) {
            record(index).counters(0).flows.end(true);
            record(index).flow_ended();
            EXPECT_TRUE(record(index).full());
        }
        record(index).counters(0).flows.end(true);
        record(index).flow_ended();
        EXPECT_FALSE(record(index).full());
    }
    model.pools[0].servers[0].limits.reset();
    adopt(registry, model);
    for (int flow = 0; flow < 100; ++flow) {
        record(0).counters(0).flows.begin(true);
        record(0).flow_began();
    }
    EXPECT_FALSE(record(0).full());
}

} // namespace
} // namespace sluice::control
