// A hierarchical timing wheel (Varghese and Lauck) with intrusive nodes: arming, moving and cancelling are O(1) list
// operations without allocation. One core owns a wheel.
#pragma once

#include <sluice/base/time.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace sluice {

class TimerWheel;

/// One timer. It lives inside the object that it wakes; destroying it cancels it. Not movable: the wheel points at it.
class TimerNode {
public:
    /// Called by TimerWheel::advance with the node already disarmed; may arm, cancel or destroy any node, itself
    /// included.
    using Callback = void (*)(TimerNode&, TimePoint now) noexcept;

    explicit TimerNode(Callback callback) noexcept : callback_{callback} {}
    TimerNode(const TimerNode&) = delete;
    TimerNode& operator=(const TimerNode&) = delete;
    ~TimerNode() { unlink(); }

    [[nodiscard]] bool armed() const noexcept { return next_ != nullptr; }
    /// When it is due, rounded up to the wheel's tick; meaningless unless armed.
    [[nodiscard]] TimePoint deadline() const noexcept;

private:
    friend class TimerWheel;
    TimerNode() noexcept : next_{this}, previous_{this} {} // The head of a list.

    void unlink() noexcept
    {
        if (next_ != nullptr) {
            previous_->next_ = next_;
            next_->previous_ = previous_;
            next_ = previous_ = nullptr;
        }
    }

    TimerNode* next_ = nullptr;
    TimerNode* previous_ = nullptr;
    std::uint64_t tick_ = 0;
    Callback callback_ = nullptr;
};

/// Ticks of 2^16 ns (66 us) counted from time zero, six levels of 256 slots: every TimePoint has its place, so nothing
/// wraps. A timer never fires early; it fires at most one tick late, as far as advance() is called in time. About 50
/// KB.
class TimerWheel {
public:
    static constexpr unsigned tick_shift = 16;
    static constexpr Duration tick{std::int64_t{1} << tick_shift};

    explicit TimerWheel(TimePoint start) noexcept;
    TimerWheel(const TimerWheel&) = delete;
    TimerWheel& operator=(const TimerWheel&) = delete;
    /// Disarms what is still armed; the nodes' owners may destroy them afterwards.
    ~TimerWheel();

    /// Arms `node`, or moves it when it is armed. A deadline that has passed is due at the next tick.
    void arm(TimerNode& node, TimePoint deadline) noexcept;
    void cancel(TimerNode& node) noexcept { node.unlink(); }

    /// Fires everything that is due at `now`, earlier slots first, each node at most once unless it arms itself anew
    /// for a tick that has passed. Returns how many fired. Time going backwards is ignored.
    std::size_t advance(TimePoint now) noexcept;

    /// When to call advance() next: not later than the earliest deadline, `never` when nothing is armed. It may be a
    /// point at which nodes only move to a finer level.
    [[nodiscard]] TimePoint next_deadline() const noexcept;

private:
    static constexpr unsigned slot_bits = 8;
    static constexpr unsigned levels = 6;
    static constexpr std::size_t slots = std::size_t{1} << slot_bits;

    struct Level {
        std::array<TimerNode, slots> heads;
        mutable std::array<std::uint64_t, slots / 64>
            occupied{}; ///< A set bit may be stale (its list emptied by cancel).
    };
    struct Event {
        unsigned level = levels;
        std::size_t slot = 0;
        std::uint64_t tick = ~std::uint64_t{0};
    };

    void insert(TimerNode& node) noexcept;
    [[nodiscard]] Event next_event() const noexcept;
    static void splice(TimerNode& from, TimerNode& to) noexcept;

    std::array<Level, levels> wheel_{};
    std::uint64_t current_; ///< The last tick whose timers have fired.
};

inline TimePoint TimerNode::deadline() const noexcept
{
    return TimePoint{Duration{static_cast<std::int64_t>(tick_ << TimerWheel::tick_shift)}};
}

} // namespace sluice
