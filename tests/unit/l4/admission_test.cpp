// Lists of networks against a plain search, and rates against a count.
#include <sluice/base/random.hpp>
#include <sluice/l4/admission.hpp>

#include <gtest/gtest.h>

#include <string>

namespace sluice::l4 {
namespace {

using namespace std::chrono_literals;
using telemetry::DropReason;

wire::IpAddress address_of(const std::string& text) { return *wire::IpAddress::parse(text); }
AccessList::Rule allow(const std::string& network) { return {*wire::Prefix::parse(network), true}; }
AccessList::Rule deny(const std::string& network) { return {*wire::Prefix::parse(network), false}; }

struct Question {
    std::string address;
    bool allowed;
};

void expect_answers(const std::vector<AccessList::Rule>& rules, bool otherwise, const std::vector<Question>& questions)
{
    const AccessList list{rules, otherwise};
    for (const auto& [address, allowed] : questions) {
        EXPECT_EQ(list.allows(address_of(address)), allowed) << address;
    }
}

TEST(AccessListTest, no_rule_leaves_the_answer_to_the_rest)
{
    expect_answers({}, true, {{"0.0.0.0", true}, {"255.255.255.255", true}, {"::1", true}});
    expect_answers({}, false, {{"192.0.2.1", false}, {"2001:db8::1", false}});
}

TEST(AccessListTest, longest_network_decides)
{
    expect_answers({deny("10.0.0.0/8"), allow("10.1.0.0/16"), deny("10.1.2.3/32"), allow("10.255.255.255/32")}, true,
                   {{"9.255.255.255", true},
                    {"10.0.0.0", false},
                    {"10.0.255.255", false},
                    {"10.1.0.0", true},
                    {"10.1.2.2", true},
                    {"10.1.2.3", false},
                    {"10.1.2.4", true},
                    {"10.1.255.255", true},
                    {"10.2.0.0", false},
                    {"10.255.255.254", false},
                    {"10.255.255.255", true},
                    {"11.0.0.0", true}});
}

TEST(AccessListTest, whole_families_and_both_ends_of_the_numbers)
{
    expect_answers(
        {allow("0.0.0.0/0"), deny("255.255.255.255/32"), deny("0.0.0.0/32")}, false,
        {{"0.0.0.0", false}, {"0.0.0.1", true}, {"255.255.255.254", true}, {"255.255.255.255", false}, {"::", false}});
    expect_answers({allow("::/0"), deny("ffff::/16")}, false,
                   {{"::", true},
                    {"2001:db8::1", true},
                    {"ffff::", false},
                    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false},
                    {"192.0.2.1", false}});
}

TEST(AccessListTest, network_that_stands_twice_is_what_the_later_rule_says)
{
    expect_answers({allow("192.0.2.0/24"), deny("192.0.2.0/24")}, true, {{"192.0.2.1", false}, {"192.0.3.1", true}});
    expect_answers({deny("192.0.2.0/24"), allow("192.0.2.0/24")}, false, {{"192.0.2.1", true}, {"192.0.3.1", false}});
}

TEST(AccessListTest, random_networks_answer_as_a_plain_search_does)
{
    Random random{20};
    for (int round = 0; round < 200; ++round) {
        std::vector<AccessList::Rule> rules;
        for (std::uint64_t count = random.below(30); count > 0; --count) {
            const auto length = static_cast<std::uint8_t>(24 + random.below(9));
            const auto value = 0x0a000000U + static_cast<std::uint32_t>(random.below(1024));
            wire::Prefix network{wire::IpAddress::v4(value), length};
            network.address = network.network();
            rules.push_back({network, random.below(2) == 0});
        }
        const bool otherwise = random.below(2) == 0;
        const AccessList list{rules, otherwise};
        for (std::uint32_t host = 0; host < 1100; ++host) {
            const wire::IpAddress address = wire::IpAddress::v4(0x0a000000U - 20 + host);
            int longest = -1;
            bool expected = otherwise;
            for (const AccessList::Rule& rule : rules) {
                if (rule.network.contains(address) && rule.network.length >= longest) {
                    longest = rule.network.length;
                    expected = rule.allow;
                }
            }
            ASSERT_EQ(list.allows(address), expected) << round << ' ' << address.to_string();
        }
    }
}

class FlowRatesTest : public testing::Test {
protected:
    /// How many of `tries` new flows of a source, this far apart, are let in.
    int let_in(const std::string& source, int tries, Duration apart, ServiceId service = {1})
    {
        int count = 0;
        for (int index = 0; index < tries; ++index) {
            last = rates.take(service, admission, address_of(source), now);
            count += last ? 0 : 1;
            now += apart;
        }
        return count;
    }
    FlowRates rates{{1, 2}, 1};
    Admission admission;
    TimePoint now{1000s};
    std::optional<DropReason> last;
};

TEST_F(FlowRatesTest, source_may_open_a_seconds_worth_at_once_and_then_its_rate)
{
    admission.new_flows_per_source = 100;
    EXPECT_EQ(let_in("203.0.113.9", 500, Duration{0}), 100);
    EXPECT_EQ(last, DropReason::source_rate_exceeded);
    EXPECT_NEAR(let_in("203.0.113.9", 10'000, 1ms), 1000, 1) << "ten seconds of 1,000 tries each";
    EXPECT_EQ(let_in("203.0.113.10", 100, Duration{0}), 100) << "another source is not held back";
    EXPECT_EQ(let_in("203.0.113.9", 100, Duration{0}, {2}), 100) << "nor is the same source at another service";
    now += 2s;
    EXPECT_EQ(let_in("203.0.113.9", 500, Duration{0}), 100);
}

TEST_F(FlowRatesTest, addresses_of_one_ipv6_subnet_are_one_source)
{
    admission.new_flows_per_source = 10;
    EXPECT_EQ(let_in("2001:db8:0:1::1", 10, Duration{0}), 10);
    EXPECT_EQ(let_in("2001:db8:0:1:ffff::2", 10, Duration{0}), 0);
    EXPECT_EQ(let_in("2001:db8:0:2::1", 10, Duration{0}), 10);
}

TEST_F(FlowRatesTest, service_has_a_limit_for_all_sources_together)
{
    admission.new_flows = 1000;
    int count = 0;
    for (std::uint32_t source = 0; source < 100'000; ++source) { // Ten seconds
        count += rates.take({1}, admission, wire::IpAddress::v4(0x0b000000U + source), now) ? 0 : 1;
        now += 100us;
    }
    EXPECT_NEAR(count, 11'000, 10);
    EXPECT_EQ(let_in("203.0.113.9", 1, Duration{0}, {2}), 1) << "another service";
}

TEST_F(FlowRatesTest, flood_from_random_sources_holds_back_no_client)
{
    admission.new_flows_per_source = 100;
    Random random{3};
    int refused = 0;
    for (int index = 0; index < 200'000; ++index) { // Two seconds at 100,000/s
        const auto source = wire::IpAddress::v4(static_cast<std::uint32_t>(random.next()) | 1U);
        static_cast<void>(rates.take({1}, admission, source, now));
        if (index % 2000 == 0) {
            refused += rates.take({1}, admission, address_of("203.0.113.9"), now) ? 1 : 0;
        }
        now += 10us;
    }
    EXPECT_EQ(refused, 0);
}

TEST_F(FlowRatesTest, heavy_sources_do_not_hold_back_others)
{
    admission.new_flows_per_source = 10;
    for (std::uint32_t heavy = 0; heavy < 100; ++heavy) {
        for (int index = 0; index < 50; ++index) {
            static_cast<void>(rates.take({1}, admission, wire::IpAddress::v4(0x0b000000U + heavy), now));
        }
    }
    int refused = 0;
    for (std::uint32_t other = 0; other < 5000; ++other) {
        refused += rates.take({1}, admission, wire::IpAddress::v4(0x0c000000U + other), now) ? 1 : 0;
    }
    EXPECT_LE(refused, 2) << "both places of a source would have to be taken";
}

TEST_F(FlowRatesTest, forwarders_share_a_limit_equally)
{
    admission.new_flows_per_source = 100;
    admission.new_flows = 200;
    FlowRates quarter{{1, 2}, 4};
    int count = 0;
    for (int index = 0; index < 10'000; ++index) { // Ten seconds
        count += quarter.take({1}, admission, address_of("203.0.113.9"), now) ? 0 : 1;
        now += 1ms;
    }
    EXPECT_NEAR(count, 25 * 11, 2) << "a quarter of 100 a second, and a second's worth at once";
}

} // namespace
} // namespace sluice::l4
