#include "compile_parts.hpp"

#include <sluice/control/pools.hpp>
#include <sluice/wire/headers.hpp>

#include <algorithm>

namespace sluice::control {
namespace {

l4::Balance l4_balance_of(config::Balance balance) noexcept
{
    switch (balance) {
#define SLUICE_SAME_WORD(word)                                                                                         \
    case config::Balance::word:                                                                                        \
        return l4::Balance::word
        SLUICE_SAME_WORD(rr);
        SLUICE_SAME_WORD(wrr);
        SLUICE_SAME_WORD(lc);
        SLUICE_SAME_WORD(wlc);
        SLUICE_SAME_WORD(sed);
        SLUICE_SAME_WORD(nq);
        SLUICE_SAME_WORD(fo);
        SLUICE_SAME_WORD(ovf);
        SLUICE_SAME_WORD(twos);
        SLUICE_SAME_WORD(sh);
        SLUICE_SAME_WORD(dh);
        SLUICE_SAME_WORD(mh);
        SLUICE_SAME_WORD(lblc);
        SLUICE_SAME_WORD(lblcr);
#undef SLUICE_SAME_WORD
    }
    return l4::Balance::wrr;
}

l4::SchedulerOptions scheduler_of(const config::Pool& pool, l4::PoolId id) noexcept
{
    l4::SchedulerOptions options;
    options.balance = l4_balance_of(*pool.balance);
    options.hash_port = pool.hash_key == config::HashKey::address_port;
    options.hash_fallback = pool.hash_fallback;
    options.pool = id.value;
    return options;
}

bool same(const l4::Pool& pool, const l4::SchedulerOptions& options,
          const std::vector<l4::PoolServer>& servers) noexcept
{
    return pool.options == options &&
           std::equal(pool.servers.begin(), pool.servers.end(), servers.begin(), servers.end(),
                      [](const l4::PoolServer& left, const l4::PoolServer& right) {
                          return left.id == right.id && left.weight == right.weight;
                      });
}

std::shared_ptr<const l4::Pool> pool_of(const config::Pool& pool, Registry& registry, const Snapshot* previous)
{
    const l4::PoolId id{registry.pool_id(*pool.name)};
    const l4::SchedulerOptions options = scheduler_of(pool, id);
    std::vector<l4::PoolServer> servers;
    for (const config::Server& server : pool.servers) {
        const auto& record = registry.server(*pool.name, server.name, {server.address->address, server.address->port},
                                             pool.health.has_value());
        servers.push_back({record.id, record.server, present_weight(pool, server, record)});
    }
    if (previous != nullptr) {
        for (const auto& known : previous->services->pools()) {
            if (known->id == id && same(*known, options, servers)) {
                return known;
            }
        }
    }
    return l4::Pool::make(id, *pool.name, options, std::move(servers));
}

/// Without `source` in the file, we speak from the addresses that lead to the servers.
std::vector<wire::IpAddress> sources_of(const config::Forward& forward, const config::Pool& pool,
                                        const neigh::Table& table)
{
    std::vector<wire::IpAddress> sources;
    for (const auto& source : forward.source) {
        sources.push_back(*source);
    }
    if (!sources.empty()) {
        return sources;
    }
    for (const config::Server& server : pool.servers) {
        const auto hop = table.routes.lookup(server.address->address);
        if (hop && !hop->source.is_unspecified() &&
            std::find(sources.begin(), sources.end(), hop->source) == sources.end()) {
            sources.push_back(hop->source);
        }
    }
    return sources;
}

l4::Method forwarding_method(config::Method method) noexcept
{
    switch (method) {
    case config::Method::fullnat:
        break;
    case config::Method::nat:
        return l4::Method::nat;
    case config::Method::dr:
        return l4::Method::dr;
    case config::Method::ipip:
        return l4::Method::ipip;
    case config::Method::gue:
        return l4::Method::gue;
    case config::Method::gre:
        return l4::Method::gre;
    }
    return l4::Method::fullnat;
}

l4::Forwarding forwarding_of(const config::Forward& forward, const config::Pool& pool, const neigh::Table& table,
                             Registry& registry)
{
    l4::Forwarding result;
    result.method = forwarding_method(*forward.method);
    result.pool = {registry.pool_id(*forward.pool)};
    result.timeouts = {forward.timeouts.tcp, forward.timeouts.tcp_fin, forward.timeouts.udp};
    if (forward.persistence) {
        constexpr std::uint8_t whole = 128;
        const auto netmask = static_cast<std::uint8_t>(forward.persistence->netmask.value_or(whole));
        result.persistence = l4::Persistence{forward.persistence->timeout, netmask};
    }
    result.no_server = forward.no_server == config::NoServer::drop ? l4::NoServer::drop : l4::NoServer::reject;
    result.on_server_down =
        forward.on_server_down == config::OnServerDown::reset ? l4::OnServerDown::reset : l4::OnServerDown::keep;
    if (l4::has_sources(result.method)) {
        result.sources = sources_of(forward, pool, table);
    }
    return result;
}

void add_rules(std::vector<l4::AccessList::Rule>& rules, const config::Model& model,
               const std::vector<config::Located<config::NetworkOrList>>& entries, bool allow)
{
    for (const auto& entry : entries) {
        if (entry->network) {
            rules.push_back({*entry->network, allow});
            continue;
        }
        for (const auto& network : config::find_list(model, entry->list)->networks) {
            rules.push_back({*network, allow});
        }
    }
}

/// Where the same network comes from two lists, it is kept out.
l4::Admission admission_of(const config::Model& model, const config::Clients& clients)
{
    l4::Admission result;
    if (!clients.allow.empty() || !clients.deny.empty()) {
        std::vector<l4::AccessList::Rule> rules;
        add_rules(rules, model, clients.allow, true);
        add_rules(rules, model, clients.deny, false);
        result.clients = std::make_shared<const l4::AccessList>(rules, clients.allow.empty());
    }
    result.new_flows = clients.new_flows.value_or({}).per_second;
    result.new_flows_per_source = clients.new_flows_per_source.value_or({}).per_second;
    return result;
}

} // namespace

std::shared_ptr<const l4::ServiceTable> compile_services(const config::Model& model, const neigh::Table& table,
                                                         Registry& registry, const Snapshot* previous)
{
    l4::ServiceTable::Parts parts;
    for (const neigh::LocalAddress& address : table.addresses.entries()) {
        parts.addresses.push_back({address.address, address.is_virtual, address.place});
    }
    std::vector<std::string> used;
    for (const config::Service& service : model.services) {
        const l4::ServiceId id{registry.service_id(*service.name)};
        for (const auto& listen : service.listen) {
            const std::uint8_t protocol =
                listen->transport == config::Transport::udp ? wire::protocol::udp : wire::protocol::tcp;
            parts.listeners.push_back({listen->address, listen->first_port, listen->last_port, protocol, id});
        }
        l4::Service compiled{id, *service.name, {}, admission_of(model, service.clients)};
        if (service.forward) {
            const config::Pool& pool = *config::find_pool(model, *service.forward->pool);
            compiled.forwarding = forwarding_of(*service.forward, pool, table, registry);
            if (std::find(used.begin(), used.end(), *pool.name) == used.end()) {
                used.push_back(*pool.name);
                parts.pools.push_back(pool_of(pool, registry, previous));
            }
        }
        parts.services.push_back(std::move(compiled));
    }
    return l4::ServiceTable::make(std::move(parts));
}

} // namespace sluice::control
