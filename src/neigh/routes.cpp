#include <sluice/neigh/routes.hpp>

#include <algorithm>

namespace sluice::neigh {
namespace {

/// The own address to speak from towards `peer`: of the same prefix, else the first of the family that is not
/// link-local, else any of the family.
wire::IpAddress preferred_source(const Interface& interface, const wire::IpAddress& peer) noexcept
{
    wire::IpAddress any;
    wire::IpAddress global;
    for (const wire::Prefix& own : interface.addresses) {
        if (own.address.is_v4() != peer.is_v4()) {
            continue;
        }
        if (own.contains(peer)) {
            return own.address;
        }
        if (any.is_unspecified()) {
            any = own.address;
        }
        if (global.is_unspecified() && !own.address.is_link_local()) {
            global = own.address;
        }
    }
    return global.is_unspecified() ? any : global;
}

/// A packet to a global destination leaves from a global address even when its gateway is link-local.
wire::IpAddress source_through(const Interface& interface, const StaticRoute& route) noexcept
{
    if (!route.via.is_link_local()) {
        return preferred_source(interface, route.via);
    }
    return preferred_source(interface, route.to.address);
}

} // namespace

Routes::Routes(const std::vector<Interface>& interfaces)
{
    for (const Interface& interface : interfaces) {
        for (const wire::Prefix& own : interface.addresses) {
            entries_.push_back({{own.network(), own.length}, interface.port, true, {}, own.address, interface.mtu});
        }
    }
    for (const Interface& interface : interfaces) {
        for (const StaticRoute& route : interface.routes) {
            entries_.push_back({{route.to.network(), route.to.length},
                                interface.port,
                                false,
                                route.via,
                                source_through(interface, route),
                                interface.mtu});
            const Gateway gateway{interface.port, route.via};
            if (std::find(gateways_.begin(), gateways_.end(), gateway) == gateways_.end()) {
                gateways_.push_back(gateway);
            }
        }
    }
    std::stable_sort(entries_.begin(), entries_.end(),
                     [](const Entry& left, const Entry& right) { return left.prefix.length > right.prefix.length; });
}

NextHop Routes::next_hop(const Entry& entry, const wire::IpAddress& destination) noexcept
{
    return {entry.port, entry.connected ? destination : entry.gateway, entry.source, entry.mtu};
}

std::optional<NextHop> Routes::lookup(const wire::IpAddress& destination) const noexcept
{
    for (const Entry& entry : entries_) {
        if (entry.prefix.contains(destination)) {
            return next_hop(entry, destination);
        }
    }
    return std::nullopt;
}

std::optional<NextHop> Routes::lookup(std::uint8_t port, const wire::IpAddress& destination) const noexcept
{
    for (const Entry& entry : entries_) {
        if (entry.port == port && entry.prefix.contains(destination)) {
            return next_hop(entry, destination);
        }
    }
    return std::nullopt;
}

} // namespace sluice::neigh
