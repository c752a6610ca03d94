#include <sluice/l4/service.hpp>

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
    return pool;
}

} // namespace sluice::l4
