// Routes, the table of our own addresses, the heap of deadlines.
#include "packet/neigh/bench.hpp"

#include <neigh/deadlines.hpp>
#include <sluice/base/random.hpp>

#include <algorithm>

namespace sluice::neigh::test {
namespace {

Interface front()
{
    return {0,
            our_mac,
            1500,
            {prefix("192.0.2.11/24"), prefix("2001:db8::11/64"), prefix("fe80::11/64")},
            {{prefix("0.0.0.0/0"), ip("192.0.2.1")},
             {prefix("::/0"), ip("fe80::1")},
             {prefix("10.1.0.0/16"), ip("192.0.2.2")}}};
}

Interface back()
{
    return {
        1, other_mac, 9000, {prefix("10.0.0.5/8"), prefix("10.9.0.5/16")}, {{prefix("10.1.2.0/24"), ip("10.0.0.1")}}};
}

struct RouteRow {
    std::string to;
    std::uint8_t port;
    std::string next_hop;
    std::string source;
};

TEST(Routes, longest_prefix_wins_table)
{
    const Routes routes{{front(), back()}};
    const RouteRow rows[] = {
        {"192.0.2.50", 0, "192.0.2.50", "192.0.2.11"},     // connected
        {"198.51.100.7", 0, "192.0.2.1", "192.0.2.11"},    // default
        {"10.200.0.1", 1, "10.200.0.1", "10.0.0.5"},       // connected, shorter
        {"10.9.1.1", 1, "10.9.1.1", "10.9.0.5"},           // connected, longer, with its own source
        {"10.1.1.1", 0, "192.0.2.2", "192.0.2.11"},        // a static route longer than the connected prefix
        {"10.1.2.3", 1, "10.0.0.1", "10.0.0.5"},           // a longer static route on another port
        {"2001:db8::5", 0, "2001:db8::5", "2001:db8::11"}, // connected
        {"2001:db8:1::5", 0, "fe80::1", "2001:db8::11"},   // a link-local gateway, spoken to from a global address
        {"fe80::99", 0, "fe80::99", "fe80::11"},
    };
    for (const RouteRow& row : rows) {
        SCOPED_TRACE(row.to);
        const auto hop = routes.lookup(ip(row.to));
        ASSERT_TRUE(hop);
        EXPECT_EQ(hop->port, row.port);
        EXPECT_EQ(hop->address, ip(row.next_hop));
        EXPECT_EQ(hop->source, ip(row.source));
        EXPECT_EQ(hop->mtu, row.port == 0 ? 1500 : 9000);
    }
}

TEST(Routes, no_route_says_so)
{
    const Routes routes{{back()}};
    EXPECT_FALSE(routes.lookup(ip("192.0.2.1")));
    EXPECT_FALSE(routes.lookup(ip("2001:db8::1")));
    EXPECT_FALSE(Routes{}.lookup(ip("10.0.0.1")));
}

TEST(Routes, within_a_port_ignores_the_others)
{
    const Routes routes{{front(), back()}};
    EXPECT_EQ(routes.lookup(0, ip("10.200.0.1"))->address, ip("192.0.2.1"));
    EXPECT_FALSE(routes.lookup(1, ip("192.0.2.1")));
}

TEST(Routes, gateways_are_listed_once)
{
    Interface interface = front();
    interface.routes.push_back({prefix("172.16.0.0/12"), ip("192.0.2.1")});
    const Routes routes{{interface}};
    EXPECT_EQ(routes.gateways().size(), 3U);
}

TEST(Interfaces, link_local_address_is_made_from_the_mac_unless_given)
{
    EXPECT_EQ(link_local_of(mac("02:00:00:00:00:11")), ip("fe80::ff:fe00:11"));
    EXPECT_EQ(link_local_of(mac("52:54:00:12:34:56")), ip("fe80::5054:ff:fe12:3456"));
    EXPECT_EQ(with_link_local(front()), front());
    EXPECT_EQ(with_link_local(back()).addresses.back(), prefix("fe80::ff:fe00:aa/64"));
}

TEST(LocalAddresses, finds_on_the_right_port_only)
{
    AddressStates states;
    const LocalAddresses table{{front(), back()}, {{0, ip("192.0.2.100"), virtual_mac4}}, nullptr, states};
    ASSERT_NE(table.find(0, ip("192.0.2.11")), nullptr);
    EXPECT_EQ(table.find(1, ip("192.0.2.11")), nullptr);
    EXPECT_EQ(table.find(0, ip("192.0.2.12")), nullptr);
    EXPECT_EQ(LocalAddresses{}.find(0, ip("192.0.2.11")), nullptr);
    const LocalAddress* entry = table.find(0, ip("192.0.2.100"));
    ASSERT_NE(entry, nullptr);
    EXPECT_EQ(entry->mac, virtual_mac4);
    EXPECT_EQ(LocalAddresses::ownership(*entry, states), Ownership::backup);
    EXPECT_EQ(LocalAddresses::ownership(*table.find(1, ip("10.0.0.5")), states), Ownership::active);
}

TEST(LocalAddresses, reload_keeps_what_is_held_and_never_reuses_a_place_in_use)
{
    AddressStates states;
    const LocalAddresses first{
        {front()}, {{0, ip("192.0.2.100"), virtual_mac4}, {0, ip("192.0.2.101"), virtual_mac4}}, nullptr, states};
    states.set(first.find(0, ip("192.0.2.101"))->place, Ownership::active);
    states.set(first.find(0, ip("192.0.2.100"))->place, Ownership::active);
    const LocalAddresses second{
        {front()}, {{0, ip("192.0.2.101"), virtual_mac4}, {0, ip("192.0.2.102"), virtual_mac4}}, &first, states};
    EXPECT_EQ(second.find(0, ip("192.0.2.101"))->place, first.find(0, ip("192.0.2.101"))->place);
    EXPECT_EQ(LocalAddresses::ownership(*second.find(0, ip("192.0.2.101")), states), Ownership::active);
    EXPECT_EQ(LocalAddresses::ownership(*second.find(0, ip("192.0.2.102")), states), Ownership::backup);
    EXPECT_NE(second.find(0, ip("192.0.2.102"))->place, first.find(0, ip("192.0.2.100"))->place);
    EXPECT_EQ(LocalAddresses::ownership(*first.find(0, ip("192.0.2.100")), states),
              Ownership::active); // Old readers see the old truth.
}

TEST(Deadlines, behave_like_a_sorted_list)
{
    Random random{42};
    constexpr std::uint32_t items = 50;
    Deadlines deadlines{items};
    std::vector<TimePoint> model(items, never);
    for (int round = 0; round < 20'000; ++round) {
        const auto item = static_cast<std::uint32_t>(random.below(items));
        const TimePoint time =
            random.below(4) == 0 ? never : TimePoint{Duration{static_cast<std::int64_t>(random.below(1000))}};
        deadlines.set(item, time);
        model[item] = time;
        const TimePoint least = *std::min_element(model.begin(), model.end());
        ASSERT_EQ(deadlines.next(), least) << round;
        if (least != never) {
            ASSERT_EQ(model[deadlines.first()], least) << round;
        }
    }
}

} // namespace
} // namespace sluice::neigh::test
