// What a pool can do now, from the configuration and the live records of its servers. Control thread only.
#pragma once

#include <sluice/config/model.hpp>
#include <sluice/control/snapshot.hpp>

#include <cstddef>
#include <memory>

namespace sluice::control {

/// The record of a configured server; nullptr while it has none.
[[nodiscard]] const health::Server* find_server(const Registry& registry, const config::Pool& pool,
                                                const config::Server& server);
/// How many servers of the pool may take something new.
[[nodiscard]] std::size_t accepting(const Registry& registry, const config::Pool& pool);
/// No server of the pool is there for anything new, and none is still to be judged: what tracks it sees it as failed.
/// Servers that are full are there.
[[nodiscard]] bool pool_failed(const Registry& registry, const config::Pool& pool);

/// What schedulers weigh a server with now. In pools with slow start that is tenths of weights, so that a weight of 1
/// can rise as well; only ratios matter to the schedulers that they may have.
[[nodiscard]] std::uint32_t present_weight(const config::Pool& pool, const config::Server& server,
                                           const Registry::ServerEntry& entry) noexcept;
/// Follows the servers of pools with slow start; whether a weight has changed.
bool advance_slow_start(Registry& registry, const config::Model& model, TimePoint now);
/// The same pool by the present weights and health of its servers.
[[nodiscard]] std::shared_ptr<const l4::Pool> rebuilt(const l4::Pool& pool, const config::Model& model,
                                                      const Registry& registry);

} // namespace sluice::control
