// Blocks that TLS connections of one core borrow while records are in flight. An idle connection holds none, which is
// what keeps it below 20 KB.
#pragma once

#include <cstddef>
#include <vector>

namespace sluice::tls {

/// Belongs to one core; not thread-safe. Must outlive every Engine that uses it.
class BufferPool {
public:
    /// The largest record of RFC 8446, section 5.2, (16,384 bytes of content) with room for a few control messages.
    static constexpr std::size_t block_size = 17 * 1024;

    /// Free blocks that are kept for reuse; what a crowd has needed beyond goes back.
    static constexpr std::size_t kept = 256;

    /// At most `limit` blocks are lent at a time.
    explicit BufferPool(std::size_t limit);
    ~BufferPool();
    BufferPool(const BufferPool&) = delete;
    BufferPool& operator=(const BufferPool&) = delete;

    /// `block_size` bytes, or null when the limit is reached.
    [[nodiscard]] std::byte* acquire() noexcept;
    void release(std::byte* block) noexcept;

    [[nodiscard]] std::size_t lent() const noexcept { return lent_; }
    [[nodiscard]] std::size_t free() const noexcept { return free_.size(); }
    [[nodiscard]] std::size_t limit() const noexcept { return limit_; }

private:
    std::vector<std::byte*> free_; ///< Its capacity is reserved at construction.
    std::size_t limit_;
    std::size_t lent_ = 0;
};

} // namespace sluice::tls
