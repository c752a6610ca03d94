#include <sluice/control/metrics.hpp>

#include "views.hpp"

#include <sluice/telemetry/prometheus.hpp>

#include <algorithm>

namespace sluice::control {
namespace {

using telemetry::MetricType;
using telemetry::PrometheusWriter;

/// Turns from 1 us to 1 s.
constexpr unsigned turn_first_bits = 10;
constexpr unsigned turn_last_bits = 30;

double unix_seconds(WallTime time) { return std::chrono::duration<double>(time.time_since_epoch()).count(); }

void write_node(PrometheusWriter& out, Operations& node)
{
    out.family("sluice_build_info", "The version that runs.", MetricType::gauge);
    out.sample({{"version", node.version()}}, std::uint64_t{1});
    out.family("sluice_start_time_seconds", "When the process started, as Unix time.", MetricType::gauge);
    out.sample({}, unix_seconds(node.started()));
    out.family("sluice_ready", "Whether the node serves or would at once.", MetricType::gauge);
    out.sample({}, std::uint64_t{is_ready(node)});
    out.family("sluice_degraded", "How many things are not as they should be; sluicectl status names them.",
               MetricType::gauge);
    out.sample({}, std::uint64_t{degradations(node).size()});
    out.family("sluice_generation", "The generation of configuration that runs.", MetricType::gauge);
    out.sample({}, node.snapshot().generation);
    out.family("sluice_live_generations", "Generations of configuration that something still uses.", MetricType::gauge);
    out.sample({}, std::uint64_t{node.live_generations()});
    if (const ReloadReport* reload = node.last_reload()) {
        out.family("sluice_last_reload_successful", "Whether the last reload was applied.", MetricType::gauge);
        out.sample({}, std::uint64_t{reload->applied});
        out.family("sluice_last_reload_timestamp_seconds", "When the last reload was tried, as Unix time.",
                   MetricType::gauge);
        out.sample({}, unix_seconds(reload->time));
    }
    out.family("sluice_log_lines_lost_total", "Lines that a log lost, by log.", MetricType::counter);
    out.sample({{"log", "access"}}, node.access_lines_lost());
    out.sample({{"log", "main"}}, node.log_lines_lost());
}

void write_cores(PrometheusWriter& out, const std::vector<CoreView>& cores)
{
    std::vector<const telemetry::CoreCounters*> counters;
    for (const CoreView& core : cores) {
        counters.push_back(core.counters);
    }
    telemetry::write_counters(out, counters);
    telemetry::write_drops(out, counters);
    out.family("sluice_turn_duration_seconds", "How long turns with work lasted.", MetricType::histogram);
    for (const CoreView& core : cores) {
        out.sample({{"core", std::to_string(core.index)}}, core.turns, telemetry::HistogramUnit::nanoseconds,
                   turn_first_bits, turn_last_bits);
    }
    out.family("sluice_core_busy_seconds_total", "Time that the core spent in turns with work.", MetricType::counter);
    for (const CoreView& core : cores) {
        out.sample({{"core", std::to_string(core.index)}}, std::chrono::duration<double>(core.busy).count());
    }
    out.family("sluice_core_polling_seconds_total", "Processor time that the core spent in turns without work.",
               MetricType::counter);
    for (const CoreView& core : cores) {
        out.sample({{"core", std::to_string(core.index)}}, std::chrono::duration<double>(core.polling).count());
    }
    out.family("sluice_core_since_last_turn_seconds", "How long ago the core finished a turn.", MetricType::gauge);
    for (const CoreView& core : cores) {
        out.sample({{"core", std::to_string(core.index)}}, std::chrono::duration<double>(core.since_last_turn).count());
    }
}

void write_memory(PrometheusWriter& out, Operations& node)
{
    const std::vector<CoreView> cores = node.cores();
    const std::vector<std::optional<CoreUse>> uses = node.core_use();
    const auto each = [&](std::string_view name, std::string_view help, auto value) {
        out.family(name, help, MetricType::gauge);
        for (const CoreView& core : cores) {
            if (core.index >= uses.size() || !uses[core.index]) {
                continue;
            }
            for (const MemoryShare& share : uses[core.index]->memory) {
                out.sample({{"core", std::to_string(core.index)}, {"share", share.name}}, std::uint64_t{value(share)});
            }
        }
    };
    each("sluice_memory_used_bytes", "What a share of memory.size has in use, counted or weighed.",
         [](const MemoryShare& share) { return share.used_bytes; });
    each("sluice_memory_limit_bytes", "How large the share is; 0: within that of connections.",
         [](const MemoryShare& share) { return share.limit_bytes; });
    each("sluice_memory_objects", "How many things are in the share.",
         [](const MemoryShare& share) { return share.count; });
}

/// A server and what all cores together have done with it.
struct ServerRow {
    const health::Server* server;
    health::FlowCounts present;
    std::uint64_t flows = 0;
    std::uint64_t requests = 0;
    std::uint64_t failures = 0;
    std::uint64_t packets_in = 0;
    std::uint64_t packets_out = 0;
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
};

std::vector<ServerRow> server_rows(const Operations& node)
{
    std::vector<ServerRow> rows;
    for (const config::Pool& pool : node.model().pools) {
        for (const config::Server& server : pool.servers) {
            const health::Server* record = find_server(node.registry(), pool, server);
            if (record == nullptr) {
                continue;
            }
            ServerRow row{record, record->flows()};
            for (std::size_t core = 0; core < health::maximum_cores; ++core) {
                const health::ServerCounters& one = record->counters(core);
                row.flows += one.flows_total.get();
                row.requests += one.requests_total.get();
                row.failures += one.failures_total.get();
                row.packets_in += one.packets_in.get();
                row.packets_out += one.packets_out.get();
                row.bytes_in += one.bytes_in.get();
                row.bytes_out += one.bytes_out.get();
            }
            rows.push_back(row);
        }
    }
    return rows;
}

void write_servers(PrometheusWriter& out, const Operations& node)
{
    const std::vector<ServerRow> rows = server_rows(node);
    const auto each = [&](std::string_view name, std::string_view help, MetricType type, auto value) {
        out.family(name, help, type);
        for (const ServerRow& row : rows) {
            out.sample({{"pool", row.server->pool()}, {"server", row.server->name()}}, std::uint64_t{value(row)});
        }
    };
    each("sluice_server_up", "Whether the server passed its health check, or has none.", MetricType::gauge,
         [](const ServerRow& row) {
             return row.server->status() == health::Status::up || row.server->status() == health::Status::unchecked;
         });
    each("sluice_server_drained", "Whether an operator drains the server.", MetricType::gauge,
         [](const ServerRow& row) { return row.server->drained(); });
    each("sluice_server_flows_active", "Flows that are established or UDP, and upstream connections.",
         MetricType::gauge, [](const ServerRow& row) { return row.present.active; });
    each("sluice_server_flows_inactive", "TCP flows that are opening or closing.", MetricType::gauge,
         [](const ServerRow& row) { return row.present.inactive; });
    each("sluice_server_flows_total", "Flows and upstream connections that were opened.", MetricType::counter,
         [](const ServerRow& row) { return row.flows; });
    each("sluice_server_requests_total", "Requests that the proxy sent to the server.", MetricType::counter,
         [](const ServerRow& row) { return row.requests; });
    each("sluice_server_failures_total", "Attempts on the server that failed.", MetricType::counter,
         [](const ServerRow& row) { return row.failures; });
    each("sluice_server_received_packets_total", "Packets from clients to the server.", MetricType::counter,
         [](const ServerRow& row) { return row.packets_in; });
    each("sluice_server_sent_packets_total", "Packets from the server to clients.", MetricType::counter,
         [](const ServerRow& row) { return row.packets_out; });
    each("sluice_server_received_bytes_total", "Bytes from clients to the server.", MetricType::counter,
         [](const ServerRow& row) { return row.bytes_in; });
    each("sluice_server_sent_bytes_total", "Bytes from the server to clients.", MetricType::counter,
         [](const ServerRow& row) { return row.bytes_out; });
    out.family("sluice_pool_servers", "Servers that the pool has.", MetricType::gauge);
    for (const config::Pool& pool : node.model().pools) {
        out.sample({{"pool", *pool.name}}, std::uint64_t{pool.servers.size()});
    }
    out.family("sluice_pool_servers_accepting", "Servers of the pool that may take something new.", MetricType::gauge);
    for (const config::Pool& pool : node.model().pools) {
        out.sample({{"pool", *pool.name}}, std::uint64_t{accepting(node.registry(), pool)});
    }
}

void write_requests(PrometheusWriter& out, const Operations& node)
{
    out.family("sluice_requests_total", "Requests that ended, by how and by whose doing.", MetricType::counter);
    for (std::size_t index = 0; index < proxy::outcome_count; ++index) {
        const auto outcome = static_cast<proxy::Outcome>(index);
        const proxy::OutcomeText& words = proxy::text(outcome);
        out.sample({{"outcome", words.name}, {"side", proxy::to_string(words.side)}}, node.outcome(outcome));
    }
    out.family("sluice_http_refusals_total", "Messages that a rule of HTTP refused, by rule.", MetricType::counter);
    for (std::size_t index = 0; index < http::reason_count; ++index) {
        const auto reason = static_cast<http::Reason>(index);
        out.sample({{"rule", http::name(reason)}}, node.refused(reason));
    }
}

void write_vrrp(PrometheusWriter& out, const Operations& node)
{
    const auto each = [&](std::string_view name, std::string_view help, MetricType type, auto value) {
        out.family(name, help, type);
        for (const vrrp::Group& group : node.snapshot().vrrp->groups()) {
            for (const vrrp::Member& member : group.members()) {
                out.sample({{"instance", member.parameters.name}}, std::uint64_t{value(member.statistics)});
            }
        }
    };
    using Seen = vrrp::Statistics;
    each("sluice_vrrp_active", "Whether this node holds the instance's addresses.", MetricType::gauge,
         [](const Seen& seen) { return static_cast<vrrp::State>(seen.state.get()) == vrrp::State::active; });
    each("sluice_vrrp_priority", "The effective priority.", MetricType::gauge,
         [](const Seen& seen) { return seen.priority.get(); });
    each("sluice_vrrp_became_active_total", "Times that the instance became active.", MetricType::counter,
         [](const Seen& seen) { return seen.became_active.get(); });
    each("sluice_vrrp_became_backup_total", "Times that the instance became backup.", MetricType::counter,
         [](const Seen& seen) { return seen.became_backup.get(); });
    each("sluice_vrrp_adverts_sent_total", "Adverts sent.", MetricType::counter,
         [](const Seen& seen) { return seen.adverts_sent.get(); });
    each("sluice_vrrp_adverts_received_total", "Valid adverts received.", MetricType::counter,
         [](const Seen& seen) { return seen.adverts_received.get(); });
    each("sluice_vrrp_other_active_total", "Adverts of another active node, heard while active.", MetricType::counter,
         [](const Seen& seen) { return seen.other_active.get(); });
}

void write_ports(PrometheusWriter& out, const Operations& node)
{
    const std::vector<PortView> ports = node.ports();
    const auto each = [&](std::string_view name, std::string_view help, MetricType type, auto value) {
        out.family(name, help, type);
        for (const PortView& port : ports) {
            out.sample({{"port", port.name}}, std::uint64_t{value(port)});
        }
    };
    each("sluice_port_up", "Whether the port has a link.", MetricType::gauge,
         [](const PortView& port) { return port.link_up; });
    each("sluice_port_received_packets_total", "Packets received.", MetricType::counter,
         [](const PortView& port) { return port.packets_received; });
    each("sluice_port_received_bytes_total", "Bytes received.", MetricType::counter,
         [](const PortView& port) { return port.bytes_received; });
    each("sluice_port_transmitted_packets_total", "Packets sent.", MetricType::counter,
         [](const PortView& port) { return port.packets_transmitted; });
    each("sluice_port_transmitted_bytes_total", "Bytes sent.", MetricType::counter,
         [](const PortView& port) { return port.bytes_transmitted; });
    each("sluice_port_receive_dropped_total", "Packets lost before they reached a core.", MetricType::counter,
         [](const PortView& port) { return port.receive_dropped; });
    each("sluice_port_transmit_dropped_total", "Packets that the device refused.", MetricType::counter,
         [](const PortView& port) { return port.transmit_dropped; });
    each("sluice_port_slow_calls_total", "Driver calls that took longer than 1 ms.", MetricType::counter,
         [](const PortView& port) { return port.slow_calls; });
}

void write_certificates(PrometheusWriter& out, const Operations& node)
{
    out.family("sluice_certificate_expiry_timestamp_seconds", "When the certificate ends, as Unix time.",
               MetricType::gauge);
    for (const CertificateUse& use : certificates_in_use(node.snapshot())) {
        out.sample({{"service", use.service}, {"file", use.certificate.source}},
                   unix_seconds(use.certificate.not_after));
    }
}

} // namespace

bool is_alive(const Operations& node)
{
    const std::vector<CoreView> cores = node.cores();
    return std::all_of(cores.begin(), cores.end(),
                       [](const CoreView& core) { return core.since_last_turn <= stalled_after; });
}

bool is_ready(const Operations& node) { return node.phase() == NodePhase::running; }

std::string metrics_text(Operations& node)
{
    PrometheusWriter out;
    write_node(out, node);
    write_cores(out, node.cores());
    write_memory(out, node);
    write_ports(out, node);
    write_vrrp(out, node);
    write_servers(out, node);
    write_requests(out, node);
    write_certificates(out, node);
    return out.take();
}

} // namespace sluice::control
