#include <sluice/tls/buffer_pool.hpp>

#include <new>

namespace sluice::tls {

BufferPool::BufferPool(std::size_t limit) : limit_{limit} { free_.reserve(limit); }

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
    free_.push_back(block); // Never reallocates: at most limit_ blocks exist.
    --lent_;
}

} // namespace sluice::tls
