// What configures the neighbour module, what it asks for and what it reports.
#pragma once

#include <sluice/base/time.hpp>
#include <sluice/packet/packet.hpp>
#include <sluice/wire/address.hpp>

#include <cstdint>
#include <string_view>
#include <vector>

namespace sluice::neigh {

struct StaticRoute {
    wire::Prefix to;
    wire::IpAddress via;

    bool operator==(const StaticRoute&) const = default;
};

/// A port as IP sees it. Built by control from the configuration and the port's MAC.
struct Interface {
    std::uint8_t port = 0; ///< 0..Adjacencies::maximum_port
    wire::MacAddress mac;
    std::uint16_t mtu = 1500;
    /// This node's own addresses with their prefixes. When no IPv6 link-local address is among them, use
    /// with_link_local().
    std::vector<wire::Prefix> addresses;
    std::vector<StaticRoute> routes;

    bool operator==(const Interface&) const = default;
};

/// fe80::/64 with the modified EUI-64 of `mac` (RFC 4291 appendix A).
[[nodiscard]] wire::IpAddress link_local_of(const wire::MacAddress& mac) noexcept;
/// The interface with a link-local address appended when it has none: neighbour discovery speaks from it.
[[nodiscard]] Interface with_link_local(Interface interface);

/// How an address is held here. `backup`: a virtual address of ours that the peer holds; met with silence. `leaving`:
/// the same, but connections of before still end here, with the segments that the peer passes back.
enum class Ownership : std::uint8_t { absent, backup, active, leaving };

struct Limits {
    std::size_t neighbours_per_port = 1024;
    std::size_t queued_per_neighbour = 8; ///< Packets kept while a neighbour is being resolved
    std::size_t queued_total = 256;
    std::uint32_t icmp_errors_per_second = 1000;
};

struct Event {
    enum class Kind : std::uint8_t {
        neighbour_failed,  ///< A neighbour in use stopped answering
        neighbour_moved,   ///< A neighbour has another MAC now
        duplicate_address, ///< Somebody else on the link uses an address of ours: address, mac
    };
    Kind kind = Kind::neighbour_failed;
    TimePoint time{};
    std::uint8_t port = 0;
    wire::IpAddress address;
    wire::MacAddress mac;
};

[[nodiscard]] std::string_view name(Event::Kind kind) noexcept;

/// What the module asks of the first forwarder. Called on its core, from within Neighbours' functions.
class Output {
public:
    virtual ~Output() = default;
    /// A complete Ethernet frame.
    virtual void send(std::uint8_t port, packet::Packet&& frame) noexcept = 0;
    virtual void report(const Event& event) noexcept = 0;
};

} // namespace sluice::neigh
