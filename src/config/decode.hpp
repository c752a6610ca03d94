// The tree to the model and back, through the field table.
#pragma once

#include <config/reading.hpp>

namespace sluice::config {

/// Reads every key; what could not be read is reported and keeps its default.
[[nodiscard]] Model decode(Reading& reading, const Node& tree);
[[nodiscard]] Node encode(const Model& model);

} // namespace sluice::config
