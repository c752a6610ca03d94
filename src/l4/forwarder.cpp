#include <sluice/l4/forwarder.hpp>

#include <sluice/l4/answers.hpp>

#include "fragment_map.hpp"
#include "fragments.hpp"
#include "methods.hpp"
#include "translate.hpp"

#include <algorithm>

namespace sluice::l4 {

using telemetry::DropReason;

namespace {

Verdict report(DropReason reason, wire::IcmpErrorKind kind, std::uint32_t mtu = 0) noexcept
{
    Verdict verdict;
    verdict.action = Action::icmp_error;
    verdict.reason = reason;
    verdict.icmp = kind;
    verdict.mtu = mtu;
    return verdict;
}

Verdict pass_to(Action action, const Placement& placement) noexcept
{
    Verdict verdict;
    verdict.action = action;
    if (action != Action::local) {
        verdict.shard = shard_of(placement);
    }
    if (placement.target.service != nullptr) {
        verdict.service = placement.target.service->id;
    }
    return verdict;
}

/// RFC 1122 §3.2.1.3: nobody may send from these.
bool impossible_source(const wire::IpAddress& source) noexcept
{
    return source.is_multicast() || source.is_broadcast() || source.is_unspecified() || source.is_loopback();
}

/// What we would answer whoever sent it. That nobody sends it from an address of ours is checked here; open() does it
/// for flows.
bool may_claim_us(Role role, const wire::ParsedPacket& parsed) noexcept
{
    return role == Role::closed_port || (role == Role::proxy && (parsed.tcp_flags & wire::tcp_flag::syn) != 0);
}

/// Fragments of several senders get one source address, and so must not keep their identifications.
bool is_translated(const Placement& placement) noexcept
{
    return placement.role == Role::full_nat_reply || placement.role == Role::nat_reply ||
           (placement.role == Role::forward && translates(placement.target.service->forwarding->method));
}

bool is_reset(const wire::ParsedPacket& parsed) noexcept { return (parsed.tcp_flags & wire::tcp_flag::rst) != 0; }

} // namespace

Forwarder::Forwarder(const ForwarderOptions& options, ServerRegistry& servers, const neigh::AddressStates& addresses,
                     NextHops& next_hops)
    : options_{options}, servers_{servers}, addresses_{addresses}, next_hops_{next_hops}, table_{options.flows,
                                                                                                 options.secret},
      fragments_{std::make_unique<FragmentMap>(options.secret, options.index, options.forwarders)},
      own_affinities_{options.affinities == nullptr ? std::make_unique<AffinityTable>(options.flows / 8, options.secret)
                                                    : nullptr},
      affinities_{options.affinities != nullptr ? options.affinities : own_affinities_.get()},
      loads_{servers.capacity(), options.core, options.forwarders},
      cursors_(cursor_count), resets_{options.resets_per_second}, rates_{options.secret, options.forwarders}
{
    table_.observe(this);
}

Forwarder::~Forwarder() = default;

void Forwarder::begin_turn(const ServiceTable& table, TimePoint now) noexcept
{
    constexpr std::uint32_t source_tries_per_turn = 8192;
    constexpr std::uint32_t refreshes_per_turn = 512;
    services_ = &table;
    source_tries_ = source_tries_per_turn;
    table_.sweep(now);
    if (refresh_left_ > 0) {
        const std::uint32_t count = std::min({refresh_left_, refreshes_per_turn, table_.capacity() - refresh_at_});
        refresh_at_ =
            table_.visit(refresh_at_, count, now, [](flow::Flow& flow) { flow.to_server = flow.to_client = 0; });
        refresh_left_ -= count;
    }
}

void Forwarder::forget_next_hops() noexcept { refresh_left_ = table_.capacity(); }

bool Forwarder::holds(const LocalAddress& address) const noexcept
{
    return !address.is_virtual || addresses_.get(address.place) == neigh::Ownership::active;
}

void Forwarder::prepare(Bytes frame, const wire::ParsedPacket& parsed, Prepared& out) noexcept
{
    place(frame, parsed, *services_, false, out.placement);
    fetch(out);
}

void Forwarder::fetch(Prepared& prepared) const noexcept
{
    switch (prepared.placement.role) {
    case Role::forward:
    case Role::full_nat_reply:
    case Role::nat_reply:
    case Role::tunnel_error:
        prepared.hash = table_.hash(prepared.placement.tuple);
        table_.prefetch(prepared.hash);
        break;
    default:
        prepared.hash = 0;
        break;
    }
}

void Forwarder::prefetch_record(const Prepared& prepared) const noexcept
{
    if (prepared.hash != 0) {
        table_.prefetch_record(prepared.hash);
    }
}

Verdict Forwarder::process(packet::Packet& packet, wire::ParsedPacket& parsed, TimePoint now) noexcept
{
    Prepared prepared;
    prepare(packet.bytes(), parsed, prepared);
    return process(packet, parsed, prepared, now);
}

Verdict Forwarder::process_handed_over(packet::Packet& packet, wire::ParsedPacket& parsed, bool ports_learned,
                                       TimePoint now) noexcept
{
    Prepared prepared;
    place(packet.bytes(), parsed, *services_, ports_learned, prepared.placement);
    fetch(prepared);
    return process(packet, parsed, prepared, now);
}

Verdict Forwarder::process(packet::Packet& packet, wire::ParsedPacket& parsed, const Prepared& prepared,
                           TimePoint now) noexcept
{
    const Placement& placement = prepared.placement;
    if (const auto problem = impossible(placement, parsed)) {
        return Verdict::dropped(*problem);
    }
    if (placement.role == Role::local) {
        return pass_to(Action::local, placement);
    }
    const bool for_a_forwarder = kind_of_owner(placement.role) == Owner::Kind::forwarder;
    if (for_a_forwarder && options_.forwarders > 1 && !owns(shard_of(placement))) {
        return pass_to(Action::to_forwarder, placement);
    }
    switch (placement.role) {
    case Role::proxy:
        if (const auto refused = refuses_connection(parsed, *placement.target.service, now)) {
            return Verdict::dropped(*refused);
        }
        [[fallthrough]];
    case Role::worker_port:
        // Workers take whole packets only.
        return parsed.is_fragment ? Verdict::dropped(DropReason::fragment_unsupported)
                                  : pass_to(Action::to_worker, placement);
    case Role::fragment:
        return fragment(packet, parsed, now);
    case Role::forward:
    case Role::full_nat_reply:
    case Role::nat_reply:
        if (placement.icmp) {
            return error_about_flow(packet, parsed, prepared, now);
        }
        return placement.role == Role::forward ? to_service(packet, parsed, prepared, now)
                                               : from_server(packet, parsed, prepared, now);
    case Role::tunnel_error:
        return error_about_tunnel(packet, parsed, prepared, now);
    case Role::closed_port:
        return placement.icmp ? Verdict::dropped(DropReason::icmp_unmatched)
                              : refuse(packet, parsed, DropReason::no_service, now);
    case Role::local:
    case Role::foreign:
        break;
    }
    return Verdict::dropped(DropReason::not_ours);
}

std::optional<DropReason> Forwarder::impossible(const Placement& placement,
                                                const wire::ParsedPacket& parsed) const noexcept
{
    if (placement.target.address != nullptr && !holds(*placement.target.address)) {
        return DropReason::backup_address;
    }
    if (placement.role == Role::local) {
        return {};
    }
    const bool ours =
        may_claim_us(placement.role, parsed) && services_->classify(parsed.source, 0, 0).address != nullptr;
    if (ours || impossible_source(parsed.source)) {
        return DropReason::source_address_invalid;
    }
    return {};
}

Verdict Forwarder::to_service(packet::Packet& packet, wire::ParsedPacket& parsed, const Prepared& prepared,
                              TimePoint now) noexcept
{
    const Service& service = *prepared.placement.target.service;
    const auto known = table_.find(prepared.placement.tuple, prepared.hash, now);
    if (known) {
        switch (judge(*known.flow, parsed, service)) {
        case Keep::yes:
            return carry(packet, parsed, *known.flow, known.from_server, service, now);
        case Keep::reset:
            table_.remove(*known.flow, now);
            return refuse(packet, parsed, DropReason::no_server, now);
        case Keep::no:
            table_.remove(*known.flow, now);
            break;
        }
    }
    const FlowOrVerdict opened = open(packet, parsed, service, prepared.placement, now);
    if (const auto* const verdict = std::get_if<Verdict>(&opened)) {
        return *verdict;
    }
    return carry(packet, parsed, *std::get<flow::Flow*>(opened), false, service, now);
}

Verdict Forwarder::from_server(packet::Packet& packet, wire::ParsedPacket& parsed, const Prepared& prepared,
                               TimePoint now) noexcept
{
    const auto known = table_.find(prepared.placement.tuple, prepared.hash, now);
    if (known) {
        const Service* const service = services_->service(ServiceId{known.flow->service_id});
        if (service != nullptr && service->forwarding) {
            return carry(packet, parsed, *known.flow, known.from_server, *service, now);
        }
        table_.remove(*known.flow, now);
    }
    if (prepared.placement.role == Role::nat_reply) {
        // What servers send on their own account is nobody's here: Sluice is not their router.
        return Verdict::dropped(DropReason::not_ours);
    }
    return refuse(packet, parsed, DropReason::no_flow, now);
}

std::optional<NextHop> Forwarder::next_hop(flow::Flow& flow, bool towards_server) noexcept
{
    std::uint32_t& cached = towards_server ? flow.to_server : flow.to_client;
    if (cached != 0) {
        const neigh::AdjacencyIndex adjacency{cached};
        if (const std::uint16_t mtu = next_hops_.mtu(adjacency); mtu != 0) {
            return NextHop{adjacency, mtu};
        }
    }
    const auto found =
        towards_server ? next_hops_.find(flow.local, flow.server) : next_hops_.find(flow.service, flow.client);
    cached = found ? found->adjacency.value : 0;
    return found;
}

void Forwarder::track(flow::Flow& flow, bool from_server, std::uint8_t tcp_flags, const FlowTimeouts& timeouts,
                      TimePoint now) noexcept
{
    auto state = static_cast<TcpState>(flow.state);
    if (flow.protocol == wire::protocol::tcp) {
        const TcpState next =
            flow.one_way != 0 ? next_state_by_client(state, tcp_flags) : next_state(state, from_server, tcp_flags);
        if (next != state) {
            flow.state = static_cast<std::uint8_t>(next) & 0xfU;
            if (is_active(next) != is_active(state)) {
                if (health::Server* const server = servers_.find(ServerId{flow.server_id}).server; server != nullptr) {
                    server->counters(options_.core).flows.turn(is_active(next));
                }
            }
            table_.expire_in(flow, now, lifetime(next, timeouts));
            return;
        }
    }
    flow::FlowTable::keep(flow, now, lifetime(state, timeouts));
}

Verdict Forwarder::carry(packet::Packet& packet, wire::ParsedPacket& parsed, flow::Flow& flow, bool from_server,
                         const Service& service, TimePoint now) noexcept
{
    if (parsed.hop_limit <= 1) {
        return report(DropReason::ttl_expired, wire::IcmpErrorKind::time_exceeded);
    }
    const auto hop = next_hop(flow, !from_server);
    if (!hop) {
        return Verdict::dropped(DropReason::no_route);
    }
    Verdict verdict;
    verdict.action = Action::transmit;
    verdict.adjacency = hop->adjacency;
    verdict.service = service.id;
    const std::size_t size = ip_size(packet.bytes(), parsed);
    const auto method = static_cast<Method>(flow.method);
    const std::uint32_t mtu = is_tunnel(method) ? room_in_tunnel(flow, hop->mtu, now) : hop->mtu;
    if (size > mtu) {
        if (!may_be_fragmented(packet.bytes(), parsed)) {
            return report(DropReason::too_big, wire::IcmpErrorKind::too_big, mtu);
        }
        verdict.action = Action::split;
        verdict.mtu = mtu;
    }
    // Later fragments repeat no flags; their first one was tracked.
    track(flow, from_server, parsed.has_transport() ? parsed.tcp_flags : std::uint8_t{0}, service.forwarding->timeouts,
          now);
    packet.trim_back(packet.size() - parsed.network_offset - size); // Ethernet padding
    if (translates(method)) {
        translate(packet.bytes(), parsed, Translation::of(flow, from_server));
    } else if (!send_as_it_came(packet, parsed, flow, mtu, verdict)) {
        return Verdict::dropped(DropReason::pool_empty);
    }
    if (health::Server* const server = servers_.find(ServerId{flow.server_id}).server; server != nullptr) {
        health::ServerCounters& counters = server->counters(options_.core);
        (from_server ? counters.packets_out : counters.packets_in).add();
        (from_server ? counters.bytes_out : counters.bytes_in).add(size);
    }
    return verdict;
}

Verdict Forwarder::fragment(packet::Packet& packet, wire::ParsedPacket& parsed, TimePoint now) noexcept
{
    if (!carries_ports(parsed)) {
        return Verdict::dropped(DropReason::fragment_unsupported);
    }
    const FragmentMap::Result result =
        parsed.has_transport() ? fragments_->first(parsed, now) : fragments_->later(parsed, now);
    if (!result.learned) {
        return Verdict::dropped(result.problem == FragmentMap::Problem::limit ? DropReason::fragment_limit
                                                                              : DropReason::fragment_unsupported);
    }
    parsed.source_port = result.learned->source_port;
    parsed.destination_port = result.learned->destination_port;
    Prepared prepared;
    place(packet.bytes(), parsed, *services_, true, prepared.placement);
    if (is_translated(prepared.placement)) {
        set_identification(packet.bytes(), parsed, result.learned->identification);
    }
    fetch(prepared);
    Verdict verdict = process(packet, parsed, prepared, now);
    verdict.ports_learned = verdict.action == Action::to_forwarder;
    return verdict;
}

Verdict Forwarder::refuse(packet::Packet& packet, wire::ParsedPacket& parsed, DropReason reason, TimePoint now) noexcept
{
    if (parsed.is_fragment || (parsed.protocol == wire::protocol::tcp && is_reset(parsed))) {
        return Verdict::dropped(reason);
    }
    if (explaining_ != nullptr) {
        Verdict verdict = report(reason, wire::IcmpErrorKind::port_unreachable);
        verdict.action = parsed.protocol == wire::protocol::udp ? Action::icmp_error : Action::reset;
        return verdict;
    }
    if (!packet.checksum_verified()) {
        if (const auto problem = wire::verify_transport(packet.bytes(), parsed)) {
            return Verdict::dropped(*problem);
        }
    }
    if (parsed.protocol == wire::protocol::udp) {
        return report(reason, wire::IcmpErrorKind::port_unreachable);
    }
    if (!resets_.allow(now)) {
        return Verdict::dropped(DropReason::rate_limited);
    }
    const auto hop = next_hops_.find(parsed.destination, parsed.source);
    if (!hop) {
        return Verdict::dropped(DropReason::no_route);
    }
    make_reset(packet, parsed);
    Verdict verdict;
    verdict.action = Action::reset;
    verdict.reason = reason;
    verdict.adjacency = hop->adjacency;
    return verdict;
}

Verdict Forwarder::no_server(packet::Packet& packet, wire::ParsedPacket& parsed, const Forwarding& forwarding,
                             DropReason reason, TimePoint now) noexcept
{
    return forwarding.no_server == NoServer::reject ? refuse(packet, parsed, reason, now) : Verdict::dropped(reason);
}

} // namespace sluice::l4
