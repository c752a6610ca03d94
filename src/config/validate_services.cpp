// Services: names, listeners, references to pools.
#include <config/names.hpp>
#include <config/validate.hpp>

#include <algorithm>
#include <map>

namespace sluice::config {

namespace {

/// Every port of a proxy is a listener of its own on every worker.
constexpr int longest_proxy_range = 1024;

std::set<wire::IpAddress> addresses_of_this_node(const Model& model)
{
    std::set<wire::IpAddress> all;
    for (const Port& port : model.ports) {
        for (const auto& own : port.addresses) {
            all.insert(own->address);
        }
    }
    for (const VrrpInstance& instance : model.vrrp) {
        for (const auto& address : instance.addresses) {
            all.insert(*address);
        }
    }
    return all;
}

void check_listen_address(const Validation& check, const Located<Listen>& listen,
                          const std::set<wire::IpAddress>& known)
{
    if (known.contains(listen->address) || !check.clean("ports", "vrrp")) {
        return;
    }
    std::string list;
    std::size_t count = 0;
    for (const wire::IpAddress& address : known) {
        if (address.is_v4() == listen->address.is_v4() && ++count <= 8) {
            list += (list.empty() ? "" : ", ") + address.to_string();
        }
    }
    const bool any = listen->address.is_unspecified();
    check.report.error(listen.where,
                       any ? "a service names the addresses that it listens on"
                           : tick(listen->address.to_string()) + " is an address of no port and no vrrp instance",
                       list.empty() ? "give a port or a vrrp instance this address" : "known: " + list);
}

struct Listener {
    const Located<Listen>* listen;
    const Service* service;
};

/// Sorted by address, protocol and first port, an overlap is always with one that reaches the farthest so far.
void check_overlaps(const Validation& check, std::vector<Listener>& listeners)
{
    const auto key = [](const Listener& item) {
        const Listen& value = **item.listen;
        return std::tuple{value.address, value.transport, value.first_port};
    };
    std::stable_sort(listeners.begin(), listeners.end(),
                     [&](const Listener& left, const Listener& right) { return key(left) < key(right); });
    const Listener* farthest = nullptr;
    for (const Listener& item : listeners) {
        const Listen& value = **item.listen;
        const bool together = farthest != nullptr && (*farthest->listen)->address == value.address &&
                              (*farthest->listen)->transport == value.transport;
        if (together && value.first_port <= (*farthest->listen)->last_port) {
            const bool later = std::pair{item.listen->where.line, item.listen->where.column} >=
                               std::pair{farthest->listen->where.line, farthest->listen->where.column};
            const Listener& second = later ? item : *farthest;
            const Listener& first = later ? *farthest : item;
            check.report.error(second.listen->where,
                               "service " + tick(first.service->name.value) + " already listens there");
            check.report.note(first.listen->where, "on this address and port");
        }
        if (!together || value.last_port > (*farthest->listen)->last_port) {
            farthest = &item;
        }
    }
}

void check_proxy_listeners(const Validation& check, const Service& service)
{
    for (const auto& listen : service.listen) {
        if (listen->transport != Transport::tcp) {
            check.report.error(listen.where, "a proxy listens on tcp", "udp is for `forward`");
        } else if (listen->last_port - listen->first_port >= longest_proxy_range) {
            check.report.error(
                listen.where, "a proxy listens on at most " + std::to_string(longest_proxy_range) + " ports of a range",
                "longer ranges are for `forward`");
        }
    }
}

} // namespace

void validate_services(const Validation& check)
{
    const Model& model = check.model;
    const std::set<wire::IpAddress> known = addresses_of_this_node(model);
    std::map<std::string, const Where*> names;
    std::vector<Listener> listeners;
    for (const Service& service : model.services) {
        if (const auto [first, inserted] = names.emplace(service.name.value, &service.name.where);
            !inserted && !service.name->empty()) {
            report_twice(check, service.name.where, *first->second,
                         "there is already a service " + tick(service.name.value));
        }
        for (const auto& listen : service.listen) {
            if (listen->first_port == 0) {
                continue; // Could not be read.
            }
            check_listen_address(check, listen, known);
            listeners.push_back({&listen, &service});
        }
        if (service.proxy) {
            check_proxy_listeners(check, service);
        }
    }
    check_overlaps(check, listeners);
}

} // namespace sluice::config
