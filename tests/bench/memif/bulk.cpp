// One long response after the other over one connection: what a core carries when heads do not count.
#include "host.hpp"

#include <sluice/tcp/awaitable.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <cstdio>
#include <rte_cycles.h>
#include <vector>

namespace sluice::bench {
namespace {

namespace asio = boost::asio;
constexpr auto result = asio::as_tuple(tcp::use_awaitable);
constexpr std::size_t piece = 64 * 1024;
constexpr std::string_view head = "HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n"; // More than any run takes

tcp::Awaitable<void> serve(tcp::Stream stream)
{
    std::array<char, 4096> request;
    auto [error, size] = co_await stream.async_read_some(asio::buffer(request), result);
    if (error) {
        co_return;
    }
    static const std::vector<char> body(piece, 'x');
    auto [failed, written] = co_await asio::async_write(stream, asio::buffer(head), result);
    while (!failed) {
        std::tie(failed, written) = co_await asio::async_write(stream, asio::buffer(body), result);
    }
}

tcp::Awaitable<void> download(tcp::Stack& stack, wire::Endpoint local, wire::Endpoint node, std::uint64_t& bytes)
{
    auto [error, stream] = co_await stack.async_connect(local, node, {}, result);
    std::size_t size = 0;
    if (!error) {
        std::tie(error, size) = co_await asio::async_write(stream, asio::buffer(http_request), result);
    }
    std::vector<char> buffer(piece);
    while (!error) {
        std::tie(error, size) = co_await stream.async_read_some(asio::buffer(buffer), result);
        bytes += size;
    }
}

} // namespace

int run_bulk(Wire& wire, const Options& options)
{
    Host host{wire};
    static_cast<void>(host.stack().listen({wire::IpAddress::v4(0x0a000003), 8080}, {}, [](tcp::Stream stream) {
        asio::co_spawn(tcp::Executor{stream.get_executor()}, serve(std::move(stream)), asio::detached);
    }));
    std::uint64_t bytes = 0;
    const wire::Endpoint node{options.node, 81};
    for (std::uint32_t index = 0; index < options.connections; ++index) {
        const wire::Endpoint local{wire::IpAddress::v4(0x0a010001U + index), 0};
        asio::co_spawn(host.loop().get_executor(), download(host.stack(), local, node, bytes), asio::detached);
    }
    host.warm_up(options.warm_up_seconds);
    const std::uint64_t warm = bytes;
    host.run_for(options.seconds);
    const std::uint64_t moved = bytes - warm;
    std::printf("{\"seconds\": %.3f, \"bytes\": %lu, \"gigabits_per_second\": %.3f, \"tsc_hz\": %lu}\n",
                options.seconds, moved, static_cast<double>(moved) * 8e-9 / options.seconds, rte_get_tsc_hz());
    std::fflush(stdout);
    host.stack().abort_all();
    wire.flush();
    return moved != 0 ? 0 : 1;
}

} // namespace sluice::bench
