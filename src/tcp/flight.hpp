// What is in flight, segment by segment: the sender's scoreboard (RFC 8985 §5.2, RFC 2018 §8).
//
// A ring of records that cover [SND.UNA, SND.NXT) without a gap. Each record is in exactly one of three states: the
// peer has it (SACKed), it is taken for lost and waits to be sent again, or it is on its way. Those on their way are
// also linked in the order of their last transmission, so that what was sent before something that arrived is found
// without a walk over the rest.
//
// The first record lives in the object itself: one segment can always be in flight, whatever the memory, and a
// connection that sends one segment at a time takes none. Positions are 16-bit counts that wrap; they stay valid when
// the ring grows.
#pragma once

#include "tcp/buffers.hpp"
#include "tcp/segment.hpp"

#include <cstdint>

namespace sluice::tcp {

/// Microseconds on a clock that wraps after 71 minutes; records live shorter than half of that, or are marked lost.
using Microseconds = std::uint32_t;

struct SentSegment {
    static constexpr std::uint8_t sacked = 1;
    static constexpr std::uint8_t lost = 2;          ///< And not sent again since.
    static constexpr std::uint8_t retransmitted = 4; ///< Karn: its acknowledgment may be for any transmission.

    Sequence begin;
    Microseconds sent_at = 0;
    std::uint16_t length = 0; ///< Sequence numbers: bytes, and one for FIN.
    std::uint16_t newer = 0;  ///< Sent next, while on its way; of a SACKed record, where the run of SACKed ones ends.
    std::uint16_t older = 0;  ///< Sent just before.
    std::uint8_t flags = 0;
    std::uint8_t reserved = 0;

    [[nodiscard]] Sequence end() const noexcept { return begin + length; }
    [[nodiscard]] bool is(std::uint8_t flag) const noexcept { return (flags & flag) != 0; }
    [[nodiscard]] bool on_its_way() const noexcept { return (flags & (sacked | lost)) == 0; }
};
static_assert(sizeof(SentSegment) == 16);

class Flight {
public:
    using Position = std::uint16_t;
    static constexpr std::uint16_t capacity_maximum = 32768; ///< 512 KiB of records

    Flight() noexcept = default;
    Flight(const Flight&) = delete;
    Flight& operator=(const Flight&) = delete;

    /// Makes room for one more record. False: send later, when something is acknowledged.
    [[nodiscard]] bool reserve(BufferPool& pool) noexcept;
    /// A new segment, right behind the last; reserve() has returned true.
    void push(Sequence begin, std::uint16_t length, Microseconds now) noexcept;
    /// The record's segment has been sent again.
    void resent(Position position, Microseconds now) noexcept;
    /// Not arrived, and not going to; nothing happens to a record that is SACKed or lost already.
    void mark_lost(Position position) noexcept;
    void mark_all_lost() noexcept;
    /// What is marked lost is on its way after all.
    void unmark_lost() noexcept;
    /// The peer has taken back what it SACKed (RFC 2018 §8): all of that is lost.
    void forget_sacked() noexcept;
    /// Cuts what is not SACKed into segments of at most `size`, and joins what is lost. Without memory for that nothing
    /// changes.
    void cut(BufferPool& pool, std::uint16_t size) noexcept;
    void release(BufferPool& pool) noexcept;

    /// The cumulative acknowledgment: forgets what is before `edge`, and calls `delivered(record)` for each whole
    /// record that was not SACKed before. Returns the sequence numbers delivered.
    template <class Delivered>
    std::uint32_t acknowledge(Sequence edge, Delivered&& delivered) noexcept;
    /// A SACK block: the same for the records that lie in it completely. Repeating a block costs next to nothing.
    template <class Delivered>
    std::uint32_t sack(const SequenceRange& block, Delivered&& delivered) noexcept;

    [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
    [[nodiscard]] std::uint16_t size() const noexcept { return count_; }
    [[nodiscard]] std::uint32_t sacked_segments() const noexcept { return sacked_count_; }
    [[nodiscard]] std::uint32_t sacked_bytes() const noexcept { return sacked_bytes_; }
    [[nodiscard]] std::uint32_t lost_bytes() const noexcept { return lost_bytes_; }
    [[nodiscard]] Position first() const noexcept { return first_; }
    [[nodiscard]] Position last() const noexcept { return static_cast<Position>(first_ + count_ - 1); }
    [[nodiscard]] const SentSegment& operator[](Position position) const noexcept { return data()[position & mask_]; }
    /// The one sent longest ago of those on their way; only while there are some.
    [[nodiscard]] Position oldest() const noexcept { return oldest_; }
    /// The lowest one that is lost; only while lost_bytes() != 0.
    [[nodiscard]] Position first_lost() noexcept;

    /// Walks those on their way, the oldest transmission first, until `visit(position, record)` returns false. It may
    /// mark what it is shown as lost.
    template <class Visit>
    void each_on_its_way(Visit&& visit) noexcept;

private:
    [[nodiscard]] SentSegment* data() noexcept { return mask_ != 0 ? block_ : &one_; }
    [[nodiscard]] const SentSegment* data() const noexcept { return mask_ != 0 ? block_ : &one_; }
    [[nodiscard]] SentSegment& at(Position position) noexcept { return data()[position & mask_]; }
    [[nodiscard]] SentSegment* allocate(BufferPool& pool, std::uint32_t records, unsigned& shift) const noexcept;
    void fill(Position position, SentSegment& rest, std::uint16_t size) noexcept;
    void link_newest(Position position) noexcept;
    void unlink(Position position) noexcept;
    [[nodiscard]] Position lower_bound(Sequence begin) const noexcept;

    union {
        SentSegment one_{};  ///< While mask_ is 0
        SentSegment* block_; ///< From the pool, while it is not
    };
    std::uint32_t sacked_bytes_ = 0;
    std::uint32_t lost_bytes_ = 0;
    std::uint16_t sacked_count_ = 0;
    std::uint16_t mask_ = 0; ///< Records that fit, less one
    Position first_ = 0;
    std::uint16_t count_ = 0;
    std::uint16_t linked_ = 0; ///< How many are on their way
    Position oldest_ = 0;
    Position newest_ = 0;
    Position lost_hint_ = 0; ///< Nothing before it is lost.
    std::uint8_t shift_ = 0; ///< Of the block: 2^shift bytes
};

template <class Delivered>
std::uint32_t Flight::acknowledge(Sequence edge, Delivered&& delivered) noexcept
{
    std::uint32_t bytes = 0;
    while (count_ != 0 && at(first_).end() <= edge) {
        const SentSegment& record = at(first_);
        if (record.is(SentSegment::sacked)) {
            sacked_bytes_ -= record.length;
            --sacked_count_;
        } else {
            bytes += record.length;
            if (record.is(SentSegment::lost)) {
                lost_bytes_ -= record.length;
            } else {
                unlink(first_);
            }
            delivered(record);
        }
        if (lost_hint_ == first_) {
            ++lost_hint_;
        }
        ++first_;
        --count_;
    }
    if (count_ != 0 && at(first_).begin < edge) {
        SentSegment& record = at(first_);
        const auto part = static_cast<std::uint16_t>(edge - record.begin);
        record.begin = edge;
        record.length = static_cast<std::uint16_t>(record.length - part);
        if (record.is(SentSegment::sacked)) {
            sacked_bytes_ -= part;
        } else {
            bytes += part;
            lost_bytes_ -= record.is(SentSegment::lost) ? part : 0U;
        }
    }
    return bytes;
}

template <class Delivered>
std::uint32_t Flight::sack(const SequenceRange& block, Delivered&& delivered) noexcept
{
    std::uint32_t bytes = 0;
    const Position start = lower_bound(block.begin);
    const auto behind = static_cast<Position>(first_ + count_);
    Position position = start;
    while (position != behind && at(position).end() <= block.end) {
        SentSegment& record = at(position);
        if (record.is(SentSegment::sacked)) {
            position = record.newer;
            continue;
        }
        if (record.is(SentSegment::lost)) {
            lost_bytes_ -= record.length;
        } else {
            unlink(position);
        }
        delivered(record);
        record.flags = static_cast<std::uint8_t>((record.flags & ~SentSegment::lost) | SentSegment::sacked);
        record.newer = static_cast<Position>(position + 1);
        sacked_bytes_ += record.length;
        ++sacked_count_;
        bytes += record.length;
        ++position;
    }
    if (position != start) {
        at(start).newer = position; // Every record in between is SACKed.
    }
    return bytes;
}

template <class Visit>
void Flight::each_on_its_way(Visit&& visit) noexcept
{
    Position position = oldest_;
    for (std::uint16_t left = linked_; left != 0; --left) {
        const Position next = at(position).newer;
        if (!visit(position, static_cast<const SentSegment&>(at(position)))) {
            return;
        }
        position = next;
    }
}

} // namespace sluice::tcp
