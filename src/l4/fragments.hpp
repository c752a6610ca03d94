// Reading and changing what the IP header says about fragmentation.
#pragma once

#include <sluice/wire/parse.hpp>

#include <cstddef>
#include <cstdint>

namespace sluice::l4 {

/// Bytes of the whole IP packet by its header. ParsedPacket::end is that of the UDP datagram, which may be shorter.
[[nodiscard]] std::size_t ip_size(Bytes frame, const wire::ParsedPacket& parsed) noexcept;

/// An IPv4 packet whose sender did not forbid it. Routers never fragment IPv6.
[[nodiscard]] bool may_be_fragmented(Bytes frame, const wire::ParsedPacket& parsed) noexcept;

/// A fragment of TCP or UDP that may be let through. One that starts within the first TCP header is made to rewrite it
/// behind a filter's back (RFC 3128).
[[nodiscard]] bool carries_ports(const wire::ParsedPacket& parsed) noexcept;

/// Gives a fragment another identification.
void set_identification(MutableBytes frame, const wire::ParsedPacket& parsed, std::uint32_t identification) noexcept;

} // namespace sluice::l4
