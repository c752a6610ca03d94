// What the control socket and the admin page need from the running node. Implemented by `app`; tests implement it too.
// Control thread only. Nothing here waits for a core longer than its patience.
#pragma once

#include <sluice/base/diagnostic.hpp>
#include <sluice/config/model.hpp>
#include <sluice/control/capture.hpp>
#include <sluice/control/connection_filter.hpp>
#include <sluice/control/drains.hpp>
#include <sluice/control/events.hpp>
#include <sluice/control/snapshot.hpp>
#include <sluice/l4/explanation.hpp>
#include <sluice/neigh/adjacency.hpp>
#include <sluice/proxy/worker.hpp>
#include <sluice/tcp/stack.hpp>
#include <sluice/telemetry/histogram.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sluice::control {

/// One packet core, read without asking it.
struct CoreView {
    std::size_t index = 0;
    unsigned cpu = 0;
    bool forwarder = false;
    bool worker = false;
    const telemetry::CoreCounters* counters = nullptr;
    telemetry::HistogramSnapshot turns; ///< Durations of turns that had work, nanoseconds
    Duration since_last_turn{};
    Duration busy{};
    Duration polling{};
    /// Since it was seen late, see docs/sluicectl.md; nothing when it never was.
    std::optional<Duration> since_late;
    std::uint64_t events_discarded = 0;
};

/// A share of the process's memory on one core: `memory.size` is the sum of all of them.
struct MemoryShare {
    std::string_view name;
    std::uint64_t count = 0;       ///< Of what it holds
    std::uint64_t used_bytes = 0;  ///< Counted or weighed, not measured
    std::uint64_t limit_bytes = 0; ///< 0: within that of `connections`
};

/// What only the core itself knows.
struct CoreUse {
    std::uint32_t flows = 0;
    std::uint32_t flow_capacity = 0;
    proxy::WorkerUsage proxy;
    tcp::StackUsage tcp;
    std::vector<MemoryShare> memory;
};

struct PortView {
    std::string name;
    std::string mac;
    std::uint16_t mtu = 0;
    bool link_up = false;
    std::uint16_t receive_queues = 0;
    std::uint16_t transmit_queues = 0;
    std::uint64_t packets_received = 0;
    std::uint64_t bytes_received = 0;
    std::uint64_t packets_transmitted = 0;
    std::uint64_t bytes_transmitted = 0;
    std::uint64_t receive_dropped = 0;
    std::uint64_t transmit_dropped = 0;
    std::uint64_t copies = 0;
    std::uint64_t slow_calls = 0;
    std::uint64_t receive_starved = 0;
};

/// A flow of layer 4 or a TCP connection of a worker, as `sluicectl connections` shows it.
struct ConnectionView {
    std::size_t core = 0;
    bool layer4 = false;
    std::uint8_t protocol = 0;
    wire::Endpoint client;  ///< The remote end of a worker's connection
    wire::Endpoint service; ///< The local end of a worker's connection
    wire::Endpoint server;  ///< Layer 4 only
    wire::Endpoint local;   ///< Layer 4 only: the address that the server sees
    std::string_view state;
    std::string_view method; ///< Layer 4 only
    Duration remaining{};    ///< Layer 4 only: until it is forgotten without a packet
    tcp::ConnectionInfo tcp; ///< Workers only
};

/// Where a walk over all connections stands; a default one is its begin.
struct ConnectionCursor {
    std::size_t core = 0;
    bool workers = false; ///< Flows first, then connections of workers
    std::uint64_t position = 0;
    bool end = false;
    unsigned silent = 0;      ///< How often in a row the core at hand did not answer in time
    std::size_t left_out = 0; ///< Cores that were given up
};

/// What would become of the next packet of a flow, and the core that would see to it.
struct FlowExplanation {
    l4::Explanation decisions;
    std::size_t core = 0; ///< A forwarder's; where a proxy service is addressed, the worker's
};

/// How a reload ended.
struct ReloadReport {
    WallTime time;
    bool applied = false;
    bool file_invalid = false; ///< Refused because the file is wrong, not because of what changed in it
    bool taken_up = true;      ///< Every core runs the new generation
    std::uint64_t generation = 0;
    Diagnostics diagnostics; ///< Every reason when refused; warnings otherwise
};

/// The file on the disk, judged now.
struct FileJudgement {
    std::optional<config::Model> model; ///< Without: it would not start
    Diagnostics diagnostics;            ///< Errors, or what a reload would refuse, or warnings
    bool needs_restart = false;         ///< Valid, but a reload would refuse it
};

enum class NodePhase : std::uint8_t { starting, running, handing_over, standby, draining, stopping };

enum class HandoverResult : std::uint8_t { done, nobody_took_over, refused };

class Operations {
public:
    virtual ~Operations() = default;

    // ---- Facts ----

    [[nodiscard]] virtual const std::string& config_path() const = 0;
    [[nodiscard]] virtual const std::string& version() const = 0;
    [[nodiscard]] virtual WallTime started() const = 0;
    [[nodiscard]] virtual NodePhase phase() const = 0;
    [[nodiscard]] virtual TimePoint now() const = 0;
    [[nodiscard]] virtual const config::Model& model() const = 0;
    [[nodiscard]] virtual const Registry& registry() const = 0;
    [[nodiscard]] virtual const Snapshot& snapshot() const = 0;
    /// Generations that something still refers to, the present one included.
    [[nodiscard]] virtual std::size_t live_generations() = 0;
    [[nodiscard]] virtual std::vector<CoreView> cores() const = 0;
    [[nodiscard]] virtual std::vector<PortView> ports() const = 0;
    [[nodiscard]] virtual const neigh::Adjacencies& adjacencies() const = 0;
    [[nodiscard]] virtual const EventLog& events() const = 0;
    [[nodiscard]] virtual EventLog& events() = 0;
    [[nodiscard]] virtual const Drains& drains() const = 0;
    /// The last reload that was tried; nullptr before the first.
    [[nodiscard]] virtual const ReloadReport* last_reload() const = 0;
    /// Requests by outcome, all workers together.
    [[nodiscard]] virtual std::uint64_t outcome(proxy::Outcome outcome) const = 0;
    /// Messages that HTTP's rules refused, all workers together.
    [[nodiscard]] virtual std::uint64_t refused(http::Reason reason) const = 0;
    /// Lines of the access log that could not be written.
    [[nodiscard]] virtual std::uint64_t access_lines_lost() const = 0;
    /// The same of the main log.
    [[nodiscard]] virtual std::uint64_t log_lines_lost() const = 0;
    /// Why a log cannot be written at present; empty when all is well.
    [[nodiscard]] virtual std::string log_problem() const = 0;

    // ---- Asking cores and the disk ----

    /// Nothing for a core that did not answer in time. Together at most about 50 ms.
    [[nodiscard]] virtual std::vector<std::optional<CoreUse>> core_use() = 0;
    /// A slice of the connections that `filter` takes: so few are looked at that no core notices. A core that does not
    /// answer is asked again by the next calls, and left out in the end.
    virtual void connections(const std::shared_ptr<const ConnectionFilter>& filter, ConnectionCursor& cursor,
                             std::vector<ConnectionView>& out) = 0;
    /// Nothing when the core did not answer in time.
    [[nodiscard]] virtual std::optional<FlowExplanation> explain(const flow::FiveTuple& tuple) = 0;
    /// Read again when it changed since the last call.
    [[nodiscard]] virtual const FileJudgement& file_on_disk() = 0;

    // ---- Changes ----

    virtual ReloadReport reload(bool wait) = 0;
    virtual void drain(Drain drain) = 0;
    /// False when that server was not drained.
    virtual bool undrain(const std::string& pool, const wire::Endpoint& server) = 0;
    /// Gives the addresses away; `done` is called when that has ended, later, on the control thread.
    virtual void handover(Duration timeout, std::function<void(HandoverResult)> done) = 0;
    /// False when the node was not standby.
    virtual bool undo_handover() = 0;
    virtual void set_log_level(config::LogLevel level) = 0;

    // ---- Capture ----

    /// Begins one. The error is a sentence: another one runs, or the filter is none.
    [[nodiscard]] virtual Expected<std::unique_ptr<CaptureSource>, std::string>
    capture(const CaptureRequest& request) = 0;
    /// Calls `then` once, later, on the control thread.
    virtual void call_later(Duration wait, std::function<void()> then) = 0;
};

} // namespace sluice::control
