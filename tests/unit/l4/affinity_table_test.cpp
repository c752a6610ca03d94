#include <sluice/l4/affinity_table.hpp>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

namespace sluice::l4 {
namespace {

using std::chrono::seconds;

constexpr ServerId first{11};
constexpr ServerId second{22};

class Affinities : public testing::Test {
protected:
    [[nodiscard]] AffinityKey key(std::uint32_t client, std::uint32_t service = 1) const
    {
        return table.key(0, service, wire::IpAddress::v4(client));
    }
    AffinityTable table{64, {1, 2}};
    TimePoint now{seconds{1000}};
};

TEST_F(Affinities, entry_binds_until_its_time_is_over_and_every_bind_begins_it_anew)
{
    EXPECT_FALSE(table.find(key(1), now));
    EXPECT_EQ(table.bind(key(1), first, {}, now, seconds{300}), first);
    EXPECT_EQ(table.find(key(1), now + seconds{299}), first);
    EXPECT_FALSE(table.find(key(1), now + seconds{301}));
    EXPECT_EQ(table.bind(key(1), first, {}, now + seconds{200}, seconds{300}), first);
    EXPECT_EQ(table.find(key(1), now + seconds{499}), first);
    EXPECT_EQ(table.count(now), 1U);
}

TEST_F(Affinities, keys_of_other_services_kinds_and_addresses_are_other_entries)
{
    table.bind(key(1), first, {}, now, seconds{10});
    EXPECT_FALSE(table.find(key(2), now));
    EXPECT_FALSE(table.find(key(1, 2), now));
    EXPECT_FALSE(table.find(table.key(1, 1, wire::IpAddress::v4(1)), now));
}

TEST_F(Affinities, who_comes_second_takes_what_the_first_has_bound)
{
    table.bind(key(1), first, {}, now, seconds{10});
    EXPECT_EQ(table.bind(key(1), second, {}, now, seconds{10}), first);
    EXPECT_EQ(table.bind(key(1), second, first, now, seconds{10}), second) << "unless that one is to be replaced";
    EXPECT_EQ(table.bind(key(1), first, {}, now + seconds{11}, seconds{10}), first) << "or its time is over";
    table.forget(key(1));
    EXPECT_FALSE(table.find(key(1), now));
}

TEST_F(Affinities, held_entry_outlives_its_time_until_the_last_flow_is_gone)
{
    table.bind(key(1), first, {}, now, seconds{10});
    const AffinityPlace one = table.hold(key(1), now);
    const AffinityPlace two = table.hold(key(1), now);
    EXPECT_EQ(one, two);
    ASSERT_NE(one, 0U);
    EXPECT_EQ(table.find(key(1), now + seconds{1000}), first);
    table.release(one);
    EXPECT_EQ(table.find(key(1), now + seconds{1000}), first);
    table.release(two);
    EXPECT_FALSE(table.find(key(1), now + seconds{1000}));
}

TEST_F(Affinities, full_table_binds_nobody_new_harms_nobody_and_frees_itself)
{
    AffinityTable small{8, {3, 4}};
    for (std::uint32_t client = 0; client < 8; ++client) {
        EXPECT_EQ(small.bind(small.key(0, 1, wire::IpAddress::v4(client)), first, {}, now, seconds{10}), first);
    }
    const AffinityKey late = small.key(0, 1, wire::IpAddress::v4(100));
    EXPECT_EQ(small.bind(late, second, {}, now, seconds{10}), second);
    EXPECT_FALSE(small.find(late, now));
    EXPECT_EQ(small.hold(late, now), 0U);
    small.release(0);
    EXPECT_EQ(small.count(now), 8U);
    const TimePoint later = now + seconds{11};
    EXPECT_EQ(small.bind(late, second, {}, later, seconds{10}), second);
    EXPECT_EQ(small.find(late, later), second);
    EXPECT_EQ(small.count(later), 1U);
}

TEST_F(Affinities, cores_that_bind_the_same_key_at_once_all_get_one_server)
{
    constexpr std::uint32_t keys = 2000;
    constexpr std::uint32_t threads = 4;
    AffinityTable large{16384, {5, 6}};
    std::array<std::vector<ServerId>, threads> got;
    std::atomic<std::uint32_t> ready{0};
    const auto work = [&](std::uint32_t core) {
        ++ready;
        while (ready.load() < threads) {
            std::this_thread::yield();
        }
        for (std::uint32_t client = 0; client < keys; ++client) {
            const AffinityKey same = large.key(0, 1, wire::IpAddress::v4(client));
            got[core].push_back(large.bind(same, ServerId{core + 1}, {}, now, seconds{10}));
            large.release(large.hold(same, now));
        }
    };
    std::vector<std::thread> others;
    for (std::uint32_t core = 1; core < threads; ++core) {
        others.emplace_back(work, core);
    }
    work(0);
    for (std::thread& other : others) {
        other.join();
    }
    // Two cores may make the same entry at two places at once; then one of them may have bound to what did not stay.
    std::uint32_t different = 0;
    for (std::uint32_t client = 0; client < keys; ++client) {
        const ServerId bound = large.find(large.key(0, 1, wire::IpAddress::v4(client)), now);
        for (const auto& mine : got) {
            different += mine[client] == bound ? 0U : 1U;
        }
    }
    EXPECT_LE(different, keys / 100);
    EXPECT_EQ(large.count(now), keys);
}

} // namespace
} // namespace sluice::l4
