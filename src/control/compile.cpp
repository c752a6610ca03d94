#include "compile_parts.hpp"

#include <algorithm>

namespace sluice::control {
namespace {

bool same_parameters(const vrrp::Table& table, const std::vector<vrrp::Parameters>& parameters)
{
    std::size_t count = 0;
    for (const vrrp::Group& group : table.groups()) {
        count += group.members().size();
    }
    return count == parameters.size() &&
           std::all_of(parameters.begin(), parameters.end(), [&](const vrrp::Parameters& instance) {
               const vrrp::Member* member = table.find(instance.name);
               return member != nullptr && member->parameters == instance;
           });
}

std::vector<vrrp::TrackedState> tracked_of(const std::vector<vrrp::Parameters>& parameters)
{
    std::vector<vrrp::TrackedState> tracked;
    for (const vrrp::Parameters& instance : parameters) {
        tracked.push_back({{vrrp::TrackedObject::Kind::port, instance.port}, true});
        for (const vrrp::Track& track : instance.tracks) {
            tracked.push_back({track.object, true});
        }
    }
    return tracked;
}

/// Whether the check of another pool has found this address well: until its own check has decided, a new record is
/// believed to be what that one is, so that a pool may be renamed under load.
template <class Servers>
bool known_to_be_up(const Servers& servers, const wire::Endpoint& address)
{
    return std::any_of(servers.begin(), servers.end(), [&](const auto& known) {
        return known.first.second == address && known.second.server->status() == health::Status::up;
    });
}

} // namespace

const Registry::ServerEntry& Registry::server(const std::string& pool, const std::string& name,
                                              const wire::Endpoint& address, bool checked)
{
    const ServerKey key{pool, address};
    auto found = servers.find(key);
    if (found == servers.end()) {
        ServerEntry entry;
        entry.server = std::make_shared<health::Server>(pool, name.empty() ? address.to_string() : name, address);
        entry.server->set_status(!checked                           ? health::Status::unchecked
                                 : known_to_be_up(servers, address) ? health::Status::up
                                                                    : health::Status::checking);
        entry.id = server_registry->add(entry.server);
        entry.checked = checked;
        found = servers.emplace(key, std::move(entry)).first;
    }
    return found->second;
}

std::uint32_t Registry::pool_id(const std::string& name)
{
    return pool_ids.try_emplace(name, static_cast<std::uint32_t>(pool_ids.size() + 1)).first->second;
}

std::uint32_t Registry::service_id(const std::string& name)
{
    return service_ids.try_emplace(name, static_cast<std::uint32_t>(service_ids.size() + 1)).first->second;
}

Expected<std::unique_ptr<Snapshot>, Diagnostics>
compile(const config::Model& model, const std::vector<PortFacts>& ports, Registry& registry, const Snapshot* previous)
{
    Diagnostics diagnostics;
    auto snapshot = std::make_unique<Snapshot>();
    snapshot->generation = previous != nullptr ? previous->generation + 1 : 1;
    const PoolsByName pools = compile_pools(model, registry);
    snapshot->proxy = compile_proxy(model, pools, registry, diagnostics);
    if (!diagnostics.empty()) {
        return failure(std::move(diagnostics));
    }
    snapshot->neighbours = compile_neighbours(model, ports, registry, previous);
    snapshot->services = compile_services(model, *snapshot->neighbours, registry, previous);
    snapshot->probes = compile_probes(model, registry);
    std::vector<vrrp::Parameters> instances = compile_vrrp(model, *snapshot->neighbours, registry);
    if (previous != nullptr && previous->vrrp && same_parameters(*previous->vrrp, instances)) {
        snapshot->vrrp = previous->vrrp;
    } else {
        const std::vector<vrrp::TrackedState> tracked = tracked_of(instances);
        snapshot->vrrp = std::make_shared<vrrp::Table>(std::move(instances), tracked);
    }
    return snapshot;
}

void adopt(Registry& registry, const config::Model& model)
{
    for (const config::Pool& pool : model.pools) {
        for (const config::Server& server : pool.servers) {
            const wire::Endpoint address{server.address->address, server.address->port};
            Registry::ServerEntry& entry = registry.servers.at({*pool.name, address});
            entry.listed = true;
            registry.server_registry->restore(entry.id);
            entry.server->set_name(server.name.empty() ? address.to_string() : server.name);
            const bool checked = pool.health.has_value();
            if (checked && !entry.checked) {
                entry.server->set_status(health::Status::up); // It has served so far; the first verdict decides alone.
            } else if (!checked && entry.server->status() != health::Status::unchecked) {
                entry.server->set_status(health::Status::unchecked);
            }
            entry.checked = checked;
            const std::uint32_t upper = server.limits ? server.limits->upper : 0;
            const std::uint32_t three_quarters = upper - upper / 4; // LVS's default
            const std::uint32_t lower = server.limits ? server.limits->lower.value_or(three_quarters) : 0;
            entry.server->set_limits(upper, lower);
        }
    }
}

void forget_unlisted(Registry& registry, const config::Model& model)
{
    for (auto entry = registry.servers.begin(); entry != registry.servers.end(); ++entry) {
        const config::Pool* pool = config::find_pool(model, entry->first.first);
        const bool listed =
            pool != nullptr &&
            std::any_of(pool->servers.begin(), pool->servers.end(), [&](const config::Server& server) {
                return wire::Endpoint{server.address->address, server.address->port} == entry->first.second;
            });
        if (!listed) {
            entry->second.listed = false;
            registry.server_registry->retire(entry->second.id);
        }
    }
    for (const l4::ServerId id : registry.server_registry->reclaim()) {
        std::erase_if(registry.servers, [id](const auto& entry) { return entry.second.id == id; });
    }
}

} // namespace sluice::control
