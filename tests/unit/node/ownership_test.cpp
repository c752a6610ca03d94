// Whatever queue a packet arrives on, its flow has one owner, and nobody else ever looks for it.
#include "support/node_lab.hpp"
#include "support/peers.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <numeric>

namespace sluice::test {
namespace {

using telemetry::Counter;
using telemetry::DropReason;

constexpr const char* ownership_config = R"(
node: test
ports:
  - {name: front, device: {vdev: net_null0}, addresses: [192.0.2.11/24, "2001:db8::11/64"]}
services:
  - {name: site, listen: ["192.0.2.11:80/tcp", "[2001:db8::11]:80/tcp"], proxy: {routes: [{pool: web}]}}
  - {name: echo, listen: 192.0.2.11:7777/udp, forward: {method: fullnat, pool: echo}}
  - {name: echo6, listen: "[2001:db8::11]:7777/udp", forward: {method: fullnat, pool: echo6}}
  - {name: raw, listen: 192.0.2.11:9000/tcp, forward: {method: fullnat, pool: raw}}
pools:
  - {name: web, servers: [{address: 192.0.2.21:80}, {address: 192.0.2.22:80}]}
  - {name: echo, servers: [{address: 192.0.2.21:7777}, {address: 192.0.2.22:7777}]}
  - {name: echo6, servers: [{address: "[2001:db8::21]:7777"}]}
  - {name: raw, balance: rr, servers: [{address: 192.0.2.21:9000}, {address: 192.0.2.22:9000}]}
)";

std::set<wire::IpAddress> hosts()
{
    return {ip("192.0.2.10"),   ip("192.0.2.21"),   ip("192.0.2.22"),
            ip("2001:db8::10"), ip("2001:db8::21"), ip("2001:db8::22")};
}

struct Outcome {
    Tally http, tcp;
    bool complete = false;
    std::size_t datagrams_back = 0;
    std::set<std::uint16_t> udp_sources; ///< Source ports that the UDP server saw
    std::string drops;
};

/// 24 HTTP fetches, 12 forwarded TCP echoes, 40 UDP flows of 5 datagrams, both families.
Outcome run_traffic(NodeLab& lab, Duration patience = std::chrono::seconds{60})
{
    constexpr std::size_t flows = 40;
    Outcome outcome;
    const auto spawn = [&lab](auto coroutine) {
        asio::co_spawn(lab.world.loop.get_executor(), std::move(coroutine), asio::detached);
    };
    for (const char* server : {"192.0.2.21", "192.0.2.22"}) {
        EXPECT_TRUE(
            lab.world.stack.listen({ip(server), 80}, {}, [=](tcp::Stream stream) { spawn(serve(std::move(stream))); }));
        EXPECT_TRUE(lab.world.stack.listen({ip(server), 9000}, {},
                                           [=](tcp::Stream stream) { spawn(mirror(std::move(stream))); }));
    }
    lab.world.on_udp = [&](const wire::Endpoint& from, const wire::Endpoint& to, Bytes payload) -> Frame {
        if (to.port == 7777) {
            outcome.udp_sources.insert(from.port);
            return {payload.begin(), payload.end()};
        }
        const std::string expected = "datagram for " + std::to_string(to.port);
        outcome.datagrams_back += std::ranges::equal(payload, bytes_of(expected)) ? 1 : 0;
        return {};
    };
    EXPECT_TRUE(lab.run_until([&] { return lab.world.knows(ip("192.0.2.11")); }, std::chrono::seconds{1}));
    // One at a time until every neighbour is known: only a few packets wait for one that is not.
    for (std::uint16_t port = 19000; port < 19016; ++port) {
        const bool v6 = port % 2 == 0;
        lab.world.send_udp({ip(v6 ? "2001:db8::10" : "192.0.2.10"), port},
                           {ip(v6 ? "2001:db8::11" : "192.0.2.11"), 7777}, bytes_of("hello"));
        lab.settle();
    }
    outcome.udp_sources.clear();
    outcome.datagrams_back = 0;
    for (std::size_t number = 0; number < 24; ++number) {
        const bool v6 = number % 3 == 0;
        spawn(fetch(lab.world, {ip(v6 ? "2001:db8::10" : "192.0.2.10"), 0},
                    {ip(v6 ? "2001:db8::11" : "192.0.2.11"), 80}, number, outcome.http));
    }
    for (std::size_t number = 0; number < 12; ++number) {
        spawn(echo(lab.world, {ip("192.0.2.10"), 0}, {ip("192.0.2.11"), 9000}, number, outcome.tcp));
    }
    for (int round = 0; round < 5; ++round) {
        for (std::size_t flow = 0; flow < flows; ++flow) {
            const auto port = static_cast<std::uint16_t>(20000 + flow);
            const bool v6 = flow % 2 == 0;
            lab.world.send_udp({ip(v6 ? "2001:db8::10" : "192.0.2.10"), port},
                               {ip(v6 ? "2001:db8::11" : "192.0.2.11"), 7777},
                               bytes_of("datagram for " + std::to_string(port)));
        }
        lab.settle();
        lab.clock.advance(std::chrono::milliseconds{1});
    }
    outcome.complete =
        lab.run_until([&] { return outcome.http.finished == 24 && outcome.tcp.finished == 12; }, patience);
    outcome.drops = lab.drops();
    return outcome;
}

class Ownership : public testing::TestWithParam<std::tuple<int, int, bool>> {};

TEST_P(Ownership, packets_on_random_queues_find_their_one_owner)
{
    const auto [forwarders, workers, shared] = GetParam();
    NodeLabOptions options;
    options.forwarders = static_cast<std::size_t>(forwarders);
    options.workers = static_cast<std::size_t>(workers);
    options.shared_cores = shared;
    options.seed = static_cast<std::uint64_t>(forwarders * 10 + workers);
    NodeLab lab{options, ownership_config, hosts()};
    const Outcome outcome = run_traffic(lab);
    EXPECT_TRUE(outcome.complete) << outcome.drops;
    EXPECT_EQ(outcome.http.exact, 24U) << outcome.drops;
    EXPECT_EQ(outcome.tcp.exact, 12U) << outcome.drops;
    EXPECT_EQ(outcome.datagrams_back, 200U) << outcome.drops;
    EXPECT_EQ(outcome.udp_sources.size(), 40U) << "a UDP flow was opened by more than one forwarder";
    EXPECT_EQ(lab.total(DropReason::no_flow), 0U) << "a reply looked for its flow at the wrong core";
    EXPECT_EQ(lab.world.malformed, 0U);
    if (forwarders > 1) {
        EXPECT_GT(lab.total(Counter::handoffs), 100U) << "the wire did not tear flows apart: the test shows nothing";
    }
}

INSTANTIATE_TEST_SUITE_P(layouts, Ownership,
                         testing::Combine(testing::Values(1, 2, 3, 4), testing::Values(1, 2, 3, 4), testing::Bool()),
                         [](const auto& parameters) {
                             return std::to_string(std::get<0>(parameters.param)) + "_forwarders_" +
                                    std::to_string(std::get<1>(parameters.param)) + "_workers" +
                                    (std::get<2>(parameters.param) ? "_shared" : "");
                         });

/// The symptom: now and then a fetch failed, where services share an address with a port of ours. The server's answer
/// went to the service whose port the connection had taken for its own.
TEST(OwnPorts, connection_to_a_server_never_begins_at_a_port_that_a_service_has)
{
    std::string text = ownership_config;
    for (int number = 0; number < 2000; ++number) {
        const std::string line = "  - {name: raw" + std::to_string(number) +
                                 ", listen: 192.0.2.11:" + std::to_string(9001 + number * 10) +
                                 "/tcp, forward: {method: fullnat, pool: raw}}\n";
        text.insert(text.find("pools:"), line);
    }
    NodeLab lab{{}, text, hosts()};
    for (const char* server : {"192.0.2.21", "192.0.2.22"}) {
        EXPECT_TRUE(lab.world.stack.listen({ip(server), 80}, {}, [&](tcp::Stream stream) {
            asio::co_spawn(lab.world.loop.get_executor(), serve(std::move(stream)), asio::detached);
        }));
    }
    Tally tally;
    for (std::size_t number = 0; number < 150; ++number) {
        asio::co_spawn(lab.world.loop.get_executor(),
                       fetch(lab.world, {ip("192.0.2.10"), 0}, {ip("192.0.2.11"), 80}, number, tally), asio::detached);
        EXPECT_TRUE(lab.run_until([&] { return tally.finished > number; }, std::chrono::seconds{10}));
    }
    EXPECT_EQ(tally.exact, 150U) << lab.drops();
    EXPECT_EQ(lab.total(DropReason::no_flow), 0U) << lab.drops();
}

/// The control of the tests above: when shards lead to the wrong worker, it must see that.
TEST(OwnershipControl, replies_that_reach_the_wrong_worker_are_noticed)
{
    NodeLabOptions options;
    options.forwarders = 2;
    options.workers = 2;
    options.swap_workers = true;
    NodeLab lab{options, ownership_config, hosts()};
    const Outcome outcome = run_traffic(lab, std::chrono::seconds{5});
    EXPECT_EQ(outcome.http.exact, 0U);
    EXPECT_GT(lab.total(DropReason::tcp_no_connection), 0U);
    EXPECT_EQ(outcome.datagrams_back, 200U) << "forwarding does not depend on workers";
}

} // namespace
} // namespace sluice::test
