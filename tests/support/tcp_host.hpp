// A TCP stack with everything around it, for tests: virtual clock, heap packets, and the segments that it sends in a
// queue.
#pragma once

#include <sluice/packet/heap_pool.hpp>
#include <sluice/tcp/loop.hpp>
#include <sluice/tcp/ports.hpp>
#include <sluice/tcp/stack.hpp>
#include <sluice/wire/parse.hpp>

#include <deque>
#include <vector>

namespace sluice::testing {

class TcpHost final : public tcp::Output {
public:
    /// `tag` makes the secrets of hosts differ.
    TcpHost(FakeClock& clock, const wire::IpAddress& own, std::uint64_t tag, tcp::StackOptions options = {},
            std::size_t packets = 4096)
        : address{own}, clock_{clock}, pool{packets}, loop{clock}, ports{HashKey{tag, 1}, flow::local_ports::workers,
                                                                         ~std::uint64_t{0}},
          own_stack{std::in_place, loop, *this, ports, counters, with_secret(options, tag)}, stack{*own_stack}
    {
    }

    [[nodiscard]] std::optional<tcp::Path> find_path(const wire::IpAddress&, const wire::IpAddress&) noexcept override
    {
        return routed ? std::optional{tcp::Path{0, mtu}} : std::nullopt;
    }
    [[nodiscard]] packet::Packet allocate(Purpose purpose) noexcept override
    {
        return starve || (starve_data && purpose == Purpose::data) ? packet::Packet{} : pool.allocate();
    }
    void transmit(packet::Packet&& packet, const wire::IpAddress&, const wire::IpAddress&, tcp::Path) noexcept override
    {
        const Bytes bytes = packet.bytes();
        sent.emplace_back(bytes.begin(), bytes.end());
    }

    [[nodiscard]] bool reserved(const wire::Endpoint& local) noexcept override
    {
        return reserve_even_ports && local.port % 2 == 0;
    }

    /// Gives the stack a packet that starts at its IP header, as a port would: parsed and verified, dropped when wrong.
    void receive(const std::vector<std::byte>& bytes)
    {
        packet::Packet packet = pool.allocate();
        if (!packet) {
            ++pool_empty;
            return;
        }
        std::byte* const to = packet.append(bytes.size());
        std::copy(bytes.begin(), bytes.end(), to);
        wire::ParsedPacket parsed;
        if (wire::parse_ip(packet.bytes(), parsed) || wire::verify_transport(packet.bytes(), parsed)) {
            ++dropped;
            return;
        }
        if (parsed.protocol == wire::protocol::tcp) {
            stack.input(std::move(packet), parsed);
        } else if (const auto error = wire::parse_icmp_error(packet.bytes(), parsed)) {
            stack.icmp_error(*error);
        }
    }

    /// One turn of a worker, until nothing is ready at this instant.
    void turn()
    {
        loop.start_turn();
        do {
            loop.run_timers();
            loop.run_ready(std::chrono::milliseconds{100});
            stack.flush();
        } while (loop.has_ready());
    }

    wire::IpAddress address;
    std::uint16_t mtu = 1500;
    bool routed = true;
    bool starve = false;
    bool starve_data = false;
    bool reserve_even_ports = false;
    std::size_t dropped = 0;
    std::size_t pool_empty = 0;
    std::deque<std::vector<std::byte>> sent;

private:
    static tcp::StackOptions with_secret(tcp::StackOptions options, std::uint64_t tag)
    {
        options.secret = {tag * 0x9e3779b97f4a7c15ULL, tag + 7};
        options.random_seed = tag;
        return options;
    }

    FakeClock& clock_;

public:
    packet::HeapPool pool;
    telemetry::CoreCounters counters;
    tcp::Loop loop;
    tcp::ShardPorts ports;
    std::optional<tcp::Stack> own_stack;
    tcp::Stack& stack; ///< While it lives
};

} // namespace sluice::testing
