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

} // namespace sluice::control
