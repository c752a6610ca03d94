// IP packets that probes send: UDP and echo requests, built from scratch.
#pragma once

#include <sluice/packet/packet.hpp>
#include <sluice/wire/address.hpp>

#include <cstdint>

namespace sluice::app {

/// An IP packet of either family around a UDP datagram; an empty packet when the pool has none or the payload is too
/// long.
[[nodiscard]] packet::Packet make_udp(packet::Pool& pool, const wire::Endpoint& source,
                                      const wire::Endpoint& destination, Bytes payload) noexcept;

/// An ICMP or ICMPv6 echo request with 8 bytes of data.
[[nodiscard]] packet::Packet make_echo_request(packet::Pool& pool, const wire::IpAddress& source,
                                               const wire::IpAddress& destination, std::uint16_t identifier,
                                               std::uint16_t sequence) noexcept;

} // namespace sluice::app
