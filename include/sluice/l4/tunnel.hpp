// Putting packets into the tunnels that lead to servers, and reading what the network says about them. Any core.
#pragma once

#include <sluice/flow/flow_table.hpp>
#include <sluice/l4/method.hpp>
#include <sluice/packet/packet.hpp>
#include <sluice/wire/headers.hpp>
#include <sluice/wire/parse.hpp>
#include <sluice/wire/tunnel.hpp>

#include <cstdint>

namespace sluice::l4 {

/// Bytes that a method puts in front of a packet, the outer IP header included; 0 where it is no tunnel.
[[nodiscard]] constexpr std::uint32_t tunnel_overhead(Method method, bool outer_v4) noexcept
{
    const std::uint32_t outer = outer_v4 ? std::uint32_t{wire::ipv4_minimum_size} : std::uint32_t{wire::ipv6_size};
    switch (method) {
    case Method::ipip:
        return outer;
    case Method::gre:
        return outer + std::uint32_t{wire::gre_size};
    case Method::gue:
        return outer + std::uint32_t{wire::udp_size + wire::gue_size};
    default:
        return 0;
    }
}

/// A number of the flow that routers, NICs and servers on the way spread flows by: the source port of GUE and the flow
/// label of IPv6 (RFC 6438). The same on both nodes of a pair.
[[nodiscard]] std::uint16_t tunnel_entropy(const flow::Flow& flow) noexcept;

/// Puts a packet, or a fragment of one, into its flow's tunnel, from Flow::local to Flow::server: the packet begins
/// with the outer IP header then, and `parsed` describes that. Traffic class and congestion notification are copied
/// (RFC 6040), the outer packet is never fragmented on its way, its checksum covers all of it where IPv6 needs one. The
/// packet must end where its IP packet ends. False when there is no headroom; nothing has changed then.
[[nodiscard]] bool enter_tunnel(packet::Packet& packet, wire::ParsedPacket& parsed, const flow::Flow& flow) noexcept;

/// Lowers the maximum segment size that a SYN offers to what fits into IP packets of `mtu` bytes.
void clamp_segment_size(MutableBytes frame, const wire::ParsedPacket& parsed, std::uint32_t mtu) noexcept;

/// Turns an ICMP error about a tunnel packet into the one about the packet inside, from `source` to the client that had
/// sent that (RFC 2003 §4): too big with `mtu`, everything else as "host unreachable". What the error quotes of the
/// packet inside starts at `inner_offset` of the frame. The packet begins with its IP header then, as `parsed` says.
void relay_tunnel_error(packet::Packet& packet, wire::ParsedPacket& parsed, std::size_t inner_offset,
                        wire::IcmpErrorKind kind, std::uint32_t mtu, const wire::IpAddress& source,
                        const wire::IpAddress& destination) noexcept;

} // namespace sluice::l4
