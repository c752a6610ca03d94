// What DPDK and its drivers log, kept for error messages instead of printed. One per process, as EAL is.
#pragma once

#include <string>

namespace sluice::port {

/// From now on DPDK's log goes into memory (the last 64 lines). Once, before EAL starts.
void keep_dpdk_log();

/// What looks like an error since clear_dpdk_log(), at most three lines joined by semicolons, the cause usually first;
/// empty when there is nothing. Any thread.
[[nodiscard]] std::string dpdk_errors();
/// Everything that is kept, oldest first. Any thread.
[[nodiscard]] std::string kept_dpdk_log();
/// Forgets what was logged, so that dpdk_errors() speaks of what comes next. Any thread.
void clear_dpdk_log();

} // namespace sluice::port
