// ICMP echoes, far enough apart that the node falls asleep between them: what its sleep adds.
#include "generator.hpp"

#include "support/frames.hpp"

#include <algorithm>
#include <cstdio>
#include <thread>
#include <vector>

namespace sluice::bench {
namespace {

constexpr std::chrono::milliseconds patience{500};

/// Sends one echo and waits for its answer without sleeping; nothing when none comes.
std::optional<double> echo_microseconds(Wire& wire, const Options& options, std::uint16_t number)
{
    packet::Packet packet = wire.allocate();
    if (!packet) {
        return std::nullopt;
    }
    const test::Frame request = test::icmp_echo(wire::IpAddress::v4(0x0a000002), options.node, number);
    std::memcpy(packet.append(request.size()), request.data(), request.size());
    const auto begin = SteadyClock::now();
    wire.send(std::move(packet));
    wire.flush();
    bool answered = false;
    while (!answered && SteadyClock::now() - begin < patience) {
        wire.receive([&](packet::Packet&& answer, wire::ParsedPacket& parsed) {
            const std::byte* const icmp = std::as_const(answer).bytes().data() + parsed.transport_offset;
            answered = answered || (parsed.protocol == wire::protocol::icmp && parsed.source == options.node &&
                                    load8(icmp) == wire::icmp_type::echo_reply && load16(icmp + 4) == number);
        });
    }
    const std::chrono::duration<double, std::micro> took = SteadyClock::now() - begin;
    return answered ? std::optional{took.count()} : std::nullopt;
}

/// Answers questions for addresses, and otherwise leaves the processor to others.
void rest(Wire& wire, std::chrono::duration<double> time)
{
    const auto end = SteadyClock::now() + time;
    while (SteadyClock::now() < end) {
        wire.receive([](packet::Packet&&, wire::ParsedPacket&) {});
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
}

} // namespace

int run_echo(Wire& wire, const Options& options)
{
    std::vector<double> times;
    unsigned failed = 0;
    std::uint16_t number = 0;
    const auto end = SteadyClock::now() + std::chrono::duration<double>(options.seconds);
    while (SteadyClock::now() < end) {
        // Not in step with anything that the node does ten times a second.
        rest(wire, std::chrono::duration<double>(options.every_seconds + 0.0137 * (number % 8)));
        if (const auto took = echo_microseconds(wire, options, ++number)) {
            times.push_back(*took);
        } else {
            ++failed;
        }
    }
    if (times.empty()) {
        return 1;
    }
    std::sort(times.begin(), times.end());
    const auto quantile = [&](double part) {
        return times[static_cast<std::size_t>(part * static_cast<double>(times.size() - 1))];
    };
    std::printf("{\"answered\": %zu, \"failed\": %u, \"p50_us\": %.0f, \"p99_us\": %.0f, \"max_us\": %.0f}\n",
                times.size(), failed, quantile(0.5), quantile(0.99), times.back());
    return 0;
}

} // namespace sluice::bench
