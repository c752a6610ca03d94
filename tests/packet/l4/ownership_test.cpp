// Several forwarders, every packet at a random one: each flow has one owner, and no packet after the first one misses
// it.
#include "judge.hpp"
#include "world.hpp"

#include <sluice/base/random.hpp>

#include <gtest/gtest.h>

namespace sluice::test {
namespace {

using l4::Action;
using l4::Method;

/// A node of `count` forwarders, each a world of its own, with rings between them.
class Node {
public:
    Node(std::uint16_t count, Method method, bool dispatch)
    {
        for (std::uint16_t index = 0; index < count; ++index) {
            auto& world = worlds_.emplace_back(std::make_unique<World>());
            world->method = method;
            // Without dispatch every forwarder takes whatever it meets for its own.
            world->options.index = dispatch ? index : std::uint16_t{0};
            world->options.forwarders = dispatch ? count : std::uint16_t{1};
            world->options.shards = flow::ShardMap{dispatch ? count : std::size_t{1}};
            for (const char* server : {"10.0.0.53:53", "10.0.0.54:53", "10.0.0.55:53"}) {
                world->add_server(server);
            }
            world->start();
        }
    }

    /// What becomes of a frame that arrives at forwarder `at`, after any passing on.
    Outcome receive(std::size_t at, const Frame& frame)
    {
        Outcome out = worlds_[at]->send(frame);
        if (out.verdict.action != Action::to_forwarder) {
            return out;
        }
        ++passed_on;
        World& owner = *worlds_[flow::ShardMap{worlds_.size()}.owner(out.verdict.shard)];
        packet::Packet packet = packet_of(owner.buffers, out.frame);
        out.verdict = owner.forwarder->process_handed_over(packet, out.parsed, out.verdict.ports_learned, owner.now);
        out.frame = frame_of(packet);
        return out;
    }
    [[nodiscard]] std::size_t flows() const
    {
        std::size_t total = 0;
        for (const auto& world : worlds_) {
            total += world->forwarder->flows().size();
        }
        return total;
    }
    [[nodiscard]] std::size_t forwarders() const { return worlds_.size(); }

    int passed_on = 0;

private:
    std::vector<std::unique_ptr<World>> worlds_;
};

struct Counts {
    int missed = 0;
    std::size_t flows = 0;
    int passed_on = 0;
};

constexpr int clients = 200;

/// Requests, answers and errors about both, each at a random forwarder.
Counts run(Node& node, std::uint64_t seed)
{
    Random random{seed};
    Counts counts;
    const wire::Endpoint service = endpoint("192.0.2.100:53");
    const auto at = [&] { return static_cast<std::size_t>(random.below(node.forwarders())); };
    for (int number = 0; number < clients; ++number) {
        const wire::Endpoint from{wire::IpAddress::v4(static_cast<std::uint32_t>(0xcb007100U + random.below(200))),
                                  static_cast<std::uint16_t>(2000 + number)};
        const Frame request = on_wire(udp_packet(from, service, bytes_of("question")));
        const Outcome first = node.receive(at(), request);
        EXPECT_EQ(first.verdict.action, Action::transmit);
        const wire::Endpoint local{first.parsed.source, first.parsed.source_port};
        const wire::Endpoint server{first.parsed.destination, first.parsed.destination_port};
        const Frame answer = on_wire(udp_packet(server, local, bytes_of("answer")));
        for (int round = 0; round < 5; ++round) {
            // The same translation as the first time, or it was taken for a new flow.
            counts.missed += node.receive(at(), request).frame == first.frame ? 0 : 1;
            const Outcome back = node.receive(at(), answer);
            counts.missed += back.verdict.action == Action::transmit && back.parsed.destination == from.address ? 0 : 1;
            const Outcome error = node.receive(at(), icmp_error(ip("10.0.0.254"), local.address, first.frame, 8, 64));
            counts.missed +=
                error.verdict.action == Action::transmit && error.parsed.destination == from.address ? 0 : 1;
        }
    }
    counts.flows = node.flows();
    counts.passed_on = node.passed_on;
    return counts;
}

TEST(Ownership, every_flow_has_one_owner_wherever_its_packets_arrive)
{
    for (const Method method : {Method::fullnat, Method::nat}) {
        for (std::uint16_t count = 1; count <= 4; ++count) {
            SCOPED_TRACE(count);
            Node node{count, method, true};
            const Counts counts = run(node, count);
            EXPECT_EQ(counts.missed, 0);
            EXPECT_EQ(counts.flows, static_cast<std::size_t>(clients));
            EXPECT_EQ(counts.passed_on > 0, count > 1);
        }
    }
}

TEST(Ownership, without_dispatch_flows_are_missed)
{
    // Proves that the test above can fail.
    Node node{4, Method::fullnat, false};
    const Counts counts = run(node, 4);
    EXPECT_GT(counts.missed, 100);
    EXPECT_GT(counts.flows, static_cast<std::size_t>(clients));
}

} // namespace
} // namespace sluice::test
