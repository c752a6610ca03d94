// Clusters of two and three nodes through losses, partitions, crashes, stalls and reloads. A failing run prints its
// seed; SLUICE_SEED=N runs that seed alone.
#include "cluster.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

namespace sluice::vrrp::simulation {
namespace {

std::vector<std::uint64_t> seeds(std::uint64_t count)
{
    if (const char* chosen = std::getenv("SLUICE_SEED")) {
        return {std::strtoull(chosen, nullptr, 10)};
    }
    std::vector<std::uint64_t> list;
    for (std::uint64_t seed = 1; seed <= count; ++seed) {
        list.push_back(seed);
    }
    return list;
}

/// Measures, step by step, for how long a cluster has had two active nodes, or none though one could be.
class Judge {
public:
    explicit Judge(Cluster& cluster) : cluster_{cluster} {}

    void run(Duration duration)
    {
        for (const TimePoint end = cluster_.now + duration; cluster_.now < end;) {
            cluster_.step();
            two_ = cluster_.active() >= 2 && cluster_.connected() ? two_ + tick : Duration{0};
            none_ = cluster_.active() == 0 && cluster_.any_eligible() ? none_ + tick : Duration{0};
            longest_two = std::max(longest_two, two_);
            longest_none = std::max(longest_none, none_);
        }
    }
    Duration longest_two{0};
    Duration longest_none{0};

private:
    Cluster& cluster_;
    Duration two_{0};
    Duration none_{0};
};

/// Whether exactly one node is active and none has a higher priority. (Of equal ones whoever was first stays.)
testing::AssertionResult settled(const Cluster& cluster)
{
    const Machine* active = nullptr;
    for (const auto& machine : cluster.machines) {
        if (!machine->serves(cluster.now)) {
            continue;
        }
        if (active != nullptr) {
            return testing::AssertionFailure() << "two are active";
        }
        active = machine.get();
    }
    if (active == nullptr) {
        return testing::AssertionFailure() << "nobody is active";
    }
    for (const auto& machine : cluster.machines) {
        if (machine->plan().priority > active->plan().priority) {
            return testing::AssertionFailure() << "priority " << int{active->plan().priority} << " is active beside "
                                               << int{machine->plan().priority};
        }
    }
    return testing::AssertionSuccess();
}

std::vector<NodePlan> random_plans(Random& random)
{
    std::vector<NodePlan> plans(2 + random.below(2));
    for (NodePlan& plan : plans) {
        plan.priority = static_cast<std::uint8_t>(50 + 50 * random.below(4));
        plan.interval = 10ms * static_cast<std::int64_t>(1 + random.below(10));
    }
    return plans;
}

constexpr Duration longest_interval = 100ms;
// The slowest takeover: three intervals and a skew of at most one more, then a turn and the way there.
constexpr Duration takeover_bound = 4 * longest_interval + 10ms;
// The better one of two actives is heard with its next advert.
constexpr Duration two_actives_bound = longest_interval + 10ms;

TEST(Cluster, without_loss_never_two_actives_beyond_one_interval)
{
    for (const std::uint64_t seed : seeds(30)) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Random random{seed};
        Cluster cluster{seed, random_plans(random), 1};
        Judge judge{cluster};
        for (auto& machine : cluster.machines) {
            machine->start(cluster.now);
        }
        for (int event = 0; event < 25; ++event) {
            Machine& machine = *cluster.machines[random.below(cluster.machines.size())];
            switch (random.below(5)) {
            case 0:
                machine.crash();
                judge.run(Duration{static_cast<std::int64_t>(random.below(1'000'000'000))});
                machine.start(cluster.now);
                break;
            case 1:
                machine.stop(cluster.now);
                judge.run(Duration{static_cast<std::int64_t>(random.below(1'000'000'000))});
                machine.start(cluster.now);
                break;
            case 2: {
                NodePlan plan = machine.plan();
                plan.priority = static_cast<std::uint8_t>(50 + 50 * random.below(4));
                machine.reload(plan, cluster.now);
                break;
            }
            case 3:
                machine.manager().handover(500ms, cluster.now);
                judge.run(1s);
                machine.manager().undo_handover(cluster.now);
                break;
            default: {
                const std::size_t other = random.below(cluster.machines.size());
                const std::size_t victim = (other + 1) % cluster.machines.size();
                cluster.cut[0][other][victim] = true;
                cluster.cut[0][victim][other] = random.below(2) == 0; // Half of the partitions are one way only.
                judge.run(Duration{static_cast<std::int64_t>(random.below(1'500'000'000))});
                cluster.heal();
                break;
            }
            }
            judge.run(2s);
            ASSERT_TRUE(settled(cluster)) << "event " << event;
        }
        // A handover's addresses stay until the peer is heard, so both answer for the time of flight and a turn.
        EXPECT_LE(judge.longest_two, two_actives_bound);
        EXPECT_LE(judge.longest_none, takeover_bound);
    }
}

TEST(Cluster, with_loss_two_actives_are_rare_and_brief)
{
    for (const std::uint64_t seed : seeds(20)) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Random random{seed};
        Cluster cluster{seed, random_plans(random), 1};
        Judge judge{cluster};
        cluster.loss_millionths = 50'000;
        for (auto& machine : cluster.machines) {
            machine->start(cluster.now);
        }
        judge.run(60s);
        EXPECT_LE(judge.longest_two, 8 * longest_interval);
        EXPECT_LE(judge.longest_none, 2 * takeover_bound);
        cluster.loss_millionths = 0;
        judge.run(2s);
        EXPECT_TRUE(settled(cluster));
    }
}

TEST(Cluster, group_never_splits_while_one_of_its_links_is_whole)
{
    for (const std::uint64_t seed : seeds(20)) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Random random{seed};
        Cluster cluster{seed, {{200, true, 50ms}, {100, true, 50ms}}, 2};
        Judge judge{cluster};
        for (auto& machine : cluster.machines) {
            machine->start(cluster.now);
        }
        judge.run(2s);
        for (int event = 0; event < 20; ++event) {
            const std::size_t link = random.below(2);
            cluster.cut[link][0][1] = random.below(2) == 0;
            cluster.cut[link][1][0] = random.below(2) == 0;
            judge.run(Duration{static_cast<std::int64_t>(random.below(2'000'000'000))});
            cluster.heal();
            judge.run(200ms);
        }
        EXPECT_EQ(judge.longest_two, Duration{0});
        EXPECT_EQ(cluster.active(), 1U);
        EXPECT_TRUE(cluster.machines[0]->serves(cluster.now));
        EXPECT_EQ(cluster.machines[0]->transitions(), 4U); // Both members: init to backup, backup to active.
    }
}

TEST(Cluster, stalled_backup_reads_its_mail_before_it_judges)
{
    for (const std::uint64_t seed : seeds(20)) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Random random{seed};
        Cluster cluster{seed, {{200, true, 10ms}, {100, true, 10ms}}, 1};
        Judge judge{cluster};
        cluster.machines[0]->start(cluster.now);
        cluster.machines[1]->start(cluster.now);
        judge.run(1s);
        const std::size_t transitions = cluster.machines[1]->transitions();
        for (int stall = 0; stall < 30; ++stall) {
            cluster.machines[1]->stall(cluster.now + Duration{static_cast<std::int64_t>(random.below(3'000'000'000))});
            judge.run(4s);
        }
        EXPECT_EQ(cluster.machines[1]->transitions(), transitions);
        EXPECT_EQ(judge.longest_two, Duration{0});
    }
}

TEST(Cluster, reload_without_a_change_every_100_ms_never_moves_anything)
{
    Cluster cluster{1, {{200, true, 10ms}, {100, true, 10ms}}, 2};
    Judge judge{cluster};
    for (auto& machine : cluster.machines) {
        machine->start(cluster.now);
    }
    judge.run(1s);
    const std::size_t first = cluster.machines[0]->transitions();
    const std::size_t second = cluster.machines[1]->transitions();
    for (int round = 0; round < 200; ++round) {
        for (auto& machine : cluster.machines) {
            machine->reload(machine->plan(), cluster.now);
        }
        judge.run(100ms);
    }
    EXPECT_EQ(cluster.machines[0]->transitions(), first);
    EXPECT_EQ(cluster.machines[1]->transitions(), second);
    EXPECT_LE(judge.longest_none, takeover_bound);
}

TEST(Cluster, graceful_handover_leaves_no_gap)
{
    for (const std::uint64_t seed : seeds(20)) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Cluster cluster{seed, {{200, true, 10ms}, {100, true, 10ms}}, 1};
        Judge start{cluster};
        for (auto& machine : cluster.machines) {
            machine->start(cluster.now);
        }
        start.run(1s);
        Judge judge{cluster};
        cluster.machines[0]->manager().handover(3s, cluster.now);
        judge.run(1s);
        EXPECT_EQ(cluster.machines[0]->manager().handover_state(), HandoverState::done);
        EXPECT_TRUE(cluster.machines[1]->serves(cluster.now));
        EXPECT_FALSE(cluster.machines[0]->serves(cluster.now));
        cluster.machines[0]->manager().undo_handover(cluster.now);
        judge.run(1s);
        EXPECT_TRUE(cluster.machines[0]->serves(cluster.now));
        EXPECT_EQ(judge.longest_none, Duration{0});
        EXPECT_LE(judge.longest_two, 5ms);
    }
}

} // namespace
} // namespace sluice::vrrp::simulation
