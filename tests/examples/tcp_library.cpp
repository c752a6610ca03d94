// The TCP stack as a library: two hosts in one thread, a wire in memory that loses every 50th packet, virtual time. No
// EAL, no port, no privileges. A client writes 1 MiB, ends its side, and reads it back from an echo server.
#include <sluice/packet/heap_pool.hpp>
#include <sluice/tcp/awaitable.hpp>
#include <sluice/tcp/ports.hpp>
#include <sluice/tcp/stack.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <deque>

using namespace sluice;
namespace asio = boost::asio;
constexpr auto result = asio::as_tuple(tcp::use_awaitable);

struct Host final : tcp::Output {
    Host(const Clock& clock, std::uint64_t secret)
        : loop{clock}, ports{{secret, 1}, flow::local_ports::workers, ~0ULL},
          stack{loop, *this, ports, counters, {.secret = {secret, 2}}} // A real program: random_hash_key()
    {
    }
    std::optional<tcp::Path> find_path(const wire::IpAddress&, const wire::IpAddress&) noexcept override
    {
        return tcp::Path{}; // One wire, 1500 bytes
    }
    packet::Packet allocate(Purpose) noexcept override { return pool.allocate(); }
    void transmit(packet::Packet&& packet, const wire::IpAddress&, const wire::IpAddress&, tcp::Path) noexcept override
    {
        if (++sent % 50 != 0) {
            wire.push_back(std::move(packet));
        }
    }
    void turn(Host& peer)
    {
        loop.start_turn();
        for (; !peer.wire.empty(); peer.wire.pop_front()) {
            wire::ParsedPacket parsed;
            if (!wire::parse_ip(peer.wire.front().bytes(), parsed)) { // This wire needs no verify_transport()
                stack.input(std::move(peer.wire.front()), parsed);
            }
        }
        loop.run_timers();
        loop.run_ready(std::chrono::milliseconds{10});
        stack.flush();
    }
    packet::HeapPool pool{4096};
    std::deque<packet::Packet> wire; // What this host has sent
    std::size_t sent = 0;
    telemetry::CoreCounters counters;
    tcp::Loop loop;
    tcp::ShardPorts ports;
    tcp::Stack stack;
};

tcp::Awaitable<void> echo(tcp::Stream stream)
{
    std::array<char, 16384> buffer;
    for (tcp::ErrorCode end; !end;) { // The stream closes itself then: what was written is still delivered.
        const auto [error, size] = co_await stream.async_read_some(asio::buffer(buffer), result);
        co_await asio::async_write(stream, asio::buffer(buffer, size), result);
        end = error;
    }
}

tcp::Awaitable<void> send(tcp::Stream& stream, const std::string& text)
{
    co_await asio::async_write(stream, asio::buffer(text), result);
    stream.shutdown_send();
}

tcp::Awaitable<void> talk(tcp::Stack& stack, const wire::Endpoint& server, const std::string& text, std::string& answer)
{
    auto [error, stream] = co_await stack.async_connect({wire::IpAddress::v4(0x0a000002), 0}, server, {}, result);
    asio::co_spawn(stream.get_executor(), send(stream, text), asio::detached);
    co_await asio::async_read(stream, asio::dynamic_buffer(answer), result); // Until the server ends its side
}

int main()
{
    FakeClock clock;
    Host client{clock, 1};
    Host server{clock, 2};
    const wire::Endpoint service{wire::IpAddress::v4(0x0a000001), 7};
    static_cast<void>(server.stack.listen(service, {}, [](tcp::Stream stream) {
        asio::co_spawn(tcp::Executor{stream.get_executor()}, echo(std::move(stream)), asio::detached);
    }));
    const std::string text(1 << 20, 'x');
    std::string answer;
    asio::co_spawn(client.loop.get_executor(), talk(client.stack, service, text, answer), asio::detached);
    for (int milliseconds = 0; milliseconds < 30'000; ++milliseconds) {
        client.turn(server);
        server.turn(client);
        clock.advance(std::chrono::milliseconds{1});
    }
    return answer == text ? 0 : 1;
}
