// How an idle core sleeps: on its ports' descriptors and its wake-up, until the next timer. A port without a descriptor
// bounds the sleep: 50 µs at first, 2 ms in the end.
#pragma once

#include <sluice/base/time.hpp>
#include <sluice/handoff/wakeup.hpp>
#include <sluice/port/port.hpp>

#include <span>

namespace sluice::app {

class Sleeper {
public:
    /// `descriptors`: of the receive queues that this core owns; -1 for one that has none.
    Sleeper(handoff::Wakeup& wakeup, std::span<const int> descriptors);
    ~Sleeper();
    Sleeper(const Sleeper&) = delete;
    Sleeper& operator=(const Sleeper&) = delete;

    [[nodiscard]] handoff::Wakeup& wakeup() noexcept { return wakeup_; }
    /// Sleeps until a descriptor is readable, a wake-up, or `most` has passed. Arm the wake-up first.
    void sleep(Duration most) noexcept;
    /// There was work: the next sleep is a short one again.
    void reset() noexcept { step_ = shortest; }
    /// False when some queue has no descriptor and the core can only nap.
    [[nodiscard]] bool has_all_descriptors() const noexcept { return complete_; }

private:
    static constexpr Duration shortest = std::chrono::microseconds{50};
    static constexpr Duration longest_nap = std::chrono::milliseconds{2};

    handoff::Wakeup& wakeup_;
    int epoll_ = -1;
    bool complete_ = true;
    Duration step_ = shortest;
};

} // namespace sluice::app
