#include <sluice/health/schedule.hpp>

#include <gtest/gtest.h>

#include <set>

namespace sluice::health {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint schedule_start{1000s};
constexpr CheckSettings settings{.interval = 2s, .timeout = 1s};

TEST(FirstProbe, many_servers_are_spread_over_100_ms)
{
    Random random{1};
    std::set<TimePoint> times;
    for (int server = 0; server < 1000; ++server) {
        const TimePoint at = first_probe(settings, schedule_start, random);
        EXPECT_GE(at, schedule_start);
        EXPECT_LE(at, schedule_start + 100ms);
        times.insert(at);
    }
    EXPECT_GT(times.size(), 990U);
    EXPECT_LT(*times.begin(), schedule_start + 5ms);
    EXPECT_GT(*times.rbegin(), schedule_start + 95ms);
}

TEST(FirstProbe, short_interval_spreads_over_its_tenth)
{
    Random random{1};
    for (int server = 0; server < 1000; ++server) {
        EXPECT_LE(first_probe({.interval = 50ms, .timeout = 20ms}, schedule_start, random), schedule_start + 5ms);
    }
}

TEST(NextProbe, interval_counts_from_the_start_of_the_probe)
{
    Random random{7};
    Duration total{};
    for (int probe = 0; probe < 10'000; ++probe) {
        const TimePoint at = next_probe(settings, schedule_start, schedule_start + 300ms, random);
        EXPECT_GE(at, schedule_start + 1875ms);
        EXPECT_LE(at, schedule_start + 2125ms);
        total += at - schedule_start;
    }
    EXPECT_NEAR(static_cast<double>((total / 10'000).count()), 2e9, 2e7);
}

TEST(NextProbe, probe_longer_than_the_interval_is_followed_at_once)
{
    Random random{7};
    EXPECT_EQ(next_probe(settings, schedule_start, schedule_start + 5s, random), schedule_start + 5s);
}

struct TimeoutRow {
    Duration late;
    bool own_drops;
    bool counts;
};

class TimeoutTable : public testing::TestWithParam<TimeoutRow> {};

TEST_P(TimeoutTable, timeout_judges_the_server_only_when_we_were_well)
{
    const TimePoint due = deadline(settings, schedule_start);
    EXPECT_EQ(due, schedule_start + 1s);
    EXPECT_EQ(timeout_counts(settings, due, due + GetParam().late, GetParam().own_drops), GetParam().counts);
}

INSTANTIATE_TEST_SUITE_P(lateness, TimeoutTable,
                         testing::Values(TimeoutRow{0ms, false, true}, TimeoutRow{250ms, false, true},
                                         TimeoutRow{251ms, false, false}, TimeoutRow{0ms, true, false}));

} // namespace
} // namespace sluice::health
