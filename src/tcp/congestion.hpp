// Congestion control: how much may be in flight (RFC 5681, RFC 6582, RFC 6928). Pure functions over plain state, in
// bytes.
#pragma once

#include <algorithm>
#include <cstdint>

namespace sluice::tcp {

struct Congestion {
    std::uint32_t window = 0;             ///< cwnd
    std::uint32_t threshold = 0x7fffffff; ///< ssthresh
    std::uint32_t acknowledged = 0;       ///< Bytes since the window last grew, in congestion avoidance

    [[nodiscard]] bool slow_start() const noexcept { return window < threshold; }
};

inline constexpr std::uint32_t congestion_window_maximum = 1U << 30U;

/// RFC 6928 §2: about ten segments.
[[nodiscard]] constexpr std::uint32_t initial_window(std::uint32_t segment_size) noexcept
{
    return std::min(10 * segment_size, std::max(2 * segment_size, 14600U));
}

/// New data was acknowledged outside of loss recovery. `in_flight` is what was outstanding before: a window that was
/// not used says nothing about the network and does not grow (RFC 7661 §4.1).
void on_acknowledged(Congestion& congestion, std::uint32_t acknowledged, std::uint32_t in_flight,
                     std::uint32_t segment_size) noexcept;

/// Fast recovery begins (RFC 5681 §3.2, RFC 6675 §5 step 4).
void on_loss(Congestion& congestion, std::uint32_t in_flight, std::uint32_t segment_size) noexcept;

/// The retransmission timer fired (RFC 5681 §3.1); `first` unless for the same data again: the threshold is halved
/// once.
void on_timeout(Congestion& congestion, std::uint32_t in_flight, std::uint32_t segment_size, bool first) noexcept;

/// Nothing was sent for longer than the retransmission timeout (RFC 5681 §4.1).
void on_idle(Congestion& congestion, std::uint32_t segment_size) noexcept;

} // namespace sluice::tcp
