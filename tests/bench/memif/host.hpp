// A TCP stack of ours at the far end of the wire, and the origin that answers every request with the same 32 bytes.
#pragma once

#include "generator.hpp"

#include <sluice/tcp/ports.hpp>
#include <sluice/tcp/stack.hpp>

#include <string_view>

namespace sluice::bench {

inline constexpr std::string_view http_request =
    "GET / HTTP/1.1\r\nHost: bench.example.org\r\nUser-Agent: generator\r\n\r\n";

/// Bytes of the whole response that `text` begins with; 0 when more must be read first.
[[nodiscard]] std::size_t response_size(std::string_view text);

class Host {
public:
    explicit Host(Wire& wire);

    [[nodiscard]] tcp::Stack& stack() noexcept { return stack_; }
    [[nodiscard]] tcp::Loop& loop() noexcept { return loop_; }

    /// Receives, runs what is due, sends. `claim(packet, parsed)`, with offsets from the IP header on, is true for the
    /// packets that are not the stack's.
    template <class Claim>
    void turn(Claim&& claim)
    {
        loop_.start_turn();
        wire_.receive([&](packet::Packet&& packet, wire::ParsedPacket& parsed) {
            packet.trim_front(parsed.network_offset);
            if (!wire::parse_ip(packet.bytes(), parsed) && parsed.protocol == wire::protocol::tcp &&
                !claim(packet, parsed)) {
                stack_.input(std::move(packet), parsed);
            }
        });
        loop_.run_timers();
        loop_.run_ready(std::chrono::microseconds{250});
        stack_.flush();
        wire_.flush();
    }
    void turn()
    {
        turn([](packet::Packet&, const wire::ParsedPacket&) { return false; });
    }

    void run_for(double seconds)
    {
        const auto end = SteadyClock::now() + std::chrono::duration<double>(seconds);
        do {
            turn();
        } while (SteadyClock::now() < end);
    }
    /// Runs until all is as warm as it gets, tells the script, and waits for its line: meanwhile it reads the node's
    /// counters.
    void warm_up(double seconds);

private:
    class Network final : public tcp::Output {
    public:
        explicit Network(Wire& wire) : wire_{wire} {}
        std::optional<tcp::Path> find_path(const wire::IpAddress&, const wire::IpAddress&) noexcept override
        {
            return tcp::Path{};
        }
        packet::Packet allocate(Purpose) noexcept override { return wire_.allocate(); }
        void transmit(packet::Packet&& packet, const wire::IpAddress&, const wire::IpAddress&,
                      tcp::Path) noexcept override
        {
            wire_.send(std::move(packet));
        }

    private:
        Wire& wire_;
    };

    Wire& wire_;
    const SystemClock clock_;
    telemetry::CoreCounters counters_;
    Network network_;
    tcp::Loop loop_;
    tcp::ShardPorts ports_;
    tcp::Stack stack_;
};

} // namespace sluice::bench
