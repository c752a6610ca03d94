#include "support/frames.hpp"

#include <gtest/gtest.h>

namespace sluice::wire {
namespace {

using test::ip;

TEST(IpAddress, text_round_trips)
{
    for (const char* text : {"0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "2001:db8::1", "fe80::1"}) {
        EXPECT_EQ(ip(text).to_string(), text);
    }
}

TEST(IpAddress, nonsense_is_refused)
{
    for (const char* text :
         {"", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", "::g", "fe80::1%eth0", "[::1]", " 1.2.3.4", "1.2.3.4/8"}) {
        EXPECT_FALSE(IpAddress::parse(text)) << text;
    }
}

TEST(IpAddress, kinds_are_told_apart)
{
    EXPECT_TRUE(ip("192.0.2.1").is_v4());
    EXPECT_TRUE(ip("2001:db8::1").is_v6());
    EXPECT_TRUE(ip("0.0.0.0").is_unspecified());
    EXPECT_TRUE(ip("::").is_unspecified());
    EXPECT_TRUE(ip("::").is_v6());
    EXPECT_TRUE(ip("224.0.0.18").is_multicast());
    EXPECT_FALSE(ip("223.255.255.255").is_multicast());
    EXPECT_TRUE(ip("ff02::12").is_multicast());
    EXPECT_TRUE(ip("127.8.8.8").is_loopback());
    EXPECT_TRUE(ip("::1").is_loopback());
    EXPECT_TRUE(ip("169.254.3.4").is_link_local());
    EXPECT_TRUE(ip("febf::1").is_link_local());
    EXPECT_FALSE(ip("fec0::1").is_link_local());
}

TEST(IpAddress, multicast_mac_and_solicited_node_follow_their_rfcs)
{
    EXPECT_EQ(ip("224.0.0.18").multicast_mac().to_string(), "01:00:5e:00:00:12");
    EXPECT_EQ(ip("239.129.2.3").multicast_mac().to_string(), "01:00:5e:01:02:03"); // 23 bits only
    EXPECT_EQ(ip("ff02::12").multicast_mac().to_string(), "33:33:00:00:00:12");
    EXPECT_EQ(ip("2001:db8::12:3456").solicited_node(), ip("ff02::1:ff12:3456"));
}

TEST(Prefix, contains_only_its_own_family_and_bits)
{
    const Prefix ten = Prefix::parse("10.0.0.0/8").value();
    EXPECT_TRUE(ten.contains(ip("10.255.1.2")));
    EXPECT_FALSE(ten.contains(ip("11.0.0.0")));
    EXPECT_FALSE(ten.contains(ip("::ffff:0:a00:1")));
    const Prefix odd = Prefix::parse("2001:db8:8000::/33").value();
    EXPECT_TRUE(odd.contains(ip("2001:db8:ffff::1")));
    EXPECT_FALSE(odd.contains(ip("2001:db8:7fff::1")));
    EXPECT_TRUE(Prefix::parse("::/0")->contains(ip("2001:db8::1")));
    EXPECT_FALSE(Prefix::parse("::/0")->contains(ip("192.0.2.1")));
    EXPECT_EQ(Prefix::parse("192.0.2.77/26")->network(), ip("192.0.2.64"));
    EXPECT_EQ(Prefix::parse("192.0.2.77/26")->directed_broadcast(), ip("192.0.2.127"));
    for (const char* text : {"10.0.0.0", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08", "::/129", "/8"}) {
        EXPECT_FALSE(Prefix::parse(text)) << text;
    }
}

TEST(Endpoint, ipv6_wants_brackets_and_ipv4_none)
{
    EXPECT_EQ(Endpoint::parse("192.0.2.1:80")->to_string(), "192.0.2.1:80");
    EXPECT_EQ(Endpoint::parse("[2001:db8::1]:443")->to_string(), "[2001:db8::1]:443");
    for (const char* text :
         {"192.0.2.1", "[192.0.2.1]:80", "2001:db8::1:443", "192.0.2.1:65536", "192.0.2.1:", "192.0.2.1:080"}) {
        EXPECT_FALSE(Endpoint::parse(text)) << text;
    }
}

TEST(MacAddress, text_round_trips_and_nonsense_is_refused)
{
    EXPECT_EQ(MacAddress::parse("00:00:5e:00:01:33")->to_string(), "00:00:5e:00:01:33");
    for (const char* text : {"", "00:00:5e:00:01", "00:00:5e:00:01:3g", "00-00-5e-00-01-33", "00:00:5e:00:01:333"}) {
        EXPECT_FALSE(MacAddress::parse(text)) << text;
    }
}

TEST(Sequence, order_holds_over_the_wrap)
{
    const Sequence last{0xffffffffU};
    EXPECT_LT(last, last + 1);
    EXPECT_EQ((last + 1).value(), 0U);
    EXPECT_EQ(Sequence{5} - last, 6);
    EXPECT_TRUE(within(Sequence{2}, last, Sequence{3}));
    EXPECT_FALSE(within(Sequence{3}, last, Sequence{3}));
    EXPECT_FALSE(within(last, last, last)); // An empty range holds nothing
}

} // namespace
} // namespace sluice::wire
