// Cores, stop, admin page, ports and their networks.
#include <config/validate.hpp>

#include <algorithm>
#include <map>

namespace sluice::config {

namespace {

void check_cores(const Validation& check, const std::vector<Located<std::uint32_t>>& cores)
{
    std::map<std::uint32_t, const Where*> seen;
    for (const auto& core : cores) {
        if (const auto [first, inserted] = seen.emplace(core.value, &core.where); !inserted) {
            report_twice(check, core.where, *first->second,
                         "core " + std::to_string(core.value) + " stands here twice");
        }
    }
}

bool is_unusable(const wire::IpAddress& address)
{
    return address.is_unspecified() || address.is_multicast() || address.is_loopback() || address.is_broadcast();
}

void check_interface_address(const Validation& check, const Located<wire::Prefix>& own)
{
    const wire::Prefix& prefix = *own;
    const std::uint8_t widest = prefix.address.is_v4() ? 32 : 128;
    if (is_unusable(prefix.address) || prefix.length == 0) {
        check.report.error(own.where, tick(prefix.to_string()) + " cannot be an address of a port");
    } else if (prefix.address.is_v4() && prefix.length < 31 &&
               (prefix.address == prefix.network() || prefix.address == prefix.directed_broadcast())) {
        check.report.error(own.where,
                           tick(prefix.to_string()) + " is the network's own address or its broadcast address",
                           "write the address of this node, with the length of its network");
    } else if (prefix.length == widest && prefix.address.is_v4()) {
        check.report.warning(
            own.where, tick(prefix.to_string()) + " has no network around it, so no neighbour is reachable from it",
            "write the length of the network that the port is in, like /24");
    }
}

void check_own_addresses(const Validation& check)
{
    std::map<wire::IpAddress, const Where*> seen;
    for (const Port& port : check.model.ports) {
        for (const auto& own : port.addresses) {
            check_interface_address(check, own);
            if (const auto [first, inserted] = seen.emplace(own->address, &own.where); !inserted) {
                report_twice(check, own.where, *first->second,
                             tick(own->address.to_string()) + " is already an address of a port");
            }
        }
    }
}

bool same_network(const wire::Prefix& left, const wire::Prefix& right)
{
    return left.contains(right.network()) || right.contains(left.network());
}

void check_networks_apart(const Validation& check, const Port& left, const Port& right)
{
    for (const auto& one : left.addresses) {
        for (const auto& other : right.addresses) {
            if (!one->address.is_link_local() && one->length != 0 && other->length != 0 && same_network(*one, *other)) {
                check.report.warning(other.where,
                                     "ports " + tick(left.name.value) + " and " + tick(right.name.value) +
                                         " are in one network",
                                     "neighbours are looked for on the first of them only");
                check.report.note(one.where, "the other address");
                return;
            }
        }
    }
}

void check_route(const Validation& check, const Port& port, const PortRoute& route)
{
    const wire::Prefix& to = *route.to;
    const wire::IpAddress& via = *route.via;
    if (!route.to.where.written() || !route.via.where.written() || via.is_unspecified()) {
        return;
    }
    if (to.address.is_v4() != via.is_v4()) {
        check.report.error(route.via.where, "a route has one address family",
                           "destination " + to.to_string() + ", gateway " + via.to_string());
        return;
    }
    if (to.address != to.network()) {
        check.report.error(route.to.where, tick(to.to_string()) + " has bits beyond its length",
                           "write " + tick(wire::Prefix{to.network(), to.length}.to_string()));
    }
    const bool own = std::any_of(port.addresses.begin(), port.addresses.end(),
                                 [&](const auto& item) { return item->address == via; });
    const bool near = std::any_of(port.addresses.begin(), port.addresses.end(),
                                  [&](const auto& item) { return item->contains(via); });
    if (own) {
        check.report.error(route.via.where, tick(via.to_string()) + " is this port's own address, not a gateway");
    } else if (!near && !via.is_link_local() && check.clean("ports")) {
        check.report.error(route.via.where,
                           tick(via.to_string()) + " is in no network of port " + tick(port.name.value),
                           "a gateway is a neighbour: give the port an address in its network");
    }
}

void check_routes(const Validation& check)
{
    std::map<std::string, const Where*> seen;
    for (const Port& port : check.model.ports) {
        for (const PortRoute& route : port.routes) {
            check_route(check, port, route);
            if (!route.to.where.written()) {
                continue;
            }
            const wire::Prefix network{route.to->network(), route.to->length};
            if (const auto [first, inserted] = seen.emplace(network.to_string(), &route.to.where); !inserted) {
                report_twice(check, route.to.where, *first->second,
                             "there is already a route to " + tick(network.to_string()));
            }
        }
    }
}

void check_device(const Validation& check, const Port& port, std::map<std::string, const Where*>& seen)
{
    const Device& device = port.device;
    const auto& name = device.interface ? device.interface : device.pci ? device.pci : device.vdev;
    if (!name || name->value.empty()) {
        return;
    }
    // A vdev is known by its name; its arguments follow after a comma.
    const std::string identity = device.vdev ? name->value.substr(0, name->value.find(',')) : name->value;
    if (const auto [first, inserted] = seen.emplace(identity, &name->where); !inserted) {
        report_twice(check, name->where, *first->second, tick(identity) + " is driven by two ports");
    }
}

} // namespace

void validate_node(const Validation& check)
{
    const Model& model = check.model;
    check_cores(check, model.cpu.forwarders);
    check_cores(check, model.cpu.workers);
    constexpr std::size_t shards = 64;
    for (const auto* cores : {&model.cpu.forwarders, &model.cpu.workers}) {
        if (cores->size() > shards) {
            check.report.error(model.cpu.where, "more than 64 cores share the work",
                               "flows are divided into 64 shards");
        }
    }
    if (model.stop.drain > model.stop.timeout) {
        check.report.error(model.stop.where, "`drain` is longer than the whole stop may take",
                           "make `timeout` at least as long as `drain`");
    }
    if (model.admin && !model.admin->listen->address.is_loopback() && model.admin->allow.empty() &&
        check.clean("admin")) {
        check.report.error(model.admin->listen.where, "the admin page beyond loopback needs `allow`",
                           "allow: [192.0.2.0/24], the networks that may ask");
    }
}

void validate_ports(const Validation& check)
{
    std::map<std::string, const Where*> names;
    std::map<std::string, const Where*> devices;
    for (const Port& port : check.model.ports) {
        if (const auto [first, inserted] = names.emplace(port.name.value, &port.name.where);
            !inserted && !port.name->empty()) {
            report_twice(check, port.name.where, *first->second, "there is already a port " + tick(port.name.value));
        }
        check_device(check, port, devices);
        constexpr std::uint32_t least_for_ipv6 = 1280; // RFC 8200 §5
        const bool ipv6 = std::any_of(port.addresses.begin(), port.addresses.end(),
                                      [](const auto& own) { return own->address.is_v6(); });
        if (ipv6 && *port.mtu < least_for_ipv6) {
            check.report.error(port.mtu.where, "IPv6 needs an MTU of at least 1280 bytes");
        }
    }
    check_own_addresses(check);
    check_routes(check);
    constexpr std::size_t most_compared = 64; // Pairs grow with the square; nobody has that many NICs.
    const std::size_t count = std::min(check.model.ports.size(), most_compared);
    for (std::size_t left = 0; left < count; ++left) {
        for (std::size_t right = left + 1; right < count; ++right) {
            check_networks_apart(check, check.model.ports[left], check.model.ports[right]);
        }
    }
}

} // namespace sluice::config
