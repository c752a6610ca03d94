// Diagnostics for programs.
#pragma once

#include <sluice/base/diagnostic.hpp>

#include <boost/json/array.hpp>

namespace sluice::config {

/// One object each: severity, file, line, column, message, hint. Keys are contract; they only gain.
[[nodiscard]] boost::json::array to_json(const Diagnostics& diagnostics);

} // namespace sluice::config
