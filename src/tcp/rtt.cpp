#include "tcp/rtt.hpp"

#include <algorithm>

namespace sluice::tcp {

void RttEstimator::sample(Duration measured) noexcept
{
    constexpr std::int64_t most = 600'000'000;
    const auto us = static_cast<std::uint32_t>(
        std::clamp<std::int64_t>(std::chrono::duration_cast<std::chrono::microseconds>(measured).count(), 1, most));
    if (smoothed_us == 0) {
        smoothed_us = us;
        variation_us = us / 2;
        return;
    }
    const std::uint32_t error = us > smoothed_us ? us - smoothed_us : smoothed_us - us;
    variation_us = variation_us - variation_us / 4 + error / 4;
    smoothed_us = std::max(smoothed_us - smoothed_us / 8 + us / 8, 1U);
}

Duration RttEstimator::timeout(Duration initial, Duration minimum, Duration maximum) const noexcept
{
    if (smoothed_us == 0) {
        return std::min(initial, maximum);
    }
    constexpr std::uint64_t granularity_us = 1000;
    const std::uint64_t us = smoothed_us + std::max(granularity_us, 4 * std::uint64_t{variation_us});
    return std::clamp<Duration>(std::chrono::microseconds{us}, minimum, maximum);
}

Duration back_off(Duration timeout, unsigned times, Duration maximum) noexcept
{
    while (times-- != 0 && timeout < maximum) {
        timeout *= 2;
    }
    return std::min(timeout, maximum);
}

} // namespace sluice::tcp
