// What a node makes of its instances: groups, readiness, faults, weights, handover, reload.
#include "node.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::vrrp::test {
namespace {

using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

constexpr TrackedObject front{TrackedObject::Kind::port, 0};
constexpr TrackedObject web{TrackedObject::Kind::pool, 7};
constexpr TrackedObject api{TrackedObject::Kind::pool, 8};

Parameters instance6(std::uint8_t priority = 100)
{
    Parameters parameters = instance(priority);
    parameters.name = "public6";
    parameters.source = address("fe80::2");
    parameters.addresses = {address("fe80::100"), address("2001:db8::100")};
    return parameters;
}

std::vector<Parameters> edge(std::uint8_t priority = 100)
{
    std::vector<Parameters> both{instance(priority), instance6(priority)};
    both[0].group = both[1].group = "edge";
    return both;
}

std::vector<std::uint8_t> priorities(const std::vector<Sent>& sent)
{
    std::vector<std::uint8_t> list;
    for (const Sent& each : sent) {
        list.push_back(each.priority);
    }
    return list;
}

TEST(Groups, instances_without_a_group_are_alone)
{
    Node node{{instance(), instance6()}};
    EXPECT_EQ(node.manager.table().groups().size(), 2U);
    Node together{edge()};
    EXPECT_EQ(together.manager.table().groups().size(), 1U);
}

TEST(Groups, take_over_when_every_member_hears_nobody)
{
    Node node{edge()};
    node.start();
    for (int round = 0; round < 10; ++round) {
        node.hear(200, "fe80::1"); // The peer's IPv4 adverts are lost on the way.
        node.run(100ms);
    }
    EXPECT_EQ(node.state(), State::backup);
    EXPECT_THAT(node.output.sent, IsEmpty());
    node.run(400ms);
    EXPECT_EQ(node.state(), State::active);
    EXPECT_TRUE(node.holds("192.0.2.100"));
    EXPECT_TRUE(node.holds("2001:db8::100"));
}

TEST(Groups, advertise_all_members_before_any_address_is_taken)
{
    Node node{edge()};
    node.start();
    node.output.clear();
    node.run(400ms, 500ms);
    EXPECT_THAT(std::vector<std::string>(node.output.log.begin(), node.output.log.begin() + 3),
                ElementsAre("send 100", "send 100", "address"));
}

TEST(Groups, give_way_when_one_member_hears_a_better_one)
{
    Node node{edge()};
    node.become_active();
    node.hear(200, "fe80::1");
    EXPECT_EQ(node.state(), State::backup);
    EXPECT_FALSE(node.holds("192.0.2.100"));
    EXPECT_FALSE(node.holds("2001:db8::100"));
    EXPECT_THAT(node.output.sent, IsEmpty());
}

TEST(Groups, priority_zero_in_every_member_takes_over_after_skew)
{
    Node node{edge()};
    node.start();
    node.hear(200);
    node.hear(200, "fe80::1");
    node.hear(0);
    node.hear(0, "fe80::1");
    node.run(skew_time(100, 100ms));
    EXPECT_EQ(node.state(), State::active);
}

TEST(OwnMac, adverts_and_announcements_carry_it)
{
    Parameters parameters = instance(200);
    parameters.own_mac = wire::MacAddress::from(2, 0, 0, 0, 0, 7);
    Node node{parameters};
    node.start();
    node.run(400ms);
    ASSERT_EQ(node.state(), State::active);
    ASSERT_FALSE(node.output.sent.empty());
    EXPECT_EQ(to_hex(Bytes{node.output.sent.front().frame}.subspan(6, 6)), "020000000007");
    EXPECT_THAT(node.output.announced, Each("192.0.2.100 02:00:00:00:00:07"));
}

TEST(Readiness, comes_and_goes)
{
    Node node{instance()};
    node.become_active();
    node.manager.set_ready(false, node.now);
    EXPECT_EQ(node.state(), State::init);
    EXPECT_THAT(priorities(node.output.sent), ElementsAre(0));
    EXPECT_THAT(node.output.events, ElementsAre("transition active init not_ready"));
    node.manager.set_ready(true, node.now);
    EXPECT_EQ(node.state(), State::backup);
}

TEST(Faults, stalled_worker_sends_priority_zero_once_then_silence)
{
    Node node{edge()};
    node.become_active();
    node.manager.set_fault(NodeFault::worker_stalled, true, node.now);
    node.manager.set_fault(NodeFault::transmit_stalled, true, node.now);
    node.run(10s);
    EXPECT_THAT(priorities(node.output.sent), ElementsAre(0, 0)); // One for each member
    EXPECT_FALSE(node.holds("192.0.2.100"));
    node.manager.set_fault(NodeFault::worker_stalled, false, node.now);
    EXPECT_EQ(node.state(), State::init); // The other one is still there.
    node.manager.set_fault(NodeFault::transmit_stalled, false, node.now);
    EXPECT_EQ(node.state(), State::backup);
}

TEST(Faults, own_port_down_is_a_fault_without_being_tracked)
{
    Node node{{instance()}, {{front, true}}};
    node.become_active();
    node.manager.set_tracked(front, false, node.now);
    EXPECT_EQ(node.state(), State::init);
    EXPECT_THAT(node.output.events, ElementsAre("transition active init fault"));
    node.output.clear();
    node.run(10s);
    node.hear(50);
    EXPECT_THAT(node.output.log, IsEmpty());
    node.manager.set_tracked(front, true, node.now);
    node.run(400ms);
    EXPECT_EQ(node.state(), State::active);
}

TEST(Faults, fault_in_backup_says_nothing)
{
    Node node{{instance()}, {{front, true}}};
    node.start();
    node.hear(200);
    node.output.clear();
    node.manager.set_tracked(front, false, node.now);
    EXPECT_THAT(node.output.sent, IsEmpty());
    node.run(10s);
    EXPECT_THAT(node.output.sent, IsEmpty());
}

TEST(Tracking, pool_without_weight_yields_the_whole_group)
{
    std::vector<Parameters> both = edge();
    both[0].tracks = {{web, std::nullopt}};
    Node node{both, {{web, true}}};
    node.become_active();
    node.manager.set_tracked(web, false, node.now);
    EXPECT_EQ(node.state(), State::init);
    EXPECT_FALSE(node.holds("2001:db8::100"));
}

TEST(Tracking, weight_changes_the_priority_of_the_whole_group_at_once)
{
    std::vector<Parameters> both = edge(200);
    both[0].tracks = {{web, std::int16_t{-50}}};
    Node node{both, {{web, true}}};
    node.become_active();
    node.manager.set_tracked(web, false, node.now);
    EXPECT_EQ(node.state(), State::active);
    EXPECT_THAT(priorities(node.output.sent), ElementsAre(150, 150));
    EXPECT_THAT(node.output.events, ElementsAre("priority_changed 150", "priority_changed 150"));
    EXPECT_EQ(node.member(0, 1).statistics.priority.get(), 150U);
    node.output.clear();
    node.manager.set_tracked(web, true, node.now);
    EXPECT_THAT(priorities(node.output.sent), ElementsAre(200, 200));
    node.output.clear();
    node.manager.set_tracked(web, true, node.now); // No news
    EXPECT_THAT(node.output.log, IsEmpty());
}

TEST(Tracking, weights_add_up_object_by_object_and_stay_in_range)
{
    std::vector<Parameters> both = edge(100);
    both[0].tracks = {{web, std::int16_t{-60}}, {api, std::int16_t{-60}}};
    both[1].tracks = {{web, std::int16_t{-20}}};
    Node node{both, {{web, true}, {api, true}}};
    node.become_active();
    node.manager.set_tracked(web, false, node.now);
    EXPECT_EQ(node.member().statistics.priority.get(), 40U);
    node.manager.set_tracked(api, false, node.now);
    EXPECT_EQ(node.member().statistics.priority.get(), 1U);
    EXPECT_EQ(node.state(), State::active);
}

TEST(Tracking, pool_that_several_instances_name_counts_once)
{
    std::vector<Parameters> both = edge(200);
    both[0].tracks = both[1].tracks = {{web, std::int16_t{-50}}};
    Node node{both, {{web, true}, {web, true}}};
    node.become_active();
    node.manager.set_tracked(web, false, node.now);
    EXPECT_EQ(node.member().statistics.priority.get(), 150U);
}

TEST(Tracking, positive_weight_counts_while_up)
{
    Parameters parameters = instance(100);
    parameters.tracks = {{web, std::int16_t{30}}};
    Node node{{parameters}, {{web, true}}};
    node.become_active();
    EXPECT_EQ(node.member().statistics.priority.get(), 130U);
    node.manager.set_tracked(web, false, node.now);
    EXPECT_EQ(node.member().statistics.priority.get(), 100U);
}

TEST(Tracking, peer_that_weakens_is_relieved_even_without_preempt)
{
    Parameters parameters = instance(180);
    parameters.preempt = false;
    Node node{parameters};
    node.start();
    node.hear(200);
    node.run(100ms);
    TimePoint begin = node.now;
    for (int round = 0; round < 4 && node.state() == State::backup; ++round) {
        node.hear(150);
        node.run(100ms);
    }
    EXPECT_EQ(node.state(), State::active);
    EXPECT_LE(node.now - begin, 400ms);
}

TEST(Tracking, peer_that_weakens_but_stays_better_is_not_relieved)
{
    Parameters parameters = instance(100);
    parameters.preempt = false;
    Node node{parameters};
    node.start();
    node.hear(200);
    for (int round = 0; round < 20; ++round) {
        node.hear(150);
        node.run(100ms);
    }
    EXPECT_EQ(node.state(), State::backup);
}

TEST(Tracking, recovering_node_without_preempt_leaves_a_lower_peer_alone)
{
    Parameters parameters = instance(200);
    parameters.preempt = false;
    parameters.tracks = {{web, std::int16_t{-50}}};
    Node node{{parameters}, {{web, false}}};
    node.start();
    node.hear(180); // Better than our 150
    node.manager.set_tracked(web, true, node.now);
    for (int round = 0; round < 20; ++round) {
        node.hear(180);
        node.run(100ms);
    }
    EXPECT_EQ(node.state(), State::backup);
}

TEST(Tracking, peer_that_weakens_is_relieved_without_the_preempt_delay)
{
    Parameters parameters = instance(180);
    parameters.preempt_delay = 300s;
    Node node{parameters};
    node.start();
    node.hear(200);
    for (int round = 0; round < 4; ++round) {
        node.hear(150);
        node.run(100ms);
    }
    EXPECT_EQ(node.state(), State::active);
}

TEST(Handover, keeps_the_addresses_until_the_peer_is_heard)
{
    Node node{edge(200)};
    node.become_active();
    node.manager.handover(3s, node.now);
    EXPECT_THAT(priorities(node.output.sent), ElementsAre(0, 0));
    EXPECT_EQ(node.manager.handover_state(), HandoverState::pending);
    node.run(60ms);
    EXPECT_THAT(node.output.sent, testing::SizeIs(2)); // Nothing more, though an advert would have been due.
    EXPECT_TRUE(node.holds("192.0.2.100"));
    node.hear(100);
    EXPECT_EQ(node.state(), State::backup);
    EXPECT_FALSE(node.holds("192.0.2.100"));
    EXPECT_FALSE(node.holds("2001:db8::100"));
    EXPECT_EQ(node.manager.handover_state(), HandoverState::done);
    EXPECT_THAT(node.output.events, Contains("handover_done"));
    EXPECT_THAT(node.output.sent, testing::SizeIs(2));
}

TEST(Handover, standby_does_not_preempt_a_lower_peer)
{
    Node node{instance(200)};
    node.become_active();
    node.manager.handover(3s, node.now);
    node.hear(100);
    node.output.clear();
    for (int round = 0; round < 50; ++round) {
        node.hear(100);
        node.run(100ms);
    }
    EXPECT_EQ(node.state(), State::backup);
    EXPECT_THAT(node.output.sent, IsEmpty());
    EXPECT_EQ(node.member().statistics.priority.get(), 1U);
}

TEST(Handover, standby_takes_over_when_nobody_advertises_and_gives_way_to_anybody)
{
    Node node{instance(200)};
    node.become_active();
    node.manager.handover(3s, node.now);
    node.hear(100);
    node.output.clear();
    node.run(400ms);
    EXPECT_EQ(node.state(), State::active);
    EXPECT_EQ(node.output.sent.front().priority, 1);
    node.hear(100);
    EXPECT_EQ(node.state(), State::backup);
}

TEST(Handover, without_a_peer_changes_nothing)
{
    Node node{edge(200)};
    node.become_active();
    node.manager.handover(3s, node.now);
    node.run(3s - 1ms);
    EXPECT_TRUE(node.holds("192.0.2.100"));
    EXPECT_EQ(node.manager.handover_state(), HandoverState::pending);
    node.output.clear();
    node.run(1ms);
    EXPECT_EQ(node.manager.handover_state(), HandoverState::failed);
    EXPECT_THAT(priorities(node.output.sent), ElementsAre(200, 200));
    EXPECT_THAT(node.output.events, ElementsAre("handover_failed"));
    EXPECT_EQ(node.state(), State::active);
    EXPECT_FALSE(node.manager.table().groups()[0].standby());
}

TEST(Handover, of_two_groups_of_which_one_has_no_peer_is_taken_back)
{
    Node node{{instance(200), instance6(200)}};
    node.become_active();
    node.manager.handover(1s, node.now);
    node.hear(100);
    EXPECT_EQ(node.state(0), State::backup);
    for (int round = 0; round < 20; ++round) {
        node.run(100ms);
        if (node.state(0) == State::backup) {
            node.hear(100);
        }
    }
    EXPECT_EQ(node.manager.handover_state(), HandoverState::failed);
    EXPECT_EQ(node.state(0), State::active);
    EXPECT_EQ(node.state(1), State::active);
}

TEST(Handover, peer_that_stops_too_is_not_a_successor)
{
    Node node{instance(200)};
    node.become_active();
    node.manager.handover(3s, node.now);
    node.output.clear();
    node.hear(0);
    EXPECT_EQ(node.state(), State::active);
    EXPECT_THAT(node.output.sent, IsEmpty());
}

TEST(Handover, undo_while_pending_advertises_at_once)
{
    Node node{instance(200)};
    node.become_active();
    node.manager.handover(3s, node.now);
    node.output.clear();
    node.manager.undo_handover(node.now);
    EXPECT_THAT(priorities(node.output.sent), ElementsAre(200));
    EXPECT_EQ(node.manager.handover_state(), HandoverState::idle);
    node.hear(100);
    EXPECT_EQ(node.state(), State::active);
}

TEST(Handover, undo_in_standby_preempts_again)
{
    Node node{instance(200)};
    node.become_active();
    node.manager.handover(3s, node.now);
    node.hear(100);
    node.manager.undo_handover(node.now);
    for (int round = 0; round < 4; ++round) {
        node.hear(100);
        node.run(100ms);
    }
    EXPECT_EQ(node.state(), State::active);
}

TEST(Handover, of_a_backup_is_done_at_once)
{
    Node node{instance(200)};
    node.start();
    node.hear(250);
    node.manager.handover(3s, node.now);
    EXPECT_EQ(node.manager.handover_state(), HandoverState::done);
    node.run(200ms);
    EXPECT_THAT(node.output.sent, IsEmpty());
}

TEST(Handover, fault_meanwhile_counts_as_given_away)
{
    Node node{{instance(200)}, {{front, true}}};
    node.become_active();
    node.manager.handover(3s, node.now);
    node.manager.set_tracked(front, false, node.now);
    EXPECT_EQ(node.manager.handover_state(), HandoverState::done);
    EXPECT_THAT(priorities(node.output.sent), ElementsAre(0));
    node.manager.set_tracked(front, true, node.now);
    EXPECT_EQ(node.member().statistics.priority.get(), 1U);
}

class Reload : public testing::Test {
protected:
    static void apply(Node& node, std::vector<Parameters> instances, std::vector<TrackedState> tracked = {})
    {
        node.manager.replace(std::make_shared<Table>(std::move(instances), std::move(tracked)), node.now);
    }
};

TEST_F(Reload, without_a_change_does_nothing_at_all)
{
    Node node{edge()};
    node.become_active();
    node.run(6s);
    const TimePoint deadline = node.manager.next_deadline();
    const std::uint64_t sent = node.member().statistics.adverts_sent.get();
    node.output.clear();
    apply(node, edge());
    EXPECT_THAT(node.output.sent, IsEmpty());
    EXPECT_THAT(node.output.announced, IsEmpty());
    EXPECT_THAT(node.output.events, IsEmpty());
    EXPECT_EQ(node.manager.next_deadline(), deadline);
    EXPECT_EQ(node.member().statistics.adverts_sent.get(), sent);
    EXPECT_TRUE(node.holds("192.0.2.100"));
}

TEST_F(Reload, in_backup_keeps_the_timer)
{
    Node node{instance()};
    node.start();
    node.hear(200, "192.0.2.1", 50);
    node.run(200ms);
    const TimePoint deadline = node.manager.next_deadline();
    apply(node, {instance()});
    EXPECT_EQ(node.manager.next_deadline(), deadline);
    EXPECT_EQ(node.state(), State::backup);
}

TEST_F(Reload, of_the_address_list_is_no_transition)
{
    Node node{instance()};
    node.become_active();
    node.run(6s);
    node.output.clear();
    Parameters changed = instance();
    changed.addresses = {address("192.0.2.101"), address("192.0.2.102")};
    apply(node, {changed});
    EXPECT_EQ(node.state(), State::active);
    EXPECT_THAT(node.output.events, IsEmpty());
    EXPECT_FALSE(node.holds("192.0.2.100"));
    EXPECT_TRUE(node.holds("192.0.2.101"));
    EXPECT_TRUE(node.holds("192.0.2.102"));
    node.run(100ms);
    EXPECT_THAT(node.output.announced, Contains("192.0.2.101 00:00:5e:00:01:33").Times(5));
    EXPECT_THAT(priorities(node.output.sent), Each(100));
    ASSERT_THAT(node.output.sent, Not(IsEmpty()));
}

TEST_F(Reload, of_the_priority_while_active_is_told_at_once)
{
    Node node{instance(100)};
    node.become_active();
    apply(node, {instance(90)});
    EXPECT_EQ(node.state(), State::active);
    EXPECT_THAT(priorities(node.output.sent), ElementsAre(90));
    EXPECT_THAT(node.output.events, ElementsAre("priority_changed 90"));
}

TEST_F(Reload, of_the_interval_applies_from_the_next_advert)
{
    Node node{instance(100)};
    node.become_active();
    Parameters faster = instance(100);
    faster.advert_interval = 10ms;
    apply(node, {faster});
    node.run(1s);
    EXPECT_NEAR(static_cast<double>(node.output.sent.size()), 100.0, 2.0);
}

TEST_F(Reload, that_removes_an_active_instance_gives_its_address_up)
{
    Node node{{instance(), instance6()}};
    node.become_active();
    apply(node, {instance6()});
    EXPECT_THAT(priorities(node.output.sent), ElementsAre(0));
    EXPECT_FALSE(node.output.addresses.contains("192.0.2.100"));
    EXPECT_TRUE(node.holds("2001:db8::100"));
    EXPECT_THAT(node.output.events, ElementsAre("transition active init reconfigured"));
}

TEST_F(Reload, that_adds_an_instance_starts_it)
{
    Node node{instance()};
    node.become_active();
    apply(node, {instance(), instance6()});
    EXPECT_EQ(node.state(0), State::active);
    EXPECT_EQ(node.state(1), State::backup);
    EXPECT_THAT(node.output.sent, IsEmpty());
    EXPECT_EQ(node.output.addresses.at("2001:db8::100"), Ownership::backup);
}

TEST_F(Reload, that_adds_a_member_to_an_active_group_takes_its_addresses_with_it)
{
    Parameters alone = edge()[0];
    Node node{alone};
    node.become_active();
    apply(node, edge());
    EXPECT_EQ(node.state(), State::active);
    EXPECT_TRUE(node.holds("2001:db8::100"));
    EXPECT_THAT(node.output.events, ElementsAre("transition init active reconfigured"));
    EXPECT_THAT(priorities(node.output.sent), ElementsAre(100));
}

TEST_F(Reload, that_changes_the_vrid_is_another_instance)
{
    Node node{instance()};
    node.become_active();
    Parameters other = instance();
    other.vrid = 52;
    apply(node, {other});
    EXPECT_THAT(priorities(node.output.sent), ElementsAre(0));
    EXPECT_EQ(node.output.sent[0].vrid, 51);
    EXPECT_EQ(node.state(), State::backup);
    EXPECT_EQ(node.output.addresses.at("192.0.2.100"), Ownership::backup);
}

TEST_F(Reload, that_joins_an_active_and_a_backup_instance_prefers_backup)
{
    Node node{{instance(), instance6()}};
    node.start();
    for (int round = 0; round < 5; ++round) {
        node.hear(200, "fe80::1");
        node.run(100ms);
    }
    ASSERT_EQ(node.state(0), State::active);
    ASSERT_EQ(node.state(1), State::backup);
    node.output.clear();
    apply(node, edge());
    EXPECT_EQ(node.state(), State::backup);
    EXPECT_THAT(priorities(node.output.sent), ElementsAre(0));
    EXPECT_FALSE(node.holds("192.0.2.100"));
    EXPECT_THAT(node.output.events, ElementsAre("transition active backup reconfigured"));
}

TEST_F(Reload, keeps_what_the_forwarder_knows_of_tracked_objects)
{
    Parameters parameters = instance(200);
    parameters.tracks = {{web, std::int16_t{-50}}};
    Node node{{parameters}, {{web, true}}};
    node.become_active();
    node.manager.set_tracked(web, false, node.now);
    node.output.clear();
    apply(node, {parameters}, {{web, true}}); // Control's belief is older.
    EXPECT_EQ(node.member().statistics.priority.get(), 150U);
    EXPECT_THAT(node.output.events, IsEmpty());
}

TEST_F(Reload, of_the_mac_is_announced_at_once)
{
    Node node{instance(200)};
    node.become_active();
    node.run(6s);
    node.output.clear();
    Parameters other = instance(200);
    other.own_mac = wire::MacAddress::from(2, 0, 0, 0, 0, 7);
    apply(node, {other});
    node.run(1ms);
    EXPECT_THAT(node.output.announced, ElementsAre("192.0.2.100 02:00:00:00:00:07"));
    EXPECT_EQ(node.state(), State::active);
}

TEST_F(Reload, during_a_handover_does_not_disturb_it)
{
    Node node{instance(200)};
    node.become_active();
    node.manager.handover(3s, node.now);
    node.output.clear();
    apply(node, {instance(200)});
    EXPECT_THAT(node.output.sent, IsEmpty());
    node.hear(100);
    EXPECT_EQ(node.state(), State::backup);
    EXPECT_EQ(node.manager.handover_state(), HandoverState::done);
}

TEST_F(Reload, in_standby_adds_standby_instances)
{
    Node node{instance(200)};
    node.become_active();
    node.manager.handover(3s, node.now);
    node.hear(100);
    apply(node, {instance(200), instance6(200)});
    EXPECT_TRUE(node.manager.table().groups()[1].standby());
    EXPECT_EQ(node.member(1).statistics.priority.get(), 1U);
}

TEST_F(Reload, returns_the_generation_before)
{
    Node node{instance()};
    auto next = std::make_shared<Table>(std::vector<Parameters>{instance()}, std::vector<TrackedState>{});
    const Table* old = &node.manager.table();
    EXPECT_EQ(node.manager.replace(next, node.now).get(), old);
    EXPECT_EQ(&node.manager.table(), next.get());
    EXPECT_NE(next->find("public"), nullptr);
    EXPECT_EQ(next->find("nobody"), nullptr);
}

} // namespace
} // namespace sluice::vrrp::test
