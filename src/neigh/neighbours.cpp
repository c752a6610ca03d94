#include <sluice/neigh/neighbours.hpp>

#include <neigh/cache.hpp>
#include <neigh/listener.hpp>

#include <sluice/base/result.hpp>

#include <algorithm>

namespace sluice::neigh {

using telemetry::Counter;
using telemetry::DropReason;
using wire::ParsedPacket;

namespace {

constexpr Duration duplicate_report_spacing = std::chrono::seconds{10};

} // namespace

class Neighbours::Implementation {
public:
    Implementation(const Limits& limits, Adjacencies& adjacencies, AddressStates& states, packet::Pool& reserve,
                   Output& output, telemetry::CoreCounters& counters)
        : states_{states}, reserve_{reserve}, output_{output}, counters_{counters}, frames_{reserve, output, counters},
          cache_{limits, adjacencies, frames_, output, counters}, listener_{frames_}, error_limit_{
                                                                                          limits.icmp_errors_per_second}
    {
    }

    std::shared_ptr<const Table> replace(std::shared_ptr<const Table> next, TimePoint now) noexcept;
    void input(const ParsedPacket& parsed, packet::Packet&& frame, TimePoint now) noexcept;
    void report_error(const ParsedPacket& parsed, Bytes frame, std::uint8_t port, wire::IcmpErrorKind kind,
                      std::uint32_t mtu, TimePoint now) noexcept;
    void announce(std::uint8_t port, const wire::IpAddress& address, const wire::MacAddress& mac) noexcept;
    void link_up(std::uint8_t port, TimePoint now) noexcept;
    void set_ownership(std::uint8_t port, const wire::IpAddress& address, Ownership ownership) noexcept;
    void route(packet::Packet&& ip, TimePoint now) noexcept;
    [[nodiscard]] bool gateways_decided() const noexcept;

    [[nodiscard]] Cache& cache() noexcept { return cache_; }
    [[nodiscard]] const Table* table() const noexcept { return table_.get(); }
    void advance(TimePoint now) noexcept
    {
        cache_.advance(now);
        if (table_ != nullptr && listener_.next_deadline() <= now) {
            listener_.advance(*table_, now);
        }
    }
    [[nodiscard]] TimePoint next_deadline() const noexcept
    {
        return std::min(cache_.next_deadline(), listener_.next_deadline());
    }

private:
    using Verdict = std::optional<DropReason>; ///< Empty: the packet did its work

    [[nodiscard]] Verdict arp(const Interface& interface, const ParsedPacket& parsed, Bytes frame,
                              TimePoint now) noexcept;
    [[nodiscard]] Verdict icmpv6(const Interface& interface, const ParsedPacket& parsed, packet::Packet& frame,
                                 TimePoint now) noexcept;
    [[nodiscard]] Verdict solicitation(const Interface& interface, const ParsedPacket& parsed, Bytes frame,
                                       TimePoint now) noexcept;
    [[nodiscard]] Verdict advertisement(const Interface& interface, const ParsedPacket& parsed, Bytes frame,
                                        TimePoint now) noexcept;
    [[nodiscard]] Verdict listener_query(const Interface& interface, const ParsedPacket& parsed, Bytes frame,
                                         TimePoint now) noexcept;
    [[nodiscard]] Verdict echo(const Interface& interface, const ParsedPacket& parsed, packet::Packet& frame) noexcept;
    /// The entry of an address that we hold now, or why the packet gets no answer.
    [[nodiscard]] Expected<const LocalAddress*, DropReason> held(std::uint8_t port,
                                                                 const wire::IpAddress& address) const noexcept;
    /// True when `address` is ours and so nobody's on the link; reports the duplicate when `mac` is a stranger's.
    [[nodiscard]] bool is_duplicate(const Interface& interface, const wire::IpAddress& address,
                                    const wire::MacAddress& mac, TimePoint now) noexcept;

    AddressStates& states_;
    packet::Pool& reserve_;
    Output& output_;
    telemetry::CoreCounters& counters_;
    Frames frames_;
    Cache cache_;
    Listener listener_;
    RateLimit error_limit_;
    std::shared_ptr<const Table> table_;
    TimePoint duplicate_report_after_{};
};

std::shared_ptr<const Table> Neighbours::Implementation::replace(std::shared_ptr<const Table> next,
                                                                 TimePoint now) noexcept
{
    std::swap(table_, next);
    const Table* const previous = next.get();
    cache_.set_table(table_.get(), now);
    listener_.change(previous, *table_, now);
    for (const Interface& interface : table_->interfaces) {
        const Interface* before = previous != nullptr ? previous->interface(interface.port) : nullptr;
        for (const wire::Prefix& own : interface.addresses) {
            const bool known =
                before != nullptr && before->mac == interface.mac &&
                std::find(before->addresses.begin(), before->addresses.end(), own) != before->addresses.end();
            if (!known) {
                announce(interface.port, own.address, interface.mac);
            }
        }
    }
    for (const Routes::Gateway& gateway : table_->routes.gateways()) {
        cache_.keep(gateway.port, gateway.address, now);
    }
    return next;
}

void Neighbours::Implementation::link_up(std::uint8_t port, TimePoint now) noexcept
{
    const Interface* interface = table_ != nullptr ? table_->interface(port) : nullptr;
    if (interface == nullptr) {
        return;
    }
    for (const wire::Prefix& own : interface->addresses) {
        announce(port, own.address, interface->mac);
    }
    listener_.link_up(port, now);
    cache_.link_up(port, now);
}

void Neighbours::Implementation::announce(std::uint8_t port, const wire::IpAddress& address,
                                          const wire::MacAddress& mac) noexcept
{
    if (address.is_v4()) {
        frames_.announce_arp(port, mac, address);
        return;
    }
    // RFC 9568 §6.4.1: the virtual router is a router; our own address is a host's.
    const Interface* interface = table_ != nullptr ? table_->interface(port) : nullptr;
    frames_.announce_nd(port, mac, address, interface == nullptr || interface->mac != mac);
}

void Neighbours::Implementation::set_ownership(std::uint8_t port, const wire::IpAddress& address,
                                               Ownership ownership) noexcept
{
    const LocalAddress* entry = table_ != nullptr ? table_->addresses.find(port, address) : nullptr;
    if (entry != nullptr && entry->is_virtual) {
        states_.set(entry->place, ownership);
    }
}

bool Neighbours::Implementation::gateways_decided() const noexcept
{
    if (table_ == nullptr) {
        return false;
    }
    const std::vector<Routes::Gateway>& gateways = table_->routes.gateways();
    return std::all_of(gateways.begin(), gateways.end(),
                       [&](const Routes::Gateway& gateway) { return cache_.decided(gateway.port, gateway.address); });
}

void Neighbours::Implementation::input(const ParsedPacket& parsed, packet::Packet&& frame, TimePoint now) noexcept
{
    packet::Packet packet = std::move(frame);
    const Interface* interface = table_ != nullptr ? table_->interface(packet.port()) : nullptr;
    Verdict verdict = DropReason::icmp_ignored;
    if (interface == nullptr) {
        verdict = DropReason::stopped;
    } else if (parsed.kind == wire::NetworkKind::arp) {
        verdict = arp(*interface, parsed, packet.bytes(), now);
    } else if (parsed.source.is_multicast() || parsed.source.is_loopback()) {
        verdict = DropReason::source_address_invalid;
    } else if (parsed.is_fragment) {
        verdict = DropReason::fragment_unsupported;
    } else if (parsed.is_v4() && parsed.protocol == wire::protocol::icmp) {
        if (wire::Icmp{packet.data() + parsed.transport_offset}.type() == wire::icmp_type::echo_request) {
            verdict = echo(*interface, parsed, packet);
        }
    } else if (!parsed.is_v4() && parsed.protocol == wire::protocol::icmpv6) {
        verdict = icmpv6(*interface, parsed, packet, now);
    }
    if (verdict) {
        counters_.drop(*verdict);
    }
}

Expected<const LocalAddress*, DropReason>
Neighbours::Implementation::held(std::uint8_t port, const wire::IpAddress& address) const noexcept
{
    const LocalAddress* entry = table_->addresses.find(port, address);
    if (entry == nullptr) {
        return failure(DropReason::not_ours);
    }
    if (LocalAddresses::ownership(*entry, states_) != Ownership::active) {
        return failure(DropReason::backup_address);
    }
    return entry;
}

bool Neighbours::Implementation::is_duplicate(const Interface& interface, const wire::IpAddress& address,
                                              const wire::MacAddress& mac, TimePoint now) noexcept
{
    const LocalAddress* entry = table_->addresses.find(interface.port, address);
    if (entry == nullptr) {
        return false;
    }
    // In backup it is the peer that speaks; with the virtual MAC it is the peer too, and VRRP settles who gives way.
    if (LocalAddresses::ownership(*entry, states_) == Ownership::active && mac != entry->mac &&
        now >= duplicate_report_after_) {
        duplicate_report_after_ = now + duplicate_report_spacing;
        output_.report({Event::Kind::duplicate_address, now, interface.port, address, mac});
        announce(interface.port, address, entry->mac); // RFC 5227 §2.4 (b): defend it, not more often than this.
    }
    return true;
}

Neighbours::Implementation::Verdict Neighbours::Implementation::arp(const Interface& interface,
                                                                    const ParsedPacket& parsed, Bytes frame,
                                                                    TimePoint now) noexcept
{
    const wire::Arp view{frame.data() + parsed.network_offset};
    const wire::MacAddress mac = view.sender_mac();
    const wire::IpAddress sender = view.sender();
    if (!view.is_ipv4_over_ethernet() || mac.is_multicast() || mac == wire::MacAddress{} || sender.is_multicast() ||
        sender.is_broadcast() || sender.is_loopback()) {
        return DropReason::arp_invalid;
    }
    if (mac == interface.mac) {
        return DropReason::source_address_invalid; // Our own, looped back.
    }
    const bool request = view.operation() == wire::ArpOperation::request;
    bool heeded = false;
    if (!sender.is_unspecified()) {
        if (is_duplicate(interface, sender, mac, now)) {
            return std::nullopt;
        }
        // RFC 826: whoever speaks is believed. An answer to us is proof that it hears us too.
        const bool solicited = !request && view.target_mac() == interface.mac;
        heeded = cache_.learn(interface.port, sender, {mac, solicited, true}, now);
    }
    if (!request || view.target() == sender) {
        return heeded ? Verdict{} : DropReason::neighbour_ignored;
    }
    const auto target = held(interface.port, view.target());
    if (!target) {
        return heeded                                   ? Verdict{}
               : target.error() == DropReason::not_ours ? DropReason::neighbour_ignored
                                                        : target.error();
    }
    frames_.reply_arp(interface.port, (*target)->mac, view.target(), mac, sender);
    return std::nullopt;
}

Neighbours::Implementation::Verdict Neighbours::Implementation::icmpv6(const Interface& interface,
                                                                       const ParsedPacket& parsed,
                                                                       packet::Packet& frame, TimePoint now) noexcept
{
    const wire::Icmp message{frame.data() + parsed.transport_offset};
    switch (message.type()) {
    case wire::icmpv6_type::echo_request:
        return echo(interface, parsed, frame);
    case wire::icmpv6_type::neighbour_solicitation:
    case wire::icmpv6_type::neighbour_advertisement:
        // RFC 4861 §7.1.1, §7.1.2: what both must be.
        if (parsed.hop_limit != wire::neighbour_hop_limit || message.code() != 0 ||
            parsed.transport_size() < wire::neighbour_message_size) {
            return DropReason::nd_invalid;
        }
        return message.type() == wire::icmpv6_type::neighbour_solicitation
                   ? solicitation(interface, parsed, frame.bytes(), now)
                   : advertisement(interface, parsed, frame.bytes(), now);
    case wire::icmpv6_type::listener_query:
        return listener_query(interface, parsed, frame.bytes(), now);
    default:
        return DropReason::icmp_ignored;
    }
}

Neighbours::Implementation::Verdict Neighbours::Implementation::solicitation(const Interface& interface,
                                                                             const ParsedPacket& parsed, Bytes frame,
                                                                             TimePoint now) noexcept
{
    const wire::Neighbour view{frame.data() + parsed.transport_offset};
    const auto options =
        wire::parse_neighbour_options(frame.subspan(parsed.transport_offset + wire::neighbour_message_size,
                                                    parsed.transport_size() - wire::neighbour_message_size));
    const wire::IpAddress target = view.target();
    const bool detection = parsed.source.is_unspecified(); // Duplicate address detection (RFC 4862 §5.4)
    if (!options || target.is_multicast() ||
        (detection && (options->source_link_layer || parsed.destination != target.solicited_node()))) {
        return DropReason::nd_invalid;
    }
    const wire::MacAddress from = wire::Ethernet{frame.data()}.source();
    if (from == interface.mac) {
        return DropReason::source_address_invalid;
    }
    bool heeded = false;
    if (!detection) {
        if (is_duplicate(interface, parsed.source, options->source_link_layer.value_or(from), now)) {
            return std::nullopt;
        }
        heeded = options->source_link_layer &&
                 cache_.learn(interface.port, parsed.source, {options->source_link_layer, false, true}, now);
    }
    const auto entry = held(interface.port, target);
    if (!entry) {
        return heeded                                  ? Verdict{}
               : entry.error() == DropReason::not_ours ? DropReason::neighbour_ignored
                                                       : entry.error();
    }
    const wire::IpAddress to = detection ? all_nodes() : parsed.source;
    const wire::MacAddress to_mac = detection ? to.multicast_mac() : options->source_link_layer.value_or(from);
    const unsigned flags = wire::neighbour_flag_override | (detection ? 0U : wire::neighbour_flag_solicited) |
                           ((*entry)->is_virtual ? wire::neighbour_flag_router : 0U);
    frames_.advertise(interface.port, {(*entry)->mac, target, to_mac, to, static_cast<std::uint8_t>(flags)});
    return std::nullopt;
}

Neighbours::Implementation::Verdict Neighbours::Implementation::advertisement(const Interface& interface,
                                                                              const ParsedPacket& parsed, Bytes frame,
                                                                              TimePoint now) noexcept
{
    const wire::Neighbour view{frame.data() + parsed.transport_offset};
    const auto options =
        wire::parse_neighbour_options(frame.subspan(parsed.transport_offset + wire::neighbour_message_size,
                                                    parsed.transport_size() - wire::neighbour_message_size));
    if (!options || view.target().is_multicast() || parsed.source.is_unspecified() ||
        (parsed.destination.is_multicast() && view.solicited())) {
        return DropReason::nd_invalid;
    }
    const wire::MacAddress from = wire::Ethernet{frame.data()}.source();
    if (from == interface.mac) {
        return DropReason::source_address_invalid;
    }
    if (is_duplicate(interface, view.target(), options->target_link_layer.value_or(from), now)) {
        return std::nullopt;
    }
    const bool heeded = cache_.learn(interface.port, view.target(),
                                     {options->target_link_layer, view.solicited(), view.override_cache()}, now);
    return heeded ? Verdict{} : DropReason::neighbour_ignored;
}

Neighbours::Implementation::Verdict Neighbours::Implementation::listener_query(const Interface& interface,
                                                                               const ParsedPacket& parsed, Bytes frame,
                                                                               TimePoint now) noexcept
{
    // RFC 9777 §5.1.14: from a link-local source with hop limit 1.
    if (parsed.transport_size() < wire::mld_query_size || parsed.hop_limit != 1 || !parsed.source.is_link_local()) {
        return DropReason::nd_invalid;
    }
    const std::uint16_t code = load16(frame.data() + parsed.transport_offset + 4);
    listener_.query(interface.port, wire::mld_response_delay(code), now);
    return std::nullopt;
}

Neighbours::Implementation::Verdict
Neighbours::Implementation::echo(const Interface& interface, const ParsedPacket& parsed, packet::Packet& frame) noexcept
{
    if (parsed.source.is_unspecified() || parsed.source.is_broadcast()) {
        return DropReason::source_address_invalid;
    }
    if (parsed.destination.is_multicast() || parsed.destination.is_broadcast()) {
        return DropReason::icmp_ignored; // RFC 1122 §3.2.2.6 lets us, and it spares the link a storm.
    }
    const auto entry = held(interface.port, parsed.destination);
    if (!entry) {
        return entry.error();
    }
    make_echo_reply(frame, parsed, (*entry)->mac);
    output_.send(interface.port, std::move(frame));
    return std::nullopt;
}

void Neighbours::Implementation::route(packet::Packet&& ip, TimePoint now) noexcept
{
    packet::Packet packet = std::move(ip);
    ParsedPacket parsed;
    if (const Verdict invalid = wire::parse_ip(packet.bytes(), parsed)) {
        counters_.drop(*invalid);
        return;
    }
    const std::optional<NextHop> hop = table_ != nullptr ? table_->routes.lookup(parsed.destination) : std::nullopt;
    if (!hop) {
        counters_.drop(DropReason::no_route);
        return;
    }
    const AdjacencyIndex neighbour = cache_.resolve(hop->port, hop->address, now);
    if (!neighbour) {
        counters_.drop(DropReason::neighbour_table_full);
        return;
    }
    cache_.transmit(neighbour, std::move(packet), now);
}

void Neighbours::Implementation::report_error(const ParsedPacket& parsed, Bytes frame, std::uint8_t port,
                                              wire::IcmpErrorKind kind, std::uint32_t mtu, TimePoint now) noexcept
{
    const Interface* interface = table_ != nullptr ? table_->interface(port) : nullptr;
    if (interface == nullptr || !may_report_error(frame, parsed)) {
        return;
    }
    if (!error_limit_.allow(now)) {
        counters_.drop(DropReason::rate_limited);
        return;
    }
    const LocalAddress* addressed = table_->addresses.find(port, parsed.destination);
    const wire::IpAddress source = addressed != nullptr ? parsed.destination : source_for(*interface, parsed.source);
    packet::Packet error = make_icmp_error(reserve_, frame, parsed, kind, mtu, source, interface->mac);
    if (!error) {
        counters_.count(Counter::pool_exhausted);
        return;
    }
    output_.send(port, std::move(error));
}

Neighbours::Neighbours(const Limits& limits, Adjacencies& adjacencies, AddressStates& states, packet::Pool& reserve,
                       Output& output, telemetry::CoreCounters& counters)
    : implementation_{std::make_unique<Implementation>(limits, adjacencies, states, reserve, output, counters)}
{
}

Neighbours::~Neighbours() = default;

std::shared_ptr<const Table> Neighbours::replace(std::shared_ptr<const Table> next, TimePoint now) noexcept
{
    return implementation_->replace(std::move(next), now);
}

void Neighbours::input(const ParsedPacket& parsed, packet::Packet&& frame, TimePoint now) noexcept
{
    implementation_->input(parsed, std::move(frame), now);
}

AdjacencyIndex Neighbours::resolve(std::uint8_t port, const wire::IpAddress& next_hop, TimePoint now) noexcept
{
    return implementation_->cache().resolve(port, next_hop, now);
}

void Neighbours::transmit(AdjacencyIndex neighbour, packet::Packet&& ip, TimePoint now) noexcept
{
    implementation_->cache().transmit(neighbour, std::move(ip), now);
}

void Neighbours::route(packet::Packet&& ip, TimePoint now) noexcept { implementation_->route(std::move(ip), now); }

void Neighbours::confirm(AdjacencyIndex neighbour, TimePoint now) noexcept
{
    implementation_->cache().confirm(neighbour, now);
}

void Neighbours::report_error(const ParsedPacket& parsed, Bytes frame, std::uint8_t port, wire::IcmpErrorKind kind,
                              std::uint32_t mtu, TimePoint now) noexcept
{
    implementation_->report_error(parsed, frame, port, kind, mtu, now);
}

void Neighbours::set_ownership(std::uint8_t port, const wire::IpAddress& address, Ownership ownership) noexcept
{
    implementation_->set_ownership(port, address, ownership);
}

void Neighbours::announce(std::uint8_t port, const wire::IpAddress& address, const wire::MacAddress& mac) noexcept
{
    implementation_->announce(port, address, mac);
}

void Neighbours::link_up(std::uint8_t port, TimePoint now) noexcept { implementation_->link_up(port, now); }

void Neighbours::advance(TimePoint now) noexcept { implementation_->advance(now); }

TimePoint Neighbours::next_deadline() const noexcept { return implementation_->next_deadline(); }

bool Neighbours::gateways_decided() const noexcept { return implementation_->gateways_decided(); }

} // namespace sluice::neigh
