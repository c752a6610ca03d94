// What the methods by which servers answer clients themselves do with a packet.
#pragma once

#include <sluice/l4/verdict.hpp>
#include <sluice/packet/packet.hpp>

#include <cstdint>

namespace sluice::l4 {

/// To a server that answers the client itself: one hop further, otherwise as it came, and into the flow's tunnel if it
/// has one, unless `verdict` says that the packet is to be split first. `mtu`: what fits. False when the packet has no
/// room for a tunnel's headers.
[[nodiscard]] bool send_as_it_came(packet::Packet& packet, wire::ParsedPacket& parsed, const flow::Flow& flow,
                                   std::uint32_t mtu, Verdict& verdict) noexcept;

} // namespace sluice::l4
