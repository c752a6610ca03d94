// Fragments through a forwarder: the first one teaches where the rest belongs, within bounds.
#include "judge.hpp"
#include "world.hpp"

#include <sluice/l4/answers.hpp>

#include <gtest/gtest.h>

namespace sluice::test {
namespace {

using l4::Action;
using l4::Method;
using telemetry::DropReason;

/// A UDP datagram of 1000 bytes of data in three IPv4 fragments of 400, 400 and 208 bytes.
std::vector<Frame> in_fragments(const wire::Endpoint& from, const wire::Endpoint& to, std::uint16_t identification = 7,
                                std::uint8_t hop_limit = 64)
{
    const Frame whole = udp_packet(from, to, bytes_of(std::string(1000, 'q')));
    const Frame data{whole.begin() + 20, whole.end()};
    std::vector<Frame> fragments;
    for (std::size_t offset = 0; offset < data.size(); offset += 400) {
        const std::size_t size = std::min<std::size_t>(400, data.size() - offset);
        IpOptions header;
        header.identification = identification;
        header.dont_fragment = false;
        header.hop_limit = hop_limit;
        header.fragment_offset = static_cast<std::uint16_t>(offset);
        header.more_fragments = offset + size < data.size();
        fragments.push_back(on_wire(ip_packet(from.address, to.address, wire::protocol::udp,
                                              Frame{data.begin() + static_cast<std::ptrdiff_t>(offset),
                                                    data.begin() + static_cast<std::ptrdiff_t>(offset + size)},
                                              header)));
    }
    return fragments;
}

/// The same over IPv6, each with its fragment header.
std::vector<Frame> in_fragments_v6(const wire::Endpoint& from, const wire::Endpoint& to, std::uint32_t identification,
                                   std::uint8_t hop_limit = 64)
{
    const Frame whole = udp_packet(from, to, bytes_of(std::string(1000, 'q')));
    const Frame data{whole.begin() + 40, whole.end()};
    std::vector<Frame> fragments;
    for (std::size_t offset = 0; offset < data.size(); offset += 400) {
        const std::size_t size = std::min<std::size_t>(400, data.size() - offset);
        Frame body(8);
        store8(body.data(), wire::protocol::udp);
        store16(body.data() + 2, static_cast<std::uint16_t>(offset | (offset + size < data.size() ? 1U : 0U)));
        store32(body.data() + 4, identification);
        body.insert(body.end(), data.begin() + static_cast<std::ptrdiff_t>(offset),
                    data.begin() + static_cast<std::ptrdiff_t>(offset + size));
        IpOptions header;
        header.hop_limit = hop_limit;
        fragments.push_back(on_wire(ip_packet(from.address, to.address, wire::protocol::fragment, body, header)));
    }
    return fragments;
}

class Fragments : public testing::Test {
protected:
    void SetUp() override
    {
        world.add_server("10.0.0.53:53");
        world.add_server("[2001:db8:a::53]:53");
    }
    World world;
};

TEST_F(Fragments, of_a_request_leave_as_fragments_of_the_translated_request)
{
    for (const Method method : {Method::fullnat, Method::nat}) {
        World other;
        other.method = method;
        other.add_server("10.0.0.53:53");
        other.start();
        const std::vector<Frame> sent = in_fragments(client, dns);
        std::vector<Frame> received;
        wire::Endpoint local;
        for (const Frame& fragment : sent) {
            const Outcome out = other.send(fragment);
            ASSERT_EQ(out.verdict.action, Action::transmit);
            if (received.empty()) {
                local = {out.parsed.source, out.parsed.source_port};
            }
            received.push_back(out.frame);
            EXPECT_EQ(judge(out.frame), "");
        }
        const std::uint16_t identification = load16(received[0].data() + 18);
        EXPECT_EQ(received, in_fragments(local, endpoint("10.0.0.53:53"), identification, 63));
    }
}

TEST_F(Fragments, over_ipv6_leave_as_fragments_of_the_translated_request)
{
    World other;
    other.add_server("[2001:db8:a::53]:53");
    other.start();
    std::vector<Frame> received;
    wire::Endpoint local;
    for (const Frame& fragment :
         in_fragments_v6(endpoint("[2001:db8:9::9]:5555"), endpoint("[2001:db8::100]:53"), 99)) {
        const Outcome out = other.send(fragment);
        ASSERT_EQ(out.verdict.action, Action::transmit);
        if (received.empty()) {
            local = {out.parsed.source, out.parsed.source_port};
        }
        received.push_back(out.frame);
    }
    const std::uint32_t identification = load32(received[0].data() + 14 + 40 + 4);
    EXPECT_EQ(received, in_fragments_v6(local, endpoint("[2001:db8:a::53]:53"), identification, 63));
}

TEST_F(Fragments, of_two_clients_with_one_identification_reach_the_server_with_two)
{
    World other;
    other.add_server("10.0.0.53:53");
    other.start();
    const Outcome one = other.send(in_fragments(client, dns, 7)[0]);
    const Outcome two = other.send(in_fragments(endpoint("203.0.113.10:5555"), dns, 7)[0]);
    EXPECT_NE(load16(one.frame.data() + 18), load16(two.frame.data() + 18));
}

TEST_F(Fragments, of_a_reply_find_their_way_back)
{
    World other;
    other.add_server("10.0.0.53:53");
    other.start();
    const Outcome request = other.send(on_wire(udp_packet(client, dns, bytes_of("x"))));
    const wire::Endpoint local{request.parsed.source, request.parsed.source_port};
    std::vector<Frame> received;
    for (const Frame& fragment : in_fragments(endpoint("10.0.0.53:53"), local)) {
        const Outcome out = other.send(fragment);
        ASSERT_EQ(out.verdict.action, Action::transmit);
        received.push_back(out.frame);
    }
    const std::uint16_t identification = load16(received[0].data() + 18);
    EXPECT_EQ(received, in_fragments(dns, client, identification, 63));
}

TEST_F(Fragments, later_one_without_the_first_is_dropped)
{
    world.start();
    const Outcome out = world.send(in_fragments(client, dns)[1]);
    EXPECT_EQ(out.verdict.action, Action::drop);
    EXPECT_EQ(out.verdict.reason, DropReason::fragment_unsupported);
}

TEST_F(Fragments, what_was_learned_is_forgotten_after_its_time)
{
    world.start();
    const std::vector<Frame> fragments = in_fragments(client, dns);
    EXPECT_EQ(world.send(fragments[0]).verdict.action, Action::transmit);
    world.advance(std::chrono::seconds{6});
    EXPECT_EQ(world.send(fragments[1]).verdict.reason, DropReason::fragment_unsupported);
}

TEST_F(Fragments, flood_of_first_ones_meets_a_bound)
{
    world.start();
    int limited = 0;
    for (std::uint16_t identification = 0; identification < 3000; ++identification) {
        const Outcome out = world.send(in_fragments(client, dns, identification)[0]);
        limited += out.verdict.reason == DropReason::fragment_limit ? 1 : 0;
    }
    EXPECT_GT(limited, 900);
}

TEST_F(Fragments, endless_datagram_meets_a_bound)
{
    world.start();
    const std::vector<Frame> fragments = in_fragments(client, dns);
    static_cast<void>(world.send(fragments[0]));
    int carried = 1;
    for (int count = 0; count < 200; ++count) {
        const Outcome out = world.send(fragments[1]);
        carried += out.verdict.action == Action::transmit ? 1 : 0;
    }
    EXPECT_EQ(carried, 128);
}

TEST_F(Fragments, first_one_that_contradicts_is_dropped)
{
    world.start();
    static_cast<void>(world.send(in_fragments(client, dns)[0]));
    const Outcome out = world.send(in_fragments({client.address, 5556}, dns)[0]);
    EXPECT_EQ(out.verdict.reason, DropReason::fragment_unsupported);
}

TEST_F(Fragments, that_reach_into_a_tcp_header_are_dropped)
{
    world.start();
    IpOptions header;
    header.dont_fragment = false;
    header.fragment_offset = 8;
    const Frame frame = on_wire(ip_packet(client.address, dns.address, wire::protocol::tcp, Frame(40), header));
    EXPECT_EQ(world.send(frame).verdict.reason, DropReason::fragment_unsupported);
}

TEST_F(Fragments, meet_at_the_core_of_their_addresses_and_go_on_to_the_core_of_their_flow)
{
    World meeting;
    World owner;
    for (World* const each : {&meeting, &owner}) {
        each->options.forwarders = 4;
        each->options.shards = flow::ShardMap{4};
        each->add_server("10.0.0.53:53");
    }
    const std::size_t meeting_core = flow::ShardMap{4}.owner(l4::shard_of_pair(client.address, dns.address));
    wire::Endpoint from = client;
    while (flow::ShardMap{4}.owner(flow::shard_of_client(from.address, from.port)) == meeting_core) {
        ++from.port;
    }
    meeting.options.index = static_cast<std::uint16_t>(meeting_core);
    owner.options.index =
        static_cast<std::uint16_t>(flow::ShardMap{4}.owner(flow::shard_of_client(from.address, from.port)));
    meeting.start();
    owner.start();

    for (const Frame& fragment : in_fragments(from, dns)) {
        // Wherever it arrives, it goes to the meeting first.
        const Outcome stray = owner.send(fragment);
        ASSERT_EQ(stray.verdict.action, Action::to_forwarder);
        EXPECT_FALSE(stray.verdict.ports_learned);
        EXPECT_EQ(flow::ShardMap{4}.owner(stray.verdict.shard), meeting_core);

        Outcome met = meeting.send(fragment);
        ASSERT_EQ(met.verdict.action, Action::to_forwarder);
        EXPECT_TRUE(met.verdict.ports_learned);
        EXPECT_EQ(met.verdict.shard, flow::shard_of_client(from.address, from.port));
        EXPECT_EQ(met.parsed.source_port, from.port);

        packet::Packet packet = packet_of(owner.buffers, met.frame);
        const l4::Verdict verdict = owner.forwarder->process_handed_over(packet, met.parsed, true, owner.now);
        EXPECT_EQ(verdict.action, Action::transmit);
        EXPECT_EQ(met.parsed.destination, ip("10.0.0.53"));
        EXPECT_EQ(judge(frame_of(packet)), "");
    }
    EXPECT_EQ(owner.forwarder->flows().size(), 1U);
    EXPECT_EQ(meeting.forwarder->flows().size(), 0U);
}

TEST_F(Fragments, packet_over_the_mtu_that_may_be_split_is_and_comes_together_again)
{
    World other;
    other.add_server("10.0.0.53:53");
    other.next_hops.narrow_way = ip("10.0.0.53");
    other.next_hops.narrow_mtu = 600;
    other.start();
    IpOptions header;
    header.dont_fragment = false;
    const std::string text(1400, 'z');
    const Outcome out = other.send(on_wire(udp_packet(client, dns, bytes_of(text), header)));
    ASSERT_EQ(out.verdict.action, Action::split);
    EXPECT_EQ(out.verdict.mtu, 600U);

    packet::Burst parts;
    ASSERT_TRUE(l4::split_ipv4(out.frame, out.parsed, out.verdict.mtu, other.buffers, parts));
    ASSERT_EQ(parts.size(), 3U);
    Frame together;
    for (std::size_t index = 0; index < parts.size(); ++index) {
        const Frame part = frame_of(parts[index]);
        EXPECT_EQ(judge(part), "");
        EXPECT_LE(part.size(), 614U);
        const wire::Ipv4 ip_header{part.data() + 14};
        EXPECT_EQ(ip_header.fragment_offset(), together.size());
        EXPECT_EQ(ip_header.more_fragments(), index + 1 < parts.size());
        together.insert(together.end(), part.begin() + 34, part.end());
    }
    EXPECT_EQ(together, (Frame{out.frame.begin() + 34, out.frame.end()}));
    parts.clear();
}

TEST_F(Fragments, split_without_enough_buffers_leaves_nothing_behind)
{
    packet::HeapPool few{2};
    const Frame frame = on_wire(udp_packet(client, dns, bytes_of(std::string(1400, 'z'))));
    wire::ParsedPacket parsed;
    ASSERT_FALSE(wire::parse_frame(frame, parsed));
    packet::Burst parts;
    EXPECT_FALSE(l4::split_ipv4(frame, parsed, 600, few, parts));
    EXPECT_TRUE(parts.empty());
    EXPECT_EQ(few.available(), 2U);
}

} // namespace
} // namespace sluice::test
