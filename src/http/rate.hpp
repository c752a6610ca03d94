// A token bucket over the project's clock.
#pragma once

#include <sluice/base/time.hpp>
#include <sluice/http/http2.hpp>

#include <algorithm>

namespace sluice::http::http2 {

class RateLimiter {
public:
    RateLimiter(Rate rate, TimePoint now) noexcept : rate_{rate}, tokens_{scaled(rate.burst)}, filled_at_{now} {}

    /// False when nothing is left.
    [[nodiscard]] bool take(TimePoint now) noexcept
    {
        if (now > filled_at_) {
            // A bucket is full again after an hour at the latest; longer gaps would overflow.
            const auto gap = std::min<Duration>(now - filled_at_, std::chrono::hours{1});
            const auto gained =
                static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(gap).count()) *
                rate_.per_second;
            if (gained != 0) {
                tokens_ = std::min(scaled(rate_.burst), tokens_ + gained);
                filled_at_ = now;
            }
        }
        if (tokens_ < scaled(1)) {
            return false;
        }
        tokens_ -= scaled(1);
        return true;
    }

private:
    /// Tokens are counted in millionths: one microsecond at one per second.
    [[nodiscard]] static std::uint64_t scaled(std::uint64_t tokens) noexcept { return tokens * 1'000'000; }

    Rate rate_;
    std::uint64_t tokens_;
    TimePoint filled_at_;
};

} // namespace sluice::http::http2
