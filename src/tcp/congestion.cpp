#include "tcp/congestion.hpp"

namespace sluice::tcp {
namespace {

void lower_threshold(Congestion& congestion, std::uint32_t in_flight, std::uint32_t segment_size) noexcept
{
    const std::uint32_t used = std::min(in_flight, congestion.window);
    if (congestion.algorithm == CongestionControl::cubic) {
        cubic_reduce(congestion.cubic, congestion.window);
        congestion.threshold = static_cast<std::uint32_t>(used * cubic_beta);
    } else {
        congestion.threshold = used / 2;
    }
    congestion.threshold = std::max(congestion.threshold, 2 * segment_size);
}

} // namespace

void on_acknowledged(Congestion& congestion, std::uint32_t acknowledged, std::uint32_t in_flight,
                     const CongestionContext& context) noexcept
{
    if (congestion.slow_start()) {
        if (congestion.window < 2 * std::uint64_t{in_flight}) {
            congestion.window = std::min(congestion.window + acknowledged, congestion_window_maximum);
        }
        return;
    }
    const bool limited = std::uint64_t{in_flight} + context.segment_size > congestion.window;
    if (congestion.algorithm == CongestionControl::cubic) {
        if (limited) {
            congestion.window = std::min(cubic_grow(congestion.cubic, congestion.window, acknowledged,
                                                    context.segment_size, context.smoothed_rtt, context.now),
                                         congestion_window_maximum);
        } else {
            cubic_pause(congestion.cubic, context.now);
        }
        return;
    }
    if (!limited) {
        return;
    }
    // Appropriate byte counting (RFC 3465 §2.1): one segment for each window's worth of acknowledged bytes.
    congestion.acknowledged += acknowledged;
    if (congestion.acknowledged >= congestion.window) {
        congestion.acknowledged -= congestion.window;
        congestion.window = std::min(congestion.window + context.segment_size, congestion_window_maximum);
    }
}

void on_loss(Congestion& congestion, std::uint32_t in_flight, std::uint32_t segment_size) noexcept
{
    lower_threshold(congestion, in_flight, segment_size);
    congestion.window = congestion.threshold;
    congestion.acknowledged = 0;
}

void on_timeout(Congestion& congestion, std::uint32_t in_flight, std::uint32_t segment_size, bool first) noexcept
{
    if (first) {
        lower_threshold(congestion, in_flight, segment_size);
    }
    congestion.window = segment_size;
    congestion.acknowledged = 0;
}

void on_idle(Congestion& congestion, std::uint32_t segment_size) noexcept
{
    congestion.window = std::min(congestion.window, initial_window(segment_size));
    congestion.cubic.epoch = TimePoint{};
}

void undo_reduction(Congestion& congestion, const BeforeReduction& before) noexcept
{
    congestion.window = std::max(congestion.window, before.window);
    congestion.threshold = std::max(congestion.threshold, before.threshold);
    congestion.cubic.maximum = before.maximum;
    congestion.cubic.epoch = TimePoint{};
}

} // namespace sluice::tcp
