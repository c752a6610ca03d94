#include "forwarder_unit.hpp"

#include "first_forwarder.hpp"
#include "worker_unit.hpp"

#include <sluice/l4/answers.hpp>
#include <sluice/l4/tunnel.hpp>

namespace sluice::app {
namespace {

using telemetry::Counter;
using telemetry::DropReason;

l4::ForwarderOptions options_of(CoreContext& context, std::size_t flows) noexcept
{
    l4::ForwarderOptions options;
    options.index = static_cast<std::uint16_t>(*context.role().forwarder);
    options.forwarders = static_cast<std::uint16_t>(context.shared.layout.forwarder_core.size());
    options.core = static_cast<std::uint16_t>(context.core);
    options.flows = static_cast<std::uint32_t>(flows);
    options.secret = context.shared.secret;
    options.shards = context.shared.layout.forwarders;
    options.affinities = &context.shared.affinities;
    options.counters = &context.counters;
    return options;
}

/// 00-00-5E-00-01-xx and 00-00-5E-00-02-xx (RFC 9568 §7.3).
bool is_virtual_router(const wire::MacAddress& mac) noexcept
{
    const std::uint32_t prefix = load32(mac.octets.data());
    const auto family = static_cast<std::uint8_t>(mac.octets[4]);
    return prefix == 0x00005e00U && (family == 1 || family == 2);
}

/// The identifier of an echo reply when it is one that probes use: it says whose the reply is, as a port would.
std::optional<std::uint16_t> answered_probe(Bytes frame, const wire::ParsedPacket& parsed) noexcept
{
    if (!parsed.is_ip() || parsed.is_fragment) {
        return {};
    }
    const bool icmp =
        parsed.is_v4() ? parsed.protocol == wire::protocol::icmp : parsed.protocol == wire::protocol::icmpv6;
    if (!icmp) {
        return {};
    }
    const wire::Icmp message{frame.data() + parsed.transport_offset};
    const std::uint8_t reply = parsed.is_v4() ? wire::icmp_type::echo_reply : wire::icmpv6_type::echo_reply;
    if (message.type() != reply || !flow::local_ports::probes.contains(message.identifier())) {
        return {};
    }
    return message.identifier();
}

} // namespace

ForwarderUnit::ForwarderUnit(CoreContext& context, IpOutput& output, FirstForwarder* first, WorkerUnit* worker,
                             std::size_t flows)
    : context_{context}, output_{output}, first_{first}, worker_{worker}, layer4_{options_of(context, flows),
                                                                                  context.shared.servers,
                                                                                  context.shared.address_states, *this},
      items_(packet::Burst::capacity)
{
    for (std::size_t port = 0; port < context.shared.ports.size(); ++port) {
        for (std::uint16_t queue = 0; queue < context.shared.ports[port]->capabilities().receive_queues; ++queue) {
            if (context.shared.layout.receive_core(queue) == context.core) {
                queues_.push_back({static_cast<std::uint16_t>(port), queue});
            }
        }
    }
}

void ForwarderUnit::apply(const control::Snapshot& snapshot) noexcept
{
    if (table_ != nullptr && table_ != snapshot.neighbours) {
        layer4_.forget_next_hops();
    }
    table_ = snapshot.neighbours;
}

std::size_t ForwarderUnit::receive(bool& mail_read) noexcept
{
    layer4_.begin_turn(*context_.snapshot->services, context_.now);
    std::size_t total = 0;
    for (const Queue& queue : queues_) {
        const std::size_t count = context_.shared.ports[queue.port]->receive(queue.number, burst_);
        if (count == 0) {
            continue;
        }
        mail_read = mail_read && count < packet::Burst::capacity;
        total += count;
        if (context_.tap == nullptr) [[likely]] {
            process_burst<false>(queue.port);
        } else {
            process_tapped(queue.port);
        }
        burst_.clear();
    }
    context_.counters.count(Counter::packets_received, total);
    return total;
}

void ForwarderUnit::process_tapped(std::uint16_t port) noexcept
{
    if (context_.tap->watches_drops()) {
        process_burst<true>(port);
    } else {
        context_.tap->received(port, burst_);
        process_burst<false>(port);
    }
}

/// Two passes: while the second works on one packet, the memory of the next ones is on its way.
template <bool watched>
void ForwarderUnit::process_burst(std::uint16_t port) noexcept
{
    const neigh::Interface& interface = *table_->interface(static_cast<std::uint8_t>(port));
    std::size_t bytes = 0;
    for (std::size_t index = 0; index < burst_.size(); ++index) {
        packet::Packet& packet = burst_[index];
        Item& item = items_[index];
        packet.set_port(static_cast<std::uint8_t>(port));
        bytes += packet.size();
        const Bytes frame = std::as_const(packet).bytes();
        auto problem = wire::parse_frame(frame, item.parsed);
        if (!problem) {
            problem = refuse(frame, item.parsed, interface);
        } else if (problem == DropReason::truncated &&
                   frame.size() > item.parsed.network_offset + std::size_t{interface.mtu}) {
            problem = DropReason::larger_than_mtu; // A driver that cuts what does not fit leaves its beginning.
        }
        if (problem) {
            context_.counters.drop(*problem);
            if constexpr (watched) {
                context_.tap->dropped(port, frame, *problem);
            }
            packet.reset();
            continue;
        }
        layer4_.prepare(frame, item.parsed, item.prepared);
    }
    context_.counters.count(Counter::bytes_received, bytes);
    for (std::size_t index = 0; index < burst_.size(); ++index) {
        if (burst_[index]) {
            layer4_.prefetch_record(items_[index].prepared);
        }
    }
    for (std::size_t index = 0; index < burst_.size(); ++index) {
        if (burst_[index]) {
            Item& item = items_[index];
            if constexpr (watched) {
                context_.tap->keep(port, std::as_const(burst_[index]).bytes(), context_.counters);
            }
            const l4::Verdict verdict = layer4_.process(burst_[index], item.parsed, item.prepared, context_.now);
            act(std::move(burst_[index]), item.parsed, verdict);
            if constexpr (watched) {
                context_.tap->judge(context_.counters);
            }
        }
    }
}

std::optional<DropReason> ForwarderUnit::refuse(Bytes frame, const wire::ParsedPacket& parsed,
                                                const neigh::Interface& interface) const noexcept
{
    if (parsed.vlan !=
        0) { // Another link than ours, although on the same wire. VLAN 0 is a priority (IEEE 802.1Q §9.6).
        return DropReason::not_ip;
    }
    const wire::Ethernet ethernet{frame.data()};
    const wire::MacAddress destination = ethernet.destination();
    if (ethernet.source() == interface.mac || ethernet.source().is_multicast()) {
        return DropReason::source_address_invalid;
    }
    if (!destination.is_multicast() && destination != interface.mac && !is_virtual_router(destination)) {
        return DropReason::not_our_mac;
    }
    if (!parsed.is_ip()) {
        return {};
    }
    if (destination.is_multicast() && !parsed.destination.is_multicast() && !parsed.destination.is_broadcast()) {
        return DropReason::unicast_in_multicast; // RFC 1122 §3.3.6: an answer to it would be asked of every host at
                                                 // once.
    }
    // `::` is a legal source of neighbour discovery (RFC 4861 §7.1.1) and of listener reports, of nothing else.
    const bool unspecified =
        parsed.source.is_unspecified() && (parsed.is_v4() || parsed.protocol != wire::protocol::icmpv6);
    if (unspecified || parsed.source.is_multicast() || parsed.source.is_loopback() || parsed.source.is_broadcast() ||
        parsed.destination.is_loopback()) {
        return DropReason::source_address_invalid;
    }
    return {};
}

/// A segment of a connection of before an address went to the peer: see Succession. What is sent to the virtual MAC is
/// the peer's even if a switch delivers it here, and a new connection is the peer's in any case.
bool ForwarderUnit::is_passed_back(Bytes frame, std::uint8_t port, const wire::ParsedPacket& parsed) const noexcept
{
    if (parsed.protocol != wire::protocol::tcp || parsed.is_fragment || (parsed.tcp_flags & wire::tcp_flag::syn) != 0 ||
        wire::Ethernet{frame.data()}.destination() != table_->interface(port)->mac) {
        return false;
    }
    const neigh::LocalAddress* address = table_->addresses.find(port, parsed.destination);
    return address != nullptr &&
           neigh::LocalAddresses::ownership(*address, context_.shared.address_states) == neigh::Ownership::leaving;
}

void ForwarderUnit::forward(packet::Packet&& packet, wire::ParsedPacket& parsed, bool ports_learned) noexcept
{
    const l4::Verdict verdict = layer4_.process_handed_over(packet, parsed, ports_learned, context_.now);
    act(std::move(packet), parsed, verdict);
}

void ForwarderUnit::act(packet::Packet&& packet, wire::ParsedPacket& parsed, const l4::Verdict& verdict) noexcept
{
    switch (verdict.action) {
    case l4::Action::transmit:
        context_.counters.count(Counter::packets_forwarded);
        transmit(std::move(packet), parsed, verdict.adjacency);
        return;
    case l4::Action::split:
        context_.counters.count(Counter::packets_forwarded);
        split(std::move(packet), parsed, verdict);
        return;
    case l4::Action::to_worker:
        context_.counters.count(Counter::packets_to_workers);
        give_to_worker(std::move(packet), parsed, verdict.shard);
        return;
    case l4::Action::to_forwarder:
        context_.hand_off(context_.shared.layout.forwarder_core_of(verdict.shard), handoff::Kind::forward,
                          std::move(packet), parsed, verdict.ports_learned);
        return;
    case l4::Action::local:
        if (const auto port = answered_probe(std::as_const(packet).bytes(), parsed)) {
            give_to_worker(std::move(packet), parsed, flow::shard_of_local_port(*port));
        } else {
            give_to_first(std::move(packet), parsed);
        }
        return;
    case l4::Action::reset:
        context_.counters.drop(verdict.reason);
        transmit(std::move(packet), parsed, verdict.adjacency);
        return;
    case l4::Action::icmp_error:
        context_.counters.drop(verdict.reason);
        report_error(std::move(packet), parsed, verdict);
        return;
    case l4::Action::drop:
        if (verdict.reason == DropReason::backup_address &&
            is_passed_back(std::as_const(packet).bytes(), packet.port(), parsed)) {
            context_.counters.count(Counter::segments_taken_back);
            give_to_worker(std::move(packet), parsed, flow::shard_of_client(parsed.source, parsed.source_port));
            return;
        }
        context_.counters.drop(verdict.reason);
        packet.reset();
        return;
    }
}

void ForwarderUnit::transmit(packet::Packet&& packet, const wire::ParsedPacket& parsed,
                             neigh::AdjacencyIndex adjacency) noexcept
{
    packet.trim_front(parsed.network_offset);
    output_.send(std::move(packet), adjacency, parsed.source, parsed.destination);
}

void ForwarderUnit::split(packet::Packet&& packet, const wire::ParsedPacket& parsed,
                          const l4::Verdict& verdict) noexcept
{
    packet::Burst parts;
    if (!l4::split_ipv4(std::as_const(packet).bytes(), parsed, verdict.mtu, context_.pool, parts)) {
        context_.counters.drop(DropReason::pool_empty);
    }
    for (packet::Packet& part : parts) {
        wire::ParsedPacket sent = parsed;
        if (verdict.tunnel != nullptr && !l4::enter_tunnel(part, sent, *verdict.tunnel)) {
            context_.counters.drop(DropReason::pool_empty);
            continue;
        }
        transmit(std::move(part), sent, verdict.adjacency);
    }
    packet.reset();
}

void ForwarderUnit::give_to_worker(packet::Packet&& packet, const wire::ParsedPacket& parsed,
                                   flow::Shard shard) noexcept
{
    const std::size_t core = context_.shared.layout.worker_core_of(shard);
    if (core == context_.core && worker_ != nullptr) {
        worker_->receive(std::move(packet), parsed);
    } else {
        context_.hand_off(core, handoff::Kind::worker, std::move(packet), parsed);
    }
}

void ForwarderUnit::give_to_first(packet::Packet&& packet, const wire::ParsedPacket& parsed) noexcept
{
    if (!packet.checksum_verified()) {
        if (const auto problem = wire::verify_transport(std::as_const(packet).bytes(), parsed)) {
            context_.counters.drop(*problem);
            packet.reset();
            return;
        }
    }
    if (first_ != nullptr) {
        first_->input(std::move(packet), parsed);
    } else {
        context_.hand_off(context_.shared.layout.forwarder_core.front(), handoff::Kind::local, std::move(packet),
                          parsed);
    }
}

void ForwarderUnit::report_error(packet::Packet&& packet, const wire::ParsedPacket& parsed,
                                 const l4::Verdict& verdict) noexcept
{
    const Bytes frame = std::as_const(packet).bytes();
    const neigh::Interface& interface = *table_->interface(packet.port());
    if (!neigh::may_report_error(frame, parsed)) {
        packet.reset();
        return;
    }
    if (!errors_.allow(context_.now)) {
        context_.counters.count(Counter::answers_suppressed);
        packet.reset();
        return;
    }
    // From the address that was addressed when it is ours; what only passes through is answered from the port's own.
    wire::IpAddress source = parsed.destination;
    if (table_->addresses.find(packet.port(), parsed.destination) == nullptr) {
        const auto hop = table_->routes.lookup(packet.port(), parsed.source);
        source = hop ? hop->source : wire::IpAddress{};
    }
    packet::Packet answer =
        neigh::make_icmp_error(context_.reserve, frame, parsed, verdict.icmp, verdict.mtu, source, interface.mac);
    if (answer) {
        context_.egress.send(packet.port(), std::move(answer));
    } else {
        context_.counters.count(Counter::pool_exhausted);
    }
    packet.reset();
}

std::optional<l4::NextHop> ForwarderUnit::find(const wire::IpAddress& source,
                                               const wire::IpAddress& destination) noexcept
{
    const auto route = output_.find(source, destination);
    if (!route) {
        return {};
    }
    return l4::NextHop{route->adjacency, route->next_hop.mtu};
}

std::uint16_t ForwarderUnit::mtu(neigh::AdjacencyIndex adjacency) noexcept
{
    const neigh::Adjacency next = context_.shared.adjacencies.read(adjacency);
    const neigh::Interface* interface =
        next.state == neigh::NeighbourState::none ? nullptr : table_->interface(next.port);
    return interface == nullptr ? std::uint16_t{0} : interface->mtu;
}

} // namespace sluice::app
