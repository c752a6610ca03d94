#include "ip_output.hpp"

namespace sluice::app {
namespace {

/// The port that owns a local address, for link-local destinations, which routes alone cannot place.
std::optional<std::uint8_t> port_of(const neigh::Table& table, const wire::IpAddress& address) noexcept
{
    for (const neigh::LocalAddress& entry : table.addresses.entries()) {
        if (entry.address == address) {
            return entry.port;
        }
    }
    return {};
}

} // namespace

std::optional<IpOutput::Route> IpOutput::find(const wire::IpAddress& source,
                                              const wire::IpAddress& destination) const noexcept
{
    if (context_.snapshot == nullptr) {
        return {};
    }
    const neigh::Table& table = *context_.snapshot->neighbours;
    std::optional<neigh::NextHop> hop;
    if (destination.is_link_local()) {
        if (const auto port = port_of(table, source)) {
            hop = table.routes.lookup(*port, destination);
        }
    } else {
        hop = table.routes.lookup(destination);
    }
    if (!hop) {
        return {};
    }
    return Route{*hop, context_.shared.adjacencies.find(hop->port, hop->address)};
}

bool IpOutput::send_now(packet::Packet& ip, neigh::AdjacencyIndex adjacency) noexcept
{
    const neigh::Adjacency next = context_.shared.adjacencies.use(adjacency);
    if (!next.usable()) {
        return false;
    }
    const neigh::Interface* interface = context_.snapshot->neighbours->interface(next.port);
    if (interface == nullptr || !neigh::prepend_ethernet(ip, next.mac, interface->mac)) {
        return false;
    }
    context_.egress.send(next.port, std::move(ip));
    return true;
}

void IpOutput::send(packet::Packet&& ip, neigh::AdjacencyIndex adjacency, const wire::IpAddress& source,
                    const wire::IpAddress& destination) noexcept
{
    if (adjacency && send_now(ip, adjacency)) {
        return;
    }
    const auto route = find(source, destination);
    if (!route) {
        context_.counters.drop(telemetry::DropReason::no_route);
        ip.reset();
        return;
    }
    if (route->adjacency && send_now(ip, route->adjacency)) {
        return;
    }
    if (neighbours_ != nullptr) {
        neighbours_->transmit(neighbours_->resolve(route->next_hop.port, route->next_hop.address, context_.now),
                              std::move(ip), context_.now);
        return;
    }
    ip.set_port(route->next_hop.port);
    wire::ParsedPacket towards;
    towards.destination = route->next_hop.address;
    context_.hand_off(context_.shared.layout.forwarder_core.front(), handoff::Kind::unresolved, std::move(ip), towards);
}

} // namespace sluice::app
