// Methods by which the server answers the client itself: what goes in, what is decided, what comes out byte for byte,
// and that nothing is believed of a half of the flow that is never seen.
#include "judge.hpp"
#include "world.hpp"

#include <gtest/gtest.h>

namespace sluice::test {
namespace {

using l4::Action;
using l4::Method;
using l4::TcpState;
using telemetry::DropReason;
namespace flag = wire::tcp_flag;
using std::chrono::seconds;

struct DirectCase {
    const char* description;
    std::uint8_t protocol;
    const char* client;
    const char* service;
    const char* server;
};

const DirectCase direct_cases[] = {
    {"UdpOverIpv4", 17, "203.0.113.9:5555", "192.0.2.100:53", "10.0.0.53:53"},
    {"TcpOverIpv4", 6, "203.0.113.9:5555", "192.0.2.100:53", "10.0.0.53:53"},
    {"UdpOverIpv6", 17, "[2001:db8:9::9]:5555", "[2001:db8::100]:53", "[2001:db8:a::53]:53"},
    {"TcpOverIpv6", 6, "[2001:db8:9::9]:5555", "[2001:db8::100]:53", "[2001:db8:a::53]:53"},
};

class DirectRouting : public testing::TestWithParam<DirectCase> {
protected:
    void SetUp() override
    {
        world.method = Method::dr;
        world.add_server(GetParam().server);
        world.start();
    }

    [[nodiscard]] bool tcp() const { return GetParam().protocol == wire::protocol::tcp; }
    [[nodiscard]] bool v4() const { return client.address.is_v4(); }

    [[nodiscard]] Frame frame(const wire::Endpoint& from, const wire::Endpoint& to, std::string_view text,
                              std::uint8_t flags, IpOptions header = {}) const
    {
        if (!tcp()) {
            return on_wire(udp_packet(from, to, bytes_of(text), header));
        }
        Segment segment;
        segment.flags = flags;
        segment.payload = bytes_of(text);
        return on_wire(tcp_packet(from, to, segment, header));
    }
    /// From the client, with this many hops left.
    [[nodiscard]] Frame request(std::string_view text, std::uint8_t flags = flag::ack,
                                std::uint8_t hop_limit = 64) const
    {
        IpOptions header;
        header.hop_limit = hop_limit;
        return frame(client, service, text, flags, header);
    }
    Outcome open() { return world.send(request("", flag::syn)); }
    /// The one flow there is.
    [[nodiscard]] flow::Flow flow()
    {
        flow::Flow found;
        world.forwarder->flows().visit(0, world.forwarder->flows().capacity(), world.now,
                                       [&](const flow::Flow& each) { found = each; });
        return found;
    }
    [[nodiscard]] TcpState state() { return static_cast<TcpState>(flow().state); }

    const wire::Endpoint client = endpoint(GetParam().client);
    const wire::Endpoint service = endpoint(GetParam().service);
    const wire::Endpoint server = endpoint(GetParam().server);
    World world;
};

class DirectRoutingOfTcp : public DirectRouting {};

TEST_P(DirectRouting, request_goes_to_the_server_as_the_client_sent_it)
{
    ASSERT_EQ(open().verdict.action, Action::transmit);
    const Outcome out = world.send(request("what is my name?"));
    ASSERT_EQ(out.verdict.action, Action::transmit);
    EXPECT_EQ(out.frame, request("what is my name?", flag::ack, 63));
    EXPECT_EQ(judge(out.frame), "");
    EXPECT_EQ(out.verdict.adjacency, FakeNextHops::handle(server.address));
    EXPECT_EQ(out.parsed.destination, server.address) << "whom to send it to";
    EXPECT_EQ(out.parsed.source, client.address);
    EXPECT_EQ(out.verdict.service.value, World::forward_service);
    EXPECT_EQ(world.forwarder->flows().size(), 1U);
}

TEST_P(DirectRouting, checksum_of_the_header_is_right_for_every_hop_limit)
{
    for (unsigned hops = 2; hops < 256; ++hops) {
        const auto limit = static_cast<std::uint8_t>(hops);
        const Outcome out = world.send(request("x", flag::syn, limit));
        ASSERT_EQ(out.frame, request("x", flag::syn, static_cast<std::uint8_t>(limit - 1))) << hops;
        ASSERT_EQ(judge(out.frame), "") << hops;
    }
}

TEST_P(DirectRouting, flow_is_known_by_the_clients_tuple_alone)
{
    static_cast<void>(open());
    flow::FlowTable& flows = world.forwarder->flows();
    const auto find = [&](const flow::FiveTuple& tuple) { return flows.find(tuple, flows.hash(tuple), world.now); };
    const flow::FiveTuple sent{client.address, service.address, client.port, service.port, GetParam().protocol};
    const auto known = find(sent);
    ASSERT_TRUE(known);
    EXPECT_FALSE(known.from_server);
    EXPECT_EQ(known.flow->server, server.address);
    EXPECT_FALSE(find(known.flow->from_server()));
    EXPECT_FALSE(find(sent.reversed()));
    EXPECT_FALSE(find(flow::FiveTuple{server.address, client.address, server.port, client.port, GetParam().protocol}));
    flows.remove(*known.flow, world.now);
    EXPECT_FALSE(find(sent));
    EXPECT_EQ(flows.size(), 0U);
}

TEST_P(DirectRouting, what_a_server_sends_to_its_client_is_not_carried)
{
    static_cast<void>(open());
    for (const wire::Endpoint& from : {server, service}) {
        const Frame sent = frame(from, client, "x", flag::syn | flag::ack);
        const Outcome out = world.send(sent);
        EXPECT_EQ(out.verdict.action, Action::drop);
        EXPECT_EQ(out.verdict.reason, DropReason::not_ours);
        EXPECT_EQ(out.frame, sent);
    }
    EXPECT_EQ(world.servers[0].record->counters(0).packets_out.get(), 0U);
}

TEST_P(DirectRouting, ethernet_padding_is_cut_and_a_tag_stays)
{
    static_cast<void>(open());
    Frame sent = request("x");
    Frame expected = request("x", flag::ack, 63);
    const Frame tag = from_hex("81000064");
    for (Frame* const tagged : {&sent, &expected}) {
        tagged->insert(tagged->begin() + 12, tag.begin(), tag.end());
    }
    sent.resize(sent.size() + 11, std::byte{0xee});
    EXPECT_EQ(world.send(sent).frame, expected);
}

TEST_P(DirectRouting, frame_cut_anywhere_is_dropped_and_opens_nothing)
{
    const Frame whole = request("0123456789", flag::syn);
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const Outcome out = world.send(Frame{whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)});
        ASSERT_EQ(out.verdict.action, Action::drop) << size;
    }
    EXPECT_EQ(world.forwarder->flows().size(), 0U);
}

TEST_P(DirectRouting, last_hop_is_reported_and_nothing_is_changed)
{
    static_cast<void>(open());
    const Frame sent = request("x", flag::ack, 1);
    const Outcome out = world.send(sent);
    EXPECT_EQ(out.verdict.action, Action::icmp_error);
    EXPECT_EQ(out.verdict.icmp, wire::IcmpErrorKind::time_exceeded);
    EXPECT_EQ(out.frame, sent);
}

TEST_P(DirectRouting, packet_over_the_mtu_is_reported_or_split_as_its_sender_allows)
{
    world.next_hops.narrow_way = server.address;
    world.next_hops.narrow_mtu = 1400;
    static_cast<void>(open());
    const std::string text(1380, 'x');
    const Outcome refused = world.send(request(text));
    EXPECT_EQ(refused.verdict.action, Action::icmp_error);
    EXPECT_EQ(refused.verdict.icmp, wire::IcmpErrorKind::too_big);
    EXPECT_EQ(refused.verdict.mtu, 1400U);
    if (v4()) {
        IpOptions header;
        header.dont_fragment = false;
        const Outcome split = world.send(frame(client, service, text, flag::ack, header));
        EXPECT_EQ(split.verdict.action, Action::split);
        EXPECT_EQ(split.verdict.mtu, 1400U);
        EXPECT_EQ(split.parsed.destination, server.address);
    }
}

TEST_P(DirectRouting, error_about_an_answer_that_went_past_reaches_its_server_as_it_came)
{
    static_cast<void>(open());
    const wire::IpAddress router = ip(v4() ? "198.51.100.1" : "2001:db8:f::1");
    const Frame answer = frame(service, client, "0123456789abcdef", flag::ack);
    for (const std::size_t quoted : {std::size_t{8}, std::size_t{200}}) {
        const Outcome out = world.send(icmp_error(router, service.address, answer, quoted, 64));
        ASSERT_EQ(out.verdict.action, Action::transmit);
        EXPECT_EQ(out.frame, icmp_error(router, service.address, answer, quoted, 63));
        EXPECT_EQ(judge(out.frame), "");
        EXPECT_EQ(out.verdict.adjacency, FakeNextHops::handle(server.address));
        EXPECT_EQ(out.parsed.destination, server.address);
    }
    Frame damaged = icmp_error(router, service.address, answer, 8, 64);
    damaged.back() ^= std::byte{1};
    EXPECT_EQ(world.send(damaged).verdict.reason, DropReason::icmp_invalid);
    const Frame strange = frame(service, {client.address, 1}, "x", flag::ack);
    EXPECT_EQ(world.send(icmp_error(router, service.address, strange, 8, 64)).verdict.reason,
              DropReason::icmp_unmatched);
    EXPECT_EQ(world.send(icmp_error(router, service.address, answer, 8, 1)).verdict.reason, DropReason::ttl_expired);
}

TEST_P(DirectRouting, request_and_errors_about_the_answers_have_one_owner)
{
    const wire::IpAddress router = ip(v4() ? "198.51.100.1" : "2001:db8:f::1");
    const l4::Owner expected{l4::Owner::Kind::forwarder, flow::shard_of_client(client.address, client.port)};
    for (const Frame& seen :
         {request("x"), icmp_error(router, service.address, frame(service, client, "x", flag::ack), 8, 64)}) {
        wire::ParsedPacket parsed;
        ASSERT_FALSE(wire::parse_frame(seen, parsed));
        EXPECT_EQ(l4::owner_of(seen, parsed, *world.table), expected);
    }
}

TEST_P(DirectRouting, flows_are_counted_at_the_server_until_their_time_is_over)
{
    static_cast<void>(open());
    const health::ServerCounters& counters = world.servers[0].record->counters(0);
    EXPECT_EQ(counters.flows.get().all(), 1U);
    EXPECT_EQ(counters.packets_in.get(), 1U);
    EXPECT_EQ(counters.packets_out.get(), 0U);
    world.advance(seconds{1000});
    world.advance(seconds{2});
    EXPECT_EQ(counters.flows.get().all(), 0U);
    EXPECT_EQ(world.forwarder->flows().size(), 0U);
}

TEST_P(DirectRoutingOfTcp, tcp_state_follows_the_clients_half)
{
    static_cast<void>(open());
    EXPECT_EQ(state(), TcpState::syn_sent);
    static_cast<void>(world.send(request("", flag::syn)));
    EXPECT_EQ(state(), TcpState::syn_sent) << "a SYN again is one that was not answered";
    static_cast<void>(world.send(request("", flag::ack)));
    EXPECT_EQ(state(), TcpState::established);
    EXPECT_GT(flow::FlowTable::remaining(flow(), world.now), seconds{890});
    static_cast<void>(world.send(request("", flag::fin | flag::ack)));
    EXPECT_EQ(state(), TcpState::fin_from_client);
    EXPECT_LT(flow::FlowTable::remaining(flow(), world.now), seconds{122});
    static_cast<void>(world.send(request("", flag::ack)));
    EXPECT_EQ(state(), TcpState::fin_from_client) << "it acknowledges what the server still sends";
    static_cast<void>(world.send(request("", flag::rst)));
    EXPECT_EQ(state(), TcpState::reset_by_client);
    EXPECT_LT(flow::FlowTable::remaining(flow(), world.now), seconds{12});
}

TEST_P(DirectRoutingOfTcp, syn_behind_the_clients_fin_is_scheduled_anew)
{
    world.add_server(v4() ? "10.0.0.54:53" : "[2001:db8:a::54]:53");
    world.start();
    const wire::IpAddress first = open().parsed.destination;
    static_cast<void>(world.send(request("", flag::ack)));
    EXPECT_EQ(world.send(request("", flag::syn)).parsed.destination, first) << "within a connection it is the server's";
    static_cast<void>(world.send(request("", flag::fin | flag::ack)));
    EXPECT_NE(world.send(request("", flag::syn)).parsed.destination, first);
    EXPECT_EQ(world.forwarder->flows().size(), 1U);
}

TEST_P(DirectRouting, fragments_keep_their_identification)
{
    const std::string text(1000, 'q');
    const Frame whole = tcp() ? frame(client, service, text, flag::ack) : frame(client, service, text, 0);
    const std::size_t network = v4() ? 20 : 40;
    const Frame data{whole.begin() + 14 + static_cast<std::ptrdiff_t>(network), whole.end()};
    if (tcp()) {
        static_cast<void>(open());
    }
    for (std::size_t offset = 0; offset < data.size(); offset += 400) {
        const std::size_t size = std::min<std::size_t>(400, data.size() - offset);
        const bool more = offset + size < data.size();
        const Frame piece{data.begin() + static_cast<std::ptrdiff_t>(offset),
                          data.begin() + static_cast<std::ptrdiff_t>(offset + size)};
        const auto fragment = [&](std::uint8_t hop_limit) {
            IpOptions header;
            header.hop_limit = hop_limit;
            if (v4()) {
                header.identification = 7;
                header.dont_fragment = false;
                header.fragment_offset = static_cast<std::uint16_t>(offset);
                header.more_fragments = more;
                return on_wire(ip_packet(client.address, service.address, GetParam().protocol, piece, header));
            }
            Frame body(8);
            store8(body.data(), GetParam().protocol);
            store16(body.data() + 2, static_cast<std::uint16_t>(offset | (more ? 1U : 0U)));
            store32(body.data() + 4, 7);
            body.insert(body.end(), piece.begin(), piece.end());
            return on_wire(ip_packet(client.address, service.address, wire::protocol::fragment, body, header));
        };
        const Outcome out = world.send(fragment(64));
        ASSERT_EQ(out.verdict.action, Action::transmit) << offset;
        EXPECT_EQ(out.frame, fragment(63));
        EXPECT_EQ(judge(out.frame), "");
    }
}

TEST_P(DirectRouting, flows_of_a_server_that_is_down_move_when_nothing_holds_them)
{
    world.add_server(v4() ? "10.0.0.54:53" : "[2001:db8:a::54]:53");
    world.start();
    const wire::IpAddress first = open().parsed.destination;
    for (const l4::PoolServer& each : world.servers) {
        if (each.record->address().address == first) {
            each.record->set_status(health::Status::down);
        }
    }
    const wire::IpAddress later = world.send(request("x")).parsed.destination;
    EXPECT_EQ(later == first, tcp()) << "TCP stays, `on_server_down: keep`";
}

TEST_P(DirectRouting, middle_of_an_unknown_connection_is_taken_up_where_hashing_decides)
{
    World peer;
    peer.method = Method::dr;
    peer.scheduler.balance = l4::Balance::mh;
    peer.add_server(GetParam().server);
    peer.start();
    const Outcome out = peer.send(request("x"));
    EXPECT_EQ(out.verdict.action, Action::transmit);
    EXPECT_EQ(out.parsed.destination, server.address);
}

INSTANTIATE_TEST_SUITE_P(Tables, DirectRouting, testing::ValuesIn(direct_cases),
                         [](const auto& made) { return std::string{made.param.description}; });
INSTANTIATE_TEST_SUITE_P(Tables, DirectRoutingOfTcp, testing::Values(direct_cases[1], direct_cases[3]),
                         [](const auto& made) { return std::string{made.param.description}; });

} // namespace
} // namespace sluice::test
