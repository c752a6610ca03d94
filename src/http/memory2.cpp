#include "http/memory2.hpp"

#include <cstdint>
#include <cstdlib>
#include <limits>

namespace sluice::http::http2 {

/// The size stands before each block; 16 bytes keep malloc's alignment.
static constexpr std::size_t header_bytes = 16;

static std::size_t& size_of(void* block) noexcept { return *static_cast<std::size_t*>(block); }
static void* block_of(void* memory) noexcept { return static_cast<std::byte*>(memory) - header_bytes; }
static void* memory_of(void* block) noexcept { return static_cast<std::byte*>(block) + header_bytes; }

void* CappedMemory::allocate(std::size_t bytes, bool zero) noexcept
{
    if (bytes > cap_bytes_ - used_bytes_) {
        return nullptr;
    }
    void* block = zero ? std::calloc(1, bytes + header_bytes) : std::malloc(bytes + header_bytes);
    if (block == nullptr) {
        return nullptr;
    }
    size_of(block) = bytes;
    used_bytes_ += bytes;
    return memory_of(block);
}

void* CappedMemory::reallocate(void* old, std::size_t bytes) noexcept
{
    if (old == nullptr) {
        return allocate(bytes, false);
    }
    const std::size_t before = size_of(block_of(old));
    if (bytes > before && bytes - before > cap_bytes_ - used_bytes_) {
        return nullptr;
    }
    void* block = std::realloc(block_of(old), bytes + header_bytes);
    if (block == nullptr) {
        return nullptr;
    }
    size_of(block) = bytes;
    used_bytes_ = used_bytes_ - before + bytes;
    return memory_of(block);
}

void CappedMemory::release(void* memory) noexcept
{
    if (memory != nullptr) {
        used_bytes_ -= size_of(block_of(memory));
        std::free(block_of(memory));
    }
}

nghttp2_mem CappedMemory::interface() noexcept
{
    return {this,
            [](std::size_t bytes, void* user) { return static_cast<CappedMemory*>(user)->allocate(bytes, false); },
            [](void* memory, void* user) { static_cast<CappedMemory*>(user)->release(memory); },
            [](std::size_t count, std::size_t bytes, void* user) -> void* {
                if (bytes != 0 && count > std::numeric_limits<std::size_t>::max() / bytes) {
                    return nullptr;
                }
                return static_cast<CappedMemory*>(user)->allocate(count * bytes, true);
            },
            [](void* old, std::size_t bytes, void* user) {
                return static_cast<CappedMemory*>(user)->reallocate(old, bytes);
            }};
}

} // namespace sluice::http::http2
