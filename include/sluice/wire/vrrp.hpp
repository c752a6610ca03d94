// VRRP version 3 messages (RFC 9568 §5.2) as a view over the IP payload, and their emission. Any thread.
//
//   0                   1                   2                   3
//   +-------+-------+---------------+---------------+---------------+
//   |Version| Type  | Virtual Rtr ID|   Priority    | Address count |
//   +-------+-------+-------+-------+---------------+---------------+
//   | reserved | Max Advertise Interval |          Checksum          |
//   +------------------------------------------------+--------------+
//   | IPv4 or IPv6 addresses ...                                     |
#pragma once

#include <sluice/wire/address.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice::wire {

inline constexpr std::uint8_t vrrp_protocol = 112;
inline constexpr std::uint8_t vrrp_version = 3;
inline constexpr std::uint8_t vrrp_type_advertisement = 1;
inline constexpr std::uint8_t vrrp_hop_limit = 255;      ///< RFC 9568 §5.1.1.3: proof that the sender is on the link.
inline constexpr std::uint8_t vrrp_traffic_class = 0xc0; ///< CS6, network control.
inline constexpr std::size_t vrrp_header_length = 8;

/// 224.0.0.18 or ff02::12 (RFC 9568 §5.1.1.2, §5.1.2.2).
[[nodiscard]] IpAddress vrrp_group(bool ipv6) noexcept;

/// 00-00-5E-00-01-VRID or 00-00-5E-00-02-VRID (RFC 9568 §7.3).
[[nodiscard]] constexpr MacAddress vrrp_mac(std::uint8_t vrid, bool ipv6) noexcept
{
    return MacAddress::from(0x00, 0x00, 0x5e, 0x00, ipv6 ? 0x02 : 0x01, vrid);
}

/// Reads a message. The fixed fields may be read when `has_header()`, the addresses when `has_addresses()`.
class VrrpView {
public:
    /// `message` is the whole payload of the IP packet by the IP header's length, without Ethernet padding.
    constexpr explicit VrrpView(Bytes message) noexcept : message_{message} {}

    [[nodiscard]] bool has_header() const noexcept { return message_.size() >= vrrp_header_length; }
    [[nodiscard]] bool has_addresses(bool ipv6) const noexcept
    {
        return message_.size() >= vrrp_header_length + address_count() * address_length(ipv6);
    }
    [[nodiscard]] std::uint8_t version() const noexcept
    {
        return static_cast<std::uint8_t>(load8(message_.data()) >> 4U);
    }
    [[nodiscard]] std::uint8_t type() const noexcept { return load8(message_.data()) & 0x0fU; }
    [[nodiscard]] std::uint8_t vrid() const noexcept { return load8(message_.data() + 1); }
    [[nodiscard]] std::uint8_t priority() const noexcept { return load8(message_.data() + 2); }
    [[nodiscard]] std::uint8_t address_count() const noexcept { return load8(message_.data() + 3); }
    /// The sender's Max Advertise Interval: 1..4095; 0 is invalid and possible.
    [[nodiscard]] std::uint16_t interval_centiseconds() const noexcept { return load16(message_.data() + 4) & 0x0fffU; }
    [[nodiscard]] std::uint16_t checksum() const noexcept { return load16(message_.data() + 6); }
    [[nodiscard]] IpAddress address(std::size_t index, bool ipv6) const noexcept
    {
        const std::byte* from = message_.data() + vrrp_header_length + index * address_length(ipv6);
        return ipv6 ? IpAddress::load_v6(from) : IpAddress::load_v4(from);
    }
    /// The checksum as RFC 9568 wants it for IPv4: over the message alone.
    [[nodiscard]] bool checksum_valid_plain() const noexcept;
    /// The checksum over pseudo-header and message: IPv6 always, IPv4 in the other population of implementations.
    [[nodiscard]] bool checksum_valid_pseudo(const IpAddress& source, const IpAddress& destination) const noexcept;

    [[nodiscard]] static constexpr std::size_t address_length(bool ipv6) noexcept { return ipv6 ? 16 : 4; }

private:
    Bytes message_;
};

struct VrrpMessage {
    std::uint8_t vrid = 0;
    std::uint8_t priority = 0;
    std::uint16_t interval_centiseconds = 100;
    std::span<const IpAddress> addresses; ///< All of one family, at most 255.
};

[[nodiscard]] constexpr std::size_t vrrp_length(std::size_t addresses, bool ipv6) noexcept
{
    return vrrp_header_length + addresses * VrrpView::address_length(ipv6);
}

/// Writes `vrrp_length()` bytes with the checksum; `pseudo_header` says over what (must be true for IPv6).
void emit_vrrp(std::byte* to, const VrrpMessage& message, const IpAddress& source, const IpAddress& destination,
               bool pseudo_header) noexcept;

} // namespace sluice::wire
