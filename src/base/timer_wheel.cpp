#include <sluice/base/timer_wheel.hpp>

#include <algorithm>
#include <bit>

namespace sluice {
namespace {

std::uint64_t ticks_down(TimePoint time) noexcept
{
    return static_cast<std::uint64_t>(std::max<Duration::rep>(time.time_since_epoch().count(), 0)) >>
           TimerWheel::tick_shift;
}

std::uint64_t ticks_up(TimePoint time) noexcept
{
    const auto count = static_cast<std::uint64_t>(std::max<Duration::rep>(time.time_since_epoch().count(), 0));
    return (count + (std::uint64_t{1} << TimerWheel::tick_shift) - 1) >> TimerWheel::tick_shift;
}

} // namespace

TimerWheel::TimerWheel(TimePoint start) noexcept : current_{ticks_down(start)} {}

TimerWheel::~TimerWheel()
{
    for (Level& level : wheel_) {
        for (TimerNode& head : level.heads) {
            while (head.next_ != &head) {
                head.next_->unlink();
            }
        }
    }
}

void TimerWheel::arm(TimerNode& node, TimePoint deadline) noexcept
{
    node.unlink();
    node.tick_ = std::max(ticks_up(deadline), current_ + 1);
    insert(node);
}

void TimerWheel::insert(TimerNode& node) noexcept
{
    // The highest digit in which the deadline differs from now names the level: everything on a level is due before
    // everything on the levels above it, so the lowest occupied level holds the next deadline.
    const std::uint64_t difference = node.tick_ ^ current_;
    const unsigned level = difference == 0 ? 0U : static_cast<unsigned>(63 - std::countl_zero(difference)) / slot_bits;
    const std::size_t slot = (node.tick_ >> (slot_bits * level)) & (slots - 1);
    TimerNode& head = wheel_[level].heads[slot];
    node.next_ = &head;
    node.previous_ = head.previous_;
    head.previous_->next_ = &node;
    head.previous_ = &node;
    wheel_[level].occupied[slot / 64] |= std::uint64_t{1} << (slot % 64);
}

TimerWheel::Event TimerWheel::next_event() const noexcept
{
    for (unsigned level = 0; level < levels; ++level) {
        const Level& one = wheel_[level];
        const std::uint64_t now_slot = (current_ >> (slot_bits * level)) & (slots - 1);
        for (std::size_t word = now_slot / 64; word < one.occupied.size(); ++word) {
            while (one.occupied[word] != 0) {
                const auto bit = static_cast<std::size_t>(std::countr_zero(one.occupied[word]));
                const std::size_t slot = word * 64 + bit;
                if (one.heads[slot].next_ == &one.heads[slot]) {
                    one.occupied[word] &= ~(std::uint64_t{1} << bit);
                    continue;
                }
                const std::uint64_t above = current_ >> (slot_bits * (level + 1)) << (slot_bits * (level + 1));
                return {level, slot, above | (static_cast<std::uint64_t>(slot) << (slot_bits * level))};
            }
        }
    }
    return {};
}

void TimerWheel::splice(TimerNode& from, TimerNode& to) noexcept
{
    to.next_ = from.next_;
    to.previous_ = from.previous_;
    to.next_->previous_ = &to;
    to.previous_->next_ = &to;
    from.next_ = from.previous_ = &from;
}

std::size_t TimerWheel::advance(TimePoint now) noexcept
{
    const std::uint64_t target = ticks_down(now);
    std::size_t fired = 0;
    while (current_ < target) {
        const Event event = next_event();
        if (event.level == levels || event.tick > target) {
            current_ = target;
            break;
        }
        current_ = std::max(current_, event.tick);
        TimerNode due;
        splice(wheel_[event.level].heads[event.slot], due);
        wheel_[event.level].occupied[event.slot / 64] &= ~(std::uint64_t{1} << (event.slot % 64));
        while (due.next_ != &due) {
            TimerNode& node = *due.next_;
            node.unlink();
            if (node.tick_ <= current_) {
                ++fired;
                node.callback_(node, now);
            } else {
                insert(node);
            }
        }
        due.next_ = due.previous_ = nullptr;
    }
    return fired;
}

TimePoint TimerWheel::next_deadline() const noexcept
{
    const Event event = next_event();
    if (event.level == levels) {
        return never;
    }
    return TimePoint{Duration{static_cast<std::int64_t>(std::max(event.tick, current_ + 1) << tick_shift)}};
}

} // namespace sluice
