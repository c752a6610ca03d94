#include "compile_parts.hpp"

#include <algorithm>

namespace sluice::control {
namespace {

wire::MacAddress virtual_mac(const config::VrrpInstance& instance, const PortFacts& port)
{
    if (!instance.virtual_mac) {
        return port.mac;
    }
    const bool ipv6 = !instance.addresses.empty() && instance.addresses.front()->is_v6();
    return wire::MacAddress::from(0x00, 0x00, 0x5e, 0x00, ipv6 ? 2 : 1, *instance.vrid);
}

vrrp::ChecksumMode checksum_of(config::VrrpChecksum checksum) noexcept
{
    switch (checksum) {
    case config::VrrpChecksum::rfc9568:
        return vrrp::ChecksumMode::rfc9568;
    case config::VrrpChecksum::pseudo:
        return vrrp::ChecksumMode::pseudo;
    case config::VrrpChecksum::automatic:
        break;
    }
    return vrrp::ChecksumMode::automatic;
}

/// Adverts come from the port's first IPv4 address, or its link-local IPv6 address (RFC 9568 §5.1).
wire::IpAddress advert_source(const neigh::Interface& interface, bool ipv6)
{
    for (const wire::Prefix& prefix : interface.addresses) {
        if (ipv6 ? prefix.address.is_v6() && prefix.address.is_link_local() : prefix.address.is_v4()) {
            return prefix.address;
        }
    }
    return ipv6 ? neigh::link_local_of(interface.mac) : wire::IpAddress::v4(0);
}

} // namespace

std::uint8_t port_index(const config::Model& model, const std::string& name)
{
    const auto found = std::find_if(model.ports.begin(), model.ports.end(),
                                    [&](const config::Port& port) { return *port.name == name; });
    return static_cast<std::uint8_t>(found - model.ports.begin());
}

std::shared_ptr<const neigh::Table> compile_neighbours(const config::Model& model, const std::vector<PortFacts>& ports,
                                                       Registry& registry, const Snapshot* previous)
{
    std::vector<neigh::Interface> interfaces;
    for (std::size_t index = 0; index < model.ports.size(); ++index) {
        const config::Port& port = model.ports[index];
        neigh::Interface interface;
        interface.port = static_cast<std::uint8_t>(index);
        interface.mac = ports[index].mac;
        interface.mtu = std::min<std::uint16_t>(static_cast<std::uint16_t>(*port.mtu), ports[index].mtu);
        for (const auto& address : port.addresses) {
            interface.addresses.push_back(*address);
        }
        for (const config::PortRoute& route : port.routes) {
            interface.routes.push_back({*route.to, *route.via});
        }
        interfaces.push_back(std::move(interface));
    }
    std::vector<neigh::VirtualAddress> virtual_addresses;
    for (const config::VrrpInstance& instance : model.vrrp) {
        const std::uint8_t port = port_index(model, *instance.port);
        for (const auto& address : instance.addresses) {
            virtual_addresses.push_back({port, *address, virtual_mac(instance, ports[port])});
        }
    }
    return std::make_shared<neigh::Table>(std::move(interfaces), virtual_addresses,
                                          previous != nullptr ? previous->neighbours.get() : nullptr,
                                          *registry.address_states);
}

std::vector<vrrp::Parameters> compile_vrrp(const config::Model& model, const neigh::Table& table, Registry& registry)
{
    std::vector<vrrp::Parameters> result;
    for (const config::VrrpInstance& instance : model.vrrp) {
        vrrp::Parameters parameters;
        parameters.name = *instance.name;
        parameters.group = instance.group;
        parameters.port = port_index(model, *instance.port);
        parameters.vrid = static_cast<std::uint8_t>(*instance.vrid);
        parameters.priority = static_cast<std::uint8_t>(*instance.priority);
        parameters.advert_interval = *instance.advert_interval;
        parameters.preempt = instance.preempt;
        parameters.preempt_delay = instance.preempt_delay;
        parameters.checksum = checksum_of(instance.checksum);
        const neigh::Interface& interface = *table.interface(static_cast<std::uint8_t>(parameters.port));
        if (!instance.virtual_mac) {
            parameters.own_mac = interface.mac;
        }
        for (const auto& address : instance.addresses) {
            parameters.addresses.push_back(*address);
        }
        const bool ipv6 = !parameters.addresses.empty() && parameters.addresses.front().is_v6();
        parameters.source = advert_source(interface, ipv6);
        for (const config::Track& track : instance.track) {
            vrrp::Track tracked;
            if (track.port) {
                tracked.object = {vrrp::TrackedObject::Kind::port, port_index(model, **track.port)};
            } else {
                tracked.object = {vrrp::TrackedObject::Kind::pool, registry.pool_id(**track.pool)};
            }
            if (track.weight) {
                tracked.weight = static_cast<std::int16_t>(*track.weight);
            }
            parameters.tracks.push_back(tracked);
        }
        result.push_back(std::move(parameters));
    }
    return result;
}

} // namespace sluice::control
