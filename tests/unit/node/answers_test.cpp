// What a node answers to packets for its addresses that no service wants, and to those it must be silent about.
#include "support/node_lab.hpp"

#include <sluice/vrrp/advert.hpp>

#include <algorithm>

namespace sluice::test {
namespace {

using telemetry::DropReason;

constexpr const char* answers_config = R"(
node: test
ports: [{name: front, device: {vdev: net_null0}, addresses: [192.0.2.11/24]}]
vrrp:
  - {name: public, port: front, vrid: 51, priority: 100, addresses: [192.0.2.100]}
services: [{name: site, listen: [192.0.2.100:80/tcp, 192.0.2.11:8080/tcp], proxy: {routes: [{respond: {body: hello}}]}}]
)";

class NodeAnswers : public testing::Test {
protected:
    NodeAnswers() : lab{{}, answers_config, {ip("192.0.2.10")}}
    {
        lab.world.on_frame = [this](Bytes frame, const wire::ParsedPacket& parsed) {
            if (parsed.is_ip() && parsed.destination == ip("192.0.2.10")) {
                answers.push_back(parsed);
                last.assign(frame.begin(), frame.end());
            }
        };
        EXPECT_TRUE(lab.run_until([&] { return lab.world.knows(ip("192.0.2.11")); }, std::chrono::seconds{1}));
    }
    void send(const Frame& packet)
    {
        answers.clear();
        lab.world.send_packet(packet);
        lab.settle();
    }

    NodeLab lab;
    std::vector<wire::ParsedPacket> answers;
    Frame last;
};

TEST_F(NodeAnswers, udp_to_any_port_that_nobody_has_is_unreachable)
{
    // One port of each range: below all of them, probes, workers, full NAT.
    for (const std::uint16_t port : std::initializer_list<std::uint16_t>{53, 2000, 20000, 40000}) {
        send(udp_packet({ip("192.0.2.10"), 5555}, {ip("192.0.2.11"), port}, bytes_of("anybody?")));
        ASSERT_EQ(answers.size(), 1U) << port << ' ' << lab.drops();
        EXPECT_EQ(answers[0].protocol, wire::protocol::icmp);
        const auto error = wire::parse_icmp_error(last, answers[0]);
        ASSERT_TRUE(error) << port;
        EXPECT_EQ(error->kind, wire::IcmpErrorKind::port_unreachable);
        EXPECT_EQ(error->quoted.destination_port, port);
    }
}

TEST_F(NodeAnswers, tcp_to_any_port_that_nobody_has_is_reset)
{
    for (const std::uint16_t port : std::initializer_list<std::uint16_t>{81, 2000, 20000, 40000}) {
        Segment syn;
        syn.flags = wire::tcp_flag::syn;
        syn.sequence = 77;
        send(tcp_packet({ip("192.0.2.10"), 5555}, {ip("192.0.2.11"), port}, syn));
        ASSERT_EQ(answers.size(), 1U) << port << ' ' << lab.drops();
        EXPECT_EQ(answers[0].tcp_flags, wire::tcp_flag::rst | wire::tcp_flag::ack);
        EXPECT_EQ(wire::Tcp{last.data() + answers[0].transport_offset}.acknowledgment().value(), 78U);
    }
}

TEST_F(NodeAnswers, own_address_answers_echo_and_a_backup_address_is_silent)
{
    send(icmp_echo(ip("192.0.2.10"), ip("192.0.2.11"), 9));
    ASSERT_EQ(answers.size(), 1U);
    EXPECT_EQ(last[answers[0].transport_offset], std::byte{wire::icmp_type::echo_reply});

    // The neighbour of a virtual address is asked for and does not answer; so its packets are sent to the node's MAC by
    // hand.
    const wire::MacAddress node = wire::MacAddress::from(2, 0, 0, 0, 0, 1);
    Segment syn;
    syn.flags = wire::tcp_flag::syn;
    for (const Frame& packet : {icmp_echo(ip("192.0.2.10"), ip("192.0.2.100"), 9),
                                tcp_packet({ip("192.0.2.10"), 5555}, {ip("192.0.2.100"), 80}, syn),
                                udp_packet({ip("192.0.2.10"), 5555}, {ip("192.0.2.100"), 53}, bytes_of("x"))}) {
        answers.clear();
        lab.world.send_raw(ethernet(lab.world.mac, node, packet));
        lab.settle();
        EXPECT_TRUE(answers.empty());
    }
    EXPECT_EQ(lab.total(DropReason::backup_address), 3U) << lab.drops();
}

TEST_F(NodeAnswers, packets_for_nobody_here_are_dropped_with_their_reason)
{
    const wire::MacAddress node = wire::MacAddress::from(2, 0, 0, 0, 0, 1);
    lab.world.send_raw(ethernet(lab.world.mac, node, udp_packet({ip("192.0.2.10"), 1}, {ip("198.51.100.1"), 2}, {})));
    lab.world.send_raw(ethernet(lab.world.mac, wire::MacAddress::from(2, 9, 9, 9, 9, 9),
                                udp_packet({ip("192.0.2.10"), 1}, {ip("192.0.2.11"), 2}, {})));
    lab.world.send_raw(ethernet(lab.world.mac, node, udp_packet({ip("127.0.0.1"), 1}, {ip("192.0.2.11"), 2}, {})));
    lab.settle();
    EXPECT_EQ(lab.total(DropReason::not_ours), 1U) << lab.drops();
    EXPECT_EQ(lab.total(DropReason::not_our_mac), 1U) << lab.drops();
    EXPECT_EQ(lab.total(DropReason::source_address_invalid), 1U) << lab.drops();
    EXPECT_TRUE(answers.empty());
}

TEST_F(NodeAnswers, packet_for_us_in_a_frame_for_many_is_not_answered)
{
    Segment syn;
    syn.flags = wire::tcp_flag::syn;
    const Frame packet = tcp_packet({ip("192.0.2.10"), 5555}, {ip("192.0.2.11"), 8080}, syn);
    for (const wire::MacAddress& many :
         {wire::MacAddress::from(255, 255, 255, 255, 255, 255), wire::MacAddress::from(1, 0, 94, 0, 0, 1)}) {
        lab.world.send_raw(ethernet(lab.world.mac, many, packet));
    }
    lab.settle();
    EXPECT_EQ(lab.total(DropReason::unicast_in_multicast), 2U) << lab.drops();
    EXPECT_TRUE(answers.empty());
}

TEST_F(NodeAnswers, beginning_of_a_packet_larger_than_the_mtu_has_a_reason_of_its_own)
{
    const wire::MacAddress node = wire::MacAddress::from(2, 0, 0, 0, 0, 1);
    const Frame whole = ethernet(lab.world.mac, node,
                                 udp_packet({ip("192.0.2.10"), 1}, {ip("192.0.2.11"), 2}, Frame(3000, std::byte{1})));
    for (const std::size_t size : {std::size_t{1000}, std::size_t{1514}, std::size_t{1515}, std::size_t{1900}}) {
        lab.world.send_raw(Frame(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
    }
    lab.settle();
    EXPECT_EQ(lab.total(DropReason::truncated), 2U) << lab.drops();
    EXPECT_EQ(lab.total(DropReason::larger_than_mtu), 2U) << lab.drops();
}

TEST_F(NodeAnswers, frame_of_another_vlan_is_nobodys)
{
    const wire::MacAddress node = wire::MacAddress::from(2, 0, 0, 0, 0, 1);
    Segment syn;
    syn.flags = wire::tcp_flag::syn;
    const Frame untagged =
        ethernet(lab.world.mac, node, tcp_packet({ip("192.0.2.10"), 5555}, {ip("192.0.2.11"), 8080}, syn));
    const auto tagged = [&](std::uint8_t low, std::uint8_t priority) {
        Frame frame = untagged;
        const Frame tag{std::byte{0x81}, std::byte{0}, std::byte{priority}, std::byte{low}};
        frame.insert(frame.begin() + 12, tag.begin(), tag.end());
        return frame;
    };
    lab.world.send_raw(tagged(20, 0));
    lab.settle();
    EXPECT_EQ(lab.total(DropReason::not_ip), 1U) << lab.drops();
    EXPECT_TRUE(answers.empty());
    lab.world.send_raw(tagged(0, 0xe0)); // A priority, and no VLAN
    lab.settle();
    EXPECT_EQ(answers.size(), 1U) << lab.drops();
}

TEST_F(NodeAnswers, nobody_is_asked_for_because_of_an_advert_that_is_not_for_us)
{
    std::vector<wire::IpAddress> asked;
    lab.world.on_frame = [&](Bytes, const wire::ParsedPacket& parsed) {
        if (parsed.kind == wire::NetworkKind::arp) {
            asked.push_back(parsed.destination);
        }
    };
    vrrp::Parameters stranger;
    stranger.vrid = 52;
    stranger.priority = 100;
    stranger.source = ip("192.0.2.77");
    stranger.addresses = {ip("192.0.2.200")};
    vrrp::FrameBuffer buffer;
    const Bytes frame = vrrp::build_frame(stranger, 100, vrrp::ChecksumKind::pseudo, buffer);
    lab.world.send_raw(Frame{frame.begin(), frame.end()});
    lab.settle();
    EXPECT_EQ(lab.total(DropReason::vrrp_vrid_unknown), 1U) << lab.drops();
    EXPECT_EQ(std::ranges::count(asked, ip("192.0.2.77")), 0);
}

TEST_F(NodeAnswers, connection_from_our_own_address_is_refused_without_a_word)
{
    std::size_t asked = 0;
    lab.world.on_frame = [&](Bytes, const wire::ParsedPacket& parsed) {
        asked += parsed.kind == wire::NetworkKind::arp && parsed.destination == ip("192.0.2.11") ? 1U : 0U;
    };
    Segment syn;
    syn.flags = wire::tcp_flag::syn;
    const wire::MacAddress node = wire::MacAddress::from(2, 0, 0, 0, 0, 1);
    for (const std::uint16_t port : std::initializer_list<std::uint16_t>{81, 8080}) {
        lab.world.send_raw(
            ethernet(lab.world.mac, node, tcp_packet({ip("192.0.2.11"), port}, {ip("192.0.2.11"), port}, syn)));
    }
    lab.settle();
    EXPECT_EQ(lab.total(DropReason::source_address_invalid), 2U) << lab.drops();
    EXPECT_EQ(asked, 0U) << "who has our own address";
}

TEST_F(NodeAnswers, errors_are_limited_and_the_rest_is_counted)
{
    for (int count = 0; count < 3000; ++count) {
        lab.world.send_packet(udp_packet({ip("192.0.2.10"), 5555}, {ip("192.0.2.11"), 53}, {}));
        if (count % 100 == 0) {
            lab.settle();
        }
    }
    lab.settle();
    EXPECT_LE(answers.size(), 200U) << "a flood must not be answered packet by packet";
    EXPECT_GT(lab.total(telemetry::Counter::answers_suppressed), 2000U);
}

TEST(NodeOverload, ring_that_is_full_loses_what_is_new_counts_it_and_established_flows_go_on)
{
    NodeLab lab{{},
                R"(
node: test
ports: [{name: front, device: {vdev: net_null0}, addresses: [192.0.2.11/24]}]
services:
  - {name: site, listen: 192.0.2.11:80/tcp, proxy: {routes: [{respond: {body: hello}}]}}
  - {name: echo, listen: 192.0.2.11:7777/udp, forward: {pool: echo}}
pools: [{name: echo, servers: [{address: 192.0.2.21:7777}]}]
)",
                {ip("192.0.2.10"), ip("192.0.2.21")}};
    std::size_t forwarded = 0;
    std::size_t handshakes = 0;
    lab.world.on_frame = [&](Bytes, const wire::ParsedPacket& parsed) {
        forwarded += parsed.protocol == wire::protocol::udp && parsed.destination == ip("192.0.2.21") ? 1 : 0;
        handshakes += parsed.protocol == wire::protocol::tcp && (parsed.tcp_flags & wire::tcp_flag::syn) != 0 ? 1 : 0;
    };
    const auto datagram = udp_packet({ip("192.0.2.10"), 5555}, {ip("192.0.2.11"), 7777}, bytes_of("x"));
    EXPECT_TRUE(lab.run_until([&] { return lab.world.knows(ip("192.0.2.11")); }, std::chrono::seconds{1}));
    lab.world.send_packet(datagram);
    const auto open = [&](std::uint16_t port) {
        Segment syn;
        syn.flags = wire::tcp_flag::syn;
        lab.world.send_packet(tcp_packet({ip("192.0.2.10"), port}, {ip("192.0.2.11"), 80}, syn));
    };
    open(9999);
    ASSERT_TRUE(lab.run_until([&] { return forwarded == 1 && handshakes == 1; }, std::chrono::seconds{1}))
        << lab.drops();

    // The worker does not come to its turn.
    const auto forwarder_turns = [&] {
        for (int turn = 0; turn < 20; ++turn) {
            lab.node->cores()[lab.node->first_forwarder_core()]->turn();
            lab.world.turn();
        }
    };
    constexpr std::uint64_t burst = 3000;
    for (std::uint16_t number = 0; number < burst; ++number) {
        open(static_cast<std::uint16_t>(10000 + number));
        if (number % 100 == 0) {
            forwarder_turns();
        }
    }
    forwarder_turns();
    const std::uint64_t lost = lab.total(DropReason::handoff_full);
    EXPECT_GT(lost, 1000U) << lab.drops();
    EXPECT_LT(lost, burst - 1000) << lab.drops();
    lab.world.send_packet(datagram);
    forwarder_turns();
    EXPECT_EQ(forwarded, 2U) << "a flow that exists goes on";
    lab.settle();
    EXPECT_GE(handshakes, burst - lost) << "what the ring held is served" << lab.drops();
    EXPECT_EQ(lab.total(DropReason::handoff_full), lost);
}

TEST(NodePort, lets_frames_for_virtual_macs_in_also_for_instances_that_a_reload_adds)
{
    const auto virtual_mac = [](unsigned vrid) { return wire::MacAddress::from(0, 0, 0x5e, 0, 1, vrid); };
    NodeLab lab{{}, answers_config, {ip("192.0.2.10")}};
    EXPECT_EQ(lab.accepted_macs, std::set{virtual_mac(51)});
    std::string text = answers_config;
    text.insert(text.find("services:"), "  - {name: more, port: front, vrid: 52, addresses: [192.0.2.101]}\n");
    lab.publish(text);
    EXPECT_EQ(lab.accepted_macs, (std::set{virtual_mac(51), virtual_mac(52)}));
}

} // namespace
} // namespace sluice::test

namespace sluice::test {
namespace {

/// `sluicectl events` showed "neighbour_faile" and "priority_change" once.
TEST(EventWords, fit_the_event_whole)
{
    const auto whole = [](std::string_view word) { return telemetry::EventText<23>{word}.view() == word; };
    for (int kind = 0; kind <= static_cast<int>(vrrp::Event::Kind::handover_failed); ++kind) {
        EXPECT_TRUE(whole(vrrp::name(static_cast<vrrp::Event::Kind>(kind)))) << kind;
    }
    for (int kind = 0; kind <= static_cast<int>(neigh::Event::Kind::duplicate_address); ++kind) {
        EXPECT_TRUE(whole(neigh::name(static_cast<neigh::Event::Kind>(kind)))) << kind;
    }
    static_assert(std::is_same_v<decltype(telemetry::Event::to), telemetry::EventText<23>>);
}

} // namespace
} // namespace sluice::test
