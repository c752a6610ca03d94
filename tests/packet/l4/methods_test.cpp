// Packet tables: for every method, family and protocol, what goes in, what is decided, and what comes out byte for
// byte.
#include "judge.hpp"
#include "world.hpp"

#include <gtest/gtest.h>

namespace sluice::test {
namespace {

using l4::Action;
using l4::Method;
using telemetry::DropReason;
namespace flag = wire::tcp_flag;

struct Case {
    const char* description;
    Method method;
    std::uint8_t protocol;
    const char* client;
    const char* service;
    const char* server;
    const char* local; ///< Address that the server answers to, without a port
};

const Case cases[] = {
    {"full NAT, UDP over IPv4", Method::fullnat, 17, "203.0.113.9:5555", "192.0.2.100:53", "10.0.0.53:5300",
     "10.0.0.1"},
    {"full NAT, UDP over IPv6", Method::fullnat, 17, "[2001:db8:9::9]:5555", "[2001:db8::100]:53",
     "[2001:db8:a::53]:5300", "2001:db8:a::1"},
    {"full NAT, TCP over IPv4", Method::fullnat, 6, "203.0.113.9:5555", "192.0.2.100:53", "10.0.0.53:5300", "10.0.0.1"},
    {"full NAT, TCP over IPv6", Method::fullnat, 6, "[2001:db8:9::9]:5555", "[2001:db8::100]:53",
     "[2001:db8:a::53]:5300", "2001:db8:a::1"},
    {"NAT, UDP over IPv4", Method::nat, 17, "203.0.113.9:5555", "192.0.2.100:53", "10.0.0.53:5300", "203.0.113.9"},
    {"NAT, UDP over IPv6", Method::nat, 17, "[2001:db8:9::9]:5555", "[2001:db8::100]:53", "[2001:db8:a::53]:5300",
     "2001:db8:9::9"},
    {"NAT, TCP over IPv4", Method::nat, 6, "203.0.113.9:5555", "192.0.2.100:53", "10.0.0.53:5300", "203.0.113.9"},
    {"NAT, TCP over IPv6", Method::nat, 6, "[2001:db8:9::9]:5555", "[2001:db8::100]:53", "[2001:db8:a::53]:5300",
     "2001:db8:9::9"},
};

class EveryMethod : public testing::TestWithParam<Case> {
protected:
    void SetUp() override
    {
        const Case& c = GetParam();
        world.method = c.method;
        world.add_server(c.server);
        world.start();
    }

    /// A frame from `from` to `to`, as an honest sender writes it.
    [[nodiscard]] Frame frame(const wire::Endpoint& from, const wire::Endpoint& to, std::string_view text,
                              std::uint8_t flags, std::uint8_t hop_limit) const
    {
        IpOptions header;
        header.hop_limit = hop_limit;
        if (GetParam().protocol == wire::protocol::udp) {
            return on_wire(udp_packet(from, to, bytes_of(text), header));
        }
        Segment segment;
        segment.flags = flags;
        segment.payload = bytes_of(text);
        return on_wire(tcp_packet(from, to, segment, header));
    }

    /// Opens the flow and returns the endpoint that the server sees.
    wire::Endpoint open()
    {
        const Case& c = GetParam();
        const Outcome first = world.send(frame(endpoint(c.client), endpoint(c.service), "", flag::syn, 64));
        EXPECT_EQ(first.verdict.action, Action::transmit);
        return {first.parsed.source, first.parsed.source_port};
    }

    World world;
};

TEST_P(EveryMethod, request_comes_out_as_the_server_shall_see_it)
{
    const Case& c = GetParam();
    const wire::Endpoint local = open();
    EXPECT_EQ(local.address, ip(c.local));

    const Outcome out = world.send(frame(endpoint(c.client), endpoint(c.service), "what is my name?", flag::ack, 64));
    ASSERT_EQ(out.verdict.action, Action::transmit);
    EXPECT_EQ(out.frame, frame(local, endpoint(c.server), "what is my name?", flag::ack, 63));
    EXPECT_EQ(judge(out.frame), "");
    EXPECT_EQ(out.verdict.adjacency, FakeNextHops::handle(endpoint(c.server).address));
    EXPECT_EQ(out.verdict.service.value, World::forward_service);
    EXPECT_EQ(out.parsed.destination, endpoint(c.server).address);
}

TEST_P(EveryMethod, reply_comes_out_as_the_client_shall_see_it)
{
    const Case& c = GetParam();
    const wire::Endpoint local = open();
    const Outcome out = world.send(frame(endpoint(c.server), local, "you are lb1", flag::syn | flag::ack, 64));
    ASSERT_EQ(out.verdict.action, Action::transmit);
    EXPECT_EQ(out.frame, frame(endpoint(c.service), endpoint(c.client), "you are lb1", flag::syn | flag::ack, 63));
    EXPECT_EQ(judge(out.frame), "");
    EXPECT_EQ(out.verdict.adjacency, FakeNextHops::handle(endpoint(c.client).address));
    EXPECT_EQ(world.forwarder->flows().size(), 1U);
}

TEST_P(EveryMethod, both_directions_and_errors_about_them_have_one_owner)
{
    const Case& c = GetParam();
    const wire::Endpoint local = open();
    const wire::Endpoint from = endpoint(c.client);
    if (c.method == Method::fullnat) {
        EXPECT_TRUE(flow::local_ports::full_nat.contains(local.port));
    } else {
        EXPECT_EQ(local, from);
    }
    const Frame request = frame(from, endpoint(c.service), "x", flag::ack, 64);
    const Frame carried = frame(local, endpoint(c.server), "x", flag::ack, 64);
    const Frame answer = frame(endpoint(c.server), local, "x", flag::ack, 64);
    const Frame returned = frame(endpoint(c.service), from, "x", flag::ack, 64);
    const wire::IpAddress router = ip(from.address.is_v4() ? "198.51.100.1" : "2001:db8:f::1");
    const l4::Owner expected{l4::Owner::Kind::forwarder, flow::shard_of_client(from.address, from.port)};
    for (const Frame& seen : {request, answer, icmp_error(router, local.address, carried, 8, 64),
                              icmp_error(router, endpoint(c.service).address, returned, 8, 64)}) {
        wire::ParsedPacket parsed;
        ASSERT_FALSE(wire::parse_frame(seen, parsed));
        EXPECT_EQ(l4::owner_of(seen, parsed, *world.table), expected);
    }
}

TEST_P(EveryMethod, packets_and_flows_are_counted_at_the_server)
{
    const Case& c = GetParam();
    const wire::Endpoint local = open();
    static_cast<void>(world.send(frame(endpoint(c.server), local, "12345678", flag::syn | flag::ack, 64)));
    const health::ServerCounters& counters = world.servers[0].record->counters(0);
    EXPECT_EQ(counters.flows_total.get(), 1U);
    EXPECT_EQ(counters.flows.get().all(), 1U);
    EXPECT_EQ(counters.packets_in.get(), 1U);
    EXPECT_EQ(counters.packets_out.get(), 1U);
    EXPECT_EQ(counters.bytes_out.get(), counters.bytes_in.get() + 8);
    world.advance(std::chrono::seconds{1000});
    world.advance(std::chrono::seconds{2});
    EXPECT_EQ(counters.flows.get().all(), 0U);
    EXPECT_EQ(world.forwarder->flows().size(), 0U);
}

TEST_P(EveryMethod, there_and_back_is_the_identity_for_any_payload)
{
    const Case& c = GetParam();
    const wire::Endpoint local = open();
    // Every pair of final bytes drives the checksums through all their values, 0 and 0xffff included.
    for (unsigned value = 0; value < 0x10000; value += 7) {
        const char text[] = {static_cast<char>(value >> 8U), static_cast<char>(value)};
        const Frame sent = frame(endpoint(c.client), endpoint(c.service), {text, 2}, flag::ack, 64);
        const Outcome out = world.send(sent);
        ASSERT_EQ(out.frame, frame(local, endpoint(c.server), {text, 2}, flag::ack, 63)) << value;
        ASSERT_EQ(judge(out.frame), "") << value;
        const Outcome back = world.send(frame(endpoint(c.server), local, {text, 2}, flag::ack, 64));
        ASSERT_EQ(back.frame, frame(endpoint(c.service), endpoint(c.client), {text, 2}, flag::ack, 63)) << value;
    }
}

TEST_P(EveryMethod, ethernet_padding_and_tag_do_not_matter)
{
    const Case& c = GetParam();
    const wire::Endpoint local = open();
    Frame sent = frame(endpoint(c.client), endpoint(c.service), "x", flag::ack, 64);
    Frame expected = frame(local, endpoint(c.server), "x", flag::ack, 63);
    const Frame tag = from_hex("81000064");
    for (Frame* const tagged : {&sent, &expected}) {
        tagged->insert(tagged->begin() + 12, tag.begin(), tag.end());
    }
    sent.resize(sent.size() + 11, std::byte{0xee});
    EXPECT_EQ(world.send(sent).frame, expected);
}

TEST_P(EveryMethod, last_hop_is_reported_and_nothing_is_changed)
{
    const Case& c = GetParam();
    static_cast<void>(open());
    const Frame sent = frame(endpoint(c.client), endpoint(c.service), "x", flag::ack, 1);
    const Outcome out = world.send(sent);
    EXPECT_EQ(out.verdict.action, Action::icmp_error);
    EXPECT_EQ(out.verdict.icmp, wire::IcmpErrorKind::time_exceeded);
    EXPECT_EQ(out.verdict.reason, DropReason::ttl_expired);
    EXPECT_EQ(out.frame, sent);
}

TEST_P(EveryMethod, packet_over_the_mtu_of_the_way_is_reported_with_that_mtu)
{
    const Case& c = GetParam();
    world.next_hops.narrow_way = endpoint(c.server).address;
    world.next_hops.narrow_mtu = 1400;
    static_cast<void>(open());
    const Frame sent = frame(endpoint(c.client), endpoint(c.service), std::string(1380, 'x'), flag::ack, 64);
    const Outcome out = world.send(sent);
    EXPECT_EQ(out.verdict.action, Action::icmp_error);
    EXPECT_EQ(out.verdict.icmp, wire::IcmpErrorKind::too_big);
    EXPECT_EQ(out.verdict.mtu, 1400U);
    EXPECT_EQ(out.verdict.reason, DropReason::too_big);
    EXPECT_EQ(out.frame, sent);
}

TEST_P(EveryMethod, error_from_behind_reaches_the_client_as_one_about_its_own_packet)
{
    const Case& c = GetParam();
    const bool v4 = endpoint(c.client).address.is_v4();
    const wire::Endpoint local = open();
    const wire::IpAddress router = ip(v4 ? "10.0.0.254" : "2001:db8:a::fe");
    for (const std::size_t quoted : {std::size_t{8}, std::size_t{200}}) {
        // Quoted as the server's side saw it, one hop further on; expected as the client had sent it, so.
        const Frame seen = frame(local, endpoint(c.server), "0123456789abcdef", flag::ack, 62);
        const Frame meant = frame(endpoint(c.client), endpoint(c.service), "0123456789abcdef", flag::ack, 62);
        const Outcome out = world.send(icmp_error(router, local.address, seen, quoted, 64));
        ASSERT_EQ(out.verdict.action, Action::transmit);
        EXPECT_EQ(out.frame, icmp_error(endpoint(c.service).address, endpoint(c.client).address, meant, quoted, 63));
        EXPECT_EQ(judge(out.frame), "");
        EXPECT_EQ(out.verdict.adjacency, FakeNextHops::handle(endpoint(c.client).address));
    }
}

TEST_P(EveryMethod, error_from_the_front_reaches_the_server_as_one_about_its_own_packet)
{
    const Case& c = GetParam();
    const bool v4 = endpoint(c.client).address.is_v4();
    const wire::Endpoint local = open();
    const wire::IpAddress router = ip(v4 ? "198.51.100.1" : "2001:db8:f::1");
    for (const std::size_t quoted : {std::size_t{8}, std::size_t{200}}) {
        const Frame seen = frame(endpoint(c.service), endpoint(c.client), "0123456789abcdef", flag::ack, 62);
        const Frame meant = frame(endpoint(c.server), local, "0123456789abcdef", flag::ack, 62);
        const Outcome out = world.send(icmp_error(router, endpoint(c.service).address, seen, quoted, 64));
        ASSERT_EQ(out.verdict.action, Action::transmit);
        const wire::IpAddress source = c.method == Method::fullnat ? local.address : router;
        EXPECT_EQ(out.frame, icmp_error(source, endpoint(c.server).address, meant, quoted, 63));
        EXPECT_EQ(judge(out.frame), "");
        EXPECT_EQ(out.verdict.adjacency, FakeNextHops::handle(endpoint(c.server).address));
    }
}

INSTANTIATE_TEST_SUITE_P(Tables, EveryMethod, testing::ValuesIn(cases), [](const auto& made) {
    std::string name;
    for (const char letter : std::string_view{made.param.description}) {
        if (std::isalnum(static_cast<unsigned char>(letter)) != 0) {
            name += letter;
        }
    }
    return name;
});

} // namespace
} // namespace sluice::test
