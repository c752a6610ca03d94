// Whatever queue a packet arrives on, its flow has one owner, and nobody else ever looks for it.
#include "support/node_lab.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>

#include <numeric>

namespace sluice::test {
namespace {

namespace asio = boost::asio;
using telemetry::Counter;
using telemetry::DropReason;

constexpr const char* config = R"(
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

constexpr std::size_t body_size = 60'000;

std::string body_of(std::size_t seed)
{
    std::string body(body_size, '\0');
    for (std::size_t index = 0; index < body.size(); ++index) {
        body[index] = static_cast<char>('a' + (index * 7 + index / 251 + seed) % 26);
    }
    return body;
}

tcp::Awaitable<std::string> read_to_end(tcp::Stream& stream)
{
    std::string all;
    char buffer[4096];
    boost::system::error_code error;
    while (true) {
        const std::size_t size =
            co_await stream.async_read_some(asio::buffer(buffer), asio::redirect_error(tcp::use_awaitable, error));
        if (error) {
            co_return all;
        }
        all.append(buffer, size);
    }
}

tcp::Awaitable<void> write_all(tcp::Stream& stream, std::string text)
{
    std::size_t done = 0;
    boost::system::error_code error;
    while (done < text.size() && !error) {
        done += co_await stream.async_write_some(asio::buffer(text.data() + done, text.size() - done),
                                                 asio::redirect_error(tcp::use_awaitable, error));
    }
}

/// An origin that answers one request per connection; the target says which body.
tcp::Awaitable<void> serve(tcp::Stream stream)
{
    std::string head;
    char buffer[2048];
    boost::system::error_code error;
    while (!error && head.find("\r\n\r\n") == std::string::npos) {
        head.append(buffer, co_await stream.async_read_some(asio::buffer(buffer),
                                                            asio::redirect_error(tcp::use_awaitable, error)));
    }
    const std::size_t number = head.starts_with("GET /") ? std::strtoul(head.c_str() + 5, nullptr, 10) : 0;
    co_await write_all(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " + std::to_string(body_size) +
                                   "\r\n\r\n" + body_of(number));
    stream.shutdown_send();
    co_await read_to_end(stream);
}

/// Sends back what comes, then ends.
tcp::Awaitable<void> mirror(tcp::Stream stream)
{
    char buffer[4096];
    boost::system::error_code error;
    while (true) {
        const std::size_t size =
            co_await stream.async_read_some(asio::buffer(buffer), asio::redirect_error(tcp::use_awaitable, error));
        if (error) {
            break;
        }
        co_await write_all(stream, std::string(buffer, size));
    }
    stream.shutdown_send();
}

struct Tally {
    std::size_t exact = 0;
    std::size_t finished = 0;
};

tcp::Awaitable<void> fetch(World& world, wire::Endpoint from, wire::Endpoint to, std::size_t number, Tally& tally)
{
    auto [error, stream] =
        co_await world.stack.async_connect(from, to, tcp::ConnectionOptions{}, asio::as_tuple(tcp::use_awaitable));
    if (!error) {
        co_await write_all(stream,
                           "GET /" + std::to_string(number) + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        const std::string answer = co_await read_to_end(stream);
        const std::size_t end = answer.find("\r\n\r\n");
        tally.exact +=
            answer.starts_with("HTTP/1.1 200") && end != std::string::npos && answer.substr(end + 4) == body_of(number)
                ? 1
                : 0;
    }
    ++tally.finished;
}

tcp::Awaitable<void> echo(World& world, wire::Endpoint from, wire::Endpoint to, std::size_t number, Tally& tally)
{
    auto [error, stream] =
        co_await world.stack.async_connect(from, to, tcp::ConnectionOptions{}, asio::as_tuple(tcp::use_awaitable));
    if (!error) {
        const std::string sent = body_of(number);
        co_await write_all(stream, sent);
        stream.shutdown_send();
        tally.exact += co_await read_to_end(stream) == sent ? 1 : 0;
    }
    ++tally.finished;
}

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
    NodeLab lab{options, config, hosts()};
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

/// The control of the test above: when shards lead to the wrong worker, it must see that.
TEST(OwnershipControl, replies_that_reach_the_wrong_worker_are_noticed)
{
    NodeLabOptions options;
    options.forwarders = 2;
    options.workers = 2;
    options.swap_workers = true;
    NodeLab lab{options, config, hosts()};
    const Outcome outcome = run_traffic(lab, std::chrono::seconds{5});
    EXPECT_EQ(outcome.http.exact, 0U);
    EXPECT_GT(lab.total(DropReason::tcp_no_connection), 0U);
    EXPECT_EQ(outcome.datagrams_back, 200U) << "forwarding does not depend on workers";
}

} // namespace
} // namespace sluice::test
