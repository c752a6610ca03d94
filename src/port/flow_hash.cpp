#include "port/flow_hash.hpp"

#include <sluice/wire/parse.hpp>

#include <functional>

namespace sluice::port {
namespace {

constexpr std::uint8_t protocol_tcp = 6;
constexpr std::uint8_t protocol_udp = 17;
constexpr std::uint64_t mixer = 0x9e3779b97f4a7c15ULL;

} // namespace

std::uint32_t symmetric_flow_hash(Bytes frame) noexcept
{
    wire::ParsedPacket parsed;
    if (wire::parse_frame(frame, parsed).has_value() || !parsed.is_ip()) {
        return 0;
    }
    const std::hash<wire::IpAddress> hash;
    // Sums commute, so that source and destination may change places.
    std::uint64_t value = hash(parsed.source) + hash(parsed.destination);
    if (!parsed.is_fragment && (parsed.protocol == protocol_tcp || parsed.protocol == protocol_udp)) {
        value += (std::uint64_t{parsed.source_port} + 1) * mixer + (std::uint64_t{parsed.destination_port} + 1) * mixer;
        value ^= static_cast<std::uint64_t>(parsed.source_port ^ parsed.destination_port) << 17U;
    }
    value *= mixer;
    return static_cast<std::uint32_t>(value >> 32U);
}

} // namespace sluice::port
