// Big-endian loads and stores on unaligned bytes (network order).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace sluice {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

[[nodiscard]] inline std::uint8_t load8(const std::byte* from) noexcept { return static_cast<std::uint8_t>(*from); }

[[nodiscard]] inline std::uint16_t load16(const std::byte* from) noexcept
{
    std::uint16_t value;
    std::memcpy(&value, from, sizeof value);
    return __builtin_bswap16(value);
}

[[nodiscard]] inline std::uint32_t load32(const std::byte* from) noexcept
{
    std::uint32_t value;
    std::memcpy(&value, from, sizeof value);
    return __builtin_bswap32(value);
}

[[nodiscard]] inline std::uint64_t load64(const std::byte* from) noexcept
{
    std::uint64_t value;
    std::memcpy(&value, from, sizeof value);
    return __builtin_bswap64(value);
}

inline void store8(std::byte* to, std::uint8_t value) noexcept { *to = static_cast<std::byte>(value); }

inline void store16(std::byte* to, std::uint16_t value) noexcept
{
    value = __builtin_bswap16(value);
    std::memcpy(to, &value, sizeof value);
}

inline void store32(std::byte* to, std::uint32_t value) noexcept
{
    value = __builtin_bswap32(value);
    std::memcpy(to, &value, sizeof value);
}

inline void store64(std::byte* to, std::uint64_t value) noexcept
{
    value = __builtin_bswap64(value);
    std::memcpy(to, &value, sizeof value);
}

} // namespace sluice
