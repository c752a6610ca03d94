// Congestion control as pure functions: NewReno, CUBIC against the equations of RFC 9438, proportional rate reduction.
#include "tcp/congestion.hpp"
#include "tcp/prr.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace sluice::tcp {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t mss = 1000;
const TimePoint start{1000s};

Congestion in_avoidance(CongestionControl algorithm, std::uint32_t segments)
{
    Congestion congestion;
    congestion.algorithm = algorithm;
    congestion.window = congestion.threshold = segments * mss;
    return congestion;
}

/// One round trip in which the whole window is acknowledged, segment by segment.
void round_trip(Congestion& congestion, TimePoint now, Duration rtt)
{
    const std::uint32_t segments = congestion.window / mss;
    for (std::uint32_t index = 0; index < segments; ++index) {
        on_acknowledged(congestion, mss, congestion.window, {mss, rtt, now + rtt * index / segments});
    }
}

TEST(NewReno, congestion_avoidance_adds_a_segment_in_a_round_trip)
{
    Congestion congestion = in_avoidance(CongestionControl::newreno, 20);
    round_trip(congestion, start, 100ms);
    EXPECT_EQ(congestion.window, 21 * mss);
}

TEST(NewReno, loss_halves_what_was_in_flight_and_never_below_two_segments)
{
    Congestion congestion = in_avoidance(CongestionControl::newreno, 20);
    on_loss(congestion, 16 * mss, mss);
    EXPECT_EQ(congestion.threshold, 8 * mss);
    EXPECT_EQ(congestion.window, 8 * mss);
    on_loss(congestion, mss, mss);
    EXPECT_EQ(congestion.threshold, 2 * mss);
}

TEST(NewReno, window_that_is_not_used_does_not_grow)
{
    for (const CongestionControl algorithm : {CongestionControl::newreno, CongestionControl::cubic}) {
        Congestion congestion = in_avoidance(algorithm, 20);
        for (int index = 0; index < 1000; ++index) {
            on_acknowledged(congestion, mss, 2 * mss, {mss, 10ms, start + index * 10ms});
        }
        EXPECT_EQ(congestion.window, 20 * mss);
        congestion.threshold = 100 * mss;
        on_acknowledged(congestion, mss, 2 * mss, {mss, 10ms, start + 20s});
        EXPECT_EQ(congestion.window, 20 * mss) << "nor in slow start";
    }
}

TEST(Congestion, second_timeout_for_the_same_data_lowers_the_threshold_no_further)
{
    for (const CongestionControl algorithm : {CongestionControl::newreno, CongestionControl::cubic}) {
        Congestion congestion = in_avoidance(algorithm, 20);
        on_timeout(congestion, 20 * mss, mss, true);
        EXPECT_EQ(congestion.window, mss);
        const std::uint32_t threshold = congestion.threshold;
        on_timeout(congestion, 20 * mss, mss, false);
        EXPECT_EQ(congestion.threshold, threshold);
    }
}

TEST(Congestion, undone_reduction_leaves_what_was_before)
{
    Congestion congestion = in_avoidance(CongestionControl::cubic, 20);
    cubic_reduce(congestion.cubic, 30 * mss);
    const BeforeReduction before = before_reduction(congestion);
    on_loss(congestion, 20 * mss, mss);
    undo_reduction(congestion, before);
    EXPECT_EQ(congestion.window, 20 * mss);
    EXPECT_EQ(congestion.threshold, 20 * mss);
    EXPECT_EQ(congestion.cubic.maximum, 30 * mss);
}

TEST(Congestion, window_never_exceeds_its_maximum)
{
    Congestion congestion;
    congestion.window = congestion_window_maximum - mss;
    congestion.threshold = ~0U;
    on_acknowledged(congestion, 10 * mss, congestion.window, {mss, 10ms, start});
    EXPECT_EQ(congestion.window, congestion_window_maximum);
}

TEST(CubicEquations, window_is_the_maximum_at_k_and_the_reduced_one_at_zero)
{
    const double maximum = 1000;
    const double k = cubic_k(maximum, cubic_beta * maximum);
    EXPECT_NEAR(k, std::cbrt(maximum * (1 - cubic_beta) / cubic_c), 1e-9); // RFC 9438 figure 2
    EXPECT_NEAR(cubic_window(0, k, maximum), cubic_beta * maximum, 1e-6);  // Figure 1
    EXPECT_NEAR(cubic_window(k, k, maximum), maximum, 1e-9);
    EXPECT_NEAR(cubic_window(k + 2, k, maximum), maximum + 0.4 * 8, 1e-9);
    EXPECT_EQ(cubic_k(10, 10), 0);
    EXPECT_NEAR(cubic_alpha, 0.5294, 1e-4);
}

TEST(Cubic, loss_multiplies_by_seven_tenths)
{
    Congestion congestion = in_avoidance(CongestionControl::cubic, 100);
    on_loss(congestion, 100 * mss, mss);
    EXPECT_EQ(congestion.threshold, 70 * mss);
    EXPECT_EQ(congestion.cubic.maximum, 100 * mss);
}

TEST(Cubic, window_follows_the_cubic_function_of_time)
{
    Congestion congestion = in_avoidance(CongestionControl::cubic, 1000);
    on_loss(congestion, 1000 * mss, mss);
    const Duration rtt = 100ms;
    TimePoint now = start;
    const double k = cubic_k(1000, 700);
    for (int round = 0; round < 150; ++round, now += rtt) {
        round_trip(congestion, now, rtt);
        const double expected = cubic_window(std::chrono::duration<double>(now + rtt - start).count(), k, 1000);
        ASSERT_NEAR(congestion.window / double{mss}, expected, 0.02 * expected) << "round " << round;
    }
    EXPECT_GT(congestion.window, 1000 * mss) << "past the plateau it probes for more";
}

TEST(Cubic, grows_not_slower_than_reno_where_that_is_faster)
{
    // Short round trips and a small window: the cubic function would take seconds.
    Congestion congestion = in_avoidance(CongestionControl::cubic, 10);
    on_loss(congestion, 10 * mss, mss);
    const std::uint32_t before = congestion.window;
    TimePoint now = start;
    for (int round = 0; round < 10; ++round, now += 1ms) {
        round_trip(congestion, now, 1ms);
    }
    // alpha_cubic segments in a round trip, and one once the old window is reached (RFC 9438 §4.3).
    EXPECT_GE(congestion.window, before + 4 * mss);
    EXPECT_LE(congestion.window, before + 8 * mss);
}

TEST(Cubic, fast_convergence_leaves_room_when_the_old_maximum_was_not_reached)
{
    Cubic cubic;
    cubic_reduce(cubic, 100 * mss);
    EXPECT_EQ(cubic.maximum, 100 * mss);
    cubic_reduce(cubic, 80 * mss);
    EXPECT_EQ(cubic.maximum, 68 * mss); // 80 (1 + 0.7) / 2 (RFC 9438 §4.7)
    cubic_reduce(cubic, 90 * mss);
    EXPECT_EQ(cubic.maximum, 90 * mss);
}

TEST(Cubic, time_without_data_to_send_does_not_make_it_leap)
{
    Congestion congestion = in_avoidance(CongestionControl::cubic, 100);
    on_loss(congestion, 100 * mss, mss);
    round_trip(congestion, start, 100ms);
    const std::uint32_t before = congestion.window;
    for (int index = 0; index < 100; ++index) { // A minute in which the application sends little
        on_acknowledged(congestion, mss, mss, {mss, 100ms, start + 600ms * index});
    }
    EXPECT_EQ(congestion.window, before);
    on_acknowledged(congestion, mss, congestion.window, {mss, 100ms, start + 60s});
    EXPECT_LE(congestion.window, before + mss / 2);
}

TEST(Cubic, acknowledgment_never_lowers_the_window_and_never_adds_more_than_it_covers)
{
    for (std::uint32_t segments = 2; segments < 5000; segments = segments * 3 / 2 + 1) {
        Congestion congestion = in_avoidance(CongestionControl::cubic, segments);
        on_loss(congestion, segments * mss, mss);
        TimePoint now = start;
        for (int index = 0; index < 3000; ++index, now += 37ms) {
            const std::uint32_t before = congestion.window;
            on_acknowledged(congestion, mss, congestion.window, {mss, 100ms, now});
            ASSERT_GE(congestion.window, before);
            ASSERT_LE(congestion.window, before + mss);
        }
    }
}

TEST(ProportionalRateReduction, sends_in_proportion_while_more_than_the_threshold_is_in_flight)
{
    // RFC 9937: 20 segments in flight, one lost, threshold 10: a segment for every other one that is delivered.
    ProportionalRateReduction prr{0, 0, 20 * mss};
    std::uint32_t pipe = 19 * mss;
    std::uint32_t sent = 0;
    for (int delivered = 0; delivered < 18; ++delivered) {
        pipe -= mss;
        const std::uint32_t window = on_delivery(prr, mss, pipe, 10 * mss, mss, false);
        while (pipe + mss <= window) {
            pipe += mss;
            prr.out += mss;
            ++sent;
        }
    }
    EXPECT_EQ(pipe, 10 * mss);
    EXPECT_EQ(sent, 9U);
}

TEST(ProportionalRateReduction, first_acknowledgment_lets_the_fast_retransmission_out)
{
    ProportionalRateReduction prr{0, 0, 100 * mss};
    EXPECT_EQ(on_delivery(prr, 100, 90 * mss, 10 * mss, mss, false), 91 * mss);
}

TEST(ProportionalRateReduction, below_the_threshold_sends_what_arrived_and_one_more_when_nothing_else_is_lost)
{
    ProportionalRateReduction conservative{5 * mss, 5 * mss, 20 * mss};
    EXPECT_EQ(on_delivery(conservative, mss, 4 * mss, 10 * mss, mss, false), 5 * mss);
    ProportionalRateReduction slow_start{5 * mss, 5 * mss, 20 * mss};
    EXPECT_EQ(on_delivery(slow_start, mss, 4 * mss, 10 * mss, mss, true), 6 * mss);
    ProportionalRateReduction full{50 * mss, 5 * mss, 20 * mss};
    EXPECT_EQ(on_delivery(full, mss, 9 * mss, 10 * mss, mss, true), 10 * mss) << "never beyond the threshold";
}

} // namespace
} // namespace sluice::tcp
