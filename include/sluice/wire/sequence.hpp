// Numbers that wrap at 2^32 (RFC 9293 §3.4, RFC 1982): the one place where such arithmetic is written.
#pragma once

#include <cstdint>

namespace sluice::wire {

class Sequence {
public:
    constexpr Sequence() noexcept = default;
    constexpr explicit Sequence(std::uint32_t value) noexcept : value_{value} {}

    [[nodiscard]] constexpr std::uint32_t value() const noexcept { return value_; }
    [[nodiscard]] friend constexpr Sequence operator+(Sequence left, std::uint32_t right) noexcept
    {
        return Sequence{left.value_ + right};
    }
    [[nodiscard]] friend constexpr Sequence operator-(Sequence left, std::uint32_t right) noexcept
    {
        return Sequence{left.value_ - right};
    }
    /// Distance from `right` to `left`; negative when left is before right. Meaningful within 2^31.
    [[nodiscard]] friend constexpr std::int32_t operator-(Sequence left, Sequence right) noexcept
    {
        return static_cast<std::int32_t>(left.value_ - right.value_);
    }
    constexpr Sequence& operator+=(std::uint32_t right) noexcept
    {
        value_ += right;
        return *this;
    }
    [[nodiscard]] friend constexpr bool operator==(Sequence, Sequence) noexcept = default;
    [[nodiscard]] friend constexpr bool operator<(Sequence left, Sequence right) noexcept { return left - right < 0; }
    [[nodiscard]] friend constexpr bool operator>(Sequence left, Sequence right) noexcept { return right < left; }
    [[nodiscard]] friend constexpr bool operator<=(Sequence left, Sequence right) noexcept { return !(right < left); }
    [[nodiscard]] friend constexpr bool operator>=(Sequence left, Sequence right) noexcept { return !(left < right); }

private:
    std::uint32_t value_ = 0;
};

/// first <= value < last, on the circle.
[[nodiscard]] constexpr bool within(Sequence value, Sequence first, Sequence last) noexcept
{
    return value.value() - first.value() < last.value() - first.value();
}

[[nodiscard]] constexpr Sequence later(Sequence left, Sequence right) noexcept { return left < right ? right : left; }
[[nodiscard]] constexpr Sequence earlier(Sequence left, Sequence right) noexcept { return left < right ? left : right; }

} // namespace sluice::wire
