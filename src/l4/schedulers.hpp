// What makes each family of schedulers. `weights` are those of the servers that the scheduler is built over; others
// have 0. Control thread.
#pragma once

#include <sluice/l4/scheduler.hpp>

#include <vector>

namespace sluice::l4 {

/// How often a scheduler's own order is followed over refusing servers before all servers are simply tried in turn.
inline constexpr std::uint32_t patience = 32;

/// The last resort, so that "no server" is only ever said when it is true.
[[nodiscard]] std::optional<std::uint32_t> any_server(std::span<const PoolServer> servers, const PickRequest& request,
                                                      std::uint64_t start) noexcept;

/// lc, wlc, sed, nq, fo, ovf.
[[nodiscard]] std::unique_ptr<const Scheduler> make_comparison(Balance balance);
[[nodiscard]] std::unique_ptr<const Scheduler> make_two_choices(std::span<const std::uint32_t> weights);
/// sh, dh, mh.
[[nodiscard]] std::unique_ptr<const Scheduler>
make_hash(const SchedulerOptions& options, std::span<const PoolServer> servers, std::span<const std::uint32_t> weights);
/// lblc, lblcr.
[[nodiscard]] std::unique_ptr<const Scheduler> make_locality(const SchedulerOptions& options);

/// LVS's wlc: the fewest flows by weight, an established one as heavy as 256 others.
[[nodiscard]] std::optional<std::uint32_t> least_loaded(std::span<const PoolServer> servers,
                                                        const PickRequest& request) noexcept;

/// What lc, wlc, lblc, lblcr and twos weigh.
[[nodiscard]] std::uint64_t overhead(const PoolServer& server, const PickRequest& request) noexcept;

} // namespace sluice::l4
