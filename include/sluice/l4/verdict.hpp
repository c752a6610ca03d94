// What becomes of a packet.
#pragma once

#include <sluice/flow/flow_table.hpp>
#include <sluice/l4/ids.hpp>
#include <sluice/neigh/adjacency.hpp>
#include <sluice/telemetry/counters.hpp>
#include <sluice/wire/parse.hpp>

#include <cstdint>

namespace sluice::l4 {

enum class Action : std::uint8_t {
    transmit,     ///< Rewritten: send it to parsed.destination (by `dr` the server, whom the packet does not name)
                  ///< through `adjacency`
    split,        ///< The same, in IPv4 fragments of at most `mtu` bytes (split_ipv4())
    to_worker,    ///< Untouched: for the worker that owns `shard`; `service` when it is for a proxy service
    to_forwarder, ///< Untouched: for the forwarder that owns `shard`, with `parsed` (ports of fragments are filled in)
    local,        ///< Untouched: for neigh, vrrp or whoever speaks its protocol here
    reset,        ///< Counted as `reason`; the packet is now the TCP RST to answer with: send it like `transmit`
    icmp_error,   ///< Counted as `reason`; untouched: answer its sender with an ICMP error (`icmp`, `mtu`)
    drop          ///< Counted as `reason`
};

struct Verdict {
    Action action = Action::drop;
    telemetry::DropReason reason{}; ///< Of drop, reset and icmp_error: count it once, nobody did yet
    flow::Shard shard = 0;
    wire::IcmpErrorKind icmp{};
    std::uint32_t mtu = 0; ///< too_big and split
    ServiceId service;
    neigh::AdjacencyIndex adjacency; ///< Nobody when the next hop is not known yet: take the long way
    /// split: each part goes into this flow's tunnel (enter_tunnel()) before it is sent. Valid until the next packet.
    const flow::Flow* tunnel = nullptr;
    bool ports_learned = false; ///< to_forwarder: say so to the other one's process_handed_over()

    [[nodiscard]] static Verdict dropped(telemetry::DropReason reason) noexcept
    {
        Verdict verdict;
        verdict.reason = reason;
        return verdict;
    }
};

} // namespace sluice::l4
