#include <sluice/telemetry/histogram.hpp>

#include <cmath>

namespace sluice::telemetry {

std::uint64_t HistogramSnapshot::quantile(double quantile) const noexcept
{
    if (count_ == 0) {
        return 0;
    }
    const double share = std::ceil(std::clamp(quantile, 0.0, 1.0) * static_cast<double>(count_));
    const std::uint64_t rank = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(share), 1, count_);
    std::uint64_t seen = 0;
    for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
        seen += buckets_[bucket];
        if (seen >= rank) {
            return std::min(HistogramLayout::upper_bound(bucket), max_);
        }
    }
    return max_;
}

std::uint64_t HistogramSnapshot::count_up_to_power(unsigned bits) const noexcept
{
    const std::size_t end = bits < HistogramLayout::precision_bits
                                ? std::size_t{1} << bits
                                : (bits - HistogramLayout::precision_bits + 1) * HistogramLayout::sub_buckets;
    std::uint64_t total = 0;
    for (std::size_t bucket = 0; bucket < std::min(end, buckets_.size()); ++bucket) {
        total += buckets_[bucket];
    }
    return total;
}

void HistogramSnapshot::merge(const HistogramSnapshot& other) noexcept
{
    for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
        buckets_[bucket] += other.buckets_[bucket];
    }
    count_ += other.count_;
    sum_ += other.sum_;
    max_ = std::max(max_, other.max_);
}

HistogramSnapshot Histogram::snapshot() const noexcept
{
    HistogramSnapshot result;
    for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
        result.buckets_[bucket] = buckets_[bucket].get();
        result.count_ += result.buckets_[bucket];
    }
    result.sum_ = sum_.get();
    result.max_ = max_.get();
    return result;
}

} // namespace sluice::telemetry
