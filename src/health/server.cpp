#include <sluice/health/server.hpp>

namespace sluice::health {

FlowCounts Server::flows() const noexcept
{
    FlowCounts sum;
    for (const ServerCounters& core : counters_) {
        sum += core.flows.get();
    }
    return sum;
}

void Server::set_limits(std::uint32_t upper, std::uint32_t lower) noexcept
{
    limits_.store(std::uint64_t{upper} << 32U | lower, std::memory_order_release);
    if (upper != 0 && flows().all() >= upper) {
        state_.fetch_or(full_bit, std::memory_order_acq_rel);
    } else {
        state_.fetch_and(~full_bit, std::memory_order_acq_rel);
    }
}

// Cores come here at the same time, each after having counted a flow of its own with a plain store. All of them touch
// the word by read-modify-write, which puts them in one order: whoever comes later has seen what those before have
// counted. So the last one judges by all counts, and a server without flows cannot stay full.

void Server::fill() noexcept
{
    const std::uint64_t limits = limits_.load(std::memory_order_relaxed);
    if (flows().all() < limits >> 32U) {
        return;
    }
    state_.fetch_or(full_bit, std::memory_order_acq_rel);
    if (flows().all() < static_cast<std::uint32_t>(limits)) {
        state_.fetch_and(~full_bit, std::memory_order_acq_rel);
    }
}

void Server::vacate() noexcept
{
    const std::uint64_t limits = limits_.load(std::memory_order_relaxed);
    const bool full = (state_.fetch_or(0, std::memory_order_acq_rel) & full_bit) != 0;
    if (full && flows().all() < static_cast<std::uint32_t>(limits)) {
        state_.fetch_and(~full_bit, std::memory_order_acq_rel);
    }
}

} // namespace sluice::health
