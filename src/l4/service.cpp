#include <sluice/l4/service.hpp>

#include <algorithm>
#include <numeric>

namespace sluice::l4 {

std::shared_ptr<const Pool> Pool::make(PoolId id, std::string name, const SchedulerOptions& options,
                                       std::vector<PoolServer> servers)
{
    auto pool = std::make_shared<Pool>();
    pool->id = id;
    pool->name = std::move(name);
    pool->options = options;
    pool->servers = std::move(servers);
    pool->scheduler = make_scheduler(options, pool->servers);
    pool->by_id.resize(pool->servers.size());
    std::iota(pool->by_id.begin(), pool->by_id.end(), std::uint16_t{0});
    std::sort(pool->by_id.begin(), pool->by_id.end(), [&](std::uint16_t left, std::uint16_t right) {
        return pool->servers[left].id.value < pool->servers[right].id.value;
    });
    return pool;
}

std::optional<std::uint32_t> Pool::find(ServerId server) const noexcept
{
    const auto found =
        std::lower_bound(by_id.begin(), by_id.end(), server.value,
                         [this](std::uint16_t index, std::uint32_t value) { return servers[index].id.value < value; });
    if (found == by_id.end() || servers[*found].id != server) {
        return {};
    }
    return *found;
}

} // namespace sluice::l4
