#include "datagrams.hpp"

#include <sluice/wire/checksum.hpp>
#include <sluice/wire/headers.hpp>

#include <algorithm>
#include <cstring>

namespace sluice::app {
namespace {

constexpr std::uint8_t hop_limit = 64;

bool prepend_ip(packet::Packet& packet, const wire::IpAddress& source, const wire::IpAddress& destination,
                std::uint8_t protocol) noexcept
{
    const std::size_t payload = packet.size();
    if (source.is_v4()) {
        std::byte* const data = packet.prepend(wire::ipv4_minimum_size);
        if (data == nullptr) {
            return false;
        }
        std::memset(data, 0, wire::ipv4_minimum_size);
        store8(data, 0x45);
        store16(data + 6, 0x4000); // Don't fragment, so the identification may be 0 (RFC 6864 §4.1)
        store8(data + 9, protocol);
        const wire::MutableIpv4 header{data};
        header.set_total_length(static_cast<std::uint16_t>(wire::ipv4_minimum_size + payload));
        header.set_time_to_live(hop_limit);
        header.set_source(source);
        header.set_destination(destination);
        header.set_header_checksum(wire::checksum({data, wire::ipv4_minimum_size}));
        return true;
    }
    std::byte* const data = packet.prepend(wire::ipv6_size);
    if (data == nullptr) {
        return false;
    }
    store32(data, 0x60000000U);
    store8(data + 6, protocol);
    const wire::MutableIpv6 header{data};
    header.set_payload_length(static_cast<std::uint16_t>(payload));
    header.set_hop_limit(hop_limit);
    header.set_source(source);
    header.set_destination(destination);
    return true;
}

} // namespace

packet::Packet make_udp(packet::Pool& pool, const wire::Endpoint& source, const wire::Endpoint& destination,
                        Bytes payload) noexcept
{
    packet::Packet packet = pool.allocate();
    std::byte* const data = packet ? packet.append(wire::udp_size + payload.size()) : nullptr;
    if (data == nullptr) {
        return {};
    }
    const wire::MutableUdp header{data};
    header.set_source_port(source.port);
    header.set_destination_port(destination.port);
    header.set_length(static_cast<std::uint16_t>(packet.size()));
    header.set_checksum(0);
    std::copy(payload.begin(), payload.end(), data + wire::udp_size);
    const std::uint16_t sum = wire::checksum(packet.bytes(), source.address, destination.address, wire::protocol::udp);
    header.set_checksum(sum == 0 ? std::uint16_t{0xffff} : sum);
    if (!prepend_ip(packet, source.address, destination.address, wire::protocol::udp)) {
        return {};
    }
    return packet;
}

packet::Packet make_echo_request(packet::Pool& pool, const wire::IpAddress& source, const wire::IpAddress& destination,
                                 std::uint16_t identifier, std::uint16_t sequence) noexcept
{
    constexpr std::size_t size = wire::icmp_size + 8;
    packet::Packet packet = pool.allocate();
    std::byte* const data = packet ? packet.append(size) : nullptr;
    if (data == nullptr) {
        return {};
    }
    const bool v4 = source.is_v4();
    std::memset(data, 0, size);
    store8(data, v4 ? wire::icmp_type::echo_request : wire::icmpv6_type::echo_request);
    store16(data + 4, identifier);
    store16(data + 6, sequence);
    const std::uint8_t protocol = v4 ? wire::protocol::icmp : wire::protocol::icmpv6;
    store16(data + 2,
            v4 ? wire::checksum(packet.bytes()) : wire::checksum(packet.bytes(), source, destination, protocol));
    if (!prepend_ip(packet, source, destination, protocol)) {
        return {};
    }
    return packet;
}

} // namespace sluice::app
