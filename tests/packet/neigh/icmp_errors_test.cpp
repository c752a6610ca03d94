// ICMP errors: what is said about which packet, to whom, and about what nothing may be said (RFC 1122 §3.2.2, RFC 4443
// §2.4).
#include "bench.hpp"

namespace sluice::neigh::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using wire::IcmpErrorKind;

std::vector<std::byte> udp(std::size_t data = 4)
{
    std::vector<std::byte> datagram(wire::udp_size + data);
    store16(datagram.data(), 5353);
    store16(datagram.data() + 2, 9);
    store16(datagram.data() + 4, static_cast<std::uint16_t>(datagram.size()));
    return datagram;
}

class Errors : public testing::Test {
protected:
    Errors()
    {
        bench.configure();
        bench.hold_virtual();
        bench.run(10s);
        bench.forget();
    }
    void report(const Frame& about, IcmpErrorKind kind, std::uint32_t mtu = 0)
    {
        wire::ParsedPacket parsed;
        ASSERT_EQ(wire::parse_frame(about, parsed), std::nullopt);
        bench.neighbours.report_error(parsed, about, 0, kind, mtu, bench.now);
    }
    Bench bench;
};

TEST_F(Errors, kinds_table)
{
    struct Row {
        IcmpErrorKind kind;
        std::string v4;
        std::string v6;
    };
    const Row rows[] = {
        {IcmpErrorKind::network_unreachable, "3/0", "1/0"},  {IcmpErrorKind::host_unreachable, "3/1", "1/3"},
        {IcmpErrorKind::protocol_unreachable, "3/2", "4/1"}, {IcmpErrorKind::port_unreachable, "3/3", "1/4"},
        {IcmpErrorKind::prohibited, "3/13", "1/1"},          {IcmpErrorKind::time_exceeded, "11/0", "3/0"},
    };
    for (const Row& row : rows) {
        report(ip_frame("198.51.100.7", "192.0.2.100", wire::protocol::udp, udp()), row.kind);
        report(ip_frame("2001:db8:1::7", "2001:db8::100", wire::protocol::udp, udp()), row.kind);
        EXPECT_THAT(bench.sent(), ElementsAre("02:00:00:00:00:11>02:00:00:00:00:99 icmp " + row.v4 +
                                                  " 192.0.2.100 > 198.51.100.7 rest 0",
                                              "02:00:00:00:00:11>02:00:00:00:00:99 icmpv6 " + row.v6 +
                                                  " 2001:db8::100 > 2001:db8:1::7 rest 0"));
    }
}

TEST_F(Errors, too_big_carries_the_mtu)
{
    report(ip_frame("198.51.100.7", "192.0.2.100", wire::protocol::udp, udp()), IcmpErrorKind::too_big, 1400);
    report(ip_frame("2001:db8:1::7", "2001:db8::100", wire::protocol::udp, udp()), IcmpErrorKind::too_big, 1400);
    EXPECT_THAT(bench.sent(), ElementsAre(testing::HasSubstr("icmp 3/4 192.0.2.100 > 198.51.100.7 rest 1400"),
                                          testing::HasSubstr("icmpv6 2/0 2001:db8::100 > 2001:db8:1::7 rest 1400")));
}

TEST_F(Errors, quote_starts_at_the_ip_header_and_keeps_its_limits)
{
    const Frame small = ip_frame("198.51.100.7", "192.0.2.100", wire::protocol::udp, udp(100));
    report(small, IcmpErrorKind::port_unreachable);
    const std::size_t quote = wire::ethernet_size + wire::ipv4_minimum_size + wire::icmp_size;
    ASSERT_EQ(bench.last_frame.size(), quote + small.size() - wire::ethernet_size);
    EXPECT_TRUE(std::equal(small.begin() + wire::ethernet_size, small.end(), bench.last_frame.begin() + quote));
    report(ip_frame("198.51.100.7", "192.0.2.100", wire::protocol::udp, udp(1400)), IcmpErrorKind::port_unreachable);
    EXPECT_EQ(bench.last_frame.size(), wire::ethernet_size + 576);
    report(ip_frame("2001:db8:1::7", "2001:db8::100", wire::protocol::udp, udp(1400)), IcmpErrorKind::port_unreachable);
    EXPECT_EQ(bench.last_frame.size(), wire::ethernet_size + 1280);
}

TEST_F(Errors, receiver_finds_the_quoted_packet)
{
    report(ip_frame("198.51.100.7", "192.0.2.100", wire::protocol::udp, udp()), IcmpErrorKind::port_unreachable);
    wire::ParsedPacket parsed;
    ASSERT_EQ(wire::parse_frame(bench.last_frame, parsed), std::nullopt);
    const auto error = wire::parse_icmp_error(bench.last_frame, parsed);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->kind, IcmpErrorKind::port_unreachable);
    EXPECT_EQ(error->quoted.source, ip("198.51.100.7"));
    EXPECT_EQ(error->quoted.destination_port, 9);
}

TEST_F(Errors, nothing_is_said_about_these)
{
    const auto udp_to = [](std::string_view from, std::string_view to, const wire::MacAddress& link = our_mac) {
        return ip_frame(from, to, wire::protocol::udp, udp(), 64, peer_mac, link);
    };
    Frame fragment = udp_to("198.51.100.7", "192.0.2.100");
    store16(fragment.data() + wire::ethernet_size + 6, 0x0010);
    store16(fragment.data() + wire::ethernet_size + 10, 0);
    store16(fragment.data() + wire::ethernet_size + 10,
            wire::checksum(Bytes{fragment.data() + wire::ethernet_size, wire::ipv4_minimum_size}));
    const Frame rows[] = {
        ip_frame("198.51.100.7", "192.0.2.100", wire::protocol::icmp, icmp(wire::icmp_type::unreachable, 3, 28)),
        ip_frame("198.51.100.7", "192.0.2.100", wire::protocol::icmp, icmp(77, 0)),
        ip_frame("2001:db8:1::7", "2001:db8::100", wire::protocol::icmpv6, icmp(wire::icmpv6_type::too_big, 0, 48)),
        ip_frame("2001:db8:1::7", "2001:db8::100", wire::protocol::icmpv6, icmp(100, 0, 48)),
        udp_to("198.51.100.7", "224.0.0.251"),
        udp_to("198.51.100.7", "255.255.255.255"),
        udp_to("2001:db8:1::7", "ff02::fb"),
        udp_to("0.0.0.0", "192.0.2.100"),
        udp_to("::", "2001:db8::100"),
        udp_to("127.0.0.1", "192.0.2.100"),
        udp_to("224.0.0.9", "192.0.2.100"),
        udp_to("198.51.100.7", "192.0.2.100", wire::MacAddress::broadcast()),
        fragment,
    };
    for (const Frame& row : rows) {
        SCOPED_TRACE(describe(row));
        report(row, IcmpErrorKind::port_unreachable);
        EXPECT_THAT(bench.sent(), IsEmpty());
    }
}

TEST_F(Errors, echo_requests_may_be_reported_on)
{
    report(ip_frame("198.51.100.7", "192.0.2.100", wire::protocol::icmp, icmp(wire::icmp_type::echo_request, 0)),
           IcmpErrorKind::host_unreachable);
    report(ip_frame("2001:db8:1::7", "2001:db8::100", wire::protocol::icmpv6, icmp(wire::icmpv6_type::echo_request, 0)),
           IcmpErrorKind::host_unreachable);
    EXPECT_THAT(bench.sent(), testing::SizeIs(2));
}

TEST_F(Errors, rate_is_limited_and_counted)
{
    const Frame about = ip_frame("198.51.100.7", "192.0.2.100", wire::protocol::udp, udp());
    for (int round = 0; round < 500; ++round) {
        report(about, IcmpErrorKind::port_unreachable);
    }
    EXPECT_THAT(bench.sent(), testing::SizeIs(100)); // A tenth of a second's worth of 1000/s
    EXPECT_THAT(bench.drops(), testing::SizeIs(400));
    bench.run(50ms);
    for (int round = 0; round < 500; ++round) {
        report(about, IcmpErrorKind::port_unreachable);
    }
    EXPECT_THAT(bench.sent(), testing::SizeIs(50));
}

TEST_F(Errors, source_is_our_own_when_the_destination_is_not_ours)
{
    report(ip_frame("192.0.2.7", "203.0.113.1", wire::protocol::udp, udp()), IcmpErrorKind::network_unreachable);
    EXPECT_THAT(bench.sent(), ElementsAre(testing::HasSubstr("192.0.2.11 > 192.0.2.7")));
}

TEST(RateLimit, long_run_average_is_exact)
{
    RateLimit limit{100};
    TimePoint now{1000s};
    int allowed = 0;
    for (int step = 0; step < 100'000; ++step, now += 1ms) {
        allowed += limit.allow(now) ? 1 : 0;
    }
    EXPECT_NEAR(allowed, 100 * 100, 11);
}

} // namespace
} // namespace sluice::neigh::test
