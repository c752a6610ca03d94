// The packet cores of one node, and how the control thread reaches them. Works over any ports: with DPDK in the
// program, over in-memory ports in tests, on threads or turn by turn in virtual time.
#pragma once

#include "core.hpp"

#include <chrono>
#include <memory>
#include <thread>
#include <vector>

namespace sluice::app {

struct NodeOptions {
    CoreOptions core;
    std::size_t ring_capacity = 1024; ///< Packets between each two cores
    std::size_t neighbours = 4096;
    std::size_t events = 1024;                   ///< Of each core
    std::size_t access_record_bytes = 1U << 20U; ///< Of each core
};

/// Buffers of one core.
struct CorePools {
    std::unique_ptr<packet::Pool> data;
    std::unique_ptr<packet::Pool> reserve;
};

class Node {
public:
    /// `pools`: one entry per core of the layout. Everything is laid out here; nothing runs yet.
    Node(const Clock& clock, Layout layout, std::vector<std::unique_ptr<port::Port>> ports,
         std::vector<CorePools> pools, const NodeOptions& options);
    ~Node();
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    // ---- Control thread ----

    /// Starts a thread per core. Each calls `around` with its role and what it has to run: the place for pinning and
    /// for registration with EAL.
    void start(std::function<void(const CoreRole&, const std::function<void()>&)> around);
    /// Ends the threads. Idempotent.
    void stop();

    /// Makes `snapshot` current and waits until every core has taken it up; false when a core did not within `patience`
    /// (it stalls; the snapshot is current all the same).
    bool publish(std::unique_ptr<const control::Snapshot> snapshot, Duration patience = std::chrono::seconds{2});
    /// Waits until no core uses the generation before the present one: only then can another one be published.
    bool settle(Duration patience);
    /// Frees the generation before once no core reads it any more: for publications that were not waited for.
    void retire() noexcept { static_cast<void>(shared_.publication.retire(cores_.size())); }
    [[nodiscard]] const control::Snapshot* current() const noexcept { return shared_.publication.current(); }

    /// Runs `command` on a core between two of its turns and waits for it; false when the core did not get to it within
    /// `patience` (it may still run it later, so it must own what it touches).
    bool call(std::size_t core, std::function<void(Core&)> command, Duration patience = std::chrono::seconds{2});
    /// The same without waiting.
    bool post(std::size_t core, std::function<void(Core&)> command);

    /// Everything that happened since the last call, core by core.
    void take_events(const std::function<void(const telemetry::Event&)>& take);
    /// Readable when there are events. See handoff::Wakeup: arm() before each wait.
    [[nodiscard]] handoff::Wakeup& control_wakeup() noexcept { return control_wakeup_; }

    // ---- Log thread ----

    [[nodiscard]] telemetry::RecordRing& access_records(std::size_t core) noexcept { return *access_records_[core]; }

    // ---- Any thread ----

    [[nodiscard]] std::vector<std::unique_ptr<Core>>& cores() noexcept { return cores_; }
    [[nodiscard]] const std::vector<std::unique_ptr<Core>>& cores() const noexcept { return cores_; }
    [[nodiscard]] Shared& shared() noexcept { return shared_; }
    [[nodiscard]] const Shared& shared() const noexcept { return shared_; }
    [[nodiscard]] const std::vector<std::unique_ptr<port::Port>>& ports() const noexcept { return ports_; }
    [[nodiscard]] std::size_t first_forwarder_core() const noexcept { return shared_.layout.forwarder_core.front(); }

    // ---- Without threads ----

    /// One turn of every core, in order; true when any had work. For virtual time.
    bool turn_all() noexcept;
    [[nodiscard]] TimePoint next_deadline() const noexcept;
    /// publish() without threads: every core takes the snapshot up at its next turn.
    void publish_now(std::unique_ptr<const control::Snapshot> snapshot);

private:
    /// Before anybody is told of an address: a NIC that filters must let frames for its MAC in.
    void accept_virtual_macs(const control::Snapshot& next) noexcept;

    std::vector<std::unique_ptr<port::Port>> ports_;
    std::vector<CorePools> pools_;
    Shared shared_;
    handoff::Wakeup control_wakeup_;
    std::vector<std::unique_ptr<telemetry::EventRing>> events_;
    std::vector<std::unique_ptr<telemetry::RecordRing>> access_records_;
    std::vector<std::unique_ptr<Core>> cores_;
    std::vector<std::thread> threads_;
    std::atomic<bool> stop_{false};
};

} // namespace sluice::app
