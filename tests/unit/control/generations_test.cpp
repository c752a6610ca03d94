#include <sluice/control/generations.hpp>

#include <gtest/gtest.h>

namespace sluice::control {
namespace {

Snapshot snapshot_of(std::uint64_t generation)
{
    Snapshot snapshot;
    snapshot.generation = generation;
    auto plan = std::make_shared<proxy::ProxyPlan>();
    plan->services.push_back(std::make_shared<proxy::ServicePlan>());
    snapshot.proxy = std::move(plan);
    snapshot.vrrp = std::make_shared<vrrp::Table>(std::vector<vrrp::Parameters>{}, std::vector<vrrp::TrackedState>{});
    return snapshot;
}

TEST(LiveGenerations, GenerationThatNothingHolds_IsGone)
{
    LiveGenerations live;
    Snapshot current = snapshot_of(1);
    live.add(current);
    EXPECT_EQ(live.count(), 1U);
    for (std::uint64_t generation = 2; generation < 50; ++generation) {
        Snapshot next = snapshot_of(generation);
        live.add(next);
        EXPECT_EQ(live.count(), 2U);
        current = std::move(next);
        EXPECT_EQ(live.count(), 1U);
    }
}

TEST(LiveGenerations, PartsThatTheNextOneShares_DoNotKeepTheOneBefore)
{
    LiveGenerations live;
    Snapshot current = snapshot_of(1);
    live.add(current);
    Snapshot next = current;
    next.generation = 2;
    live.add(next);
    EXPECT_EQ(live.count(), 1U);
    current = snapshot_of(3);
    current.vrrp = next.vrrp;
    live.add(current);
    EXPECT_EQ(live.count(), 2U);
    next = current;
    EXPECT_EQ(live.count(), 1U);
}

TEST(LiveGenerations, PlanThatARequestHolds_KeepsItsGenerationUntilItEnds)
{
    LiveGenerations live;
    Snapshot current = snapshot_of(1);
    live.add(current);
    std::shared_ptr<const proxy::ServicePlan> held = current.proxy->services.front();
    for (std::uint64_t generation = 2; generation < 10; ++generation) {
        current = snapshot_of(generation);
        live.add(current);
        EXPECT_EQ(live.count(), 2U);
    }
    held.reset();
    EXPECT_EQ(live.count(), 1U);
}

} // namespace
} // namespace sluice::control
