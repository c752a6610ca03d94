#include <proxy/pools.hpp>
#include <sluice/health/server.hpp>

#include <algorithm>
#include <unordered_set>

namespace sluice::proxy {

std::optional<std::size_t> Pools::pick(const std::shared_ptr<const Pool>& pool, const wire::Endpoint& client,
                                       const wire::Endpoint& local, const Tried& tried)
{
    State& state = states_.try_emplace(pool.get(), pool, seed_).first->second;
    bool untried_left = false;
    for (std::size_t index = 0; index < pool->servers.size(); ++index) {
        const PoolServer& server = pool->servers[index];
        ServerLoad& load = state.loads[index];
        load.weight = server.weight;
        load.active = upstreams_.requests(server.identity.get());
        load.eligible = server.weight != 0 && server.identity->accepts_new();
        untried_left = untried_left || (load.eligible && std::ranges::find(tried, index) == tried.end());
    }
    if (untried_left) {
        for (const std::size_t index : tried) {
            state.loads[index].eligible = false;
        }
    }
    return state.balancer.pick(state.loads, client_hash(client, pool->hash_client_port), local);
}

void Pools::keep_only(const ProxyPlan& plan)
{
    std::unordered_set<const Pool*> listed;
    for (const auto& service : plan.services) {
        for (const Route& route : service->routes) {
            if (const auto* pool = std::get_if<std::shared_ptr<const Pool>>(&route.action)) {
                listed.insert(pool->get());
            }
        }
    }
    std::erase_if(states_, [&](const auto& entry) { return !listed.contains(entry.first); });
}

} // namespace sluice::proxy
