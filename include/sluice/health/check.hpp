// Health decisions as pure values: probe results go in, states and reasons come out. No clock, no sockets; a worker
// feeds it, and a Check may be copied to another worker when that one takes the server over.
#pragma once

#include <sluice/base/time.hpp>
#include <sluice/health/server.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::health {

/// How one probe ended, the cause of a state. Rows are only added: these are the words of `sluicectl servers`, of
/// events and of access records.
enum class Reason : std::uint8_t {
#define SLUICE_HEALTH_REASON(name, outcome, words) name,
#include <sluice/health/reasons.def>
#undef SLUICE_HEALTH_REASON
};

enum class Outcome : std::uint8_t {
    success,
    failure,
    inconclusive, ///< Nothing can be said about the server, because the trouble was ours: changes nothing.
};

[[nodiscard]] Outcome outcome(Reason reason) noexcept;
[[nodiscard]] std::string_view name(Reason reason) noexcept;

struct ProbeResult {
    Reason reason = Reason::not_yet;
    std::uint16_t status = 0;       ///< The HTTP status where the reason is about one.
    Duration elapsed = Duration{0}; ///< From the start of the probe.

    bool operator==(const ProbeResult&) const = default;
};

/// "connection refused", "unexpected status 503". Control idiom: allocates.
[[nodiscard]] std::string words(const ProbeResult& result);

struct CheckSettings {
    Duration interval = std::chrono::seconds{2}; ///< From the start of a probe to the start of the next.
    Duration timeout = std::chrono::seconds{1};
    std::uint16_t rise = 2; ///< Successes in a row that bring a server up; at least 1.
    std::uint16_t fall = 3; ///< Failures in a row that take it down; at least 1.

    bool operator==(const CheckSettings&) const = default;
};

/// What to do after a result.
struct Decision {
    bool changed = false; ///< Publish the new status, write an event.
    Status from = Status::checking;
    Status to = Status::checking;
    ProbeResult cause; ///< The result that decided.
};

class Check {
public:
    explicit Check(const CheckSettings& settings, TimePoint now) noexcept : settings_{settings}, since_{now} {}

    /// The first result that says anything decides alone; after that `rise` successes or `fall` failures in a row do.
    Decision apply(TimePoint now, const ProbeResult& result) noexcept;

    /// A reload: state and counts stay. Lower thresholds are judged at the next result.
    void reconfigure(const CheckSettings& settings) noexcept { settings_ = settings; }

    [[nodiscard]] Status status() const noexcept { return status_; } ///< checking, up or down.
    [[nodiscard]] TimePoint since() const noexcept { return since_; }
    /// Results in a row that contradict the status; 0 when the last one confirmed it.
    [[nodiscard]] std::uint16_t against() const noexcept { return against_; }
    /// What decided the status; Reason::not_yet while checking.
    [[nodiscard]] const ProbeResult& cause() const noexcept { return cause_; }
    [[nodiscard]] const ProbeResult& last() const noexcept { return last_; }
    /// The newest of the results that against() counts.
    [[nodiscard]] const ProbeResult& doubt() const noexcept { return doubt_; }
    [[nodiscard]] const CheckSettings& settings() const noexcept { return settings_; }
    /// Results that changed nothing because the trouble was ours.
    [[nodiscard]] std::uint64_t inconclusive() const noexcept { return inconclusive_; }

private:
    CheckSettings settings_;
    Status status_ = Status::checking;
    std::uint16_t against_ = 0;
    TimePoint since_;
    ProbeResult cause_;
    ProbeResult last_;
    ProbeResult doubt_; ///< The newest result that contradicts the status.
    std::uint64_t inconclusive_ = 0;
};

/// "up", "checking", "down"; the word of `sluicectl servers`.
[[nodiscard]] std::string_view text(Status status) noexcept;

/// "up for 12s", "up for 3h, 2 of 3 failures: connection refused", "down for 40s: unexpected status 503, 1 of 2
/// successes". Control idiom: allocates.
[[nodiscard]] std::string describe(const Check& check, TimePoint now);

} // namespace sluice::health
