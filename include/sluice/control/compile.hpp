// From the configuration model to what the data plane uses. Control thread only; reads certificate and key files.
#pragma once

#include <sluice/base/diagnostic.hpp>
#include <sluice/base/result.hpp>
#include <sluice/config/model.hpp>
#include <sluice/control/snapshot.hpp>

#include <memory>
#include <vector>

namespace sluice::control {

/// What a port turned out to be once it was opened, in the order of Model::ports.
struct PortFacts {
    wire::MacAddress mac;
    std::uint16_t mtu = 1500;
};

/// Compiles everything. `previous` (may be null) lets unchanged parts be shared; the registry gains what is new and
/// loses nothing, so a refused compilation leaves no trace that matters. Fails with every reason: files that cannot be
/// read, certificates that do not fit.
[[nodiscard]] Expected<std::unique_ptr<Snapshot>, Diagnostics>
compile(const config::Model& model, const std::vector<PortFacts>& ports, Registry& registry, const Snapshot* previous);

/// What changed that only a restart can change (node, cpu, memory, control, a port's device), each as an error that
/// names it. Empty: a reload will do.
[[nodiscard]] Diagnostics needs_restart(const config::Model& running, const config::Model& wanted);

/// Forgets servers that `snapshot` does not list and nobody else holds. After the old generation was retired.
void forget_unlisted(Registry& registry, const config::Model& model);

} // namespace sluice::control
