// Memory for bytes in transit: a capped pool of power-of-two blocks, and a ring over one block that grows by doubling
// and gives its block back when it is empty. So an idle connection holds no buffer.
#pragma once

#include <sluice/base/bytes.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace sluice::tcp {

/// Blocks of 128 bytes to 1 GiB. Small ones are kept for reuse. One core.
class BufferPool {
public:
    static constexpr unsigned smallest_shift = 7;
    static constexpr unsigned largest_cached_shift = 16;
    static constexpr unsigned largest_shift = 30;

    explicit BufferPool(std::size_t limit) noexcept : limit_{limit}, cache_limit_{limit / 8} {}
    BufferPool(const BufferPool&) = delete;
    BufferPool& operator=(const BufferPool&) = delete;
    ~BufferPool();

    /// A block of 2^shift bytes, nullptr when the limit is reached.
    [[nodiscard]] std::byte* allocate(unsigned shift) noexcept;
    void release(std::byte* block, unsigned shift) noexcept;

    [[nodiscard]] std::size_t used() const noexcept { return used_; }
    [[nodiscard]] std::size_t cached() const noexcept { return cached_; }
    /// Three quarters are in use: receive windows stop growing.
    [[nodiscard]] bool under_pressure() const noexcept { return used_ > limit_ / 4 * 3; }
    /// Seven eighths: who holds some and does not move has to make room.
    [[nodiscard]] bool scarce() const noexcept { return used_ > limit_ / 8 * 7; }
    /// Fifteen sixteenths: what is left is for connections that exist.
    [[nodiscard]] bool nearly_full() const noexcept { return used_ > limit_ / 16 * 15; }
    /// What one ring may grow to now: the last quarter of the memory goes round in small pieces, its last half in
    /// smaller ones. A few hundred peers that take nothing must not keep everybody else from moving.
    [[nodiscard]] std::size_t share() const noexcept;

private:
    struct Free {
        Free* next;
    };

    void make_room(std::size_t size) noexcept;

    std::size_t limit_;
    std::size_t cache_limit_;
    std::size_t used_ = 0;
    std::size_t cached_ = 0;
    std::array<Free*, largest_cached_shift - smallest_shift + 1> free_{};
};

/// A ring whose logical byte 0 is the first not consumed. It does not count what is in it: its owner knows which
/// offsets hold data (the receive side writes ahead of gaps).
class ByteRing {
public:
    static constexpr unsigned smallest_shift = 11; ///< 2 KiB

    struct Block {
        std::byte* data;
        std::uint32_t head;
        std::uint8_t shift;
    };

    ByteRing() noexcept = default;
    ByteRing(const ByteRing&) = delete;
    ByteRing& operator=(const ByteRing&) = delete;

    [[nodiscard]] std::size_t capacity() const noexcept { return data_ != nullptr ? std::size_t{1} << shift_ : 0; }
    /// Makes room for `needed` bytes in all, keeping the first `kept`. False when the pool refuses; nothing changed
    /// then.
    [[nodiscard]] bool reserve(BufferPool& pool, std::size_t needed, std::size_t kept) noexcept;
    /// Within what was reserved.
    void write(std::size_t offset, Bytes bytes) noexcept;
    void read(std::size_t offset, MutableBytes to) const noexcept;
    /// The same bytes as one or two pieces.
    [[nodiscard]] std::array<Bytes, 2> view(std::size_t offset, std::size_t size) const noexcept;
    /// Only with a block, and not beyond what is reserved.
    void consume(std::size_t count) noexcept { head_ = static_cast<std::uint32_t>((head_ + count) & (capacity() - 1)); }
    void release(BufferPool& pool) noexcept;
    /// Gives the block away, and is empty; only with a block. The next one begins as large as `size`, what this one
    /// held, asks for: who fills rings as fast as they are taken does not let each of them grow anew.
    [[nodiscard]] Block take(std::size_t size) noexcept;

private:
    std::byte* data_ = nullptr;
    std::uint32_t head_ = 0;
    std::uint8_t shift_ = 0;
    std::uint8_t first_shift_ = smallest_shift; ///< Of the next block
};

} // namespace sluice::tcp
