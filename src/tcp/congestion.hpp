// Congestion control: how much may be in flight (RFC 5681, RFC 6928; RFC 9438 for CUBIC). Pure functions over plain
// state, in bytes.
#pragma once

#include "tcp/cubic.hpp"

#include <sluice/tcp/options.hpp>

#include <algorithm>
#include <cstdint>

namespace sluice::tcp {

struct Congestion {
    std::uint32_t window = 0;             ///< cwnd
    std::uint32_t threshold = 0x7fffffff; ///< ssthresh
    std::uint32_t acknowledged = 0;       ///< NewReno: bytes since the window last grew, in congestion avoidance
    CongestionControl algorithm = CongestionControl::cubic;
    Cubic cubic;

    [[nodiscard]] bool slow_start() const noexcept { return window < threshold; }
};

inline constexpr std::uint32_t congestion_window_maximum = 1U << 30U;

/// RFC 6928 §2: about ten segments.
[[nodiscard]] constexpr std::uint32_t initial_window(std::uint32_t segment_size) noexcept
{
    return std::min(10 * segment_size, std::max(2 * segment_size, 14600U));
}

/// What congestion avoidance needs to know beside the bytes.
struct CongestionContext {
    std::uint32_t segment_size = 0;
    Duration smoothed_rtt{};
    TimePoint now{};
};

/// New data was acknowledged outside of fast recovery. `in_flight` is what was outstanding before: a window that was
/// not used says nothing about the network and does not grow (RFC 7661 §4.1, RFC 9438 §4.2).
void on_acknowledged(Congestion& congestion, std::uint32_t acknowledged, std::uint32_t in_flight,
                     const CongestionContext& context) noexcept;

/// Fast recovery begins (RFC 5681 §3.2, RFC 9438 §4.6). What limited transmit let out beyond the window is in flight
/// but does not count (RFC 5681 §3.2 step 2).
void on_loss(Congestion& congestion, std::uint32_t in_flight, std::uint32_t segment_size) noexcept;

/// The retransmission timer fired (RFC 5681 §3.1, RFC 9438 §4.8); `first` unless for the same data again: the threshold
/// is lowered once.
void on_timeout(Congestion& congestion, std::uint32_t in_flight, std::uint32_t segment_size, bool first) noexcept;

/// Nothing was sent for longer than the retransmission timeout (RFC 5681 §4.1).
void on_idle(Congestion& congestion, std::uint32_t segment_size) noexcept;

/// What a reduction took, kept until it is clear that the loss was one (RFC 9438 §4.9.1).
struct BeforeReduction {
    std::uint32_t window = 0;
    std::uint32_t threshold = 0;
    std::uint32_t maximum = 0;
};
[[nodiscard]] constexpr BeforeReduction before_reduction(const Congestion& congestion) noexcept
{
    return {congestion.window, congestion.threshold, congestion.cubic.maximum};
}
/// There was no loss: everything as before, or better.
void undo_reduction(Congestion& congestion, const BeforeReduction& before) noexcept;

} // namespace sluice::tcp
