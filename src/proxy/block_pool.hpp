// The buffers of bodies and heads in flight on one worker. Idle connections hold none.
#pragma once

#include <sluice/base/bytes.hpp>

#include <cstddef>
#include <memory>
#include <vector>

namespace sluice::proxy {

class BlockPool {
public:
    static constexpr std::size_t block_bytes = 16 * 1024;

    struct Return {
        BlockPool* pool = nullptr;
        void operator()(std::byte* block) const noexcept { pool->free_.push_back(block); }
    };
    using Block = std::unique_ptr<std::byte, Return>;

    explicit BlockPool(std::size_t limit) : limit_{limit} { free_.reserve(limit); }
    BlockPool(const BlockPool&) = delete;
    BlockPool& operator=(const BlockPool&) = delete;
    ~BlockPool()
    {
        for (std::byte* block : free_) {
            delete[] block;
        }
    }

    /// Null when the limit is reached or memory is out.
    [[nodiscard]] Block take() noexcept
    {
        if (!free_.empty()) {
            std::byte* block = free_.back();
            free_.pop_back();
            return Block{block, Return{this}};
        }
        std::byte* block = made_ < limit_ ? new (std::nothrow) std::byte[block_bytes] : nullptr;
        made_ += block != nullptr ? 1 : 0;
        return Block{block, Return{this}};
    }
    [[nodiscard]] std::size_t lent() const noexcept { return made_ - free_.size(); }

private:
    std::vector<std::byte*> free_; ///< Reserved to its limit, so giving back never allocates.
    std::size_t limit_;
    std::size_t made_ = 0;
};

} // namespace sluice::proxy
