// The earliest of many deadlines: a binary heap that knows where each of its items stands. One core, allocates only
// when made.
#pragma once

#include <sluice/base/time.hpp>

#include <cstdint>
#include <utility>
#include <vector>

namespace sluice::neigh {

class Deadlines {
public:
    explicit Deadlines(std::size_t items) : position_(items, absent), time_(items, never) { heap_.reserve(items); }

    /// Moves an item's deadline; `never` takes it out.
    void set(std::uint32_t item, TimePoint time) noexcept
    {
        time_[item] = time;
        if (time == never) {
            remove(item);
            return;
        }
        if (position_[item] == absent) {
            position_[item] = static_cast<std::uint32_t>(heap_.size());
            heap_.push_back(item);
        }
        sift_up(position_[item]);
        sift_down(position_[item]);
    }
    [[nodiscard]] TimePoint next() const noexcept { return heap_.empty() ? never : time_[heap_.front()]; }
    /// The item of next(); only when next() is not `never`.
    [[nodiscard]] std::uint32_t first() const noexcept { return heap_.front(); }

private:
    static constexpr std::uint32_t absent = 0xffffffffU;

    void remove(std::uint32_t item) noexcept
    {
        const std::uint32_t at = position_[item];
        if (at == absent) {
            return;
        }
        const std::uint32_t last = heap_.back();
        heap_.pop_back();
        position_[item] = absent;
        if (last != item) {
            heap_[at] = last;
            position_[last] = at;
            sift_up(at);
            sift_down(position_[last]);
        }
    }
    void exchange(std::uint32_t left, std::uint32_t right) noexcept
    {
        std::swap(heap_[left], heap_[right]);
        position_[heap_[left]] = left;
        position_[heap_[right]] = right;
    }
    [[nodiscard]] bool before(std::uint32_t left, std::uint32_t right) const noexcept
    {
        return time_[heap_[left]] < time_[heap_[right]];
    }
    void sift_up(std::uint32_t at) noexcept
    {
        for (; at > 0 && before(at, (at - 1) / 2); at = (at - 1) / 2) {
            exchange(at, (at - 1) / 2);
        }
    }
    void sift_down(std::uint32_t at) noexcept
    {
        for (;;) {
            std::uint32_t least = at;
            for (const std::uint32_t child : {2 * at + 1, 2 * at + 2}) {
                if (child < heap_.size() && before(child, least)) {
                    least = child;
                }
            }
            if (least == at) {
                return;
            }
            exchange(at, least);
            at = least;
        }
    }

    std::vector<std::uint32_t> heap_;
    std::vector<std::uint32_t> position_;
    std::vector<TimePoint> time_;
};

} // namespace sluice::neigh
