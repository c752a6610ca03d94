// Limits of flows per server, and weight 0.
#include "world.hpp"

#include <gtest/gtest.h>

namespace sluice::test {
namespace {

using l4::Action;
using std::chrono::seconds;
using telemetry::DropReason;

Frame limited_datagram(std::uint16_t port) { return on_wire(udp_packet({client.address, port}, dns, bytes_of("x"))); }
Frame limited_syn(std::uint16_t port)
{
    Segment segment;
    segment.flags = wire::tcp_flag::syn;
    return on_wire(tcp_packet({client.address, port}, dns, segment));
}

class Limits : public testing::Test {
protected:
    void start(l4::Balance balance = l4::Balance::rr)
    {
        world.scheduler.balance = balance;
        world.add_server("10.0.0.53:53").set_limits(4, 3);
        world.add_server("10.0.0.54:53").set_limits(4, 3);
        world.start();
    }
    Outcome fill()
    {
        Outcome last;
        for (std::uint16_t port = 1; port <= 8; ++port) {
            last = world.send(limited_datagram(port));
            EXPECT_EQ(last.verdict.action, Action::transmit);
        }
        return last;
    }
    World world;
};

TEST_F(Limits, full_servers_refuse_new_flows_and_keep_those_they_have)
{
    start();
    fill();
    const Outcome udp = world.send(limited_datagram(100));
    EXPECT_EQ(udp.verdict.action, Action::icmp_error);
    EXPECT_EQ(udp.verdict.reason, DropReason::server_limit);
    const Outcome tcp = world.send(limited_syn(101));
    EXPECT_EQ(tcp.verdict.action, Action::reset);
    EXPECT_EQ(tcp.verdict.reason, DropReason::server_limit);
    EXPECT_EQ(world.send(limited_datagram(3)).verdict.action, Action::transmit);
    EXPECT_EQ(world.servers[0].record->flows().all(), 4U);
    EXPECT_EQ(world.servers[1].record->flows().all(), 4U);
}

TEST_F(Limits, one_full_server_leaves_the_others)
{
    start();
    world.servers[1].record->set_limits(0, 0);
    for (std::uint16_t port = 1; port <= 20; ++port) {
        EXPECT_EQ(world.send(limited_datagram(port)).verdict.action, Action::transmit);
    }
    EXPECT_EQ(world.servers[0].record->flows().all(), 4U);
    EXPECT_EQ(world.servers[1].record->flows().all(), 16U);
}

TEST_F(Limits, server_has_room_again_below_its_lower_limit_alone)
{
    start();
    fill();
    world.advance(seconds{200});
    for (std::uint16_t port = 1; port <= 4; ++port) { // Two of each server live on.
        static_cast<void>(world.send(limited_datagram(port)));
    }
    static_cast<void>(world.send(limited_datagram(5))); // And a third of the first.
    world.advance(seconds{101});
    world.advance(seconds{2});
    EXPECT_EQ(world.servers[0].record->flows().all(), 3U);
    EXPECT_EQ(world.servers[1].record->flows().all(), 2U);
    for (std::uint16_t port = 100; port < 102; ++port) {
        EXPECT_EQ(world.send(limited_datagram(port)).parsed.destination, ip("10.0.0.54"))
            << "three are not fewer than three";
    }
    EXPECT_EQ(world.send(limited_datagram(102)).verdict.reason, DropReason::server_limit);
}

TEST_F(Limits, silence_is_kept_when_the_service_drops)
{
    world.forwarding.no_server = l4::NoServer::drop;
    start();
    fill();
    const Outcome out = world.send(limited_datagram(100));
    EXPECT_EQ(out.verdict.action, Action::drop);
    EXPECT_EQ(out.verdict.reason, DropReason::server_limit);
}

TEST_F(Limits, maglev_without_fallback_refuses_the_clients_of_a_full_server_and_with_it_moves_them)
{
    for (const bool fallback : {false, true}) {
        World one;
        one.scheduler.balance = l4::Balance::mh;
        one.scheduler.hash_fallback = fallback;
        one.add_server("10.0.0.53:53").set_limits(1, 1);
        one.add_server("10.0.0.54:53");
        one.start();
        int refused = 0;
        for (std::uint32_t number = 1; number <= 200; ++number) {
            const wire::Endpoint from{wire::IpAddress::v4(0xcb007100U + number), 5000};
            const Outcome out = one.send(on_wire(udp_packet(from, dns, bytes_of("x"))));
            refused += out.verdict.reason == DropReason::server_limit && out.verdict.action != Action::transmit ? 1 : 0;
        }
        EXPECT_EQ(one.servers[0].record->flows().all(), 1U);
        if (fallback) {
            EXPECT_EQ(refused, 0);
        } else {
            EXPECT_GT(refused, 60);
            EXPECT_LT(refused, 140);
        }
    }
}

TEST_F(Limits, four_forwarders_share_one_limit)
{
    World worlds[4];
    l4::ServerRegistry registry{64};
    const auto record = std::make_shared<health::Server>("pool", "", endpoint("10.0.0.53:53"));
    record->set_limits(10, 10);
    std::uint16_t core = 0;
    for (World& one : worlds) {
        one.options.core = core++;
        one.servers.push_back({one.registry.add(record), record, 1});
        one.start();
    }
    int opened = 0;
    for (std::uint16_t port = 1; port <= 40; ++port) {
        opened += worlds[port % 4].send(limited_datagram(port)).verdict.action == Action::transmit ? 1 : 0;
    }
    EXPECT_EQ(opened, 10);
    // The flows of two forwarders end: their share is free for all.
    worlds[0].advance(seconds{302});
    worlds[0].advance(seconds{2});
    EXPECT_LT(record->flows().all(), 10U);
    EXPECT_EQ(worlds[3].send(limited_datagram(1003)).verdict.action, Action::transmit);
}

} // namespace
} // namespace sluice::test
