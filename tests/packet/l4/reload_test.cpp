// Flows across changes of configuration and health: they keep their server as long as it exists.
#include "world.hpp"

#include <gtest/gtest.h>

namespace sluice::test {
namespace {

using l4::Action;
using telemetry::DropReason;
namespace flag = wire::tcp_flag;

Frame udp(std::uint16_t port) { return on_wire(udp_packet({client.address, port}, dns, bytes_of("x"))); }
Frame tcp(std::uint16_t port, std::uint8_t flags)
{
    Segment segment;
    segment.flags = flags;
    return on_wire(tcp_packet({client.address, port}, dns, segment));
}

class Reload : public testing::Test {
protected:
    void SetUp() override
    {
        world.add_server("10.0.0.53:53");
        world.add_server("10.0.0.54:53");
        world.start();
        for (std::uint16_t port = 1; port <= 100; ++port) {
            before[port] = server_of(port);
        }
    }
    wire::IpAddress server_of(std::uint16_t port) { return world.send(udp(port)).parsed.destination; }

    World world;
    std::map<std::uint16_t, wire::IpAddress> before;
};

TEST_F(Reload, of_the_same_changes_nothing_a_hundred_times_over)
{
    for (int count = 0; count < 100; ++count) {
        world.start();
        for (const auto& [port, server] : before) {
            ASSERT_EQ(server_of(port), server);
        }
    }
    EXPECT_EQ(world.servers[0].record->counters(0).flows_total.get() +
                  world.servers[1].record->counters(0).flows_total.get(),
              100U);
}

TEST_F(Reload, that_adds_servers_moves_no_flow)
{
    for (const char* more : {"10.0.0.55:53", "10.0.0.56:53", "10.0.0.57:53"}) {
        world.add_server(more);
    }
    std::swap(world.servers.front(), world.servers.back());
    world.start();
    for (const auto& [port, server] : before) {
        EXPECT_EQ(server_of(port), server);
    }
}

TEST_F(Reload, that_removes_a_server_moves_its_udp_flows_alone)
{
    static_cast<void>(world.send(tcp(7000, flag::syn)));
    static_cast<void>(world.send(tcp(7001, flag::syn)));
    const l4::PoolServer removed = world.servers[0];
    world.servers.erase(world.servers.begin());
    world.registry.retire(removed.id);
    world.start();
    for (const auto& [port, server] : before) {
        EXPECT_EQ(server_of(port), ip("10.0.0.54"));
    }
    // TCP flows go on by the default, so the record stays as long as they do.
    const Outcome one = world.send(tcp(7000, flag::ack));
    const Outcome two = world.send(tcp(7001, flag::ack));
    EXPECT_EQ(one.verdict.action, Action::transmit);
    EXPECT_EQ(two.verdict.action, Action::transmit);
    EXPECT_NE(one.parsed.destination, two.parsed.destination);
    EXPECT_TRUE(world.registry.reclaim().empty());
    EXPECT_EQ(removed.record->counters(0).flows.get().all(), 1U);

    world.advance(std::chrono::seconds{1000});
    world.advance(std::chrono::seconds{2});
    EXPECT_EQ(removed.record->counters(0).flows.get().all(), 0U);
    EXPECT_EQ(world.registry.reclaim().size(), 1U);
    EXPECT_EQ(world.registry.find(removed.id).server, nullptr);
}

TEST_F(Reload, that_changes_weights_moves_no_flow)
{
    world.servers[0].weight = 0;
    world.start();
    for (const auto& [port, server] : before) {
        EXPECT_EQ(server_of(port), server);
    }
    EXPECT_EQ(server_of(200), ip("10.0.0.54"));
    EXPECT_EQ(server_of(201), ip("10.0.0.54"));
}

TEST_F(Reload, that_changes_the_method_leaves_old_flows_as_they_are)
{
    const Outcome old = world.send(udp(1));
    world.method = l4::Method::nat;
    world.start();
    EXPECT_EQ(world.send(udp(1)).frame, old.frame);
    EXPECT_EQ(world.send(udp(300)).parsed.source, client.address);
}

TEST_F(Reload, that_gives_the_address_to_another_service_schedules_anew)
{
    l4::Forwarding other = world.forwarding;
    world.more_services = {{{9}, "other", other}};
    l4::ServiceTable::Parts parts;
    parts.addresses = {{ip("10.0.0.1"), false, 0}, {ip("192.0.2.100"), true, 1}};
    parts.listeners = {{ip("192.0.2.100"), 53, 53, wire::protocol::udp, {9}}};
    parts.services = {{{9}, "other", other}};
    parts.pools = {l4::Pool::make({World::pool_id}, "pool", world.scheduler, world.servers)};
    const auto table = l4::ServiceTable::make(std::move(parts));
    const Outcome request = world.send(udp(1));
    world.forwarder->begin_turn(*table, world.now);
    // The answer belongs to a service that is no more.
    const wire::Endpoint local{request.parsed.source, request.parsed.source_port};
    EXPECT_EQ(world.send(on_wire(udp_packet({before[1], 53}, local, bytes_of("x")))).verdict.reason,
              DropReason::no_flow);
    EXPECT_EQ(world.send(udp(2)).verdict.service.value, 9U);
    EXPECT_EQ(world.forwarder->flows().size(), 99U);
}

TEST_F(Reload, of_one_pool_shares_the_rest_of_the_table)
{
    world.servers[0].record->set_status(health::Status::down);
    const auto next = world.table->with_pool(l4::Pool::make({World::pool_id}, "pool", world.scheduler, world.servers));
    EXPECT_EQ(next->classify(dns.address, 17, 53).service, world.table->classify(dns.address, 17, 53).service);
    EXPECT_NE(next->pool({World::pool_id}), world.table->pool({World::pool_id}));
    world.forwarder->begin_turn(*next, world.now);
    for (std::uint16_t port = 400; port < 420; ++port) {
        EXPECT_EQ(server_of(port), ip("10.0.0.54"));
    }
}

TEST_F(Reload, server_that_returns_gets_flows_before_the_table_is_rebuilt)
{
    World other;
    other.add_server("10.0.0.53:53").set_status(health::Status::checking);
    other.start();
    EXPECT_EQ(other.send(udp(1)).verdict.reason, DropReason::no_server);
    other.servers[0].record->set_status(health::Status::up);
    EXPECT_EQ(other.send(udp(1)).verdict.action, Action::transmit);
}

} // namespace
} // namespace sluice::test
