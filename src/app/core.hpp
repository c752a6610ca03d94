// One packet core: its loop, its sleep, its mailbox. The order of a turn is the order of turn() below.
#pragma once

#include "first_forwarder.hpp"
#include "forwarder_unit.hpp"
#include "sleeper.hpp"
#include "worker_unit.hpp"

#include <sluice/telemetry/histogram.hpp>

#include <functional>
#include <memory>
#include <optional>

namespace sluice::app {

struct CoreOptions {
    bool poll = false; ///< Never sleep (`idle: poll`)
    neigh::Limits neighbour_limits;
    WorkerBudget worker;
    std::size_t flows = 65536; ///< Of this forwarder's table
};

/// What a core shows to everybody; written by the core.
struct CoreStatus {
    telemetry::Cell last_turn; ///< Nanoseconds of the monotonic clock
    telemetry::Cell busy;      ///< Nanoseconds spent in turns that had work
    telemetry::Cell polling;   ///< Nanoseconds of processor time spent in turns that found nothing
    telemetry::Histogram turn_duration;
};

class Core {
public:
    /// Runs on the core, between two turns. Made and freed elsewhere as far as possible.
    using Command = std::function<void(Core&)>;

    Core(std::size_t index, Shared& shared, packet::Pool& pool, packet::Pool& reserve, const CoreOptions& options,
         telemetry::EventRing& events, telemetry::RecordRing& access_records, handoff::Wakeup& control);
    ~Core();
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    /// Turns until `stop` is set. The core's own thread.
    void run(const std::atomic<bool>& stop);
    /// One turn; true when there was work. The core's own thread, or a test's.
    bool turn() noexcept;
    /// When the next turn has something to do, packets apart.
    [[nodiscard]] TimePoint next_deadline() const noexcept;

    /// Control thread. False when the mailbox is full: the core is stalled.
    [[nodiscard]] bool post(std::unique_ptr<Command> command) noexcept;

    [[nodiscard]] const telemetry::CoreCounters& counters() const noexcept { return context_.counters; }
    [[nodiscard]] const CoreStatus& status() const noexcept { return status_; }
    [[nodiscard]] std::size_t index() const noexcept { return context_.core; }

    // The parts, for commands that run on this core and for reading their statistics. Null when the core has no such
    // role.
    [[nodiscard]] FirstForwarder* first_forwarder() noexcept { return first_ ? &*first_ : nullptr; }
    [[nodiscard]] ForwarderUnit* forwarder() noexcept { return forwarder_ ? &*forwarder_ : nullptr; }
    [[nodiscard]] WorkerUnit* worker() noexcept { return worker_ ? &*worker_ : nullptr; }
    [[nodiscard]] CoreContext& context() noexcept { return context_; }
    /// Begins to show frames, or ends it (nullptr). The core's own thread.
    void set_tap(std::shared_ptr<port::FrameTap> tap) noexcept;

private:
    static constexpr std::size_t mailbox_capacity = 256;
    static constexpr unsigned empty_turns_before_sleep = 200;

    void pass_quiet_point() noexcept;
    std::size_t run_commands() noexcept;
    std::size_t receive_messages() noexcept;
    void dispatch(handoff::Message&& message) noexcept;
    void dispatch_watched(handoff::Message&& message) noexcept;
    void account(TimePoint start) noexcept;
    void account_poll(TimePoint start) noexcept;
    void sleep() noexcept;

    CoreContext context_;
    CoreOptions options_;
    CoreStatus status_;
    EventSender events_;
    handoff::Ring<std::unique_ptr<Command>> mailbox_{mailbox_capacity};
    std::optional<FirstForwarder> first_;
    std::optional<IpOutput> output_;
    std::optional<WorkerUnit> worker_;
    std::optional<ForwarderUnit> forwarder_;
    Sleeper sleeper_;
    std::shared_ptr<port::FrameTap> tap_;
    std::uint64_t generation_ = 0;
    unsigned empty_turns_ = 0;
    TimePoint poll_start_ = never; ///< Of the last turn, when it found nothing
    bool more_ = false;            ///< The worker could not finish within its budget
};

} // namespace sluice::app
