#include "compile_parts.hpp"

#include <sluice/tls/context.hpp>

#include <algorithm>

namespace sluice::control {
namespace {

proxy::Balance balance_of(config::Balance balance) noexcept
{
    switch (balance) {
    case config::Balance::rr:
        return proxy::Balance::rr;
    case config::Balance::lc:
        return proxy::Balance::lc;
    case config::Balance::wlc:
        return proxy::Balance::wlc;
    case config::Balance::sh:
        return proxy::Balance::sh;
    case config::Balance::dh:
        return proxy::Balance::dh;
    case config::Balance::mh:
        return proxy::Balance::mh;
    case config::Balance::sed:
        return proxy::Balance::sed;
    case config::Balance::nq:
        return proxy::Balance::nq;
    case config::Balance::fo:
        return proxy::Balance::fo;
    case config::Balance::ovf:
        return proxy::Balance::ovf;
    case config::Balance::twos:
        return proxy::Balance::twos;
    case config::Balance::lblc: // Destination locality means nothing to a reverse proxy: config refuses both there.
    case config::Balance::lblcr:
    case config::Balance::wrr:
        break;
    }
    return proxy::Balance::wrr;
}

std::vector<proxy::HeaderField> fields_of(const std::vector<config::HeaderField>& fields)
{
    std::vector<proxy::HeaderField> result;
    for (const config::HeaderField& field : fields) {
        result.push_back({field.name, field.value});
    }
    return result;
}

proxy::HeaderRules rules_of(const config::HeaderRules& rules)
{
    proxy::HeaderRules result;
    for (const auto& name : rules.remove) {
        result.remove.push_back(*name);
    }
    result.set = fields_of(rules.set);
    result.add = fields_of(rules.add);
    return result;
}

proxy::HostMatch host_of(const std::string& pattern)
{
    if (pattern.starts_with("*.")) {
        return {proxy::HostMatch::Kind::wildcard, pattern.substr(1)};
    }
    return {proxy::HostMatch::Kind::exact, pattern};
}

proxy::PathMatch path_of(const std::optional<config::PathMatch>& path)
{
    if (path && path->exact) {
        return {proxy::PathMatch::Kind::exact, *path->exact};
    }
    if (path && path->prefix) {
        return {proxy::PathMatch::Kind::prefix, *path->prefix};
    }
    return {};
}

proxy::Redirect redirect_of(const config::Redirect& redirect)
{
    proxy::Redirect result;
    if (redirect.scheme) {
        result.scheme = *redirect.scheme == config::Scheme::https ? "https" : "http";
    }
    result.host = redirect.host.value_or("");
    result.path = redirect.path.value_or("");
    result.port = redirect.port.value_or(0);
    result.status = static_cast<std::uint16_t>(redirect.status);
    return result;
}

proxy::Route route_of(const config::Route& route, const PoolsByName& pools)
{
    proxy::Route result;
    if (route.match) {
        for (const auto& host : route.match->host) {
            result.hosts.push_back(host_of(*host));
        }
        result.path = path_of(route.match->path);
    }
    if (route.pool) {
        result.action = pools.at(**route.pool);
    } else if (route.redirect) {
        result.action = redirect_of(*route.redirect);
    } else if (route.respond) {
        result.action = proxy::Respond{static_cast<std::uint16_t>(route.respond->status), route.respond->content_type,
                                       route.respond->body};
    }
    if (route.headers) {
        result.request_headers = rules_of(route.headers->request);
        result.response_headers = rules_of(route.headers->response);
    }
    return result;
}

Diagnostic diagnostic_of(const tls::LoadError& error, const config::Where& where)
{
    return {Severity::error, where, error.message, error.remedy, {}};
}

std::shared_ptr<const tls::ServerContext> tls_of(const config::Tls& tls, Registry& registry, Diagnostics& diagnostics)
{
    std::shared_ptr<const tls::TicketKeys> keys = registry.process_ticket_keys;
    if (!tls.ticket_keys.empty()) {
        std::vector<std::string> paths;
        for (const auto& file : tls.ticket_keys) {
            paths.push_back(file->path);
        }
        auto loaded = tls::TicketKeys::load(paths);
        if (!loaded) {
            diagnostics.push_back(diagnostic_of(loaded.error(), tls.ticket_keys.front().where));
            return nullptr;
        }
        keys = *loaded;
    }
    tls::ServerOptions options;
    options.min_version = tls.min_version == config::TlsVersion::tls13 ? tls::Version::tls1_3 : tls::Version::tls1_2;
    for (const config::Certificate& certificate : tls.certificates) {
        options.certificates.push_back({{certificate.cert->path, {}}, {certificate.key->path, {}}});
    }
    auto context = tls::ServerContext::create(options, keys);
    if (!context) {
        diagnostics.push_back(diagnostic_of(context.error(), tls.where));
        return nullptr;
    }
    return *context;
}

std::shared_ptr<const proxy::ServicePlan> service_of(const config::Service& service, const PoolsByName& pools,
                                                     Registry& registry, Diagnostics& diagnostics)
{
    const config::Proxy& proxy = *service.proxy;
    auto plan = std::make_shared<proxy::ServicePlan>();
    plan->name = *service.name;
    for (const auto& listen : service.listen) {
        for (std::uint32_t port = listen->first_port; port <= listen->last_port; ++port) {
            plan->listen.push_back({listen->address, static_cast<std::uint16_t>(port)});
        }
    }
    if (proxy.tls) {
        plan->tls = tls_of(*proxy.tls, registry, diagnostics);
    }
    for (const auto& prefix : proxy.forwarded.trust) {
        plan->trusted.push_back(*prefix);
    }
    plan->timeouts = {proxy.timeouts.handshake, proxy.timeouts.header, proxy.timeouts.body.value_or(proxy::no_timeout),
                      proxy.timeouts.keepalive, proxy.timeouts.tunnel.value_or(proxy::no_timeout)};
    plan->limits.header_bytes = static_cast<std::uint32_t>(proxy.limits.header.bytes);
    plan->limits.body_bytes = proxy.limits.body.unlimited() ? proxy::unlimited : proxy.limits.body.value->bytes;
    for (const config::Route& route : proxy.routes) {
        plan->routes.push_back(route_of(route, pools));
    }
    return plan;
}

} // namespace

PoolsByName compile_pools(const config::Model& model, Registry& registry)
{
    PoolsByName pools;
    for (const config::Pool& pool : model.pools) {
        auto compiled = std::make_shared<proxy::Pool>();
        compiled->name = *pool.name;
        compiled->balance = balance_of(*pool.balance);
        compiled->hash_client_port = pool.hash_key == config::HashKey::address_port;
        for (const config::Server& server : pool.servers) {
            const wire::Endpoint address{server.address->address, server.address->port};
            compiled->servers.push_back(
                {registry.server(*pool.name, server.name, address, pool.health.has_value()).server, server.weight});
        }
        compiled->timeouts = {pool.timeouts.connect, pool.timeouts.response.value_or(proxy::no_timeout),
                              pool.timeouts.keepalive};
        compiled->retries = pool.retries;
        pools.emplace(*pool.name, std::move(compiled));
    }
    return pools;
}

std::shared_ptr<const proxy::ProxyPlan> compile_proxy(const config::Model& model, const PoolsByName& pools,
                                                      Registry& registry, Diagnostics& diagnostics)
{
    auto plan = std::make_shared<proxy::ProxyPlan>();
    for (const config::Service& service : model.services) {
        if (service.proxy) {
            plan->services.push_back(service_of(service, pools, registry, diagnostics));
        }
    }
    return plan;
}

} // namespace sluice::control
