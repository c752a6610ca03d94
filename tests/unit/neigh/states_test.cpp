// RFC 4861 §7.3: the states of a neighbour over time, what is asked when, and what happens to packets meanwhile.
#include "packet/neigh/bench.hpp"

namespace sluice::neigh::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

const std::string ask4 =
    "02:00:00:00:00:11>ff:ff:ff:ff:ff:ff arp who-has 192.0.2.1 tell 192.0.2.11 is 02:00:00:00:00:11";
const std::string ask4_unicast =
    "02:00:00:00:00:11>02:00:00:00:00:99 arp who-has 192.0.2.1 tell 192.0.2.11 is 02:00:00:00:00:11";
const std::string ask6 =
    "02:00:00:00:00:11>33:33:ff:00:00:01 solicitation 2001:db8::11 > ff02::1:ff00:1 target 2001:db8::1 source "
    "02:00:00:00:00:11";
const std::string data4 = "02:00:00:00:00:11>02:00:00:00:00:99 protocol 253 192.0.2.11 > 192.0.2.1";

class States : public testing::Test {
protected:
    States()
    {
        bench.configure();
        bench.run(5s);
        bench.forget();
    }
    void answer4(const wire::MacAddress& from = peer_mac)
    {
        ArpFields reply;
        reply.operation = wire::ArpOperation::reply;
        reply.sender_mac = from;
        reply.target_mac = our_mac;
        reply.to = our_mac;
        bench.receive(arp(reply));
    }
    void advertise6(std::uint8_t flags, const std::vector<std::pair<wire::NeighbourOption, wire::MacAddress>>& options)
    {
        bench.receive(ip_frame(
            "2001:db8::1", (flags & wire::neighbour_flag_solicited) != 0 ? "2001:db8::11" : "ff02::1",
            wire::protocol::icmpv6,
            neighbour_message(wire::icmpv6_type::neighbour_advertisement, flags, "2001:db8::1", options), 255));
    }
    AdjacencyIndex resolved4()
    {
        const AdjacencyIndex index = bench.neighbours.resolve(0, ip("192.0.2.1"), bench.now);
        answer4();
        bench.forget();
        return index;
    }
    AdjacencyIndex resolved6()
    {
        const AdjacencyIndex index = bench.neighbours.resolve(0, ip("2001:db8::1"), bench.now);
        advertise6(wire::neighbour_flag_solicited | wire::neighbour_flag_override,
                   {{wire::NeighbourOption::target_link_layer, peer_mac}});
        bench.forget();
        return index;
    }

    Bench bench;
};

TEST_F(States, incomplete_asks_three_times_then_fails_and_drops_what_waited)
{
    const AdjacencyIndex index = bench.neighbours.resolve(0, ip("192.0.2.1"), bench.now);
    bench.neighbours.transmit(index, bench.ip_packet("192.0.2.1"), bench.now);
    EXPECT_EQ(bench.state("192.0.2.1"), NeighbourState::incomplete);
    bench.run(2999ms);
    EXPECT_THAT(bench.sent(), ElementsAre(ask4, ask4, ask4));
    EXPECT_THAT(bench.drops(), IsEmpty());
    bench.run(1ms);
    EXPECT_EQ(bench.state("192.0.2.1"), NeighbourState::failed);
    EXPECT_THAT(bench.drops(), ElementsAre("neighbour_failed"));
    EXPECT_THAT(bench.events(), ElementsAre("neighbour_failed 192.0.2.1 00:00:00:00:00:00"));
    bench.run(30s);
    EXPECT_THAT(bench.sent(), IsEmpty());
    EXPECT_EQ(bench.state("192.0.2.1"), NeighbourState::none);
}

TEST_F(States, incomplete_answer_sends_what_waited_in_order)
{
    const AdjacencyIndex index = bench.neighbours.resolve(0, ip("192.0.2.1"), bench.now);
    for (const std::size_t size : {10, 20, 30}) {
        bench.neighbours.transmit(index, bench.ip_packet("192.0.2.1", size), bench.now);
    }
    EXPECT_THAT(bench.sent(), ElementsAre(ask4));
    answer4();
    EXPECT_THAT(bench.sent(), ElementsAre(data4, data4, data4));
    EXPECT_EQ(bench.last_frame.size(), wire::ethernet_size + wire::ipv4_minimum_size + 30);
    EXPECT_EQ(bench.state("192.0.2.1"), NeighbourState::reachable);
    EXPECT_THAT(bench.drops(), IsEmpty());
}

TEST_F(States, incomplete_keeps_the_newest_packets)
{
    const AdjacencyIndex index = bench.neighbours.resolve(0, ip("192.0.2.1"), bench.now);
    for (std::size_t size = 1; size <= 10; ++size) {
        bench.neighbours.transmit(index, bench.ip_packet("192.0.2.1", size), bench.now);
    }
    EXPECT_THAT(bench.drops(), ElementsAre("neighbour_queue_full", "neighbour_queue_full"));
    answer4();
    EXPECT_THAT(bench.sent(), SizeIs(9));
    EXPECT_EQ(bench.last_frame.size(), wire::ethernet_size + wire::ipv4_minimum_size + 10);
}

TEST_F(States, incomplete_total_queue_is_bounded)
{
    for (int host = 0; host < 40; ++host) {
        const AdjacencyIndex index =
            bench.neighbours.resolve(0, ip("192.0.2." + std::to_string(200 + host)), bench.now);
        for (int packet = 0; packet < 8; ++packet) {
            bench.neighbours.transmit(index, bench.ip_packet("192.0.2.1"), bench.now);
        }
    }
    EXPECT_EQ(bench.drops().size(), 40U * 8U - 256U);
    EXPECT_EQ(bench.pool.capacity() - bench.pool.available(), 256U);
}

TEST_F(States, incomplete_neighbour_that_announces_itself_is_used_as_stale)
{
    const AdjacencyIndex index = bench.neighbours.resolve(0, ip("192.0.2.1"), bench.now);
    bench.neighbours.transmit(index, bench.ip_packet("192.0.2.1"), bench.now);
    bench.forget();
    ArpFields gratuitous;
    gratuitous.target = gratuitous.sender;
    bench.receive(arp(gratuitous));
    EXPECT_THAT(bench.sent(), ElementsAre(data4));
    EXPECT_EQ(bench.state("192.0.2.1"), NeighbourState::stale);
}

TEST_F(States, ipv6_incomplete_solicits_the_group_and_takes_the_answer)
{
    static_cast<void>(bench.neighbours.resolve(0, ip("2001:db8::1"), bench.now));
    EXPECT_THAT(bench.sent(), ElementsAre(ask6));
    advertise6(wire::neighbour_flag_solicited, {});
    EXPECT_EQ(bench.state("2001:db8::1"), NeighbourState::incomplete); // Without the option it says nothing.
    advertise6(wire::neighbour_flag_solicited, {{wire::NeighbourOption::target_link_layer, peer_mac}});
    EXPECT_EQ(bench.state("2001:db8::1"), NeighbourState::reachable);
    EXPECT_THAT(bench.sent(), IsEmpty());
}

TEST_F(States, reachable_becomes_stale_between_15_and_45_s_and_is_forgotten_unused)
{
    resolved4();
    bench.run(15s - 1ms);
    EXPECT_EQ(bench.state("192.0.2.1"), NeighbourState::reachable);
    bench.run(30s);
    EXPECT_EQ(bench.state("192.0.2.1"), NeighbourState::stale);
    bench.run(11min);
    EXPECT_EQ(bench.state("192.0.2.1"), NeighbourState::none);
    EXPECT_THAT(bench.sent(), IsEmpty());
}

TEST_F(States, stale_use_is_sent_at_once_then_probed_by_unicast)
{
    const AdjacencyIndex index = resolved4();
    bench.run(45s);
    bench.neighbours.transmit(index, bench.ip_packet("192.0.2.1"), bench.now);
    EXPECT_THAT(bench.sent(), ElementsAre(data4));
    EXPECT_EQ(bench.state("192.0.2.1"), NeighbourState::delay);
    bench.run(4999ms);
    EXPECT_THAT(bench.sent(), IsEmpty());
    bench.run(1ms);
    EXPECT_THAT(bench.sent(), ElementsAre(ask4_unicast));
    EXPECT_EQ(bench.state("192.0.2.1"), NeighbourState::probe);
    answer4();
    EXPECT_EQ(bench.state("192.0.2.1"), NeighbourState::reachable);
}

TEST_F(States, stale_use_by_another_core_is_noticed)
{
    const AdjacencyIndex index = resolved4();
    bench.run(45s);
    EXPECT_TRUE(bench.adjacencies.use(index).usable());
    bench.run(1ms);
    EXPECT_EQ(bench.state("192.0.2.1"), NeighbourState::delay);
    bench.run(5s);
    EXPECT_THAT(bench.sent(), ElementsAre(ask4_unicast));
}

TEST_F(States, stale_progress_of_the_upper_layer_spares_the_probe)
{
    const AdjacencyIndex index = resolved4();
    bench.run(45s);
    bench.neighbours.transmit(index, bench.ip_packet("192.0.2.1"), bench.now);
    bench.neighbours.confirm(index, bench.now);
    EXPECT_EQ(bench.state("192.0.2.1"), NeighbourState::reachable);
    bench.forget();
    bench.run(10s);
    EXPECT_THAT(bench.sent(), IsEmpty());
}

TEST_F(States, probe_asks_the_neighbour_then_everybody_then_fails)
{
    const AdjacencyIndex index = resolved4();
    bench.run(45s);
    bench.neighbours.transmit(index, bench.ip_packet("192.0.2.1"), bench.now);
    bench.forget();
    bench.run(5s + 5999ms);
    EXPECT_THAT(bench.sent(), ElementsAre(ask4_unicast, ask4_unicast, ask4_unicast, ask4, ask4, ask4));
    EXPECT_TRUE(bench.adjacencies.read(index).usable());
    bench.run(1ms);
    EXPECT_EQ(bench.state("192.0.2.1"), NeighbourState::failed);
    EXPECT_THAT(bench.events(), ElementsAre("neighbour_failed 192.0.2.1 02:00:00:00:00:99"));
}

TEST_F(States, failed_drops_for_a_second_then_traffic_asks_again)
{
    const AdjacencyIndex index = bench.neighbours.resolve(0, ip("192.0.2.1"), bench.now);
    bench.run(3s);
    bench.forget();
    bench.neighbours.transmit(index, bench.ip_packet("192.0.2.1"), bench.now);
    EXPECT_THAT(bench.drops(), ElementsAre("neighbour_failed"));
    EXPECT_THAT(bench.sent(), IsEmpty());
    bench.run(1s);
    bench.neighbours.transmit(index, bench.ip_packet("192.0.2.1"), bench.now);
    EXPECT_THAT(bench.sent(), ElementsAre(ask4));
    answer4();
    EXPECT_THAT(bench.sent(), ElementsAre(data4));
}

TEST_F(States, new_mac_in_an_announcement_moves_all_flows_at_once)
{
    const AdjacencyIndex index = resolved4();
    ArpFields gratuitous;
    gratuitous.sender_mac = other_mac;
    gratuitous.target = gratuitous.sender;
    bench.receive(arp(gratuitous));
    EXPECT_EQ(bench.adjacencies.read(index).mac, other_mac);
    EXPECT_TRUE(bench.adjacencies.read(index).usable());
    EXPECT_THAT(bench.events(), ElementsAre("neighbour_moved 192.0.2.1 02:00:00:00:00:aa"));
    EXPECT_THAT(bench.drops(), IsEmpty());
}

TEST_F(States, neighbour_that_moves_a_thousand_times_does_not_flood_the_events)
{
    const AdjacencyIndex index = resolved4();
    ArpFields gratuitous;
    gratuitous.target = gratuitous.sender;
    for (int count = 0; count < 1000; ++count) {
        gratuitous.sender_mac = count % 2 == 0 ? other_mac : peer_mac;
        bench.receive(arp(gratuitous));
    }
    EXPECT_EQ(bench.adjacencies.read(index).mac, peer_mac);
    EXPECT_LE(bench.events().size(), 20U);
}

TEST_F(States, new_mac_in_a_request_to_us_moves_it_and_is_answered)
{
    const AdjacencyIndex index = resolved4();
    ArpFields request;
    request.sender_mac = other_mac;
    bench.receive(arp(request));
    EXPECT_EQ(bench.adjacencies.read(index).mac, other_mac);
    EXPECT_THAT(
        bench.sent(),
        ElementsAre("02:00:00:00:00:11>02:00:00:00:00:aa arp reply 192.0.2.1 tell 192.0.2.11 is 02:00:00:00:00:11"));
}

TEST_F(States, link_up_announces_us_and_lets_the_next_use_check_a_neighbour)
{
    const AdjacencyIndex index = resolved4();
    bench.neighbours.link_up(0, bench.now);
    bench.run(1ms);
    const std::vector<std::string> sent = bench.sent();
    EXPECT_THAT(sent, testing::Contains(testing::HasSubstr("arp who-has 192.0.2.11 tell 192.0.2.11")));
    EXPECT_THAT(sent, testing::Contains(testing::HasSubstr("advertisement 2001:db8::11")));
    EXPECT_THAT(sent, testing::Not(testing::Contains(testing::HasSubstr("192.0.2.100")))) << "VRRP announces these";
    EXPECT_EQ(bench.adjacencies.use(index).state, NeighbourState::stale);
    EXPECT_EQ(bench.adjacencies.read(index).mac, peer_mac);
    bench.run(6s);
    EXPECT_THAT(bench.sent(), testing::Contains(ask4_unicast));
}

TEST_F(States, link_up_of_another_port_asks_nothing)
{
    const AdjacencyIndex index = resolved4();
    bench.neighbours.link_up(1, bench.now);
    bench.run(1ms);
    EXPECT_THAT(bench.sent(), IsEmpty());
    EXPECT_EQ(bench.adjacencies.read(index).state, NeighbourState::reachable);
}

struct AdvertisementRow {
    std::string description;
    std::uint8_t flags;
    bool other;
    NeighbourState state;
    bool moved;
};

TEST_F(States, ipv6_unasked_advertisements_follow_the_override_rules)
{
    // RFC 4861 §7.2.5, for a reachable neighbour.
    const AdvertisementRow rows[] = {
        {"same MAC, nothing claimed", 0, false, NeighbourState::reachable, false},
        {"same MAC, solicited", wire::neighbour_flag_solicited, false, NeighbourState::reachable, false},
        {"other MAC without override", 0, true, NeighbourState::stale, false},
        {"other MAC with override", wire::neighbour_flag_override, true, NeighbourState::stale, true},
        {"other MAC, solicited with override", wire::neighbour_flag_override | wire::neighbour_flag_solicited, true,
         NeighbourState::reachable, true},
    };
    for (const AdvertisementRow& row : rows) {
        SCOPED_TRACE(row.description);
        Bench fresh;
        fresh.configure();
        std::swap(fresh.now, bench.now);
        const AdjacencyIndex index = fresh.neighbours.resolve(0, ip("2001:db8::1"), fresh.now);
        const auto advertise = [&](std::uint8_t flags, const wire::MacAddress& from) {
            fresh.receive(ip_frame("2001:db8::1",
                                   (flags & wire::neighbour_flag_solicited) != 0 ? "2001:db8::11" : "ff02::1",
                                   wire::protocol::icmpv6,
                                   neighbour_message(wire::icmpv6_type::neighbour_advertisement, flags, "2001:db8::1",
                                                     {{wire::NeighbourOption::target_link_layer, from}}),
                                   255));
        };
        advertise(wire::neighbour_flag_solicited, peer_mac);
        advertise(row.flags, row.other ? other_mac : peer_mac);
        EXPECT_EQ(fresh.adjacencies.read(index).state, row.state);
        EXPECT_EQ(fresh.adjacencies.read(index).mac == other_mac, row.moved);
    }
}

TEST_F(States, ipv6_probe_is_unicast)
{
    const AdjacencyIndex index = resolved6();
    bench.run(45s);
    static_cast<void>(bench.adjacencies.use(index));
    bench.run(1ms);
    bench.run(5s);
    EXPECT_THAT(bench.sent(),
                ElementsAre("02:00:00:00:00:11>02:00:00:00:00:99 solicitation 2001:db8::11 > 2001:db8::1 target "
                            "2001:db8::1 source 02:00:00:00:00:11"));
}

TEST_F(States, table_full_of_live_neighbours_refuses_and_counts)
{
    Limits limits;
    limits.neighbours_per_port = 2;
    Bench small{limits};
    small.configure();
    ASSERT_TRUE(small.neighbours.resolve(0, ip("192.0.2.1"), small.now));
    ASSERT_TRUE(small.neighbours.resolve(0, ip("192.0.2.2"), small.now));
    const AdjacencyIndex third = small.neighbours.resolve(0, ip("192.0.2.3"), small.now);
    EXPECT_FALSE(third);
    small.neighbours.transmit(third, small.ip_packet("192.0.2.3"), small.now);
    EXPECT_THAT(small.drops(), ElementsAre("neighbour_table_full"));
}

TEST(Gateways, are_asked_for_at_start_and_decide_readiness)
{
    Bench bench;
    bench.configure(true);
    EXPECT_FALSE(bench.neighbours.gateways_decided());
    EXPECT_EQ(bench.state("192.0.2.1"), NeighbourState::incomplete);
    EXPECT_EQ(bench.state("fe80::1"), NeighbourState::incomplete);
    ArpFields reply;
    reply.operation = wire::ArpOperation::reply;
    reply.target_mac = our_mac;
    bench.receive(arp(reply));
    EXPECT_FALSE(bench.neighbours.gateways_decided());
    bench.run(3s); // The other one does not answer.
    EXPECT_TRUE(bench.neighbours.gateways_decided());
}

TEST(Gateways, are_asked_for_at_once_when_the_link_comes_up)
{
    Bench bench;
    bench.configure(true);
    const AdjacencyIndex index = bench.adjacencies.find(0, ip("192.0.2.1"));
    ArpFields reply;
    reply.operation = wire::ArpOperation::reply;
    reply.target_mac = our_mac;
    bench.receive(arp(reply));
    bench.run(4s); // fe80::1 has not answered.
    EXPECT_EQ(bench.state("fe80::1"), NeighbourState::failed);
    bench.forget();
    bench.neighbours.link_up(0, bench.now);
    const std::vector<std::string> asked = bench.sent();
    EXPECT_THAT(asked, testing::Contains(ask4));
    EXPECT_THAT(asked, testing::Contains(testing::HasSubstr("target fe80::1 ")));
    EXPECT_TRUE(bench.adjacencies.read(index).usable()) << "it may well be the same gateway";
    reply.sender_mac = other_mac;
    bench.receive(arp(reply));
    EXPECT_EQ(bench.adjacencies.read(index).mac, other_mac);
    EXPECT_EQ(bench.state("192.0.2.1"), NeighbourState::reachable);
}

TEST(Gateways, are_never_forgotten_and_asked_for_again)
{
    Bench bench;
    bench.configure(true);
    const AdjacencyIndex index = bench.adjacencies.find(0, ip("192.0.2.1"));
    ArpFields reply;
    reply.operation = wire::ArpOperation::reply;
    reply.target_mac = our_mac;
    bench.receive(arp(reply));
    bench.run(60min);
    EXPECT_EQ(bench.adjacencies.find(0, ip("192.0.2.1")), index);
    EXPECT_EQ(bench.adjacencies.read(index).mac, peer_mac);
    EXPECT_NE(bench.state("fe80::1"), NeighbourState::none);
    bench.forget();
    bench.run(16s);
    EXPECT_THAT(bench.sent(), testing::Contains(testing::HasSubstr("target fe80::1 ")));
    EXPECT_THAT(bench.events(), IsEmpty()); // One report per failure, not per attempt.
}

TEST(Gateways, reload_without_them_lets_them_go_and_keeps_the_handle_meanwhile)
{
    Bench bench;
    bench.configure(true);
    const AdjacencyIndex index = bench.adjacencies.find(0, ip("192.0.2.1"));
    ArpFields reply;
    reply.operation = wire::ArpOperation::reply;
    reply.target_mac = our_mac;
    bench.receive(arp(reply));
    bench.configure(false);
    EXPECT_TRUE(bench.adjacencies.read(index).usable());
    bench.run(12min);
    EXPECT_FALSE(bench.adjacencies.read(index).usable());
}

TEST(Gateways, reload_without_their_port_forgets_its_neighbours)
{
    Bench bench;
    bench.configure(true);
    const AdjacencyIndex index = bench.adjacencies.find(0, ip("192.0.2.1"));
    bench.neighbours.transmit(index, bench.ip_packet("192.0.2.1"), bench.now);
    bench.apply({{1, other_mac, 1500, {prefix("198.51.100.1/24")}, {}}}, {});
    EXPECT_EQ(bench.adjacencies.read(index).state, NeighbourState::none);
    EXPECT_THAT(bench.drops(), ElementsAre("neighbour_failed"));
    bench.run(10s);
    EXPECT_EQ(bench.neighbours.next_deadline(), never);
}

TEST(Routing, packet_of_another_core_goes_through_the_gateway)
{
    Bench bench;
    bench.configure(true);
    bench.forget();
    bench.neighbours.route(bench.ip_packet("198.51.100.7"), bench.now);
    EXPECT_THAT(bench.sent(), IsEmpty());
    ArpFields reply;
    reply.operation = wire::ArpOperation::reply;
    reply.target_mac = our_mac;
    bench.receive(arp(reply));
    EXPECT_THAT(bench.sent(),
                ElementsAre("02:00:00:00:00:11>02:00:00:00:00:99 protocol 253 192.0.2.11 > 198.51.100.7"));
}

TEST(Routing, packet_without_a_route_is_counted)
{
    Bench bench;
    bench.configure(false);
    bench.forget();
    bench.neighbours.route(bench.ip_packet("198.51.100.7"), bench.now);
    EXPECT_THAT(bench.drops(), ElementsAre("no_route"));
    EXPECT_THAT(bench.sent(), IsEmpty());
}

} // namespace
} // namespace sluice::neigh::test
