#include <sluice/tls/buffer_pool.hpp>

#include <algorithm>
#include <new>

namespace sluice::tls {

BufferPool::BufferPool(std::size_t limit) : limit_{limit} { free_.reserve(std::min(limit, kept)); }

BufferPool::~BufferPool()
{
    for (std::byte* block : free_) {
        ::operator delete(block);
    }
}

std::byte* BufferPool::acquire() noexcept
{
    if (lent_ == limit_) {
        return nullptr;
    }
    std::byte* block = nullptr;
    if (free_.empty()) {
        block = static_cast<std::byte*>(::operator new(block_size, std::nothrow));
    } else {
        block = free_.back();
        free_.pop_back();
    }
    lent_ += block != nullptr ? 1 : 0;
    return block;
}

void BufferPool::release(std::byte* block) noexcept
{
    --lent_;
    if (free_.size() < std::min(limit_, kept)) {
        free_.push_back(block); // Never reallocates.
    } else {
        ::operator delete(block);
    }
}

} // namespace sluice::tls
