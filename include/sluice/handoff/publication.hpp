// Read-copy-update by quiescent points: one publisher, many cores. A core reads the current value at the start of its
// turn and uses it only within that turn; when every core has started a later turn, the old value has no reader.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

namespace sluice::handoff {

template <class Value, std::size_t MaximumCores = 16>
class Publication {
public:
    Publication() = default;
    Publication(const Publication&) = delete;
    Publication& operator=(const Publication&) = delete;

    /// Publisher. Makes `value` current. The old one stays alive until retire() says it has no reader.
    void publish(std::unique_ptr<const Value> value) noexcept
    {
        previous_ = std::move(current_);
        current_ = std::move(value);
        pointer_.store(current_.get(), std::memory_order_release);
        generation_.fetch_add(1, std::memory_order_seq_cst);
    }
    /// Core `core`, at the start of each turn: passes its quiet point and returns what is current (null before the
    /// first publish). The pointer is good until the core's next call.
    [[nodiscard]] const Value* quiet_point(std::size_t core) noexcept
    {
        const std::uint64_t generation = generation_.load(std::memory_order_seq_cst);
        seen_[core].value.store(generation, std::memory_order_release);
        return pointer_.load(std::memory_order_acquire);
    }
    /// Publisher: have cores 0..cores-1 all passed a quiet point since the last publish? Frees the old value if so.
    [[nodiscard]] bool retire(std::size_t cores) noexcept
    {
        const std::uint64_t generation = generation_.load(std::memory_order_relaxed);
        for (std::size_t core = 0; core < cores; ++core) {
            if (seen_[core].value.load(std::memory_order_acquire) != generation) {
                return false;
            }
        }
        previous_.reset();
        return true;
    }
    /// Publisher. Generations published so far.
    [[nodiscard]] std::uint64_t generation() const noexcept { return generation_.load(std::memory_order_relaxed); }
    /// Publisher.
    [[nodiscard]] const Value* current() const noexcept { return current_.get(); }

private:
    struct alignas(64) Seen {
        std::atomic<std::uint64_t> value{0};
    };

    std::unique_ptr<const Value> current_;
    std::unique_ptr<const Value> previous_;
    alignas(64) std::atomic<const Value*> pointer_{nullptr};
    std::atomic<std::uint64_t> generation_{0};
    std::array<Seen, MaximumCores> seen_{};
};

} // namespace sluice::handoff
