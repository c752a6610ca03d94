#include <sluice/l4/tunnel.hpp>

#include <sluice/wire/checksum.hpp>
#include <sluice/wire/tunnel.hpp>

#include <algorithm>

namespace sluice::l4 {
namespace {

constexpr std::uint8_t tunnel_hop_limit = 64;

std::uint8_t protocol_inside(bool v4) noexcept
{
    return v4 ? wire::protocol::ipv4_inside : wire::protocol::ipv6_inside;
}

std::uint8_t outer_protocol(Method method, bool inner_v4) noexcept
{
    switch (method) {
    case Method::gre:
        return wire::protocol::gre;
    case Method::gue:
        return wire::protocol::udp;
    default:
        return protocol_inside(inner_v4);
    }
}

void write_outer_ipv4(std::byte* to, std::size_t size, std::uint8_t traffic_class, std::uint8_t protocol,
                      const flow::Flow& flow) noexcept
{
    store8(to, 0x45);
    store8(to + 1, traffic_class);
    store16(to + 2, static_cast<std::uint16_t>(size));
    store32(to + 4, 0x00004000); // Do not fragment, so that the identification may be anything (RFC 6864)
    store8(to + 8, tunnel_hop_limit);
    store8(to + 9, protocol);
    store16(to + 10, 0);
    flow.local.store(to + 12);
    flow.server.store(to + 16);
    store16(to + 10, wire::checksum({to, wire::ipv4_minimum_size}));
}

void write_outer_ipv6(std::byte* to, std::size_t size, std::uint8_t traffic_class, std::uint8_t protocol,
                      const flow::Flow& flow) noexcept
{
    store32(to, 0x60000000U | std::uint32_t{traffic_class} << 20U | flow.local_port);
    store16(to + 4, static_cast<std::uint16_t>(size - wire::ipv6_size));
    store8(to + 6, protocol);
    store8(to + 7, tunnel_hop_limit);
    flow.local.store(to + 8);
    flow.server.store(to + 24);
}

/// Between the outer IP header and the packet inside. `size` counts from here to the packet's end.
void write_shim(std::byte* to, std::size_t size, bool inner_v4, const flow::Flow& flow) noexcept
{
    const auto method = static_cast<Method>(flow.method);
    if (method == Method::gre) {
        store16(to, 0);
        store16(to + 2, inner_v4 ? wire::ether_type::ipv4 : wire::ether_type::ipv6);
    } else if (method == Method::gue) {
        store16(to, flow.local_port);
        store16(to + 2, wire::gue_port);
        store16(to + 4, static_cast<std::uint16_t>(size));
        store16(to + 6, 0);
        store32(to + 8, std::uint32_t{protocol_inside(inner_v4)} << 16U);
        if (flow.server.is_v6()) { // Over IPv4 the outer header has its own, and what is inside too (RFC 768).
            const std::uint16_t sum = wire::checksum({to, size}, flow.local, flow.server, wire::protocol::udp);
            store16(to + 6, sum == 0 ? std::uint16_t{0xffff} : sum);
        }
    }
}

/// What a packet of ours says that begins with its IP header.
void describe(wire::ParsedPacket& parsed, const packet::Packet& packet, const wire::IpAddress& source,
              const wire::IpAddress& destination, std::uint8_t protocol) noexcept
{
    parsed = {};
    parsed.source = source;
    parsed.destination = destination;
    parsed.kind = destination.is_v4() ? wire::NetworkKind::ipv4 : wire::NetworkKind::ipv6;
    parsed.protocol = protocol;
    parsed.hop_limit = tunnel_hop_limit;
    parsed.transport_offset = static_cast<std::uint16_t>(parsed.is_v4() ? wire::ipv4_minimum_size : wire::ipv6_size);
    parsed.payload_offset = parsed.transport_offset;
    parsed.end = static_cast<std::uint16_t>(packet.size());
}

} // namespace

std::uint16_t tunnel_entropy(const flow::Flow& flow) noexcept
{
    constexpr HashKey agreed{0x536c756963652031ULL, 0x74756e6e656c2121ULL};
    constexpr std::uint16_t first_ephemeral = 49152; // RFC 6335 §6
    const std::uint64_t ports = std::uint64_t{flow.client_port} << 32U | std::uint64_t{flow.service_port} << 16U;
    const std::uint64_t hash = siphash13_words(agreed, flow.client.high(), flow.client.low(), flow.service.high(),
                                               flow.service.low(), ports | flow.protocol);
    return static_cast<std::uint16_t>(first_ephemeral | (hash & 0x3fffU));
}

bool enter_tunnel(packet::Packet& packet, wire::ParsedPacket& parsed, const flow::Flow& flow) noexcept
{
    const auto method = static_cast<Method>(flow.method);
    const bool inner_v4 = parsed.is_v4();
    const bool outer_v4 = flow.server.is_v4();
    const std::size_t overhead = tunnel_overhead(method, outer_v4);
    if (packet.headroom() + parsed.network_offset < overhead + wire::ethernet_size) {
        return false;
    }
    packet.trim_front(parsed.network_offset);
    const std::uint8_t traffic_class =
        inner_v4 ? wire::Ipv4{packet.data()}.type_of_service() : wire::Ipv6{packet.data()}.traffic_class();
    std::byte* const outer = packet.prepend(overhead);
    const std::size_t header = outer_v4 ? wire::ipv4_minimum_size : wire::ipv6_size;
    const std::uint8_t protocol = outer_protocol(method, inner_v4);
    write_shim(outer + header, packet.size() - header, inner_v4, flow);
    (outer_v4 ? write_outer_ipv4 : write_outer_ipv6)(outer, packet.size(), traffic_class, protocol, flow);
    describe(parsed, packet, flow.local, flow.server, protocol);
    return true;
}

void clamp_segment_size(MutableBytes frame, const wire::ParsedPacket& parsed, std::uint32_t mtu) noexcept
{
    constexpr std::byte end_of_options{0};
    constexpr std::byte no_operation{1};
    constexpr std::byte segment_size{2};
    const std::uint32_t headers = (parsed.is_v4() ? 20U : 40U) + 20U;
    const auto largest = static_cast<std::uint16_t>(std::min<std::uint32_t>(mtu - headers, 0xffff));
    std::byte* const transport = frame.data() + parsed.transport_offset;
    for (std::byte* option = transport + wire::tcp_minimum_size; option < frame.data() + parsed.payload_offset;) {
        const auto left = static_cast<std::size_t>(frame.data() + parsed.payload_offset - option);
        if (*option == no_operation) {
            ++option;
            continue;
        }
        const std::size_t size = left < 2 ? 0 : load8(option + 1);
        if (*option == end_of_options || size < 2 || size > left) {
            return;
        }
        if (*option == segment_size && size == 4) {
            const std::uint16_t offered = load16(option + 2);
            if (offered > largest) {
                const wire::MutableTcp header{transport};
                // An option may begin at an odd byte; then its bytes are the other halves of two words.
                const bool odd = (option - transport) % 2 != 0;
                const auto swapped = [odd](std::uint16_t value) {
                    return odd ? static_cast<std::uint16_t>(value << 8U | value >> 8U) : value;
                };
                wire::ChecksumDelta delta;
                delta.replace16(swapped(offered), swapped(largest));
                store16(option + 2, largest);
                header.set_checksum(delta.apply(header.checksum()));
            }
            return;
        }
        option += size;
    }
}

void relay_tunnel_error(packet::Packet& packet, wire::ParsedPacket& parsed, std::size_t inner_offset,
                        wire::IcmpErrorKind kind, std::uint32_t mtu, const wire::IpAddress& source,
                        const wire::IpAddress& destination) noexcept
{
    const bool v4 = destination.is_v4();
    const std::size_t header = v4 ? wire::ipv4_minimum_size : wire::ipv6_size;
    // RFC 1812 §4.3.2.3, RFC 4443 §3: as much as surely fits on the way.
    const std::size_t room = (v4 ? 576U : 1280U) - header - wire::icmp_size;
    packet.trim_back(packet.size() - parsed.end);
    // The headers that are cut, an outer one and another ICMP header at the least, are not fewer than those that come.
    packet.trim_front(inner_offset - header - wire::icmp_size);
    packet.trim_back(packet.size() - header - wire::icmp_size -
                     std::min(room, packet.size() - header - wire::icmp_size));
    std::byte* const ip = packet.data();
    std::byte* const message = ip + header;
    const bool too_big = kind == wire::IcmpErrorKind::too_big;
    const std::uint8_t type = v4        ? wire::icmp_type::unreachable
                              : too_big ? wire::icmpv6_type::too_big
                                        : wire::icmpv6_type::unreachable;
    const std::uint8_t code = v4 ? (too_big ? 4 : 1) : (too_big ? 0 : 3);
    store32(message, std::uint32_t{type} << 24U | std::uint32_t{code} << 16U);
    store32(message + 4, too_big ? mtu : 0);
    const std::size_t size = packet.size() - header;
    if (v4) {
        store32(ip, 0x45c00000U | static_cast<std::uint32_t>(packet.size())); // RFC 1812 §4.3.2.5
        store32(ip + 4, 0x00004000U);
        store32(ip + 8, std::uint32_t{tunnel_hop_limit} << 24U | std::uint32_t{wire::protocol::icmp} << 16U);
        source.store(ip + 12);
        destination.store(ip + 16);
        store16(ip + 10, wire::checksum({ip, header}));
        store16(message + 2, wire::checksum({message, size}));
    } else {
        store32(ip, 0x60000000U);
        store32(ip + 4, static_cast<std::uint32_t>(size) << 16U | std::uint32_t{wire::protocol::icmpv6} << 8U |
                            tunnel_hop_limit);
        source.store(ip + 8);
        destination.store(ip + 24);
        store16(message + 2, wire::checksum({message, size}, source, destination, wire::protocol::icmpv6));
    }
    describe(parsed, packet, source, destination, v4 ? wire::protocol::icmp : wire::protocol::icmpv6);
}

} // namespace sluice::l4
