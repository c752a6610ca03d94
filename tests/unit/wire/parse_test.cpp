#include "support/frames.hpp"

#include <sluice/wire/parse.hpp>

#include <gtest/gtest.h>

namespace sluice::wire {
namespace {

using telemetry::DropReason;
using test::Frame;
using test::ip;

const MacAddress here = MacAddress::from(2, 0, 0, 0, 0, 1);
const MacAddress there = MacAddress::from(2, 0, 0, 0, 0, 2);

Frame tcp_frame(const char* source, const char* destination)
{
    test::Segment segment;
    segment.flags = tcp_flag::syn;
    segment.options = test::from_hex("020405b4");
    segment.payload = test::bytes_of("abc");
    return test::ethernet(there, here, test::tcp_packet({ip(source), 1234}, {ip(destination), 80}, segment));
}

std::vector<Frame> samples()
{
    return {tcp_frame("192.0.2.1", "192.0.2.2"),
            tcp_frame("2001:db8::1", "2001:db8::2"),
            test::ethernet(there, here,
                           test::udp_packet({ip("192.0.2.1"), 9}, {ip("192.0.2.2"), 53}, test::bytes_of("xyz"))),
            test::ethernet(there, here,
                           test::udp_packet({ip("2001:db8::1"), 9}, {ip("2001:db8::2"), 53}, test::bytes_of("xyz"))),
            test::ethernet(there, here, test::icmp_echo(ip("192.0.2.1"), ip("192.0.2.2"), 7)),
            test::ethernet(there, here, test::icmp_echo(ip("2001:db8::1"), ip("2001:db8::2"), 7))};
}

TEST(ParseFrame, tcp_of_both_families_is_understood)
{
    for (const auto& [source, destination] : {std::pair{"192.0.2.1", "192.0.2.2"}, {"2001:db8::1", "2001:db8::2"}}) {
        const Frame frame = tcp_frame(source, destination);
        ParsedPacket packet;
        ASSERT_FALSE(parse_frame(frame, packet));
        EXPECT_EQ(packet.source, ip(source));
        EXPECT_EQ(packet.destination, ip(destination));
        EXPECT_EQ(packet.source_port, 1234);
        EXPECT_EQ(packet.destination_port, 80);
        EXPECT_EQ(packet.tcp_flags, tcp_flag::syn);
        EXPECT_EQ(packet.payload_size(), 3U);
        EXPECT_FALSE(verify_transport(frame, packet));
    }
}

TEST(ParseFrame, ethernet_padding_is_not_payload)
{
    Frame frame =
        test::ethernet(there, here, test::udp_packet({ip("192.0.2.1"), 9}, {ip("192.0.2.2"), 53}, test::bytes_of("x")));
    frame.resize(ethernet_minimum_frame, std::byte{0xaa});
    ParsedPacket packet;
    ASSERT_FALSE(parse_frame(frame, packet));
    EXPECT_EQ(packet.payload_size(), 1U);
    EXPECT_FALSE(verify_transport(frame, packet));
}

TEST(ParseFrame, vlan_tag_is_read)
{
    Frame frame = tcp_frame("192.0.2.1", "192.0.2.2");
    const Frame tag = test::from_hex("8100 2064");
    frame.insert(frame.begin() + 12, tag.begin(), tag.end());
    ParsedPacket packet;
    ASSERT_FALSE(parse_frame(frame, packet));
    EXPECT_EQ(packet.vlan, 0x64);
    EXPECT_EQ(packet.destination_port, 80);
}

TEST(ParseFrame, every_truncation_is_refused_and_reads_nothing_behind_the_end)
{
    for (const Frame& frame : samples()) {
        for (std::size_t size = 0; size < frame.size(); ++size) {
            // An exact allocation, so that AddressSanitizer sees a read behind it.
            const auto cut = std::make_unique<std::byte[]>(size);
            std::copy_n(frame.begin(), size, cut.get());
            ParsedPacket packet;
            EXPECT_TRUE(parse_frame({cut.get(), size}, packet)) << "cut to " << size << " of " << frame.size();
        }
    }
}

TEST(ParseFrame, every_single_bit_error_is_noticed_behind_ethernet)
{
    for (const Frame& frame : samples()) {
        const bool v6 = load16(frame.data() + 12) == ether_type::ipv6;
        for (std::size_t bit = ethernet_size * 8; bit < frame.size() * 8; ++bit) {
            // IPv6 does not protect its traffic class, flow label and hop limit.
            const std::size_t byte = bit / 8 - ethernet_size;
            if (v6 && (byte < 4 || byte == 7)) {
                continue;
            }
            Frame broken = frame;
            broken[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
            ParsedPacket packet;
            const bool noticed = parse_frame(broken, packet) || verify_transport(broken, packet);
            // A changed protocol number leaves a packet of a protocol that carries no checksum we know.
            const bool other_protocol = !noticed && packet.protocol != protocol::tcp &&
                                        packet.protocol != protocol::udp && packet.protocol != protocol::icmp &&
                                        packet.protocol != protocol::icmpv6;
            EXPECT_TRUE(noticed || other_protocol) << "bit " << bit;
        }
    }
}

struct Malformed {
    const char* what;
    std::size_t offset;
    std::uint8_t value;
    DropReason reason;
};

TEST(ParseFrame, malformed_headers_have_their_reason)
{
    const Malformed rows[] = {
        {"IP version 5", 14, 0x55, DropReason::ipv4_header_invalid},
        {"IHL below 5", 14, 0x44, DropReason::ipv4_header_invalid},
        {"total length below the header", 17, 10, DropReason::ipv4_header_invalid},
        {"total length beyond the frame", 16, 9, DropReason::truncated},
        {"header checksum", 24, 0xee, DropReason::ipv4_checksum_invalid},
        {"unknown EtherType", 12, 0x42, DropReason::not_ip},
        {"TCP data offset below 5", 46, 0x40, DropReason::tcp_header_invalid},
        {"TCP data offset beyond the segment", 46, 0xf0, DropReason::tcp_header_invalid},
    };
    for (const Malformed& row : rows) {
        Frame frame = tcp_frame("192.0.2.1", "192.0.2.2");
        frame[row.offset] = static_cast<std::byte>(row.value);
        ParsedPacket packet;
        EXPECT_EQ(parse_frame(frame, packet), row.reason) << row.what;
    }
}

TEST(ParseFrame, fragments_are_marked_and_later_ones_have_no_ports)
{
    test::IpOptions first;
    first.dont_fragment = false;
    first.more_fragments = true;
    Frame frame =
        test::ethernet(there, here, test::udp_packet({ip("192.0.2.1"), 9}, {ip("192.0.2.2"), 53}, Frame(24), first));
    ParsedPacket packet;
    ASSERT_FALSE(parse_frame(frame, packet));
    EXPECT_TRUE(packet.is_fragment);
    EXPECT_EQ(packet.destination_port, 53);

    test::IpOptions later = first;
    later.fragment_offset = 32;
    later.more_fragments = false;
    frame =
        test::ethernet(there, here, test::ip_packet(ip("192.0.2.1"), ip("192.0.2.2"), protocol::udp, Frame(4), later));
    ASSERT_FALSE(parse_frame(frame, packet));
    EXPECT_TRUE(packet.is_fragment);
    EXPECT_FALSE(packet.has_transport());
    EXPECT_EQ(packet.destination_port, 0);
    EXPECT_EQ(packet.fragment_offset, 32);
}

TEST(ParseFrame, ipv6_extension_headers_are_walked_within_bounds)
{
    // Hop-by-hop (8 bytes), destination options (16 bytes), then UDP.
    const Frame udp_bytes = test::udp_packet({ip("2001:db8::1"), 9}, {ip("2001:db8::2"), 53}, test::bytes_of("q"));
    Frame chain = test::from_hex("3c00 010400000000  1101 010c 000000000000000000000000");
    chain.insert(chain.end(), udp_bytes.begin() + 40, udp_bytes.end());
    Frame frame =
        test::ethernet(there, here, test::ip_packet(ip("2001:db8::1"), ip("2001:db8::2"), protocol::hop_by_hop, chain));
    ParsedPacket packet;
    ASSERT_FALSE(parse_frame(frame, packet));
    EXPECT_EQ(packet.protocol, protocol::udp);
    EXPECT_EQ(packet.destination_port, 53);
    EXPECT_FALSE(verify_transport(frame, packet));

    Frame endless;
    for (int count = 0; count < 20; ++count) {
        const Frame header = test::from_hex("3c00 010400000000");
        endless.insert(endless.end(), header.begin(), header.end());
    }
    frame = test::ethernet(
        there, here, test::ip_packet(ip("2001:db8::1"), ip("2001:db8::2"), protocol::destination_options, endless));
    EXPECT_EQ(parse_frame(frame, packet), DropReason::ipv6_header_invalid);
}

TEST(ParseFrame, ipv4_options_are_skipped_but_for_source_routes)
{
    const auto with_options = [](const char* hex) {
        Frame packet = test::udp_packet({ip("192.0.2.1"), 9}, {ip("192.0.2.2"), 53}, test::bytes_of("q"));
        const Frame options = test::from_hex(hex);
        packet.insert(packet.begin() + 20, options.begin(), options.end());
        const MutableIpv4 header{packet.data()};
        store8(packet.data(), static_cast<std::uint8_t>(0x40U | (20 + options.size()) / 4));
        header.set_total_length(static_cast<std::uint16_t>(packet.size()));
        header.set_header_checksum(0);
        ChecksumSum sum;
        sum.add(Bytes{packet.data(), 20 + options.size()});
        header.set_header_checksum(sum.finish());
        ParsedPacket parsed;
        return parse_frame(test::ethernet(there, here, packet), parsed);
    };
    EXPECT_EQ(with_options("01010101"), std::nullopt);
    EXPECT_EQ(with_options("94040000"), std::nullopt) << "router alert";
    EXPECT_EQ(with_options("0707040000000000"), std::nullopt) << "record route, and what is behind the end";
    EXPECT_EQ(with_options("0183070800000000"), DropReason::source_routed) << "loose";
    EXPECT_EQ(with_options("8907080000000000"), DropReason::source_routed) << "strict";
    EXPECT_EQ(with_options("07000000"), DropReason::ipv4_header_invalid) << "an option without length";
    EXPECT_EQ(with_options("07050000"), DropReason::ipv4_header_invalid) << "longer than the header";
    EXPECT_EQ(with_options("01010107"), DropReason::ipv4_header_invalid) << "cut";
}

TEST(ParseFrame, ipv6_extension_headers_that_forbid_it_are_obeyed)
{
    const auto with_headers = [](std::uint8_t first, const char* hex) {
        const Frame udp = test::udp_packet({ip("2001:db8::1"), 9}, {ip("2001:db8::2"), 53}, test::bytes_of("q"));
        Frame chain = test::from_hex(hex);
        chain.insert(chain.end(), udp.begin() + 40, udp.end());
        ParsedPacket parsed;
        return parse_frame(
            test::ethernet(there, here, test::ip_packet(ip("2001:db8::1"), ip("2001:db8::2"), first, chain)), parsed);
    };
    using namespace protocol;
    EXPECT_EQ(with_headers(hop_by_hop, "1100 050200000100"), std::nullopt) << "router alert";
    EXPECT_EQ(with_headers(destination_options, "1100 1e0400000000"), std::nullopt) << "unknown, may be skipped";
    EXPECT_EQ(with_headers(destination_options, "1100 000000000000"), std::nullopt) << "padding of one byte each";
    for (const char* const options : {"1100 5e0400000000", "1100 9e0400000000", "1100 0000de020000"}) {
        EXPECT_EQ(with_headers(destination_options, options), DropReason::ipv6_option_refused) << options;
        EXPECT_EQ(with_headers(hop_by_hop, options), DropReason::ipv6_option_refused) << options;
    }
    EXPECT_EQ(with_headers(destination_options, "1100 1e0500000000"), DropReason::ipv6_header_invalid) << "too long";
    EXPECT_EQ(with_headers(destination_options, "1100 010300000001"), DropReason::ipv6_header_invalid) << "cut";
    EXPECT_EQ(with_headers(destination_options, "0000 010400000000 1100 010400000000"), DropReason::ipv6_header_invalid)
        << "hop-by-hop is for the first place";
    EXPECT_EQ(with_headers(routing, "1100 0000 00000000"), std::nullopt) << "at its end";
    EXPECT_EQ(with_headers(routing, "1100 0001 00000000"), DropReason::source_routed);
    EXPECT_EQ(with_headers(routing, "1100 fd01 00000000"), DropReason::source_routed) << "of a kind that nobody knows";
}

TEST(ParseFrame, second_ipv6_fragment_header_cannot_overrule_the_first)
{
    // "More fragments follow" behind which an atomic fragment (RFC 6946) claims to be a whole packet.
    const Frame udp_bytes = test::udp_packet({ip("2001:db8::1"), 9}, {ip("2001:db8::2"), 53}, test::bytes_of("q"));
    Frame chain = test::from_hex("2c00 000100000007  1100 000000000007");
    chain.insert(chain.end(), udp_bytes.begin() + 40, udp_bytes.end());
    const Frame frame =
        test::ethernet(there, here, test::ip_packet(ip("2001:db8::1"), ip("2001:db8::2"), protocol::fragment, chain));
    ParsedPacket packet;
    EXPECT_EQ(parse_frame(frame, packet), DropReason::ipv6_header_invalid);
}

TEST(ParseIp, packet_beyond_the_range_of_offsets_is_refused)
{
    Frame packet = test::ip_packet(ip("2001:db8::1"), ip("2001:db8::2"), protocol::no_next, Frame(0xffff));
    ASSERT_GT(packet.size(), 0xffffU);
    ParsedPacket parsed;
    EXPECT_EQ(parse_ip(packet, parsed), DropReason::too_big);
}

TEST(ParseIcmpError, eight_quoted_bytes_of_transport_are_enough)
{
    test::Segment segment;
    segment.sequence = 0xdeadbeef;
    const Frame sent = test::tcp_packet({ip("192.0.2.2"), 40000}, {ip("198.51.100.7"), 80}, segment);
    Frame message(8);
    store8(message.data(), icmp_type::unreachable);
    store8(message.data() + 1, 4);
    store16(message.data() + 6, 1400);
    message.insert(message.end(), sent.begin(), sent.begin() + 28);
    store16(message.data() + 2, checksum(message));
    Frame frame =
        test::ethernet(there, here, test::ip_packet(ip("203.0.113.1"), ip("192.0.2.2"), protocol::icmp, message));
    ParsedPacket packet;
    ASSERT_FALSE(parse_frame(frame, packet));
    const auto error = parse_icmp_error(frame, packet);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->kind, IcmpErrorKind::too_big);
    EXPECT_EQ(error->mtu, 1400U);
    EXPECT_EQ(error->quoted.source_port, 40000);
    EXPECT_EQ(error->quoted.destination_port, 80);
    ASSERT_TRUE(error->quoted.sequence);
    EXPECT_EQ(error->quoted.sequence->value(), 0xdeadbeefU);

    frame = test::ethernet(
        there, here,
        test::ip_packet(ip("203.0.113.1"), ip("192.0.2.2"), protocol::icmp, Frame{message.begin(), message.end() - 1}));
    ASSERT_FALSE(parse_frame(frame, packet));
    EXPECT_FALSE(parse_icmp_error(frame, packet)) << "seven bytes say too little";
}

} // namespace
} // namespace sluice::wire
