#include "tcp/cubic.hpp"

#include <algorithm>
#include <cmath>

namespace sluice::tcp {

double cubic_window(double seconds, double k, double maximum) noexcept
{
    const double from_k = seconds - k;
    return cubic_c * from_k * from_k * from_k + maximum;
}

double cubic_k(double maximum, double window) noexcept
{
    return maximum > window ? std::cbrt((maximum - window) / cubic_c) : 0.0;
}

std::uint32_t cubic_grow(Cubic& cubic, std::uint32_t window, std::uint32_t acknowledged, std::uint32_t segment_size,
                         Duration smoothed_rtt, TimePoint now) noexcept
{
    const double size = segment_size;
    const double segments = window / size;
    if (cubic.epoch == TimePoint{}) {
        cubic.epoch = now;
        cubic.estimate = segments;
        cubic.remainder = 0;
        // Slow start may have ended above W_max, or there was no loss yet: the plateau is here then (RFC 9438 §4.8,
        // §4.10).
        cubic.maximum = std::max(cubic.maximum, window);
        cubic.prior = std::max(cubic.prior, window);
        cubic.k = static_cast<float>(cubic_k(cubic.maximum / size, segments));
    }
    cubic.grown_at = now;
    const double acknowledged_segments = acknowledged / size;
    // Once where it was before the loss, the estimate grows as Reno does (§4.3).
    const double alpha = cubic.estimate * size >= cubic.prior ? 1.0 : cubic_alpha;
    cubic.estimate += alpha * acknowledged_segments / segments;

    const double maximum = cubic.maximum / size;
    const double seconds = std::chrono::duration<double>(now - cubic.epoch).count();
    const std::uint32_t most = window + acknowledged;               // No faster than slow start
    if (cubic_window(seconds, cubic.k, maximum) < cubic.estimate) { // Reno-friendly region (§4.3)
        cubic.remainder = 0;
        return std::max(window, static_cast<std::uint32_t>(std::min(cubic.estimate * size, static_cast<double>(most))));
    }
    const double ahead = seconds + std::chrono::duration<double>(smoothed_rtt).count();
    const double target = std::clamp(cubic_window(ahead, cubic.k, maximum), segments, 1.5 * segments);
    const double growth = cubic.remainder + (target - segments) / segments * acknowledged; // §4.4, §4.5
    const double whole = std::floor(growth);
    cubic.remainder = static_cast<float>(growth - whole);
    return std::min(window + static_cast<std::uint32_t>(whole), most);
}

void cubic_pause(Cubic& cubic, TimePoint now) noexcept
{
    if (cubic.epoch != TimePoint{}) {
        cubic.epoch += now - cubic.grown_at;
        cubic.grown_at = now;
    }
}

void cubic_reduce(Cubic& cubic, std::uint32_t window) noexcept
{
    cubic.prior = window;
    cubic.maximum = window < cubic.maximum ? static_cast<std::uint32_t>(window * (1 + cubic_beta) / 2) : window;
    cubic.epoch = TimePoint{};
}

} // namespace sluice::tcp
