// The node's numbers in the Prometheus text format; docs/metrics.md lists them. Control thread.
#pragma once

#include <sluice/control/operations.hpp>

#include <string>

namespace sluice::control {

/// Asks no core: it answers within milliseconds whatever the load.
[[nodiscard]] std::string metrics_text(Operations& node);

/// Every core finishes turns.
[[nodiscard]] bool is_alive(const Operations& node);
/// The node serves, or would at once when the peer fails.
[[nodiscard]] bool is_ready(const Operations& node);

} // namespace sluice::control
