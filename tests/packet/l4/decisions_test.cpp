// What is decided about packets that are not simply carried: refused, answered, passed on, scheduled anew.
#include "judge.hpp"
#include "world.hpp"

#include <gtest/gtest.h>

#include <set>

namespace sluice::test {
namespace {

using l4::Action;
using l4::Method;
using std::chrono::seconds;
using telemetry::DropReason;
namespace flag = wire::tcp_flag;

const wire::Endpoint first_server = endpoint("10.0.0.53:53");
const wire::Endpoint second_server = endpoint("10.0.0.54:53");

Frame udp(const wire::Endpoint& from, const wire::Endpoint& to, std::string_view text = "x")
{
    return on_wire(udp_packet(from, to, bytes_of(text)));
}

Frame tcp(const wire::Endpoint& from, const wire::Endpoint& to, std::uint8_t flags, std::string_view text = "",
          std::uint32_t sequence = 1000, std::uint32_t acknowledgment = 0)
{
    Segment segment;
    segment.flags = flags;
    segment.payload = bytes_of(text);
    segment.sequence = sequence;
    segment.acknowledgment = acknowledgment;
    return on_wire(tcp_packet(from, to, segment));
}

class Decisions : public testing::Test {
protected:
    void start(Method method = Method::fullnat)
    {
        world.method = method;
        world.add_server("10.0.0.53:53");
        world.add_server("10.0.0.54:53");
        world.start();
    }
    /// Where a packet to a forwarded service went.
    wire::IpAddress server_of(const Outcome& out)
    {
        EXPECT_EQ(out.verdict.action, Action::transmit);
        return out.parsed.destination;
    }
    World world;
};

TEST_F(Decisions, denied_client_opens_nothing_and_what_it_has_open_goes_on)
{
    start();
    ASSERT_EQ(world.send(udp(client, dns)).verdict.action, Action::transmit);
    const std::array rules{l4::AccessList::Rule{*wire::Prefix::parse("203.0.113.0/24"), false}};
    world.admission.clients = std::make_shared<const l4::AccessList>(rules, true);
    world.start();
    EXPECT_EQ(world.send(udp(client, dns)).verdict.action, Action::transmit) << "the flow exists";
    const wire::Endpoint site{dns.address, 80};
    for (const Frame& frame :
         {udp(endpoint("203.0.113.9:5556"), dns), tcp(client, dns, flag::syn), tcp(client, site, flag::syn)}) {
        const Outcome out = world.send(frame);
        EXPECT_EQ(out.verdict.action, Action::drop);
        EXPECT_EQ(out.verdict.reason, DropReason::client_denied);
    }
    EXPECT_EQ(world.send(tcp(client, site, flag::ack)).verdict.action, Action::to_worker) << "perhaps a connection's";
    EXPECT_EQ(world.send(tcp(endpoint("203.0.114.1:5555"), site, flag::syn)).verdict.action, Action::to_worker);
    EXPECT_EQ(world.send(udp(endpoint("203.0.114.1:5555"), dns)).verdict.action, Action::transmit);
}

TEST_F(Decisions, source_that_opens_flows_too_fast_keeps_those_it_has)
{
    world.admission.new_flows_per_source = 3;
    start();
    for (std::uint16_t port = 5000; port < 5010; ++port) {
        const Outcome out = world.send(udp({client.address, port}, dns));
        EXPECT_EQ(out.verdict.action, port < 5003 ? Action::transmit : Action::drop) << port;
        EXPECT_TRUE(port < 5003 || out.verdict.reason == DropReason::source_rate_exceeded) << port;
        EXPECT_EQ(world.send(udp({client.address, 5000}, dns)).verdict.action, Action::transmit);
    }
    EXPECT_EQ(world.send(udp(endpoint("203.0.113.10:5000"), dns)).verdict.action, Action::transmit);
    world.advance(seconds{1});
    EXPECT_EQ(world.send(udp({client.address, 5005}, dns)).verdict.action, Action::transmit);
}

TEST_F(Decisions, service_whose_new_flows_come_too_fast_keeps_those_it_has)
{
    world.admission.new_flows = 4;
    start();
    int opened = 0;
    for (std::uint32_t host = 0; host < 100; ++host) {
        const Outcome out = world.send(udp({wire::IpAddress::v4(0x0b000000U + host), 5000}, dns));
        opened += out.verdict.action == Action::transmit ? 1 : 0;
        EXPECT_TRUE(out.verdict.action == Action::transmit || out.verdict.reason == DropReason::service_rate_exceeded);
    }
    EXPECT_EQ(opened, 4);
    EXPECT_EQ(world.send(udp({wire::IpAddress::v4(0x0b000000U), 5000}, dns)).verdict.action, Action::transmit);
}

struct Answered {
    const char* description;
    Frame in;
    Action action;
    DropReason reason;
};

TEST_F(Decisions, table_of_packets_that_are_not_carried)
{
    start();
    world.states.set(2, neigh::Ownership::backup);
    const Answered table[] = {
        {"nobody here", udp(client, endpoint("192.0.2.7:53")), Action::drop, DropReason::not_ours},
        {"address of a backup", udp(client, endpoint("192.0.2.101:53")), Action::drop, DropReason::backup_address},
        {"backup is silent to TCP too", tcp(client, endpoint("192.0.2.101:22"), flag::syn), Action::drop,
         DropReason::backup_address},
        {"closed TCP port", tcp(client, endpoint("192.0.2.100:22"), flag::syn), Action::reset, DropReason::no_service},
        {"closed TCP port, RST", tcp(client, endpoint("192.0.2.100:22"), flag::rst), Action::drop,
         DropReason::no_service},
        {"closed UDP port", udp(client, endpoint("192.0.2.100:161")), Action::icmp_error, DropReason::no_service},
        {"unknown flow of full NAT, TCP", tcp(first_server, endpoint("10.0.0.1:40000"), flag::ack), Action::reset,
         DropReason::no_flow},
        {"unknown flow of full NAT, UDP", udp(first_server, endpoint("10.0.0.1:40000")), Action::icmp_error,
         DropReason::no_flow},
        {"middle of an unknown connection", tcp(client, dns, flag::ack), Action::reset, DropReason::no_flow},
        {"RST of an unknown connection", tcp(client, dns, flag::rst), Action::drop, DropReason::no_flow},
        {"SYN+ACK to a service", tcp(client, dns, flag::syn | flag::ack), Action::reset, DropReason::no_flow},
        {"multicast source", udp(endpoint("224.0.0.1:53"), dns), Action::drop, DropReason::source_address_invalid},
        {"loopback source", udp(endpoint("127.0.0.1:53"), dns), Action::drop, DropReason::source_address_invalid},
        {"our own source", udp(endpoint("10.0.0.1:53"), dns), Action::drop, DropReason::source_address_invalid},
        {"error about an unknown flow",
         icmp_error(ip("10.0.0.254"), ip("10.0.0.1"), udp(endpoint("10.0.0.1:40000"), first_server), 8, 64),
         Action::drop, DropReason::icmp_unmatched},
        {"error about a packet from a closed port",
         icmp_error(ip("10.0.0.254"), ip("10.0.0.1"), udp(endpoint("10.0.0.1:7"), first_server), 8, 64), Action::drop,
         DropReason::icmp_unmatched},
    };
    for (const Answered& row : table) {
        SCOPED_TRACE(row.description);
        const Outcome out = world.send(row.in);
        EXPECT_EQ(out.verdict.action, row.action);
        EXPECT_EQ(out.verdict.reason, row.reason);
        if (row.action == Action::icmp_error) {
            EXPECT_EQ(out.verdict.icmp, wire::IcmpErrorKind::port_unreachable);
        }
        if (row.action != Action::reset) {
            EXPECT_EQ(out.frame, row.in);
        }
    }
    EXPECT_EQ(world.forwarder->flows().size(), 0U);
}

TEST_F(Decisions, table_of_packets_that_are_passed_on)
{
    start();
    struct Row {
        const char* description;
        Frame in;
        Action action;
        std::uint32_t service;
        int shard;
    };
    const Row table[] = {
        {"proxy service", tcp(client, endpoint("192.0.2.100:80"), flag::syn), Action::to_worker, World::proxy_service,
         flow::shard_of_client(client.address, client.port)},
        {"answer to a worker", tcp(first_server, endpoint("10.0.0.1:4097"), flag::ack), Action::to_worker, 0, 1},
        {"answer to a probe", tcp(first_server, endpoint("10.0.0.1:1026"), flag::ack), Action::to_worker, 0, 2},
        {"error about a packet of a worker",
         icmp_error(ip("10.0.0.254"), ip("10.0.0.1"), tcp(endpoint("10.0.0.1:4099"), first_server, flag::ack), 8, 64),
         Action::to_worker, 0, 3},
        {"error about a packet of a proxy service",
         icmp_error(ip("10.0.0.254"), ip("192.0.2.100"), tcp(endpoint("192.0.2.100:80"), client, flag::ack), 8, 64),
         Action::to_worker, World::proxy_service, flow::shard_of_client(client.address, client.port)},
        {"echo request", on_wire(icmp_echo(client.address, dns.address, 1)), Action::local, 0, 0},
        {"multicast", on_wire(ip_packet(ip("192.0.2.12"), ip("224.0.0.18"), 112, Frame(8))), Action::local, 0, 0},
        {"broadcast", udp(endpoint("0.0.0.0:68"), endpoint("255.255.255.255:67")), Action::local, 0, 0},
    };
    for (const Row& row : table) {
        SCOPED_TRACE(row.description);
        const Outcome out = world.send(row.in);
        EXPECT_EQ(out.verdict.action, row.action);
        EXPECT_EQ(out.verdict.service.value, row.service);
        EXPECT_EQ(out.verdict.shard, row.shard);
        EXPECT_EQ(out.frame, row.in);
    }
}

TEST_F(Decisions, reset_answers_a_syn_with_the_acknowledgment_it_expects)
{
    start();
    const Outcome out = world.send(tcp(client, endpoint("192.0.2.100:22"), flag::syn, "", 0xfffffffe));
    Segment expected;
    expected.flags = flag::rst | flag::ack;
    expected.sequence = 0;
    expected.acknowledgment = 0xffffffff;
    expected.window = 0;
    IpOptions header;
    header.identification = 0;
    EXPECT_EQ(out.frame, on_wire(tcp_packet(endpoint("192.0.2.100:22"), client, expected, header)));
    EXPECT_EQ(judge(out.frame), "");
    EXPECT_EQ(out.parsed.destination, client.address);
    EXPECT_EQ(out.verdict.adjacency, FakeNextHops::handle(client.address));
}

TEST_F(Decisions, reset_answers_a_segment_with_the_sequence_it_acknowledged)
{
    start();
    const wire::Endpoint from = endpoint("[2001:db8:9::9]:5555");
    const wire::Endpoint to = endpoint("[2001:db8::100]:22");
    const Outcome out = world.send(tcp(from, to, flag::ack | flag::fin, "data", 7, 4242));
    Segment expected;
    expected.flags = flag::rst;
    expected.sequence = 4242;
    expected.window = 0;
    EXPECT_EQ(out.frame, on_wire(tcp_packet(to, from, expected)));
    EXPECT_EQ(judge(out.frame), "");
}

TEST_F(Decisions, segment_with_a_wrong_checksum_is_not_answered)
{
    start();
    Frame damaged = tcp(client, endpoint("192.0.2.100:22"), flag::syn, "data");
    damaged.back() ^= std::byte{1};
    const Outcome out = world.send(damaged);
    EXPECT_EQ(out.verdict.action, Action::drop);
    EXPECT_EQ(out.verdict.reason, DropReason::tcp_checksum_invalid);
}

TEST_F(Decisions, resets_are_rate_limited)
{
    world.options.resets_per_second = 100;
    start();
    int answered = 0;
    for (int count = 0; count < 1000; ++count) {
        const Outcome out = world.send(tcp(client, endpoint("192.0.2.100:22"), flag::syn));
        answered += out.verdict.action == Action::reset ? 1 : 0;
        if (out.verdict.action == Action::drop) {
            EXPECT_EQ(out.verdict.reason, DropReason::rate_limited);
        }
    }
    EXPECT_LE(answered, 20);
    world.advance(seconds{1});
    EXPECT_EQ(world.send(tcp(client, endpoint("192.0.2.100:22"), flag::syn)).verdict.action, Action::reset);
}

TEST_F(Decisions, udp_flow_of_a_server_that_fails_moves_within_one_packet)
{
    start();
    const wire::IpAddress before = server_of(world.send(udp(client, dns)));
    EXPECT_EQ(server_of(world.send(udp(client, dns))), before);
    for (const l4::PoolServer& server : world.servers) {
        if (server.record->address().address == before) {
            server.record->set_status(health::Status::down);
        }
    }
    EXPECT_NE(server_of(world.send(udp(client, dns))), before);
    EXPECT_EQ(world.forwarder->flows().size(), 1U);
}

TEST_F(Decisions, tcp_flow_of_a_server_that_fails_stays_when_kept)
{
    start();
    const wire::IpAddress before = server_of(world.send(tcp(client, dns, flag::syn)));
    for (const l4::PoolServer& server : world.servers) {
        server.record->set_status(health::Status::down);
    }
    EXPECT_EQ(server_of(world.send(tcp(client, dns, flag::ack))), before);
}

TEST_F(Decisions, tcp_flow_of_a_server_that_fails_is_reset_when_configured)
{
    world.forwarding.on_server_down = l4::OnServerDown::reset;
    start();
    static_cast<void>(world.send(tcp(client, dns, flag::syn)));
    for (const l4::PoolServer& server : world.servers) {
        server.record->set_status(health::Status::down);
    }
    const Outcome out = world.send(tcp(client, dns, flag::ack, "more", 1001, 77));
    EXPECT_EQ(out.verdict.action, Action::reset);
    EXPECT_EQ(out.verdict.reason, DropReason::no_server);
    EXPECT_EQ(wire::Tcp{out.frame.data() + 34}.sequence().value(), 77U);
    EXPECT_EQ(world.forwarder->flows().size(), 0U);
}

TEST_F(Decisions, drained_server_keeps_its_flows_and_gets_no_new_ones)
{
    start();
    const wire::IpAddress before = server_of(world.send(udp(client, dns)));
    for (const l4::PoolServer& server : world.servers) {
        server.record->set_drained(server.record->address().address == before);
    }
    EXPECT_EQ(server_of(world.send(udp(client, dns))), before);
    for (std::uint16_t port = 1; port <= 50; ++port) {
        EXPECT_NE(server_of(world.send(udp({client.address, port}, dns))), before);
    }
}

TEST_F(Decisions, no_server_is_refused_or_met_with_silence_as_configured)
{
    for (const l4::NoServer policy : {l4::NoServer::reject, l4::NoServer::drop}) {
        World other;
        other.forwarding.no_server = policy;
        other.add_server("10.0.0.53:53").set_status(health::Status::down);
        other.add_server("10.0.0.54:53", 0);
        other.start();
        const bool reject = policy == l4::NoServer::reject;
        const Outcome segment = other.send(tcp(client, dns, flag::syn));
        EXPECT_EQ(segment.verdict.action, reject ? Action::reset : Action::drop);
        EXPECT_EQ(segment.verdict.reason, DropReason::no_server);
        const Outcome datagram = other.send(udp(client, dns));
        EXPECT_EQ(datagram.verdict.action, reject ? Action::icmp_error : Action::drop);
        EXPECT_EQ(datagram.verdict.reason, DropReason::no_server);
        EXPECT_EQ(datagram.verdict.icmp, reject ? wire::IcmpErrorKind::port_unreachable : wire::IcmpErrorKind{});
    }
}

TEST_F(Decisions, syn_on_a_tuple_that_is_closing_is_scheduled_anew)
{
    start();
    const Outcome opened = world.send(tcp(client, dns, flag::syn));
    const wire::Endpoint server{opened.parsed.destination, opened.parsed.destination_port};
    const wire::Endpoint local{opened.parsed.source, opened.parsed.source_port};
    static_cast<void>(world.send(tcp(server, local, flag::syn | flag::ack)));
    static_cast<void>(world.send(tcp(client, dns, flag::ack)));
    // A SYN within the connection is the server's to challenge.
    EXPECT_EQ(server_of(world.send(tcp(client, dns, flag::syn))), server.address);
    static_cast<void>(world.send(tcp(client, dns, flag::fin | flag::ack)));
    EXPECT_EQ(server_of(world.send(tcp(client, dns, flag::syn))), server.address);
    static_cast<void>(world.send(tcp(server, local, flag::fin | flag::ack)));
    EXPECT_EQ(server_of(world.send(tcp(client, dns, flag::ack))), server.address);
    EXPECT_NE(server_of(world.send(tcp(client, dns, flag::syn))), server.address);
    EXPECT_EQ(world.forwarder->flows().size(), 1U);
}

TEST_F(Decisions, round_robin_is_even_and_starts_elsewhere_on_every_forwarder)
{
    std::set<wire::IpAddress> first_picks;
    for (std::uint16_t index = 0; index < 4; ++index) {
        World other;
        other.options.index = index;
        other.options.forwarders = 4;
        other.options.shards = flow::ShardMap{4};
        for (const char* address : {"10.0.0.53:53", "10.0.0.54:53", "10.0.0.55:53", "10.0.0.56:53"}) {
            other.add_server(address);
        }
        other.start();
        std::map<wire::IpAddress, int> counts;
        for (std::uint16_t port = 1; other.forwarder->flows().size() < 100; ++port) {
            const Outcome out = other.send(udp({client.address, port}, dns));
            if (out.verdict.action == Action::transmit) {
                if (counts.empty()) {
                    first_picks.insert(out.parsed.destination);
                }
                ++counts[out.parsed.destination];
            }
        }
        for (const auto& [server, count] : counts) {
            EXPECT_EQ(count, 25) << server.to_string();
        }
    }
    EXPECT_EQ(first_picks.size(), 4U);
}

TEST_F(Decisions, packet_of_another_forwarders_shard_is_passed_on_untouched)
{
    world.options.forwarders = 4;
    world.options.index = 2;
    world.options.shards = flow::ShardMap{4};
    start();
    int mine = 0;
    for (std::uint16_t port = 1; port <= 200; ++port) {
        const wire::Endpoint from{client.address, port};
        const flow::Shard shard = flow::shard_of_client(from.address, from.port);
        const Frame in = udp(from, dns);
        const Outcome out = world.send(in);
        if (world.options.shards.owner(shard) == 2) {
            ++mine;
            EXPECT_EQ(out.verdict.action, Action::transmit);
        } else {
            EXPECT_EQ(out.verdict.action, Action::to_forwarder);
            EXPECT_EQ(out.verdict.shard, shard);
            EXPECT_EQ(out.frame, in);
        }
    }
    EXPECT_GT(mine, 20);
    EXPECT_EQ(world.forwarder->flows().size(), static_cast<std::uint32_t>(mine));
}

TEST_F(Decisions, full_table_drops_new_flows_and_carries_old_ones)
{
    world.options.flows = 8;
    start();
    for (std::uint16_t port = 1; port <= 8; ++port) {
        EXPECT_EQ(world.send(udp({client.address, port}, dns)).verdict.action, Action::transmit);
    }
    const Outcome out = world.send(udp({client.address, 9}, dns));
    EXPECT_EQ(out.verdict.action, Action::drop);
    EXPECT_EQ(out.verdict.reason, DropReason::flow_table_full);
    EXPECT_EQ(world.send(udp({client.address, 3}, dns)).verdict.action, Action::transmit);
}

TEST_F(Decisions, every_port_of_a_shard_is_used_before_they_are_exhausted)
{
    world.add_server("10.0.0.53:53");
    world.start();
    const flow::Shard shard = 5;
    std::set<std::uint16_t> ports;
    int clients = 0;
    for (std::uint32_t host = 0; clients < 513; ++host) {
        const wire::Endpoint from{wire::IpAddress::v4(0xcb007100U + host), 7777};
        if (flow::shard_of_client(from.address, from.port) != shard) {
            continue;
        }
        ++clients;
        world.advance(std::chrono::milliseconds{1}); // Another turn: the search is bounded in each.
        const Outcome out = world.send(udp(from, dns));
        if (clients <= 512) {
            ASSERT_EQ(out.verdict.action, Action::transmit) << clients;
            EXPECT_TRUE(ports.insert(out.parsed.source_port).second);
            EXPECT_EQ(flow::shard_of_local_port(out.parsed.source_port), shard);
        } else {
            EXPECT_EQ(out.verdict.action, Action::drop);
            EXPECT_EQ(out.verdict.reason, DropReason::ports_exhausted);
        }
    }
    EXPECT_EQ(ports.size(), 512U);
}

TEST_F(Decisions, second_source_address_is_used_when_the_first_has_no_port_left)
{
    world.add_server("10.0.0.53:53");
    world.sources = {ip("10.0.0.1"), ip("192.0.2.100")};
    world.start();
    std::map<wire::IpAddress, int> used;
    int clients = 0;
    for (std::uint32_t host = 0; clients < 1024; ++host) {
        const wire::Endpoint from{wire::IpAddress::v4(0xcb007100U + host), 7777};
        if (flow::shard_of_client(from.address, from.port) == 5) {
            ++clients;
            world.advance(std::chrono::milliseconds{1});
            const Outcome out = world.send(udp(from, dns));
            ASSERT_EQ(out.verdict.action, Action::transmit);
            ++used[out.parsed.source];
        }
    }
    EXPECT_EQ(used[ip("10.0.0.1")], 512);
    EXPECT_EQ(used[ip("192.0.2.100")], 512);
}

TEST_F(Decisions, source_held_by_the_peer_is_not_used)
{
    world.add_server("10.0.0.53:53");
    world.sources = {ip("192.0.2.101"), ip("10.0.0.1")};
    world.start();
    world.states.set(2, neigh::Ownership::backup);
    for (std::uint16_t port = 1; port <= 50; ++port) {
        EXPECT_EQ(world.send(udp({client.address, port}, dns)).parsed.source, ip("10.0.0.1"));
    }
}

TEST_F(Decisions, port_on_which_a_service_listens_is_never_picked)
{
    world.add_server("10.0.0.53:53");
    world.more_listeners = {{ip("10.0.0.1"), 32768, 65000, wire::protocol::udp, {World::proxy_service}}};
    world.start();
    for (std::uint16_t port = 1; port <= 100; ++port) {
        world.advance(std::chrono::milliseconds{1});
        const Outcome out = world.send(udp({client.address, port}, dns));
        if (out.verdict.action == Action::transmit) {
            EXPECT_GT(out.parsed.source_port, 65000);
        }
    }
    EXPECT_GT(world.forwarder->flows().size(), 50U);
}

TEST_F(Decisions, nat_flows_whose_answers_would_be_alike_get_different_servers)
{
    world.more_listeners = {{ip("10.0.0.1"), 53, 53, wire::protocol::udp, {World::forward_service}}};
    start(Method::nat);
    const wire::IpAddress server = server_of(world.send(udp(client, dns)));
    EXPECT_NE(server_of(world.send(udp(client, endpoint("10.0.0.1:53")))), server);
    EXPECT_EQ(world.forwarder->flows().size(), 2U);
}

TEST_F(Decisions, nat_conflict_without_another_server_is_dropped)
{
    world.method = Method::nat;
    world.add_server("10.0.0.53:53");
    world.more_listeners = {{ip("10.0.0.1"), 53, 53, wire::protocol::udp, {World::forward_service}}};
    world.start();
    static_cast<void>(server_of(world.send(udp(client, dns))));
    const Outcome out = world.send(udp(client, endpoint("10.0.0.1:53")));
    EXPECT_EQ(out.verdict.action, Action::drop);
    EXPECT_EQ(out.verdict.reason, DropReason::flow_conflict);
}

TEST_F(Decisions, nat_servers_own_traffic_is_not_routed)
{
    start(Method::nat);
    const Outcome out = world.send(udp(first_server, endpoint("198.51.100.8:123")));
    EXPECT_EQ(out.verdict.action, Action::drop);
    EXPECT_EQ(out.verdict.reason, DropReason::not_ours);
}

TEST_F(Decisions, server_without_a_port_gets_the_one_the_client_used)
{
    auto record = std::make_shared<health::Server>("pool", "any", wire::Endpoint{ip("10.0.0.53"), 0});
    world.servers.push_back({world.registry.add(record), record, 1});
    world.start();
    EXPECT_EQ(world.send(udp(client, endpoint("192.0.2.100:5353"))).parsed.destination_port, 5353);
    EXPECT_EQ(world.send(udp(client, endpoint("192.0.2.100:5999"))).parsed.destination_port, 5999);
    EXPECT_EQ(world.send(udp(client, endpoint("192.0.2.100:6000"))).verdict.service.value, 0U);
}

TEST_F(Decisions, middle_of_an_unknown_connection_is_taken_up_where_hashing_decides)
{
    world.scheduler.balance = l4::Balance::mh;
    start();
    const wire::Endpoint local = [&] {
        const Outcome out = world.send(tcp(client, dns, flag::syn));
        return wire::Endpoint{out.parsed.source, out.parsed.source_port};
    }();
    const wire::IpAddress server = server_of(world.send(tcp(client, dns, flag::ack)));

    // The peer, after a takeover: no flows, another secret.
    World peer;
    peer.scheduler.balance = l4::Balance::mh;
    peer.options.secret = {77, 78};
    peer.add_server("10.0.0.54:53");
    peer.add_server("10.0.0.53:53");
    peer.start();
    const Outcome adopted = peer.send(tcp(client, dns, flag::ack | flag::psh, "data"));
    EXPECT_EQ(server_of(adopted), server);
    EXPECT_EQ((wire::Endpoint{adopted.parsed.source, adopted.parsed.source_port}), local);
    EXPECT_EQ(peer.send(tcp({server, 53}, local, flag::ack)).parsed.destination, client.address);
}

TEST_F(Decisions, flow_without_a_route_is_dropped_and_looked_up_again)
{
    start();
    world.next_hops.unroutable = first_server.address;
    int dropped = 0;
    for (std::uint16_t port = 1; port <= 10; ++port) {
        const Outcome out = world.send(udp({client.address, port}, dns));
        if (out.verdict.action == Action::drop) {
            EXPECT_EQ(out.verdict.reason, DropReason::no_route);
            ++dropped;
        }
    }
    EXPECT_EQ(dropped, 5);
    world.next_hops.unroutable = {};
    for (std::uint16_t port = 1; port <= 10; ++port) {
        EXPECT_EQ(world.send(udp({client.address, port}, dns)).verdict.action, Action::transmit);
    }
}

TEST_F(Decisions, next_hop_is_asked_for_once_and_again_when_routes_change)
{
    start();
    static_cast<void>(world.send(udp(client, dns)));
    const int before = world.next_hops.lookups;
    for (int count = 0; count < 10; ++count) {
        static_cast<void>(world.send(udp(client, dns)));
    }
    EXPECT_EQ(world.next_hops.lookups, before);
    world.forwarder->forget_next_hops();
    for (int turn = 0; turn < 20; ++turn) {
        world.advance(std::chrono::milliseconds{1});
    }
    static_cast<void>(world.send(udp(client, dns)));
    EXPECT_EQ(world.next_hops.lookups, before + 1);
    world.next_hops.stale = true;
    static_cast<void>(world.send(udp(client, dns)));
    EXPECT_EQ(world.next_hops.lookups, before + 2);
}

TEST_F(Decisions, udp_without_a_checksum_stays_without_over_ipv4_only)
{
    start();
    Frame in = udp(client, dns, "abc");
    store16(in.data() + 14 + 20 + 6, 0);
    const Outcome out = world.send(in);
    ASSERT_EQ(out.verdict.action, Action::transmit);
    EXPECT_EQ(load16(out.frame.data() + 14 + 20 + 6), 0);
    EXPECT_EQ(judge(out.frame), "");

    Frame in6 = udp(endpoint("[2001:db8:9::9]:5555"), endpoint("[2001:db8::100]:53"), "abc");
    store16(in6.data() + 14 + 40 + 6, 0);
    const Outcome out6 = world.send(in6);
    EXPECT_EQ(out6.verdict.action, Action::drop);
    EXPECT_EQ(out6.verdict.reason, DropReason::udp_checksum_invalid);
}

TEST_F(Decisions, damaged_payload_arrives_damaged)
{
    // An incremental update must not repair what the sender's checksum would have caught.
    start();
    Frame in = udp(client, dns, "abcdef");
    in.back() ^= std::byte{1};
    EXPECT_EQ(judge(world.send(in).frame), "UDP checksum wrong");
}

TEST_F(Decisions, forged_reset_costs_an_established_flow_nothing)
{
    start();
    const Outcome opened = world.send(tcp(client, dns, flag::syn));
    const wire::Endpoint server{opened.parsed.destination, 53};
    const wire::Endpoint local{opened.parsed.source, opened.parsed.source_port};
    static_cast<void>(world.send(tcp(server, local, flag::syn | flag::ack)));
    static_cast<void>(world.send(tcp(client, dns, flag::ack)));
    static_cast<void>(world.send(tcp(client, dns, flag::rst)));
    static_cast<void>(world.send(tcp(client, dns, flag::ack)));
    world.advance(seconds{100});
    world.advance(seconds{2});
    EXPECT_EQ(server_of(world.send(tcp(client, dns, flag::ack))), server.address);
}

} // namespace
} // namespace sluice::test
