#include <sluice/packet/heap_pool.hpp>

#include <cassert>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) static_cast<void>(0)
#define ASAN_UNPOISON_MEMORY_REGION(address, size) static_cast<void>(0)
#endif

namespace sluice::packet {
namespace {

constexpr std::size_t cache_line = 64;

} // namespace

HeapPool::HeapPool(std::size_t count, std::size_t data_room)
    : count_{count}, room_{default_headroom + data_room}, stride_{(sizeof(Buffer) + room_ + cache_line - 1) /
                                                                  cache_line * cache_line},
      memory_{new std::byte[stride_ * count]}, available_{count}
{
    for (std::size_t index = count; index-- > 0;) {
        auto* buffer = new (memory_.get() + index * stride_) Buffer;
        buffer->next = free_;
        free_ = buffer;
        ASAN_POISON_MEMORY_REGION(room_of(buffer), room_);
    }
}

HeapPool::~HeapPool()
{
    assert(available() == count_ && "a packet outlives its pool");
    ASAN_UNPOISON_MEMORY_REGION(memory_.get(), stride_ * count_);
}

std::byte* HeapPool::room_of(Buffer* buffer) const noexcept
{
    return reinterpret_cast<std::byte*>(buffer) + sizeof(Buffer);
}

Packet HeapPool::allocate() noexcept
{
    if (free_ == nullptr) {
        free_ = returned_.exchange(nullptr, std::memory_order_acquire);
        if (free_ == nullptr) {
            return {};
        }
    }
    Buffer* const buffer = free_;
    free_ = buffer->next;
    available_.fetch_sub(1, std::memory_order_relaxed);
    // Freed buffers are poisoned, so that ASan sees the use of a recycled packet.
    ASAN_UNPOISON_MEMORY_REGION(room_of(buffer), room_);
    return Packet{*this,
                  buffer,
                  room_of(buffer) + default_headroom,
                  0,
                  static_cast<std::uint16_t>(default_headroom),
                  static_cast<std::uint16_t>(room_ - default_headroom)};
}

void HeapPool::release(void* buffer) noexcept
{
    auto* const returned = static_cast<Buffer*>(buffer);
    ASAN_POISON_MEMORY_REGION(room_of(returned), room_);
    available_.fetch_add(1, std::memory_order_relaxed);
    returned->next = returned_.load(std::memory_order_relaxed);
    while (!returned_.compare_exchange_weak(returned->next, returned, std::memory_order_release,
                                            std::memory_order_relaxed)) {
    }
}

} // namespace sluice::packet
