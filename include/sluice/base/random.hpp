// Randomness: a small seeded generator for decisions and simulation, and the kernel's for secrets.
#pragma once

#include <sluice/base/siphash.hpp>

#include <cstdint>

namespace sluice {

/// SplitMix64. Deterministic from its seed; not for secrets. One core.
class Random {
public:
    using result_type = std::uint64_t;

    explicit Random(std::uint64_t seed) noexcept : state_{seed} {}

    [[nodiscard]] std::uint64_t next() noexcept
    {
        std::uint64_t value = (state_ += 0x9e3779b97f4a7c15ULL);
        value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9ULL;
        value = (value ^ (value >> 27U)) * 0x94d049bb133111ebULL;
        return value ^ (value >> 31U);
    }
    /// 0 <= value < limit; limit must not be 0.
    [[nodiscard]] std::uint64_t below(std::uint64_t limit) noexcept
    {
        __extension__ using Wide = unsigned __int128;
        return static_cast<std::uint64_t>((static_cast<Wide>(next()) * limit) >> 64U);
    }
    /// True with a probability of `millionths` in 1,000,000.
    [[nodiscard]] bool chance(std::uint32_t millionths) noexcept { return below(1'000'000) < millionths; }

    [[nodiscard]] std::uint64_t operator()() noexcept { return next(); }
    static constexpr std::uint64_t min() noexcept { return 0; }
    static constexpr std::uint64_t max() noexcept { return ~std::uint64_t{0}; }

private:
    std::uint64_t state_;
};

/// Fills from getrandom(2); ends the process when the kernel cannot answer, since no secret may be guessed at.
void fill_secret(MutableBytes out) noexcept;
[[nodiscard]] std::uint64_t random_secret() noexcept;
[[nodiscard]] HashKey random_hash_key() noexcept;

} // namespace sluice
