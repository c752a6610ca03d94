// Reloads one after the other: what is left of the generations before.
#include "support/node_lab.hpp"
#include "support/peers.hpp"

#include <sluice/control/generations.hpp>
#include <sluice/tcp/timer.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace sluice::test {
namespace {

std::string config(unsigned number)
{
    return R"(
node: test
ports: [{name: front, device: {vdev: net_null0}, addresses: [192.0.2.11/24]}]
services:
  - {name: site, listen: 192.0.2.11:80/tcp, proxy: {routes: [{match: {path: {exact: /number}}, respond: {body: ")" +
           std::to_string(number) + R"("}}, {pool: web}]}}
  - {name: echo, listen: 192.0.2.11:7777/udp, forward: {method: fullnat, pool: echo}}
pools:
  - {name: web, servers: [{address: 192.0.2.21:80, weight: )" +
           std::to_string(1 + number % 3) + R"(}]}
  - {name: echo, balance: mh, servers: [{address: 192.0.2.21:7777, weight: )" +
           std::to_string(1 + number % 2) + "}]}\n";
}

/// Answers nothing until it is told to; an upgrade becomes a mirror.
tcp::Awaitable<void> serve_slowly(tcp::Stream stream, const bool& answer, World& world)
{
    std::string head;
    char buffer[2048];
    boost::system::error_code error;
    while (!error && head.find("\r\n\r\n") == std::string::npos) {
        head.append(buffer, co_await stream.async_read_some(asio::buffer(buffer),
                                                            asio::redirect_error(tcp::use_awaitable, error)));
    }
    if (head.find("Upgrade: websocket") != std::string::npos) {
        co_await write_all(stream, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                                   "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
        co_await mirror(std::move(stream));
        co_return;
    }
    tcp::Timer timer{world.loop.get_executor()};
    while (!answer) {
        timer.expires_after(std::chrono::milliseconds{1});
        co_await timer.async_wait(asio::redirect_error(tcp::use_awaitable, error));
    }
    co_await write_all(stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    co_await read_to_end(stream);
}

/// A client that sends what it is given and keeps what comes.
struct Visitor {
    std::optional<tcp::Stream> stream;
    std::string received;
};

tcp::Awaitable<void> visit(World& world, Visitor& visitor, std::string request)
{
    auto [error, stream] = co_await world.stack.async_connect(
        {ip("192.0.2.10"), 0}, {ip("192.0.2.11"), 80}, tcp::ConnectionOptions{}, asio::as_tuple(tcp::use_awaitable));
    if (error) {
        co_return;
    }
    visitor.stream.emplace(std::move(stream));
    co_await write_all(*visitor.stream, std::move(request));
    char buffer[2048];
    boost::system::error_code ended;
    while (!ended) {
        const std::size_t size = co_await visitor.stream->async_read_some(
            asio::buffer(buffer), asio::redirect_error(tcp::use_awaitable, ended));
        visitor.received.append(buffer, size);
    }
}

class Generations : public testing::Test {
protected:
    Generations() : lab{{}, config(0), {ip("192.0.2.10"), ip("192.0.2.21")}}
    {
        EXPECT_TRUE(lab.world.stack.listen({ip("192.0.2.21"), 80}, {}, [this](tcp::Stream stream) {
            spawn(serve_slowly(std::move(stream), answer, lab.world));
        }));
        EXPECT_TRUE(lab.run_until([&] { return lab.world.knows(ip("192.0.2.11")); }, std::chrono::seconds{1}));
        live.add(*lab.node->current());
    }
    template <class Coroutine>
    void spawn(Coroutine coroutine)
    {
        asio::co_spawn(lab.world.loop.get_executor(), std::move(coroutine), asio::detached);
    }
    /// The most generations that were alive at any time, and those alive in the end.
    std::pair<std::size_t, std::size_t> reload(unsigned times)
    {
        std::size_t most = 0;
        for (unsigned number = 1; number <= times; ++number) {
            lab.publish(config(number));
            live.add(*lab.node->current());
            most = std::max(most, live.count());
            lab.settle();
            lab.node->retire();
            most = std::max(most, live.count());
        }
        return {most, live.count()};
    }

    bool answer = false;
    NodeLab lab;
    control::LiveGenerations live;
};

constexpr const char* upgrade = "GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

TEST_F(Generations, at_most_two_live_through_reloads_with_kept_connections_and_a_tunnel)
{
    Visitor kept;
    Visitor tunnel;
    spawn(visit(lab.world, kept, "GET /number HTTP/1.1\r\nHost: x\r\n\r\n"));
    spawn(visit(lab.world, tunnel, upgrade));
    ASSERT_TRUE(lab.run_until(
        [&] { return kept.received.ends_with("\r\n\r\n0") && tunnel.received.starts_with("HTTP/1.1 101 "); },
        std::chrono::seconds{5}))
        << kept.received << tunnel.received << lab.drops();
    const auto [most, in_the_end] = reload(100);
    EXPECT_LE(most, 2U);
    EXPECT_EQ(in_the_end, 1U);
    // Both are still there, and the kept connection sees the last generation.
    kept.received.clear();
    tunnel.received.clear();
    spawn(write_all(*kept.stream, "GET /number HTTP/1.1\r\nHost: x\r\n\r\n"));
    spawn(write_all(*tunnel.stream, "frame"));
    EXPECT_TRUE(lab.run_until([&] { return kept.received.ends_with("\r\n\r\n100") && tunnel.received == "frame"; },
                              std::chrono::seconds{5}))
        << kept.received << tunnel.received;
}

TEST_F(Generations, request_under_way_keeps_its_own_generation_and_no_other)
{
    Visitor visitor;
    spawn(visit(lab.world, visitor, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"));
    lab.run_until([] { return false; }, std::chrono::milliseconds{20});
    const auto [most, in_the_end] = reload(50);
    EXPECT_LE(most, 3U);
    EXPECT_EQ(in_the_end, 2U);
    answer = true;
    EXPECT_TRUE(lab.run_until([&] { return visitor.received.ends_with("\r\n\r\nok"); }, std::chrono::seconds{5}));
    lab.settle();
    EXPECT_EQ(live.count(), 1U);
}

} // namespace
} // namespace sluice::test
