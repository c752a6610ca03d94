// Who owns a packet: the rule of docs/architecture.md, "64 shards", as a pure function. Every core comes to the same
// answer, whatever queue the packet arrived on.
#pragma once

#include <sluice/flow/flow.hpp>
#include <sluice/l4/service_table.hpp>
#include <sluice/wire/parse.hpp>

#include <cstdint>
#include <optional>

namespace sluice::l4 {

/// What a packet is to us, by its addresses and ports alone.
enum class Role : std::uint8_t {
    local,          ///< ARP, multicast, ICMP to us, other protocols: for whoever speaks them on this node
    foreign,        ///< For nobody here
    fragment,       ///< Part of a TCP or UDP packet for us whose ports are not known yet
    proxy,          ///< To a proxy service
    forward,        ///< To a forwarding service
    worker_port,    ///< To a port that workers or probes pick theirs from
    full_nat_reply, ///< To a port that full NAT picks from
    nat_reply,      ///< From a server of a nat service to a client
    tunnel_error,   ///< ICMP error about a packet that we sent into a tunnel
    closed_port     ///< To an address of ours, and a port that nobody has
};

struct Placement {
    Role role = Role::foreign;
    ServiceTable::Classification target;
    flow::FiveTuple tuple; ///< What was judged: the packet's own, the quoted one reversed, the client's in a tunnel
    std::optional<wire::IcmpError> icmp; ///< The packet is an ICMP error, judged by the packet that it quotes
};

struct Owner {
    enum class Kind : std::uint8_t { any, forwarder, worker };
    Kind kind = Kind::any;
    flow::Shard shard = 0;

    bool operator==(const Owner&) const = default;
};

/// The core where fragments of one pair of addresses meet.
[[nodiscard]] flow::Shard shard_of_pair(const wire::IpAddress& source, const wire::IpAddress& destination) noexcept;

/// Fills `out`. `ports_known`: the ports in `parsed` were learned from the first fragment, so a fragment is judged like
/// a whole packet. Any core.
void place(Bytes frame, const wire::ParsedPacket& parsed, const ServiceTable& table, bool ports_known,
           Placement& out) noexcept;

[[nodiscard]] Owner::Kind kind_of_owner(Role role) noexcept;
/// Meaningful where the owner is not `any`.
[[nodiscard]] flow::Shard shard_of(const Placement& placement) noexcept;

/// The rule in one call.
[[nodiscard]] Owner owner_of(Bytes frame, const wire::ParsedPacket& parsed, const ServiceTable& table) noexcept;

} // namespace sluice::l4
