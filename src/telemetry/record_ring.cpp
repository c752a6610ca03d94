#include <sluice/telemetry/record_ring.hpp>

#include <algorithm>
#include <bit>
#include <cstring>

namespace sluice::telemetry {
namespace {

/// In place of a length: the rest of the ring up to its end is unused.
constexpr std::uint32_t skip_to_start = 0xffffffffU;
constexpr std::size_t least_capacity = 1024;

constexpr std::size_t round_up(std::size_t size) noexcept { return (size + 7) & ~std::size_t{7}; }

} // namespace

RecordRing::RecordRing(std::size_t capacity)
    : bytes_{std::make_unique<std::byte[]>(std::bit_ceil(std::max(capacity, least_capacity)))},
      capacity_{std::bit_ceil(std::max(capacity, least_capacity))}
{
}

MutableBytes RecordRing::reserve(std::size_t size) noexcept
{
    if (size == 0) {
        return {};
    }
    if (size > longest()) {
        discarded_.add();
        return {};
    }
    const std::size_t needed = round_up(header_size + size);
    const std::uint64_t written = written_.load(std::memory_order_relaxed);
    const std::size_t offset = written & (capacity_ - 1);
    const std::size_t skipped = needed <= capacity_ - offset ? 0 : capacity_ - offset;
    if (capacity_ - (written - read_seen_) < skipped + needed) {
        read_seen_ = read_.load(std::memory_order_acquire);
        if (capacity_ - (written - read_seen_) < skipped + needed) {
            discarded_.add();
            return {};
        }
    }
    if (skipped > 0) {
        std::memcpy(&bytes_[offset], &skip_to_start, header_size);
    }
    reserved_at_ = written + skipped;
    return {&bytes_[(reserved_at_ & (capacity_ - 1)) + header_size], size};
}

void RecordRing::commit(std::size_t size) noexcept
{
    const auto length = static_cast<std::uint32_t>(size);
    std::memcpy(&bytes_[reserved_at_ & (capacity_ - 1)], &length, header_size);
    written_.store(reserved_at_ + round_up(header_size + size), std::memory_order_release);
}

bool RecordRing::push(Bytes record) noexcept
{
    const MutableBytes room = reserve(record.size());
    if (room.empty()) {
        return false;
    }
    std::memcpy(room.data(), record.data(), record.size());
    commit(record.size());
    return true;
}

Bytes RecordRing::front() noexcept
{
    for (;;) {
        const std::uint64_t read = read_.load(std::memory_order_relaxed);
        if (read == written_seen_) {
            written_seen_ = written_.load(std::memory_order_acquire);
            if (read == written_seen_) {
                return {};
            }
        }
        const std::size_t offset = read & (capacity_ - 1);
        std::uint32_t length = 0;
        std::memcpy(&length, &bytes_[offset], header_size);
        if (length != skip_to_start) {
            return {&bytes_[offset + header_size], length};
        }
        read_.store(read + capacity_ - offset, std::memory_order_release);
    }
}

void RecordRing::pop() noexcept
{
    const std::uint64_t read = read_.load(std::memory_order_relaxed);
    std::uint32_t length = 0;
    std::memcpy(&length, &bytes_[read & (capacity_ - 1)], header_size);
    read_.store(read + round_up(header_size + length), std::memory_order_release);
}

} // namespace sluice::telemetry
