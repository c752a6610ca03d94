// When to probe, as pure functions of time. Jitter keeps the checks of many servers, and of a pair of nodes, apart.
#pragma once

#include <sluice/base/random.hpp>
#include <sluice/base/time.hpp>
#include <sluice/health/check.hpp>

namespace sluice::health {

/// The first probe: at once, spread over a tenth of the interval and at most 100 ms, since a node takes no address
/// before every check has decided.
[[nodiscard]] TimePoint first_probe(const CheckSettings& settings, TimePoint now, Random& random) noexcept;

/// The probe after the one that started at `started` and ended at `now`: an interval after its start, 1/16 sooner or
/// later. A probe that took longer than that is followed at once; what was missed is not made up for.
[[nodiscard]] TimePoint next_probe(const CheckSettings& settings, TimePoint started, TimePoint now,
                                   Random& random) noexcept;

/// When a probe that started at `started` has taken too long.
[[nodiscard]] TimePoint deadline(const CheckSettings& settings, TimePoint started) noexcept;

/// Whether a timeout that was noticed at `now` says something about the server: not when our loop came late by more
/// than a quarter of the timeout, or something of ours dropped packets meanwhile.
[[nodiscard]] bool timeout_counts(const CheckSettings& settings, TimePoint deadline, TimePoint now,
                                  bool own_drops) noexcept;

} // namespace sluice::health
