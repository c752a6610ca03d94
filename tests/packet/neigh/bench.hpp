// The neighbour module between a packet in and the packets out, in virtual time. Every frame that comes out is read
// back by the parser, checksums included, and described in words.
#pragma once

#include <sluice/neigh/neighbours.hpp>
#include <sluice/packet/heap_pool.hpp>
#include <sluice/wire/arp.hpp>
#include <sluice/wire/checksum.hpp>
#include <sluice/wire/mld.hpp>
#include <sluice/wire/ndp.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace sluice::neigh::test {

using namespace std::chrono_literals;
using telemetry::DropReason;

inline wire::IpAddress ip(std::string_view text) { return wire::IpAddress::parse(text).value(); }
inline wire::Prefix prefix(std::string_view text) { return wire::Prefix::parse(text).value(); }
inline wire::MacAddress mac(std::string_view text) { return wire::MacAddress::parse(text).value(); }

inline const wire::MacAddress our_mac = mac("02:00:00:00:00:11");
inline const wire::MacAddress peer_mac = mac("02:00:00:00:00:99");
inline const wire::MacAddress other_mac = mac("02:00:00:00:00:aa");
inline const wire::MacAddress virtual_mac4 = mac("00:00:5e:00:01:33");
inline const wire::MacAddress virtual_mac6 = mac("00:00:5e:00:02:33");

using Frame = std::vector<std::byte>;

inline void ethernet(Frame& frame, const wire::MacAddress& to, const wire::MacAddress& from, std::uint16_t type)
{
    frame.resize(wire::ethernet_size);
    wire::MutableEthernet{frame.data()}.set(to, from, type);
}

struct ArpFields {
    wire::ArpOperation operation = wire::ArpOperation::request;
    wire::MacAddress sender_mac = peer_mac;
    std::string sender = "192.0.2.1";
    std::string target = "192.0.2.11";
    wire::MacAddress target_mac{};
    wire::MacAddress to = wire::MacAddress::broadcast();
};

/// Padded to 60 bytes, as Ethernet does.
inline Frame arp(const ArpFields& fields)
{
    Frame frame;
    ethernet(frame, fields.to, fields.sender_mac, wire::ether_type::arp);
    frame.resize(wire::ethernet_minimum_frame);
    wire::MutableArp{frame.data() + wire::ethernet_size}.set(fields.operation, fields.sender_mac, ip(fields.sender),
                                                             fields.target_mac, ip(fields.target));
    return frame;
}

/// An IPv4 or IPv6 packet with its Ethernet header; the checksum of ICMP and ICMPv6 is filled in.
inline Frame ip_frame(std::string_view from, std::string_view to, std::uint8_t protocol,
                      const std::vector<std::byte>& payload, std::uint8_t hop_limit = 64,
                      const wire::MacAddress& from_mac = peer_mac, const wire::MacAddress& to_mac = our_mac)
{
    const wire::IpAddress source = ip(from);
    const wire::IpAddress destination = ip(to);
    Frame frame;
    ethernet(frame, to_mac, from_mac, source.is_v4() ? wire::ether_type::ipv4 : wire::ether_type::ipv6);
    const std::size_t header = source.is_v4() ? wire::ipv4_minimum_size : wire::ipv6_size;
    frame.resize(wire::ethernet_size + header + payload.size());
    std::byte* const at = frame.data() + wire::ethernet_size;
    if (source.is_v4()) {
        store16(at, 0x4500);
        store16(at + 2, static_cast<std::uint16_t>(header + payload.size()));
        store8(at + 8, hop_limit);
        store8(at + 9, protocol);
        source.store(at + 12);
        destination.store(at + 16);
        store16(at + 10, wire::checksum(Bytes{at, header}));
    } else {
        store32(at, 0x60000000U);
        store16(at + 4, static_cast<std::uint16_t>(payload.size()));
        store8(at + 6, protocol);
        store8(at + 7, hop_limit);
        source.store(at + 8);
        destination.store(at + 24);
    }
    std::copy(payload.begin(), payload.end(), at + header);
    if (protocol == wire::protocol::icmp || protocol == wire::protocol::icmpv6) {
        const Bytes message{at + header, payload.size()};
        store16(at + header + 2,
                source.is_v4() ? wire::checksum(message) : wire::checksum(message, source, destination, protocol));
    }
    return frame;
}

inline std::vector<std::byte> icmp(std::uint8_t type, std::uint8_t code, std::size_t data = 8)
{
    std::vector<std::byte> message(wire::icmp_size + data);
    message[0] = std::byte{type};
    message[1] = std::byte{code};
    store32(message.data() + 4, 0x12340001U);
    for (std::size_t index = wire::icmp_size; index < message.size(); ++index) {
        message[index] = static_cast<std::byte>(index);
    }
    return message;
}

inline std::vector<std::byte>
neighbour_message(std::uint8_t type, std::uint8_t flags, std::string_view target,
                  const std::vector<std::pair<wire::NeighbourOption, wire::MacAddress>>& options)
{
    std::vector<std::byte> message(wire::neighbour_message_size + options.size() * wire::link_layer_option_size);
    wire::MutableNeighbour{message.data()}.set(type, flags, ip(target));
    std::byte* next = message.data() + wire::neighbour_message_size;
    for (const auto& [option, address] : options) {
        wire::emit_link_layer_option(next, option, address);
        next += wire::link_layer_option_size;
    }
    return message;
}

inline std::string describe_icmpv6(Bytes frame, const wire::ParsedPacket& parsed)
{
    const wire::Neighbour view{frame.data() + parsed.transport_offset};
    const std::string ends = parsed.source.to_string() + " > " + parsed.destination.to_string();
    switch (view.type()) {
    case wire::icmpv6_type::neighbour_solicitation:
    case wire::icmpv6_type::neighbour_advertisement: {
        const auto options =
            wire::parse_neighbour_options(frame.subspan(parsed.transport_offset + wire::neighbour_message_size));
        std::string text =
            view.type() == wire::icmpv6_type::neighbour_solicitation ? "solicitation " : "advertisement ";
        text += ends + " target " + view.target().to_string();
        if (view.type() == wire::icmpv6_type::neighbour_advertisement) {
            text += std::string{" flags "} + (view.router() ? "R" : "") + (view.solicited() ? "S" : "") +
                    (view.override_cache() ? "O" : "");
        }
        if (options && options->source_link_layer) {
            text += " source " + options->source_link_layer->to_string();
        }
        if (options && options->target_link_layer) {
            text += " is " + options->target_link_layer->to_string();
        }
        return text + (parsed.hop_limit == 255 ? "" : " WRONG HOP LIMIT");
    }
    case wire::icmpv6_type::listener_report_v2: {
        const std::byte* message = frame.data() + parsed.transport_offset;
        std::string text = "report " + ends;
        for (std::size_t index = 0; index < load32(message + 4); ++index) {
            const std::byte* record = message + wire::mld_report_header_size + index * wire::mld_record_size;
            text += " " + std::to_string(load8(record)) + ":" + wire::IpAddress::load_v6(record + 4).to_string();
        }
        return text + (parsed.hop_limit == 1 ? "" : " WRONG HOP LIMIT");
    }
    case wire::icmpv6_type::echo_reply:
        return "echo reply " + ends + " length " + std::to_string(parsed.payload_size());
    default:
        return "icmpv6 " + std::to_string(view.type()) + '/' + std::to_string(view.code()) + ' ' + ends + " rest " +
               std::to_string(wire::Icmp{view.data()}.rest());
    }
}

/// "ETHERNET-SOURCE>ETHERNET-DESTINATION what", or why a receiver would throw it away.
inline std::string describe(Bytes frame)
{
    wire::ParsedPacket parsed;
    if (const auto problem = wire::parse_frame(frame, parsed)) {
        return "unparsable: " + std::string{telemetry::text(*problem).name};
    }
    if (const auto problem = wire::verify_transport(frame, parsed)) {
        return "bad checksum: " + std::string{telemetry::text(*problem).name};
    }
    const wire::Ethernet link{frame.data()};
    std::string text = link.source().to_string() + '>' + link.destination().to_string() + ' ';
    if (parsed.kind == wire::NetworkKind::arp) {
        const wire::Arp view{frame.data() + parsed.network_offset};
        text += view.operation() == wire::ArpOperation::request ? "arp who-has " : "arp reply ";
        return text + view.target().to_string() + " tell " + view.sender().to_string() + " is " +
               view.sender_mac().to_string();
    }
    if (parsed.protocol == wire::protocol::icmpv6) {
        return text + describe_icmpv6(frame, parsed);
    }
    const std::string ends = parsed.source.to_string() + " > " + parsed.destination.to_string();
    if (parsed.protocol == wire::protocol::icmp) {
        const wire::Icmp view{frame.data() + parsed.transport_offset};
        if (view.type() == wire::icmp_type::echo_reply) {
            return text + "echo reply " + ends + " length " + std::to_string(parsed.payload_size());
        }
        return text + "icmp " + std::to_string(view.type()) + '/' + std::to_string(view.code()) + ' ' + ends +
               " rest " + std::to_string(view.rest());
    }
    return text + "protocol " + std::to_string(parsed.protocol) + ' ' + ends;
}

class Bench final : private Output {
public:
    explicit Bench(Limits limits = {}, std::size_t adjacency_capacity = 64)
        : adjacencies{adjacency_capacity}, neighbours{limits, adjacencies, states, pool, *this, counters}
    {
    }

    /// One port, 192.0.2.11/24 and 2001:db8::11/64 with gateways when asked for, virtual 192.0.2.100 and 2001:db8::100.
    void configure(bool gateways = false)
    {
        Interface interface {
            0, our_mac, 1500, {prefix("192.0.2.11/24"), prefix("2001:db8::11/64")}, {}
        };
        if (gateways) {
            interface.routes = {{prefix("0.0.0.0/0"), ip("192.0.2.1")}, {prefix("::/0"), ip("fe80::1")}};
        }
        apply({interface}, {{0, ip("192.0.2.100"), virtual_mac4}, {0, ip("2001:db8::100"), virtual_mac6}});
    }
    void apply(std::vector<Interface> interfaces, const std::vector<VirtualAddress>& virtual_addresses)
    {
        table = std::make_shared<const Table>(std::move(interfaces), virtual_addresses, table.get(), states);
        neighbours.replace(table, now);
    }
    void hold_virtual()
    {
        neighbours.set_ownership(0, ip("192.0.2.100"), Ownership::active);
        neighbours.set_ownership(0, ip("2001:db8::100"), Ownership::active);
    }
    /// As the forwarder does: parse, verify, hand over.
    void receive(const Frame& frame, std::uint8_t port = 0)
    {
        packet::Packet packet = pool.allocate();
        packet.set_port(port);
        std::memcpy(packet.append(frame.size()), frame.data(), frame.size());
        wire::ParsedPacket parsed;
        ASSERT_EQ(wire::parse_frame(packet.bytes(), parsed), std::nullopt);
        ASSERT_EQ(wire::verify_transport(packet.bytes(), parsed), std::nullopt);
        neighbours.input(parsed, std::move(packet), now);
    }
    [[nodiscard]] packet::Packet ip_packet(std::string_view to, std::size_t size = 40)
    {
        const wire::IpAddress destination = ip(to);
        const Frame frame =
            ip_frame(destination.is_v4() ? "192.0.2.11" : "2001:db8::11", to, 253, std::vector<std::byte>(size));
        packet::Packet packet = pool.allocate();
        std::memcpy(packet.append(frame.size()), frame.data(), frame.size());
        packet.trim_front(wire::ethernet_size);
        return packet;
    }
    void run(Duration duration)
    {
        const TimePoint end = now + duration;
        while (neighbours.next_deadline() <= end) {
            now = std::max(now, neighbours.next_deadline());
            neighbours.advance(now);
        }
        now = end;
        neighbours.advance(now);
    }
    /// What was sent since the last call.
    [[nodiscard]] std::vector<std::string> sent() { return std::exchange(sent_, {}); }
    [[nodiscard]] std::vector<std::string> events() { return std::exchange(events_, {}); }
    /// Drops since the last call, by name.
    [[nodiscard]] std::vector<std::string> drops()
    {
        std::vector<std::string> names;
        for (std::size_t index = 0; index < telemetry::drop_reason_count; ++index) {
            const auto reason = static_cast<DropReason>(index);
            for (; seen_[index] < counters.get(reason); ++seen_[index]) {
                names.emplace_back(telemetry::text(reason).name);
            }
        }
        return names;
    }
    void forget()
    {
        static_cast<void>(sent());
        static_cast<void>(events());
        static_cast<void>(drops());
    }
    [[nodiscard]] NeighbourState state(std::string_view address) const
    {
        return adjacencies.read(adjacencies.find(0, ip(address))).state;
    }

    TimePoint now{1000s};
    packet::HeapPool pool{512};
    telemetry::CoreCounters counters;
    AddressStates states;
    Adjacencies adjacencies;
    std::shared_ptr<const Table> table;
    Frame last_frame;

private:
    void send(std::uint8_t port, packet::Packet&& frame) noexcept override
    {
        const packet::Packet packet = std::move(frame);
        last_frame.assign(packet.bytes().begin(), packet.bytes().end());
        sent_.push_back((port == 0 ? "" : "port " + std::to_string(port) + ' ') + describe(packet.bytes()));
    }
    void report(const Event& event) noexcept override
    {
        events_.push_back(std::string{name(event.kind)} + ' ' + event.address.to_string() + ' ' +
                          event.mac.to_string());
    }

    std::vector<std::string> sent_;
    std::vector<std::string> events_;
    std::array<std::uint64_t, telemetry::drop_reason_count> seen_{};

public:
    Neighbours neighbours; ///< Last: its packets go home before the pool does.
};

} // namespace sluice::neigh::test
