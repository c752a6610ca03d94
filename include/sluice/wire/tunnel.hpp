// Headers of tunnels: what stands between the outer IP header and the packet inside. Any thread.
#pragma once

#include <sluice/wire/parse.hpp>

#include <cstdint>
#include <optional>

namespace sluice::wire {

namespace protocol {
inline constexpr std::uint8_t ipv4_inside = 4;  ///< RFC 2003
inline constexpr std::uint8_t ipv6_inside = 41; ///< RFC 2473, RFC 4213
inline constexpr std::uint8_t gre = 47;         ///< RFC 2784
} // namespace protocol

inline constexpr std::size_t gre_size = 4; ///< Without checksum, key and sequence number
inline constexpr std::size_t gue_size = 4; ///< Variant 0 without extensions, behind UDP
inline constexpr std::uint16_t gue_port = 6080;

/// The packet that was inside of the tunnel packet that an ICMP error quotes; a router may quote too little of it.
struct TunnelledPacket {
    bool is_v4 = false;
    QuotedPacket packet;
};

/// Reads on from `outer`, which parse_icmp_error() found in `message`: IP in IP, GRE or GUE as the above says. Empty
/// when it is none of them, or cut before the ports of the packet inside.
[[nodiscard]] std::optional<TunnelledPacket> parse_tunnelled(Bytes frame, const ParsedPacket& message,
                                                             const QuotedPacket& outer) noexcept;

} // namespace sluice::wire
