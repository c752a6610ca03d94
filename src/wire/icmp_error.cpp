#include <sluice/wire/tunnel.hpp>

namespace sluice::wire {
namespace {

std::optional<IcmpErrorKind> kind_of_v4(std::uint8_t type, std::uint8_t code) noexcept
{
    switch (type) {
    case icmp_type::unreachable:
        switch (code) {
        case 0:
        case 5: // source route failed
        case 6:
        case 11:
            return IcmpErrorKind::network_unreachable;
        case 2:
            return IcmpErrorKind::protocol_unreachable;
        case 3:
            return IcmpErrorKind::port_unreachable;
        case 4:
            return IcmpErrorKind::too_big;
        case 9:
        case 10:
        case 13:
            return IcmpErrorKind::prohibited;
        default:
            return IcmpErrorKind::host_unreachable;
        }
    case icmp_type::time_exceeded:
        return IcmpErrorKind::time_exceeded;
    case icmp_type::parameter_problem:
        return IcmpErrorKind::parameter_problem;
    default:
        return {};
    }
}

std::optional<IcmpErrorKind> kind_of_v6(std::uint8_t type, std::uint8_t code) noexcept
{
    switch (type) {
    case icmpv6_type::unreachable:
        switch (code) {
        case 0:
            return IcmpErrorKind::network_unreachable;
        case 1:
        case 5:
        case 6:
            return IcmpErrorKind::prohibited;
        case 4:
            return IcmpErrorKind::port_unreachable;
        default:
            return IcmpErrorKind::host_unreachable;
        }
    case icmpv6_type::too_big:
        return IcmpErrorKind::too_big;
    case icmpv6_type::time_exceeded:
        return IcmpErrorKind::time_exceeded;
    case icmpv6_type::parameter_problem:
        return code == 1 ? IcmpErrorKind::protocol_unreachable : IcmpErrorKind::parameter_problem;
    default:
        return {};
    }
}

/// The quoted packet may be cut anywhere behind its first 8 bytes of transport, so its lengths are not believed.
std::optional<QuotedPacket> parse_quoted(Bytes frame, std::size_t offset, std::size_t end, bool v4) noexcept
{
    QuotedPacket quoted;
    std::size_t transport = 0;
    const std::byte* data = frame.data() + offset;
    const std::size_t available = end - offset;
    if (v4) {
        if (available < ipv4_minimum_size || Ipv4{data}.version() != 4 ||
            Ipv4{data}.header_length() < ipv4_minimum_size) {
            return {};
        }
        const Ipv4 header{data};
        if (header.fragment_offset() != 0) {
            return {};
        }
        quoted.source = header.source();
        quoted.destination = header.destination();
        quoted.protocol = header.protocol();
        transport = header.header_length();
    } else {
        if (available < ipv6_size || Ipv6{data}.version() != 6) {
            return {};
        }
        const Ipv6 header{data};
        quoted.source = header.source();
        quoted.destination = header.destination();
        quoted.protocol = header.next_header();
        transport = ipv6_size;
    }
    if (available < transport + 8) {
        return {};
    }
    const std::byte* ports = data + transport;
    quoted.network_offset = static_cast<std::uint16_t>(offset);
    quoted.transport_offset = static_cast<std::uint16_t>(offset + transport);
    switch (quoted.protocol) {
    case protocol::tcp:
        quoted.sequence = Sequence{load32(ports + 4)};
        [[fallthrough]];
    case protocol::udp:
    case protocol::sctp:
        quoted.source_port = load16(ports);
        quoted.destination_port = load16(ports + 2);
        return quoted;
    case protocol::icmp:
    case protocol::icmpv6:
        quoted.source_port = quoted.destination_port = load16(ports + 4);
        return quoted;
    case protocol::ipv4_inside:
    case protocol::ipv6_inside:
    case protocol::gre:
        return quoted;
    default:
        return {};
    }
}

} // namespace

std::optional<IcmpError> parse_icmp_error(Bytes frame, const ParsedPacket& packet) noexcept
{
    const bool icmp = packet.is_v4() ? packet.protocol == protocol::icmp : packet.protocol == protocol::icmpv6;
    if (!packet.is_ip() || !icmp || packet.is_fragment) {
        return {};
    }
    const Icmp header{frame.data() + packet.transport_offset};
    const auto kind =
        packet.is_v4() ? kind_of_v4(header.type(), header.code()) : kind_of_v6(header.type(), header.code());
    if (!kind) {
        return {};
    }
    const auto quoted = parse_quoted(frame, packet.payload_offset, packet.end, packet.is_v4());
    if (!quoted) {
        return {};
    }
    IcmpError error{*kind, 0, *quoted};
    if (*kind == IcmpErrorKind::too_big) {
        error.mtu = packet.is_v4() ? header.rest() & 0xffffU : header.rest();
    }
    return error;
}

std::optional<TunnelledPacket> parse_tunnelled(Bytes frame, const ParsedPacket& message,
                                               const QuotedPacket& outer) noexcept
{
    std::uint8_t inside = outer.protocol;
    std::size_t offset = outer.transport_offset;
    const std::byte* const shim = frame.data() + offset; // 8 bytes are there: parse_quoted() saw to it.
    if (outer.protocol == protocol::gre) {
        if (load16(shim) != 0) {
            return {};
        }
        const std::uint16_t type = load16(shim + 2);
        inside = type == ether_type::ipv4   ? protocol::ipv4_inside
                 : type == ether_type::ipv6 ? protocol::ipv6_inside
                                            : protocol::no_next;
        offset += gre_size;
    } else if (outer.protocol == protocol::udp && outer.destination_port == gue_port) {
        offset += udp_size;
        if (message.end < offset + gue_size || load8(shim + udp_size) != 0) {
            return {};
        }
        inside = load8(shim + udp_size + 1);
        offset += gue_size;
    }
    if ((inside != protocol::ipv4_inside && inside != protocol::ipv6_inside) || message.end < offset) {
        return {};
    }
    const bool v4 = inside == protocol::ipv4_inside;
    const auto packet = parse_quoted(frame, offset, message.end, v4);
    return packet ? std::optional{TunnelledPacket{v4, *packet}} : std::nullopt;
}

} // namespace sluice::wire
