// A flow explained: the questions of forwarder.cpp in their order, asked of the same functions, without acting on the
// answers. tests/packet/l4/explain_test.cpp holds both to each other.
#include <sluice/l4/forwarder.hpp>

namespace sluice::l4 {

using telemetry::DropReason;

namespace {

/// What every decision looks at of the first packet of such a flow.
wire::ParsedPacket first_packet(const flow::FiveTuple& tuple) noexcept
{
    wire::ParsedPacket parsed;
    parsed.kind = tuple.source.is_v4() ? wire::NetworkKind::ipv4 : wire::NetworkKind::ipv6;
    parsed.source = tuple.source;
    parsed.destination = tuple.destination;
    parsed.source_port = tuple.source_port;
    parsed.destination_port = tuple.destination_port;
    parsed.protocol = tuple.protocol;
    parsed.tcp_flags = tuple.protocol == wire::protocol::tcp ? wire::tcp_flag::syn : std::uint8_t{0};
    return parsed;
}

void end(Explanation& explanation, const Verdict& verdict) noexcept
{
    explanation.action = verdict.action;
    explanation.reason = verdict.reason;
}

} // namespace

Explanation Forwarder::explain(const flow::FiveTuple& tuple, TimePoint now) noexcept
{
    Explanation result;
    wire::ParsedPacket parsed = first_packet(tuple);
    Prepared prepared;
    place({}, parsed, *services_, false, prepared.placement);
    fetch(prepared);
    const Placement& placement = prepared.placement;
    result.role = placement.role;
    result.shard = shard_of(placement);
    result.is_address = placement.target.address != nullptr;
    result.held = result.is_address && holds(*placement.target.address);
    const std::uint32_t tries = source_tries_;
    explaining_ = &result;
    end(result, judge_first(parsed, prepared, now));
    explaining_ = nullptr;
    source_tries_ = tries;
    return result;
}

/// What process() would do, with the first packet or with one that continues a known flow.
Verdict Forwarder::judge_first(wire::ParsedPacket& parsed, const Prepared& prepared, TimePoint now) noexcept
{
    const Placement& placement = prepared.placement;
    if (placement.role == Role::proxy || placement.role == Role::forward) {
        explaining_->service = placement.target.service->id;
    }
    if (const auto problem = impossible(placement, parsed)) {
        return Verdict::dropped(*problem);
    }
    packet::Packet none; // refuse() does not touch it while explaining.
    Verdict verdict;
    switch (placement.role) {
    case Role::proxy:
        if (const auto refused = refuses_connection(parsed, *placement.target.service, now)) {
            return Verdict::dropped(*refused);
        }
        [[fallthrough]];
    case Role::worker_port:
        verdict.action = Action::to_worker;
        return verdict;
    case Role::local:
        verdict.action = Action::local;
        return verdict;
    case Role::forward:
        return judge_new(parsed, prepared, now);
    case Role::full_nat_reply:
    case Role::nat_reply:
        if (const auto known = table_.find(placement.tuple, prepared.hash, now)) {
            explaining_->known = *known.flow;
            explaining_->flow = *known.flow;
            explaining_->next_hop = next_hop(*explaining_->flow, !known.from_server);
            verdict.action = Action::transmit;
            return explaining_->next_hop ? verdict : Verdict::dropped(DropReason::no_route);
        }
        return placement.role == Role::nat_reply ? Verdict::dropped(DropReason::not_ours)
                                                 : refuse(none, parsed, DropReason::no_flow, now);
    case Role::closed_port:
        return refuse(none, parsed, DropReason::no_service, now);
    case Role::fragment:
    case Role::tunnel_error:
    case Role::foreign:
        break;
    }
    return Verdict::dropped(DropReason::not_ours);
}

Verdict Forwarder::judge_new(wire::ParsedPacket& parsed, const Prepared& prepared, TimePoint now) noexcept
{
    const Service& service = *prepared.placement.target.service;
    packet::Packet none;
    if (const auto known = table_.find(prepared.placement.tuple, prepared.hash, now)) {
        explaining_->known = *known.flow;
        wire::ParsedPacket continues = parsed;
        continues.tcp_flags = wire::tcp_flag::ack;
        const Keep keep = judge(*known.flow, continues, service);
        if (keep == Keep::reset) {
            return refuse(none, parsed, DropReason::no_server, now);
        }
        if (keep == Keep::yes && judge(*known.flow, parsed, service) == Keep::yes) {
            explaining_->flow = *known.flow;
        } else {
            explaining_->known_is_over = true;
        }
    }
    if (!explaining_->flow) {
        explaining_->pool = service.forwarding->pool;
        const FlowOrVerdict opened = open(none, parsed, service, prepared.placement, now);
        if (const auto* const refused = std::get_if<Verdict>(&opened)) {
            return *refused;
        }
    }
    explaining_->next_hop = next_hop(*explaining_->flow, true);
    Verdict verdict;
    verdict.action = Action::transmit;
    return explaining_->next_hop ? verdict : Verdict::dropped(DropReason::no_route);
}

} // namespace sluice::l4
