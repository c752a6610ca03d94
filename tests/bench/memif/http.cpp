// HTTP/1.1 clients and their origin on one TCP stack of ours, at the far end of the wire: every request crosses the
// proxy once in each direction.
#include "host.hpp"

#include <sluice/tcp/awaitable.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <cstdio>
#include <rte_cycles.h>

namespace sluice::bench {
namespace {

namespace asio = boost::asio;
constexpr auto result = asio::as_tuple(tcp::use_awaitable);

struct Totals {
    std::uint64_t responses = 0;
    std::uint64_t failures = 0;
    std::uint32_t open = 0;
};

tcp::Awaitable<void> ask(tcp::Stack& stack, wire::Endpoint local, wire::Endpoint node, Totals& totals)
{
    auto [error, stream] = co_await stack.async_connect(local, node, {}, result);
    if (error) {
        ++totals.failures;
        co_return;
    }
    ++totals.open;
    std::array<char, 4096> buffer;
    for (std::size_t have = 0;;) {
        const auto [failed, written] = co_await asio::async_write(stream, asio::buffer(http_request), result);
        std::size_t whole = 0;
        while (!failed && (whole == 0 || have < whole) && have < buffer.size()) {
            const auto [end, size] =
                co_await stream.async_read_some(asio::buffer(buffer.data() + have, buffer.size() - have), result);
            if (end) {
                break;
            }
            have += size;
            whole = response_size({buffer.data(), have});
        }
        if (whole == 0 || have != whole) {
            ++totals.failures;
            --totals.open;
            co_return;
        }
        if (!std::string_view{buffer.data(), have}.starts_with("HTTP/1.1 200 ")) {
            if (totals.failures++ == 0) {
                std::fprintf(stderr, "%.*s\n", static_cast<int>(have), buffer.data());
            }
            have = 0;
            continue;
        }
        ++totals.responses;
        have = 0;
    }
}

} // namespace

int run_http(Wire& wire, const Options& options)
{
    Host host{wire};
    Totals totals;
    const wire::Endpoint node{options.node, 80};
    for (std::uint32_t index = 0; index < options.connections; ++index) {
        const wire::Endpoint local{wire::IpAddress::v4(0x0a010001U + index), 0};
        asio::co_spawn(host.loop().get_executor(), ask(host.stack(), local, node, totals), asio::detached);
    }
    host.warm_up(options.warm_up_seconds);
    totals.failures = 0;
    const std::uint64_t warm = totals.responses;
    host.run_for(options.seconds);
    const std::uint64_t responses = totals.responses - warm;
    std::printf("{\"seconds\": %.3f, \"responses\": %lu, \"responses_per_second\": %.0f, \"failures\": %lu, "
                "\"connections\": %u, \"tsc_hz\": %lu}\n",
                options.seconds, responses, static_cast<double>(responses) / options.seconds, totals.failures,
                totals.open, rte_get_tsc_hz());
    std::fflush(stdout);
    host.stack().abort_all();
    wire.flush();
    return totals.open == options.connections ? 0 : 1;
}

} // namespace sluice::bench
