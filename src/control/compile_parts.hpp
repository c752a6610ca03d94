// The parts of compile(), one per module that receives its result.
#pragma once

#include <sluice/control/compile.hpp>

#include <map>
#include <memory>
#include <string>

namespace sluice::control {

using PoolsByName = std::map<std::string, std::shared_ptr<const proxy::Pool>>;

[[nodiscard]] PoolsByName compile_pools(const config::Model& model, Registry& registry);
[[nodiscard]] std::shared_ptr<const proxy::ProxyPlan>
compile_proxy(const config::Model& model, const PoolsByName& pools, Registry& registry, Diagnostics& diagnostics);
[[nodiscard]] std::shared_ptr<const neigh::Table> compile_neighbours(const config::Model& model,
                                                                     const std::vector<PortFacts>& ports,
                                                                     Registry& registry, const Snapshot* previous);
[[nodiscard]] std::vector<vrrp::Parameters> compile_vrrp(const config::Model& model, const neigh::Table& table,
                                                         Registry& registry);
[[nodiscard]] std::shared_ptr<const l4::ServiceTable>
compile_services(const config::Model& model, const neigh::Table& table, Registry& registry, const Snapshot* previous);
[[nodiscard]] std::vector<std::shared_ptr<const probe::ProbePlan>> compile_probes(const config::Model& model,
                                                                                  Registry& registry);

/// Index of a port by its name; the model's references always resolve.
[[nodiscard]] std::uint8_t port_index(const config::Model& model, const std::string& name);

} // namespace sluice::control
