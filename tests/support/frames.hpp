// Builders of frames for tests: what a well-behaved sender would put on the wire, checksums included.
#pragma once

#include <sluice/packet/packet.hpp>
#include <sluice/wire/checksum.hpp>
#include <sluice/wire/headers.hpp>

#include <cstring>
#include <string_view>
#include <vector>

namespace sluice::test {

using Frame = std::vector<std::byte>;

inline wire::IpAddress ip(std::string_view text) { return wire::IpAddress::parse(text).value(); }
inline wire::MacAddress mac(std::string_view text) { return wire::MacAddress::parse(text).value(); }
inline wire::Endpoint endpoint(std::string_view text) { return wire::Endpoint::parse(text).value(); }

inline Frame bytes_of(std::string_view text)
{
    const auto* data = reinterpret_cast<const std::byte*>(text.data());
    return {data, data + text.size()};
}

/// "3133c801 0032" to bytes; blanks are skipped.
inline Frame from_hex(std::string_view text)
{
    Frame result;
    int high = -1;
    for (const char letter : text) {
        const int digit = letter >= '0' && letter <= '9'   ? letter - '0'
                          : letter >= 'a' && letter <= 'f' ? letter - 'a' + 10
                                                           : -1;
        if (digit < 0) {
            continue;
        }
        if (high < 0) {
            high = digit;
        } else {
            result.push_back(static_cast<std::byte>(high * 16 + digit));
            high = -1;
        }
    }
    return result;
}

struct IpOptions {
    std::uint8_t hop_limit = 64;
    std::uint16_t identification = 1;
    bool dont_fragment = true;
    std::uint16_t fragment_offset = 0; ///< Bytes; IPv4 only
    bool more_fragments = false;
};

/// An IP packet of either family around `payload`.
inline Frame ip_packet(const wire::IpAddress& source, const wire::IpAddress& destination, std::uint8_t protocol,
                       const Frame& payload, const IpOptions& options = {})
{
    Frame packet;
    if (source.is_v4()) {
        packet.resize(20);
        store8(packet.data(), 0x45);
        store16(packet.data() + 2, static_cast<std::uint16_t>(20 + payload.size()));
        store16(packet.data() + 4, options.identification);
        store16(packet.data() + 6,
                static_cast<std::uint16_t>((options.dont_fragment ? 0x4000U : 0U) |
                                           (options.more_fragments ? 0x2000U : 0U) | options.fragment_offset / 8U));
        store8(packet.data() + 8, options.hop_limit);
        store8(packet.data() + 9, protocol);
        source.store(packet.data() + 12);
        destination.store(packet.data() + 16);
        store16(packet.data() + 10, wire::checksum(packet));
    } else {
        packet.resize(40);
        store32(packet.data(), 0x60000000U);
        store16(packet.data() + 4, static_cast<std::uint16_t>(payload.size()));
        store8(packet.data() + 6, protocol);
        store8(packet.data() + 7, options.hop_limit);
        source.store(packet.data() + 8);
        destination.store(packet.data() + 24);
    }
    packet.insert(packet.end(), payload.begin(), payload.end());
    return packet;
}

inline Frame udp_packet(const wire::Endpoint& source, const wire::Endpoint& destination, const Frame& payload,
                        const IpOptions& options = {})
{
    Frame datagram(8);
    store16(datagram.data(), source.port);
    store16(datagram.data() + 2, destination.port);
    store16(datagram.data() + 4, static_cast<std::uint16_t>(8 + payload.size()));
    datagram.insert(datagram.end(), payload.begin(), payload.end());
    const std::uint16_t sum = wire::checksum(datagram, source.address, destination.address, wire::protocol::udp);
    store16(datagram.data() + 6, sum == 0 ? 0xffff : sum);
    return ip_packet(source.address, destination.address, wire::protocol::udp, datagram, options);
}

struct Segment {
    std::uint8_t flags = wire::tcp_flag::ack;
    std::uint32_t sequence = 1000;
    std::uint32_t acknowledgment = 0;
    std::uint16_t window = 65535;
    Frame options; ///< A multiple of 4 bytes
    Frame payload;
};

inline Frame tcp_packet(const wire::Endpoint& source, const wire::Endpoint& destination, const Segment& segment,
                        const IpOptions& options = {})
{
    Frame bytes(20);
    bytes.insert(bytes.end(), segment.options.begin(), segment.options.end());
    const wire::MutableTcp header{bytes.data()};
    header.set_source_port(source.port);
    header.set_destination_port(destination.port);
    header.set_sequence(wire::Sequence{segment.sequence});
    header.set_acknowledgment(wire::Sequence{segment.acknowledgment});
    header.set_header_length(bytes.size());
    header.set_flags(segment.flags);
    header.set_window(segment.window);
    bytes.insert(bytes.end(), segment.payload.begin(), segment.payload.end());
    store16(bytes.data() + 16, wire::checksum(bytes, source.address, destination.address, wire::protocol::tcp));
    return ip_packet(source.address, destination.address, wire::protocol::tcp, bytes, options);
}

inline Frame icmp_echo(const wire::IpAddress& source, const wire::IpAddress& destination, std::uint16_t identifier,
                       bool reply = false, const IpOptions& options = {})
{
    Frame message(8 + 16, std::byte{0x5a});
    const bool v4 = source.is_v4();
    store8(message.data(), v4 ? (reply ? 0 : 8) : (reply ? 129 : 128));
    store8(message.data() + 1, 0);
    store16(message.data() + 2, 0);
    store16(message.data() + 4, identifier);
    store16(message.data() + 6, 1);
    const std::uint8_t protocol = v4 ? wire::protocol::icmp : wire::protocol::icmpv6;
    store16(message.data() + 2, v4 ? wire::checksum(message) : wire::checksum(message, source, destination, protocol));
    return ip_packet(source, destination, protocol, message, options);
}

/// Ethernet around an IP packet (the type follows from its version).
inline Frame ethernet(const wire::MacAddress& source, const wire::MacAddress& destination, const Frame& ip_bytes)
{
    Frame frame(14);
    const bool v4 = (load8(ip_bytes.data()) >> 4U) == 4;
    wire::MutableEthernet{frame.data()}.set(destination, source, v4 ? wire::ether_type::ipv4 : wire::ether_type::ipv6);
    frame.insert(frame.end(), ip_bytes.begin(), ip_bytes.end());
    return frame;
}

/// A packet of `pool` with these bytes.
inline packet::Packet packet_of(packet::Pool& pool, const Frame& frame)
{
    packet::Packet packet = pool.allocate();
    if (packet) {
        if (std::byte* room = packet.append(frame.size())) {
            std::memcpy(room, frame.data(), frame.size());
        }
    }
    return packet;
}

inline Frame frame_of(const packet::Packet& packet) { return {packet.data(), packet.data() + packet.size()}; }

} // namespace sluice::test
