// ICMP errors about packets of flows: whom they concern, and what is learned from them.
#include <sluice/l4/forwarder.hpp>

#include <sluice/l4/tunnel.hpp>
#include <sluice/wire/tunnel.hpp>

#include "methods.hpp"
#include "translate.hpp"

#include <algorithm>

namespace sluice::l4 {

using telemetry::DropReason;

std::uint32_t Forwarder::room_in_tunnel(const flow::Flow& flow, std::uint32_t mtu, TimePoint now) const noexcept
{
    const std::uint32_t path = servers_.path_mtu(ServerId{flow.server_id}, now);
    return std::min(mtu, path) - tunnel_overhead(static_cast<Method>(flow.method), flow.server.is_v4());
}

Verdict Forwarder::error_about_flow(packet::Packet& packet, wire::ParsedPacket& parsed, const Prepared& prepared,
                                    TimePoint now) noexcept
{
    const Placement& placement = prepared.placement;
    const auto known = table_.find(placement.tuple, prepared.hash, now);
    if (!known) {
        return Verdict::dropped(DropReason::icmp_unmatched);
    }
    if (!packet.checksum_verified()) {
        if (const auto problem = wire::verify_transport(packet.bytes(), parsed)) {
            return Verdict::dropped(*problem);
        }
    }
    if (parsed.hop_limit <= 1) {
        return Verdict::dropped(DropReason::ttl_expired);
    }
    flow::Flow& flow = *known.flow;
    // The tuple is the quoted packet reversed: from_server means that the client's packet, as we sent it to the server,
    // met an obstacle, and the client must hear of it.
    const bool to_client = known.from_server;
    const auto hop = next_hop(flow, !to_client);
    if (!hop) {
        return Verdict::dropped(DropReason::no_route);
    }
    packet.trim_back(packet.size() - parsed.end);
    Verdict verdict;
    verdict.action = Action::transmit;
    verdict.adjacency = hop->adjacency;
    verdict.service = ServiceId{flow.service_id};
    const auto method = static_cast<Method>(flow.method);
    if (!translates(method)) {
        // About a packet that the server sent to the client past us, from the service's address.
        return send_as_it_came(packet, parsed, flow, hop->mtu, verdict) ? verdict
                                                                        : Verdict::dropped(DropReason::pool_empty);
    }
    const flow::FiveTuple original = to_client ? flow.towards_service() : flow.from_server();
    // The client hears it from the service, whoever behind us said it. A server hears it from the router that said it,
    // unless that one's address means nothing on its side.
    const wire::IpAddress source = to_client ? flow.service : method == Method::fullnat ? flow.local : parsed.source;
    translate_icmp_error(packet.bytes(), parsed, placement.icmp->quoted, original, source, original.source);
    return verdict;
}

Verdict Forwarder::error_about_tunnel(packet::Packet& packet, wire::ParsedPacket& parsed, const Prepared& prepared,
                                      TimePoint now) noexcept
{
    constexpr std::uint32_t least_ipv4 = 576;  // What every host takes (RFC 1122 §3.3.2); less is an attack.
    constexpr std::uint32_t least_ipv6 = 1280; // RFC 8200 §5
    if (!packet.checksum_verified()) {
        if (const auto problem = wire::verify_transport(packet.bytes(), parsed)) {
            return Verdict::dropped(*problem);
        }
    }
    const wire::IcmpError& error = *prepared.placement.icmp;
    const auto inside = wire::parse_tunnelled(packet.bytes(), parsed, error.quoted);
    const auto known = inside ? table_.find(prepared.placement.tuple, prepared.hash, now) : flow::FlowTable::Match{};
    if (inside && (!known || known.from_server || known.flow->server != error.quoted.destination)) {
        return Verdict::dropped(DropReason::icmp_unmatched);
    }
    if (error.kind == wire::IcmpErrorKind::too_big) {
        const std::uint32_t least = parsed.is_v4() ? least_ipv4 : least_ipv6;
        const std::uint32_t mtu = std::clamp(error.mtu, least, 0xffffU);
        for (const ServiceTable::TunnelServer& server : services_->tunnel_servers(error.quoted.destination)) {
            servers_.learn_path_mtu(server.id, static_cast<std::uint16_t>(mtu), now);
        }
    }
    if (!inside) { // Heeded; whose packet it was nobody can say.
        return Verdict::dropped(DropReason::icmp_ignored);
    }
    flow::Flow& flow = *known.flow;
    const auto back = next_hop(flow, false);
    const auto out = next_hop(flow, true);
    if (!back || !out) {
        return Verdict::dropped(DropReason::no_route);
    }
    relay_tunnel_error(packet, parsed, inside->packet.network_offset, error.kind, room_in_tunnel(flow, out->mtu, now),
                       flow.service, flow.client);
    Verdict verdict;
    verdict.action = Action::transmit;
    verdict.adjacency = back->adjacency;
    verdict.service = ServiceId{flow.service_id};
    return verdict;
}

} // namespace sluice::l4
