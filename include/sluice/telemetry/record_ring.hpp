// Variable-length records from one core to the log thread. Nothing waits: when the ring is full a record is discarded
// and counted. Ordered by std::atomic alone, so that ThreadSanitizer can judge it.
#pragma once

#include <sluice/base/bytes.hpp>
#include <sluice/telemetry/counters.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace sluice::telemetry {

/// One writer thread, one reader thread.
class RecordRing {
public:
    /// `capacity` in bytes, rounded up to a power of two, at least 1 KiB. A record takes its length and 4 bytes,
    /// rounded up to 8.
    explicit RecordRing(std::size_t capacity);

    // The writer.

    /// Room for a record of `size` bytes, to be filled and committed before the next call; empty, and counted as
    /// discarded, when the ring is full or the record longer than longest().
    [[nodiscard]] MutableBytes reserve(std::size_t size) noexcept;
    /// Publishes the reserved record; `size` may be less than what was reserved, but not 0.
    void commit(std::size_t size) noexcept;
    /// Copies a record in; false when it was discarded.
    bool push(Bytes record) noexcept;

    // The reader.

    /// The oldest record, valid until pop(); empty when there is none. (An empty record cannot be written.)
    [[nodiscard]] Bytes front() noexcept;
    /// Only after front() returned a record.
    void pop() noexcept;

    // Any thread.

    [[nodiscard]] std::uint64_t discarded() const noexcept { return discarded_.get(); }
    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
    [[nodiscard]] std::size_t longest() const noexcept { return capacity_ / 4; }

private:
    static constexpr std::size_t header_size = 4;

    std::unique_ptr<std::byte[]> bytes_;
    std::size_t capacity_;
    std::uint64_t reserved_at_ = 0; ///< Writer: where the pending reservation begins.
    alignas(64) std::atomic<std::uint64_t> written_{0};
    std::uint64_t read_seen_ = 0; ///< The writer's last look at read_.
    Cell discarded_;
    alignas(64) std::atomic<std::uint64_t> read_{0};
    std::uint64_t written_seen_ = 0; ///< The reader's last look at written_.
};

} // namespace sluice::telemetry
