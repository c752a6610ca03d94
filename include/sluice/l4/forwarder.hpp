// Layer 4 of one forwarder core: classify, own, look up, schedule, translate. A function of the packet, the tables and
// `now`; it sends nothing and counts no drops itself, its verdicts say what to do. Nothing allocates after the
// constructor. All calls belong to the core that owns it.
//
//   place() ─► may we? ─┬─► worker / neighbour / other forwarder
//                       ├─► flow known ─► still valid? ─► carry() ─► translate
//                       ├─► flow new ─► schedule ─► choose source ─► carry()
//                       └─► ICMP error ─► flow of the quoted packet ─► translate both
#pragma once

#include <sluice/flow/flow_table.hpp>
#include <sluice/l4/explanation.hpp>
#include <sluice/l4/next_hops.hpp>
#include <sluice/l4/owner.hpp>
#include <sluice/l4/server_loads.hpp>
#include <sluice/l4/server_registry.hpp>
#include <sluice/l4/service_table.hpp>
#include <sluice/l4/tcp_state.hpp>
#include <sluice/l4/verdict.hpp>
#include <sluice/neigh/addresses.hpp>
#include <sluice/neigh/icmp.hpp>
#include <sluice/packet/packet.hpp>

#include <memory>
#include <variant>
#include <vector>

namespace sluice::l4 {

class FragmentMap;

struct ForwarderOptions {
    std::uint16_t index = 0; ///< Among `forwarders`
    std::uint16_t forwarders = 1;
    std::uint16_t core = 0;                      ///< Whose cell of each server's counters is written
    std::uint32_t flows = 65536;                 ///< Capacity of the flow table
    HashKey secret;                              ///< Of this process
    flow::ShardMap shards;                       ///< Of forwarders
    std::uint32_t resets_per_second = 1000;      ///< RSTs for closed ports and unknown flows
    AffinityTable* affinities = nullptr;         ///< Of all forwarders; nullptr: one of its own
    telemetry::CoreCounters* counters = nullptr; ///< For what is no drop; nullptr: not counted
};

/// The first pass over a burst: what the second pass needs to know of one packet.
struct Prepared {
    Placement placement;
    std::uint64_t hash = 0; ///< Of the flow's key, when the packet belongs to a flow of this forwarder
};

class Forwarder final : private flow::FlowObserver {
public:
    Forwarder(const ForwarderOptions& options, ServerRegistry& servers, const neigh::AddressStates& addresses,
              NextHops& next_hops);
    Forwarder(const Forwarder&) = delete;
    Forwarder& operator=(const Forwarder&) = delete;
    ~Forwarder() override;

    /// Every turn, before the first packet: the snapshot of this turn. Sweeps expired flows within bounds.
    void begin_turn(const ServiceTable& table, TimePoint now) noexcept;

    /// First pass: places the packet and fetches the memory that process() will read.
    void prepare(Bytes frame, const wire::ParsedPacket& parsed, Prepared& out) noexcept;
    /// Between the passes, optional: fetches the record that prepare()'s fetch has led to.
    void prefetch_record(const Prepared& prepared) const noexcept;
    /// Second pass. `parsed` must describe `packet` and have passed parse_frame(); it describes the result afterwards.
    /// Transport checksums of packets that only pass through are not verified: an error made elsewhere stays one.
    [[nodiscard]] Verdict process(packet::Packet& packet, wire::ParsedPacket& parsed, const Prepared& prepared,
                                  TimePoint now) noexcept;

    /// Both passes for one packet from a port.
    [[nodiscard]] Verdict process(packet::Packet& packet, wire::ParsedPacket& parsed, TimePoint now) noexcept;
    /// The same for a packet from another forwarder's ring; `ports_learned` as in that one's verdict: later fragments
    /// carry their ports in `parsed` alone.
    [[nodiscard]] Verdict process_handed_over(packet::Packet& packet, wire::ParsedPacket& parsed, bool ports_learned,
                                              TimePoint now) noexcept;

    /// What would become of the next packet of this flow: the flow's own when it exists, else its first (a SYN of TCP).
    /// Opens, sends and uses up nothing. The flow's owner core, within a turn.
    [[nodiscard]] Explanation explain(const flow::FiveTuple& tuple, TimePoint now) noexcept;

    /// Routes have changed: every flow looks its next hops up again, a slice per turn.
    void forget_next_hops() noexcept;

    /// For `sluicectl connections`: FlowTable::visit() in slices. States are TcpState, methods Method.
    [[nodiscard]] flow::FlowTable& flows() noexcept { return table_; }
    [[nodiscard]] const flow::FlowTable& flows() const noexcept { return table_; }

private:
    /// A flow, or what to do with the packet for want of one.
    using FlowOrVerdict = std::variant<flow::Flow*, Verdict>;

    enum class Keep : std::uint8_t { yes, no, reset };

    // forwarder.cpp: the way of a packet
    void fetch(Prepared& prepared) const noexcept;
    [[nodiscard]] bool holds(const LocalAddress& address) const noexcept;
    [[nodiscard]] bool owns(flow::Shard shard) const noexcept { return options_.shards.owner(shard) == options_.index; }
    [[nodiscard]] Verdict to_service(packet::Packet& packet, wire::ParsedPacket& parsed, const Prepared& prepared,
                                     TimePoint now) noexcept;
    [[nodiscard]] Verdict from_server(packet::Packet& packet, wire::ParsedPacket& parsed, const Prepared& prepared,
                                      TimePoint now) noexcept;
    [[nodiscard]] Verdict carry(packet::Packet& packet, wire::ParsedPacket& parsed, flow::Flow& flow, bool from_server,
                                const Service& service, TimePoint now) noexcept;
    [[nodiscard]] Verdict fragment(packet::Packet& packet, wire::ParsedPacket& parsed, TimePoint now) noexcept;
    [[nodiscard]] std::optional<NextHop> next_hop(flow::Flow& flow, bool towards_server) noexcept;
    void track(flow::Flow& flow, bool from_server, std::uint8_t tcp_flags, const FlowTimeouts& timeouts,
               TimePoint now) noexcept;

    /// An address that is not held here, a source that nobody may have.
    [[nodiscard]] std::optional<telemetry::DropReason> impossible(const Placement& placement,
                                                                  const wire::ParsedPacket& parsed) const noexcept;

    // explain.cpp
    [[nodiscard]] Verdict judge_first(wire::ParsedPacket& parsed, const Prepared& prepared, TimePoint now) noexcept;
    [[nodiscard]] Verdict judge_new(wire::ParsedPacket& parsed, const Prepared& prepared, TimePoint now) noexcept;

    // errors.cpp: what the network says
    [[nodiscard]] Verdict error_about_flow(packet::Packet& packet, wire::ParsedPacket& parsed, const Prepared& prepared,
                                           TimePoint now) noexcept;
    [[nodiscard]] Verdict error_about_tunnel(packet::Packet& packet, wire::ParsedPacket& parsed,
                                             const Prepared& prepared, TimePoint now) noexcept;
    /// Bytes of a packet that fit into a flow's tunnel, by the MTU of its port and what its way has said.
    [[nodiscard]] std::uint32_t room_in_tunnel(const flow::Flow& flow, std::uint32_t mtu, TimePoint now) const noexcept;

    // answers
    [[nodiscard]] Verdict refuse(packet::Packet& packet, wire::ParsedPacket& parsed, telemetry::DropReason reason,
                                 TimePoint now) noexcept;
    [[nodiscard]] Verdict no_server(packet::Packet& packet, wire::ParsedPacket& parsed, const Forwarding& forwarding,
                                    telemetry::DropReason reason, TimePoint now) noexcept;

    // new_flow.cpp
    /// May a known flow go on, must it be scheduled anew, or its client be told to start again?
    [[nodiscard]] Keep judge(const flow::Flow& flow, const wire::ParsedPacket& parsed,
                             const Service& service) const noexcept;
    [[nodiscard]] FlowOrVerdict open(packet::Packet& packet, wire::ParsedPacket& parsed, const Service& service,
                                     const Placement& placement, TimePoint now) noexcept;
    /// The same question for a connection to a worker: may its SYN pass?
    [[nodiscard]] std::optional<telemetry::DropReason>
    refuses_connection(const wire::ParsedPacket& parsed, const Service& service, TimePoint now) noexcept;
    [[nodiscard]] std::optional<telemetry::DropReason> admit(const Service& service, const wire::IpAddress& source,
                                                             TimePoint now) noexcept;
    [[nodiscard]] FlowOrVerdict schedule(packet::Packet& packet, wire::ParsedPacket& parsed, const Service& service,
                                         const Placement& placement, TimePoint now) noexcept;
    /// Fills in how the flow looks on its server's side, by the method; says why it cannot be.
    [[nodiscard]] std::optional<telemetry::DropReason>
    choose_server_side(flow::Flow& flow, const Forwarding& forwarding, flow::Shard shard, TimePoint now) noexcept;
    /// Of a new flow whose client may be bound to a server.
    struct Affinity {
        const Persistence* terms = nullptr; ///< None: every flow is scheduled
        AffinityKey key;
        ServerId bound;        ///< When the flow came; nobody when its client is new
        bool followed = false; ///< The flow goes there
    };
    [[nodiscard]] Affinity affinity_of(const Service& service, const wire::IpAddress& client,
                                       TimePoint now) const noexcept;
    /// Where the client is bound to, else where the scheduler says.
    [[nodiscard]] std::optional<std::uint32_t> choose(const Pool& pool, const PickRequest& request,
                                                      Affinity& affinity) noexcept;
    void remember(flow::Flow& flow, const Affinity& affinity, TimePoint now) noexcept;
    /// Adds a flow whose addresses and ports are chosen, and counts it.
    [[nodiscard]] FlowOrVerdict begin(flow::Flow& flow, health::Server& server, const wire::ParsedPacket& parsed,
                                      const Forwarding& forwarding, const Affinity& affinity, TimePoint now) noexcept;
    /// Picks the address of ours that a flow's tunnel begins at; false when none reaches the server.
    [[nodiscard]] bool choose_tunnel(flow::Flow& flow, const Forwarding& forwarding) const noexcept;
    /// Picks local address and port of a full-NAT flow; false when none of its shard is free.
    [[nodiscard]] bool choose_source(flow::Flow& flow, const Forwarding& forwarding, flow::Shard shard,
                                     TimePoint now) noexcept;
    [[nodiscard]] bool answers_are_free(const flow::Flow& flow, TimePoint now) noexcept;

    void flow_removed(const flow::Flow& flow, TimePoint now) noexcept override;

    ForwarderOptions options_;
    ServerRegistry& servers_;
    const neigh::AddressStates& addresses_;
    NextHops& next_hops_;
    const ServiceTable* services_ = nullptr; ///< Of this turn
    flow::FlowTable table_;
    std::unique_ptr<FragmentMap> fragments_;
    std::unique_ptr<AffinityTable> own_affinities_; ///< When nobody gave us one
    AffinityTable* affinities_;
    ServerLoads loads_;
    static constexpr std::size_t cursor_count = 65536;
    std::vector<Cursor> cursors_;    ///< By PoolId modulo cursor_count: sharing one does no harm
    std::uint32_t refresh_left_ = 0; ///< Flows whose next hops are still to be forgotten
    std::uint32_t refresh_at_ = 0;
    std::uint32_t source_tries_ = 0; ///< What is left of this turn's search for free source ports
    neigh::RateLimit resets_;
    FlowRates rates_;
    Explanation* explaining_ = nullptr; ///< While set, decisions are written down and not acted upon
};

} // namespace sluice::l4
