#include "tcp/received_access.hpp"

#include <algorithm>
#include <cstring>

namespace sluice::tcp {

Bytes Received::data() const noexcept
{
    const std::size_t capacity = size_ != 0 ? std::size_t{1} << shift_ : 0;
    return {block_ + head_, std::min<std::size_t>(size_, capacity - head_)};
}

void Received::consume(std::size_t bytes) noexcept
{
    size_ -= static_cast<std::uint32_t>(bytes);
    if (size_ == 0) {
        reset();
    } else {
        head_ = static_cast<std::uint32_t>((head_ + bytes) & ((std::size_t{1} << shift_) - 1));
    }
}

void Received::reset() noexcept
{
    if (BufferPool* const pool = std::exchange(pool_, nullptr)) {
        pool->release(block_, shift_);
        block_ = nullptr;
    }
    head_ = size_ = 0;
}

std::size_t ReceivedAccess::append(Received& to, const ByteRing& from, std::size_t size) noexcept
{
    const std::size_t room =
        (std::size_t{1} << to.shift_) - std::min<std::size_t>(to.head_ + to.size_, std::size_t{1} << to.shift_);
    const std::size_t part = std::min(room, size);
    from.read(0, {to.block_ + to.head_ + to.size_, part});
    to.size_ += static_cast<std::uint32_t>(part);
    return part;
}

std::size_t ReceivedAccess::copy(Received& to, BufferPool& pool, const ByteRing& from, std::size_t size) noexcept
{
    unsigned shift = ByteRing::smallest_shift;
    while ((std::size_t{1} << shift) < size) {
        ++shift;
    }
    std::byte* block = pool.allocate(shift);
    if (block == nullptr && shift != ByteRing::smallest_shift) {
        shift = ByteRing::smallest_shift;
        block = pool.allocate(shift);
    }
    if (block == nullptr) {
        return 0;
    }
    to.pool_ = &pool;
    to.block_ = block;
    to.shift_ = static_cast<std::uint8_t>(shift);
    to.head_ = to.size_ = 0;
    return append(to, from, size);
}

void ReceivedAccess::adopt(Received& to, BufferPool& pool, const ByteRing::Block& block, std::size_t size) noexcept
{
    to.pool_ = &pool;
    to.block_ = block.data;
    to.head_ = block.head;
    to.shift_ = block.shift;
    to.size_ = static_cast<std::uint32_t>(size);
}

} // namespace sluice::tcp
