// RFC 9568 §6.4: one test per row of the state machine, each ends by asking what else was sent.
#include "node.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::vrrp::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Timers, skew_is_computed_in_microseconds)
{
    EXPECT_EQ(skew_time(200, 1s), 218750us);
    EXPECT_EQ(active_down_interval(200, 100ms), 321875us);
    EXPECT_EQ(active_down_interval(255, 10ms), 30039us);
    EXPECT_EQ(active_down_interval(1, 40950ms), 3 * 40950ms + Microseconds{40950000LL * 255 / 256});
}

TEST(StateMachine, init_before_ready_does_nothing)
{
    Node node{instance()};
    node.run(2s);
    EXPECT_EQ(node.state(), State::init);
    EXPECT_THAT(node.output.sent, IsEmpty());
    EXPECT_THAT(node.output.events, IsEmpty());
    EXPECT_FALSE(node.holds("192.0.2.100"));
    EXPECT_EQ(node.manager.next_deadline(), never);
}

TEST(StateMachine, init_start_as_owner_becomes_active_with_advert_then_announcements)
{
    Node node{instance(255)};
    node.output.clear();
    node.start();
    EXPECT_EQ(node.state(), State::active);
    EXPECT_TRUE(node.holds("192.0.2.100"));
    EXPECT_THAT(node.output.log, ElementsAre("send 255", "address", "announce"));
    EXPECT_THAT(node.output.announced, ElementsAre("192.0.2.100 00:00:5e:00:01:33"));
    EXPECT_THAT(node.output.events, ElementsAre("transition init active owner"));
}

TEST(StateMachine, init_start_becomes_backup_with_timer_from_own_interval)
{
    Node node{instance(100)};
    node.start();
    EXPECT_EQ(node.state(), State::backup);
    EXPECT_EQ(node.manager.next_deadline(), node.now + active_down_interval(100, 100ms));
    EXPECT_THAT(node.output.sent, IsEmpty());
    EXPECT_THAT(node.output.events, ElementsAre("transition init backup started"));
}

TEST(StateMachine, backup_timer_fires_becomes_active_with_advert_then_announcements)
{
    Node node{instance(100)};
    node.start();
    node.output.clear();
    node.run(active_down_interval(100, 100ms) - 1us, 100us);
    EXPECT_EQ(node.state(), State::backup);
    EXPECT_THAT(node.output.log, IsEmpty());
    node.run(1us);
    EXPECT_EQ(node.state(), State::active);
    EXPECT_THAT(node.output.log, ElementsAre("send 100", "address", "announce"));
    EXPECT_THAT(node.output.events, ElementsAre("transition backup active peer_silent"));
}

TEST(StateMachine, backup_priority_zero_takes_over_after_skew)
{
    Node node{instance(100)};
    node.start();
    node.hear(200);
    node.run(50ms);
    node.hear(0);
    node.output.clear();
    node.run(skew_time(100, 100ms) - 1us, 100us);
    EXPECT_EQ(node.state(), State::backup);
    node.run(1us);
    EXPECT_EQ(node.state(), State::active);
    EXPECT_THAT(node.output.events, ElementsAre("transition backup active peer_stopped"));
}

TEST(StateMachine, backup_repeated_priority_zero_does_not_postpone)
{
    Node node{instance(100)};
    node.start();
    node.hear(200);
    for (int round = 0; round < 7; ++round) {
        node.hear(0);
        node.run(10ms);
    }
    EXPECT_EQ(node.state(), State::active);
}

TEST(StateMachine, backup_advert_of_at_least_own_priority_learns_interval_and_restarts)
{
    for (const std::uint8_t priority : {std::uint8_t{100}, std::uint8_t{101}}) {
        Node node{instance(100)};
        node.start();
        node.run(200ms);
        node.output.clear();
        node.hear(priority, "192.0.2.1", 50);
        EXPECT_EQ(node.manager.next_deadline(), node.now + active_down_interval(100, 500ms));
        EXPECT_EQ(node.state(), State::backup);
        EXPECT_THAT(node.output.log, IsEmpty());
    }
}

TEST(StateMachine, backup_lower_advert_without_preempt_restarts)
{
    Parameters parameters = instance(100);
    parameters.preempt = false;
    Node node{parameters};
    node.start();
    for (int round = 0; round < 20; ++round) {
        node.run(100ms);
        node.hear(50);
    }
    EXPECT_EQ(node.state(), State::backup);
    EXPECT_THAT(node.output.sent, IsEmpty());
}

TEST(StateMachine, backup_lower_advert_with_preempt_is_discarded_and_timer_keeps_running)
{
    Node node{instance(100)};
    node.start();
    const TimePoint deadline = node.manager.next_deadline();
    node.run(100ms);
    node.hear(50, "192.0.2.1", 400);
    EXPECT_EQ(node.manager.next_deadline(), deadline);
    node.output.clear();
    node.run(261ms);
    EXPECT_EQ(node.state(), State::active);
    EXPECT_THAT(node.output.events, ElementsAre("transition backup active preempted"));
}

TEST(StateMachine, backup_preempt_delay_waits_then_takes_over)
{
    Parameters parameters = instance(100);
    parameters.preempt_delay = 2s;
    Node node{parameters};
    node.start();
    const TimePoint begin = node.now;
    while (node.state() == State::backup && node.now - begin < 10s) {
        node.run(100ms);
        node.hear(50);
    }
    EXPECT_EQ(node.state(), State::active);
    EXPECT_GE(node.now - begin, 2s);
    EXPECT_LE(node.now - begin, 2600ms);
}

TEST(StateMachine, backup_preempt_delay_does_not_hold_when_the_active_one_dies)
{
    Parameters parameters = instance(100);
    parameters.preempt_delay = 60s;
    Node node{parameters};
    node.start();
    node.hear(50);
    node.run(active_down_interval(100, 100ms));
    EXPECT_EQ(node.state(), State::active);
}

TEST(StateMachine, shutdown_in_backup_is_silent)
{
    Node node{instance(100)};
    node.start();
    node.output.clear();
    node.manager.stop(node.now);
    EXPECT_EQ(node.state(), State::init);
    EXPECT_THAT(node.output.sent, IsEmpty());
    EXPECT_THAT(node.output.events, ElementsAre("transition backup init stopped"));
    node.run(2s);
    EXPECT_THAT(node.output.sent, IsEmpty());
}

TEST(StateMachine, shutdown_in_active_sends_priority_zero_once_then_silence)
{
    Node node{instance(100)};
    node.become_active();
    node.manager.stop(node.now);
    EXPECT_EQ(node.state(), State::init);
    EXPECT_FALSE(node.holds("192.0.2.100"));
    EXPECT_THAT(node.output.log, ElementsAre("send 0", "address"));
    node.run(10s);
    EXPECT_THAT(node.output.log, ElementsAre("send 0", "address"));
}

TEST(StateMachine, active_advert_timer_advertises_punctually)
{
    Node node{instance(100)};
    node.start();
    node.run(active_down_interval(100, 100ms), 100us);
    ASSERT_EQ(node.state(), State::active);
    const TimePoint took_over = node.now;
    node.output.clear();
    // Turns of 7 ms: each advert is late by less than a turn, and the lateness does not add up.
    node.run(10s, 7ms);
    EXPECT_EQ(node.output.sent.size(), 100U);
    EXPECT_EQ(node.now - took_over, 10s);
    for (const Sent& sent : node.output.sent) {
        EXPECT_EQ(sent.priority, 100);
    }
}

TEST(StateMachine, active_priority_zero_heard_advertises_and_resets_timer)
{
    Node node{instance(100)};
    node.become_active();
    node.run(30ms);
    node.output.clear();
    node.hear(0);
    EXPECT_THAT(node.output.log, ElementsAre("send 100"));
    EXPECT_EQ(node.state(), State::active);
}

TEST(StateMachine, active_higher_priority_learns_interval_and_becomes_backup)
{
    Node node{instance(100)};
    node.become_active();
    node.hear(101, "192.0.2.1", 50);
    EXPECT_EQ(node.state(), State::backup);
    EXPECT_FALSE(node.holds("192.0.2.100"));
    EXPECT_EQ(node.manager.next_deadline(), node.now + active_down_interval(100, 500ms));
    EXPECT_THAT(node.output.sent, IsEmpty());
    EXPECT_THAT(node.output.events, ElementsAre("other_active", "transition active backup peer_preferred"));
}

TEST(StateMachine, active_equal_priority_and_higher_address_becomes_backup)
{
    Node node{instance(100)};
    node.become_active();
    node.hear(100, "192.0.2.3");
    EXPECT_EQ(node.state(), State::backup);
}

TEST(StateMachine, active_equal_priority_and_lower_address_advertises_at_once)
{
    Node node{instance(100)};
    node.become_active();
    node.hear(100, "192.0.2.1");
    EXPECT_EQ(node.state(), State::active);
    EXPECT_THAT(node.output.log, ElementsAre("send 100"));
    EXPECT_THAT(node.output.events, ElementsAre("other_active"));
}

TEST(StateMachine, active_lower_priority_advertises_at_once_and_announces_again)
{
    Node node{instance(100)};
    node.become_active();
    node.run(6s);
    node.output.clear();
    for (int count = 0; count < 100; ++count) {
        node.hear(99); // A flood is not answered one by one.
    }
    EXPECT_THAT(node.output.log, ElementsAre("send 100"));
    EXPECT_THAT(node.output.events, ElementsAre("other_active"));
    node.run(1ms);
    EXPECT_EQ(node.output.announced.size(), 1U);
    node.run(6s);
    EXPECT_EQ(node.output.announced.size(), 10U);
    EXPECT_EQ(node.member().statistics.other_active.get(), 100U);
}

TEST(StateMachine, owner_as_backup_preempts_even_without_preempt)
{
    Parameters parameters = instance(255);
    parameters.preempt = false;
    Node node{parameters};
    node.start();
    node.hear(255, "192.0.2.9");
    ASSERT_EQ(node.state(), State::backup);
    for (int round = 0; round < 5; ++round) {
        node.run(100ms);
        node.hear(100, "192.0.2.9");
    }
    EXPECT_EQ(node.state(), State::active);
}

TEST(Announcements, takeover_sends_five_and_again_five_after_five_seconds)
{
    Node node{instance(100)};
    node.become_active();
    EXPECT_THAT(node.output.announced, IsEmpty());
    Node fresh{instance(255)};
    fresh.start();
    fresh.run(100ms);
    EXPECT_EQ(fresh.output.announced.size(), 5U);
    fresh.run(4800ms);
    EXPECT_EQ(fresh.output.announced.size(), 5U);
    fresh.run(200ms);
    EXPECT_EQ(fresh.output.announced.size(), 10U);
    fresh.run(60s, 20ms);
    EXPECT_EQ(fresh.output.announced.size(), 10U);
}

TEST(Announcements, giving_way_ends_them)
{
    Node node{instance(100)};
    node.start();
    node.run(340ms);
    node.hear(200);
    ASSERT_EQ(node.state(), State::backup);
    node.output.clear();
    for (int round = 0; round < 80; ++round) {
        node.run(100ms);
        node.hear(200);
    }
    EXPECT_THAT(node.output.log, IsEmpty());
}

TEST(Mail, down_timer_waits_after_a_gap_until_the_queues_were_read)
{
    Node node{instance(100)};
    node.start();
    node.hear(200);
    node.now += 5s; // The process did not run.
    node.manager.advance(node.now);
    EXPECT_EQ(node.state(), State::backup);
    EXPECT_LE(node.manager.next_deadline(), node.now);
    node.hear(200);
    node.manager.mail_read(node.now);
    node.manager.advance(node.now);
    EXPECT_EQ(node.state(), State::backup);
    EXPECT_THAT(node.output.sent, IsEmpty());
}

TEST(Mail, down_timer_fires_after_a_gap_once_the_queues_were_empty)
{
    Node node{instance(100)};
    node.start();
    node.hear(200);
    node.now += 5s;
    node.manager.advance(node.now);
    node.manager.mail_read(node.now);
    node.manager.advance(node.now);
    EXPECT_EQ(node.state(), State::active);
}

TEST(Mail, down_timer_does_not_wait_after_short_turns)
{
    Node node{instance(100)};
    node.start();
    for (int turn = 0; turn < 400; ++turn) { // Never a word about the queues: they are never empty under load.
        node.now += 1ms;
        node.manager.advance(node.now);
    }
    EXPECT_EQ(node.state(), State::active);
}

} // namespace
} // namespace sluice::vrrp::test
