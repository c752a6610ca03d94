// A bounded set of disjoint sequence ranges: what was received out of order, and what the peer has selectively
// acknowledged. Sorted on the sequence circle; all of it must lie within 2^31 of each other.
#pragma once

#include "tcp/segment.hpp"

#include <array>
#include <cstdint>
#include <span>

namespace sluice::tcp {

class RangeSet {
public:
    static constexpr std::size_t capacity = 64;

    /// Adds [begin, end), joining what it touches. Returns the bytes that were new, or nothing of it when the set is
    /// full (0, and `refused` becomes true).
    std::uint32_t add(SequenceRange range, bool& refused) noexcept;
    /// Forgets everything before `edge`.
    void drop_before(Sequence edge) noexcept;
    void clear() noexcept
    {
        size_ = 0;
        bytes_ = 0;
    }

    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::uint32_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] const SequenceRange& operator[](std::size_t index) const noexcept { return ranges_[index]; }
    [[nodiscard]] std::span<const SequenceRange> ranges() const noexcept { return {ranges_.data(), size_}; }
    [[nodiscard]] bool contains(SequenceRange range) const noexcept;

    /// Fills `out` with the ranges that changed last, newest first (RFC 2018 §4); returns how many.
    std::size_t recent(std::span<SequenceRange> out) const noexcept;

private:
    std::array<SequenceRange, capacity> ranges_{};
    std::array<std::uint32_t, capacity> changed_{}; ///< Clock value of the last change of the range.
    std::uint32_t clock_ = 0;
    std::uint32_t bytes_ = 0;
    std::uint16_t size_ = 0;
};

} // namespace sluice::tcp
