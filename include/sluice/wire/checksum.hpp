// The Internet checksum (RFC 1071) and its incremental update (RFC 1624). Any thread.
#pragma once

#include <sluice/wire/address.hpp>

#include <cstdint>

namespace sluice::wire {

/// A running ones' complement sum of big-endian 16-bit words. Pieces must start at an even offset of the whole.
class ChecksumSum {
public:
    void add(Bytes data) noexcept;
    void add16(std::uint16_t value) noexcept { sum_ += value; }
    void add32(std::uint32_t value) noexcept { sum_ += (value >> 16U) + (value & 0xffffU); }
    /// Adds and copies in one pass; `to` must have room for `from.size()` bytes.
    void add_and_copy(Bytes from, std::byte* to) noexcept;
    /// Addresses, protocol and length of the upper layer, as TCP, UDP, ICMPv6 and VRRP want them (RFC 9293 §3.1, RFC
    /// 8200 §8.1).
    void add_pseudo_header(const IpAddress& source, const IpAddress& destination, std::uint8_t protocol,
                           std::uint32_t length) noexcept;

    [[nodiscard]] std::uint16_t folded() const noexcept;
    /// The value for a checksum field.
    [[nodiscard]] std::uint16_t finish() const noexcept { return static_cast<std::uint16_t>(~folded()); }
    /// True when a sum over data that contains its checksum field is right.
    [[nodiscard]] bool valid() const noexcept { return folded() == 0xffff; }

private:
    std::uint64_t sum_ = 0;
};

[[nodiscard]] std::uint16_t checksum(Bytes data) noexcept;
[[nodiscard]] std::uint16_t checksum(Bytes data, const IpAddress& source, const IpAddress& destination,
                                     std::uint8_t protocol) noexcept;

/// RFC 1624 eqn. 3: the new field after some words changed. Collects differences, then applies them once.
class ChecksumDelta {
public:
    void replace16(std::uint16_t from, std::uint16_t to) noexcept
    {
        sum_ += static_cast<std::uint16_t>(~from) + std::uint64_t{to};
    }
    void replace32(std::uint32_t from, std::uint32_t to) noexcept
    {
        replace16(static_cast<std::uint16_t>(from >> 16U), static_cast<std::uint16_t>(to >> 16U));
        replace16(static_cast<std::uint16_t>(from), static_cast<std::uint16_t>(to));
    }
    /// Either family on either side (the wire bytes count).
    void replace(const IpAddress& from, const IpAddress& to) noexcept;
    [[nodiscard]] std::uint16_t apply(std::uint16_t field) const noexcept;
    /// For UDP: 0 ("no checksum") stays 0, and a result of 0 is sent as 0xffff (RFC 768).
    [[nodiscard]] std::uint16_t apply_udp(std::uint16_t field) const noexcept;

private:
    std::uint64_t sum_ = 0;
};

} // namespace sluice::wire
