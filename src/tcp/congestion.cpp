#include "tcp/congestion.hpp"

namespace sluice::tcp {

void on_acknowledged(Congestion& congestion, std::uint32_t acknowledged, std::uint32_t in_flight,
                     std::uint32_t segment_size) noexcept
{
    if (congestion.slow_start()) {
        if (congestion.window < 2 * std::uint64_t{in_flight}) {
            congestion.window = std::min(congestion.window + acknowledged, congestion_window_maximum);
        }
        return;
    }
    if (std::uint64_t{in_flight} + segment_size <= congestion.window) {
        return;
    }
    // Appropriate byte counting (RFC 3465 §2.1): one segment for each window's worth of acknowledged bytes.
    congestion.acknowledged += acknowledged;
    if (congestion.acknowledged >= congestion.window) {
        congestion.acknowledged -= congestion.window;
        congestion.window = std::min(congestion.window + segment_size, congestion_window_maximum);
    }
}

void on_loss(Congestion& congestion, std::uint32_t in_flight, std::uint32_t segment_size) noexcept
{
    congestion.threshold = std::max(in_flight / 2, 2 * segment_size);
    congestion.window = congestion.threshold;
    congestion.acknowledged = 0;
}

void on_timeout(Congestion& congestion, std::uint32_t in_flight, std::uint32_t segment_size, bool first) noexcept
{
    if (first) {
        congestion.threshold = std::max(in_flight / 2, 2 * segment_size);
    }
    congestion.window = segment_size;
    congestion.acknowledged = 0;
}

void on_idle(Congestion& congestion, std::uint32_t segment_size) noexcept
{
    congestion.window = std::min(congestion.window, initial_window(segment_size));
}

} // namespace sluice::tcp
