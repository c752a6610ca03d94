// A server as both layers see it: a stable identity with its live state in one word and its counters per core. It
// outlives snapshots; `control` makes it, cores hold it by shared_ptr or through the snapshot of their turn.
#pragma once

#include <sluice/telemetry/counters.hpp>
#include <sluice/wire/address.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <set>
#include <string>

namespace sluice::health {

inline constexpr std::size_t maximum_cores = 16;

/// What one core has done with one server. Written by that core.
struct alignas(64) ServerCounters {
    telemetry::Cell flows_active; ///< Layer 4 flows, or upstream connections of the proxy
    telemetry::Cell flows_total;
    telemetry::Cell requests_total; ///< Proxy only
    telemetry::Cell failures_total; ///< Connects refused or timed out, nonsense answers
    telemetry::Cell packets_in;     ///< Client to server
    telemetry::Cell packets_out;
    telemetry::Cell bytes_in;
    telemetry::Cell bytes_out;
};

enum class Status : std::uint8_t { unchecked, checking, up, down };

class Server {
public:
    Server(std::string pool, std::string name, wire::Endpoint address) : pool_{std::move(pool)}, address_{address}
    {
        set_name(name);
    }

    [[nodiscard]] const std::string& pool() const noexcept { return pool_; }
    [[nodiscard]] const std::string& name() const noexcept { return *name_.load(std::memory_order_acquire); }
    [[nodiscard]] const wire::Endpoint& address() const noexcept
    {
        return address_;
    } ///< Port 0: the one the client used

    /// May a new flow or request go there? One relaxed load. `checking` says no: nothing is sent before the first
    /// verdict.
    [[nodiscard]] bool accepts_new() const noexcept
    {
        return (state_.load(std::memory_order_relaxed) & refuses_new) == 0;
    }
    [[nodiscard]] Status status() const noexcept
    {
        return static_cast<Status>(state_.load(std::memory_order_relaxed) & status_mask);
    }
    [[nodiscard]] bool drained() const noexcept { return (state_.load(std::memory_order_relaxed) & drained_bit) != 0; }

    /// The worker that owns the check, or control.
    void set_status(Status status) noexcept
    {
        const std::uint32_t refuse = status == Status::down || status == Status::checking ? unhealthy_bit : 0;
        std::uint32_t old = state_.load(std::memory_order_relaxed);
        while (!state_.compare_exchange_weak(
            old, (old & ~(status_mask | unhealthy_bit)) | static_cast<std::uint32_t>(status) | refuse,
            std::memory_order_release, std::memory_order_relaxed)) {
        }
    }
    /// Control. A name of before stays where it is: a core may be reading it.
    void set_name(const std::string& name) { name_.store(&*names_.insert(name).first, std::memory_order_release); }
    /// Control.
    void set_drained(bool drained) noexcept
    {
        if (drained) {
            state_.fetch_or(drained_bit, std::memory_order_release);
        } else {
            state_.fetch_and(~drained_bit, std::memory_order_release);
        }
    }

    [[nodiscard]] ServerCounters& counters(std::size_t core) noexcept { return counters_[core]; }
    [[nodiscard]] const ServerCounters& counters(std::size_t core) const noexcept { return counters_[core]; }

private:
    static constexpr std::uint32_t status_mask = 0x3;
    static constexpr std::uint32_t unhealthy_bit = 0x4;
    static constexpr std::uint32_t drained_bit = 0x8;
    static constexpr std::uint32_t refuses_new = unhealthy_bit | drained_bit;

    std::string pool_;
    std::set<std::string> names_;
    std::atomic<const std::string*> name_{nullptr};
    wire::Endpoint address_;
    std::atomic<std::uint32_t> state_{0};
    std::array<ServerCounters, maximum_cores> counters_{};
};

} // namespace sluice::health
