#include "fragments.hpp"

#include <sluice/wire/checksum.hpp>

namespace sluice::l4 {

std::size_t ip_size(Bytes frame, const wire::ParsedPacket& parsed) noexcept
{
    const std::byte* const network = frame.data() + parsed.network_offset;
    return parsed.is_v4() ? wire::Ipv4{network}.total_length() : wire::ipv6_size + wire::Ipv6{network}.payload_length();
}

bool may_be_fragmented(Bytes frame, const wire::ParsedPacket& parsed) noexcept
{
    return parsed.is_v4() && !wire::Ipv4{frame.data() + parsed.network_offset}.dont_fragment();
}

bool carries_ports(const wire::ParsedPacket& parsed) noexcept
{
    switch (parsed.protocol) {
    case wire::protocol::udp:
        return true;
    case wire::protocol::tcp:
        return parsed.has_transport() || parsed.fragment_offset >= wire::tcp_minimum_size;
    default:
        return false;
    }
}

void set_identification(MutableBytes frame, const wire::ParsedPacket& parsed, std::uint32_t identification) noexcept
{
    std::byte* const network = frame.data() + parsed.network_offset;
    if (parsed.is_v4()) {
        const wire::MutableIpv4 header{network};
        const auto value = static_cast<std::uint16_t>(identification);
        wire::ChecksumDelta delta;
        delta.replace16(header.identification(), value);
        store16(network + 4, value);
        header.set_header_checksum(delta.apply(header.header_checksum()));
        return;
    }
    std::uint8_t next = wire::Ipv6{network}.next_header();
    std::byte* extension = network + wire::ipv6_size;
    while (next != wire::protocol::fragment) {
        next = load8(extension);
        extension += (load8(extension + 1) + std::size_t{1}) * 8;
    }
    store32(extension + 4, identification);
}

} // namespace sluice::l4
