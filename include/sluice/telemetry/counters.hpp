// Per-core counters and drop reasons. A core writes only its own block, with relaxed stores; any thread may read.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::telemetry {

enum class DropReason : std::uint8_t {
#define SLUICE_DROP(name, meaning, advice) name,
#include <sluice/telemetry/drop_reasons.def>
#undef SLUICE_DROP
};

enum class Counter : std::uint16_t {
#define SLUICE_COUNTER(name, help) name,
#include <sluice/telemetry/counters.def>
#undef SLUICE_COUNTER
};

inline constexpr std::size_t drop_reason_count = 0
#define SLUICE_DROP(name, meaning, advice) +1
#include <sluice/telemetry/drop_reasons.def>
#undef SLUICE_DROP
    ;

inline constexpr std::size_t counter_count = 0
#define SLUICE_COUNTER(name, help) +1
#include <sluice/telemetry/counters.def>
#undef SLUICE_COUNTER
    ;

struct DropReasonText {
    std::string_view name;
    std::string_view meaning;
    std::string_view advice;
};

struct CounterText {
    std::string_view name;
    std::string_view help;
};

[[nodiscard]] const DropReasonText& text(DropReason reason) noexcept;
[[nodiscard]] const CounterText& text(Counter counter) noexcept;

/// A number with one writer: two plain moves on x86, no lock prefix.
class Cell {
public:
    void add(std::uint64_t amount = 1) noexcept
    {
        value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
    }
    void subtract(std::uint64_t amount = 1) noexcept
    {
        value_.store(value_.load(std::memory_order_relaxed) - amount, std::memory_order_relaxed);
    }
    void set(std::uint64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_{0};
};

/// All counters of one core. Written by that core alone.
class CoreCounters {
public:
    void count(Counter counter, std::uint64_t amount = 1) noexcept
    {
        counters_[static_cast<std::size_t>(counter)].add(amount);
    }
    void drop(DropReason reason, std::uint64_t packets = 1) noexcept
    {
        drops_[static_cast<std::size_t>(reason)].add(packets);
        last_drop_ = reason;
        ++drop_calls_;
    }
    /// Calls of drop(), and the reason of the last one: how a capture learns what became of a packet. The core alone.
    [[nodiscard]] std::uint64_t drop_calls() const noexcept { return drop_calls_; }
    [[nodiscard]] DropReason last_drop() const noexcept { return last_drop_; }

    [[nodiscard]] std::uint64_t get(Counter counter) const noexcept
    {
        return counters_[static_cast<std::size_t>(counter)].get();
    }
    [[nodiscard]] std::uint64_t get(DropReason reason) const noexcept
    {
        return drops_[static_cast<std::size_t>(reason)].get();
    }

private:
    alignas(64) std::array<Cell, counter_count> counters_{};
    alignas(64) std::array<Cell, drop_reason_count> drops_{};
    std::uint64_t drop_calls_ = 0;
    DropReason last_drop_{};
};

} // namespace sluice::telemetry
