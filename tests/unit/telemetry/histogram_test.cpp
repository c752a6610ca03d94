#include <sluice/base/random.hpp>
#include <sluice/telemetry/histogram.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <thread>
#include <vector>

namespace sluice::telemetry {
namespace {

TEST(HistogramLayout, every_bucket_contains_its_upper_bound_and_not_the_next_value)
{
    for (std::size_t bucket = 0; bucket + 1 < HistogramLayout::bucket_count; ++bucket) {
        const std::uint64_t bound = HistogramLayout::upper_bound(bucket);
        ASSERT_EQ(HistogramLayout::bucket_of(bound), bucket);
        ASSERT_EQ(HistogramLayout::bucket_of(bound + 1), bucket + 1);
    }
}

TEST(HistogramLayout, bound_is_at_most_a_sixteenth_too_high)
{
    Random random{3};
    for (int round = 0; round < 100'000; ++round) {
        const std::uint64_t value = 1 + (random.next() >> (24 + random.below(40)));
        const std::uint64_t bound = HistogramLayout::upper_bound(HistogramLayout::bucket_of(value));
        ASSERT_GE(bound, value);
        ASSERT_LE(bound - value, value / 16) << value;
    }
}

TEST(HistogramLayout, value_beyond_the_range_counts_in_the_last_bucket)
{
    EXPECT_EQ(HistogramLayout::bucket_of(~std::uint64_t{0}), HistogramLayout::bucket_count - 1);
    EXPECT_EQ(HistogramLayout::bucket_of(0), 0U);
}

TEST(Histogram, quantiles_match_the_sorted_values)
{
    Random random{5};
    auto histogram = std::make_unique<Histogram>();
    std::vector<std::uint64_t> values;
    for (int index = 0; index < 10'000; ++index) {
        values.push_back(random.below(1'000'000) + 1);
        histogram->record(values.back());
    }
    std::sort(values.begin(), values.end());
    const HistogramSnapshot snapshot = histogram->snapshot();
    for (const double quantile : {0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
        const auto rank = static_cast<std::size_t>(std::ceil(quantile * 10'000)) - 1;
        const auto exact = static_cast<double>(values[rank]);
        EXPECT_GE(static_cast<double>(snapshot.quantile(quantile)), exact);
        EXPECT_LE(static_cast<double>(snapshot.quantile(quantile)), exact * 1.0626 + 1);
    }
    EXPECT_EQ(snapshot.quantile(1.0), values.back());
    EXPECT_EQ(snapshot.max(), values.back());
    EXPECT_EQ(snapshot.count(), 10'000U);
}

TEST(Histogram, counts_up_to_powers_of_two_are_exact)
{
    auto histogram = std::make_unique<Histogram>();
    for (std::uint64_t value = 0; value <= 5000; ++value) {
        histogram->record(value);
    }
    const HistogramSnapshot snapshot = histogram->snapshot();
    for (unsigned bits = 0; bits <= 12; ++bits) {
        EXPECT_EQ(snapshot.count_up_to_power(bits), (1U << bits) + 1) << bits;
    }
    EXPECT_EQ(snapshot.count_up_to_power(13), 5001U);
    EXPECT_EQ(snapshot.count_up_to_power(60), 5001U);
}

TEST(Histogram, empty_has_no_quantile)
{
    const auto histogram = std::make_unique<Histogram>();
    EXPECT_EQ(histogram->snapshot().quantile(0.99), 0U);
    EXPECT_EQ(histogram->snapshot().count(), 0U);
}

TEST(Histogram, negative_duration_counts_as_zero)
{
    auto histogram = std::make_unique<Histogram>();
    histogram->record(Duration{-5});
    EXPECT_EQ(histogram->snapshot().count_up_to_power(0), 1U);
    EXPECT_EQ(histogram->snapshot().sum(), 0U);
}

TEST(HistogramSnapshot, merged_cores_equal_one_histogram_of_all_values)
{
    Random random{11};
    auto first = std::make_unique<Histogram>();
    auto second = std::make_unique<Histogram>();
    auto all = std::make_unique<Histogram>();
    for (int index = 0; index < 1000; ++index) {
        const std::uint64_t value = random.below(1 << 20);
        (index % 3 == 0 ? *first : *second).record(value);
        all->record(value);
    }
    HistogramSnapshot merged = first->snapshot();
    merged.merge(second->snapshot());
    const HistogramSnapshot expected = all->snapshot();
    EXPECT_EQ(merged.count(), expected.count());
    EXPECT_EQ(merged.sum(), expected.sum());
    EXPECT_EQ(merged.max(), expected.max());
    for (const double quantile : {0.1, 0.5, 0.99}) {
        EXPECT_EQ(merged.quantile(quantile), expected.quantile(quantile));
    }
}

TEST(Histogram, reader_beside_the_writer_sees_counts_that_only_grow)
{
    constexpr std::uint64_t rounds = 200'000;
    auto histogram = std::make_unique<Histogram>();
    std::atomic<bool> done{false};
    std::thread writer{[&] {
        for (std::uint64_t value = 0; value < rounds; ++value) {
            histogram->record(value);
        }
        done.store(true, std::memory_order_release);
    }};
    std::uint64_t before = 0;
    while (!done.load(std::memory_order_acquire)) {
        const std::uint64_t count = histogram->snapshot().count();
        ASSERT_GE(count, before);
        before = count;
    }
    writer.join();
    EXPECT_EQ(histogram->snapshot().count(), rounds);
    EXPECT_EQ(histogram->snapshot().sum(), rounds * (rounds - 1) / 2);
}

} // namespace
} // namespace sluice::telemetry
