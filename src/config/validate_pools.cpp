// Pools: servers, weights, checks, and whether anything leads to them.
#include <config/names.hpp>
#include <config/reach.hpp>
#include <config/scalars.hpp>
#include <config/validate.hpp>

#include <algorithm>
#include <array>
#include <map>

namespace sluice::config {

namespace {

struct OwnAddress {
    const Where* where;
    bool is_virtual;
};

std::map<wire::IpAddress, OwnAddress> own_addresses(const Model& model)
{
    std::map<wire::IpAddress, OwnAddress> all;
    for (const VrrpInstance& instance : model.vrrp) {
        for (const auto& address : instance.addresses) {
            all.emplace(*address, OwnAddress{&address.where, true});
        }
    }
    for (const Port& port : model.ports) {
        for (const auto& own : port.addresses) {
            all.emplace(own->address, OwnAddress{&own.where, false});
        }
    }
    return all;
}

void check_server_address(const Validation& check, const Server& server,
                          const std::map<wire::IpAddress, OwnAddress>& own)
{
    const wire::IpAddress& address = server.address->address;
    if (address.is_unspecified() || address.is_multicast() || address.is_broadcast() || address.is_loopback()) {
        check.report.error(server.address.where, tick(address.to_string()) + " cannot be a server's address");
        return;
    }
    if (const auto found = own.find(address); found != own.end()) {
        check.report.error(server.address.where,
                           tick(address.to_string()) + " is " +
                               (found->second.is_virtual ? "a virtual address" : "an address of a port") +
                               ", so it cannot be a server");
        check.report.note(*found->second.where, "it is this node's here");
        return;
    }
    if (!check.clean("ports") || check.model.ports.empty()) {
        return;
    }
    const Reach reach = reach_of(check.model, address);
    if (reach.port == nullptr) {
        check.report.error(server.address.where, "nothing leads to " + tick(address.to_string()),
                           "give a port an address in its network, or a route to it");
        return;
    }
    const bool speaks = std::any_of(reach.port->addresses.begin(), reach.port->addresses.end(),
                                    [&](const auto& item) { return item->address.is_v4() == address.is_v4(); });
    if (!speaks) {
        check.report.error(server.address.where,
                           "port " + tick(reach.port->name.value) + " has no address of its own to speak to " +
                               tick(address.to_string()) + " from",
                           "add one to its `addresses`");
    }
}

void check_servers(const Validation& check, const Pool& pool, const std::map<wire::IpAddress, OwnAddress>& own)
{
    std::map<ServerAddress, const Where*> addresses;
    std::map<std::string, const Where*> names;
    bool any_weight = false;
    for (const Server& server : pool.servers) {
        any_weight |= server.weight != 0;
        if (!server.address.where.written() || server.address->address == wire::IpAddress{}) {
            continue; // Could not be read.
        }
        check_server_address(check, server, own);
        if (const auto [first, inserted] = addresses.emplace(*server.address, &server.address.where); !inserted) {
            report_twice(check, server.address.where, *first->second,
                         tick(show(*server.address)) + " is already a server of this pool");
        }
        if (const auto [first, inserted] = names.emplace(server.name, &server.where);
            !inserted && !server.name.empty()) {
            report_twice(check, server.where, *first->second,
                         "there is already a server " + tick(server.name) + " in this pool");
        }
    }
    if (!any_weight && !pool.servers.empty() && check.clean("pools")) {
        check.report.warning(pool.name.where, "every server of pool " + tick(pool.name.value) + " has weight 0",
                             "nothing new goes there; give one of them a weight");
    }
}

void check_health(const Validation& check, const Pool& pool)
{
    const HealthCheck& health = *pool.health;
    if (health.timeout > health.interval) {
        check.report.warning(health.where, "a check may take longer than the time to the next",
                             "make `timeout` at most as long as `interval`");
    }
    std::optional<std::uint16_t> port;
    bool needs_port = true;
    if (const auto& http = health.http ? health.http : health.https) {
        port = http->port;
    } else if (health.tcp) {
        port = health.tcp->port;
    } else if (health.udp) {
        port = health.udp->port;
    } else {
        needs_port = false;
    }
    const auto without = std::find_if(pool.servers.begin(), pool.servers.end(),
                                      [](const Server& server) { return server.address->port == 0; });
    if (needs_port && !port && without != pool.servers.end() && check.clean("pools")) {
        check.report.error(health.where, "the check does not know which port to ask",
                           "write `port` in the check, or a port in every server's address");
        check.report.note(without->address.where, "this server has none");
    }
}

void check_balance(const Validation& check, const Pool& pool)
{
    const Name<Balance>& name = name_of(*pool.balance);
    const bool hashes = *pool.balance == Balance::mh || *pool.balance == Balance::sh;
    if (pool.hash_key != HashKey::address && !hashes && check.clean("pools")) {
        check.report.warning(pool.where, "`hash_key` does nothing with " + tick(name.name), "it is for `mh` and `sh`");
    }
    if (pool.hash_fallback && !hashes && check.clean("pools")) {
        check.report.warning(pool.where, "`hash_fallback` does nothing with " + tick(name.name),
                             "it is for `mh` and `sh`");
    }
}

void check_slow_start(const Validation& check, const Pool& pool)
{
    constexpr std::array weighing{Balance::wrr, Balance::wlc, Balance::sed, Balance::nq, Balance::twos};
    if (pool.slow_start && std::find(weighing.begin(), weighing.end(), *pool.balance) == weighing.end()) {
        check.report.error(pool.slow_start->where,
                           tick(name_of(*pool.balance).name) + " has no weights that could rise",
                           "`slow_start` is for wrr, wlc, sed, nq and twos");
    }
}

void check_limits(const Validation& check, const Pool& pool)
{
    for (const Server& server : pool.servers) {
        if (server.limits && server.limits->lower.value_or(1) > server.limits->upper) {
            check.report.error(server.limits->where, "`lower` is more than `upper`",
                               "a full server takes flows again when it has fewer than `lower`");
        }
    }
}

/// The first route that proxies to the pool.
const Route* proxied_by(const Model& model, const Pool& pool)
{
    for (const Service& service : model.services) {
        if (!service.proxy) {
            continue;
        }
        for (const Route& route : service.proxy->routes) {
            if (route.pool && **route.pool == *pool.name) {
                return &route;
            }
        }
    }
    return nullptr;
}

/// What only forwarding has, in a pool that a proxy uses.
void check_proxied(const Validation& check, const Pool& pool, const Route& route)
{
    const auto only_forwarding = [&](const Where& where, std::string_view word, const std::string& hint) {
        check.report.error(where, tick(word) + " is for forwarding", hint);
        check.report.note(route.pool->where, "this route proxies to the pool");
    };
    if (const Name<Balance>& name = name_of(*pool.balance); !name.support.proxy) {
        std::string known;
        for (const Name<Balance>& item : Names<Balance>::table) {
            known += item.support.proxy ? (known.empty() ? "" : ", ") + std::string{item.name} : "";
        }
        only_forwarding(pool.balance.where, name.name, "for a proxy: " + known);
    }
    const std::string apart = "leave it out, or give forwarding a pool of its own";
    if (pool.slow_start) {
        only_forwarding(pool.slow_start->where, "slow_start", apart);
    }
    const auto limited = std::find_if(pool.servers.begin(), pool.servers.end(),
                                      [](const Server& server) { return server.limits.has_value(); });
    if (limited != pool.servers.end()) {
        only_forwarding(limited->limits->where, "limits", apart);
    }
}

std::set<std::string_view> used_pools(const Model& model)
{
    std::set<std::string_view> used;
    for (const Service& service : model.services) {
        if (service.forward) {
            used.insert(service.forward->pool.value);
        }
        if (service.proxy) {
            for (const Route& route : service.proxy->routes) {
                if (route.pool) {
                    used.insert(route.pool->value);
                }
            }
        }
    }
    for (const VrrpInstance& instance : model.vrrp) {
        for (const Track& track : instance.track) {
            if (track.pool) {
                used.insert(track.pool->value);
            }
        }
    }
    return used;
}

} // namespace

void validate_pools(const Validation& check)
{
    const auto own = own_addresses(check.model);
    const auto used = used_pools(check.model);
    std::map<std::string, const Where*> names;
    for (const Pool& pool : check.model.pools) {
        if (const auto [first, inserted] = names.emplace(pool.name.value, &pool.name.where);
            !inserted && !pool.name->empty()) {
            report_twice(check, pool.name.where, *first->second, "there is already a pool " + tick(pool.name.value));
        }
        check_servers(check, pool, own);
        check_balance(check, pool);
        check_slow_start(check, pool);
        check_limits(check, pool);
        if (const Route* const route = proxied_by(check.model, pool); route != nullptr) {
            check_proxied(check, pool, *route);
        }
        if (pool.health) {
            check_health(check, pool);
        }
        if (!used.contains(pool.name.value) && !pool.name->empty() && check.clean("services", "vrrp")) {
            check.report.warning(pool.name.where, "nothing uses pool " + tick(pool.name.value));
        }
    }
}

} // namespace sluice::config
