// What happens to the first packet of a flow, and to a known flow whose time has come.
#include <sluice/l4/forwarder.hpp>

#include <sluice/l4/tunnel.hpp>

#include "affinity_kinds.hpp"
#include "translate.hpp"

#include <algorithm>

namespace sluice::l4 {

using telemetry::DropReason;

namespace {

bool opens_connection(std::uint8_t tcp_flags) noexcept
{
    return (tcp_flags & (wire::tcp_flag::syn | wire::tcp_flag::ack | wire::tcp_flag::rst)) == wire::tcp_flag::syn;
}

constexpr std::uint32_t ports_per_shard = (flow::local_ports::full_nat.last - flow::local_ports::full_nat.first + 1) /
                                          static_cast<std::uint32_t>(flow::shard_count);
static_assert(flow::local_ports::full_nat.first % flow::shard_count == 0);
static_assert((ports_per_shard & (ports_per_shard - 1)) == 0, "an odd step then visits every port");

std::uint16_t port_of(flow::Shard shard, std::uint32_t step) noexcept
{
    return static_cast<std::uint16_t>(flow::local_ports::full_nat.first + shard +
                                      step % ports_per_shard * flow::shard_count);
}

} // namespace

Forwarder::Keep Forwarder::judge(const flow::Flow& flow, const wire::ParsedPacket& parsed,
                                 const Service& service) const noexcept
{
    const bool tcp = flow.protocol == wire::protocol::tcp;
    if (flow.service_id != service.id.value) {
        return Keep::no; // Another service took this address and port over.
    }
    const auto state = static_cast<TcpState>(flow.state);
    const bool over = flow.one_way != 0 ? is_over_by_client(state) : is_over(state);
    if (tcp && opens_connection(parsed.tcp_flags) && over) {
        return Keep::no;
    }
    const ServerRegistry::Entry entry = servers_.find(ServerId{flow.server_id});
    if (entry.server != nullptr && entry.listed && entry.server->status() != health::Status::down) {
        return Keep::yes;
    }
    if (!tcp) {
        return Keep::no;
    }
    return service.forwarding->on_server_down == OnServerDown::reset ? Keep::reset : Keep::yes;
}

Forwarder::FlowOrVerdict Forwarder::open(packet::Packet& packet, wire::ParsedPacket& parsed, const Service& service,
                                         const Placement& placement, TimePoint now) noexcept
{
    if (services_->classify(parsed.source, 0, 0).address != nullptr) {
        return Verdict::dropped(DropReason::source_address_invalid);
    }
    if (!parsed.has_transport()) {
        return Verdict::dropped(DropReason::no_flow);
    }
    const Pool* const pool = services_->pool(service.forwarding->pool);
    if (pool == nullptr) {
        return no_server(packet, parsed, *service.forwarding, DropReason::no_server, now);
    }
    // A connection that this node has not seen open: where hashing leads every packet of a client to the same server,
    // it can be taken up (after a takeover, for one); elsewhere the guess would be wrong.
    if (parsed.protocol == wire::protocol::tcp && !opens_connection(parsed.tcp_flags)) {
        const bool odd = (parsed.tcp_flags & (wire::tcp_flag::rst | wire::tcp_flag::syn)) != 0;
        if (odd || !pool->scheduler->consistent()) {
            return refuse(packet, parsed, DropReason::no_flow, now);
        }
    }
    if (!service.admission.asks_nothing()) {
        if (const auto refused = admit(service, parsed.source, now)) {
            return Verdict::dropped(*refused);
        }
    }
    return schedule(packet, parsed, service, placement, now);
}

std::optional<DropReason> Forwarder::refuses_connection(const wire::ParsedPacket& parsed, const Service& service,
                                                        TimePoint now) noexcept
{
    if (service.admission.asks_nothing() || !parsed.has_transport() || !opens_connection(parsed.tcp_flags)) {
        return {};
    }
    return admit(service, parsed.source, now);
}

std::optional<DropReason> Forwarder::admit(const Service& service, const wire::IpAddress& source,
                                           TimePoint now) noexcept
{
    return explaining_ != nullptr ? rates_.ask(service.id, service.admission, source, now)
                                  : rates_.take(service.id, service.admission, source, now);
}

Forwarder::FlowOrVerdict Forwarder::schedule(packet::Packet& packet, wire::ParsedPacket& parsed, const Service& service,
                                             const Placement& placement, TimePoint now) noexcept
{
    const Forwarding& forwarding = *service.forwarding;
    const Pool& pool = *services_->pool(forwarding.pool);
    PickRequest request;
    request.client = parsed.source;
    request.client_port = parsed.source_port;
    request.destination = parsed.destination;
    request.forwarder = options_.index;
    request.forwarders = options_.forwarders;
    request.now = now;
    request.loads = &loads_;
    request.affinities = affinities_;
    request.look_only = explaining_ != nullptr;
    Affinity affinity = affinity_of(service, parsed.source, now);
    DropReason problem = DropReason::no_server;
    // A client that is bound to a server is not moved because that one has no port left.
    for (; request.attempt < PickRequest::maximum_attempts && !affinity.followed; ++request.attempt) {
        const auto picked = choose(pool, request, affinity);
        if (!picked) {
            break;
        }
        request.tried[request.attempt] = static_cast<std::uint16_t>(*picked);
        const PoolServer& server = pool.servers[*picked];
        const wire::Endpoint& address = server.record->address();
        if (address.address.is_v4() != parsed.is_v4() && !is_tunnel(forwarding.method)) {
            continue;
        }
        flow::Flow flow;
        flow.client = parsed.source;
        flow.client_port = parsed.source_port;
        flow.service = parsed.destination;
        flow.service_port = parsed.destination_port;
        flow.server = address.address;
        flow.server_port = address.port != 0 ? address.port : parsed.destination_port;
        flow.protocol = parsed.protocol;
        flow.service_id = service.id.value;
        flow.server_id = server.id.value;
        if (const auto refused = choose_server_side(flow, forwarding, shard_of(placement), now)) {
            problem = *refused;
            continue;
        }
        return begin(flow, *server.record, parsed, forwarding, affinity, now);
    }
    if (problem != DropReason::no_server) {
        return Verdict::dropped(problem);
    }
    const bool any_full = std::any_of(pool.servers.begin(), pool.servers.end(), [](const PoolServer& server) {
        return server.takes_part() && server.record->full();
    });
    return no_server(packet, parsed, forwarding, any_full ? DropReason::server_limit : DropReason::no_server, now);
}

Forwarder::FlowOrVerdict Forwarder::begin(flow::Flow& flow, health::Server& server, const wire::ParsedPacket& parsed,
                                          const Forwarding& forwarding, const Affinity& affinity,
                                          TimePoint now) noexcept
{
    TcpState state = TcpState::none;
    if (flow.protocol == wire::protocol::tcp) {
        state = opens_connection(parsed.tcp_flags) ? TcpState::syn_sent : TcpState::established;
    }
    flow.state = static_cast<std::uint8_t>(state) & 0xfU;
    if (explaining_ != nullptr) {
        explaining_->flow = flow;
        explaining_->by_persistence = affinity.followed;
        explaining_->scheduler = services_->pool(forwarding.pool)->scheduler->name();
        return &*explaining_->flow;
    }
    flow::Flow* const added = table_.insert(flow, now, lifetime(state, forwarding.timeouts));
    if (added == nullptr) {
        return Verdict::dropped(DropReason::flow_table_full);
    }
    health::ServerCounters& counters = server.counters(options_.core);
    counters.flows.begin(is_active(state));
    counters.flows_total.add();
    server.flow_began();
    if (affinity.terms != nullptr) {
        remember(*added, affinity, now);
    }
    return added;
}

Forwarder::Affinity Forwarder::affinity_of(const Service& service, const wire::IpAddress& client,
                                           TimePoint now) const noexcept
{
    Affinity result;
    if (service.forwarding->persistence) {
        result.terms = &*service.forwarding->persistence;
        const int bits = client.is_v4() ? 32 : 128;
        const auto length = static_cast<std::uint8_t>(std::min<int>(result.terms->netmask, bits));
        result.key =
            affinities_->key(affinity_kind::persistence, service.id.value, wire::Prefix{client, length}.network());
        result.bound = affinities_->find(result.key, now);
    }
    return result;
}

std::optional<std::uint32_t> Forwarder::choose(const Pool& pool, const PickRequest& request,
                                               Affinity& affinity) noexcept
{
    const auto usable = [&](std::optional<std::uint32_t> index) {
        return index && pool.servers[*index].record->available() && !request.was_tried(*index);
    };
    if (affinity.bound) {
        if (const auto bound = pool.find(affinity.bound); usable(bound)) {
            affinity.followed = true;
            return bound;
        }
    }
    Cursor untaken = cursors_[pool.id.value % cursor_count]; // An explanation takes nobody's turn.
    Cursor& cursor = explaining_ != nullptr ? untaken : cursors_[pool.id.value % cursor_count];
    const auto picked = pool.scheduler->pick(pool.servers, request, cursor);
    if (!picked || affinity.terms == nullptr || explaining_ != nullptr) {
        return picked;
    }
    const ServerId winner =
        affinities_->bind(affinity.key, pool.servers[*picked].id, affinity.bound, request.now, affinity.terms->timeout);
    // Another forwarder may have bound the client just now. If this attempt fails, the next one replaces what it bound.
    affinity.bound = winner;
    const auto agreed = pool.find(winner);
    return usable(agreed) ? agreed : picked;
}

/// The time begins anew, and the entry stays at least as long as the flow.
void Forwarder::remember(flow::Flow& flow, const Affinity& affinity, TimePoint now) noexcept
{
    using telemetry::Counter;
    const ServerId server{flow.server_id};
    static_cast<void>(affinities_->bind(affinity.key, server, affinity.bound, now, affinity.terms->timeout));
    const AffinityPlace place = affinities_->hold(affinity.key, now);
    table_.note(flow) = place;
    if (options_.counters != nullptr) {
        if (place == 0) {
            options_.counters->count(Counter::affinity_full);
        } else if (affinity.followed) {
            options_.counters->count(Counter::flows_persistent);
        }
    }
}

std::optional<DropReason> Forwarder::choose_server_side(flow::Flow& flow, const Forwarding& forwarding,
                                                        flow::Shard shard, TimePoint now) noexcept
{
    flow.method = static_cast<std::uint8_t>(forwarding.method) & 0x7U;
    switch (forwarding.method) {
    case Method::fullnat:
        if (!choose_source(flow, forwarding, shard, now)) {
            return DropReason::ports_exhausted;
        }
        break;
    case Method::nat:
        flow.local = flow.client;
        flow.local_port = flow.client_port;
        if (!answers_are_free(flow, now)) {
            return DropReason::flow_conflict;
        }
        break;
    case Method::dr:
        flow.one_way = 1;
        return {};
    case Method::ipip:
    case Method::gue:
    case Method::gre:
        flow.one_way = 1;
        return choose_tunnel(flow, forwarding) ? std::nullopt : std::optional{DropReason::no_route};
    }
    flow.address_delta = address_delta(flow);
    return {};
}

bool Forwarder::choose_tunnel(flow::Flow& flow, const Forwarding& forwarding) const noexcept
{
    flow.local_port = tunnel_entropy(flow);
    const std::vector<wire::IpAddress>& sources = forwarding.sources;
    for (std::size_t turn = 0; turn < sources.size(); ++turn) {
        const wire::IpAddress& source = sources[(flow.local_port + turn) % sources.size()];
        const LocalAddress* const local = services_->classify(source, 0, 0).address;
        if (source.is_v4() == flow.server.is_v4() && local != nullptr && holds(*local)) {
            flow.local = source;
            return true;
        }
    }
    return false;
}

bool Forwarder::answers_are_free(const flow::Flow& flow, TimePoint now) noexcept
{
    const flow::FiveTuple answers = flow.from_server();
    return !table_.find(answers, table_.hash(answers), now);
}

bool Forwarder::choose_source(flow::Flow& flow, const Forwarding& forwarding, flow::Shard shard, TimePoint now) noexcept
{
    // The first candidate follows from the flow alone, so that both nodes of a pair try the same mapping first; the
    // others from a secret, so that clients cannot choose to collide for long.
    constexpr HashKey agreed{0x536c756963652031ULL, 0x736f757263652121ULL};
    const std::uint64_t derived =
        siphash13_words(agreed, flow.client.high(), flow.client.low(), flow.service.high(), flow.service.low(),
                        std::uint64_t{flow.client_port} << 16U | flow.service_port);
    const std::uint64_t secret = siphash13_words(options_.secret, derived, flow.server.high(), flow.server.low());
    const auto step = static_cast<std::uint32_t>(secret >> 32U) | 1U;
    const std::vector<wire::IpAddress>& sources = forwarding.sources;
    for (std::size_t turn = 0; turn < sources.size(); ++turn) {
        const wire::IpAddress& source = sources[(derived / ports_per_shard + turn) % sources.size()];
        const LocalAddress* const local = services_->classify(source, 0, 0).address;
        if (source.is_v4() != flow.client.is_v4() || local == nullptr || !holds(*local)) {
            continue;
        }
        flow.local = source;
        auto candidate = static_cast<std::uint32_t>(derived);
        for (std::uint32_t tries = 0; tries < ports_per_shard; ++tries) {
            flow.local_port = port_of(shard, candidate);
            candidate = tries == 0 ? static_cast<std::uint32_t>(secret) : candidate + step;
            const bool listened = services_->classify(flow.local, flow.protocol, flow.local_port).service != nullptr;
            if (!listened && answers_are_free(flow, now)) {
                return true;
            }
            // A search through a crowd must not make the turn long; the client's next try begins another one.
            if (source_tries_ == 0) {
                break;
            }
            --source_tries_;
        }
    }
    return false;
}

void Forwarder::flow_removed(const flow::Flow& flow, TimePoint) noexcept
{
    if (health::Server* const server = servers_.find(ServerId{flow.server_id}).server; server != nullptr) {
        server->counters(options_.core).flows.end(is_active(static_cast<TcpState>(flow.state)));
        server->flow_ended();
    }
    affinities_->release(table_.note(flow));
}

} // namespace sluice::l4
