// The first forwarder's neighbour machine: ARP (RFC 826, RFC 5227), neighbour discovery (RFC 4861), listener reports
// (RFC 9777), echo. Everything here belongs to the first forwarder's core, is noexcept and allocates nothing.
#pragma once

#include <sluice/neigh/addresses.hpp>
#include <sluice/neigh/adjacency.hpp>
#include <sluice/neigh/icmp.hpp>
#include <sluice/neigh/routes.hpp>
#include <sluice/telemetry/counters.hpp>
#include <sluice/wire/parse.hpp>

#include <memory>
#include <vector>

namespace sluice::neigh {

/// One generation of configuration, built by control, shared with every core through the snapshot.
struct Table {
    /// Adds link-local addresses and builds routes and the address table.
    Table(std::vector<Interface> interfaces, const std::vector<VirtualAddress>& virtual_addresses,
          const Table* previous, AddressStates& states);

    std::vector<Interface> interfaces;
    Routes routes;
    LocalAddresses addresses;
    /// The IPv6 groups that each interface listens to, in the order of `interfaces`: the solicited-node groups of all
    /// its addresses, held or not (a takeover must not wait for a snooping switch), and VRRP's own.
    std::vector<std::vector<wire::IpAddress>> groups;

    [[nodiscard]] const Interface* interface(std::uint8_t port) const noexcept;
};

class Neighbours {
public:
    /// `reserve` must be kept for ARP, ND and the like: a pool that data cannot empty.
    Neighbours(const Limits& limits, Adjacencies& adjacencies, AddressStates& states, packet::Pool& reserve,
               Output& output, telemetry::CoreCounters& counters);
    ~Neighbours();
    Neighbours(const Neighbours&) = delete;
    Neighbours& operator=(const Neighbours&) = delete;

    /// Puts a generation to work and returns the one before (control frees it). What did not change keeps its
    /// neighbours; gateways are resolved at once, IPv6 groups reported, new own addresses announced.
    std::shared_ptr<const Table> replace(std::shared_ptr<const Table> next, TimePoint now) noexcept;

    /// Takes ARP, ND, MLD and echo requests; everything else is dropped as icmp_ignored. The caller has verified the
    /// transport checksum. `parsed` describes `frame`.
    void input(const wire::ParsedPacket& parsed, packet::Packet&& frame, TimePoint now) noexcept;

    /// The neighbour's handle, made and asked for if need be; nobody when the table is full or the port unknown.
    [[nodiscard]] AdjacencyIndex resolve(std::uint8_t port, const wire::IpAddress& next_hop, TimePoint now) noexcept;
    /// Sends an IP packet (no Ethernet header) to a neighbour, or keeps it until the neighbour answers, or drops and
    /// counts.
    void transmit(AdjacencyIndex neighbour, packet::Packet&& ip, TimePoint now) noexcept;
    /// The same after a look at the routes: for packets that other cores could not send.
    void route(packet::Packet&& ip, TimePoint now) noexcept;
    /// The upper layer made progress through this neighbour: no probe is needed (RFC 4861 §7.3.1).
    void confirm(AdjacencyIndex neighbour, TimePoint now) noexcept;

    /// Reports an ICMP error about a received frame if that is allowed, else counts why not. The frame is dropped by
    /// the caller.
    void report_error(const wire::ParsedPacket& parsed, Bytes frame, std::uint8_t port, wire::IcmpErrorKind kind,
                      std::uint32_t mtu, TimePoint now) noexcept;

    /// VRRP: holds or leaves a virtual address of the present table.
    void set_ownership(std::uint8_t port, const wire::IpAddress& address, Ownership ownership) noexcept;
    /// VRRP: one gratuitous ARP or unsolicited neighbour advertisement from `mac`.
    void announce(std::uint8_t port, const wire::IpAddress& address, const wire::MacAddress& mac) noexcept;

    /// The port's link came up: neighbours and switches may have forgotten us, and other machines may be there. Own
    /// addresses are announced, groups reported, gateways asked for, other neighbours checked when they are used.
    void link_up(std::uint8_t port, TimePoint now) noexcept;

    /// Runs what is due, and what readers asked for. Call it every turn: without work it costs two loads.
    void advance(TimePoint now) noexcept;
    [[nodiscard]] TimePoint next_deadline() const noexcept;

    /// Every gateway has answered or failed once: part of "ready".
    [[nodiscard]] bool gateways_decided() const noexcept;

private:
    class Implementation;
    std::unique_ptr<Implementation> implementation_;
};

} // namespace sluice::neigh
