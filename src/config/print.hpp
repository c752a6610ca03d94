// Trees as YAML text.
#pragma once

#include <config/tree.hpp>

namespace sluice::config {

/// A tree in one line, as it may stand behind a key.
[[nodiscard]] std::string inline_text(const Node& node);

} // namespace sluice::config
