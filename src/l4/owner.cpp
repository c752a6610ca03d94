#include <sluice/l4/owner.hpp>

namespace sluice::l4 {
namespace {

bool has_ports(std::uint8_t protocol) noexcept
{
    return protocol == wire::protocol::tcp || protocol == wire::protocol::udp;
}

/// Destination is one of our addresses and no service's: the port says whose it is.
void place_by_port(Placement& placement) noexcept
{
    const std::uint16_t port = placement.tuple.destination_port;
    placement.shard = flow::shard_of_local_port(port);
    if (flow::local_ports::full_nat.contains(port)) {
        placement.role = Role::full_nat_reply;
    } else if (flow::local_ports::workers.contains(port) || flow::local_ports::probes.contains(port)) {
        placement.role = Role::worker_port;
    } else {
        placement.role = Role::closed_port;
    }
}

/// TCP or UDP with known ports.
void place_by_tuple(Placement& placement, const ServiceTable& table) noexcept
{
    const flow::FiveTuple& tuple = placement.tuple;
    placement.target = table.classify(tuple.destination, tuple.protocol, tuple.destination_port);
    if (placement.target.service != nullptr) {
        placement.role = placement.target.service->forwarding ? Role::forward : Role::proxy;
        placement.shard = flow::shard_of_client(tuple.source, tuple.source_port);
    } else if (placement.target.address != nullptr) {
        place_by_port(placement);
    } else if (table.is_nat_server(tuple.source)) {
        placement.role = Role::nat_reply;
        placement.shard = flow::shard_of_client(tuple.destination, tuple.destination_port);
    } else {
        placement.role = Role::foreign;
    }
}

/// An ICMP error is about a packet that one of our flows sent: it belongs where that flow's answers belong.
void place_icmp_error(Placement& placement, const wire::ParsedPacket& parsed, const ServiceTable& table) noexcept
{
    const wire::QuotedPacket& quoted = placement.icmp->quoted;
    placement.target = table.classify(parsed.destination, parsed.protocol, 0);
    // It is sent to whoever sent the quoted packet; anything else is forged.
    if (!has_ports(quoted.protocol) || parsed.destination != quoted.source) {
        placement.role = placement.target.address != nullptr ? Role::local : Role::foreign;
        return;
    }
    placement.tuple =
        flow::FiveTuple{quoted.source, quoted.destination, quoted.source_port, quoted.destination_port, quoted.protocol}
            .reversed();
    place_by_tuple(placement, table);
}

} // namespace

flow::Shard shard_of_pair(const wire::IpAddress& source, const wire::IpAddress& destination) noexcept
{
    constexpr HashKey agreed{0x536c756963652031ULL, 0x667261676d656e74ULL};
    return static_cast<flow::Shard>(
        siphash13_words(agreed, source.high(), source.low(), destination.high(), destination.low()) %
        flow::shard_count);
}

Placement place(Bytes frame, const wire::ParsedPacket& parsed, const ServiceTable& table, bool ports_known) noexcept
{
    Placement placement;
    if (!parsed.is_ip() || parsed.destination.is_multicast() || parsed.destination.is_broadcast()) {
        placement.role = Role::local;
        return placement;
    }
    placement.tuple = {parsed.source, parsed.destination, parsed.source_port, parsed.destination_port, parsed.protocol};
    if (parsed.is_fragment && !ports_known) {
        placement.target = table.classify(parsed.destination, parsed.protocol, 0);
        const bool ours = placement.target.address != nullptr || table.is_nat_server(parsed.source);
        placement.role = ours ? Role::fragment : Role::foreign;
        placement.shard = shard_of_pair(parsed.source, parsed.destination);
        return placement;
    }
    if (has_ports(parsed.protocol)) {
        place_by_tuple(placement, table);
        return placement;
    }
    if (parsed.protocol == wire::protocol::icmp || parsed.protocol == wire::protocol::icmpv6) {
        placement.icmp = wire::parse_icmp_error(frame, parsed);
        if (placement.icmp) {
            place_icmp_error(placement, parsed, table);
            return placement;
        }
    }
    placement.target = table.classify(parsed.destination, parsed.protocol, 0);
    placement.role = placement.target.address != nullptr ? Role::local : Role::foreign;
    return placement;
}

Owner owner(const Placement& placement) noexcept
{
    switch (placement.role) {
    case Role::proxy:
    case Role::worker_port:
        return {Owner::Kind::worker, placement.shard};
    case Role::fragment:
    case Role::forward:
    case Role::full_nat_reply:
    case Role::nat_reply:
        return {Owner::Kind::forwarder, placement.shard};
    case Role::local:
    case Role::foreign:
    case Role::closed_port:
        break;
    }
    return {};
}

Owner owner_of(Bytes frame, const wire::ParsedPacket& parsed, const ServiceTable& table) noexcept
{
    return owner(place(frame, parsed, table));
}

} // namespace sluice::l4
