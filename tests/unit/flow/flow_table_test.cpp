#include <sluice/flow/flow_table.hpp>

#include <sluice/base/random.hpp>

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <tuple>
#include <vector>

namespace sluice::flow {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr HashKey key{1, 2};
constexpr TimePoint start{seconds{1000}};

Flow make_flow(std::uint32_t number, bool ipv6 = false)
{
    const auto address = [&](std::uint32_t value) {
        if (!ipv6) {
            return wire::IpAddress::v4(value);
        }
        std::array<std::byte, 16> octets{};
        store32(octets.data(), 0x20010db8);
        store32(octets.data() + 12, value);
        return wire::IpAddress::load_v6(octets.data());
    };
    Flow flow;
    flow.client = address(0x0b000000U + number / 1000);
    flow.client_port = static_cast<std::uint16_t>(1024 + number % 1000);
    flow.service = address(0xc0000201U);
    flow.service_port = 80;
    flow.server = address(0x0a000001U + number % 7);
    flow.server_port = 8080;
    flow.local = flow.client;
    flow.local_port = flow.client_port;
    flow.protocol = 6;
    flow.service_id = number;
    return flow;
}

FlowTable::Match find(FlowTable& table, const FiveTuple& tuple, TimePoint now)
{
    return table.find(tuple, table.hash(tuple), now);
}

TEST(FlowTable, inserted_flow_is_found_in_both_directions)
{
    for (const bool ipv6 : {false, true}) {
        FlowTable table{16, key};
        const Flow flow = make_flow(1, ipv6);
        ASSERT_NE(table.insert(flow, start, seconds{10}), nullptr);

        const auto forward = find(table, flow.towards_service(), start);
        ASSERT_TRUE(forward);
        EXPECT_FALSE(forward.from_server);
        EXPECT_EQ(forward.flow->service_id, 1U);
        const auto backward = find(table, flow.from_server(), start);
        ASSERT_TRUE(backward);
        EXPECT_TRUE(backward.from_server);
        EXPECT_EQ(backward.flow, forward.flow);
        EXPECT_FALSE(find(table, flow.towards_service().reversed(), start));
        EXPECT_EQ(table.size(), 1U);
    }
}

TEST(FlowTable, flow_of_one_way_is_found_by_the_clients_tuple_alone)
{
    FlowTable table{16, key};
    Flow flow = make_flow(1);
    flow.one_way = 1;
    Flow other = make_flow(2);
    // Nothing of the first one stands in the way of a flow whose answers look like its own would.
    other.server = flow.server;
    other.local = flow.local;
    other.local_port = flow.local_port;
    ASSERT_NE(table.insert(flow, start, seconds{10}), nullptr);
    EXPECT_FALSE(find(table, flow.from_server(), start));
    Flow* const second = table.insert(other, start, seconds{10});
    ASSERT_NE(second, nullptr);

    const auto found = find(table, flow.towards_service(), start);
    ASSERT_TRUE(found);
    EXPECT_EQ(find(table, flow.from_server(), start).flow, second);
    table.remove(*found.flow, start);
    EXPECT_FALSE(find(table, flow.towards_service(), start));
    EXPECT_EQ(find(table, other.from_server(), start).flow, second);
    EXPECT_TRUE(find(table, other.towards_service(), start));
    EXPECT_EQ(table.size(), 1U);
}

TEST(FlowTable, full_table_refuses_and_keeps_what_it_has)
{
    FlowTable table{100, key};
    for (std::uint32_t number = 0; number < 100; ++number) {
        ASSERT_NE(table.insert(make_flow(number), start, seconds{10}), nullptr);
    }
    EXPECT_EQ(table.insert(make_flow(100), start, seconds{10}), nullptr);
    EXPECT_EQ(table.size(), 100U);
    for (std::uint32_t number = 0; number < 100; ++number) {
        EXPECT_TRUE(find(table, make_flow(number).towards_service(), start)) << number;
    }
    EXPECT_FALSE(find(table, make_flow(100).towards_service(), start));
}

TEST(FlowTable, full_table_of_expired_flows_makes_room)
{
    FlowTable table{100, key};
    for (std::uint32_t number = 0; number < 100; ++number) {
        ASSERT_NE(table.insert(make_flow(number), start, seconds{10}), nullptr);
    }
    EXPECT_NE(table.insert(make_flow(100), start + seconds{11}, seconds{10}), nullptr);
}

TEST(FlowTable, flow_lives_its_time_and_not_much_longer)
{
    FlowTable table{4, key};
    const Flow flow = make_flow(1);
    ASSERT_NE(table.insert(flow, start, seconds{10}), nullptr);
    EXPECT_TRUE(find(table, flow.towards_service(), start + seconds{10}));
    EXPECT_FALSE(find(table, flow.towards_service(), start + seconds{10} + milliseconds{150}));
    EXPECT_EQ(table.size(), 0U);
}

TEST(FlowTable, kept_flow_outlives_its_first_deadline_and_its_sweep)
{
    FlowTable table{4, key};
    Flow* const flow = table.insert(make_flow(1), start, seconds{2});
    ASSERT_NE(flow, nullptr);
    FlowTable::keep(*flow, start + seconds{1}, seconds{5});
    for (TimePoint now = start; now < start + seconds{6}; now += milliseconds{100}) {
        table.sweep(now);
        ASSERT_EQ(table.size(), 1U) << (now - start).count();
    }
    table.sweep(start + seconds{7});
    table.sweep(start + seconds{9});
    EXPECT_EQ(table.size(), 0U);
}

TEST(FlowTable, flow_told_to_expire_sooner_is_swept_sooner)
{
    FlowTable table{4, key};
    Flow* const flow = table.insert(make_flow(1), start, seconds{900});
    table.sweep(start);
    table.expire_in(*flow, start, seconds{1});
    table.sweep(start + seconds{2});
    EXPECT_EQ(table.size(), 0U);
}

TEST(FlowTable, sweep_of_a_big_table_is_bounded_and_complete_within_a_period)
{
    FlowTable table{10'000, key};
    for (std::uint32_t number = 0; number < 10'000; ++number) {
        ASSERT_NE(table.insert(make_flow(number), start, seconds{1}), nullptr);
    }
    TimePoint now = start + seconds{2};
    table.sweep(now, 100);
    EXPECT_EQ(table.size(), 9'900U);
    std::size_t most = 0;
    for (int turn = 0; turn < 110; ++turn) {
        now += milliseconds{10};
        most = std::max(most, table.sweep(now));
    }
    EXPECT_EQ(table.size(), 0U);
    EXPECT_LE(most, 101U);
}

class Recorder final : public FlowObserver {
public:
    void flow_removed(const Flow& flow, TimePoint) noexcept override { removed.insert(flow.service_id); }
    std::multiset<std::uint32_t> removed;
};

TEST(FlowTable, observer_hears_of_every_removal_once)
{
    FlowTable table{10, key};
    Recorder recorder;
    table.observe(&recorder);
    Flow* const first = table.insert(make_flow(1), start, seconds{100});
    static_cast<void>(table.insert(make_flow(2), start, seconds{1}));
    static_cast<void>(table.insert(make_flow(3), start, seconds{1}));
    table.remove(*first, start);
    EXPECT_FALSE(find(table, make_flow(2).from_server(), start + seconds{2}));
    table.sweep(start + seconds{3});
    table.sweep(start + seconds{5});
    EXPECT_EQ(recorder.removed, (std::multiset<std::uint32_t>{1, 2, 3}));
}

TEST(FlowTable, visit_in_slices_sees_every_live_flow_once)
{
    FlowTable table{1000, key};
    for (std::uint32_t number = 0; number < 700; ++number) {
        static_cast<void>(table.insert(make_flow(number), start, number % 10 == 0 ? seconds{1} : seconds{100}));
    }
    std::set<std::uint32_t> seen;
    std::uint32_t cursor = 0;
    do {
        cursor = table.visit(cursor, 64, start + seconds{2}, [&](const Flow& flow) {
            EXPECT_TRUE(seen.insert(flow.service_id).second);
            EXPECT_NEAR(static_cast<double>(FlowTable::remaining(flow, start + seconds{2}).count()), 98e9, 0.2e9);
        });
    } while (cursor != 0);
    EXPECT_EQ(seen.size(), 630U);
}

TEST(FlowTable, memory_per_flow_stays_within_128_bytes)
{
    for (const std::uint32_t capacity : {1'000U, 65'536U, 1'000'000U, 10'000'000U}) {
        EXPECT_LE(FlowTable::memory_for(capacity), std::size_t{capacity} * 128) << capacity;
    }
}

TEST(FlowTable, table_filled_to_the_brim_thrice_never_loses_a_key)
{
    // Displaced keys and the counts of those that passed must survive any order of removal.
    constexpr std::uint32_t capacity = 20'000;
    FlowTable table{capacity, key};
    Random random{7};
    for (int round = 0; round < 3; ++round) {
        std::vector<Flow*> flows;
        for (std::uint32_t number = 0; number < capacity; ++number) {
            Flow* const flow =
                table.insert(make_flow(number + static_cast<std::uint32_t>(round) * capacity), start, seconds{100});
            ASSERT_NE(flow, nullptr) << number;
            flows.push_back(flow);
        }
        for (const Flow* const flow : flows) {
            ASSERT_EQ(find(table, flow->towards_service(), start).flow, flow);
            ASSERT_EQ(find(table, flow->from_server(), start).flow, flow);
        }
        while (!flows.empty()) {
            const std::size_t victim = random.below(flows.size());
            table.remove(*flows[victim], start);
            flows[victim] = flows.back();
            flows.pop_back();
        }
        ASSERT_EQ(table.size(), 0U);
    }
}

/// The table must agree with std::map after any sequence of operations.
TEST(FlowTable, random_operations_agree_with_a_map)
{
    using Key = std::tuple<wire::IpAddress, std::uint16_t>;
    constexpr std::uint32_t capacity = 500;
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
        SCOPED_TRACE(seed);
        FlowTable table{capacity, key};
        std::map<Key, std::pair<std::uint32_t, TimePoint>> model; // To number and least time of life
        Random random{seed};
        TimePoint now = start;
        const auto key_of = [](const Flow& flow) { return Key{flow.client, flow.client_port}; };
        const milliseconds slack{150};
        for (int step = 0; step < 20'000; ++step) {
            const Flow flow = make_flow(static_cast<std::uint32_t>(random.below(900)), random.below(2) == 0);
            const auto entry = model.find(key_of(flow));
            const auto found = find(table, random.below(2) == 0 ? flow.towards_service() : flow.from_server(), now);
            if (entry == model.end() || entry->second.second + slack < now) {
                ASSERT_FALSE(found);
                if (entry != model.end()) {
                    model.erase(entry);
                }
            } else if (now <= entry->second.second) {
                ASSERT_TRUE(found);
                ASSERT_EQ(found.flow->service_id, entry->second.first);
            }
            const Duration lifetime{milliseconds{100 + static_cast<int>(random.below(5000))}};
            switch (random.below(5)) {
            case 0:
            case 1:
                if (!found) {
                    const bool added = table.insert(flow, now, lifetime) != nullptr;
                    if (added) {
                        model[key_of(flow)] = {flow.service_id, now + lifetime};
                    } else {
                        ASSERT_EQ(table.size(), capacity);
                    }
                }
                break;
            case 2:
                if (found) {
                    table.remove(*found.flow, now);
                    model.erase(key_of(flow));
                }
                break;
            case 3:
                if (found) {
                    table.expire_in(*found.flow, now, lifetime);
                    model[key_of(flow)] = {flow.service_id, now + lifetime};
                }
                break;
            default:
                now += milliseconds{static_cast<int>(random.below(20))};
                table.sweep(now);
                break;
            }
        }
    }
}

} // namespace
} // namespace sluice::flow
