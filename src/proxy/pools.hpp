// What one worker remembers of pools and servers: balance, load, idle connections. Owner of the loop only.
#pragma once

#include <proxy/balance.hpp>
#include <proxy/upstream.hpp>
#include <sluice/proxy/plan.hpp>

#include <boost/container/small_vector.hpp>

#include <memory>
#include <unordered_map>
#include <vector>

namespace sluice::proxy {

/// The servers that one request has tried, by index into its pool.
using Tried = boost::container::small_vector<std::size_t, 4>;

class Pools {
public:
    Pools(UpstreamConnections& upstreams, std::uint64_t seed) noexcept : upstreams_{upstreams}, seed_{seed} {}

    /// The server for the next attempt of a request, or nothing when none may take it. Servers in `tried` are taken
    /// again only when there is no other.
    [[nodiscard]] std::optional<std::size_t> pick(const std::shared_ptr<const Pool>& pool, const wire::Endpoint& client,
                                                  const wire::Endpoint& local, const Tried& tried);

    /// Forgets pools that no plan lists.
    void keep_only(const ProxyPlan& plan);

private:
    struct State {
        State(std::shared_ptr<const Pool> of, std::uint64_t seed)
            : pool{std::move(of)}, balancer{pool->balance, pool->servers, seed}, loads(pool->servers.size())
        {
        }
        std::shared_ptr<const Pool> pool; ///< Held, so that its address stays its name.
        Balancer balancer;
        std::vector<ServerLoad> loads;
    };

    UpstreamConnections& upstreams_;
    std::uint64_t seed_;
    std::unordered_map<const Pool*, State> states_;
};

} // namespace sluice::proxy
