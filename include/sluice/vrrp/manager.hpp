// All instances of a node. Driven by the first forwarder, once a turn and in this order: input() for every advert
// received, mail_read() when every receive queue was seen empty (or one full ring was processed), advance().
#pragma once

#include <sluice/vrrp/group.hpp>

#include <memory>

namespace sluice::vrrp {

/// What control believes about a tracked object when it builds a table; what the forwarder knows already wins.
struct TrackedState {
    TrackedObject object;
    bool up = true;
};

/// One generation: built by control, run by the first forwarder, its Statistics read by anybody.
class Table {
public:
    Table(std::vector<Parameters> instances, const std::vector<TrackedState>& tracked);

    [[nodiscard]] const std::deque<Group>& groups() const noexcept { return groups_; }
    /// The instance of that name, or nullptr.
    [[nodiscard]] const Member* find(std::string_view name) const noexcept;

private:
    friend class Manager;

    std::deque<Group> groups_;
    std::vector<TrackedState> tracked_;
};

enum class HandoverState : std::uint8_t { idle, pending, done, failed };

/// Faults of the whole node; each may come and go.
enum class NodeFault : std::uint8_t { forwarder_stalled, worker_stalled, transmit_stalled };

/// Everything belongs to the first forwarder's core, is noexcept and allocates nothing.
class Manager {
public:
    /// `counters` gets the drops of adverts that fail a check.
    Manager(Output& output, telemetry::CoreCounters& counters);

    /// Puts a generation to work and returns the one before (control frees it). An instance that is on the same port,
    /// with the same VRID and family keeps state and timers whatever else changed; the difference in addresses is
    /// applied.
    std::shared_ptr<Table> replace(std::shared_ptr<Table> next, TimePoint now) noexcept;

    /// Ports up, gateways decided, first health round done. Before that no instance leaves init.
    void set_ready(bool ready, TimePoint now) noexcept;
    void set_fault(NodeFault fault, bool present, TimePoint now) noexcept;
    void set_tracked(TrackedObject object, bool up, TimePoint now) noexcept;

    /// Takes an IP packet of protocol 112 that came in. Counts its drop when it fails a check. True when it was an
    /// advert for an instance of ours.
    bool input(const Received& received, TimePoint now) noexcept;
    void mail_read(TimePoint now) noexcept;
    void advance(TimePoint now) noexcept;
    /// When advance() has something to do; in the past while a down timer waits for mail_read().
    [[nodiscard]] TimePoint next_deadline() const noexcept;

    /// Gives the addresses of every group away within `timeout`, or changes nothing. A backup becomes standby at once.
    void handover(Duration timeout, TimePoint now) noexcept;
    void undo_handover(TimePoint now) noexcept;
    [[nodiscard]] HandoverState handover_state() const noexcept { return handover_; }

    /// Priority 0 for what is active; every instance goes to init for good.
    void stop(TimePoint now) noexcept;

    [[nodiscard]] const Table& table() const noexcept { return *table_; }

private:
    void observe(TimePoint now) noexcept;
    void judge(TimePoint now) noexcept;
    void judge_handover(TimePoint now) noexcept;
    [[nodiscard]] Obstacle obstacle_of(const Group& group) const noexcept;
    [[nodiscard]] int weight_of(const Group& group) const noexcept;
    [[nodiscard]] bool is_up(TrackedObject object) const noexcept;

    Output& output_;
    telemetry::CoreCounters& counters_;
    std::shared_ptr<Table> table_; ///< Never null: an empty one at first
    TimePoint last_turn_{};
    bool ready_ = false;
    bool stopped_ = false;
    bool standby_ = false;    ///< Groups that a reload adds are standby too
    std::uint8_t faults_ = 0; ///< One bit per NodeFault
    HandoverState handover_ = HandoverState::idle;
};

} // namespace sluice::vrrp
