// The outside world at the other end of an in-memory port: hosts with addresses, a TCP stack of their own, ARP and
// neighbour discovery, a UDP echo. One thread; virtual time when its clock is a FakeClock.
#pragma once

#include "support/frames.hpp"

#include <sluice/packet/heap_pool.hpp>
#include <sluice/port/port.hpp>
#include <sluice/tcp/awaitable.hpp>
#include <sluice/tcp/ports.hpp>
#include <sluice/tcp/stack.hpp>
#include <sluice/wire/parse.hpp>

#include <functional>
#include <map>
#include <set>

namespace sluice::test {

class World final : private tcp::Output {
public:
    World(const Clock& clock, port::Port& port, std::set<wire::IpAddress> addresses)
        : port_{port}, addresses_{std::move(addresses)}, loop{clock}, stack{loop, *this, ports_, counters_, options()}
    {
    }
    ~World() { frames_.clear(); }

    /// What a UDP packet for one of the hosts is answered with; empty: nothing.
    std::function<Frame(const wire::Endpoint& from, const wire::Endpoint& to, Bytes payload)> on_udp;
    /// Sees every frame that arrives.
    std::function<void(Bytes frame, const wire::ParsedPacket& parsed)> on_frame;

    /// Takes what has arrived, lets the hosts act, sends. True when there was something to do.
    bool turn()
    {
        loop.start_turn();
        std::size_t received = 0;
        for (std::uint16_t queue = 0; queue < port_.capabilities().receive_queues; ++queue) {
            received += port_.receive(queue, burst_);
            for (packet::Packet& packet : burst_) {
                input(std::move(packet));
            }
            burst_.clear();
        }
        loop.run_timers();
        const std::size_t handlers = loop.run_ready(std::chrono::seconds{1});
        stack.flush();
        const bool sent = !frames_.empty();
        flush();
        return received != 0 || handlers != 0 || sent;
    }

    void send_udp(const wire::Endpoint& from, const wire::Endpoint& to, const Frame& payload)
    {
        send_ip(packet_of(pool_, udp_packet(from, to, payload)), to.address);
    }
    /// Any IP packet, as it is.
    void send_packet(const Frame& ip_bytes)
    {
        wire::ParsedPacket parsed;
        if (!wire::parse_ip(ip_bytes, parsed)) {
            send_ip(packet_of(pool_, ip_bytes), parsed.destination);
        }
    }
    /// Any frame, as it is.
    void send_raw(const Frame& frame) { frames_.push_back(packet_of(pool_, frame)); }
    [[nodiscard]] bool knows(const wire::IpAddress& address) const { return neighbours_.contains(address); }
    [[nodiscard]] const packet::HeapPool& pool() const noexcept { return pool_; }

private:
    static tcp::StackOptions options()
    {
        tcp::StackOptions options;
        options.secret = {1, 2};
        return options;
    }

    void input(packet::Packet&& packet)
    {
        const Bytes frame = std::as_const(packet).bytes();
        wire::ParsedPacket parsed;
        if (wire::parse_frame(frame, parsed) || wire::verify_transport(frame, parsed)) {
            ++malformed;
            return;
        }
        if (on_frame) {
            on_frame(frame, parsed);
        }
        const wire::MacAddress source = wire::Ethernet{frame.data()}.source();
        if (!parsed.is_ip()) {
            arp(frame, parsed);
            return;
        }
        if (parsed.protocol == wire::protocol::icmpv6 && discovery(frame, parsed, source)) {
            return;
        }
        if (!addresses_.contains(parsed.destination)) {
            return;
        }
        if (parsed.protocol == wire::protocol::tcp) {
            stack.input(std::move(packet), parsed);
        } else if (parsed.protocol == wire::protocol::udp && on_udp) {
            const wire::Endpoint from{parsed.source, parsed.source_port};
            const wire::Endpoint to{parsed.destination, parsed.destination_port};
            const Frame answer = on_udp(from, to, frame.subspan(parsed.payload_offset, parsed.payload_size()));
            if (!answer.empty()) {
                send_udp(to, from, answer);
            }
        }
    }

    void arp(Bytes frame, const wire::ParsedPacket& parsed)
    {
        const std::byte* body = frame.data() + parsed.network_offset;
        if (!parsed.source.is_unspecified()) {
            learn(parsed.source, wire::MacAddress::load(body + 8));
        }
        if (load16(body + 6) == 1 && addresses_.contains(parsed.destination) && !addresses_.contains(parsed.source)) {
            Frame reply(28);
            std::memcpy(reply.data(), body, 6);
            store16(reply.data() + 6, 2);
            mac.store(reply.data() + 8);
            parsed.destination.store(reply.data() + 14);
            std::memcpy(reply.data() + 18, body + 8, 10);
            send_frame(wire::MacAddress::load(body + 8), wire::ether_type::arp, reply);
        }
    }

    bool discovery(Bytes frame, const wire::ParsedPacket& parsed, const wire::MacAddress& source)
    {
        const std::byte* message = frame.data() + parsed.transport_offset;
        const std::uint8_t type = wire::Icmp{message}.type();
        if (parsed.transport_size() >= 24 && type == wire::icmpv6_type::neighbour_advertisement) {
            learn(wire::IpAddress::load_v6(message + 8),
                  parsed.transport_size() >= 32 ? wire::MacAddress::load(message + 26) : source);
            return true;
        }
        if (parsed.transport_size() < 24 || type != wire::icmpv6_type::neighbour_solicitation) {
            return false;
        }
        const wire::IpAddress target = wire::IpAddress::load_v6(message + 8);
        if (!addresses_.contains(target) || parsed.source.is_unspecified()) {
            return true;
        }
        learn(parsed.source, source);
        Frame advertisement(32);
        store8(advertisement.data(), wire::icmpv6_type::neighbour_advertisement);
        store32(advertisement.data() + 4, 0x60000000U);
        target.store(advertisement.data() + 8);
        store8(advertisement.data() + 24, 2);
        store8(advertisement.data() + 25, 1);
        mac.store(advertisement.data() + 26);
        store16(advertisement.data() + 2, wire::checksum(advertisement, target, parsed.source, wire::protocol::icmpv6));
        IpOptions hops;
        hops.hop_limit = 255;
        send_frame(source, wire::ether_type::ipv6,
                   ip_packet(target, parsed.source, wire::protocol::icmpv6, advertisement, hops));
        return true;
    }

    void learn(const wire::IpAddress& address, const wire::MacAddress& hardware)
    {
        neighbours_[address] = hardware;
        const auto waiting = waiting_.extract(address);
        if (!waiting.empty()) {
            for (packet::Packet& packet : waiting.mapped()) {
                send_ip(std::move(packet), address);
            }
        }
    }

    void send_frame(const wire::MacAddress& destination, std::uint16_t type, const Frame& body)
    {
        Frame frame(14);
        wire::MutableEthernet{frame.data()}.set(destination, mac, type);
        frame.insert(frame.end(), body.begin(), body.end());
        frames_.push_back(packet_of(pool_, frame));
    }

    void send_ip(packet::Packet&& ip, const wire::IpAddress& destination)
    {
        const auto known = neighbours_.find(destination);
        if (known == neighbours_.end()) {
            waiting_[destination].push_back(std::move(ip));
            ask(destination);
            return;
        }
        if (std::byte* front = ip.prepend(wire::ethernet_size)) {
            const std::uint16_t type = destination.is_v4() ? wire::ether_type::ipv4 : wire::ether_type::ipv6;
            wire::MutableEthernet{front}.set(known->second, mac, type);
            frames_.push_back(std::move(ip));
        }
    }

    void ask(const wire::IpAddress& destination)
    {
        const auto own = std::find_if(addresses_.begin(), addresses_.end(),
                                      [&](const auto& one) { return one.is_v4() == destination.is_v4(); });
        if (own == addresses_.end()) {
            return;
        }
        if (destination.is_v4()) {
            Frame request = from_hex("0001 0800 0604 0001");
            request.resize(28);
            mac.store(request.data() + 8);
            own->store(request.data() + 14);
            destination.store(request.data() + 24);
            send_frame(wire::MacAddress::broadcast(), wire::ether_type::arp, request);
            return;
        }
        Frame solicitation(32);
        store8(solicitation.data(), wire::icmpv6_type::neighbour_solicitation);
        destination.store(solicitation.data() + 8);
        store8(solicitation.data() + 24, 1);
        store8(solicitation.data() + 25, 1);
        mac.store(solicitation.data() + 26);
        const wire::IpAddress group = destination.solicited_node();
        store16(solicitation.data() + 2, wire::checksum(solicitation, *own, group, wire::protocol::icmpv6));
        IpOptions hops;
        hops.hop_limit = 255;
        send_frame(group.multicast_mac(), wire::ether_type::ipv6,
                   ip_packet(*own, group, wire::protocol::icmpv6, solicitation, hops));
    }

    void flush()
    {
        std::size_t next = 0;
        while (next < frames_.size()) {
            packet::Burst out;
            while (next < frames_.size() && !out.full()) {
                out.push(std::move(frames_[next++]));
            }
            port_.transmit(0, out);
            out.clear(); // What a full wire did not take is lost, as on a wire
        }
        frames_.clear();
    }

    // tcp::Output
    [[nodiscard]] std::optional<tcp::Path> find_path(const wire::IpAddress&, const wire::IpAddress&) noexcept override
    {
        return tcp::Path{1, 1500};
    }
    [[nodiscard]] packet::Packet allocate(Purpose) noexcept override { return pool_.allocate(); }
    void transmit(packet::Packet&& packet, const wire::IpAddress&, const wire::IpAddress& destination,
                  tcp::Path) noexcept override
    {
        send_ip(std::move(packet), destination);
    }

    port::Port& port_;
    std::set<wire::IpAddress> addresses_;
    packet::HeapPool pool_{32768};
    packet::Burst burst_;
    std::vector<packet::Packet> frames_;
    std::map<wire::IpAddress, wire::MacAddress> neighbours_;
    std::map<wire::IpAddress, std::vector<packet::Packet>> waiting_;
    telemetry::CoreCounters counters_;
    tcp::ShardPorts ports_{{3, 4}, {10000, 60000}, ~std::uint64_t{0}};

public:
    wire::MacAddress mac = wire::MacAddress::from(2, 0, 0, 0, 0, 0xee);
    std::size_t malformed = 0; ///< Frames that no host would have taken
    tcp::Loop loop;
    tcp::Stack stack;
};

} // namespace sluice::test
