// CUBIC (RFC 9438): after a reduction the window grows as a cubic function of time, flat around the size at which the
// last loss happened. Pure functions over plain state; windows in segments and times in seconds where the RFC's
// equations have them, bytes at the edge.
#pragma once

#include <sluice/base/time.hpp>

#include <cstdint>

namespace sluice::tcp {

struct Cubic {
    TimePoint epoch{};         ///< Start of this congestion avoidance; TimePoint{} until its first acknowledgment.
    TimePoint grown_at{};      ///< Time up to which the window has had the chance to grow
    double estimate = 0;       ///< W_est, segments
    float remainder = 0;       ///< Bytes of growth that do not make a whole one yet
    float k = 0;               ///< K, seconds
    std::uint32_t maximum = 0; ///< W_max, bytes; 0 before the first loss
    std::uint32_t prior = 0;   ///< cwnd_prior, bytes
};

inline constexpr double cubic_c = 0.4;    ///< C (RFC 9438 §5.1)
inline constexpr double cubic_beta = 0.7; ///< beta_cubic (RFC 9438 §4.6)
/// alpha_cubic (RFC 9438 §4.3): with it the estimate grows as Reno would on average.
inline constexpr double cubic_alpha = 3 * (1 - cubic_beta) / (1 + cubic_beta);

/// W_cubic(t), segments (RFC 9438 §4.2, figure 1).
[[nodiscard]] double cubic_window(double seconds, double k, double maximum) noexcept;
/// K, seconds (figure 2).
[[nodiscard]] double cubic_k(double maximum, double window) noexcept;

/// The window after `acknowledged` bytes in congestion avoidance, with a window that was used to the full.
[[nodiscard]] std::uint32_t cubic_grow(Cubic& cubic, std::uint32_t window, std::uint32_t acknowledged,
                                       std::uint32_t segment_size, Duration smoothed_rtt, TimePoint now) noexcept;
/// The same with a window that was not: time that the sender left unused does not count.
void cubic_pause(Cubic& cubic, TimePoint now) noexcept;
/// Loss with `window`: remembers where it was, lower when it was not even reached again (fast convergence, §4.7).
void cubic_reduce(Cubic& cubic, std::uint32_t window) noexcept;

} // namespace sluice::tcp
