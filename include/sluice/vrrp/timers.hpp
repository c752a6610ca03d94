// The derived timers of RFC 9568 §6.1, in microseconds as Keepalived has them. Pure; any thread.
#pragma once

#include <sluice/base/time.hpp>

#include <chrono>
#include <cstdint>

namespace sluice::vrrp {

using Microseconds = std::chrono::microseconds;

/// Skew_Time = (256 - priority) * Active_Adver_Interval / 256: the higher priority fires first.
[[nodiscard]] constexpr Duration skew_time(std::uint8_t priority, Duration active_interval) noexcept
{
    const auto interval = std::chrono::duration_cast<Microseconds>(active_interval);
    return interval * (256 - priority) / 256;
}

/// Active_Down_Interval = 3 * Active_Adver_Interval + Skew_Time.
[[nodiscard]] constexpr Duration active_down_interval(std::uint8_t priority, Duration active_interval) noexcept
{
    return 3 * active_interval + skew_time(priority, active_interval);
}

/// The unit of the wire.
inline constexpr Duration centisecond = std::chrono::milliseconds{10};

} // namespace sluice::vrrp
