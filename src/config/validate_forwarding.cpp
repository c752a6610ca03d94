// Layer 4 services: what the build implements, families, sources, ports, tunnels.
#include <config/names.hpp>
#include <config/reach.hpp>
#include <config/validate.hpp>

#include <sluice/wire/headers.hpp>
#include <sluice/wire/tunnel.hpp>

#include <algorithm>

namespace sluice::config {

namespace {

bool is_tunnel(Method method) { return method == Method::ipip || method == Method::gue || method == Method::gre; }

/// Bytes that a method puts in front of a packet, outer IP header included.
std::uint32_t tunnel_overhead(Method method, bool outer_v6)
{
    const std::uint32_t outer = outer_v6 ? std::uint32_t{wire::ipv6_size} : std::uint32_t{wire::ipv4_minimum_size};
    switch (method) {
    case Method::ipip:
        return outer;
    case Method::gre:
        return outer + std::uint32_t{wire::gre_size};
    case Method::gue:
        return outer + std::uint32_t{wire::udp_size + wire::gue_size};
    default:
        return 0;
    }
}

void check_sources(const Validation& check, const Service& service)
{
    const Forward& forward = *service.forward;
    if (forward.source.empty()) {
        return;
    }
    const bool tunnel = is_tunnel(*forward.method);
    if (*forward.method != Method::fullnat && !tunnel) {
        check.report.error(forward.source.front().where, "only fullnat and tunnels have source addresses",
                           "leave `source` out");
        return;
    }
    for (const auto& source : forward.source) {
        const bool owned =
            std::any_of(check.model.vrrp.begin(), check.model.vrrp.end(), [&](const VrrpInstance& instance) {
                return std::any_of(instance.addresses.begin(), instance.addresses.end(),
                                   [&](const auto& item) { return *item == *source; });
            });
        if (!owned && check.clean("vrrp")) {
            check.report.error(
                source.where, tick(source->to_string()) + " is owned by no vrrp instance",
                "add it to the `addresses` of one, so that flows survive a takeover; or leave `source` out");
        }
    }
    if (!check.clean("services") || tunnel) {
        return;
    }
    const bool v4 = service.listen.front()->address.is_v4();
    const bool any = std::any_of(forward.source.begin(), forward.source.end(),
                                 [&](const auto& item) { return item->is_v4() == v4; });
    if (!any) {
        check.report.error(forward.source.front().where,
                           std::string{"no source address is of the family of the servers, "} + (v4 ? "IPv4" : "IPv6"));
    }
}

void check_families(const Validation& check, const Service& service, const Pool& pool)
{
    const bool v4 = service.listen.front()->address.is_v4();
    for (const auto& listen : service.listen) {
        if (listen->address.is_v4() != v4) {
            check.report.error(listen.where, "a forwarding service has one address family",
                               "IPv4 and IPv6 are two services with a pool each");
            return;
        }
    }
    if (is_tunnel(*service.forward->method)) {
        return; // The outer family is the server's, the inner one the client's.
    }
    for (const Server& server : pool.servers) {
        if (server.address->address.is_v4() != v4) {
            check.report.error(service.forward->pool.where,
                               "pool " + tick(pool.name.value) + " has servers of the other address family",
                               "forwarding keeps the family; a proxy may change it");
            check.report.note(server.address.where, "for example this one");
            return;
        }
    }
}

/// A tunnel begins at an address of the server's family.
void check_tunnel_sources(const Validation& check, const Service& service, const Pool& pool)
{
    const Forward& forward = *service.forward;
    if (!is_tunnel(*forward.method) || forward.source.empty()) {
        return;
    }
    for (const Server& server : pool.servers) {
        const bool v4 = server.address->address.is_v4();
        if (std::none_of(forward.source.begin(), forward.source.end(),
                         [&](const auto& item) { return item->is_v4() == v4; })) {
            check.report.error(forward.source.front().where,
                               std::string{"no source address is of the family of every server: "} +
                                   (v4 ? "IPv4" : "IPv6") + " is missing");
            check.report.note(server.address.where, "this server needs one");
            return;
        }
    }
}

/// The client's packet reaches the server as it is, so its port cannot be another.
void check_port_change(const Validation& check, const Service& service, const Pool& pool)
{
    const Method method = *service.forward->method;
    if (method != Method::dr && !is_tunnel(method)) {
        return;
    }
    for (const Server& server : pool.servers) {
        const std::uint16_t port = server.address->port;
        const bool changes =
            port != 0 && std::any_of(service.listen.begin(), service.listen.end(), [&](const auto& listen) {
                return listen->first_port != port || listen->last_port != port;
            });
        if (changes) {
            check.report.error(service.forward->method.where, tick(name_of(method).name) + " cannot change the port",
                               "leave the port out of the server's address, or use fullnat or nat");
            check.report.note(server.address.where, "this server has another port than the service");
            return;
        }
    }
}

void check_reach(const Validation& check, const Service& service, const Pool& pool)
{
    const Method method = *service.forward->method;
    for (const Server& server : pool.servers) {
        const Reach reach = reach_of(check.model, server.address->address);
        if (reach.port == nullptr) {
            continue; // Said once, by the pool.
        }
        if (method == Method::dr && reach.route != nullptr) {
            check.report.error(service.forward->method.where,
                               "dr reaches only neighbours, and a server is behind a gateway");
            check.report.note(server.address.where, "this one");
            return;
        }
        const std::uint32_t overhead = tunnel_overhead(method, server.address->address.is_v6());
        constexpr std::uint32_t usual = 1500;
        if (overhead != 0 && *reach.port->mtu < usual + overhead) {
            check.report.warning(service.forward->method.where,
                                 "packets of 1500 bytes do not fit through this tunnel: " + std::to_string(overhead) +
                                     " bytes are added, and port " + tick(reach.port->name.value) + " has an MTU of " +
                                     std::to_string(*reach.port->mtu),
                                 "an MTU of " + std::to_string(usual + overhead) +
                                     " on the way to the servers, or a smaller one at the clients");
            check.report.note(reach.port->mtu.where.written() ? reach.port->mtu.where : reach.port->where, "the port");
            return;
        }
    }
}

void check_persistence(const Validation& check, const Service& service)
{
    if (service.forward->persistence && check.clean("services") && service.listen.front()->address.is_v4() &&
        service.forward->persistence->netmask.value_or(0) > 32) {
        check.report.error(service.forward->persistence->where, "an IPv4 address has 32 bits", "`netmask` is 1 to 32");
    }
}

} // namespace

void validate_forwarding(const Validation& check)
{
    for (const Service& service : check.model.services) {
        if (!service.forward) {
            continue;
        }
        const Forward& forward = *service.forward;
        check_sources(check, service);
        check_persistence(check, service);
        const Pool* pool = find_pool(check.model, forward.pool.value);
        if (pool == nullptr) {
            if (!forward.pool->empty()) {
                check.report.error(forward.pool.where, "there is no pool " + tick(forward.pool.value));
            }
            continue;
        }
        if (check.clean("services", "pools")) {
            check_families(check, service, *pool);
            check_port_change(check, service, *pool);
            check_tunnel_sources(check, service, *pool);
        }
        if (check.clean("services", "pools", "ports")) {
            check_reach(check, service, *pool);
        }
    }
}

} // namespace sluice::config
