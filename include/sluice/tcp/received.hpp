// Received bytes that have left their connection in the very block they were assembled in: nothing is copied between
// TCP and who reads them. The owner thread of the loop only; must not outlive the stack.
#pragma once

#include <sluice/base/bytes.hpp>

#include <cstdint>
#include <utility>

namespace sluice::tcp {

class BufferPool;
struct ReceivedAccess;

/// Empty, or a block of the stack's buffer memory, which it goes on counting against. Movable.
class Received {
public:
    Received() noexcept = default;
    Received(Received&& other) noexcept
        : pool_{std::exchange(other.pool_, nullptr)}, block_{other.block_}, head_{other.head_},
          size_{std::exchange(other.size_, 0)}, shift_{other.shift_}
    {
    }
    Received& operator=(Received&& other) noexcept
    {
        if (this != &other) {
            reset();
            pool_ = std::exchange(other.pool_, nullptr);
            block_ = other.block_;
            head_ = other.head_;
            size_ = std::exchange(other.size_, 0);
            shift_ = other.shift_;
        }
        return *this;
    }
    Received(const Received&) = delete;
    Received& operator=(const Received&) = delete;
    ~Received() { reset(); }

    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    /// The first bytes, and all of them unless they wrap around the end of their block. Valid until the next call that
    /// is not const.
    [[nodiscard]] Bytes data() const noexcept;
    /// At most size(). The block goes back with the last byte.
    void consume(std::size_t bytes) noexcept;
    void reset() noexcept;

private:
    friend struct ReceivedAccess;

    BufferPool* pool_ = nullptr;
    std::byte* block_ = nullptr;
    std::uint32_t head_ = 0;
    std::uint32_t size_ = 0;
    std::uint8_t shift_ = 0;
};

} // namespace sluice::tcp
