// The other end of a memif wire: clients and servers of a network 10.0.0.0/8 in one process and one thread.
#pragma once

#include <sluice/port/dpdk_pool.hpp>
#include <sluice/port/ethdev_port.hpp>
#include <sluice/wire/parse.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

namespace sluice::bench {

struct Options {
    std::string device; ///< As DPDK's --vdev
    wire::IpAddress node = wire::IpAddress::v4(0x0a000001);
    std::uint32_t flows = 1024;
    std::uint32_t connections = 64;
    double rate = 0;           ///< Packets (or requests) per second; 0: as many as go
    double open_rate = 50'000; ///< Connections that are opened per second
    double warm_up_seconds = 1;
    double seconds = 3;
    double every_seconds = 1; ///< Between two echoes
    std::string attack = "none";
    double attack_rate = 0; ///< Packets (or connections) per second
    double attack_seconds = 4;
    std::uint32_t attackers = 64; ///< Connections of the attack
    bool tls = false;
    bool resolve = true; ///< Ask for the node's MAC address first
};

using SteadyClock = std::chrono::steady_clock;

/// The port with the little of ARP that the node needs: who asks for an address of the network other than its own gets
/// our MAC address.
class Wire {
public:
    explicit Wire(const Options& options);

    /// Waits for the link and, when asked to, for the node's MAC address. False after ten seconds.
    [[nodiscard]] bool connect();
    /// Received IP packets from their IP header on, parsed and verified; ARP is answered inside.
    template <class Handler>
    std::size_t receive(Handler&& handler);
    /// Takes a packet that starts at its IP header.
    void send(packet::Packet&& packet) noexcept;
    void flush() noexcept;

    [[nodiscard]] wire::MacAddress node_mac() const noexcept { return node_mac_; }
    [[nodiscard]] wire::MacAddress own_mac() const noexcept { return port_->mac(); }
    [[nodiscard]] packet::Packet allocate() noexcept { return pool_->allocate(); }
    [[nodiscard]] std::uint64_t lost() const noexcept { return lost_; }
    /// Answers when it is a question, learns when it is an answer. `frame` is an ARP frame.
    void handle_arp(Bytes frame, const wire::ParsedPacket& parsed);

private:
    void ask();
    void send_arp(bool request, const wire::MacAddress& to, const wire::IpAddress& sender,
                  const wire::IpAddress& target);
    void push(packet::Packet&& packet) noexcept;

    Options options_;
    std::unique_ptr<port::DpdkPool> pool_;
    std::unique_ptr<port::EthdevPort> port_;
    packet::Burst out_;
    packet::Burst in_;
    wire::MacAddress node_mac_ = wire::MacAddress::broadcast();
    bool resolved_ = false;
    std::uint64_t lost_ = 0; ///< Frames that the ring refused for too long
};

template <class Handler>
std::size_t Wire::receive(Handler&& handler)
{
    const std::size_t count = port_->receive(0, in_);
    for (packet::Packet& packet : in_) {
        wire::ParsedPacket parsed;
        if (wire::parse_frame(std::as_const(packet).bytes(), parsed)) {
            continue;
        }
        if (parsed.kind == wire::NetworkKind::arp) {
            handle_arp(std::as_const(packet).bytes(), parsed);
        } else {
            handler(std::move(packet), parsed);
        }
    }
    in_.clear();
    return count;
}

/// Each prints one JSON object. Exit codes.
int run_udp(Wire& wire, const Options& options);
int run_http(Wire& wire, const Options& options);
int run_bulk(Wire& wire, const Options& options);
int run_echo(Wire& wire, const Options& options);
int run_connections(Wire& wire, const Options& options);
int run_attack(Wire& wire, const Options& options);
int run_secure_connections(Wire& wire, const Options& options);

} // namespace sluice::bench
