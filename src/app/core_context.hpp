// What every part of one packet core shares. Made by Node, used by that core's thread alone except where noted.
#pragma once

#include "egress.hpp"
#include "succession.hpp"

#include <sluice/base/random.hpp>
#include <sluice/control/snapshot.hpp>
#include <sluice/handoff/publication.hpp>

namespace sluice::app {

/// What all cores share. Immutable after the start, or made for sharing.
struct Shared {
    const Clock& clock;
    Layout layout;
    std::vector<port::Port*> ports;
    handoff::Mesh mesh;
    handoff::Publication<control::Snapshot> publication;
    neigh::Adjacencies adjacencies;
    neigh::AddressStates address_states;
    Succession succession;
    l4::ServerRegistry servers;
    HashKey secret; ///< Of this process: flow tables, sequence numbers
    l4::AffinityTable affinities;

    /// `flows`: of each forwarder.
    Shared(const Clock& time, Layout roles, std::vector<port::Port*> opened, std::size_t ring_capacity,
           std::size_t neighbours, std::size_t flows)
        : clock{time}, layout{std::move(roles)}, ports{std::move(opened)}, mesh{layout.cores.size(), ring_capacity},
          adjacencies{neighbours}, secret{random_hash_key()}, affinities{entries(layout, flows), secret}
    {
    }

private:
    /// Clients have several flows each. A lower bound, so that small machines remember the clients of a test as well.
    [[nodiscard]] static std::uint32_t entries(const Layout& roles, std::size_t flows) noexcept
    {
        constexpr std::size_t least = 8192;
        constexpr std::size_t flows_per_entry = 8;
        return static_cast<std::uint32_t>(std::max(roles.forwarder_core.size() * flows / flows_per_entry, least));
    }
};

struct CoreContext {
    std::size_t core;
    Shared& shared;
    packet::Pool& pool;    ///< For data
    packet::Pool& reserve; ///< For ARP, ND, VRRP, probes, ACK and RST only
    telemetry::CoreCounters counters;
    Egress egress;
    const control::Snapshot* snapshot = nullptr; ///< Of this turn
    TimePoint now{};
    port::FrameTap* tap = nullptr; ///< While somebody captures

    CoreContext(std::size_t index, Shared& all, packet::Pool& data, packet::Pool& kept)
        : core{index}, shared{all}, pool{data}, reserve{kept}, egress{index, all.ports, all.mesh, counters}
    {
    }

    [[nodiscard]] const CoreRole& role() const noexcept { return shared.layout.cores[core]; }
    [[nodiscard]] bool is_first_forwarder() const noexcept { return core == shared.layout.forwarder_core.front(); }

    /// Passes a packet to another core; drops and counts it when the ring is full.
    void hand_off(std::size_t to, handoff::Kind kind, packet::Packet&& packet, const wire::ParsedPacket& parsed,
                  bool ports_learned = false) noexcept
    {
        handoff::Message message;
        message.packet = std::move(packet);
        message.parsed = parsed;
        message.kind = kind;
        message.ports_learned = ports_learned;
        counters.count(telemetry::Counter::handoffs);
        if (!shared.mesh.send(core, to, std::move(message))) {
            counters.drop(telemetry::DropReason::handoff_full);
        }
    }
};

} // namespace sluice::app
