// The same node on real threads: what ThreadSanitizer judges. Two cores, packets on random queues, reloads under
// traffic.
#include "support/node_lab.hpp"
#include "support/peers.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace sluice::test {
namespace {

std::string config(int weight)
{
    return R"(
node: test
ports: [{name: front, device: {vdev: net_null0}, addresses: [192.0.2.11/24]}]
services:
  - {name: site, listen: 192.0.2.11:80/tcp, proxy: {routes: [{pool: web}]}}
  - {name: echo, listen: 192.0.2.11:7777/udp, forward: {method: fullnat, pool: echo}}
pools:
  - {name: web, servers: [{address: 192.0.2.21:80, weight: )" +
           std::to_string(weight) + R"(}, {address: 192.0.2.22:80}]}
  - {name: echo, balance: mh, servers: [{address: 192.0.2.21:7777}, {address: 192.0.2.22:7777}]}
)";
}

TEST(NodeThreads, two_cores_serve_while_reloads_and_commands_go_on)
{
    NodeLabOptions options;
    options.forwarders = 2;
    options.workers = 2;
    options.shared_cores = true;
    options.threads = true;
    NodeLab lab{options, config(1), {ip("192.0.2.10"), ip("192.0.2.21"), ip("192.0.2.22")}};
    const auto spawn = [&lab](auto coroutine) {
        asio::co_spawn(lab.world.loop.get_executor(), std::move(coroutine), asio::detached);
    };
    for (const char* server : {"192.0.2.21", "192.0.2.22"}) {
        ASSERT_TRUE(
            lab.world.stack.listen({ip(server), 80}, {}, [=](tcp::Stream stream) { spawn(serve(std::move(stream))); }));
    }
    std::size_t datagrams = 0;
    lab.world.on_udp = [&](const wire::Endpoint&, const wire::Endpoint& to, Bytes payload) -> Frame {
        datagrams += to.port != 7777 ? 1 : 0;
        return to.port == 7777 ? Frame{payload.begin(), payload.end()} : Frame{};
    };
    ASSERT_TRUE(lab.act_until([&] { return lab.world.knows(ip("192.0.2.11")); }, std::chrono::seconds{20}));
    Tally tally;
    for (std::size_t number = 0; number < 30; ++number) {
        spawn(fetch(lab.world, {ip("192.0.2.10"), 0}, {ip("192.0.2.11"), 80}, number, tally));
    }
    std::size_t commands = 0;
    for (int round = 0; round < 30; ++round) {
        lab.publish(config(1 + round % 5));
        for (std::uint16_t port = 20000; port < 20010; ++port) {
            lab.world.send_udp({ip("192.0.2.10"), port}, {ip("192.0.2.11"), 7777}, bytes_of("x"));
        }
        for (std::size_t core = 0; core < lab.node->cores().size(); ++core) {
            commands += lab.node->call(
                            core, [](app::Core& on) { static_cast<void>(on.worker()->proxy().usage()); },
                            std::chrono::seconds{20})
                            ? 1
                            : 0;
        }
        static_cast<void>(lab.total(telemetry::Counter::turns));
        lab.node->take_events([](const telemetry::Event&) {});
        static_cast<void>(lab.act_until([] { return false; }, std::chrono::milliseconds{5}));
    }
    EXPECT_TRUE(lab.act_until([&] { return tally.finished == 30; }, std::chrono::seconds{60}))
        << tally.finished << " finished; " << lab.drops();
    EXPECT_EQ(tally.exact, 30U) << lab.drops();
    EXPECT_EQ(commands, 60U);
    EXPECT_GT(datagrams, 200U) << lab.drops();
    lab.node->stop();
}

} // namespace
} // namespace sluice::test
