// What DPDK and its drivers log, kept for error messages instead of printed. One per process, as EAL is.
#pragma once

#include <string>

namespace sluice::port {

/// From now on DPDK's log goes into memory (the last 64 lines). Once, before EAL starts.
void keep_dpdk_log();

/// The newest line that looks like an error, without its prefix; empty when there is none. Any thread.
[[nodiscard]] std::string last_dpdk_error();
/// Everything that is kept, oldest first. Any thread.
[[nodiscard]] std::string kept_dpdk_log();
/// Forgets what was logged, so that last_dpdk_error() speaks of what comes next. Any thread.
void clear_dpdk_log();

} // namespace sluice::port
