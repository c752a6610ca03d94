// A bounded queue from one core to one other. std::atomic only, so that ThreadSanitizer can judge it.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <memory>
#include <utility>

namespace sluice::handoff {

/// Single producer, single consumer. A full ring refuses: the producer drops and counts at that one place.
template <class Item>
class Ring {
public:
    /// Room for at least `capacity` items (rounded up to a power of two), allocated now.
    explicit Ring(std::size_t capacity)
        : mask_{std::bit_ceil(capacity) - 1}, items_{std::make_unique<Item[]>(mask_ + 1)}
    {
    }

    /// Producer. False when the ring is full; `item` is untouched then.
    [[nodiscard]] bool push(Item&& item) noexcept
    {
        const std::size_t tail = tail_.load(std::memory_order_relaxed);
        if (tail - head_seen_ > mask_) {
            head_seen_ = head_.load(std::memory_order_acquire);
            if (tail - head_seen_ > mask_) {
                return false;
            }
        }
        items_[tail & mask_] = std::move(item);
        tail_.store(tail + 1, std::memory_order_release);
        return true;
    }

    /// Consumer. False when the ring is empty.
    [[nodiscard]] bool pop(Item& out) noexcept
    {
        const std::size_t head = head_.load(std::memory_order_relaxed);
        if (head == tail_seen_) {
            tail_seen_ = tail_.load(std::memory_order_acquire);
            if (head == tail_seen_) {
                return false;
            }
        }
        out = std::move(items_[head & mask_]);
        head_.store(head + 1, std::memory_order_release);
        return true;
    }

    /// Any thread; a moment's value.
    [[nodiscard]] std::size_t size() const noexcept
    {
        return tail_.load(std::memory_order_acquire) - head_.load(std::memory_order_acquire);
    }
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    [[nodiscard]] std::size_t capacity() const noexcept { return mask_ + 1; }

private:
    std::size_t mask_;
    std::unique_ptr<Item[]> items_;
    alignas(64) std::atomic<std::size_t> tail_{0};
    std::size_t head_seen_ = 0; ///< Producer's copy of head_, so that it is read only when the ring looks full
    alignas(64) std::atomic<std::size_t> head_{0};
    std::size_t tail_seen_ = 0; ///< Consumer's copy of tail_
};

} // namespace sluice::handoff
