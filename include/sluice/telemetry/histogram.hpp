// Distributions of durations and sizes, one histogram per core and quantity. The core alone records, with relaxed
// stores; any thread may take a snapshot, and snapshots of several cores add up.
#pragma once

#include <sluice/base/time.hpp>
#include <sluice/telemetry/counters.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace sluice::telemetry {

/// Log-linear buckets: each power of two is divided into 16, so a quantile is at most 6.25 % too high. A bucket
/// contains its upper bound, which makes every power of two an exact `le` of the exposition format.
struct HistogramLayout {
    static constexpr unsigned precision_bits = 4;
    static constexpr std::size_t sub_buckets = std::size_t{1} << precision_bits;
    /// Values above 2^40 (18 minutes in nanoseconds) count in the last bucket.
    static constexpr unsigned range_bits = 40;
    static constexpr std::size_t bucket_count = (range_bits - precision_bits + 1) * sub_buckets;

    [[nodiscard]] static constexpr std::size_t bucket_of(std::uint64_t value) noexcept
    {
        const std::uint64_t below = std::min(value, std::uint64_t{1} << range_bits) - (value > 0 ? 1 : 0);
        if (below < sub_buckets) {
            return below;
        }
        const unsigned shift = static_cast<unsigned>(std::bit_width(below)) - precision_bits - 1;
        return shift * sub_buckets + (below >> shift);
    }
    /// The largest value that bucket_of() puts here.
    [[nodiscard]] static constexpr std::uint64_t upper_bound(std::size_t bucket) noexcept
    {
        if (bucket < sub_buckets) {
            return bucket + 1;
        }
        const std::size_t shift = bucket / sub_buckets - 1;
        return (bucket % sub_buckets + sub_buckets + 1) << shift;
    }
};

/// Plain numbers; one thread.
class HistogramSnapshot {
public:
    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
    [[nodiscard]] std::uint64_t sum() const noexcept { return sum_; }
    [[nodiscard]] std::uint64_t max() const noexcept { return max_; }
    /// The smallest bucket bound that at least `quantile` (0..1) of the values do not exceed, and never more than
    /// max(); 0 without values.
    [[nodiscard]] std::uint64_t quantile(double quantile) const noexcept;
    /// How many values are at most 2^`bits`.
    [[nodiscard]] std::uint64_t count_up_to_power(unsigned bits) const noexcept;
    void merge(const HistogramSnapshot& other) noexcept;

private:
    friend class Histogram;
    std::array<std::uint64_t, HistogramLayout::bucket_count> buckets_{};
    std::uint64_t count_ = 0;
    std::uint64_t sum_ = 0;
    std::uint64_t max_ = 0;
};

/// About 5 KB. Recording costs two dependent loads and three stores.
class Histogram {
public:
    /// The writing core only.
    void record(std::uint64_t value) noexcept
    {
        buckets_[HistogramLayout::bucket_of(value)].add();
        sum_.add(value);
        if (value > max_.get()) {
            max_.set(value);
        }
    }
    /// In nanoseconds; negative durations count as 0.
    void record(Duration duration) noexcept
    {
        record(static_cast<std::uint64_t>(std::max(duration, Duration::zero()).count()));
    }
    /// Any thread. The count always equals the buckets; the sum may be ahead of or behind them by what was just
    /// recorded.
    [[nodiscard]] HistogramSnapshot snapshot() const noexcept;

private:
    std::array<Cell, HistogramLayout::bucket_count> buckets_{};
    Cell sum_;
    Cell max_;
};

} // namespace sluice::telemetry
