// Packets that layer 4 makes itself: the RST for a segment that has no connection, and the parts of a packet that is
// too big for its next hop. Any core.
#pragma once

#include <sluice/packet/packet.hpp>
#include <sluice/wire/parse.hpp>

#include <cstdint>

namespace sluice::l4 {

/// Turns a whole TCP segment without RST into the RST that answers it (RFC 9293 §3.10.7.1): addresses and ports
/// swapped, sequence taken from its acknowledgment, or the acknowledgment from its sequence and length; without
/// options. The Ethernet header is left alone. `parsed` describes the result afterwards.
void make_reset(packet::Packet& packet, wire::ParsedPacket& parsed) noexcept;

/// Splits an IPv4 packet that may be fragmented (RFC 791 §3.2) into parts of at most `mtu` bytes, which must be at
/// least
/// 68. Each part begins with a copy of the Ethernet header. False when a buffer was missing or `out` too small; `out`
/// is as before then.
[[nodiscard]] bool split_ipv4(Bytes frame, const wire::ParsedPacket& parsed, std::uint32_t mtu, packet::Pool& pool,
                              packet::Burst& out) noexcept;

} // namespace sluice::l4
