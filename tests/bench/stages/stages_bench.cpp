// Nanoseconds by stage of a proxied request and of a full segment, in memory. Rows that belong together begin with
// their floor: the least that the stage could be, measured in the same run. Run with --benchmark_repetitions=10 and
// compare medians.
#include "tcp/buffers.hpp"
#include "tcp/table.hpp"

#include <sluice/base/timer_wheel.hpp>
#include <sluice/http/http1.hpp>
#include <sluice/packet/heap_pool.hpp>
#include <sluice/tcp/ports.hpp>
#include <sluice/tcp/stack.hpp>
#include <sluice/wire/checksum.hpp>
#include <sluice/wire/parse.hpp>

#include <benchmark/benchmark.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>

#include <array>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

namespace {

using namespace sluice;

constexpr std::size_t full = 1460;

Bytes bytes_of(std::string_view text) noexcept { return std::as_bytes(std::span{text}); }

// --- a full segment's bytes

void segment_copy(benchmark::State& state)
{
    std::vector<std::byte> from(full, std::byte{7}), to(full);
    for (auto unused : state) {
        static_cast<void>(unused);
        std::memcpy(to.data(), from.data(), full);
        benchmark::DoNotOptimize(to.data());
        benchmark::ClobberMemory();
    }
}

void segment_checksum(benchmark::State& state)
{
    const std::vector<std::byte> from(full, std::byte{7});
    for (auto unused : state) {
        static_cast<void>(unused);
        benchmark::DoNotOptimize(wire::checksum(from));
        benchmark::ClobberMemory();
    }
}

void segment_checksum_and_copy(benchmark::State& state)
{
    std::vector<std::byte> from(full, std::byte{7}), to(full);
    for (auto unused : state) {
        static_cast<void>(unused);
        wire::ChecksumSum sum;
        sum.add_and_copy(from, to.data());
        benchmark::DoNotOptimize(sum.finish());
        benchmark::ClobberMemory();
    }
}

// --- finding a connection: the floor is one cache miss

struct Entry final : tcp::TableEntry {
    Entry() noexcept : tcp::TableEntry{tcp::EntryKind::connection, nullptr} {}
    std::byte rest[592]{}; // As far from each other as connections are
};

struct Crowd {
    explicit Crowd(std::size_t count) : entries(count), table{{1, 2}, count}
    {
        for (std::size_t index = 0; index < count; ++index) {
            Entry& entry = entries[index];
            entry.local = wire::IpAddress::v4(0x0a000001);
            entry.local_port = 80;
            entry.remote = wire::IpAddress::v4(0x0b000000U + static_cast<std::uint32_t>(index >> 14U));
            entry.remote_port = static_cast<std::uint16_t>(1024 + (index & 0x3fffU));
            static_cast<void>(table.insert(entry));
        }
    }
    /// In an order that no prefetcher guesses.
    std::size_t any() noexcept
    {
        next = next * 6364136223846793005ULL + 1442695040888963407ULL;
        return (next >> 33U) % entries.size();
    }
    std::vector<Entry> entries;
    tcp::ConnectionTable table;
    std::uint64_t next = 1;
};

void connection_touch(benchmark::State& state)
{
    Crowd crowd{static_cast<std::size_t>(state.range(0))};
    for (auto unused : state) {
        static_cast<void>(unused);
        crowd.next += crowd.entries[crowd.any()].flags; // Always 0; the next place waits for it.
    }
}

void connection_lookup(benchmark::State& state)
{
    Crowd crowd{static_cast<std::size_t>(state.range(0))};
    const wire::IpAddress local = crowd.entries[0].local;
    for (auto unused : state) {
        static_cast<void>(unused);
        const std::size_t index = crowd.any();
        benchmark::DoNotOptimize(
            crowd.table.find(local, 80, wire::IpAddress::v4(0x0b000000U + static_cast<std::uint32_t>(index >> 14U)),
                             static_cast<std::uint16_t>(1024 + (index & 0x3fffU))));
    }
}

/// As a burst does it: all hashed, all prefetched, then all looked up. `items` are lookups.
void connection_lookup_in_bursts(benchmark::State& state)
{
    constexpr std::size_t burst = 32;
    Crowd crowd{static_cast<std::size_t>(state.range(0))};
    const wire::IpAddress local = crowd.entries[0].local;
    std::array<std::uint32_t, burst> hashes{};
    std::array<std::pair<wire::IpAddress, std::uint16_t>, burst> remotes;
    std::int64_t found = 0;
    for (auto unused : state) {
        static_cast<void>(unused);
        for (std::size_t at = 0; at < burst; ++at) {
            const std::size_t index = crowd.any();
            remotes[at] = {wire::IpAddress::v4(0x0b000000U + static_cast<std::uint32_t>(index >> 14U)),
                           static_cast<std::uint16_t>(1024 + (index & 0x3fffU))};
            hashes[at] = crowd.table.hash_of(local, 80, remotes[at].first, remotes[at].second);
            crowd.table.prefetch_slot(hashes[at]);
        }
        for (const std::uint32_t hash : hashes) {
            crowd.table.prefetch_entry(hash);
        }
        for (std::size_t at = 0; at < burst; ++at) {
            benchmark::DoNotOptimize(crowd.table.find(hashes[at], local, 80, remotes[at].first, remotes[at].second));
            ++found;
        }
    }
    state.SetItemsProcessed(found);
    state.counters["ns_per_lookup"] =
        benchmark::Counter(static_cast<double>(found) / 1e9, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

// --- timers: a deadline that moves is a store, and the wheel only now and then

void timer_store(benchmark::State& state)
{
    TimePoint deadline{};
    for (auto unused : state) {
        static_cast<void>(unused);
        deadline += std::chrono::milliseconds{1};
        benchmark::DoNotOptimize(deadline);
    }
}

void timer_arm(benchmark::State& state)
{
    TimePoint now{std::chrono::hours{1}};
    TimerWheel wheel{now};
    TimerNode node{[](TimerNode&, TimePoint) noexcept {}};
    for (auto unused : state) {
        static_cast<void>(unused);
        now += std::chrono::milliseconds{1};
        wheel.arm(node, now);
    }
    wheel.cancel(node);
}

// --- one segment through a stack: parsed, verified, delivered, taken by its reader

/// A stack whose packets go into a list, without a copy.
class Host final : public tcp::Output {
public:
    Host(FakeClock& clock, const wire::IpAddress& own, std::uint64_t tag)
        : address{own}, pool_{512}, loop{clock}, ports_{HashKey{tag, 1}, flow::local_ports::workers, ~std::uint64_t{0}},
          stack{loop, *this, ports_, counters_, options_of(tag)}
    {
    }
    [[nodiscard]] std::optional<tcp::Path> find_path(const wire::IpAddress&, const wire::IpAddress&) noexcept override
    {
        return tcp::Path{};
    }
    [[nodiscard]] packet::Packet allocate(Purpose) noexcept override { return pool_.allocate(); }
    void transmit(packet::Packet&& packet, const wire::IpAddress&, const wire::IpAddress&, tcp::Path) noexcept override
    {
        sent.push_back(std::move(packet));
    }
    void receive(packet::Packet&& packet)
    {
        wire::ParsedPacket parsed;
        if (!wire::parse_ip(std::as_const(packet).bytes(), parsed) &&
            !wire::verify_transport(std::as_const(packet).bytes(), parsed)) {
            stack.input(std::move(packet), parsed);
        }
    }
    void turn()
    {
        loop.start_turn();
        loop.run_timers();
        loop.run_ready(std::chrono::seconds{1});
        stack.flush();
    }

    const wire::IpAddress address;
    std::vector<packet::Packet> sent;

private:
    static tcp::StackOptions options_of(std::uint64_t tag)
    {
        tcp::StackOptions options;
        options.secret = {tag, 7};
        return options;
    }
    packet::HeapPool pool_;
    telemetry::CoreCounters counters_;

public:
    tcp::Loop loop;

private:
    tcp::ShardPorts ports_;

public:
    tcp::Stack stack;
};

class Pair {
public:
    Pair() : left_{clock_, wire::IpAddress::v4(0x0a000001), 1}, right_{clock_, wire::IpAddress::v4(0x0a000002), 2}
    {
        static_cast<void>(right_.stack.listen({right_.address, 80}, {},
                                              [this](tcp::Stream stream) { server_.emplace(std::move(stream)); }));
        left_.loop.start_turn();
        left_.stack.async_connect({left_.address, 0}, {right_.address, 80}, {},
                                  [this](tcp::ErrorCode, tcp::Stream stream) { client_.emplace(std::move(stream)); });
        while (!client_ || !server_) {
            exchange();
        }
    }
    /// `size` bytes to the server and the same back; both acknowledge with their data.
    void echo(std::size_t size)
    {
        clock_.advance(std::chrono::microseconds{50});
        one_way(*client_, *server_, size);
        one_way(*server_, *client_, size);
    }

private:
    static void move(Host& from, Host& to)
    {
        from.turn();
        to.loop.start_turn();
        for (packet::Packet& packet : from.sent) {
            to.receive(std::move(packet));
        }
        from.sent.clear();
    }
    void exchange()
    {
        do {
            move(left_, right_);
            move(right_, left_);
        } while (!left_.sent.empty() || !right_.sent.empty());
    }
    void one_way(tcp::Stream& from, tcp::Stream& to, std::size_t size)
    {
        from.async_write_some(boost::asio::buffer(data_.data(), size), [](tcp::ErrorCode, std::size_t) {});
        exchange();
        tcp::Received received;
        taken_ += to.take(received);
    }

    FakeClock clock_;
    Host left_, right_;
    std::optional<tcp::Stream> client_, server_;
    std::array<char, full> data_{};
    std::size_t taken_ = 0;
};

void segments_there_and_back(benchmark::State& state)
{
    Pair pair;
    const auto size = static_cast<std::size_t>(state.range(0));
    for (auto unused : state) {
        static_cast<void>(unused);
        pair.echo(size);
    }
}

// --- the loop

void handler_posted(benchmark::State& state)
{
    FakeClock clock;
    tcp::Loop loop{clock};
    std::uint64_t ran = 0;
    for (auto unused : state) {
        static_cast<void>(unused);
        boost::asio::post(loop.get_executor(), [&ran] { ++ran; });
        loop.run_ready(std::chrono::seconds{1});
    }
    benchmark::DoNotOptimize(ran);
}

// --- HTTP: the floor of parsing is to have looked at every byte

constexpr std::string_view request =
    "GET /index.html?page=1 HTTP/1.1\r\nHost: bench.example.org\r\nUser-Agent: generator/1.0\r\nAccept: */*\r\n"
    "Accept-Encoding: gzip, br\r\nCookie: session=0123456789abcdef\r\n\r\n";
constexpr std::string_view response =
    "HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Sun, 22 Nov 2026 20:00:00 GMT\r\nContent-Type: text/plain\r\n"
    "Content-Length: 32\r\nConnection: keep-alive\r\n\r\n";

void head_scan(benchmark::State& state)
{
    for (auto unused : state) {
        static_cast<void>(unused);
        std::size_t lines = 0;
        for (const char* at = request.data();
             (at = static_cast<const char*>(
                  std::memchr(at, '\n', static_cast<std::size_t>(request.data() + request.size() - at)))) != nullptr;
             ++at) {
            ++lines;
        }
        benchmark::DoNotOptimize(lines);
    }
}

void request_parse(benchmark::State& state)
{
    http::http1::RequestParser parser;
    for (auto unused : state) {
        static_cast<void>(unused);
        benchmark::DoNotOptimize(parser.feed(bytes_of(request)));
        parser.reset();
    }
}

void request_write(benchmark::State& state)
{
    http::http1::RequestParser parser;
    static_cast<void>(parser.feed(bytes_of(request)));
    std::string text;
    for (auto unused : state) {
        static_cast<void>(unused);
        text.clear();
        http::http1::append_request_head(text, parser.head());
        benchmark::DoNotOptimize(text.data());
    }
}

void response_parse(benchmark::State& state)
{
    http::http1::ResponseParser parser;
    for (auto unused : state) {
        static_cast<void>(unused);
        benchmark::DoNotOptimize(parser.feed(bytes_of(response)));
        parser.reset();
    }
}

void response_write(benchmark::State& state)
{
    http::http1::ResponseParser parser;
    static_cast<void>(parser.feed(bytes_of(response)));
    std::string text;
    for (auto unused : state) {
        static_cast<void>(unused);
        text.clear();
        http::http1::append_response_head(text, parser.head());
        benchmark::DoNotOptimize(text.data());
    }
}

BENCHMARK(segment_copy);
BENCHMARK(segment_checksum);
BENCHMARK(segment_checksum_and_copy);
BENCHMARK(connection_touch)->Arg(1'000)->Arg(500'000);
BENCHMARK(connection_lookup)->Arg(1'000)->Arg(500'000);
BENCHMARK(connection_lookup_in_bursts)->Arg(1'000)->Arg(500'000);
BENCHMARK(timer_store);
BENCHMARK(timer_arm);
BENCHMARK(segments_there_and_back)->Arg(100)->Arg(1460);
BENCHMARK(handler_posted);
BENCHMARK(head_scan);
BENCHMARK(request_parse);
BENCHMARK(request_write);
BENCHMARK(response_parse);
BENCHMARK(response_write);

} // namespace
