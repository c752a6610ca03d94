#include "views.hpp"

#include "json.hpp"

#include <sluice/config/json.hpp>
#include <sluice/tls/context.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace sluice::control {
namespace {

namespace json = boost::json;

json::array pools_of(const config::Service& service)
{
    json::array pools;
    const auto add = [&](const std::string& name) {
        const json::string text{name};
        if (std::find(pools.begin(), pools.end(), json::value(text)) == pools.end()) {
            pools.push_back(text);
        }
    };
    if (service.forward) {
        add(*service.forward->pool);
    } else if (service.proxy) {
        for (const config::Route& route : service.proxy->routes) {
            if (route.pool) {
                add(**route.pool);
            }
        }
    }
    return pools;
}

std::string_view word(config::Method method) noexcept
{
    static constexpr std::string_view words[] = {"fullnat", "nat", "dr", "ipip", "gue", "gre"};
    return words[static_cast<std::size_t>(method)];
}

std::string_view word(health::Status status) noexcept
{
    static constexpr std::string_view words[] = {"unchecked", "checking", "up", "down"};
    return words[static_cast<std::size_t>(status)];
}

/// What all cores together have done with a server.
json::object counters_of(const health::Server& server)
{
    health::ServerCounters sum;
    for (std::size_t core = 0; core < health::maximum_cores; ++core) {
        const health::ServerCounters& one = server.counters(core);
        sum.flows_total.add(one.flows_total.get());
        sum.requests_total.add(one.requests_total.get());
        sum.failures_total.add(one.failures_total.get());
        sum.packets_in.add(one.packets_in.get());
        sum.packets_out.add(one.packets_out.get());
        sum.bytes_in.add(one.bytes_in.get());
        sum.bytes_out.add(one.bytes_out.get());
    }
    json::object item;
    const health::FlowCounts flows = server.flows();
    item["flows_active"] = flows.active;
    item["flows_inactive"] = flows.inactive;
    item["flows_total"] = sum.flows_total.get();
    item["requests_total"] = sum.requests_total.get();
    item["failures_total"] = sum.failures_total.get();
    item["packets_in_total"] = sum.packets_in.get();
    item["packets_out_total"] = sum.packets_out.get();
    item["bytes_in_total"] = sum.bytes_in.get();
    item["bytes_out_total"] = sum.bytes_out.get();
    return item;
}

json::object drain_object(const Drain& drain)
{
    json::object item;
    item["since"] = rfc3339(drain.since);
    item["until"] = drain.until ? json::value(rfc3339(*drain.until)) : json::value{};
    item["by"] = drain.who;
    item["reason"] = drain.reason;
    return item;
}

} // namespace

std::string_view word(NodePhase phase) noexcept
{
    static constexpr std::string_view words[] = {"starting", "running",  "handing_over",
                                                 "standby",  "draining", "stopping"};
    return words[static_cast<std::size_t>(phase)];
}

std::string_view word(config::Balance balance) noexcept
{
    static constexpr std::string_view words[] = {"rr",  "wrr", "lc", "wlc", "sh",   "dh",    "mh",
                                                 "sed", "nq",  "fo", "ovf", "lblc", "lblcr", "twos"};
    return words[static_cast<std::size_t>(balance)];
}

std::string listen_text(const config::Listen& listen)
{
    const std::string address =
        listen.address.is_v6() ? fmt::format("[{}]", listen.address.to_string()) : listen.address.to_string();
    const std::string ports = listen.last_port != listen.first_port
                                  ? fmt::format("{}-{}", listen.first_port, listen.last_port)
                                  : fmt::format("{}", listen.first_port);
    return fmt::format("{}:{}/{}", address, ports, listen.transport == config::Transport::udp ? "udp" : "tcp");
}

std::vector<std::string> users_of(const config::Model& model, std::string_view pool)
{
    std::vector<std::string> users;
    for (const config::Service& service : model.services) {
        const json::array pools = pools_of(service);
        if (std::any_of(pools.begin(), pools.end(),
                        [&](const json::value& name) { return name.as_string() == pool; })) {
            users.push_back(*service.name);
        }
    }
    return users;
}

std::vector<CertificateUse> certificates_in_use(const Snapshot& snapshot)
{
    std::vector<CertificateUse> uses;
    for (const auto& service : snapshot.proxy->services) {
        if (service->tls) {
            for (const tls::CertificateInfo& certificate : service->tls->certificates()) {
                uses.push_back({service->name, certificate});
            }
        }
    }
    return uses;
}

json::object envelope(const Operations& node, WallTime time)
{
    json::object object;
    object["schema"] = schema_version;
    object["node"] = node.model().node;
    object["time"] = rfc3339(time);
    return object;
}

json::object answer(const Operations& node, Exit exit)
{
    json::object object = envelope(node, std::chrono::system_clock::now());
    object["exit_code"] = static_cast<int>(exit);
    return object;
}

json::object services_view(Operations& node)
{
    json::array items;
    for (const config::Service& service : node.model().services) {
        json::object item;
        item["name"] = *service.name;
        item["kind"] = service.forward ? "forward" : "proxy";
        item["method"] = service.forward ? word(*service.forward->method) : "";
        item["tls"] = service.proxy && service.proxy->tls.has_value();
        json::array listen;
        for (const auto& one : service.listen) {
            listen.push_back(json::string{listen_text(*one)});
        }
        item["listen"] = std::move(listen);
        json::array pools = pools_of(service);
        std::size_t ready = 0;
        for (const json::value& pool : pools) {
            ready += accepting(node.registry(), *config::find_pool(node.model(), pool.as_string())) != 0 ? 1 : 0;
        }
        item["pools_ready"] = ready;
        item["pools"] = std::move(pools);
        items.push_back(std::move(item));
    }
    json::object object = answer(node);
    object["services"] = std::move(items);
    return object;
}

json::object pools_view(Operations& node)
{
    json::array items;
    for (const config::Pool& pool : node.model().pools) {
        std::size_t up = 0;
        std::size_t down = 0;
        std::size_t drained = 0;
        for (const config::Server& server : pool.servers) {
            const health::Server* record = find_server(node.registry(), pool, server);
            if (record == nullptr) {
                continue;
            }
            up += record->status() == health::Status::up || record->status() == health::Status::unchecked ? 1 : 0;
            down += record->status() == health::Status::down ? 1 : 0;
            drained += record->drained() ? 1 : 0;
        }
        json::object item;
        item["name"] = *pool.name;
        item["balance"] = word(*pool.balance);
        item["checked"] = pool.health.has_value();
        item["servers"] = pool.servers.size();
        item["accepting"] = accepting(node.registry(), pool);
        item["up"] = up;
        item["down"] = down;
        item["drained"] = drained;
        json::array users;
        for (const std::string& user : users_of(node.model(), *pool.name)) {
            users.push_back(json::string{user});
        }
        item["services"] = std::move(users);
        items.push_back(std::move(item));
    }
    json::object object = answer(node);
    object["pools"] = std::move(items);
    return object;
}

json::object servers_view(Operations& node)
{
    json::array items;
    for (const config::Pool& pool : node.model().pools) {
        for (const config::Server& server : pool.servers) {
            const health::Server* record = find_server(node.registry(), pool, server);
            if (record == nullptr) {
                continue;
            }
            json::object item;
            item["pool"] = *pool.name;
            item["server"] = record->name();
            item["address"] =
                record->address().port != 0 ? record->address().to_string() : record->address().address.to_string();
            item["weight"] = server.weight;
            item["status"] = word(record->status());
            item["accepts_new"] = server.weight > 0 && record->accepts_new();
            item["full"] = record->full();
            const RecordedEvent* event =
                node.events().last(telemetry::EventKind::health, *pool.name + "/" + record->name());
            item["since"] = event != nullptr ? json::value(rfc3339(event->time)) : json::value{};
            item["reason"] = event != nullptr ? text(event->event.reason.view()) : json::string{};
            const Drain* drain = node.drains().find(*pool.name, record->address());
            item["drain"] = drain != nullptr ? json::value(drain_object(*drain)) : json::value{};
            for (auto& [key, value] : counters_of(*record)) {
                item[key] = std::move(value);
            }
            items.push_back(std::move(item));
        }
    }
    json::object object = answer(node);
    object["servers"] = std::move(items);
    return object;
}

json::object certificates_view(Operations& node)
{
    const auto now = std::chrono::system_clock::now();
    json::array items;
    for (const CertificateUse& use : certificates_in_use(node.snapshot())) {
        const tls::CertificateInfo& certificate = use.certificate;
        json::object item;
        item["service"] = use.service;
        item["file"] = certificate.source;
        json::array names;
        for (const std::string& name : certificate.names) {
            names.push_back(json::string{name});
        }
        item["names"] = std::move(names);
        item["subject"] = certificate.subject;
        item["issuer"] = certificate.issuer;
        item["key"] = certificate.key;
        item["not_before"] = rfc3339(certificate.not_before);
        item["not_after"] = rfc3339(certificate.not_after);
        item["remaining_seconds"] =
            std::chrono::duration_cast<std::chrono::seconds>(certificate.not_after - now).count();
        item["fingerprint"] = certificate.fingerprint;
        items.push_back(std::move(item));
    }
    json::object object = answer(node);
    object["certificates"] = std::move(items);
    return object;
}

json::object version_view(Operations& node)
{
    json::object object = answer(node);
    object["version"] = node.version();
    return object;
}

json::object reload_object(const ReloadReport& report)
{
    json::object object;
    object["time"] = rfc3339(report.time);
    object["applied"] = report.applied;
    object["taken_up"] = report.taken_up;
    object["generation"] = report.generation;
    object["diagnostics"] = config::to_json(report.diagnostics);
    return object;
}

json::object event_line(const Operations& node, const RecordedEvent& recorded)
{
    json::object object = envelope(node, recorded.time);
    object["number"] = recorded.number;
    object["kind"] = telemetry::text(recorded.event.kind);
    object["subject"] = text(recorded.event.subject.view());
    object["from"] = text(recorded.event.from.view());
    object["to"] = text(recorded.event.to.view());
    object["reason"] = text(recorded.event.reason.view());
    return object;
}

} // namespace sluice::control
