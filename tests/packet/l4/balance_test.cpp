// Schedulers and what they count, with packets: every state of a flow moves the counts that LVS shows, and the next
// flow goes where they say.
#include "world.hpp"

#include <gtest/gtest.h>

#include <set>

namespace sluice::test {
namespace {

using l4::Action;
using std::chrono::seconds;
using telemetry::DropReason;
namespace flag = wire::tcp_flag;

Frame from_port(std::uint16_t port) { return on_wire(udp_packet({client.address, port}, dns, bytes_of("x"))); }
Frame segment_of(const wire::Endpoint& from, const wire::Endpoint& to, std::uint8_t flags)
{
    Segment segment;
    segment.flags = flags;
    return on_wire(tcp_packet(from, to, segment));
}

class Balancing : public testing::Test {
protected:
    void start(l4::Balance balance)
    {
        world.scheduler.balance = balance;
        world.add_server("10.0.0.53:53");
        world.add_server("10.0.0.54:53");
        world.start();
    }
    /// A TCP segment of the client's port; the flow's other end is remembered.
    void send(std::uint16_t port, std::uint8_t flags)
    {
        const Outcome out = world.send(segment_of({client.address, port}, dns, flags));
        ASSERT_EQ(out.verdict.action, Action::transmit);
        server = {out.parsed.destination, 53};
        local = {out.parsed.source, out.parsed.source_port};
    }
    void answer(std::uint8_t flags)
    {
        EXPECT_EQ(world.send(segment_of(server, local, flags)).verdict.action, Action::transmit);
    }
    void establish(std::uint16_t port)
    {
        send(port, flag::syn);
        answer(flag::syn | flag::ack);
        send(port, flag::ack);
    }
    [[nodiscard]] health::FlowCounts counts(std::size_t index) const { return world.servers[index].record->flows(); }

    World world;
    wire::Endpoint server;
    wire::Endpoint local;
};

using FlowCountsOf = health::FlowCounts;

TEST_F(Balancing, tcp_flow_is_active_while_established_and_gone_with_its_flow)
{
    start(l4::Balance::wlc);
    send(1, flag::syn);
    EXPECT_EQ(counts(0), (FlowCountsOf{0, 1}));
    answer(flag::syn | flag::ack);
    EXPECT_EQ(counts(0), (FlowCountsOf{0, 1}));
    send(1, flag::ack);
    EXPECT_EQ(counts(0), (FlowCountsOf{1, 0}));
    send(1, flag::ack | flag::fin);
    EXPECT_EQ(counts(0), (FlowCountsOf{0, 1}));
    answer(flag::ack | flag::fin);
    EXPECT_EQ(counts(0), (FlowCountsOf{0, 1}));
    world.advance(seconds{121});
    world.advance(seconds{2});
    EXPECT_EQ(counts(0), (FlowCountsOf{0, 0}));
}

TEST_F(Balancing, reset_that_was_forged_counts_the_flow_back_in)
{
    start(l4::Balance::wlc);
    establish(1);
    send(1, flag::rst);
    EXPECT_EQ(counts(0), (FlowCountsOf{0, 1}));
    send(1, flag::ack);
    EXPECT_EQ(counts(0), (FlowCountsOf{1, 0}));
}

TEST_F(Balancing, least_connections_prefer_the_server_whose_flows_are_only_opening)
{
    start(l4::Balance::wlc);
    establish(1);
    EXPECT_EQ(server, endpoint("10.0.0.53:53"));
    for (std::uint16_t port = 2; port < 12; ++port) {
        send(port, flag::syn);
        EXPECT_EQ(server, endpoint("10.0.0.54:53")) << "ten that open are lighter than one that is open";
    }
}

TEST_F(Balancing, udp_flows_are_active_and_every_flow_that_ends_makes_room)
{
    start(l4::Balance::lc);
    for (std::uint16_t port = 1; port <= 10; ++port) {
        static_cast<void>(world.send(from_port(port)));
    }
    EXPECT_EQ(counts(0), (FlowCountsOf{5, 0}));
    EXPECT_EQ(counts(1), (FlowCountsOf{5, 0}));
    world.advance(seconds{301});
    world.advance(seconds{2});
    EXPECT_EQ(counts(0), (FlowCountsOf{0, 0}));
}

TEST_F(Balancing, server_without_a_free_port_is_not_offered_twice)
{
    // Least connections would name the same server again and again.
    start(l4::Balance::lc);
    world.sources = {ip("10.0.0.1")};
    world.start();
    std::size_t refused = 0;
    std::set<wire::IpAddress> used;
    // One shard has 512 ports a server; this many flows of one shard need both servers.
    const flow::Shard shard = flow::shard_of_client(client.address, 1);
    std::uint32_t opened = 0;
    for (std::uint32_t port = 1; port < 65536 && opened < 900; ++port) {
        if (flow::shard_of_client(client.address, static_cast<std::uint16_t>(port)) != shard) {
            continue;
        }
        ++opened;
        const Outcome out = world.send(from_port(static_cast<std::uint16_t>(port)));
        refused += out.verdict.action == Action::transmit ? 0U : 1U;
        used.insert(out.parsed.destination);
        world.advance(Duration{1000});
    }
    EXPECT_EQ(refused, 0U);
    EXPECT_EQ(used.size(), 2U);
}

TEST_F(Balancing, every_scheduler_carries_packets)
{
    using l4::Balance;
    for (const Balance balance :
         {Balance::rr, Balance::wrr, Balance::lc, Balance::wlc, Balance::sed, Balance::nq, Balance::fo, Balance::ovf,
          Balance::twos, Balance::sh, Balance::dh, Balance::mh, Balance::lblc, Balance::lblcr}) {
        World fresh;
        fresh.scheduler.balance = balance;
        fresh.add_server("10.0.0.53:53");
        fresh.add_server("10.0.0.54:53", 3);
        fresh.start();
        const Outcome first = fresh.send(from_port(1));
        EXPECT_EQ(first.verdict.action, Action::transmit) << static_cast<int>(balance);
        EXPECT_EQ(fresh.send(from_port(1)).frame, first.frame) << static_cast<int>(balance);
        fresh.servers[0].record->set_status(health::Status::down);
        fresh.servers[1].record->set_drained(true);
        const Outcome none = fresh.send(from_port(2));
        EXPECT_EQ(none.verdict.reason, DropReason::no_server) << static_cast<int>(balance);
    }
}

} // namespace
} // namespace sluice::test
