#include <sluice/base/random.hpp>
#include <sluice/base/timer_wheel.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace sluice {
namespace {

using namespace std::chrono_literals;

struct Alarm : TimerNode {
    Alarm() noexcept : TimerNode{&Alarm::on_fire} {}
    static void on_fire(TimerNode& node, TimePoint now) noexcept
    {
        auto& self = static_cast<Alarm&>(node);
        ++self.count;
        self.fired_at = now;
        if (self.wheel != nullptr) {
            self.wheel->arm(self, now + self.again);
        }
    }
    int count = 0;
    TimePoint fired_at{};
    TimerWheel* wheel = nullptr;
    Duration again{};
};

TEST(TimerWheel, random_deadlines_fire_once_never_early_and_at_most_a_tick_late)
{
    Random random{7};
    TimePoint now{1234567890123ns};
    TimerWheel wheel{now};
    std::vector<std::unique_ptr<Alarm>> alarms;
    std::vector<TimePoint> deadlines;
    for (int index = 0; index < 2000; ++index) {
        alarms.push_back(std::make_unique<Alarm>());
        deadlines.push_back(now + Duration{static_cast<Duration::rep>(random.next() >> (24 + random.below(30)))});
        wheel.arm(*alarms.back(), deadlines.back());
    }
    for (TimePoint next = wheel.next_deadline(); next != never; next = wheel.next_deadline()) {
        ASSERT_GE(next, now);
        now = next;
        wheel.advance(now);
    }
    for (std::size_t index = 0; index < alarms.size(); ++index) {
        ASSERT_EQ(alarms[index]->count, 1);
        ASSERT_GE(alarms[index]->fired_at, deadlines[index]);
        ASSERT_LE(alarms[index]->fired_at - deadlines[index], 2 * TimerWheel::tick);
    }
}

TEST(TimerWheel, one_large_step_fires_everything_in_order)
{
    TimePoint now{};
    TimerWheel wheel{now};
    std::vector<std::unique_ptr<Alarm>> alarms;
    for (int index = 0; index < 100; ++index) {
        alarms.push_back(std::make_unique<Alarm>());
        wheel.arm(*alarms.back(), now + index * 100s);
    }
    EXPECT_EQ(wheel.advance(now + 1h), 36U);
    EXPECT_EQ(wheel.advance(now + 24h * 365), 64U);
    EXPECT_EQ(wheel.next_deadline(), never);
}

TEST(TimerWheel, moved_and_cancelled_timers_fire_at_the_new_time_or_not_at_all)
{
    TimePoint now{5s};
    TimerWheel wheel{now};
    Alarm moved;
    Alarm cancelled;
    wheel.arm(moved, now + 1s);
    wheel.arm(cancelled, now + 1s);
    wheel.arm(moved, now + 3s);
    wheel.cancel(cancelled);
    EXPECT_FALSE(cancelled.armed());
    wheel.advance(now + 2s);
    EXPECT_EQ(moved.count, 0);
    wheel.advance(now + 3s + TimerWheel::tick);
    EXPECT_EQ(moved.count, 1);
    EXPECT_EQ(cancelled.count, 0);
}

TEST(TimerWheel, callback_that_arms_itself_for_now_does_not_hold_the_loop)
{
    TimePoint now{5s};
    TimerWheel wheel{now};
    Alarm again;
    again.wheel = &wheel;
    wheel.arm(again, now);
    wheel.advance(now + TimerWheel::tick * 2);
    EXPECT_LE(again.count, 3);
    EXPECT_GE(again.count, 1);
}

TEST(TimerWheel, time_that_goes_back_is_ignored_and_destroyed_timers_do_not_fire)
{
    TimePoint now{5s};
    TimerWheel wheel{now};
    wheel.advance(now + 1s);
    EXPECT_EQ(wheel.advance(now), 0U);
    {
        Alarm gone;
        wheel.arm(gone, now + 2s);
    }
    EXPECT_EQ(wheel.advance(now + 10s), 0U);
}

} // namespace
} // namespace sluice
