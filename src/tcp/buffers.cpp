#include "tcp/buffers.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace sluice::tcp {

BufferPool::~BufferPool()
{
    for (Free* block : free_) {
        while (block != nullptr) {
            Free* const next = block->next;
            std::free(block);
            block = next;
        }
    }
}

std::byte* BufferPool::allocate(unsigned shift) noexcept
{
    const std::size_t size = std::size_t{1} << shift;
    if (size > limit_ - std::min(used_, limit_)) {
        return nullptr;
    }
    void* block = nullptr;
    if (shift <= largest_cached_shift && free_[shift - smallest_shift] != nullptr) {
        Free*& head = free_[shift - smallest_shift];
        block = head;
        head = head->next;
        cached_ -= size;
    } else {
        make_room(size);
        block = std::malloc(size);
    }
    if (block != nullptr) {
        used_ += size;
    }
    return static_cast<std::byte*>(block);
}

/// Blocks that wait for reuse are within the limit too: the largest go first.
void BufferPool::make_room(std::size_t size) noexcept
{
    for (unsigned shift = largest_cached_shift; cached_ != 0 && used_ + cached_ + size > limit_;) {
        Free*& head = free_[shift - smallest_shift];
        if (head == nullptr) {
            --shift;
            continue;
        }
        std::free(std::exchange(head, head->next));
        cached_ -= std::size_t{1} << shift;
    }
}

void BufferPool::release(std::byte* block, unsigned shift) noexcept
{
    const std::size_t size = std::size_t{1} << shift;
    used_ -= size;
    if (shift <= largest_cached_shift && cached_ + size <= cache_limit_) {
        free_[shift - smallest_shift] = new (block) Free{free_[shift - smallest_shift]};
        cached_ += size;
    } else {
        std::free(block);
    }
}

std::size_t BufferPool::share() const noexcept
{
    constexpr std::size_t medium = 16 * 1024;
    constexpr std::size_t small = 4 * 1024;
    const std::size_t plenty = limit_ / 4 * 3;
    const std::size_t large = std::bit_floor(plenty - std::min(used_, plenty));
    if (large > medium) {
        return large;
    }
    return used_ + medium <= limit_ / 8 * 7 ? medium : small;
}

bool ByteRing::reserve(BufferPool& pool, std::size_t needed, std::size_t kept) noexcept
{
    if (needed <= capacity()) {
        return true;
    }
    const unsigned first = data_ == nullptr && !pool.under_pressure() ? first_shift_ : smallest_shift;
    const auto shift = std::max(static_cast<unsigned>(std::bit_width(needed - 1)), first);
    if (shift > BufferPool::largest_shift) {
        return false;
    }
    std::byte* const grown = pool.allocate(shift);
    if (grown == nullptr) {
        return false;
    }
    if (data_ != nullptr) {
        read(0, {grown, kept});
        pool.release(data_, shift_);
    }
    data_ = grown;
    head_ = 0;
    shift_ = static_cast<std::uint8_t>(shift);
    return true;
}

std::array<Bytes, 2> ByteRing::view(std::size_t offset, std::size_t size) const noexcept
{
    const std::size_t start = (head_ + offset) & (capacity() - 1);
    const std::size_t first = std::min(size, capacity() - start);
    return {Bytes{data_ + start, first}, Bytes{data_, size - first}};
}

void ByteRing::write(std::size_t offset, Bytes bytes) noexcept
{
    if (bytes.empty()) {
        return;
    }
    const std::size_t start = (head_ + offset) & (capacity() - 1);
    const std::size_t first = std::min(bytes.size(), capacity() - start);
    std::memcpy(data_ + start, bytes.data(), first);
    std::memcpy(data_, bytes.data() + first, bytes.size() - first);
}

void ByteRing::read(std::size_t offset, MutableBytes to) const noexcept
{
    if (to.empty()) {
        return;
    }
    const auto pieces = view(offset, to.size());
    std::memcpy(to.data(), pieces[0].data(), pieces[0].size());
    if (!pieces[1].empty()) {
        std::memcpy(to.data() + pieces[0].size(), pieces[1].data(), pieces[1].size());
    }
}

ByteRing::Block ByteRing::take(std::size_t size) noexcept
{
    const unsigned wanted = static_cast<unsigned>(std::bit_width(std::max<std::size_t>(size, 1) - 1));
    first_shift_ = static_cast<std::uint8_t>(std::clamp(wanted, smallest_shift, BufferPool::largest_cached_shift));
    return {std::exchange(data_, nullptr), std::exchange(head_, 0), shift_};
}

void ByteRing::release(BufferPool& pool) noexcept
{
    if (data_ != nullptr) {
        pool.release(data_, shift_);
        data_ = nullptr;
        head_ = 0;
    }
}

} // namespace sluice::tcp
