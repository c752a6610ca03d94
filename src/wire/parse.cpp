#include <sluice/wire/parse.hpp>

#include <sluice/wire/checksum.hpp>

#include <utility>

namespace sluice::wire {
namespace {

using telemetry::DropReason;
using Problem = std::optional<DropReason>;

constexpr std::size_t maximum_extension_headers = 8;

Problem parse_transport(Bytes frame, ParsedPacket& out) noexcept
{
    out.payload_offset = out.transport_offset;
    if (!out.has_transport()) {
        return {};
    }
    const std::size_t size = out.transport_size();
    const std::byte* data = frame.data() + out.transport_offset;
    switch (out.protocol) {
    case protocol::tcp: {
        if (size < tcp_minimum_size) {
            return DropReason::tcp_header_invalid;
        }
        const Tcp header{data};
        if (header.header_length() < tcp_minimum_size || header.header_length() > size) {
            return DropReason::tcp_header_invalid;
        }
        out.source_port = header.source_port();
        out.destination_port = header.destination_port();
        out.tcp_flags = header.flags();
        out.payload_offset = static_cast<std::uint16_t>(out.transport_offset + header.header_length());
        return {};
    }
    case protocol::udp: {
        if (size < udp_size) {
            return DropReason::udp_header_invalid;
        }
        const Udp header{data};
        // The length of a fragmented datagram counts all its parts.
        if (header.length() < udp_size || (!out.is_fragment && header.length() > size)) {
            return DropReason::udp_header_invalid;
        }
        out.source_port = header.source_port();
        out.destination_port = header.destination_port();
        out.payload_offset = static_cast<std::uint16_t>(out.transport_offset + udp_size);
        if (!out.is_fragment) {
            out.end = static_cast<std::uint16_t>(out.transport_offset + header.length());
        }
        return {};
    }
    case protocol::icmp:
    case protocol::icmpv6:
        if ((out.protocol == protocol::icmp) != out.is_v4()) {
            return DropReason::protocol_unsupported;
        }
        if (size < icmp_size) {
            return DropReason::icmp_invalid;
        }
        out.payload_offset = static_cast<std::uint16_t>(out.transport_offset + icmp_size);
        return {};
    default:
        return {};
    }
}

/// Everything may be skipped (RFC 1122 §3.2.1.8) but a source route, which would lead to whoever wrote it what is meant
/// for the address that he claims (RFC 7126 §4.3).
Problem check_ipv4_options(Bytes options) noexcept
{
    constexpr std::uint8_t end_of_list = 0;
    constexpr std::uint8_t no_operation = 1;
    constexpr std::uint8_t loose_source_route = 0x83;
    constexpr std::uint8_t strict_source_route = 0x89;
    while (!options.empty()) {
        const std::uint8_t kind = load8(options.data());
        if (kind == end_of_list) {
            return {};
        }
        if (kind == loose_source_route || kind == strict_source_route) {
            return DropReason::source_routed;
        }
        std::size_t size = 1;
        if (kind != no_operation) {
            size = options.size() < 2 ? 0 : load8(options.data() + 1);
            if (size < 2 || size > options.size()) {
                return DropReason::ipv4_header_invalid;
            }
        }
        options = options.subspan(size);
    }
    return {};
}

/// An option says in its two highest bits what becomes of the packet where it is unknown; those we know may all be
/// skipped (RFC 8200 §4.2).
Problem check_ipv6_options(Bytes options) noexcept
{
    constexpr std::uint8_t padding_of_one = 0;
    while (!options.empty()) {
        const std::uint8_t kind = load8(options.data());
        std::size_t size = 1;
        if (kind != padding_of_one) {
            size = options.size() < 2 ? 0 : load8(options.data() + 1) + std::size_t{2};
            if (size == 0 || size > options.size()) {
                return DropReason::ipv6_header_invalid;
            }
            if (kind >> 6U != 0) {
                return DropReason::ipv6_option_refused;
            }
        }
        options = options.subspan(size);
    }
    return {};
}

/// What an extension header that is not a fragment header forbids. `first`: it stands right behind the fixed header.
Problem check_extension(std::uint8_t kind, Bytes header, bool first) noexcept
{
    switch (kind) {
    case protocol::hop_by_hop:
        return first ? check_ipv6_options(header.subspan(2)) : Problem{DropReason::ipv6_header_invalid};
    case protocol::destination_options:
        return check_ipv6_options(header.subspan(2));
    case protocol::routing: // RFC 8200 §4.4, RFC 5095: the rest of the route is nothing that we would follow.
        return load8(header.data() + 3) != 0 ? Problem{DropReason::source_routed} : Problem{};
    default:
        return {};
    }
}

Problem parse_ipv4(Bytes frame, std::size_t offset, ParsedPacket& out) noexcept
{
    const std::size_t available = frame.size() - offset;
    if (available < ipv4_minimum_size) {
        return DropReason::truncated;
    }
    const Ipv4 header{frame.data() + offset};
    const std::size_t header_length = header.header_length();
    if (header.version() != 4 || header_length < ipv4_minimum_size || header.total_length() < header_length) {
        return DropReason::ipv4_header_invalid;
    }
    if (header.total_length() > available) {
        return DropReason::truncated;
    }
    if (ChecksumSum sum; (sum.add(frame.subspan(offset, header_length)), !sum.valid())) {
        return DropReason::ipv4_checksum_invalid;
    }
    if (header_length != ipv4_minimum_size) {
        const Bytes options = frame.subspan(offset + ipv4_minimum_size, header_length - ipv4_minimum_size);
        if (const Problem problem = check_ipv4_options(options)) {
            return problem;
        }
    }
    out.kind = NetworkKind::ipv4;
    out.source = header.source();
    out.destination = header.destination();
    out.protocol = header.protocol();
    out.hop_limit = header.time_to_live();
    out.fragment_offset = header.fragment_offset();
    out.more_fragments = header.more_fragments();
    out.is_fragment = out.more_fragments || out.fragment_offset != 0;
    out.fragment_id = header.identification();
    out.transport_offset = static_cast<std::uint16_t>(offset + header_length);
    out.end = static_cast<std::uint16_t>(offset + header.total_length());
    return parse_transport(frame, out);
}

Problem parse_ipv6(Bytes frame, std::size_t offset, ParsedPacket& out) noexcept
{
    const std::size_t available = frame.size() - offset;
    if (available < ipv6_size) {
        return DropReason::truncated;
    }
    const Ipv6 header{frame.data() + offset};
    if (header.version() != 6) {
        return DropReason::ipv6_header_invalid;
    }
    const std::size_t end = offset + ipv6_size + header.payload_length();
    if (end > frame.size()) {
        return DropReason::truncated;
    }
    out.kind = NetworkKind::ipv6;
    out.source = header.source();
    out.destination = header.destination();
    out.hop_limit = header.hop_limit();
    out.end = static_cast<std::uint16_t>(end);

    std::uint8_t next = header.next_header();
    std::size_t position = offset + ipv6_size;
    bool fragment_seen = false;
    for (std::size_t count = 0;; ++count) {
        const bool extension = next == protocol::hop_by_hop || next == protocol::routing ||
                               next == protocol::destination_options || next == protocol::fragment;
        if (!extension || !out.has_transport()) {
            break;
        }
        if (count == maximum_extension_headers || end - position < 8) {
            return DropReason::ipv6_header_invalid;
        }
        const std::byte* data = frame.data() + position;
        std::size_t length = 8;
        if (next == protocol::fragment) {
            if (std::exchange(fragment_seen, true)) {
                return DropReason::ipv6_header_invalid; // A second one would overrule the first: nobody sends that.
            }
            const std::uint16_t field = load16(data + 2);
            out.fragment_offset = static_cast<std::uint16_t>(field & 0xfff8U);
            out.more_fragments = (field & 1U) != 0;
            // An "atomic" fragment (RFC 6946) is a whole packet.
            out.is_fragment = out.more_fragments || out.fragment_offset != 0;
            out.fragment_id = load32(data + 4);
        } else {
            length = (load8(data + 1) + std::size_t{1}) * 8;
        }
        if (length > end - position) {
            return DropReason::ipv6_header_invalid;
        }
        if (const Problem problem = check_extension(next, Bytes{data, length}, count == 0)) {
            return problem;
        }
        next = load8(data);
        position += length;
    }
    out.protocol = next;
    out.transport_offset = static_cast<std::uint16_t>(position);
    return parse_transport(frame, out);
}

Problem parse_arp(Bytes frame, std::size_t offset, ParsedPacket& out) noexcept
{
    constexpr std::size_t arp_size = 28;
    if (frame.size() - offset < arp_size) {
        return DropReason::truncated;
    }
    const std::byte* data = frame.data() + offset;
    // Hardware Ethernet, protocol IPv4, lengths 6 and 4 (RFC 826).
    if (load16(data) != 1 || load16(data + 2) != ether_type::ipv4 || load8(data + 4) != 6 || load8(data + 5) != 4) {
        return DropReason::arp_invalid;
    }
    out.kind = NetworkKind::arp;
    out.source = IpAddress::load_v4(data + 14);
    out.destination = IpAddress::load_v4(data + 24);
    out.transport_offset = out.payload_offset = out.end = static_cast<std::uint16_t>(offset + arp_size);
    return {};
}

} // namespace

Problem parse_ip(Bytes packet, ParsedPacket& out) noexcept
{
    out = ParsedPacket{};
    if (packet.empty()) {
        return DropReason::truncated;
    }
    if (packet.size() > 0xffff) {
        return DropReason::too_big;
    }
    switch (load8(packet.data()) >> 4U) {
    case 4:
        return parse_ipv4(packet, 0, out);
    case 6:
        return parse_ipv6(packet, 0, out);
    default:
        return DropReason::not_ip;
    }
}

Problem parse_frame(Bytes frame, ParsedPacket& out) noexcept
{
    out = ParsedPacket{};
    if (frame.size() < ethernet_size) {
        return DropReason::truncated;
    }
    if (frame.size() > 0xffff) {
        return DropReason::too_big;
    }
    std::uint16_t type = Ethernet{frame.data()}.type();
    std::size_t offset = ethernet_size;
    if (type == ether_type::vlan) {
        if (frame.size() < ethernet_size + vlan_tag_size) {
            return DropReason::truncated;
        }
        out.vlan = load16(frame.data() + ethernet_size) & 0xfffU;
        type = load16(frame.data() + ethernet_size + 2);
        offset += vlan_tag_size;
    }
    out.network_offset = static_cast<std::uint16_t>(offset);
    switch (type) {
    case ether_type::ipv4:
        return parse_ipv4(frame, offset, out);
    case ether_type::ipv6:
        return parse_ipv6(frame, offset, out);
    case ether_type::arp:
        return parse_arp(frame, offset, out);
    default:
        return DropReason::not_ip;
    }
}

Problem verify_transport(Bytes frame, const ParsedPacket& packet) noexcept
{
    if (!packet.is_ip() || packet.is_fragment) {
        return {};
    }
    const Bytes data = frame.subspan(packet.transport_offset, packet.transport_size());
    ChecksumSum sum;
    DropReason reason{};
    switch (packet.protocol) {
    case protocol::tcp:
        reason = DropReason::tcp_checksum_invalid;
        break;
    case protocol::udp:
        if (Udp{data.data()}.checksum() == 0) {
            // Optional over IPv4 (RFC 768), required over IPv6 (RFC 8200 §8.1).
            return packet.is_v4() ? Problem{} : DropReason::udp_checksum_invalid;
        }
        reason = DropReason::udp_checksum_invalid;
        break;
    case protocol::icmp:
        sum.add(data);
        return sum.valid() ? Problem{} : DropReason::icmp_invalid;
    case protocol::icmpv6:
        reason = DropReason::icmp_invalid;
        break;
    default:
        return {};
    }
    sum.add_pseudo_header(packet.source, packet.destination, packet.protocol, static_cast<std::uint32_t>(data.size()));
    sum.add(data);
    return sum.valid() ? Problem{} : reason;
}

} // namespace sluice::wire
