// Persistence: a client comes to the server of its flows before.
#include "world.hpp"

#include <gtest/gtest.h>

#include <set>

namespace sluice::test {
namespace {

using l4::Action;
using std::chrono::seconds;
using telemetry::DropReason;
namespace flag = wire::tcp_flag;

class Persistent : public testing::Test {
protected:
    void SetUp() override
    {
        world.options.counters = &counters;
        world.forwarding.persistence = l4::Persistence{};
        for (const char* server : {"10.0.0.53:53", "10.0.0.54:53", "10.0.0.55:53"}) {
            world.add_server(server);
        }
    }
    /// Where a new flow of a client goes.
    wire::IpAddress flow_of(const char* from, std::uint16_t port) { return flow_of(ip(from), port); }
    wire::IpAddress flow_of(const wire::IpAddress& from, std::uint16_t port)
    {
        const wire::Endpoint to = from.is_v4() ? dns : endpoint("[2001:db8::100]:53");
        const Outcome out = world.send(on_wire(udp_packet({from, port}, to, bytes_of("x"))));
        EXPECT_EQ(out.verdict.action, Action::transmit);
        return out.parsed.destination;
    }
    l4::PoolServer& server_at(const wire::IpAddress& address)
    {
        return *std::find_if(world.servers.begin(), world.servers.end(),
                             [&](const l4::PoolServer& one) { return one.record->address().address == address; });
    }
    [[nodiscard]] std::uint64_t counted(telemetry::Counter counter) const { return counters.get(counter); }

    telemetry::CoreCounters counters;
    World world;
};

TEST_F(Persistent, all_flows_of_a_client_go_to_one_server_and_clients_are_spread)
{
    world.start();
    std::set<wire::IpAddress> used;
    for (const char* from : {"203.0.113.1", "203.0.113.2", "203.0.113.3"}) {
        const wire::IpAddress first = flow_of(from, 1);
        used.insert(first);
        for (std::uint16_t port = 2; port < 20; ++port) {
            EXPECT_EQ(flow_of(from, port), first);
        }
    }
    EXPECT_EQ(used.size(), 3U);
    EXPECT_EQ(counted(telemetry::Counter::flows_persistent), 3U * 18);
}

TEST_F(Persistent, without_it_the_same_flows_take_turns)
{
    world.forwarding.persistence.reset();
    world.start();
    const wire::IpAddress first = flow_of("203.0.113.1", 1);
    EXPECT_NE(flow_of("203.0.113.1", 2), first);
    EXPECT_EQ(counted(telemetry::Counter::flows_persistent), 0U);
}

TEST_F(Persistent, netmask_makes_neighbours_one_client)
{
    world.forwarding.persistence->netmask = 24;
    world.start();
    const wire::IpAddress first = flow_of("203.0.113.1", 1);
    for (const char* neighbour : {"203.0.113.0", "203.0.113.77", "203.0.113.255"}) {
        EXPECT_EQ(flow_of(neighbour, 1), first);
    }
    EXPECT_NE(flow_of("203.0.112.1", 1), first);
}

TEST_F(Persistent, netmask_of_an_ipv6_service_counts_its_bits)
{
    world.servers.clear();
    world.add_server("[2001:db8:a::53]:53");
    world.add_server("[2001:db8:a::54]:53");
    world.forwarding.persistence->netmask = 64;
    world.start();
    const wire::IpAddress first = flow_of("2001:db8:9::1", 1);
    EXPECT_EQ(flow_of("2001:db8:9::ffff:2", 1), first);
    EXPECT_NE(flow_of("2001:db8:9:1::1", 1), first);
}

TEST_F(Persistent, time_runs_from_the_last_new_flow_on)
{
    world.forwarding.timeouts.udp = seconds{1};
    world.start();
    const wire::IpAddress first = flow_of("203.0.113.1", 1);
    for (std::uint16_t port = 2; port < 6; ++port) {
        world.advance(seconds{200});
        world.advance(seconds{2});
        EXPECT_EQ(world.forwarder->flows().size(), 0U);
        EXPECT_EQ(flow_of("203.0.113.1", port), first);
    }
    world.advance(seconds{301});
    world.advance(seconds{2});
    EXPECT_NE(flow_of("203.0.113.1", 7), first) << "forgotten: the next in turn";
}

TEST_F(Persistent, client_with_flows_is_not_forgotten)
{
    world.forwarding.persistence->timeout = seconds{10};
    world.forwarding.timeouts.udp = seconds{20};
    world.start();
    const wire::IpAddress first = flow_of("203.0.113.1", 1);
    for (int count = 0; count < 10; ++count) {
        world.advance(seconds{15});
        EXPECT_EQ(flow_of("203.0.113.1", 1), first); // The same flow, kept alive
    }
    EXPECT_EQ(flow_of("203.0.113.1", 2), first) << "ten times the timeout after its last new flow";
    world.advance(seconds{21});
    world.advance(seconds{2});
    EXPECT_NE(flow_of("203.0.113.1", 3), first);
}

TEST_F(Persistent, weight_zero_and_a_full_server_still_get_their_clients_and_nobody_else)
{
    world.start();
    const wire::IpAddress quiesced = flow_of("203.0.113.1", 1);
    const wire::IpAddress full = flow_of("203.0.113.2", 1);
    server_at(quiesced).weight = 0;
    server_at(full).record->set_limits(1, 1);
    world.start();
    EXPECT_EQ(flow_of("203.0.113.1", 2), quiesced);
    EXPECT_EQ(flow_of("203.0.113.2", 2), full);
    for (std::uint16_t number = 10; number < 20; ++number) {
        const wire::IpAddress other = flow_of(wire::IpAddress::v4(0xcb007100U + number), 1);
        EXPECT_NE(other, quiesced);
        EXPECT_NE(other, full);
    }
}

TEST_F(Persistent, drain_and_failure_override_it_and_the_client_stays_where_it_went)
{
    for (const bool drain : {true, false}) {
        world.start();
        const wire::IpAddress before = flow_of(drain ? "203.0.113.1" : "203.0.113.2", 1);
        health::Server& record = *server_at(before).record;
        drain ? record.set_drained(true) : record.set_status(health::Status::down);
        const wire::IpAddress after = flow_of(drain ? "203.0.113.1" : "203.0.113.2", 2);
        EXPECT_NE(after, before);
        drain ? record.set_drained(false) : record.set_status(health::Status::up);
        EXPECT_EQ(flow_of(drain ? "203.0.113.1" : "203.0.113.2", 3), after);
    }
}

TEST_F(Persistent, server_that_a_reload_removed_is_replaced)
{
    world.start();
    const wire::IpAddress before = flow_of("203.0.113.1", 1);
    const l4::ServerId removed = server_at(before).id;
    std::erase_if(world.servers, [&](const l4::PoolServer& one) { return one.id == removed; });
    world.registry.retire(removed);
    world.start();
    const wire::IpAddress after = flow_of("203.0.113.1", 2);
    EXPECT_NE(after, before);
    EXPECT_EQ(flow_of("203.0.113.1", 3), after);
}

TEST_F(Persistent, reload_of_the_mask_leaves_no_entry_behind)
{
    world.forwarding.timeouts.udp = seconds{1};
    world.forwarding.persistence->timeout = seconds{1};
    l4::AffinityTable table{64, {1, 2}};
    world.options.affinities = &table;
    world.start();
    for (std::uint16_t number = 1; number < 10; ++number) {
        flow_of(wire::IpAddress::v4(0xcb007100U + number), 1);
    }
    EXPECT_EQ(table.count(world.now), 9U);
    world.forwarding.persistence->netmask = 16;
    world.start();
    world.forwarding.persistence.reset();
    world.start();
    world.advance(seconds{3});
    world.advance(seconds{2});
    EXPECT_EQ(world.forwarder->flows().size(), 0U);
    EXPECT_EQ(table.count(world.now), 0U) << "flows let go of what they held, whatever holds now";
}

TEST_F(Persistent, full_table_forwards_by_the_scheduler_and_says_so)
{
    l4::AffinityTable table{8, {1, 2}};
    world.options.affinities = &table;
    world.start();
    for (std::uint16_t number = 1; number <= 50; ++number) {
        flow_of(wire::IpAddress::v4(0xcb007100U + number), 1);
    }
    EXPECT_EQ(table.count(world.now), 8U);
    EXPECT_EQ(counted(telemetry::Counter::affinity_full), 42U);
}

TEST_F(Persistent, tcp_and_udp_of_a_service_are_one_client)
{
    world.start();
    const wire::IpAddress first = flow_of("203.0.113.9", 1);
    for (std::uint16_t port = 2; port < 5; ++port) {
        Segment segment;
        segment.flags = flag::syn;
        const Outcome out = world.send(on_wire(tcp_packet({client.address, port}, dns, segment)));
        EXPECT_EQ(out.parsed.destination, first);
    }
}

/// Where each flow of many clients goes on a node of `forwarders`, every flow at its owner.
std::map<std::pair<std::uint32_t, std::uint16_t>, wire::IpAddress> persistent_assignment(std::uint16_t forwarders)
{
    l4::AffinityTable table{4096, {1, 2}};
    std::vector<std::unique_ptr<World>> worlds;
    for (std::uint16_t index = 0; index < forwarders; ++index) {
        World& one = *worlds.emplace_back(std::make_unique<World>());
        one.options.index = index;
        one.options.core = index;
        one.options.forwarders = forwarders;
        one.options.shards = flow::ShardMap{forwarders};
        one.options.affinities = &table;
        // Whatever a forwarder would choose first: persistence alone makes them agree on the later flows.
        one.scheduler.balance = l4::Balance::mh;
        one.forwarding.persistence = l4::Persistence{};
        for (const char* server : {"10.0.0.53:53", "10.0.0.54:53", "10.0.0.55:53"}) {
            one.add_server(server);
        }
        one.start();
    }
    std::map<std::pair<std::uint32_t, std::uint16_t>, wire::IpAddress> result;
    for (std::uint16_t port = 1; port <= 12; ++port) {
        if (port == 6) { // Servers come and go; who is bound stays.
            for (auto& one : worlds) {
                one->add_server("10.0.0.56:53");
                one->servers[0].weight = 0;
                one->start();
            }
        }
        for (std::uint32_t number = 1; number <= 100; ++number) {
            const wire::Endpoint from{wire::IpAddress::v4(0xcb007100U + number), port};
            World& owner = *worlds[flow::ShardMap{forwarders}.owner(flow::shard_of_client(from.address, from.port))];
            const Outcome out = owner.send(on_wire(udp_packet(from, dns, bytes_of("x"))));
            EXPECT_EQ(out.verdict.action, Action::transmit);
            result[{number, port}] = out.parsed.destination;
        }
    }
    return result;
}

TEST(PersistentNode, four_forwarders_do_what_one_does)
{
    const auto one = persistent_assignment(1);
    EXPECT_EQ(persistent_assignment(4), one);
    for (const auto& [flow, server] : one) {
        EXPECT_EQ(server, one.at({flow.first, 1})) << "client " << flow.first << " moved";
    }
}

} // namespace
} // namespace sluice::test
