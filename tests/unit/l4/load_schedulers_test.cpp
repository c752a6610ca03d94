// Schedulers that look at what servers have to do. Expected orders are those of LVS for the same counts.
#include <sluice/l4/scheduler.hpp>
#include <sluice/l4/server_loads.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <numeric>
#include <string>

namespace sluice::l4 {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::seconds;

/// Servers, and forwarders that count their flows on cores of their own.
class Farm {
public:
    Farm(Balance balance, std::initializer_list<std::uint32_t> weights, std::uint16_t forwarders = 1)
        : forwarders_{forwarders}
    {
        options_.balance = balance;
        options_.pool = 7;
        std::uint32_t number = 0;
        for (const std::uint32_t weight : weights) {
            const wire::Endpoint address{wire::IpAddress::v4(0x0a000001U + number), 80};
            servers.push_back(
                {ServerId{number++ << 12U | 1U}, std::make_shared<health::Server>("pool", "", address), weight});
        }
        for (std::uint16_t core = 0; core < forwarders; ++core) {
            loads_.push_back(std::make_unique<ServerLoads>(servers.size(), core, forwarders));
        }
        cursors_.resize(forwarders);
        rebuild();
    }
    void rebuild() { scheduler_ = make_scheduler(options_, servers); }

    std::optional<std::uint32_t> pick(std::uint16_t forwarder = 0, std::uint32_t destination = 1)
    {
        PickRequest request;
        request.client = wire::IpAddress::v4(client++);
        request.destination = wire::IpAddress::v4(destination);
        request.forwarder = forwarder;
        request.forwarders = forwarders_;
        request.now = now;
        request.loads = loads_[forwarder].get();
        request.affinities = &affinities;
        return scheduler_->pick(servers, request, cursors_[forwarder]);
    }
    /// Picks, and the flow stays, established or not.
    char open(bool active = true, std::uint16_t forwarder = 0, std::uint32_t destination = 1)
    {
        const auto picked = pick(forwarder, destination);
        if (!picked) {
            return '-';
        }
        servers[*picked].record->counters(forwarder).flows.begin(active);
        servers[*picked].record->flow_began();
        return static_cast<char>('A' + *picked);
    }
    std::string open_all(std::size_t flows, bool active = true)
    {
        std::string order;
        for (std::size_t flow = 0; flow < flows; ++flow) {
            order += open(active);
        }
        return order;
    }
    void add(std::size_t server, std::uint32_t active, std::uint32_t inactive, std::size_t core = 0)
    {
        for (std::uint32_t flow = 0; flow < active; ++flow) {
            servers[server].record->counters(core).flows.begin(true);
        }
        for (std::uint32_t flow = 0; flow < inactive; ++flow) {
            servers[server].record->counters(core).flows.begin(false);
        }
    }
    void remove(std::size_t server, std::uint32_t active, std::size_t core = 0)
    {
        for (std::uint32_t flow = 0; flow < active; ++flow) {
            servers[server].record->counters(core).flows.end(true);
        }
    }

    std::vector<PoolServer> servers;
    AffinityTable affinities{4096, {1, 2}};
    TimePoint now{seconds{1000}};
    std::uint32_t client = 1;

private:
    SchedulerOptions options_;
    std::uint16_t forwarders_;
    std::vector<std::unique_ptr<ServerLoads>> loads_;
    std::vector<Cursor> cursors_;
    std::unique_ptr<const Scheduler> scheduler_;
};

TEST(LeastConnections, fewest_flows_win_whatever_the_weight_and_the_first_of_equals)
{
    Farm farm{Balance::lc, {9, 1, 1}};
    EXPECT_EQ(farm.open_all(6), "ABCABC");
    farm.remove(1, 1);
    EXPECT_EQ(farm.open_all(2), "BA");
}

TEST(LeastConnections, an_established_flow_is_as_heavy_as_256_others)
{
    Farm farm{Balance::lc, {1, 1}};
    farm.add(0, 1, 0);
    farm.add(1, 0, 255);
    EXPECT_EQ(farm.open(false), 'B');
    EXPECT_EQ(farm.open(false), 'A');
}

TEST(WeightedLeastConnections, flows_by_weight)
{
    Farm farm{Balance::wlc, {4, 3, 2}};
    // Weights are met at every multiple of their sum; before, the least full by weight is next, ties to the first.
    EXPECT_EQ(farm.open_all(9), "ABCABACBA");
    EXPECT_EQ(farm.open_all(900).size(), 900U);
    EXPECT_EQ(farm.servers[0].record->flows().active, 404U);
    EXPECT_EQ(farm.servers[1].record->flows().active, 303U);
    EXPECT_EQ(farm.servers[2].record->flows().active, 202U);
}

TEST(WeightedLeastConnections, shares_are_within_one_percent_of_the_weights)
{
    Farm farm{Balance::wlc, {100, 70, 31, 7, 1}};
    constexpr std::uint32_t flows = 20'900;
    farm.open_all(flows);
    for (const PoolServer& server : farm.servers) {
        const double fair = flows * server.weight / 209.0;
        EXPECT_NEAR(server.record->flows().active, fair, std::max(fair * 0.01, 1.0));
    }
}

TEST(WeightedLeastConnections, quiesced_down_drained_and_full_servers_are_passed_over)
{
    Farm farm{Balance::wlc, {0, 1, 1, 1, 1}};
    farm.servers[1].record->set_status(health::Status::down);
    farm.servers[2].record->set_drained(true);
    farm.servers[3].record->set_limits(2, 1);
    EXPECT_EQ(farm.open_all(6), "DEDEEE");
    farm.servers[4].record->set_status(health::Status::down);
    EXPECT_EQ(farm.open(), '-');
}

TEST(ShortestExpectedDelay, counts_the_new_flow_in_and_idle_light_servers_wait)
{
    Farm farm{Balance::sed, {3, 1}};
    // (0+1)/3 < (0+1)/1; the light one is reached when the heavy one would have (n+1)/3 > 1.
    EXPECT_EQ(farm.open_all(8), "AAABAAAB");
}

TEST(ShortestExpectedDelay, inactive_flows_do_not_count)
{
    Farm farm{Balance::sed, {1, 1}};
    farm.add(0, 0, 1000);
    EXPECT_EQ(farm.open_all(2), "AB");
}

TEST(NeverQueue, an_idle_server_is_taken_at_once_else_as_sed)
{
    Farm farm{Balance::nq, {3, 1}};
    EXPECT_EQ(farm.open_all(4), "ABAA");
    farm.remove(1, 1);
    EXPECT_EQ(farm.open(), 'B');
}

TEST(FailOver, the_heaviest_server_that_is_up_takes_everything)
{
    Farm farm{Balance::fo, {1, 9, 9, 5}};
    EXPECT_EQ(farm.open_all(3), "BBB");
    farm.servers[1].record->set_status(health::Status::down);
    farm.servers[2].record->set_drained(true);
    EXPECT_EQ(farm.open_all(2), "DD");
    farm.servers[1].record->set_status(health::Status::up);
    EXPECT_EQ(farm.open(), 'B');
}

TEST(Overflow, the_heaviest_server_is_filled_past_its_weight_then_the_next_and_then_nobody)
{
    Farm farm{Balance::ovf, {2, 3}};
    EXPECT_EQ(farm.open_all(8), "BBBBAAA-") << "as in LVS a server takes flows while it has no more than its weight";
    farm.remove(1, 1);
    EXPECT_EQ(farm.open(), 'B');
}

TEST(TwoChoices, shares_follow_the_weights_and_the_busy_one_of_two_is_avoided)
{
    Farm farm{Balance::twos, {4, 2, 1, 1}};
    farm.open_all(8000);
    for (const PoolServer& server : farm.servers) {
        const double fair = server.weight * 1000.0;
        EXPECT_NEAR(server.record->flows().active, fair, fair * 0.01);
    }
    farm.add(0, 100'000, 0);
    std::uint32_t busy = 0;
    for (int flow = 0; flow < 1000; ++flow) {
        busy += farm.pick() == 0U ? 1U : 0U;
    }
    // Only when both draws are the busy one: a quarter.
    EXPECT_NEAR(busy, 0U, 400U);
}

TEST(TwoChoices, one_server_that_is_left_is_found)
{
    Farm farm{Balance::twos, {1000, 1}};
    farm.servers[0].record->set_status(health::Status::down);
    EXPECT_EQ(farm.open_all(3), "BBB") << "before the rebuild";
    farm.rebuild();
    EXPECT_EQ(farm.open_all(3), "BBB");
    farm.servers[1].record->set_drained(true);
    EXPECT_EQ(farm.open(), '-');
}

TEST(ServerLoads, own_flows_count_at_once_those_of_other_cores_within_a_millisecond)
{
    Farm farm{Balance::lc, {1, 1}, 2};
    EXPECT_EQ(farm.open(true, 0), 'A');
    farm.add(1, 5, 0, 1);
    EXPECT_EQ(farm.open(true, 0), 'B') << "the other core's flows were read within this millisecond";
    farm.now += std::chrono::milliseconds{1};
    EXPECT_EQ(farm.open(true, 0), 'A');
    EXPECT_EQ(farm.open(true, 0), 'A');
}

/// Largest difference between two servers' flows after `flows` that arrive at random forwarders, one a microsecond.
std::uint32_t unevenness(Balance balance, std::uint16_t forwarders, std::size_t flows)
{
    Farm farm{balance, {1, 1, 1, 1, 1}, forwarders};
    std::uint64_t random = 88172645463325252ULL;
    for (std::size_t flow = 0; flow < flows; ++flow) {
        random ^= random << 13U;
        random ^= random >> 7U;
        random ^= random << 17U;
        farm.open(true, static_cast<std::uint16_t>(random % forwarders));
        farm.now += microseconds{1};
    }
    std::uint32_t least = ~0U;
    std::uint32_t most = 0;
    for (const PoolServer& server : farm.servers) {
        least = std::min(least, server.record->flows().active);
        most = std::max(most, server.record->flows().active);
    }
    return most - least;
}

TEST(ManyForwarders, share_as_one_does_up_to_the_flows_of_a_millisecond)
{
    for (const Balance balance : {Balance::lc, Balance::wlc, Balance::sed, Balance::nq}) {
        EXPECT_LE(unevenness(balance, 1, 10'000), 1U) << static_cast<int>(balance);
        // 1000 flows a millisecond: 250 a forwarder, which it spreads by itself.
        EXPECT_LE(unevenness(balance, 4, 10'000), 100U) << static_cast<int>(balance) << ": 5 % of a server's share";
    }
    for (const Balance balance : {Balance::rr, Balance::wrr}) {
        EXPECT_LE(unevenness(balance, 4, 10'000), 4U) << static_cast<int>(balance) << ": one for each forwarder";
    }
}

TEST(Locality, destination_keeps_its_server_and_others_get_the_least_loaded)
{
    Farm farm{Balance::lblc, {10, 10, 10}};
    EXPECT_EQ(farm.open(true, 0, 1), 'A');
    EXPECT_EQ(farm.open(true, 0, 1), 'A');
    EXPECT_EQ(farm.open(true, 0, 2), 'B');
    EXPECT_EQ(farm.open(true, 0, 3), 'C');
    EXPECT_EQ(farm.open(true, 0, 1), 'A');
}

TEST(Locality, busy_server_loses_a_destination_only_while_another_is_half_idle)
{
    Farm farm{Balance::lblc, {2, 2}};
    for (int flow = 0; flow < 3; ++flow) {
        EXPECT_EQ(farm.open(true, 0, 1), 'A');
    }
    farm.add(1, 1, 0);
    EXPECT_EQ(farm.open(true, 0, 1), 'A') << "3 flows, more than 2, but B has half of its weight";
    farm.remove(1, 1);
    EXPECT_EQ(farm.open(true, 0, 1), 'B');
    EXPECT_EQ(farm.open(true, 0, 1), 'B') << "the destination has moved";
}

TEST(Locality, server_that_goes_loses_its_destinations_and_a_forgotten_one_is_placed_anew)
{
    Farm farm{Balance::lblc, {10, 10}};
    EXPECT_EQ(farm.open(true, 0, 1), 'A');
    farm.servers[0].record->set_status(health::Status::down);
    EXPECT_EQ(farm.open(true, 0, 1), 'B');
    farm.servers[0].record->set_status(health::Status::up);
    EXPECT_EQ(farm.open(true, 0, 1), 'B');
    farm.now += hours{25};
    EXPECT_EQ(farm.open(true, 0, 1), 'A') << "nobody asked for a day";
}

TEST(Locality, forwarders_agree_on_a_destination)
{
    Farm farm{Balance::lblc, {10, 10, 10, 10}, 4};
    const char first = farm.open(true, 3, 1);
    for (std::uint16_t forwarder = 0; forwarder < 4; ++forwarder) {
        EXPECT_EQ(farm.open(true, forwarder, 1), first);
    }
}

TEST(ReplicatedLocality, busy_destination_gets_further_servers_and_loses_them_after_a_quiet_day)
{
    Farm farm{Balance::lblcr, {2, 2, 2}};
    EXPECT_EQ(farm.open_all(3), "AAA");
    EXPECT_EQ(farm.open(), 'B') << "A is too busy";
    EXPECT_EQ(farm.open(), 'B') << "the less loaded of the two";
    farm.remove(0, 3);
    EXPECT_EQ(farm.open(), 'A') << "both serve it now";
    farm.remove(0, 1);
    farm.remove(1, 1);
    farm.add(0, 0, 1);
    // For a day the set stays as it is. Somebody asks now and then, so the entries live on.
    for (int quarter = 0; quarter < 5; ++quarter) {
        EXPECT_NE(farm.pick(), 2U);
        farm.now += hours{6};
    }
    // Then its busiest member goes: B, with one established flow.
    EXPECT_EQ(farm.pick(), 0U);
    farm.add(0, 2, 0);
    EXPECT_EQ(farm.pick(), 0U) << "B would be less loaded were it still a member";
}

TEST(ReplicatedLocality, forwarders_agree_on_the_set)
{
    Farm farm{Balance::lblcr, {2, 2, 2, 2}, 4};
    std::string used;
    for (std::uint16_t flow = 0; flow < 12; ++flow) {
        const char server = farm.open(true, flow % 4);
        farm.now += std::chrono::milliseconds{2};
        if (used.find(server) == std::string::npos) {
            used += server;
        }
    }
    // 3 flows a server before the next one is taken in: as with one forwarder.
    EXPECT_EQ(used.size(), 4U);
    for (const PoolServer& server : farm.servers) {
        EXPECT_NEAR(server.record->flows().active, 3, 1);
    }
}

} // namespace
} // namespace sluice::l4
