// What a core has of each share that memory_plan.hpp laid out. On the core's own thread.
#pragma once

#include "core.hpp"

#include <sluice/control/operations.hpp>

#include <vector>

namespace sluice::app {

[[nodiscard]] std::vector<control::MemoryShare> memory_shares(Core& core, const control::CoreUse& use);

} // namespace sluice::app
