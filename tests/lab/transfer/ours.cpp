// Our end: the TCP stack as a library, on a packet socket. One thread.
#include "transfer/content.hpp"
#include "transfer/raw_port.hpp"

#include <sluice/base/random.hpp>
#include <sluice/tcp/awaitable.hpp>
#include <sluice/tcp/ports.hpp>
#include <sluice/tcp/stack.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include <csignal>
#include <cstdio>
#include <stdexcept>

namespace sluice::transfer {
namespace {

namespace asio = boost::asio;
constexpr auto result = asio::as_tuple(tcp::use_awaitable);
constexpr std::size_t stream_piece = 64 * 1024;

volatile std::sig_atomic_t stopping = 0;

template <class Value>
Value required(std::optional<Value> value, const std::string& text)
{
    if (!value) {
        throw std::invalid_argument{text + " is no address"};
    }
    return *value;
}

std::vector<RawPort::Neighbour> parse_neighbours(const std::vector<std::string>& texts)
{
    std::vector<RawPort::Neighbour> neighbours;
    for (const std::string& text : texts) {
        const std::size_t equals = std::min(text.find('='), text.size() - 1);
        neighbours.push_back({required(wire::IpAddress::parse(text.substr(0, equals)), text),
                              required(wire::MacAddress::parse(text.substr(equals + 1)), text)});
    }
    return neighbours;
}

tcp::StackOptions stack_options()
{
    tcp::StackOptions options;
    options.secret = random_hash_key();
    return options;
}

class Host final : public tcp::Output {
public:
    explicit Host(const Settings& settings)
        : port_{settings.interface, parse_neighbours(settings.neighbours)},
          address_{required(wire::IpAddress::parse(settings.address), settings.address)}, loop_{clock_},
          ports_{random_hash_key(), {1024, 65535}, ~std::uint64_t{0}}, stack_{loop_, *this, ports_, counters_,
                                                                              stack_options()}
    {
    }

    [[nodiscard]] tcp::Loop& loop() noexcept { return loop_; }
    [[nodiscard]] tcp::Stack& stack() noexcept { return stack_; }
    [[nodiscard]] const wire::IpAddress& address() const noexcept { return address_; }

    std::optional<tcp::Path> find_path(const wire::IpAddress&, const wire::IpAddress&) noexcept override
    {
        return tcp::Path{};
    }
    packet::Packet allocate(Purpose) noexcept override { return port_.allocate(); }
    void transmit(packet::Packet&& packet, const wire::IpAddress&, const wire::IpAddress& destination,
                  tcp::Path) noexcept override
    {
        port_.send(std::move(packet), destination);
    }

    void turn()
    {
        loop_.start_turn();
        const bool received = port_.receive([this](packet::Packet&& packet, const wire::ParsedPacket& parsed) {
            if (parsed.protocol == wire::protocol::tcp && parsed.destination == address_) {
                stack_.input(std::move(packet), parsed);
            }
        });
        loop_.run_timers();
        loop_.run_ready(std::chrono::microseconds{250});
        stack_.flush();
        port_.flush();
        if (!received && !loop_.has_ready() && !stack_.has_pending_output()) {
            const TimePoint next = loop_.next_deadline();
            port_.wait(next == never ? longest_wait : std::min<Duration>(next - clock_.now(), longest_wait));
        }
    }

    [[nodiscard]] std::uint64_t retransmissions() const noexcept
    {
        return counters_.get(telemetry::Counter::tcp_segments_retransmitted);
    }

private:
    static constexpr Duration longest_wait = std::chrono::milliseconds{100};

    RawPort port_;
    wire::IpAddress address_;
    const SystemClock clock_;
    telemetry::CoreCounters counters_;
    tcp::Loop loop_;
    tcp::ShardPorts ports_;
    tcp::Stack stack_;
};

/// Adds to `sent` what the stream has taken.
tcp::Awaitable<tcp::ErrorCode> send_content(tcp::Stream& stream, Content content, std::uint64_t size, TimePoint until,
                                            std::uint64_t& sent)
{
    std::vector<std::byte> buffer(stream_piece);
    while (sent < size && stream.get_executor().context().now() < until) {
        const MutableBytes part{buffer.data(),
                                static_cast<std::size_t>(std::min<std::uint64_t>(stream_piece, size - sent))};
        content.write(sent, part);
        const auto [error, count] = co_await asio::async_write(stream, asio::buffer(part.data(), part.size()), result);
        sent += count;
        if (error) {
            co_return error;
        }
    }
    co_return tcp::ErrorCode{};
}

/// What serves one connection, kept alive by both of its coroutines.
struct Service {
    explicit Service(tcp::Stream accepted) : stream{std::move(accepted)} {}

    tcp::Stream stream;
    Header header;
    std::uint64_t sent = 0;
    std::optional<Receipt> receipt; ///< When the client has ended its side
    bool sent_all = false;
};

/// The coroutine that comes last ends the connection.
tcp::Awaitable<void> finish(std::shared_ptr<Service> service)
{
    if (!service->sent_all || !service->receipt) {
        co_return;
    }
    const auto receipt = service->receipt->encode();
    co_await asio::async_write(service->stream, asio::buffer(receipt), result);
}

tcp::Awaitable<void> send_down(std::shared_ptr<Service> service)
{
    const Header& header = service->header;
    const tcp::ErrorCode error =
        co_await send_content(service->stream, header.down_content(), header.down, never, service->sent);
    service->sent_all = !error;
    co_await finish(service);
}

tcp::Awaitable<void> serve(tcp::Stream accepted)
{
    auto service = std::make_shared<Service>(std::move(accepted));
    tcp::Stream& stream = service->stream;
    std::vector<std::byte> buffer(stream_piece);
    const auto [failed, size] = co_await asio::async_read(stream, asio::buffer(buffer.data(), Header::size), result);
    const auto header = Header::decode(Bytes{buffer.data(), size});
    if (failed || !header) {
        co_return;
    }
    service->header = *header;
    asio::co_spawn(stream.get_executor(), send_down(service), asio::detached);
    Inspector inspector{header->up_content()};
    for (;;) {
        const auto [error, count] = co_await stream.async_read_some(asio::buffer(buffer), result);
        if (error == asio::error::eof) {
            break;
        }
        if (error) {
            std::fprintf(stderr, "lab_transfer: %s\n", error.message().c_str());
            stream.abort();
            co_return;
        }
        inspector.take(Bytes{buffer.data(), count});
    }
    service->receipt = inspector.receipt();
    co_await finish(service);
}

struct Client {
    Host& host;
    const Settings& settings;
    std::size_t running = 0;
    int faults = 0;
};

/// The way up of a transfer, kept alive by both of its coroutines.
struct Upload {
    tcp::Stream stream;
    Header header;
    TimePoint until = never;
    std::uint64_t sent = 0;
    std::string fault;
};

tcp::Awaitable<void> send_up(std::shared_ptr<Upload> upload)
{
    tcp::Stream& stream = upload->stream;
    const Header& header = upload->header;
    const auto head = header.encode();
    auto [error, count] = co_await asio::async_write(stream, asio::buffer(head), result);
    if (!error) {
        error = co_await send_content(stream, header.up_content(), header.up, upload->until, upload->sent);
    }
    if (error) {
        upload->fault = error.message();
    }
    stream.shutdown_send();
}

/// Returns what was wrong. `job.up` becomes what was sent.
tcp::Awaitable<std::string> transfer(Client& client, Job& job, std::uint64_t seed)
{
    const Settings& settings = client.settings;
    Host& host = client.host;
    const wire::Endpoint peer{required(wire::IpAddress::parse(settings.peer), settings.peer), settings.port};
    auto [failed, stream] = co_await host.stack().async_connect({host.address(), 0}, peer, {}, result);
    if (failed) {
        co_return failed.message();
    }
    const auto upload = std::make_shared<Upload>(Upload{std::move(stream), {seed, job.up, job.down}, never, 0, {}});
    if (settings.seconds > 0) {
        const std::chrono::duration<double> length{settings.seconds};
        upload->until = host.loop().now() + std::chrono::duration_cast<Duration>(length);
    }
    asio::co_spawn(host.loop().get_executor(), send_up(upload), asio::detached);
    Answer answer{upload->header.down_content(), job.down};
    std::vector<std::byte> buffer(stream_piece);
    for (;;) {
        const auto [error, count] = co_await upload->stream.async_read_some(asio::buffer(buffer), result);
        if (error) {
            job.up = upload->sent;
            if (error != asio::error::eof) {
                co_return error.message();
            }
            co_return upload->fault.empty() ? answer.fault(upload->sent) : upload->fault;
        }
        answer.take(Bytes{buffer.data(), count});
    }
}

tcp::Awaitable<void> run_job(Client& client, Job job, std::uint64_t seed)
{
    const TimePoint begin = client.host.loop().now();
    const std::string fault = co_await transfer(client, job, seed);
    const double seconds = std::chrono::duration<double>(client.host.loop().now() - begin).count();
    report(job, seconds, fault);
    client.faults += fault.empty() ? 0 : 1;
    --client.running;
}

int run_client(Host& host, const Settings& settings)
{
    Client client{host, settings};
    std::uint64_t seed = settings.seed;
    host.loop().start_turn();
    for (const Job& job : settings.jobs) {
        ++client.running;
        asio::co_spawn(host.loop().get_executor(), run_job(client, job, seed++), asio::detached);
        while (client.running != 0 && !settings.together) {
            host.turn();
        }
    }
    while (client.running != 0) {
        host.turn();
    }
    // The server's FIN may come once more.
    const TimePoint end = host.loop().now() + std::chrono::milliseconds{20};
    while (host.loop().now() < end) {
        host.turn();
    }
    report_retransmissions(host.retransmissions());
    return client.faults == 0 ? 0 : 1;
}

int run_server(Host& host, const Settings& settings)
{
    std::signal(SIGTERM, [](int) { stopping = 1; });
    if (!host.stack().listen({host.address(), settings.port}, {}, [](tcp::Stream stream) {
            const tcp::Executor executor{stream.get_executor()};
            asio::co_spawn(executor, serve(std::move(stream)), asio::detached);
        })) {
        throw std::runtime_error{"the port is taken"};
    }
    std::puts("started");
    std::fflush(stdout);
    while (stopping == 0) {
        host.turn();
    }
    report_retransmissions(host.retransmissions());
    return 0;
}

} // namespace

int run_ours(const Settings& settings)
{
    Host host{settings};
    return settings.serves() ? run_server(host, settings) : run_client(host, settings);
}

} // namespace sluice::transfer
