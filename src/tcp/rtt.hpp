// Round-trip time and the retransmission timeout (RFC 6298). Times in microseconds in 32 bits: over an hour.
#pragma once

#include <sluice/base/time.hpp>

#include <cstdint>

namespace sluice::tcp {

struct RttEstimator {
    std::uint32_t smoothed_us = 0; ///< 0: no sample yet
    std::uint32_t variation_us = 0;

    void sample(Duration measured) noexcept;
    /// RTO before any back-off, within the limits.
    [[nodiscard]] Duration timeout(Duration initial, Duration minimum, Duration maximum) const noexcept;
};

/// `timeout` doubled `times` times, at most `maximum` (RFC 6298 §5.5).
[[nodiscard]] Duration back_off(Duration timeout, unsigned times, Duration maximum) noexcept;

} // namespace sluice::tcp
