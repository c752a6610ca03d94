// The buffers of bodies and heads in flight on one worker. Idle connections hold none.
#pragma once

#include <sluice/base/bytes.hpp>

#include <boost/intrusive/list.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <vector>

namespace sluice::proxy {

/// Somebody for whom there was no block.
class BlockWaiter
    : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
public:
    virtual ~BlockWaiter() = default;
    /// There is one again, for whoever takes it first. Called while something is destroyed elsewhere: must only begin
    /// operations or notify signals.
    virtual void block_returned() noexcept = 0;
};

class BlockPool {
public:
    static constexpr std::size_t block_bytes = 16 * 1024;

    struct Return {
        BlockPool* pool = nullptr;
        void operator()(std::byte* block) const noexcept { pool->give_back(block); }
    };
    using Block = std::unique_ptr<std::byte, Return>;

    /// Free blocks that are kept for reuse; what a crowd has needed beyond goes back.
    static constexpr std::size_t kept = 256;

    explicit BlockPool(std::size_t limit) : limit_{limit} { free_.reserve(std::min(limit, kept)); }
    BlockPool(const BlockPool&) = delete;
    BlockPool& operator=(const BlockPool&) = delete;
    ~BlockPool()
    {
        for (std::byte* block : free_) {
            delete[] block;
        }
    }

    /// `relieve` is called by take() while blocks are scarce, and by who sees that other memory is; it must only cancel
    /// operations or notify signals.
    void when_scarce(void (*relieve)(void*) noexcept, void* owner) noexcept
    {
        relieve_ = relieve;
        owner_ = owner;
    }
    void ask_for_relief() const noexcept
    {
        if (relieve_ != nullptr) {
            relieve_(owner_);
        }
    }
    /// Less than a quarter is left.
    [[nodiscard]] bool scarce() const noexcept { return lent() > limit_ / 4 * 3; }
    /// Hardly any is left.
    [[nodiscard]] bool nearly_gone() const noexcept { return lent() > limit_ / 8 * 7; }

    /// Null when the limit is reached or memory is out.
    [[nodiscard]] Block take() noexcept
    {
        if (scarce()) [[unlikely]] {
            ask_for_relief();
        }
        std::byte* block = nullptr;
        if (lent_ < limit_ && !free_.empty()) {
            block = free_.back();
            free_.pop_back();
        } else if (lent_ < limit_) {
            block = new (std::nothrow) std::byte[block_bytes];
        }
        lent_ += block != nullptr ? 1 : 0;
        return Block{block, Return{this}};
    }
    /// After take() has failed: tells in turn, once.
    void wait(BlockWaiter& waiter) noexcept { waiting_.push_back(waiter); }
    [[nodiscard]] std::size_t lent() const noexcept { return lent_; }
    [[nodiscard]] std::size_t free() const noexcept { return free_.size(); }

private:
    void give_back(std::byte* block) noexcept
    {
        --lent_;
        if (free_.size() < std::min(limit_, kept)) {
            free_.push_back(block);
        } else {
            delete[] block;
        }
        if (!waiting_.empty()) [[unlikely]] {
            BlockWaiter& first = waiting_.front();
            first.unlink();
            first.block_returned();
        }
    }

    boost::intrusive::list<BlockWaiter, boost::intrusive::constant_time_size<false>> waiting_;
    std::vector<std::byte*> free_; ///< Reserved, so giving back never allocates.
    std::size_t limit_;
    std::size_t lent_ = 0;
    void (*relieve_)(void*) noexcept = nullptr;
    void* owner_ = nullptr;
};

} // namespace sluice::proxy
