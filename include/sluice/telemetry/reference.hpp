// The reference pages that come from the tables of counters and drop reasons. A test holds docs/ to them.
#pragma once

#include <string>

namespace sluice::telemetry {

[[nodiscard]] std::string drop_reasons_page(); ///< docs/drop-reasons.md
[[nodiscard]] std::string counters_page();     ///< docs/counters.md

} // namespace sluice::telemetry
