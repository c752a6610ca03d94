#include <sluice/control/pools.hpp>

#include <algorithm>

namespace sluice::control {

const health::Server* find_server(const Registry& registry, const config::Pool& pool, const config::Server& server)
{
    const auto found =
        registry.servers.find({*pool.name, wire::Endpoint{server.address->address, server.address->port}});
    return found == registry.servers.end() ? nullptr : found->second.server.get();
}

std::size_t accepting(const Registry& registry, const config::Pool& pool)
{
    return static_cast<std::size_t>(
        std::count_if(pool.servers.begin(), pool.servers.end(), [&](const config::Server& server) {
            const health::Server* record = find_server(registry, pool, server);
            return server.weight > 0 && record != nullptr && record->accepts_new();
        }));
}

bool pool_failed(const Registry& registry, const config::Pool& pool)
{
    return std::none_of(pool.servers.begin(), pool.servers.end(), [&](const config::Server& server) {
        const health::Server* record = find_server(registry, pool, server);
        return server.weight > 0 && record != nullptr &&
               (record->available() || (record->status() == health::Status::checking && !record->drained()));
    });
}

std::uint32_t present_weight(const config::Pool& pool, const config::Server& server,
                             const Registry::ServerEntry& entry) noexcept
{
    return pool.slow_start ? server.weight * entry.tenths : server.weight;
}

bool advance_slow_start(Registry& registry, const config::Model& model, TimePoint now)
{
    bool changed = false;
    for (const config::Pool& pool : model.pools) {
        if (!pool.slow_start) {
            continue;
        }
        for (const config::Server& server : pool.servers) {
            const auto found =
                registry.servers.find({*pool.name, wire::Endpoint{server.address->address, server.address->port}});
            if (found == registry.servers.end()) {
                continue;
            }
            Registry::ServerEntry& entry = found->second;
            const bool available = entry.server->available();
            if (available && !entry.was_available) {
                entry.available_since = now;
            }
            entry.was_available = available;
            const std::uint32_t before = entry.tenths;
            const Duration elapsed = std::min(now - entry.available_since, **pool.slow_start);
            entry.tenths = available ? static_cast<std::uint32_t>(1 + 9 * elapsed / **pool.slow_start) : 1;
            changed = changed || entry.tenths != before;
        }
    }
    return changed;
}

std::shared_ptr<const l4::Pool> rebuilt(const l4::Pool& pool, const config::Model& model, const Registry& registry)
{
    std::vector<l4::PoolServer> servers = pool.servers;
    const config::Pool* const configured = config::find_pool(model, pool.name);
    for (std::size_t index = 0; configured != nullptr && index < configured->servers.size(); ++index) {
        const config::Server& server = configured->servers[index];
        const auto entry =
            registry.servers.find({pool.name, wire::Endpoint{server.address->address, server.address->port}});
        for (l4::PoolServer& one : servers) {
            if (entry != registry.servers.end() && one.id == entry->second.id) {
                one.weight = present_weight(*configured, server, entry->second);
            }
        }
    }
    return l4::Pool::make(pool.id, pool.name, pool.options, std::move(servers));
}

} // namespace sluice::control
