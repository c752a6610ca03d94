// SipHash-1-3 (Aumasson and Bernstein), the keyed hash of every table that a peer can reach: flows, shards, sequence
// numbers. About 12 ns for 16 bytes; unpredictable without the key, so nobody can choose collisions.
#pragma once

#include <sluice/base/bytes.hpp>

#include <cstdint>

namespace sluice {

struct HashKey {
    std::uint64_t first = 0;
    std::uint64_t second = 0;

    bool operator==(const HashKey&) const = default;
};

[[nodiscard]] std::uint64_t siphash13(const HashKey& key, Bytes data) noexcept;

namespace detail {
inline void sip_round(std::uint64_t& v0, std::uint64_t& v1, std::uint64_t& v2, std::uint64_t& v3) noexcept
{
    v0 += v1;
    v1 = std::rotl(v1, 13);
    v1 ^= v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16);
    v3 ^= v2;
    v0 += v3;
    v3 = std::rotl(v3, 21);
    v3 ^= v0;
    v2 += v1;
    v1 = std::rotl(v1, 17);
    v1 ^= v2;
    v2 = std::rotl(v2, 32);
}
} // namespace detail

/// SipHash-1-3 of whole 64-bit words, inline for the packet path.
template <class... Words>
[[nodiscard]] inline std::uint64_t siphash13_words(const HashKey& key, Words... words) noexcept
{
    std::uint64_t v0 = key.first ^ 0x736f6d6570736575ULL;
    std::uint64_t v1 = key.second ^ 0x646f72616e646f6dULL;
    std::uint64_t v2 = key.first ^ 0x6c7967656e657261ULL;
    std::uint64_t v3 = key.second ^ 0x7465646279746573ULL;
    const auto absorb = [&](std::uint64_t word) {
        v3 ^= word;
        detail::sip_round(v0, v1, v2, v3);
        v0 ^= word;
    };
    (absorb(static_cast<std::uint64_t>(words)), ...);
    absorb(static_cast<std::uint64_t>(sizeof...(words) * 8) << 56U);
    v2 ^= 0xff;
    detail::sip_round(v0, v1, v2, v3);
    detail::sip_round(v0, v1, v2, v3);
    detail::sip_round(v0, v1, v2, v3);
    return v0 ^ v1 ^ v2 ^ v3;
}

} // namespace sluice
