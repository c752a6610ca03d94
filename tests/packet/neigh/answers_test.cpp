// What comes in and exactly what goes out, as a table: answers for our own and for virtual addresses, and silence.
#include "bench.hpp"

namespace sluice::neigh::test {
namespace {

using testing::ElementsAreArray;

enum class Holding : std::uint8_t { backup, active };

struct Row {
    std::string description;
    Holding holding;
    Frame in;
    std::vector<std::string> out;
    std::vector<std::string> drops;
};

void check(const std::vector<Row>& rows)
{
    for (const Row& row : rows) {
        SCOPED_TRACE(row.description);
        Bench bench;
        bench.configure();
        if (row.holding == Holding::active) {
            bench.hold_virtual();
        }
        bench.run(5s); // Announcements and listener reports are over.
        bench.forget();
        bench.receive(row.in);
        bench.run(5s);
        EXPECT_THAT(bench.sent(), ElementsAreArray(row.out));
        EXPECT_THAT(bench.drops(), ElementsAreArray(row.drops));
        EXPECT_EQ(bench.pool.available(), bench.pool.capacity());
    }
}

using Options = std::vector<std::pair<wire::NeighbourOption, wire::MacAddress>>;
const Options from_peer{{wire::NeighbourOption::source_link_layer, peer_mac}};

Frame solicitation(std::string_view from, std::string_view to, std::string_view target,
                   const Options& options = from_peer, std::uint8_t hop_limit = 255)
{
    return ip_frame(from, to, wire::protocol::icmpv6,
                    neighbour_message(wire::icmpv6_type::neighbour_solicitation, 0, target, options), hop_limit,
                    peer_mac, ip(to).is_multicast() ? ip(to).multicast_mac() : our_mac);
}

TEST(Arp, requests_table)
{
    ArpFields for_virtual;
    for_virtual.target = "192.0.2.100";
    ArpFields probe;
    probe.sender = "0.0.0.0";
    ArpFields for_other;
    for_other.target = "192.0.2.12";
    ArpFields looped;
    looped.sender_mac = our_mac;
    looped.sender = "192.0.2.11";
    ArpFields multicast_sender;
    multicast_sender.sender = "224.0.0.1";
    ArpFields multicast_mac;
    multicast_mac.sender_mac = mac("01:00:5e:00:00:01");
    ArpFields gratuitous;
    gratuitous.target = gratuitous.sender;
    ArpFields stray_reply;
    stray_reply.operation = wire::ArpOperation::reply;
    stray_reply.target_mac = our_mac;
    stray_reply.to = our_mac;
    check({
        {"our own address is answered in backup",
         Holding::backup,
         arp({}),
         {"02:00:00:00:00:11>02:00:00:00:00:99 arp reply 192.0.2.1 tell 192.0.2.11 is 02:00:00:00:00:11"},
         {}},
        {"a probe is answered too",
         Holding::backup,
         arp(probe),
         {"02:00:00:00:00:11>02:00:00:00:00:99 arp reply 0.0.0.0 tell 192.0.2.11 is 02:00:00:00:00:11"},
         {}},
        {"a virtual address is silent in backup", Holding::backup, arp(for_virtual), {}, {"backup_address"}},
        {"a virtual address is answered with the virtual MAC",
         Holding::active,
         arp(for_virtual),
         {"00:00:5e:00:01:33>02:00:00:00:00:99 arp reply 192.0.2.1 tell 192.0.2.100 is 00:00:5e:00:01:33"},
         {}},
        {"another host's address is not ours", Holding::active, arp(for_other), {}, {"neighbour_ignored"}},
        {"an announcement of a stranger makes no neighbour",
         Holding::active,
         arp(gratuitous),
         {},
         {"neighbour_ignored"}},
        {"a reply that nobody asked for makes no neighbour",
         Holding::active,
         arp(stray_reply),
         {},
         {"neighbour_ignored"}},
        {"our own frame, looped back", Holding::active, arp(looped), {}, {"source_address_invalid"}},
        {"a multicast sender address", Holding::active, arp(multicast_sender), {}, {"arp_invalid"}},
        {"a multicast sender MAC", Holding::active, arp(multicast_mac), {}, {"arp_invalid"}},
    });
}

TEST(NeighbourDiscovery, solicitations_table)
{
    const std::string answer =
        "advertisement 2001:db8::11 > 2001:db8::1 target 2001:db8::11 flags SO is 02:00:00:00:00:11";
    check({
        {"to the solicited-node group",
         Holding::backup,
         solicitation("2001:db8::1", "ff02::1:ff00:11", "2001:db8::11"),
         {"02:00:00:00:00:11>02:00:00:00:00:99 " + answer},
         {}},
        {"to the address itself, without an option",
         Holding::backup,
         solicitation("2001:db8::1", "2001:db8::11", "2001:db8::11", {}),
         {"02:00:00:00:00:11>02:00:00:00:00:99 " + answer},
         {}},
        {"our link-local address",
         Holding::backup,
         solicitation("fe80::1", "ff02::1:ff00:11", "fe80::ff:fe00:11"),
         {"02:00:00:00:00:11>02:00:00:00:00:99 advertisement fe80::ff:fe00:11 > fe80::1 target fe80::ff:fe00:11 flags "
          "SO is "
          "02:00:00:00:00:11"},
         {}},
        {"duplicate address detection is told to everybody",
         Holding::backup,
         solicitation("::", "ff02::1:ff00:11", "2001:db8::11", {}),
         {"02:00:00:00:00:11>33:33:00:00:00:01 advertisement 2001:db8::11 > ff02::1 target 2001:db8::11 flags O is "
          "02:00:00:00:00:11"},
         {}},
        {"duplicate address detection with an option is invalid",
         Holding::backup,
         solicitation("::", "ff02::1:ff00:11", "2001:db8::11"),
         {},
         {"nd_invalid"}},
        {"duplicate address detection to a unicast address is invalid",
         Holding::backup,
         solicitation("::", "2001:db8::11", "2001:db8::11", {}),
         {},
         {"nd_invalid"}},
        {"a virtual address is silent in backup",
         Holding::backup,
         solicitation("2001:db8::1", "ff02::1:ff00:100", "2001:db8::100"),
         {},
         {"backup_address"}},
        {"duplicate address detection of a virtual address is silent in backup",
         Holding::backup,
         solicitation("::", "ff02::1:ff00:100", "2001:db8::100", {}),
         {},
         {"backup_address"}},
        {"a virtual address is answered with the virtual MAC, as a router",
         Holding::active,
         solicitation("2001:db8::1", "ff02::1:ff00:100", "2001:db8::100"),
         {"00:00:5e:00:02:33>02:00:00:00:00:99 advertisement 2001:db8::100 > 2001:db8::1 target 2001:db8::100 flags "
          "RSO is "
          "00:00:5e:00:02:33"},
         {}},
        {"another host's address",
         Holding::active,
         solicitation("2001:db8::1", "ff02::1:ff00:12", "2001:db8::12"),
         {},
         {"neighbour_ignored"}},
        {"from beyond the link",
         Holding::active,
         solicitation("2001:db8::1", "ff02::1:ff00:11", "2001:db8::11", from_peer, 254),
         {},
         {"nd_invalid"}},
        {"a multicast target",
         Holding::active,
         solicitation("2001:db8::1", "2001:db8::11", "ff02::1"),
         {},
         {"nd_invalid"}},
    });
}

TEST(NeighbourDiscovery, option_of_length_zero_is_invalid)
{
    std::vector<std::byte> message =
        neighbour_message(wire::icmpv6_type::neighbour_solicitation, 0, "2001:db8::11", from_peer);
    message[wire::neighbour_message_size + 1] = std::byte{0};
    check({{"length 0",
            Holding::active,
            ip_frame("2001:db8::1", "2001:db8::11", wire::protocol::icmpv6, message, 255),
            {},
            {"nd_invalid"}}});
}

TEST(Echo, table)
{
    const auto request4 = [](std::string_view to, const wire::MacAddress& to_mac = our_mac) {
        return ip_frame("198.51.100.7", to, wire::protocol::icmp, icmp(wire::icmp_type::echo_request, 0, 56), 57,
                        peer_mac, to_mac);
    };
    const auto request6 = [](std::string_view to) {
        return ip_frame("2001:db8:1::7", to, wire::protocol::icmpv6, icmp(wire::icmpv6_type::echo_request, 0, 1000),
                        57);
    };
    check({
        {"our own address",
         Holding::backup,
         request4("192.0.2.11"),
         {"02:00:00:00:00:11>02:00:00:00:00:99 echo reply 192.0.2.11 > 198.51.100.7 length 56"},
         {}},
        {"our own IPv6 address",
         Holding::backup,
         request6("2001:db8::11"),
         {"02:00:00:00:00:11>02:00:00:00:00:99 echo reply 2001:db8::11 > 2001:db8:1::7 length 1000"},
         {}},
        {"a virtual address that we hold",
         Holding::active,
         request4("192.0.2.100", virtual_mac4),
         {"00:00:5e:00:01:33>02:00:00:00:00:99 echo reply 192.0.2.100 > 198.51.100.7 length 56"},
         {}},
        {"a virtual IPv6 address that we hold",
         Holding::active,
         request6("2001:db8::100"),
         {"00:00:5e:00:02:33>02:00:00:00:00:99 echo reply 2001:db8::100 > 2001:db8:1::7 length 1000"},
         {}},
        {"a virtual address in backup", Holding::backup, request4("192.0.2.100", virtual_mac4), {}, {"backup_address"}},
        {"a virtual IPv6 address in backup", Holding::backup, request6("2001:db8::100"), {}, {"backup_address"}},
        {"an address of nobody", Holding::active, request4("192.0.2.12"), {}, {"not_ours"}},
        {"a multicast destination", Holding::active, request4("224.0.0.1"), {}, {"icmp_ignored"}},
        {"the broadcast destination", Holding::active, request4("255.255.255.255"), {}, {"icmp_ignored"}},
        {"an answer that nobody waits for",
         Holding::active,
         ip_frame("198.51.100.7", "192.0.2.11", wire::protocol::icmp, icmp(wire::icmp_type::echo_reply, 0)),
         {},
         {"icmp_ignored"}},
        {"a router advertisement",
         Holding::active,
         ip_frame("fe80::1", "ff02::1", wire::protocol::icmpv6, icmp(wire::icmpv6_type::router_advertisement, 0), 255),
         {},
         {"icmp_ignored"}},
        {"a multicast source",
         Holding::active,
         ip_frame("224.0.0.5", "192.0.2.11", wire::protocol::icmp, icmp(wire::icmp_type::echo_request, 0)),
         {},
         {"source_address_invalid"}},
    });
}

TEST(Echo, reply_keeps_identifier_sequence_and_data)
{
    Bench bench;
    bench.configure();
    bench.forget();
    const Frame request =
        ip_frame("198.51.100.7", "192.0.2.11", wire::protocol::icmp, icmp(wire::icmp_type::echo_request, 0, 200));
    bench.receive(request);
    const std::size_t body = wire::ethernet_size + wire::ipv4_minimum_size + 4;
    ASSERT_EQ(bench.last_frame.size(), request.size());
    EXPECT_TRUE(std::equal(request.begin() + body, request.end(), bench.last_frame.begin() + body));
}

TEST(Start, announces_own_addresses_and_joins_groups_twice)
{
    Bench bench;
    bench.configure();
    bench.run(10s);
    const std::string report =
        "02:00:00:00:00:11>33:33:00:00:00:16 report fe80::ff:fe00:11 > ff02::16 4:ff02::1:ff00:11 "
        "4:ff02::1:ff00:100 4:ff02::12";
    EXPECT_THAT(
        bench.sent(),
        testing::ElementsAre(
            "02:00:00:00:00:11>ff:ff:ff:ff:ff:ff arp who-has 192.0.2.11 tell 192.0.2.11 is 02:00:00:00:00:11",
            "02:00:00:00:00:11>33:33:00:00:00:01 advertisement 2001:db8::11 > ff02::1 target 2001:db8::11 flags O is "
            "02:00:00:00:00:11",
            "02:00:00:00:00:11>33:33:00:00:00:01 advertisement fe80::ff:fe00:11 > ff02::1 target fe80::ff:fe00:11 "
            "flags O is "
            "02:00:00:00:00:11",
            report, report));
    EXPECT_EQ(bench.neighbours.next_deadline(), never);
}

TEST(Start, reload_without_a_change_sends_nothing)
{
    Bench bench;
    bench.configure();
    bench.run(10s);
    bench.forget();
    bench.configure();
    bench.run(10s);
    EXPECT_THAT(bench.sent(), testing::IsEmpty());
}

TEST(Listener, general_query_is_answered_within_its_delay)
{
    Bench bench;
    bench.configure();
    bench.run(10s);
    bench.forget();
    std::vector<std::byte> query(28);
    query[0] = std::byte{wire::icmpv6_type::listener_query};
    store16(query.data() + 4, 10000);
    bench.receive(ip_frame("fe80::1", "ff02::1", wire::protocol::icmpv6, query, 1));
    EXPECT_THAT(bench.sent(), testing::IsEmpty());
    bench.run(10s);
    EXPECT_THAT(
        bench.sent(),
        testing::ElementsAre("02:00:00:00:00:11>33:33:00:00:00:16 report fe80::ff:fe00:11 > ff02::16 2:ff02::1:ff00:11 "
                             "2:ff02::1:ff00:100 2:ff02::12"));
    bench.receive(ip_frame("2001:db8::1", "ff02::1", wire::protocol::icmpv6, query, 1));
    bench.run(10s);
    EXPECT_THAT(bench.sent(), testing::IsEmpty());
    EXPECT_THAT(bench.drops(), testing::ElementsAre("nd_invalid"));
}

TEST(Listener, reload_leaves_and_joins_what_changed)
{
    Bench bench;
    bench.configure();
    bench.run(10s);
    bench.forget();
    const Interface interface {
        0, our_mac, 1500, {prefix("192.0.2.11/24"), prefix("2001:db8::12/64")}, {}
    };
    bench.apply({interface}, {});
    bench.run(10s);
    const std::vector<std::string> sent = bench.sent();
    EXPECT_THAT(sent, testing::Contains(testing::HasSubstr(" 3:ff02::1:ff00:100")));
    EXPECT_THAT(sent, testing::Contains(testing::HasSubstr(" 3:ff02::12")));
    EXPECT_THAT(sent, testing::Contains(testing::HasSubstr(" 4:ff02::1:ff00:11 ")).Times(0));
    EXPECT_THAT(sent, testing::Contains(testing::HasSubstr(" 4:ff02::1:ff00:12 4:ff02::1:ff00:11")).Times(2));
    EXPECT_THAT(sent, testing::Contains(testing::HasSubstr("arp")).Times(0));
}

TEST(Announcements, gratuitous_arp_and_advertisement_for_virtual_addresses)
{
    Bench bench;
    bench.configure();
    bench.run(10s);
    bench.forget();
    bench.neighbours.announce(0, ip("192.0.2.100"), virtual_mac4);
    bench.neighbours.announce(0, ip("2001:db8::100"), virtual_mac6);
    EXPECT_THAT(bench.sent(),
                testing::ElementsAre(
                    "00:00:5e:00:01:33>ff:ff:ff:ff:ff:ff arp who-has 192.0.2.100 tell 192.0.2.100 is 00:00:5e:00:01:33",
                    "00:00:5e:00:02:33>33:33:00:00:00:01 advertisement 2001:db8::100 > ff02::1 target 2001:db8::100 "
                    "flags RO is "
                    "00:00:5e:00:02:33"));
}

TEST(Duplicate, of_our_address_is_reported_and_defended_once)
{
    Bench bench;
    bench.configure();
    bench.run(10s);
    bench.forget();
    ArpFields claim;
    claim.sender = claim.target = "192.0.2.11";
    for (int round = 0; round < 3; ++round) {
        bench.receive(arp(claim));
    }
    EXPECT_THAT(bench.events(), testing::ElementsAre("duplicate_address 192.0.2.11 02:00:00:00:00:99"));
    EXPECT_THAT(bench.sent(),
                testing::ElementsAre(
                    "02:00:00:00:00:11>ff:ff:ff:ff:ff:ff arp who-has 192.0.2.11 tell 192.0.2.11 is 02:00:00:00:00:11"));
    bench.run(11s);
    bench.receive(ip_frame("2001:db8::11", "ff02::1", wire::protocol::icmpv6,
                           neighbour_message(wire::icmpv6_type::neighbour_advertisement, wire::neighbour_flag_override,
                                             "2001:db8::11", {{wire::NeighbourOption::target_link_layer, peer_mac}}),
                           255));
    EXPECT_THAT(bench.events(), testing::ElementsAre("duplicate_address 2001:db8::11 02:00:00:00:00:99"));
}

TEST(Duplicate, of_a_virtual_address_matters_only_while_we_hold_it)
{
    Bench bench;
    bench.configure();
    bench.run(10s);
    ArpFields claim;
    claim.sender = claim.target = "192.0.2.100";
    bench.receive(arp(claim));
    EXPECT_THAT(bench.events(), testing::IsEmpty());
    bench.hold_virtual();
    claim.sender_mac = virtual_mac4; // The peer's last gratuitous ARP, with the MAC that both of us have.
    bench.receive(arp(claim));
    EXPECT_THAT(bench.events(), testing::IsEmpty());
    claim.sender_mac = peer_mac;
    bench.receive(arp(claim));
    EXPECT_THAT(bench.events(), testing::ElementsAre("duplicate_address 192.0.2.100 02:00:00:00:00:99"));
}

} // namespace
} // namespace sluice::neigh::test
