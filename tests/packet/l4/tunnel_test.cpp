// Tunnels: every method, family outside, family inside and protocol, byte for byte; and what the network says of them.
#include "judge.hpp"
#include "world.hpp"

#include <sluice/l4/answers.hpp>
#include <sluice/l4/tunnel.hpp>
#include <sluice/wire/tunnel.hpp>

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <tuple>

namespace sluice::test {
namespace {

using l4::Action;
using l4::Method;
using telemetry::DropReason;
namespace flag = wire::tcp_flag;

/// Method, is IPv4 outside, is IPv4 inside, protocol.
using TunnelCase = std::tuple<Method, bool, bool, std::uint8_t>;

/// Frames for an independent decoder: appended to the capture that SLUICE_TUNNEL_CAPTURE names (see
/// tests/lab/test_decoder.py).
void keep_for_decoder(const Frame& frame)
{
    const char* const path = std::getenv("SLUICE_TUNNEL_CAPTURE");
    if (path == nullptr) {
        return;
    }
    std::ofstream file{path, std::ios::binary | std::ios::app};
    const auto word = [&](std::uint32_t value) { file.write(reinterpret_cast<const char*>(&value), 4); };
    if (file.tellp() == 0) {
        for (const std::uint32_t value : {0xa1b2c3d4U, 0x00040002U, 0U, 0U, 65535U, 1U}) {
            word(value);
        }
    }
    word(0);
    word(0);
    word(static_cast<std::uint32_t>(frame.size()));
    word(static_cast<std::uint32_t>(frame.size()));
    file.write(reinterpret_cast<const char*>(frame.data()), static_cast<std::streamsize>(frame.size()));
}

class Tunnel : public testing::TestWithParam<TunnelCase> {
protected:
    void SetUp() override
    {
        world.method = method;
        world.sources = {outer_source};
        world.scheduler.balance = l4::Balance::mh; // The middle of a connection is carried as well.
        world.add_server(server.to_string());
        world.start();
    }

    [[nodiscard]] Frame packet(const wire::Endpoint& from, const wire::Endpoint& to, std::string_view text,
                               std::uint8_t flags, const IpOptions& header = {}) const
    {
        if (protocol == wire::protocol::udp) {
            return udp_packet(from, to, bytes_of(text), header);
        }
        Segment segment;
        segment.flags = flags;
        segment.payload = bytes_of(text);
        return tcp_packet(from, to, segment, header);
    }
    /// What the client sends, and what is in the tunnel: the same with one hop less.
    [[nodiscard]] Frame request(std::string_view text, std::uint8_t hop_limit = 64, bool dont_fragment = true) const
    {
        IpOptions header;
        header.hop_limit = hop_limit;
        header.dont_fragment = dont_fragment;
        return packet(client, service, text, flag::ack, header);
    }

    /// The packet that the RFCs ask for around `inner`, built from nothing of the module's.
    [[nodiscard]] Frame around(const Frame& inner, std::uint8_t traffic_class = 0) const
    {
        const bool v4 = (load8(inner.data()) >> 4U) == 4;
        Frame shim;
        std::uint8_t outer = v4 ? 4 : 41;
        if (method == Method::gre) {
            shim = v4 ? from_hex("00000800") : from_hex("000086dd");
            outer = 47;
        } else if (method == Method::gue) {
            shim = Frame(12);
            store16(shim.data(), entropy());
            store16(shim.data() + 2, 6080);
            store16(shim.data() + 4, static_cast<std::uint16_t>(12 + inner.size()));
            store8(shim.data() + 9, outer);
            outer = 17;
        }
        shim.insert(shim.end(), inner.begin(), inner.end());
        if (method == Method::gue && !outer_v4) {
            store16(shim.data() + 6, wire::checksum(shim, outer_source, server.address, 17));
        }
        IpOptions header;
        header.identification = 0;
        Frame whole = ip_packet(outer_source, server.address, outer, shim, header);
        if (outer_v4) {
            store8(whole.data() + 1, traffic_class);
            store16(whole.data() + 10, 0);
            store16(whole.data() + 10, wire::checksum({whole.data(), 20}));
        } else {
            store32(whole.data(), 0x60000000U | std::uint32_t{traffic_class} << 20U | entropy());
        }
        return whole;
    }
    [[nodiscard]] std::uint16_t entropy() const
    {
        flow::Flow flow;
        flow.client = client.address;
        flow.client_port = client.port;
        flow.service = service.address;
        flow.service_port = service.port;
        flow.protocol = protocol;
        return l4::tunnel_entropy(flow);
    }
    [[nodiscard]] std::uint16_t overhead() const
    {
        return static_cast<std::uint16_t>(around(request("")).size() - request("").size());
    }
    /// An ICMP error of a router on the way to the server, quoting `bytes` of what we sent.
    [[nodiscard]] Frame router_error(const Frame& sent, std::size_t bytes, std::uint16_t mtu,
                                     bool unreachable = false) const
    {
        Frame message(8);
        store8(message.data(), outer_v4 ? 3 : unreachable ? 1 : 2);
        store8(message.data() + 1, outer_v4 ? (unreachable ? 1 : 4) : 0);
        store32(message.data() + 4, unreachable ? 0 : mtu);
        const std::size_t quoted = std::min(bytes, sent.size());
        message.insert(message.end(), sent.begin(), sent.begin() + static_cast<std::ptrdiff_t>(quoted));
        const std::uint8_t icmp = outer_v4 ? 1 : 58;
        store16(message.data() + 2,
                outer_v4 ? wire::checksum(message) : wire::checksum(message, router, outer_source, icmp));
        return on_wire(ip_packet(router, outer_source, icmp, message));
    }

    const Method method = std::get<0>(GetParam());
    const bool outer_v4 = std::get<1>(GetParam());
    const bool inner_v4 = std::get<2>(GetParam());
    const std::uint8_t protocol = std::get<3>(GetParam());
    const wire::Endpoint client = endpoint(inner_v4 ? "203.0.113.9:5555" : "[2001:db8:9::9]:5555");
    const wire::Endpoint service = endpoint(inner_v4 ? "192.0.2.100:53" : "[2001:db8::100]:53");
    const wire::Endpoint server = endpoint(outer_v4 ? "10.0.0.53:53" : "[2001:db8:a::53]:53");
    const wire::IpAddress outer_source = ip(outer_v4 ? "10.0.0.1" : "2001:db8:a::1");
    const wire::IpAddress router = ip(outer_v4 ? "10.9.9.9" : "2001:db8:ff::9");
    World world;
};

class TunnelOfTcp : public Tunnel {};

TEST_P(Tunnel, request_arrives_inside_as_the_client_sent_it)
{
    for (const std::string_view text : {"", "what is my name?", "an odd number of bytes"}) {
        Frame frame = on_wire(request(text));
        frame.resize(frame.size() + 9, std::byte{0xee}); // Ethernet padding
        const Outcome out = world.send(frame);
        ASSERT_EQ(out.verdict.action, Action::transmit);
        EXPECT_EQ(out.frame, around(request(text, 63)));
        EXPECT_EQ(out.parsed.network_offset, 0);
        EXPECT_EQ(out.parsed.source, outer_source);
        EXPECT_EQ(out.parsed.destination, server.address);
        EXPECT_EQ(out.parsed.end, out.frame.size());
        EXPECT_EQ(out.verdict.adjacency, FakeNextHops::handle(server.address));
        EXPECT_EQ(judge(on_wire(out.frame)), "");
        keep_for_decoder(on_wire(out.frame));
    }
    EXPECT_EQ(world.forwarder->flows().size(), 1U);
}

TEST_P(Tunnel, traffic_class_and_congestion_are_seen_outside_too)
{
    Frame sent = request("x");
    Frame inside = request("x", 63);
    for (Frame* const each : {&sent, &inside}) {
        if (inner_v4) {
            store8(each->data() + 1, 0xbb);
            store16(each->data() + 10, 0);
            store16(each->data() + 10, wire::checksum({each->data(), 20}));
        } else {
            store32(each->data(), 0x6bb00000U);
        }
    }
    EXPECT_EQ(world.send(on_wire(sent)).frame, around(inside, 0xbb));
}

TEST_P(Tunnel, frame_cut_anywhere_is_dropped)
{
    const Frame whole = on_wire(request("0123456789"));
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const Outcome out = world.send(Frame{whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)});
        ASSERT_EQ(out.verdict.action, Action::drop) << size;
    }
    EXPECT_EQ(world.forwarder->flows().size(), 0U);
}

TEST_P(TunnelOfTcp, segment_size_of_a_syn_is_lowered_to_what_fits)
{
    const auto offer = [&](std::string_view options, std::uint8_t hop_limit) {
        Segment segment;
        segment.flags = flag::syn;
        segment.options = from_hex(options);
        IpOptions header;
        header.hop_limit = hop_limit;
        return tcp_packet(client, service, segment, header);
    };
    const int largest = 1500 - overhead() - (inner_v4 ? 40 : 60);
    const auto with = [](std::string form, int size) {
        char digits[5];
        std::snprintf(digits, sizeof digits, "%04x", static_cast<unsigned>(size));
        return form.replace(form.find('?'), 1, digits);
    };
    // The last one begins at an odd byte.
    for (const char* form : {"0204?", "010303070204?01010101", "0101 080a0000000100000000 01 0204? 010100"}) {
        for (const int offered : {largest + 1, 0xffff, largest, 536}) {
            const Outcome out = world.send(on_wire(offer(with(form, offered), 64)));
            ASSERT_EQ(out.frame, around(offer(with(form, std::min(offered, largest)), 63))) << form << ' ' << offered;
            ASSERT_EQ(judge(on_wire(out.frame)), "");
        }
    }
    // Options that lie about their size are left alone.
    for (const char* broken : {"02040000", "02000000", "02ff05b4", "030405b4", "01010102"}) {
        EXPECT_EQ(world.send(on_wire(offer(broken, 64))).frame, around(offer(broken, 63))) << broken;
    }
}

TEST_P(Tunnel, packet_that_does_not_fit_is_reported_with_what_would)
{
    const std::size_t headers = request("").size();
    const std::size_t fits = 1500U - overhead() - headers;
    EXPECT_EQ(world.send(on_wire(request(std::string(fits, 'x')))).verdict.action, Action::transmit);
    const Frame sent = on_wire(request(std::string(fits + 1, 'x')));
    const Outcome out = world.send(sent);
    EXPECT_EQ(out.verdict.action, Action::icmp_error);
    EXPECT_EQ(out.verdict.icmp, wire::IcmpErrorKind::too_big);
    EXPECT_EQ(out.verdict.mtu, 1500U - overhead());
    EXPECT_EQ(out.verdict.reason, DropReason::too_big);
    EXPECT_EQ(out.frame, sent);
}

TEST_P(Tunnel, packet_that_may_be_fragmented_enters_in_fragments)
{
    const Frame sent = on_wire(request(std::string(1480 - request("").size(), 'x'), 64, false));
    const Outcome out = world.send(sent);
    if (!inner_v4) {
        EXPECT_EQ(out.verdict.action, overhead() > 20 ? Action::icmp_error : Action::transmit);
        return;
    }
    if (overhead() <= 20) {
        EXPECT_EQ(out.verdict.action, Action::transmit);
        return;
    }
    ASSERT_EQ(out.verdict.action, Action::split);
    ASSERT_NE(out.verdict.tunnel, nullptr);
    packet::Burst parts;
    ASSERT_TRUE(l4::split_ipv4(out.frame, out.parsed, out.verdict.mtu, world.buffers, parts));
    ASSERT_EQ(parts.size(), 2U);
    Frame together;
    for (packet::Packet& part : parts) {
        wire::ParsedPacket parsed = out.parsed;
        const Frame plain = frame_of(part);
        ASSERT_TRUE(l4::enter_tunnel(part, parsed, *out.verdict.tunnel));
        const Frame wrapped = frame_of(part);
        EXPECT_LE(wrapped.size(), 1500U);
        EXPECT_EQ(wrapped, around(Frame{plain.begin() + 14, plain.end()}));
        EXPECT_EQ(judge(on_wire(wrapped)), "");
        EXPECT_EQ(parsed.destination, server.address);
        keep_for_decoder(on_wire(wrapped));
        together.insert(together.end(), plain.begin() + 14 + 20, plain.end());
    }
    EXPECT_EQ(together, (Frame{sent.begin() + 14 + 20, sent.end()}));
}

TEST_P(Tunnel, router_that_finds_it_too_big_is_heeded_and_the_client_told)
{
    const std::string text(1300, 'x');
    const Outcome first = world.send(on_wire(request(text)));
    ASSERT_EQ(first.verdict.action, Action::transmit);
    const Outcome relayed = world.send(router_error(first.frame, 548, 1340));
    ASSERT_EQ(relayed.verdict.action, Action::transmit);
    EXPECT_EQ(relayed.verdict.adjacency, FakeNextHops::handle(client.address));
    EXPECT_EQ(relayed.parsed.destination, client.address);
    EXPECT_EQ(relayed.parsed.source, service.address);
    const Frame told = on_wire(relayed.frame);
    EXPECT_EQ(judge(told), "");
    keep_for_decoder(told);
    wire::ParsedPacket parsed;
    ASSERT_FALSE(wire::parse_frame(told, parsed));
    const auto error = wire::parse_icmp_error(told, parsed);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->kind, wire::IcmpErrorKind::too_big);
    EXPECT_EQ(error->mtu, 1340U - overhead());
    EXPECT_EQ(error->quoted.source, client.address);
    EXPECT_EQ(error->quoted.source_port, client.port);
    EXPECT_EQ(error->quoted.destination, service.address);
    EXPECT_EQ(error->quoted.destination_port, service.port);

    // The next one does not get that far.
    const Outcome next = world.send(on_wire(request(text)));
    EXPECT_EQ(next.verdict.action, Action::icmp_error);
    EXPECT_EQ(next.verdict.mtu, 1340U - overhead());
    world.advance(std::chrono::minutes{11});
    EXPECT_EQ(world.send(on_wire(request(text))).verdict.action, Action::transmit) << "it is tried again";
}

TEST_P(Tunnel, router_that_quotes_eight_bytes_is_heeded)
{
    const std::string text(1300, 'x');
    const Outcome first = world.send(on_wire(request(text)));
    const Outcome heard = world.send(router_error(first.frame, (outer_v4 ? 20U : 40U) + 8, 1340));
    EXPECT_EQ(heard.verdict.action, Action::drop);
    EXPECT_EQ(heard.verdict.reason, DropReason::icmp_ignored);
    EXPECT_EQ(world.send(on_wire(request(text))).verdict.mtu, 1340U - overhead());
}

TEST_P(Tunnel, router_that_finds_no_way_is_told_to_the_client_as_unreachable)
{
    const Outcome first = world.send(on_wire(request("0123456789abcdef")));
    const Outcome relayed = world.send(router_error(first.frame, 1000, 0, true));
    ASSERT_EQ(relayed.verdict.action, Action::transmit);
    const Frame told = on_wire(relayed.frame);
    EXPECT_EQ(judge(told), "");
    wire::ParsedPacket parsed;
    ASSERT_FALSE(wire::parse_frame(told, parsed));
    const auto error = wire::parse_icmp_error(told, parsed);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->kind, wire::IcmpErrorKind::host_unreachable);
    EXPECT_EQ(error->quoted.source_port, client.port);
    EXPECT_EQ(world.send(on_wire(request("x"))).verdict.action, Action::transmit);
}

TEST_P(Tunnel, forged_or_damaged_errors_teach_nothing)
{
    const std::string text(1300, 'x');
    const Outcome first = world.send(on_wire(request(text)));
    Frame damaged = router_error(first.frame, 548, 1340);
    damaged.back() ^= std::byte{1};
    EXPECT_EQ(world.send(damaged).verdict.reason, DropReason::icmp_invalid);
    Frame elsewhere = first.frame;
    ip(outer_v4 ? "10.0.0.99" : "2001:db8:a::99").store(elsewhere.data() + (outer_v4 ? 16 : 24));
    EXPECT_NE(world.send(router_error(elsewhere, 548, 1340)).verdict.action, Action::transmit);
    const Frame strange = around(packet({client.address, 1}, service, text, flag::ack));
    EXPECT_EQ(world.send(router_error(strange, 548, 1340)).verdict.reason, DropReason::icmp_unmatched);
    EXPECT_EQ(world.send(on_wire(request(text))).verdict.action, Action::transmit);
    // A path cannot be narrower than what every network carries.
    static_cast<void>(world.send(router_error(first.frame, 548, 68)));
    EXPECT_EQ(world.send(on_wire(request(text))).verdict.mtu, (outer_v4 ? 576U : 1280U) - overhead());
}

TEST_P(Tunnel, error_cut_anywhere_does_no_harm)
{
    const Outcome first = world.send(on_wire(request("0123456789abcdef")));
    for (std::size_t quoted = 0; quoted <= first.frame.size(); ++quoted) {
        const Outcome out = world.send(router_error(first.frame, quoted, 0, true));
        if (out.verdict.action == Action::transmit) {
            ASSERT_EQ(judge(on_wire(out.frame)), "") << quoted;
        } else {
            ASSERT_TRUE(out.verdict.action == Action::drop || out.verdict.action == Action::local) << quoted;
        }
    }
}

TEST_P(Tunnel, error_about_an_answer_that_went_past_goes_through_the_tunnel)
{
    ASSERT_EQ(world.send(on_wire(request("x"))).verdict.action, Action::transmit);
    const wire::IpAddress from = ip(inner_v4 ? "198.51.100.1" : "2001:db8:f::1");
    const Frame answer = on_wire(packet(service, client, "0123456789abcdef", flag::ack));
    const Outcome out = world.send(icmp_error(from, service.address, answer, 8, 64));
    ASSERT_EQ(out.verdict.action, Action::transmit);
    const Frame inside = icmp_error(from, service.address, answer, 8, 63);
    EXPECT_EQ(out.frame, around(Frame{inside.begin() + 14, inside.end()}));
}

TEST_P(Tunnel, request_and_errors_about_it_have_one_owner)
{
    const Outcome first = world.send(on_wire(request("0123456789abcdef")));
    const l4::Owner expected{l4::Owner::Kind::forwarder, flow::shard_of_client(client.address, client.port)};
    for (const Frame& seen : {on_wire(request("x")), router_error(first.frame, 548, 1340)}) {
        wire::ParsedPacket parsed;
        ASSERT_FALSE(wire::parse_frame(seen, parsed));
        EXPECT_EQ(l4::owner_of(seen, parsed, *world.table), expected);
    }
}

TEST_P(Tunnel, source_is_one_of_the_servers_family_that_this_node_holds)
{
    World other;
    other.method = method;
    other.add_server(server.to_string());
    const wire::IpAddress more = ip(outer_v4 ? "192.0.2.101" : "2001:db8::100");
    other.sources = {ip(outer_v4 ? "2001:db8:a::1" : "10.0.0.1"), outer_source, more};
    other.start();
    std::map<wire::IpAddress, int> used;
    const auto send = [&](std::uint16_t port) {
        const Frame sent = packet({client.address, port}, service, "x", flag::syn);
        const Outcome out = other.send(on_wire(sent));
        EXPECT_EQ(out.verdict.action, Action::transmit);
        return out.parsed.source;
    };
    for (std::uint16_t port = 1; port <= 300; ++port) {
        ++used[send(port)];
    }
    EXPECT_EQ(used.size(), 2U);
    EXPECT_GT(used[more], 60);
    EXPECT_GT(used[outer_source], 60);
    if (outer_v4) {
        other.states.set(2, neigh::Ownership::backup);
        for (std::uint16_t port = 1001; port <= 1100; ++port) {
            EXPECT_EQ(send(port), outer_source);
        }
    }
}

std::string tunnel_name(const testing::TestParamInfo<TunnelCase>& made)
{
    const auto& [method, outer_v4, inner_v4, protocol] = made.param;
    return std::string{l4::name(method)} + (inner_v4 ? "Ipv4" : "Ipv6") + (outer_v4 ? "InIpv4" : "InIpv6") +
           (protocol == wire::protocol::tcp ? "Tcp" : "Udp");
}

INSTANTIATE_TEST_SUITE_P(Tables, Tunnel,
                         testing::Combine(testing::Values(Method::ipip, Method::gue, Method::gre), testing::Bool(),
                                          testing::Bool(), testing::Values(wire::protocol::tcp, wire::protocol::udp)),
                         tunnel_name);
INSTANTIATE_TEST_SUITE_P(Tables, TunnelOfTcp,
                         testing::Combine(testing::Values(Method::ipip, Method::gue, Method::gre), testing::Bool(),
                                          testing::Bool(), testing::Values(wire::protocol::tcp)),
                         tunnel_name);

} // namespace
} // namespace sluice::test
