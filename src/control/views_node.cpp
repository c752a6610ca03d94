#include "json.hpp"
#include "views.hpp"

#include <sluice/config/json.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace sluice::control {
namespace {

namespace json = boost::json;

constexpr std::size_t events_in_status = 10;

json::value optional_time(const std::optional<WallTime>& time)
{
    return time ? json::value(rfc3339(*time)) : json::value{};
}

TimePoint time_in(const telemetry::Cell& cell) noexcept
{
    return TimePoint{Duration{static_cast<Duration::rep>(cell.get())}};
}

wire::IpAddress address_in(const telemetry::Cell& high, const telemetry::Cell& low) noexcept
{
    std::byte octets[16];
    store64(octets, high.get());
    store64(octets + 8, low.get());
    return wire::IpAddress::load_v6(octets);
}

json::object vrrp_object(const Operations& node, const vrrp::Group& group, const vrrp::Member& member)
{
    const vrrp::Statistics& seen = member.statistics;
    json::object item;
    item["name"] = member.parameters.name;
    item["group"] = group.members().front().parameters.group;
    item["state"] = vrrp::name(static_cast<vrrp::State>(seen.state.get()));
    item["reason"] = vrrp::name(static_cast<vrrp::Reason>(seen.last_reason.get()));
    const bool moved = seen.last_transition.get() != 0;
    item["since_seconds"] = moved ? json::value(seconds(node.now() - time_in(seen.last_transition))) : json::value{};
    item["port"] = *node.model().ports[member.parameters.port].name;
    item["vrid"] = member.parameters.vrid;
    item["priority"] = seen.priority.get();
    item["configured_priority"] = member.parameters.priority;
    item["advert_interval_seconds"] = seconds(member.parameters.advert_interval);
    json::array addresses;
    for (const wire::IpAddress& address : member.parameters.addresses) {
        addresses.push_back(json::string{address.to_string()});
    }
    item["addresses"] = std::move(addresses);
    const bool heard = seen.adverts_received.get() != 0;
    item["peer"] = heard ? json::value(address_in(seen.peer_high, seen.peer_low).to_string()) : json::value{};
    item["peer_priority"] = heard ? json::value(seen.peer_priority.get()) : json::value{};
    item["became_active_total"] = seen.became_active.get();
    item["became_backup_total"] = seen.became_backup.get();
    item["adverts_sent_total"] = seen.adverts_sent.get();
    item["adverts_received_total"] = seen.adverts_received.get();
    item["priority_zero_sent_total"] = seen.priority_zero_sent.get();
    item["priority_zero_received_total"] = seen.priority_zero_received.get();
    item["addresses_differ_total"] = seen.addresses_differ.get();
    item["other_active_total"] = seen.other_active.get();
    return item;
}

json::array vrrp_array(const Operations& node)
{
    json::array items;
    for (const vrrp::Group& group : node.snapshot().vrrp->groups()) {
        for (const vrrp::Member& member : group.members()) {
            items.push_back(vrrp_object(node, group, member));
        }
    }
    return items;
}

json::object degradation_object(const Degradation& degradation)
{
    json::object item;
    item["kind"] = degradation.kind;
    item["subject"] = degradation.subject;
    item["what"] = degradation.what;
    item["hint"] = degradation.hint;
    item["since"] = optional_time(degradation.since);
    return item;
}

/// The file that runs, the last attempt to change it, and what lies on the disk now.
json::object configuration_object(Operations& node)
{
    json::object item;
    item["file"] = node.config_path();
    item["generation"] = node.snapshot().generation;
    item["live_generations"] = node.live_generations();
    const ReloadReport* reload = node.last_reload();
    item["last_reload"] = reload != nullptr ? json::value(reload_object(*reload)) : json::value{};
    const FileJudgement& file = node.file_on_disk();
    json::object disk;
    disk["valid"] = file.model.has_value();
    disk["differs"] = file.model && !(*file.model == node.model());
    disk["needs_restart"] = file.needs_restart;
    disk["diagnostics"] = config::to_json(file.diagnostics);
    item["on_disk"] = std::move(disk);
    return item;
}

json::array recent_events(const Operations& node)
{
    const auto& events = node.events().events();
    json::array items;
    const std::size_t first = events.size() > events_in_status ? events.size() - events_in_status : 0;
    for (std::size_t index = first; index < events.size(); ++index) {
        items.push_back(event_line(node, events[index]));
    }
    return items;
}

json::object usage_object(const CoreUse& use)
{
    json::object item;
    item["flows"] = use.flows;
    item["flow_capacity"] = use.flow_capacity;
    item["client_connections"] = use.proxy.client_connections;
    item["requests"] = use.proxy.requests;
    item["upstream_connections"] = use.proxy.upstream_connections;
    item["upstream_idle"] = use.proxy.upstream_idle;
    item["tcp_connections"] = use.tcp.connections;
    item["tcp_half_open"] = use.tcp.half_open;
    item["tcp_time_wait"] = use.tcp.time_wait;
    item["tcp_buffer_bytes"] = use.tcp.buffer_bytes;
    json::array shares;
    for (const MemoryShare& share : use.memory) {
        shares.push_back({{"share", share.name},
                          {"count", share.count},
                          {"used_bytes", share.used_bytes},
                          {"limit_bytes", share.limit_bytes}});
    }
    item["memory"] = std::move(shares);
    return item;
}

json::object core_object(const CoreView& core)
{
    json::object item;
    item["core"] = core.index;
    item["cpu"] = core.cpu;
    json::array roles;
    if (core.forwarder) {
        roles.push_back("forwarder");
    }
    if (core.worker) {
        roles.push_back("worker");
    }
    item["roles"] = std::move(roles);
    item["since_last_turn_seconds"] = seconds(core.since_last_turn);
    item["busy_seconds_total"] = seconds(core.busy);
    item["polling_seconds_total"] = seconds(core.polling);
    item["turn_p50_microseconds"] = microseconds(core.turns.quantile(0.5));
    item["turn_p99_microseconds"] = microseconds(core.turns.quantile(0.99));
    item["turn_max_microseconds"] = microseconds(core.turns.max());
    item["events_discarded_total"] = core.events_discarded;
    json::object counters;
    for (std::size_t index = 0; index < telemetry::counter_count; ++index) {
        const auto counter = static_cast<telemetry::Counter>(index);
        counters[std::string{telemetry::text(counter).name} + "_total"] = core.counters->get(counter);
    }
    item["counters"] = std::move(counters);
    return item;
}

} // namespace

json::object status_view(Operations& node)
{
    const std::vector<Degradation> degraded = degradations(node);
    json::object object = answer(node, degraded.empty() ? Exit::success : Exit::refused);
    object["version"] = node.version();
    object["state"] = word(node.phase());
    object["well"] = degraded.empty();
    object["started"] = rfc3339(node.started());
    json::array items;
    for (const Degradation& degradation : degraded) {
        items.push_back(degradation_object(degradation));
    }
    object["degraded"] = std::move(items);
    object["vrrp"] = vrrp_array(node);
    object["configuration"] = configuration_object(node);
    std::size_t servers = 0;
    std::size_t taking = 0;
    for (const config::Pool& pool : node.model().pools) {
        servers += pool.servers.size();
        taking += accepting(node.registry(), pool);
    }
    object["services"] = node.model().services.size();
    object["pools"] = node.model().pools.size();
    object["servers"] = servers;
    object["servers_accepting"] = taking;
    object["drains"] = node.drains().all().size();
    object["events"] = recent_events(node);
    return object;
}

json::object vrrp_view(Operations& node)
{
    json::object object = answer(node);
    object["state"] = word(node.phase());
    object["vrrp"] = vrrp_array(node);
    return object;
}

json::object ports_view(Operations& node)
{
    json::array items;
    for (const PortView& port : node.ports()) {
        json::object item;
        item["name"] = port.name;
        item["link"] = port.link_up ? "up" : "down";
        item["mac"] = port.mac;
        item["mtu_bytes"] = port.mtu;
        item["receive_queues"] = port.receive_queues;
        item["transmit_queues"] = port.transmit_queues;
        item["packets_received_total"] = port.packets_received;
        item["bytes_received_total"] = port.bytes_received;
        item["packets_transmitted_total"] = port.packets_transmitted;
        item["bytes_transmitted_total"] = port.bytes_transmitted;
        item["receive_dropped_total"] = port.receive_dropped;
        item["transmit_dropped_total"] = port.transmit_dropped;
        item["copies_total"] = port.copies;
        item["slow_calls_total"] = port.slow_calls;
        item["receive_starved_total"] = port.receive_starved;
        items.push_back(std::move(item));
    }
    json::object object = answer(node);
    object["ports"] = std::move(items);
    return object;
}

json::object cores_view(Operations& node)
{
    const std::vector<std::optional<CoreUse>> uses = node.core_use();
    json::array items;
    for (const CoreView& core : node.cores()) {
        json::object item = core_object(core);
        const bool answered = core.index < uses.size() && uses[core.index].has_value();
        item["use"] = answered ? json::value(usage_object(*uses[core.index])) : json::value{};
        items.push_back(std::move(item));
    }
    json::object object = answer(node);
    object["cores"] = std::move(items);
    return object;
}

json::object drops_view(Operations& node)
{
    const std::vector<CoreView> cores = node.cores();
    json::array items;
    for (std::size_t index = 0; index < telemetry::drop_reason_count; ++index) {
        const auto reason = static_cast<telemetry::DropReason>(index);
        std::uint64_t count = 0;
        for (const CoreView& core : cores) {
            count += core.counters->get(reason);
        }
        const telemetry::DropReasonText& words = telemetry::text(reason);
        json::object item;
        item["reason"] = words.name;
        item["packets_total"] = count;
        item["meaning"] = words.meaning;
        item["advice"] = words.advice;
        items.push_back(std::move(item));
    }
    json::object object = answer(node);
    object["drops"] = std::move(items);
    return object;
}

json::object neighbours_view(Operations& node)
{
    json::array items;
    const neigh::Adjacencies& adjacencies = node.adjacencies();
    for (std::uint32_t slot = 0; slot < adjacencies.capacity(); ++slot) {
        wire::IpAddress address;
        neigh::Adjacency adjacency;
        if (!adjacencies.describe(slot, address, adjacency)) {
            continue;
        }
        json::object item;
        item["port"] = adjacency.port < node.model().ports.size()
                           ? json::string{*node.model().ports[adjacency.port].name}
                           : json::string{};
        item["address"] = address.to_string();
        item["mac"] = adjacency.mac.to_string();
        item["state"] = neigh::name(adjacency.state);
        items.push_back(std::move(item));
    }
    json::object object = answer(node);
    object["neighbours"] = std::move(items);
    return object;
}

} // namespace sluice::control
