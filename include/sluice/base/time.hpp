// Monotonic time as values. Everything that decides takes `now` as an argument; only loops read a clock.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace sluice {

using Duration = std::chrono::nanoseconds;

/// Tag of the project's monotonic time line; it has no now() of its own on purpose.
struct MonotonicTime {
    using rep = Duration::rep;
    using period = Duration::period;
    using duration = Duration;
    using time_point = std::chrono::time_point<MonotonicTime, Duration>;
    static constexpr bool is_steady = true;
};

using TimePoint = MonotonicTime::time_point;

inline constexpr TimePoint never = TimePoint::max();

/// A source of time. Any thread.
class Clock {
public:
    virtual ~Clock() = default;
    [[nodiscard]] virtual TimePoint now() const noexcept = 0;
};

/// CLOCK_MONOTONIC, read through the invariant time stamp counter where the processor has one (about 10 ns).
class SystemClock final : public Clock {
public:
    SystemClock();
    [[nodiscard]] TimePoint now() const noexcept override;

private:
    bool counter_ = false;
    std::uint64_t counter_start_ = 0;
    Duration start_{};
    std::uint64_t multiplier_ = 0; ///< Nanoseconds per tick in 32.32 fixed point.
};

/// Virtual time for tests and simulation. May be read from any thread.
class FakeClock final : public Clock {
public:
    explicit FakeClock(TimePoint start = TimePoint{std::chrono::seconds{1000}}) noexcept
        : now_{start.time_since_epoch().count()}
    {
    }
    [[nodiscard]] TimePoint now() const noexcept override
    {
        return TimePoint{Duration{now_.load(std::memory_order_relaxed)}};
    }
    void advance(Duration by) noexcept { now_.fetch_add(by.count(), std::memory_order_relaxed); }
    void set(TimePoint to) noexcept { now_.store(to.time_since_epoch().count(), std::memory_order_relaxed); }

private:
    std::atomic<Duration::rep> now_;
};

} // namespace sluice
