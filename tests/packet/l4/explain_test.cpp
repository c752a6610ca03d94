// What is said to become of a flow becomes of it: every explanation beside the packet itself.
#include "judge.hpp"
#include "world.hpp"

#include <sluice/base/random.hpp>

#include <gtest/gtest.h>

namespace sluice::test {
namespace {

using l4::Action;
using l4::Balance;
using l4::Explanation;
using l4::Method;
using telemetry::DropReason;
namespace flag = wire::tcp_flag;

flow::FiveTuple tuple_of(const wire::Endpoint& from, const wire::Endpoint& to, std::uint8_t protocol)
{
    return {from.address, to.address, from.port, to.port, protocol};
}

Frame first_of(const flow::FiveTuple& tuple)
{
    const wire::Endpoint from{tuple.source, tuple.source_port};
    const wire::Endpoint to{tuple.destination, tuple.destination_port};
    if (tuple.protocol == wire::protocol::udp) {
        return on_wire(udp_packet(from, to, bytes_of("x")));
    }
    Segment segment;
    segment.flags = flag::syn;
    return on_wire(tcp_packet(from, to, segment));
}

class Explained : public testing::TestWithParam<Balance> {
protected:
    void start(Method method = Method::fullnat)
    {
        world.method = method;
        world.scheduler.balance = GetParam();
        for (const char* server : {"10.0.0.53:53", "10.0.0.54:53", "10.0.0.55:5300"}) {
            world.add_server(server, static_cast<std::uint32_t>(1 + world.servers.size()));
        }
        world.start();
    }
    /// Explains the flow twice, sends its first packet, and holds one to the other.
    void expect_truth(const flow::FiveTuple& tuple)
    {
        SCOPED_TRACE(tuple.source.to_string() + ':' + std::to_string(tuple.source_port) + " to " +
                     tuple.destination.to_string() + ':' + std::to_string(tuple.destination_port));
        const std::uint32_t flows = world.forwarder->flows().size();
        static_cast<void>(world.forwarder->explain(tuple, world.now));
        const Explanation said = world.forwarder->explain(tuple, world.now);
        EXPECT_EQ(world.forwarder->flows().size(), flows) << "asking opens nothing";
        const Outcome done = world.send(first_of(tuple));
        EXPECT_EQ(said.action, done.verdict.action);
        if (done.verdict.action == Action::transmit) {
            ASSERT_TRUE(said.flow && said.next_hop);
            EXPECT_EQ(said.flow->server_port, done.parsed.destination_port);
            if (said.flow->one_way == 0) {
                EXPECT_EQ(said.flow->server, done.parsed.destination);
                EXPECT_EQ(said.flow->local, done.parsed.source);
                EXPECT_EQ(said.flow->local_port, done.parsed.source_port);
            }
            EXPECT_EQ(said.next_hop->adjacency, done.verdict.adjacency);
        } else if (done.verdict.action != Action::to_worker && done.verdict.action != Action::local) {
            EXPECT_EQ(said.reason, done.verdict.reason);
        }
    }
    World world;
};

INSTANTIATE_TEST_SUITE_P(Schedulers, Explained,
                         testing::Values(Balance::rr, Balance::wrr, Balance::lc, Balance::wlc, Balance::sed,
                                         Balance::nq, Balance::fo, Balance::ovf, Balance::sh, Balance::dh, Balance::mh,
                                         Balance::lblc, Balance::lblcr),
                         [](const auto& one) { return "balance_" + std::to_string(static_cast<int>(one.param)); });

TEST_P(Explained, any_flow_goes_where_it_was_said_to_go)
{
    Random random{static_cast<std::uint64_t>(GetParam()) + 1};
    start();
    for (int count = 0; count < 500; ++count) {
        const bool v6 = random.below(8) == 0;
        const wire::Endpoint from{v6 ? ip("2001:db8:c::1")
                                     : wire::IpAddress::v4(0x0b000000U + static_cast<std::uint32_t>(random.below(50))),
                                  static_cast<std::uint16_t>(1024 + random.below(40))};
        static constexpr std::uint16_t ports[]{53, 53, 53, 5100, 80, 7};
        const wire::Endpoint to{ip(v6 ? "2001:db8::100" : "192.0.2.100"), ports[random.below(std::size(ports))]};
        expect_truth(tuple_of(from, to, random.below(2) == 0 ? wire::protocol::tcp : wire::protocol::udp));
        if (random.below(40) == 0) {
            world.advance(std::chrono::seconds{static_cast<int>(random.below(400))});
        }
    }
}

TEST_P(Explained, asking_takes_no_turn_of_a_scheduler_and_no_rate)
{
    world.admission.new_flows = 3;
    world.admission.new_flows_per_source = 2;
    start();
    const flow::FiveTuple tuple = tuple_of(client, dns, wire::protocol::udp);
    const Explanation first = world.forwarder->explain(tuple, world.now);
    for (int count = 0; count < 100; ++count) {
        const Explanation again = world.forwarder->explain(tuple, world.now);
        ASSERT_TRUE(again.flow);
        ASSERT_EQ(again.flow->server, first.flow->server);
        ASSERT_EQ(again.flow->local_port, first.flow->local_port);
    }
    expect_truth(tuple);
    expect_truth(tuple_of({client.address, 5556}, dns, wire::protocol::udp));
    expect_truth(tuple_of({client.address, 5557}, dns, wire::protocol::udp)); // Refused by its source
    expect_truth(tuple_of(endpoint("203.0.113.10:1"), dns, wire::protocol::udp));
    expect_truth(tuple_of(endpoint("203.0.113.11:1"), dns, wire::protocol::udp)); // By the service
}

class ExplainedOnce : public Explained {};
INSTANTIATE_TEST_SUITE_P(Schedulers, ExplainedOnce, testing::Values(Balance::wrr));

TEST_P(ExplainedOnce, client_that_is_bound_is_said_to_go_where_it_went_and_asking_binds_nobody)
{
    world.forwarding.persistence.emplace();
    start();
    for (std::uint32_t host = 1; host < 50; ++host) {
        const wire::Endpoint from{wire::IpAddress::v4(0x0b000000U + host % 20),
                                  static_cast<std::uint16_t>(1000 + host)};
        const flow::FiveTuple tuple = tuple_of(from, dns, wire::protocol::tcp);
        const Explanation said = world.forwarder->explain(tuple, world.now);
        EXPECT_EQ(said.by_persistence, host > 20) << host;
        expect_truth(tuple);
    }
}

TEST_P(ExplainedOnce, every_method_is_explained)
{
    start(Method::nat);
    expect_truth(tuple_of(client, dns, wire::protocol::udp));
    expect_truth(tuple_of(client, dns, wire::protocol::tcp));
}

TEST_P(ExplainedOnce, refusals_are_the_packets_own)
{
    start();
    expect_truth(tuple_of(client, endpoint("198.51.100.1:53"), wire::protocol::udp)); // Nobody here
    expect_truth(tuple_of(client, endpoint("192.0.2.101:80"), wire::protocol::tcp));  // No service there
    expect_truth(tuple_of(endpoint("192.0.2.100:5"), dns, wire::protocol::udp));      // From ourselves
    expect_truth(tuple_of(endpoint("127.0.0.1:5"), dns, wire::protocol::udp));
    expect_truth(tuple_of(client, endpoint("10.0.0.1:40000"), wire::protocol::tcp)); // An answer to nobody
    for (const l4::PoolServer& server : world.servers) {
        server.record->set_drained(true);
    }
    expect_truth(tuple_of(client, dns, wire::protocol::udp));
    expect_truth(tuple_of(client, dns, wire::protocol::tcp));
    world.states.set(1, neigh::Ownership::backup);
    expect_truth(tuple_of(client, dns, wire::protocol::tcp));
}

TEST_P(ExplainedOnce, flow_that_exists_is_answered_with_its_own_server)
{
    start();
    const flow::FiveTuple tuple = tuple_of(client, dns, wire::protocol::tcp);
    const Outcome opened = world.send(first_of(tuple));
    for (std::uint16_t port = 1; port < 20; ++port) {
        static_cast<void>(world.send(first_of(tuple_of({client.address, port}, dns, wire::protocol::tcp))));
    }
    const Explanation said = world.forwarder->explain(tuple, world.now);
    ASSERT_TRUE(said.known && said.flow);
    EXPECT_EQ(said.flow->server, opened.parsed.destination);
    EXPECT_EQ(said.action, Action::transmit);
    const Explanation answer =
        world.forwarder->explain(tuple_of({opened.parsed.destination, opened.parsed.destination_port},
                                          {opened.parsed.source, opened.parsed.source_port}, wire::protocol::tcp),
                                 world.now);
    ASSERT_TRUE(answer.known);
    EXPECT_EQ(answer.known->client, client.address);
    EXPECT_EQ(answer.action, Action::transmit);
}

} // namespace
} // namespace sluice::test
