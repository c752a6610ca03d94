// Addresses as values: MAC, IP of both families, prefixes, transport endpoints. Any thread.
#pragma once

#include <sluice/base/bytes.hpp>

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::wire {

struct MacAddress {
    std::array<std::byte, 6> octets{};

    [[nodiscard]] static MacAddress load(const std::byte* from) noexcept;
    [[nodiscard]] static std::optional<MacAddress> parse(std::string_view text) noexcept; ///< "02:00:00:00:00:01"
    [[nodiscard]] static constexpr MacAddress broadcast() noexcept { return from(0xff, 0xff, 0xff, 0xff, 0xff, 0xff); }
    [[nodiscard]] static constexpr MacAddress from(unsigned a, unsigned b, unsigned c, unsigned d, unsigned e,
                                                   unsigned f) noexcept
    {
        return {{std::byte(a), std::byte(b), std::byte(c), std::byte(d), std::byte(e), std::byte(f)}};
    }
    void store(std::byte* to) const noexcept { std::memcpy(to, octets.data(), 6); }
    [[nodiscard]] bool is_multicast() const noexcept
    {
        return (octets[0] & std::byte{1}) != std::byte{0};
    } ///< Group bit; broadcast too.
    [[nodiscard]] std::string to_string() const;
    auto operator<=>(const MacAddress&) const = default;
};

/// An IPv4 or IPv6 address in 16 bytes; IPv4 is held as ::ffff:a.b.c.d, so one compare and one hash serve both.
/// The unspecified value of a default-constructed address is IPv6 `::`.
class IpAddress {
public:
    constexpr IpAddress() noexcept = default;

    [[nodiscard]] static IpAddress v4(std::uint32_t host_order) noexcept
    {
        IpAddress result;
        store64(result.octets_.data() + 8, 0x0000'ffff'0000'0000ULL | host_order);
        return result;
    }
    /// 4 bytes, network order
    [[nodiscard]] static IpAddress load_v4(const std::byte* from) noexcept { return v4(load32(from)); }
    [[nodiscard]] static IpAddress load_v6(const std::byte* from) noexcept ///< 16 bytes
    {
        IpAddress result;
        std::memcpy(result.octets_.data(), from, 16);
        return result;
    }
    [[nodiscard]] static std::optional<IpAddress>
    parse(std::string_view text) noexcept; ///< No brackets, no zone, no prefix

    [[nodiscard]] bool is_v4() const noexcept { return high() == 0 && (low() >> 32U) == 0xffff; }
    [[nodiscard]] bool is_v6() const noexcept { return !is_v4(); }
    [[nodiscard]] std::uint32_t v4_value() const noexcept
    {
        return static_cast<std::uint32_t>(low());
    } ///< Host order; only when is_v4()
    [[nodiscard]] std::uint64_t high() const noexcept { return load64(octets_.data()); }
    [[nodiscard]] std::uint64_t low() const noexcept { return load64(octets_.data() + 8); }

    [[nodiscard]] bool is_unspecified() const noexcept ///< 0.0.0.0 or ::
    {
        return high() == 0 && (low() == 0 || low() == 0x0000'ffff'0000'0000ULL);
    }
    [[nodiscard]] bool is_multicast() const noexcept
    {
        return is_v4() ? (v4_value() >> 28U) == 0xe : (high() >> 56U) == 0xff;
    }
    [[nodiscard]] bool is_loopback() const noexcept
    {
        return is_v4() ? (v4_value() >> 24U) == 127 : high() == 0 && low() == 1;
    }
    [[nodiscard]] bool is_link_local() const noexcept; ///< 169.254/16 or fe80::/10
    [[nodiscard]] bool is_broadcast() const noexcept { return is_v4() && v4_value() == 0xffffffffU; }

    /// The bytes on the wire: 4 or 16.
    [[nodiscard]] Bytes wire() const noexcept { return is_v4() ? Bytes{octets_}.subspan(12) : Bytes{octets_}; }
    void store(std::byte* to) const noexcept
    {
        const Bytes bytes = wire();
        std::memcpy(to, bytes.data(), bytes.size());
    }
    [[nodiscard]] const std::array<std::byte, 16>& octets() const noexcept { return octets_; }

    /// 33:33:xx (RFC 2464 §7) or 01:00:5e:xx (RFC 1112 §6.4) of a multicast address.
    [[nodiscard]] MacAddress multicast_mac() const noexcept;
    /// ff02::1:ffXX:XXXX (RFC 4291 §2.7.1) of an IPv6 unicast address.
    [[nodiscard]] IpAddress solicited_node() const noexcept;

    [[nodiscard]] std::string to_string() const;
    auto operator<=>(const IpAddress&) const = default;

private:
    alignas(8) std::array<std::byte, 16> octets_{};
};

struct Prefix {
    IpAddress address;
    std::uint8_t length = 0; ///< 0..32 or 0..128

    [[nodiscard]] static std::optional<Prefix>
    parse(std::string_view text) noexcept;                                  ///< "10.0.0.0/8"; host bits are kept
    [[nodiscard]] bool contains(const IpAddress& candidate) const noexcept; ///< False for the other family.
    [[nodiscard]] IpAddress network() const noexcept;                       ///< Host bits cleared.
    [[nodiscard]] IpAddress directed_broadcast() const noexcept; ///< IPv4 only; for /31 and /32 the address 0.0.0.0.
    [[nodiscard]] std::string to_string() const;
    bool operator==(const Prefix&) const = default;
};

struct Endpoint {
    IpAddress address;
    std::uint16_t port = 0;

    /// "192.0.2.1:80" or "[2001:db8::1]:80".
    [[nodiscard]] static std::optional<Endpoint> parse(std::string_view text) noexcept;
    [[nodiscard]] std::string to_string() const;
    auto operator<=>(const Endpoint&) const = default;
};

} // namespace sluice::wire

template <>
struct std::hash<sluice::wire::IpAddress> {
    std::size_t operator()(const sluice::wire::IpAddress& value) const noexcept
    {
        return (value.high() * 0x9e3779b97f4a7c15ULL) ^ (value.low() * 0xc2b2ae3d27d4eb4fULL);
    }
};

template <>
struct std::hash<sluice::wire::Endpoint> {
    std::size_t operator()(const sluice::wire::Endpoint& value) const noexcept
    {
        return std::hash<sluice::wire::IpAddress>{}(value.address) ^ (value.port * 0x9e3779b97f4a7c15ULL);
    }
};
