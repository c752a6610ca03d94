// HTTP/1.1 clients and their origin on one TCP stack of ours, at the far end of the wire: every request crosses the
// proxy once in each direction.
#include "generator.hpp"

#include <sluice/base/random.hpp>
#include <sluice/tcp/awaitable.hpp>
#include <sluice/tcp/ports.hpp>
#include <sluice/tcp/stack.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/write.hpp>

#include <charconv>
#include <cstdio>
#include <rte_cycles.h>

namespace sluice::bench {
namespace {

namespace asio = boost::asio;
constexpr auto result = asio::as_tuple(tcp::use_awaitable);
constexpr std::string_view request = "GET / HTTP/1.1\r\nHost: bench.example.org\r\nUser-Agent: generator\r\n\r\n";
constexpr std::string_view response =
    "HTTP/1.1 200 OK\r\nContent-Length: 32\r\nContent-Type: text/plain\r\n\r\na body of thirty-two bytes.....\n";
// One byte more, and the proxy rightly uses no connection to this origin twice.
static_assert(response.size() - response.find("\r\n\r\n") - 4 == 32);
const wire::Endpoint origin_at{wire::IpAddress::v4(0x0a000002), 8080};

struct Totals {
    std::uint64_t responses = 0;
    std::uint64_t failures = 0;
    std::uint32_t open = 0;
};

class Network final : public tcp::Output {
public:
    explicit Network(Wire& wire) : wire_{wire} {}
    std::optional<tcp::Path> find_path(const wire::IpAddress&, const wire::IpAddress&) noexcept override
    {
        return tcp::Path{};
    }
    packet::Packet allocate(Purpose) noexcept override { return wire_.allocate(); }
    void transmit(packet::Packet&& packet, const wire::IpAddress&, const wire::IpAddress&, tcp::Path) noexcept override
    {
        wire_.send(std::move(packet));
    }

private:
    Wire& wire_;
};

/// Bytes of the whole response that `text` begins with; 0 when more must be read first.
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

tcp::Awaitable<void> answer(tcp::Stream stream)
{
    std::array<char, 4096> buffer;
    std::string text;
    for (;;) {
        const auto [error, size] = co_await stream.async_read_some(asio::buffer(buffer), result);
        if (error) {
            co_return;
        }
        text.append(buffer.data(), size);
        for (std::size_t end = text.find("\r\n\r\n"); end != std::string::npos; end = text.find("\r\n\r\n")) {
            text.erase(0, end + 4);
            const auto [failed, written] = co_await asio::async_write(stream, asio::buffer(response), result);
            if (failed) {
                co_return;
            }
        }
    }
}

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
        const auto [failed, written] = co_await asio::async_write(stream, asio::buffer(request), result);
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
    const SystemClock clock;
    telemetry::CoreCounters counters;
    Network network{wire};
    tcp::Loop loop{clock};
    tcp::ShardPorts ports{random_hash_key(), {1024, 65535}, ~std::uint64_t{0}};
    tcp::StackOptions stack_options;
    stack_options.secret = random_hash_key();
    Totals totals;
    tcp::Stack stack{loop, network, ports, counters, stack_options};
    static_cast<void>(stack.listen(origin_at, {}, [](tcp::Stream stream) {
        asio::co_spawn(tcp::Executor{stream.get_executor()}, answer(std::move(stream)), asio::detached);
    }));
    const wire::Endpoint node{options.node, 80};
    for (std::uint32_t index = 0; index < options.connections; ++index) {
        const wire::Endpoint local{wire::IpAddress::v4(0x0a010001U + index), 0};
        asio::co_spawn(loop.get_executor(), ask(stack, local, node, totals), asio::detached);
    }
    const auto run_for = [&](double seconds) {
        const TimePoint end =
            clock.now() + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
        const std::uint64_t before = totals.responses;
        do {
            loop.start_turn();
            wire.receive([&](packet::Packet&& packet, wire::ParsedPacket& parsed) {
                packet.trim_front(parsed.network_offset);
                if (!wire::parse_ip(packet.bytes(), parsed) && parsed.protocol == wire::protocol::tcp) {
                    stack.input(std::move(packet), parsed);
                }
            });
            loop.run_timers();
            loop.run_ready(std::chrono::microseconds{250});
            stack.flush();
            wire.flush();
        } while (loop.now() < end);
        return totals.responses - before;
    };
    static_cast<void>(run_for(options.warm_up_seconds));
    std::puts("{\"warm\": true}"); // The script reads the node's counters between the two lines.
    std::fflush(stdout);
    static_cast<void>(std::getchar());
    totals.failures = 0;
    const std::uint64_t responses = run_for(options.seconds);
    std::printf("{\"seconds\": %.3f, \"responses\": %lu, \"responses_per_second\": %.0f, \"failures\": %lu, "
                "\"connections\": %u, \"tsc_hz\": %lu}\n",
                options.seconds, responses, static_cast<double>(responses) / options.seconds, totals.failures,
                totals.open, rte_get_tsc_hz());
    std::fflush(stdout);
    stack.abort_all();
    wire.flush();
    return totals.open == options.connections ? 0 : 1;
}

} // namespace sluice::bench
