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

/// Flows as LVS counts them: TCP in the state established and all of UDP are active, TCP that opens, closes or was
/// reset is not.
struct FlowCounts {
    std::uint32_t active = 0;
    std::uint32_t inactive = 0;

    [[nodiscard]] std::uint32_t all() const noexcept { return active + inactive; }
    FlowCounts& operator+=(const FlowCounts& other) noexcept
    {
        active += other.active;
        inactive += other.inactive;
        return *this;
    }
    bool operator==(const FlowCounts&) const = default;
};

/// Both in one word with one writer, so that nobody misses a flow that is just changing from one to the other.
class FlowGauge {
public:
    void begin(bool active) noexcept { word_.add(one(active)); }
    void end(bool active) noexcept { word_.subtract(one(active)); }
    /// From the other one to this.
    void turn(bool active) noexcept { word_.add(one(active) - one(!active)); }
    [[nodiscard]] FlowCounts get() const noexcept
    {
        const std::uint64_t word = word_.get();
        return {static_cast<std::uint32_t>(word), static_cast<std::uint32_t>(word >> 32U)};
    }

private:
    [[nodiscard]] static std::uint64_t one(bool active) noexcept { return active ? 1 : std::uint64_t{1} << 32U; }

    telemetry::Cell word_;
};

/// What one core has done with one server. Written by that core.
struct alignas(64) ServerCounters {
    FlowGauge flows; ///< Layer 4 flows, and upstream connections of the proxy, which are active
    telemetry::Cell flows_total;
    telemetry::Cell requests_total; ///< Proxy only
    telemetry::Cell failures_total; ///< Connects refused or timed out, nonsense answers
    telemetry::Cell packets_in;     ///< Client to server
    telemetry::Cell packets_out;
    telemetry::Cell bytes_in;
    telemetry::Cell bytes_out;
};
static_assert(sizeof(ServerCounters) == 64);

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
        return (state_.load(std::memory_order_relaxed) & (unavailable | full_bit)) == 0;
    }
    /// The same but for its limit: neither unhealthy nor drained. What tables are built over, and what a client that is
    /// bound to the server needs.
    [[nodiscard]] bool available() const noexcept
    {
        return (state_.load(std::memory_order_relaxed) & unavailable) == 0;
    }
    /// Layer 4 has reached its upper limit of flows and has not fallen below the lower one yet.
    [[nodiscard]] bool full() const noexcept { return (state_.load(std::memory_order_relaxed) & full_bit) != 0; }
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

    /// Control. No new layer 4 flow from `upper` flows on until there are fewer than `lower`, LVS's thresholds; 0: no
    /// limit. `lower` is 1 up to `upper`.
    void set_limits(std::uint32_t upper, std::uint32_t lower) noexcept;
    /// A core, after it has counted a flow that began or one that ended. Without limits: one load.
    void flow_began() noexcept
    {
        if (limits_.load(std::memory_order_relaxed) != 0) {
            fill();
        }
    }
    void flow_ended() noexcept
    {
        if (limits_.load(std::memory_order_relaxed) != 0) {
            vacate();
        }
    }
    /// Of all cores, each as of now.
    [[nodiscard]] FlowCounts flows() const noexcept;

    [[nodiscard]] ServerCounters& counters(std::size_t core) noexcept { return counters_[core]; }
    [[nodiscard]] const ServerCounters& counters(std::size_t core) const noexcept { return counters_[core]; }

private:
    static constexpr std::uint32_t status_mask = 0x3;
    static constexpr std::uint32_t unhealthy_bit = 0x4;
    static constexpr std::uint32_t drained_bit = 0x8;
    static constexpr std::uint32_t full_bit = 0x10;
    static constexpr std::uint32_t unavailable = unhealthy_bit | drained_bit;

    void fill() noexcept;
    void vacate() noexcept;

    std::string pool_;
    std::set<std::string> names_;
    std::atomic<const std::string*> name_{nullptr};
    wire::Endpoint address_;
    std::atomic<std::uint32_t> state_{0};
    std::atomic<std::uint64_t> limits_{0}; ///< upper << 32 | lower
    std::array<ServerCounters, maximum_cores> counters_{};
};

} // namespace sluice::health
