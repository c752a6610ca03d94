// The reference of every key, made from the field table: for docs/configuration.md and for hints.
#pragma once

#include <string>
#include <string_view>

namespace sluice::config {

/// The maps that know this key, as a list for a sentence; empty when none does.
[[nodiscard]] std::string sections_with_key(std::string_view key);

} // namespace sluice::config
