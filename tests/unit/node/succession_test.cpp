// Connections outlive a planned change of the active node: the new owner of an address passes back what it does not
// know, the old one ends its connections with it.
#include "support/node_lab.hpp"

#include <sluice/vrrp/advert.hpp>

namespace sluice::test {
namespace {

using namespace std::chrono_literals;
using telemetry::Counter;
using telemetry::DropReason;

constexpr const char* succession_config = R"(
node: test
ports: [{name: front, device: {vdev: net_null0}, addresses: [192.0.2.11/24]}]
vrrp: [{name: public, port: front, vrid: 51, priority: 200, advert_interval: 100ms, addresses: [192.0.2.100]}]
services: [{name: site, listen: 192.0.2.100:80/tcp, proxy: {routes: [{respond: {body: hello}}]}}]
)";

const wire::MacAddress node_mac = wire::MacAddress::from(2, 0, 0, 0, 0, 1);
const wire::MacAddress client_mac = wire::MacAddress::from(2, 0, 0, 0, 0, 0xc1);
const wire::MacAddress virtual_mac = wire::MacAddress::from(0, 0, 0x5e, 0, 1, 51);

/// The node, a client and the other node of the pair: 192.0.2.12, which is where the world is.
class NodeSuccession : public testing::Test {
protected:
    struct Seen {
        wire::MacAddress from;
        wire::MacAddress to;
        wire::ParsedPacket packet;
    };

    NodeSuccession() : lab{{}, succession_config, {ip("192.0.2.10"), ip("192.0.2.12")}}
    {
        lab.world.on_frame = [this](Bytes frame, const wire::ParsedPacket& parsed) {
            if (parsed.is_ip() && parsed.protocol == wire::protocol::tcp) {
                seen.push_back(
                    {wire::Ethernet{frame.data()}.source(), wire::Ethernet{frame.data()}.destination(), parsed});
            }
        };
        lab.make_ready();
        lab.run_until([&] { return lab.world.knows(ip("192.0.2.11")); }, 1s);
    }

    [[nodiscard]] vrrp::State state() const
    {
        return static_cast<vrrp::State>(lab.node->current()->vrrp->find("public")->statistics.state.get());
    }
    void advertise(std::uint8_t priority)
    {
        vrrp::Parameters peer;
        peer.vrid = 51;
        peer.advert_interval = 100ms;
        peer.source = ip("192.0.2.12");
        peer.addresses = {ip("192.0.2.100")};
        vrrp::FrameBuffer buffer;
        const Bytes frame = vrrp::build_frame(peer, priority, vrrp::ChecksumKind::pseudo, buffer);
        lab.world.send_raw({frame.begin(), frame.end()});
        lab.settle();
    }
    /// The peer advertises until `done`; false when that took longer than `limit`.
    template <class Done>
    bool advertise_until(std::uint8_t priority, Done done, Duration limit = 5s)
    {
        TimePoint next{};
        return lab.run_until(
            [&] {
                if (!done() && lab.clock.now() >= next) {
                    next = lab.clock.now() + 100ms;
                    advertise(priority);
                }
                return done();
            },
            limit);
    }
    bool advertise_until(std::uint8_t priority, vrrp::State wanted)
    {
        return advertise_until(priority, [&] { return state() == wanted; });
    }
    /// What the node sends on that segment.
    std::vector<Seen> answers_to(const wire::MacAddress& from, const wire::MacAddress& to, std::uint8_t flags)
    {
        seen.clear();
        Segment segment;
        segment.flags = flags;
        segment.sequence = 1000;
        segment.acknowledgment = (flags & wire::tcp_flag::ack) != 0 ? 2000 : 0;
        lab.world.send_raw(ethernet(from, to, tcp_packet({ip("192.0.2.10"), 5555}, {ip("192.0.2.100"), 80}, segment)));
        lab.settle();
        return std::exchange(seen, {});
    }
    [[nodiscard]] static bool is_reset(const std::vector<Seen>& answers)
    {
        return answers.size() == 1 && answers[0].packet.source == ip("192.0.2.100") &&
               (answers[0].packet.tcp_flags & wire::tcp_flag::rst) != 0;
    }

    NodeLab lab;
    std::vector<Seen> seen;
};

TEST_F(NodeSuccession, new_owner_passes_unknown_segments_back_to_a_live_peer_for_a_moment)
{
    ASSERT_TRUE(advertise_until(100, vrrp::State::active)) << "it preempts";
    const auto passed = answers_to(client_mac, virtual_mac, wire::tcp_flag::ack);
    ASSERT_EQ(passed.size(), 1U) << lab.drops();
    EXPECT_EQ(passed[0].to, lab.world.mac) << "the peer's own address, not the virtual one";
    EXPECT_EQ(passed[0].from, node_mac) << "a switch must not move the client";
    EXPECT_EQ(passed[0].packet.destination, ip("192.0.2.100"));
    EXPECT_EQ(passed[0].packet.tcp_flags, wire::tcp_flag::ack);
    EXPECT_EQ(lab.total(Counter::segments_passed_back), 1U);

    EXPECT_TRUE(is_reset(answers_to(lab.world.mac, node_mac, wire::tcp_flag::ack)))
        << "the peer does not know it either";
    const auto opened = answers_to(client_mac, virtual_mac, wire::tcp_flag::syn);
    ASSERT_FALSE(opened.empty());
    EXPECT_EQ(opened[0].packet.source, ip("192.0.2.100")) << "a new connection is the new owner's";
    EXPECT_EQ(opened[0].packet.tcp_flags, wire::tcp_flag::syn | wire::tcp_flag::ack);

    lab.run_until([] { return false; }, 2s);
    EXPECT_TRUE(is_reset(answers_to(client_mac, virtual_mac, wire::tcp_flag::ack)));
}

TEST_F(NodeSuccession, new_owner_resets_at_once_when_the_peer_died)
{
    ASSERT_TRUE(advertise_until(250, vrrp::State::backup));
    ASSERT_TRUE(lab.run_until([&] { return state() == vrrp::State::active; }, 5s));
    EXPECT_TRUE(is_reset(answers_to(client_mac, virtual_mac, wire::tcp_flag::ack)));
    EXPECT_EQ(lab.total(Counter::segments_passed_back), 0U);
}

TEST_F(NodeSuccession, old_owner_takes_back_what_is_passed_to_its_own_mac_and_nothing_else)
{
    ASSERT_TRUE(lab.run_until([&] { return state() == vrrp::State::active; }, 5s));
    EXPECT_TRUE(is_reset(answers_to(client_mac, virtual_mac, wire::tcp_flag::ack)));
    ASSERT_TRUE(advertise_until(250, vrrp::State::backup));

    EXPECT_TRUE(answers_to(client_mac, virtual_mac, wire::tcp_flag::ack).empty()) << "the new owner answers";
    EXPECT_TRUE(answers_to(lab.world.mac, node_mac, wire::tcp_flag::syn).empty()) << "the new owner answers";
    EXPECT_EQ(lab.total(DropReason::backup_address), 2U);
    EXPECT_TRUE(is_reset(answers_to(lab.world.mac, node_mac, wire::tcp_flag::ack))) << "nobody else will";
    EXPECT_EQ(lab.total(Counter::segments_taken_back), 1U);

    advertise_until(
        250, [] { return false; }, 2s);
    EXPECT_TRUE(answers_to(lab.world.mac, node_mac, wire::tcp_flag::ack).empty());
    EXPECT_EQ(lab.total(Counter::segments_taken_back), 1U);
}

} // namespace
} // namespace sluice::test
