// Answers that any core may give by itself: echo replies and ICMP errors (RFC 792, RFC 1122 §3.2.2, RFC 1812 §4.3.2,
// RFC 4443 §2.4). Answers go back to the MAC that the frame came from: no neighbour lookup, no other core.
#pragma once

#include <sluice/base/time.hpp>
#include <sluice/packet/packet.hpp>
#include <sluice/wire/parse.hpp>

#include <cstdint>

namespace sluice::neigh {

/// A token bucket. One core.
class RateLimit {
public:
    /// `per_second` answers on average, a tenth of a second's worth (at least 10) at once.
    explicit RateLimit(std::uint32_t per_second) noexcept;
    [[nodiscard]] bool allow(TimePoint now) noexcept;

private:
    Duration interval_;
    Duration burst_;
    TimePoint empty_at_{}; ///< The bucket's fill, as a time in the past or near future (GCRA)
};

/// Turns an echo request into its reply, in place: the frame is ready to be sent on the port where it came in.
/// `frame` must be an unfragmented ICMP or ICMPv6 echo request whose checksum was verified.
void make_echo_reply(packet::Packet& frame, const wire::ParsedPacket& parsed,
                     const wire::MacAddress& source_mac) noexcept;

/// Whether an ICMP error may be sent about this frame: never about ICMP errors (or unknown ICMPv6 errors), later
/// fragments, multicast or broadcast (of link and network), or a source that is no single host.
[[nodiscard]] bool may_report_error(Bytes frame, const wire::ParsedPacket& parsed) noexcept;

/// A frame that reports `kind` to the sender of `offender`, from `source` (the address that was addressed, or the
/// port's own), quoting 576 bytes (IPv4) or 1280 (IPv6) at most. An empty packet when the pool has none. Check
/// may_report_error() and a RateLimit first. `mtu` belongs to too_big.
[[nodiscard]] packet::Packet make_icmp_error(packet::Pool& pool, Bytes offender, const wire::ParsedPacket& parsed,
                                             wire::IcmpErrorKind kind, std::uint32_t mtu, const wire::IpAddress& source,
                                             const wire::MacAddress& source_mac) noexcept;

/// Writes an Ethernet header in front of an IP packet; false when there is no headroom for it.
[[nodiscard]] bool prepend_ethernet(packet::Packet& ip, const wire::MacAddress& destination,
                                    const wire::MacAddress& source) noexcept;

} // namespace sluice::neigh
