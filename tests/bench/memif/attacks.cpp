// Real clients beside an attack: how much of their traffic is served before, during and after it, and whether new
// clients get in. One line when a phase begins, one with the results of all when they are over.
#include "attack.hpp"
#include "host.hpp"

#include <sluice/tcp/awaitable.hpp>
#include <sluice/tcp/timer.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>

namespace sluice::bench {
namespace {

namespace asio = boost::asio;
constexpr auto awaited = asio::as_tuple(tcp::use_awaitable);
constexpr std::uint32_t first_established = 0x0a010001; ///< 10.1.0.1, with their established connections
constexpr std::uint32_t first_newcomer = 0x0a020001;    ///< 10.2.0.1
constexpr std::uint16_t client_port = 20'000;
/// A client that is further behind its rate gives up what it is late with: that is the goodput which is lost.
constexpr std::chrono::milliseconds latest{100};
constexpr std::chrono::milliseconds newcomer_every{10};
/// From the end of the attack to the phase in which all must be normal.
constexpr double recovery_seconds = 1;

struct Phase {
    const char* name;
    double seconds = 0;
    std::uint64_t responses = 0;
    std::uint64_t refused = 0; ///< Answers other than 200
    std::vector<double> response_us = {};
    std::uint64_t newcomers = 0;
    std::vector<double> newcomer_us = {};
};

double part_of(std::vector<double>& values, double part)
{
    if (values.empty()) {
        return 0;
    }
    std::sort(values.begin(), values.end());
    return values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1))];
}

double microseconds_since(TimePoint begin, TimePoint now)
{
    return std::chrono::duration<double, std::micro>(now - begin).count();
}

class Attacked {
public:
    Attacked(Wire& wire, const Options& options, AttackKind kind)
        : options_{options}, host_{wire}, attack_{wire,
                                                  options.node,
                                                  {kind, options.attack_rate, options.attackers, victims(options)}}
    {
    }

    int run();

private:
    static std::vector<wire::Endpoint> victims(const Options& options)
    {
        std::vector<wire::Endpoint> clients;
        for (std::uint32_t index = 0; index < options.connections; ++index) {
            clients.push_back({wire::IpAddress::v4(first_established + index), client_port});
        }
        return clients;
    }

    tcp::Awaitable<void> client(wire::Endpoint local, Duration first, Duration every);
    tcp::Awaitable<void> newcomer(std::uint32_t number);
    /// True when the whole response is 200.
    tcp::Awaitable<std::optional<bool>> exchange(tcp::Stream& stream);
    void run_for(double seconds);
    void run_phase(Phase& phase, double seconds);
    void report(Phase& phase) const;

    const Options& options_;
    Host host_;
    Attack attack_;
    Phase start_{"start"};
    Phase* phase_ = &start_;
    std::uint32_t open_ = 0;
    std::uint32_t newcomers_ = 0;
    TimePoint next_newcomer_{};
};

tcp::Awaitable<std::optional<bool>> Attacked::exchange(tcp::Stream& stream)
{
    std::array<char, 2048> buffer;
    const auto [failed, written] = co_await asio::async_write(stream, asio::buffer(http_request), awaited);
    if (failed) {
        co_return std::nullopt;
    }
    for (std::size_t have = 0, whole = 0;;) {
        const auto [end, size] =
            co_await stream.async_read_some(asio::buffer(buffer.data() + have, buffer.size() - have), awaited);
        if (end) {
            co_return std::nullopt;
        }
        have += size;
        whole = response_size({buffer.data(), have});
        if (whole != 0 && have >= whole) {
            co_return std::string_view{buffer.data(), have}.starts_with("HTTP/1.1 200 ");
        }
    }
}

tcp::Awaitable<void> Attacked::client(wire::Endpoint local, Duration first, Duration every)
{
    auto [error, stream] = co_await host_.stack().async_connect(local, {options_.node, 80}, {}, awaited);
    if (error) {
        co_return;
    }
    ++open_;
    tcp::Loop& loop = host_.loop();
    tcp::Timer timer{loop.get_executor()};
    for (TimePoint due = loop.now() + first;; due += every) {
        if (due > loop.now()) {
            timer.expires_at(due);
            co_await timer.async_wait(awaited);
        } else if (loop.now() - due > latest) {
            due = loop.now();
        }
        const std::optional<bool> good = co_await exchange(stream);
        if (!good) {
            --open_;
            co_return;
        }
        ++(*good ? phase_->responses : phase_->refused);
        phase_->response_us.push_back(microseconds_since(due, loop.now()));
    }
}

tcp::Awaitable<void> Attacked::newcomer(std::uint32_t number)
{
    Phase& phase = *phase_;
    ++phase.newcomers;
    const TimePoint begin = host_.loop().now();
    const wire::Endpoint local{wire::IpAddress::v4(first_newcomer + number % 16), 0};
    auto [error, stream] = co_await host_.stack().async_connect(local, {options_.node, 80}, {}, awaited);
    if (error) {
        co_return;
    }
    const std::optional<bool> good = co_await exchange(stream);
    if (good && *good) {
        phase.newcomer_us.push_back(microseconds_since(begin, host_.loop().now()));
    }
}

void Attacked::run_for(double seconds)
{
    const auto end = SteadyClock::now() + std::chrono::duration<double>(seconds);
    do {
        host_.turn([this](const packet::Packet& packet, const wire::ParsedPacket& parsed) {
            return attack_.take(packet.bytes(), parsed);
        });
        attack_.turn();
        const TimePoint now = host_.loop().now();
        if (now >= next_newcomer_) {
            next_newcomer_ = now + newcomer_every;
            asio::co_spawn(host_.loop().get_executor(), newcomer(newcomers_++), asio::detached);
        }
    } while (SteadyClock::now() < end);
}

void Attacked::run_phase(Phase& phase, double seconds)
{
    std::printf("{\"phase\": \"%s\"}\n", phase.name);
    std::fflush(stdout);
    phase_ = &phase;
    phase.seconds = seconds;
    run_for(seconds);
}

void Attacked::report(Phase& phase) const
{
    const double asked = options_.rate * phase.seconds;
    std::printf("{\"phase\": \"%s\", \"goodput\": %.4f, \"responses_per_second\": %.0f, \"refused\": %lu, \"p50_us\": "
                "%.0f, \"p99_us\": %.0f, \"newcomers\": %lu, \"served\": %zu, \"newcomer_p50_us\": %.0f, "
                "\"newcomer_p99_us\": %.0f, \"newcomer_max_us\": %.0f}\n",
                phase.name, static_cast<double>(phase.responses) / asked,
                static_cast<double>(phase.responses) / phase.seconds, phase.refused, part_of(phase.response_us, 0.5),
                part_of(phase.response_us, 0.99), phase.newcomers, phase.newcomer_us.size(),
                part_of(phase.newcomer_us, 0.5), part_of(phase.newcomer_us, 0.99), part_of(phase.newcomer_us, 1));
}

int Attacked::run()
{
    const Duration every{static_cast<Duration::rep>(1e9 * options_.connections / options_.rate)};
    std::uint32_t index = 0;
    for (const wire::Endpoint& local : victims(options_)) {
        const Duration first = every * index++ / options_.connections;
        asio::co_spawn(host_.loop().get_executor(), client(local, first, every), asio::detached);
    }
    run_for(options_.warm_up_seconds);
    const std::uint32_t established = open_;
    Phase before{"before"};
    Phase during{"during"};
    Phase recovery{"recovery"};
    Phase after{"after"};
    run_phase(before, options_.seconds);
    attack_.start();
    run_phase(during, options_.attack_seconds);
    attack_.stop();
    run_phase(recovery, recovery_seconds);
    run_phase(after, options_.seconds);
    Phase rest{"rest"};
    run_phase(rest, 1); // The last newcomers may still be served.
    for (Phase* phase : {&before, &during, &recovery, &after}) {
        report(*phase);
    }
    std::printf("{\"sent\": %lu, \"opened\": %lu, \"resets\": %lu, \"established\": %u, \"lost\": %u}\n",
                attack_.sent(), attack_.opened(), attack_.resets(), established, established - open_);
    std::fflush(stdout);
    host_.stack().abort_all();
    return established == options_.connections ? 0 : 1;
}

} // namespace

int run_attack(Wire& wire, const Options& options)
{
    const std::optional<AttackKind> kind = attack_of(options.attack);
    if (!kind) {
        std::fprintf(stderr, "there is no attack `%s`\n", options.attack.c_str());
        return 64;
    }
    Attacked attacked{wire, options, *kind};
    return attacked.run();
}

} // namespace sluice::bench
