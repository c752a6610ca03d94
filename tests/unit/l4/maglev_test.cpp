#include <sluice/l4/maglev.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace sluice::l4 {
namespace {

using Table = std::vector<std::uint16_t>;

std::vector<MaglevPreference> servers(std::size_t count, std::uint32_t size, std::uint32_t weight = 1)
{
    std::vector<MaglevPreference> result;
    for (std::uint32_t server = 0; server < count; ++server) {
        result.push_back(maglev_preference({wire::IpAddress::v4(0x0a000001U + server), 8080}, weight, size));
    }
    return result;
}

std::vector<std::size_t> shares(const Table& table, std::size_t count)
{
    std::vector<std::size_t> result(count);
    for (const std::uint16_t server : table) {
        ++result.at(server);
    }
    return result;
}

/// Slots whose server changed although it is still there, in millionths of all slots.
std::size_t moved(const Table& before, const Table& after, const std::vector<MaglevPreference>& now)
{
    std::size_t count = 0;
    for (std::size_t slot = 0; slot < before.size(); ++slot) {
        count += now[before[slot]].weight > 0 && before[slot] != after[slot] ? 1U : 0U;
    }
    return count * 1'000'000 / before.size();
}

TEST(Maglev, preferences_of_the_paper_give_its_tables)
{
    const std::vector<MaglevPreference> paper{{3, 4, 1}, {0, 2, 1}, {3, 1, 1}};
    EXPECT_EQ(maglev_table(paper, 7), (Table{1, 0, 1, 0, 2, 2, 0}));
    const auto without = [&](std::size_t server) {
        auto rest = paper;
        rest[server].weight = 0;
        return maglev_table(rest, 7);
    };
    EXPECT_EQ(without(1), (Table{0, 0, 0, 0, 2, 2, 2}));
    EXPECT_EQ(without(0), (Table{1, 1, 1, 2, 2, 2, 1}));
    EXPECT_EQ(without(2), (Table{1, 0, 1, 0, 0, 0, 1}));
    auto more = paper;
    more.push_back({1, 3, 1});
    EXPECT_EQ(maglev_table(more, 7), (Table{1, 3, 1, 0, 2, 0, 2}));
}

TEST(Maglev, equal_weights_give_slots_that_differ_by_at_most_one)
{
    for (const std::size_t count : {1U, 2U, 3U, 7U, 100U, 1000U}) {
        const auto slots = shares(maglev_table(servers(count, maglev_default_size, 50), maglev_default_size), count);
        const auto [least, most] = std::minmax_element(slots.begin(), slots.end());
        EXPECT_LE(*most - *least, 1U) << count;
    }
}

TEST(Maglev, weights_give_proportional_slots)
{
    auto three = servers(3, maglev_default_size);
    three[0].weight = 2;
    EXPECT_EQ(shares(maglev_table(three, maglev_default_size), 3), (std::vector<std::size_t>{32769, 16384, 16384}));

    auto many = servers(50, maglev_default_size);
    std::uint64_t total = 0;
    for (std::uint32_t server = 0; server < many.size(); ++server) {
        many[server].weight = 1 + server * server;
        total += many[server].weight;
    }
    const auto slots = shares(maglev_table(many, maglev_default_size), many.size());
    for (std::size_t server = 0; server < many.size(); ++server) {
        const double fair = static_cast<double>(many[server].weight) * maglev_default_size / static_cast<double>(total);
        EXPECT_NEAR(static_cast<double>(slots[server]), fair, std::max(1.0, fair * 0.01)) << server;
    }
}

TEST(Maglev, weights_too_great_for_one_round_still_serve_everybody)
{
    auto two = servers(2, 251);
    two[0].weight = 65535;
    two[1].weight = 60000;
    const auto slots = shares(maglev_table(two, 251), 2);
    EXPECT_EQ(slots[0], 131U);
    EXPECT_EQ(slots[1], 120U);
}

TEST(Maglev, one_of_a_thousand_removed_moves_little_else)
{
    auto all = servers(1000, maglev_default_size);
    const Table before = maglev_table(all, maglev_default_size);
    std::size_t worst = 0;
    for (const std::size_t victim : {0U, 123U, 500U, 999U}) {
        auto rest = all;
        rest[victim].weight = 0;
        worst = std::max(worst, moved(before, maglev_table(rest, maglev_default_size), rest));
    }
    EXPECT_LE(worst, 12'000U) << "millionths of all slots";
    EXPECT_GT(worst, 0U);
}

TEST(Maglev, server_that_comes_back_restores_the_table)
{
    auto all = servers(20, maglev_default_size);
    const Table before = maglev_table(all, maglev_default_size);
    all[7].weight = 0;
    EXPECT_NE(maglev_table(all, maglev_default_size), before);
    all[7].weight = 1;
    EXPECT_EQ(maglev_table(all, maglev_default_size), before);
}

TEST(Maglev, table_beyond_16_bits_is_whole)
{
    // offset + step * skip passes 2^32 here.
    constexpr std::uint32_t size = 131'071;
    std::vector<MaglevPreference> two{{size - 1, size - 1, 1}, {size - 2, size - 2, 1}};
    const auto slots = shares(maglev_table(two, size), 2);
    EXPECT_EQ(slots[0] + slots[1], size);
    EXPECT_EQ(slots[0] - slots[1], 1U);
}

TEST(Maglev, nobody_with_a_weight_gives_no_table) { EXPECT_TRUE(maglev_table(servers(3, 251, 0), 251).empty()); }

TEST(Maglev, primes_are_told_from_others)
{
    for (const std::uint32_t prime : {2U, 3U, 251U, 65537U, 131'071U}) {
        EXPECT_TRUE(is_prime(prime)) << prime;
    }
    for (const std::uint32_t other : {0U, 1U, 4U, 65535U, 65536U, 131'072U}) {
        EXPECT_FALSE(is_prime(other)) << other;
    }
}

} // namespace
} // namespace sluice::l4
