#include "compile_parts.hpp"

#include <sluice/tls/context.hpp>

#include <functional>

namespace sluice::control {
namespace {

probe::HttpProbe http_of(const config::HttpCheck& check, std::shared_ptr<const tls::ClientContext> tls)
{
    probe::HttpProbe probe;
    probe.path = check.path;
    probe.host = check.host;
    probe.status.clear();
    for (const config::StatusRange& range : check.status) {
        probe.status.push_back({range.first, range.last});
    }
    probe.tls = std::move(tls);
    return probe;
}

/// The method and, where the check names a port of its own, that port.
std::pair<probe::Method, std::optional<std::uint16_t>> method_of(const config::HealthCheck& check, Registry& registry)
{
    if (check.http) {
        return {http_of(*check.http, nullptr), check.http->port};
    }
    if (check.https) {
        return {http_of(*check.https, registry.probe_tls()), check.https->port};
    }
    if (check.udp) {
        probe::UdpProbe probe{check.udp->send.bytes, {}};
        if (check.udp->expect) {
            probe.expect = check.udp->expect->bytes;
        }
        return {std::move(probe), check.udp->port};
    }
    if (check.icmp) {
        return {probe::IcmpProbe{}, {}};
    }
    return {probe::TcpProbe{}, check.tcp ? check.tcp->port : std::nullopt};
}

/// The same worker for the same server in every generation, so that a reload moves no check.
std::size_t worker_of(const std::string& pool, const wire::Endpoint& address, std::size_t workers) noexcept
{
    return (std::hash<std::string>{}(pool) ^ std::hash<wire::Endpoint>{}(address)) % workers;
}

} // namespace

std::shared_ptr<const tls::ClientContext> Registry::probe_tls()
{
    if (!probe_tls_) {
        tls::ClientOptions options;
        options.verify = false;
        if (auto context = tls::ClientContext::create(options)) {
            probe_tls_ = *context;
        }
    }
    return probe_tls_;
}

std::vector<std::shared_ptr<const probe::ProbePlan>> compile_probes(const config::Model& model, Registry& registry)
{
    std::vector<std::shared_ptr<probe::ProbePlan>> plans;
    for (std::size_t worker = 0; worker < registry.workers; ++worker) {
        plans.push_back(std::make_shared<probe::ProbePlan>());
    }
    for (const config::Pool& pool : model.pools) {
        if (!pool.health) {
            continue;
        }
        for (const config::Server& server : pool.servers) {
            const wire::Endpoint address{server.address->address, server.address->port};
            auto check = std::make_shared<probe::ServerCheck>();
            check->server = registry.server(*pool.name, server.name, address, true).server;
            auto [method, port] = method_of(*pool.health, registry);
            check->method = std::move(method);
            check->target = {address.address, port.value_or(address.port)};
            check->settings = {pool.health->interval, pool.health->timeout,
                               static_cast<std::uint16_t>(pool.health->rise),
                               static_cast<std::uint16_t>(pool.health->fall)};
            plans[worker_of(*pool.name, address, registry.workers)]->checks.push_back(std::move(check));
        }
    }
    return {plans.begin(), plans.end()};
}

} // namespace sluice::control
