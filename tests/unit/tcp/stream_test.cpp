// Streams with coroutines: two stacks over a wire without delay.
#include "support/tcp_host.hpp"

#include <sluice/tcp/awaitable.hpp>
#include <sluice/tcp/timer.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include <gtest/gtest.h>

namespace sluice::tcp {
namespace {

using namespace std::chrono_literals;
using testing::TcpHost;
namespace asio = boost::asio;

constexpr auto as_result = asio::as_tuple(use_awaitable);

struct StreamTest : ::testing::Test {
    FakeClock clock;
    TcpHost client{clock, wire::IpAddress::v4(0x0a000001), 1};
    TcpHost server{clock, wire::IpAddress::v4(0x0a000002), 2};
    const wire::Endpoint service{server.address, 80};

    void exchange()
    {
        for (bool moved = true; moved;) {
            client.turn();
            server.turn();
            moved = !client.sent.empty() || !server.sent.empty();
            std::exchange(client.sent, {}).swap(in_flight_);
            for (const auto& packet : std::exchange(in_flight_, {})) {
                server.receive(packet);
            }
            std::exchange(server.sent, {}).swap(in_flight_);
            for (const auto& packet : std::exchange(in_flight_, {})) {
                client.receive(packet);
            }
        }
    }

    void run(Duration time)
    {
        exchange();
        for (const TimePoint end = clock.now() + time; clock.now() < end;) {
            const TimePoint next = std::min({client.loop.next_deadline(), server.loop.next_deadline(), end});
            clock.set(std::max(next, clock.now() + 1us));
            exchange();
        }
    }

    /// Runs until both ends of a new connection are in hand.
    std::pair<Stream, Stream> connect(ListenOptions options = {}, ConnectionOptions connect_options = {})
    {
        std::optional<Stream> accepted;
        std::optional<Stream> connected;
        EXPECT_TRUE(server.stack.listen(service, options, [&](Stream stream) { accepted.emplace(std::move(stream)); }));
        client.stack.async_connect({client.address, 0}, service, connect_options, [&](ErrorCode error, Stream stream) {
            EXPECT_FALSE(error) << error.message();
            connected.emplace(std::move(stream));
        });
        exchange();
        server.stack.unlisten(service);
        return {std::move(connected.value()), std::move(accepted.value())};
    }

    void expect_all_returned()
    {
        run(300s);
        for (TcpHost* host : {&client, &server}) {
            const StackUsage usage = host->stack.usage();
            EXPECT_EQ(usage.connections, 0U);
            EXPECT_EQ(usage.half_open, 0U);
            EXPECT_EQ(usage.time_wait, 0U);
            EXPECT_EQ(usage.buffer_bytes, 0U);
            EXPECT_EQ(host->pool.available(), host->pool.capacity());
        }
    }

private:
    std::deque<std::vector<std::byte>> in_flight_;
};

Awaitable<void> echo(Stream stream)
{
    std::vector<char> buffer(8192);
    for (;;) {
        const auto [error, size] = co_await stream.async_read_some(asio::buffer(buffer), as_result);
        if (error) {
            EXPECT_EQ(error, asio::error::eof);
            co_return;
        }
        co_await asio::async_write(stream, asio::buffer(buffer.data(), size), use_awaitable);
    }
}

Awaitable<void> send_and_compare(Stack& stack, wire::Endpoint from, wire::Endpoint to, std::size_t size, bool& done)
{
    Stream stream = co_await stack.async_connect(from, to, {}, use_awaitable);
    std::vector<char> data(size);
    for (std::size_t index = 0; index < size; ++index) {
        data[index] = static_cast<char>(index * 31 + index / 251);
    }
    std::vector<char> back(size);
    for (std::size_t at = 0; at < size;) {
        const std::size_t part = std::min<std::size_t>(size - at, 50000);
        co_await asio::async_write(stream, asio::buffer(data.data() + at, part), use_awaitable);
        co_await asio::async_read(stream, asio::buffer(back.data() + at, part), use_awaitable);
        at += part;
    }
    stream.shutdown_send();
    char one = 0;
    const auto [error, count] = co_await stream.async_read_some(asio::buffer(&one, 1), as_result);
    EXPECT_EQ(error, asio::error::eof);
    EXPECT_EQ(count, 0U);
    EXPECT_EQ(data, back);
    done = true;
}

TEST_F(StreamTest, unlisten_frees_the_handler_while_what_it_accepted_lives_on)
{
    const auto held = std::make_shared<int>(0);
    std::optional<Stream> accepted;
    std::optional<Stream> connected;
    ASSERT_TRUE(server.stack.listen(service, {}, [&, held](Stream stream) { accepted.emplace(std::move(stream)); }));
    client.stack.async_connect({client.address, 0}, service, {},
                               [&](ErrorCode, Stream stream) { connected.emplace(std::move(stream)); });
    exchange();
    EXPECT_EQ(held.use_count(), 2);
    server.stack.unlisten(service);
    EXPECT_EQ(held.use_count(), 1);
    ASSERT_TRUE(accepted.has_value());
    EXPECT_TRUE(accepted->is_open());
}

TEST_F(StreamTest, handler_that_stops_listening_is_freed_when_it_has_returned)
{
    const auto held = std::make_shared<int>(0);
    std::optional<Stream> accepted;
    std::optional<Stream> connected;
    long alive = 0;
    ASSERT_TRUE(server.stack.listen(service, {}, [&, held](Stream stream) {
        accepted.emplace(std::move(stream));
        server.stack.unlisten(service);
        alive = held.use_count();
    }));
    client.stack.async_connect({client.address, 0}, service, {},
                               [&](ErrorCode, Stream stream) { connected.emplace(std::move(stream)); });
    exchange();
    EXPECT_EQ(alive, 2);
    EXPECT_EQ(held.use_count(), 1);
    EXPECT_TRUE(accepted.has_value());
}

TEST_F(StreamTest, coroutines_echo_megabytes_identically)
{
    ASSERT_TRUE(server.stack.listen(service, {}, [&](Stream stream) {
        asio::co_spawn(server.loop.get_executor(), echo(std::move(stream)), asio::detached);
    }));
    bool done = false;
    asio::co_spawn(client.loop.get_executor(),
                   send_and_compare(client.stack, {client.address, 0}, service, 3'000'000, done), asio::detached);
    run(10s);
    EXPECT_TRUE(done);
    server.stack.unlisten(service);
    expect_all_returned();
}

} // namespace
} // namespace sluice::tcp
