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

/// Compiles everything. `previous` (may be null) lets unchanged parts be shared; the registry gains what is new, and
/// what is there is not touched, so a compilation that is refused, or not published for another reason, leaves no
/// trace that matters. Fails with every reason: files that cannot be read, certificates that do not fit.
[[nodiscard]] Expected<std::unique_ptr<Snapshot>, Diagnostics>
compile(const config::Model& model, const std::vector<PortFacts>& ports, Registry& registry, const Snapshot* previous);

/// What changed that only a restart can change (node, cpu, memory, control, a port's device), each as an error that
/// names it. Empty: a reload will do.
[[nodiscard]] Diagnostics needs_restart(const config::Model& running, const config::Model& wanted);

/// Makes the records of servers follow `model`: their names, and what a health check that came or went means for their
/// status. Before the snapshot of the model is published, when nothing can refuse it any more; and again whenever a
/// check has decided, since that may be one that is gone, on a worker that has not taken the snapshot up.
void adopt(Registry& registry, const config::Model& model);

/// Forgets servers that `model` does not list and nobody else holds. After the old generation was retired.
void forget_unlisted(Registry& registry, const config::Model& model);

} // namespace sluice::control
