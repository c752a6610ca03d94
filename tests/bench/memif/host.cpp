#include "host.hpp"

#include <sluice/base/random.hpp>
#include <sluice/tcp/awaitable.hpp>
#include <sluice/tcp/timer.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <string>

namespace sluice::bench {
namespace {

namespace asio = boost::asio;
constexpr auto result = asio::as_tuple(tcp::use_awaitable);
constexpr std::string_view response =
    "HTTP/1.1 200 OK\r\nContent-Length: 32\r\nContent-Type: text/plain\r\n\r\na body of thirty-two bytes.....\n";
// One byte more, and the proxy rightly uses no connection to this origin twice.
static_assert(response.size() - response.find("\r\n\r\n") - 4 == 32);
const wire::Endpoint origin_at{wire::IpAddress::v4(0x0a000002), 8080};

tcp::StackOptions stack_options()
{
    tcp::StackOptions options;
    options.secret = random_hash_key();
    options.connection_limit = 200'000;           // A proxy's idle connections, and TLS clients
    options.buffer_limit = std::size_t{2} << 30U; // Who is measured is the node, not this.
    return options;
}

/// GET /N: N bytes instead. To GET /never and to any POST nothing.
std::size_t wanted_bytes(std::string_view request)
{
    constexpr std::string_view get = "GET /";
    std::size_t bytes = 0;
    if (request.starts_with(get)) {
        std::from_chars(request.data() + get.size(), request.data() + request.size(), bytes);
    }
    return bytes;
}

tcp::Awaitable<void> send_bytes(tcp::Stream& stream, std::size_t bytes)
{
    static const std::string body(64 * 1024, 'x'); // The same for all: this end must stay the faster one.
    const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(bytes) + "\r\n\r\n";
    co_await asio::async_write(stream, asio::buffer(head), result);
    while (bytes != 0) {
        const std::size_t part = std::min(bytes, body.size());
        const auto [failed, written] = co_await asio::async_write(stream, asio::buffer(body.data(), part), result);
        if (failed) {
            co_return;
        }
        bytes -= part;
    }
}

tcp::Awaitable<void> answer(tcp::Stream stream)
{
    constexpr std::size_t longest_head = 16'384;
    std::array<char, 4096> buffer;
    std::string text;
    for (;;) {
        const auto [error, size] = co_await stream.async_read_some(asio::buffer(buffer), result);
        if (error) {
            co_return;
        }
        text.append(buffer.data(), size);
        for (std::size_t end = text.find("\r\n\r\n"); end != std::string::npos; end = text.find("\r\n\r\n")) {
            const bool silent = text.starts_with("GET /never ") || text.starts_with("POST ");
            const std::size_t bytes = wanted_bytes(text);
            const bool stuck = text.starts_with("POST /stuck ");
            text.erase(0, end + 4);
            if (stuck) {
                tcp::Timer never{tcp::Executor{stream.get_executor()}};
                never.expires_after(std::chrono::hours{1});
                co_await never.async_wait(result);
                co_return;
            }
            if (silent) {
                continue;
            }
            if (bytes != 0) {
                co_await send_bytes(stream, bytes);
                continue;
            }
            const auto [failed, written] = co_await asio::async_write(stream, asio::buffer(response), result);
            if (failed) {
                co_return;
            }
        }
        if (text.size() > longest_head) {
            text.clear(); // A body that never ends
        }
    }
}

} // namespace

std::size_t response_size(std::string_view text)
{
    constexpr std::string_view length = "ontent-Length: ";
    const std::size_t head = text.find("\r\n\r\n");
    if (head == std::string_view::npos) {
        return 0;
    }
    const std::size_t field = text.find(length);
    std::size_t body = 0;
    if (field < head) {
        std::from_chars(text.data() + field + length.size(), text.data() + head, body);
    }
    return head + 4 + body;
}

void Host::warm_up(double seconds)
{
    run_for(seconds);
    std::puts("{\"warm\": true}");
    std::fflush(stdout);
    static_cast<void>(std::getchar());
}

Host::Host(Wire& wire)
    : wire_{wire}, network_{wire}, loop_{clock_}, ports_{random_hash_key(), {1024, 65535}, ~std::uint64_t{0}},
      stack_{loop_, network_, ports_, counters_, stack_options()}
{
    tcp::ListenOptions options;
    options.connection.send_limit = 64 * 1024;
    options.connection.receive_initial = options.connection.receive_limit = 16 * 1024;
    options.half_open_limit = 16384;
    options.accept_limit = 16384;
    static_cast<void>(stack_.listen(origin_at, options, [](tcp::Stream stream) {
        asio::co_spawn(tcp::Executor{stream.get_executor()}, answer(std::move(stream)), asio::detached);
    }));
}

} // namespace sluice::bench
