#include "tcp/flight.hpp"

#include <algorithm>
#include <bit>
#include <new>

namespace sluice::tcp {

SentSegment* Flight::allocate(BufferPool& pool, std::uint32_t records, unsigned& shift) const noexcept
{
    shift =
        std::max(static_cast<unsigned>(std::bit_width(records * sizeof(SentSegment) - 1)), BufferPool::smallest_shift);
    std::byte* const memory = pool.allocate(shift);
    if (memory == nullptr) {
        return nullptr;
    }
    return new (memory) SentSegment[(std::size_t{1} << shift) / sizeof(SentSegment)];
}

bool Flight::reserve(BufferPool& pool) noexcept
{
    const std::uint32_t capacity = std::uint32_t{mask_} + 1;
    if (count_ < capacity) {
        return true;
    }
    if (capacity == capacity_maximum) {
        return false;
    }
    unsigned shift = 0;
    SentSegment* const grown = allocate(pool, 2 * capacity, shift);
    if (grown == nullptr) {
        return false;
    }
    const auto mask = static_cast<std::uint16_t>((std::size_t{1} << shift) / sizeof(SentSegment) - 1);
    for (std::uint16_t index = 0; index < count_; ++index) {
        const auto position = static_cast<Position>(first_ + index);
        grown[position & mask] = at(position);
    }
    if (mask_ != 0) {
        pool.release(reinterpret_cast<std::byte*>(block_), shift_);
    }
    block_ = grown;
    mask_ = mask;
    shift_ = static_cast<std::uint8_t>(shift);
    return true;
}

void Flight::release(BufferPool& pool) noexcept
{
    if (mask_ != 0) {
        pool.release(reinterpret_cast<std::byte*>(block_), shift_);
        one_ = {};
    }
    mask_ = 0;
    count_ = linked_ = sacked_count_ = 0;
    sacked_bytes_ = lost_bytes_ = 0;
}

void Flight::push(Sequence begin, std::uint16_t length, Microseconds now) noexcept
{
    const auto position = static_cast<Position>(first_ + count_);
    ++count_;
    SentSegment& record = at(position);
    record = {};
    record.begin = begin;
    record.length = length;
    record.sent_at = now;
    link_newest(position);
}

void Flight::resent(Position position, Microseconds now) noexcept
{
    SentSegment& record = at(position);
    if (record.is(SentSegment::lost)) {
        lost_bytes_ -= record.length;
    } else {
        unlink(position);
    }
    record.flags = SentSegment::retransmitted;
    record.sent_at = now;
    link_newest(position);
}

void Flight::mark_lost(Position position) noexcept
{
    SentSegment& record = at(position);
    if (!record.on_its_way()) {
        return;
    }
    unlink(position);
    record.flags |= SentSegment::lost;
    const auto distance = static_cast<std::uint16_t>(position - first_);
    if (lost_bytes_ == 0 || distance < static_cast<std::uint16_t>(lost_hint_ - first_)) {
        lost_hint_ = position;
    }
    lost_bytes_ += record.length;
}

void Flight::mark_all_lost() noexcept
{
    each_on_its_way([this](Position position, const SentSegment&) {
        mark_lost(position);
        return true;
    });
}

void Flight::unmark_lost() noexcept
{
    // What is lost was sent before all that is on its way: it goes back to the front.
    for (std::uint16_t index = count_; index-- > 0;) {
        const auto position = static_cast<Position>(first_ + index);
        SentSegment& record = at(position);
        if (!record.is(SentSegment::lost)) {
            continue;
        }
        record.flags &= static_cast<std::uint8_t>(~SentSegment::lost);
        if (linked_ == 0) {
            newest_ = position;
        } else {
            at(oldest_).older = position;
        }
        record.newer = oldest_;
        oldest_ = position;
        ++linked_;
    }
    lost_bytes_ = 0;
}

void Flight::forget_sacked() noexcept
{
    for (std::uint16_t index = 0; index < count_; ++index) {
        SentSegment& record = at(static_cast<Position>(first_ + index));
        if (record.is(SentSegment::sacked)) {
            record.flags = static_cast<std::uint8_t>((record.flags & ~SentSegment::sacked) | SentSegment::lost);
            lost_bytes_ += record.length;
        }
    }
    sacked_bytes_ = 0;
    sacked_count_ = 0;
    lost_hint_ = first_;
}

Flight::Position Flight::first_lost() noexcept
{
    while (!at(lost_hint_).is(SentSegment::lost)) {
        const SentSegment& record = at(lost_hint_);
        lost_hint_ = record.is(SentSegment::sacked) ? record.newer : static_cast<Position>(lost_hint_ + 1);
    }
    return lost_hint_;
}

void Flight::cut(BufferPool& pool, std::uint16_t size) noexcept
{
    const auto pieces = [size](const SentSegment& record) {
        return record.is(SentSegment::sacked) ? 1U : std::max((record.length + size - 1U) / size, 1U);
    };
    std::uint32_t needed = 0;
    for (std::uint16_t index = 0; index < count_; ++index) {
        needed += pieces(at(static_cast<Position>(first_ + index)));
    }
    if (needed == count_ || needed > capacity_maximum) {
        return;
    }
    Flight fresh;
    unsigned shift = 0;
    SentSegment* const memory = allocate(pool, needed, shift);
    if (memory == nullptr) {
        return;
    }
    fresh.block_ = memory;
    fresh.shift_ = static_cast<std::uint8_t>(shift);
    fresh.mask_ = static_cast<std::uint16_t>((std::size_t{1} << shift) / sizeof(SentSegment) - 1);
    for (std::uint16_t index = 0; index < count_; ++index) {
        SentSegment& record = at(static_cast<Position>(first_ + index));
        SentSegment rest = record;
        record.older = fresh.count_; // Where its pieces begin, for the walk below.
        if (rest.is(SentSegment::lost) && fresh.count_ != 0 && fresh.at(fresh.last()).is(SentSegment::lost)) {
            fresh.fill(fresh.last(), rest, size);
        }
        while (rest.length != 0) {
            SentSegment& piece = fresh.at(fresh.count_++);
            piece = rest;
            piece.length = 0;
            piece.newer = fresh.count_; // Right for SACKed ones
            fresh.fill(fresh.last(), rest, record.is(SentSegment::sacked) ? record.length : size);
        }
    }
    each_on_its_way([&](Position, const SentSegment& record) {
        for (std::uint32_t piece = 0; piece < pieces(record); ++piece) {
            fresh.link_newest(static_cast<Position>(record.older + piece));
        }
        return true;
    });
    if (mask_ != 0) {
        pool.release(reinterpret_cast<std::byte*>(block_), shift_);
    }
    block_ = fresh.block_;
    shift_ = fresh.shift_;
    mask_ = fresh.mask_;
    count_ = fresh.count_;
    linked_ = fresh.linked_;
    oldest_ = fresh.oldest_;
    newest_ = fresh.newest_;
    first_ = lost_hint_ = 0;
}

/// Moves bytes from the front of `rest`, which follows the record, to its end, until it has `size`.
void Flight::fill(Position position, SentSegment& rest, std::uint16_t size) noexcept
{
    SentSegment& record = at(position);
    const auto moved = static_cast<std::uint16_t>(std::min<int>(rest.length, std::max(size - record.length, 0)));
    record.length = static_cast<std::uint16_t>(record.length + moved);
    record.flags |= rest.flags;
    rest.begin += moved;
    rest.length = static_cast<std::uint16_t>(rest.length - moved);
}

void Flight::link_newest(Position position) noexcept
{
    if (linked_ == 0) {
        oldest_ = position;
    } else {
        at(newest_).newer = position;
    }
    at(position).older = newest_;
    newest_ = position;
    ++linked_;
}

void Flight::unlink(Position position) noexcept
{
    const SentSegment& record = at(position);
    if (position == oldest_) {
        oldest_ = record.newer;
    } else {
        at(record.older).newer = record.newer;
    }
    if (position == newest_) {
        newest_ = record.older;
    } else {
        at(record.newer).older = record.older;
    }
    --linked_;
}

Flight::Position Flight::lower_bound(Sequence begin) const noexcept
{
    std::uint16_t low = 0;
    std::uint16_t high = count_;
    while (low < high) {
        const auto middle = static_cast<std::uint16_t>((low + high) / 2U);
        if ((*this)[static_cast<Position>(first_ + middle)].begin < begin) {
            low = static_cast<std::uint16_t>(middle + 1);
        } else {
            high = middle;
        }
    }
    return static_cast<Position>(first_ + low);
}

} // namespace sluice::tcp
