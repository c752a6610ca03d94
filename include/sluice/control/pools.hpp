// What a pool can do now, from the configuration and the live records of its servers. Control thread only.
#pragma once

#include <sluice/config/model.hpp>
#include <sluice/control/snapshot.hpp>

#include <cstddef>

namespace sluice::control {

/// The record of a configured server; nullptr while it has none.
[[nodiscard]] const health::Server* find_server(const Registry& registry, const config::Pool& pool,
                                                const config::Server& server);
/// How many servers of the pool may take something new.
[[nodiscard]] std::size_t accepting(const Registry& registry, const config::Pool& pool);
/// No server of the pool is there for anything new, and none is still to be judged: what tracks it sees it as failed.
/// Servers that are full are there.
[[nodiscard]] bool pool_failed(const Registry& registry, const config::Pool& pool);

} // namespace sluice::control
