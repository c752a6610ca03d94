// One pass over a received frame: where its headers are, and whether they may be trusted. Any thread.
#pragma once

#include <sluice/telemetry/counters.hpp>
#include <sluice/wire/headers.hpp>

#include <cstdint>
#include <optional>

namespace sluice::wire {

enum class NetworkKind : std::uint8_t { arp, ipv4, ipv6 };

/// What parse_frame() found. Offsets count from the first byte that was parsed (the Ethernet header, or the IP header
/// after parse_ip()).
struct ParsedPacket {
    IpAddress source;
    IpAddress destination;
    std::uint16_t network_offset = 0;   ///< ARP or IP header
    std::uint16_t transport_offset = 0; ///< TCP, UDP, ICMP header; in later fragments the first byte of data
    std::uint16_t payload_offset = 0;   ///< After the transport header (equals transport_offset where there is none)
    std::uint16_t end = 0;              ///< End of the IP packet or ARP body: Ethernet padding is cut here
    std::uint16_t vlan = 0;             ///< VLAN id, 0 without a tag
    std::uint16_t source_port = 0;      ///< TCP and UDP
    std::uint16_t destination_port = 0;
    std::uint16_t fragment_offset = 0; ///< Bytes; 0 in the first fragment and in whole packets
    std::uint32_t fragment_id = 0;
    NetworkKind kind = NetworkKind::arp;
    std::uint8_t protocol = 0; ///< The upper-layer protocol, behind IPv6 extension headers
    std::uint8_t hop_limit = 0;
    std::uint8_t tcp_flags = 0;
    bool is_fragment = false; ///< Any fragment, the first one too
    bool more_fragments = false;

    [[nodiscard]] bool is_ip() const noexcept { return kind != NetworkKind::arp; }
    [[nodiscard]] bool is_v4() const noexcept { return kind == NetworkKind::ipv4; }
    [[nodiscard]] bool has_transport() const noexcept { return fragment_offset == 0; }
    [[nodiscard]] std::size_t payload_size() const noexcept { return static_cast<std::size_t>(end - payload_offset); }
    [[nodiscard]] std::size_t transport_size() const noexcept
    {
        return static_cast<std::size_t>(end - transport_offset);
    }
};

/// Parses Ethernet (one 802.1Q tag at most), then ARP, IPv4 or IPv6 up to the transport header. Checks every length and
/// the IPv4 header checksum; the transport checksum is verify_transport()'s. Returns why the frame must be dropped.
[[nodiscard]] std::optional<telemetry::DropReason> parse_frame(Bytes frame, ParsedPacket& out) noexcept;

/// The same from the IP header on.
[[nodiscard]] std::optional<telemetry::DropReason> parse_ip(Bytes packet, ParsedPacket& out) noexcept;

/// Checks the TCP, UDP, ICMP or ICMPv6 checksum of a whole (unfragmented) packet. Other protocols pass.
[[nodiscard]] std::optional<telemetry::DropReason> verify_transport(Bytes frame, const ParsedPacket& packet) noexcept;

/// The packet that an ICMP error quotes (RFC 792, RFC 4443 §3): 8 bytes of transport are enough.
struct QuotedPacket {
    IpAddress source; ///< As sent: our side is the source of what we sent
    IpAddress destination;
    std::uint16_t network_offset = 0; ///< In the frame that was parsed
    std::uint16_t transport_offset = 0;
    std::uint16_t source_port = 0; ///< Identifier of an echo, for ICMP
    std::uint16_t destination_port = 0;
    std::uint8_t protocol = 0;
    std::optional<Sequence> sequence; ///< TCP only
};

enum class IcmpErrorKind : std::uint8_t {
    network_unreachable,
    host_unreachable,
    protocol_unreachable,
    port_unreachable,
    prohibited,
    too_big,
    time_exceeded,
    parameter_problem
};

struct IcmpError {
    IcmpErrorKind kind{};
    std::uint32_t mtu = 0; ///< too_big only; 0 when an old router did not say (RFC 1191 §4)
    QuotedPacket quoted;
};

/// Reads the ICMP error that `packet` carries. Empty when the message is no error or quotes too little.
[[nodiscard]] std::optional<IcmpError> parse_icmp_error(Bytes frame, const ParsedPacket& packet) noexcept;

} // namespace sluice::wire
