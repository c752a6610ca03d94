#include <sluice/l4/owner.hpp>

#include <sluice/wire/tunnel.hpp>

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
    } else if (placement.target.address != nullptr) {
        place_by_port(placement);
    } else if (table.is_nat_server(tuple.source)) {
        placement.role = Role::nat_reply;
    } else {
        placement.role = Role::foreign;
    }
}

bool may_be_tunnelled(const wire::QuotedPacket& quoted) noexcept
{
    switch (quoted.protocol) {
    case wire::protocol::ipv4_inside:
    case wire::protocol::ipv6_inside:
    case wire::protocol::gre:
        return true;
    default:
        return quoted.protocol == wire::protocol::udp && quoted.destination_port == wire::gue_port;
    }
}

/// The owner is the client's, whose packet was inside. A router may quote too little to know it: then any will do.
void place_tunnel_error(Placement& placement, Bytes frame, const wire::ParsedPacket& parsed) noexcept
{
    placement.role = Role::tunnel_error;
    placement.tuple = {};
    if (const auto inside = wire::parse_tunnelled(frame, parsed, placement.icmp->quoted)) {
        const wire::QuotedPacket& sent = inside->packet;
        placement.tuple = {sent.source, sent.destination, sent.source_port, sent.destination_port, sent.protocol};
    }
}

/// An ICMP error is about a packet that one of our flows sent: it belongs where that flow's answers belong.
void place_icmp_error(Placement& placement, Bytes frame, const wire::ParsedPacket& parsed,
                      const ServiceTable& table) noexcept
{
    const wire::QuotedPacket& quoted = placement.icmp->quoted;
    placement.target = table.classify(parsed.destination, parsed.protocol, 0);
    if (may_be_tunnelled(quoted) && placement.target.address != nullptr && parsed.destination == quoted.source &&
        !table.tunnel_servers(quoted.destination).empty()) {
        place_tunnel_error(placement, frame, parsed);
        return;
    }
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

void place(Bytes frame, const wire::ParsedPacket& parsed, const ServiceTable& table, bool ports_known,
           Placement& out) noexcept
{
    out.icmp.reset();
    out.target = {};
    if (!parsed.is_ip() || parsed.destination.is_multicast() || parsed.destination.is_broadcast()) {
        out.role = Role::local;
        return;
    }
    out.tuple = {parsed.source, parsed.destination, parsed.source_port, parsed.destination_port, parsed.protocol};
    if (parsed.is_fragment && !ports_known) {
        out.target = table.classify(parsed.destination, parsed.protocol, 0);
        const bool ours = out.target.address != nullptr || table.is_nat_server(parsed.source);
        out.role = ours ? Role::fragment : Role::foreign;
        return;
    }
    if (has_ports(parsed.protocol)) {
        place_by_tuple(out, table);
        return;
    }
    if (parsed.protocol == wire::protocol::icmp || parsed.protocol == wire::protocol::icmpv6) {
        out.icmp = wire::parse_icmp_error(frame, parsed);
        if (out.icmp) {
            place_icmp_error(out, frame, parsed, table);
            return;
        }
    }
    out.target = table.classify(parsed.destination, parsed.protocol, 0);
    out.role = out.target.address != nullptr ? Role::local : Role::foreign;
}

Owner::Kind kind_of_owner(Role role) noexcept
{
    switch (role) {
    case Role::proxy:
    case Role::worker_port:
        return Owner::Kind::worker;
    case Role::fragment:
    case Role::forward:
    case Role::full_nat_reply:
    case Role::nat_reply:
    case Role::tunnel_error:
        return Owner::Kind::forwarder;
    case Role::local:
    case Role::foreign:
    case Role::closed_port:
        break;
    }
    return Owner::Kind::any;
}

flow::Shard shard_of(const Placement& placement) noexcept
{
    const flow::FiveTuple& tuple = placement.tuple;
    switch (placement.role) {
    case Role::proxy:
    case Role::forward:
    case Role::tunnel_error:
        return flow::shard_of_client(tuple.source, tuple.source_port);
    case Role::nat_reply:
        return flow::shard_of_client(tuple.destination, tuple.destination_port);
    case Role::worker_port:
    case Role::full_nat_reply:
        return flow::shard_of_local_port(tuple.destination_port);
    case Role::fragment:
        return shard_of_pair(tuple.source, tuple.destination);
    case Role::local:
    case Role::foreign:
    case Role::closed_port:
        break;
    }
    return 0;
}

Owner owner_of(Bytes frame, const wire::ParsedPacket& parsed, const ServiceTable& table) noexcept
{
    Placement placement;
    place(frame, parsed, table, false, placement);
    return {kind_of_owner(placement.role), shard_of(placement)};
}

} // namespace sluice::l4
