// Services: names, listeners, references to pools.
#include <config/names.hpp>
#include <config/scalars.hpp>
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

void check_network(const Validation& check, const Where& where, const wire::Prefix& network)
{
    if (network.address != network.network()) {
        check.report.error(where, tick(network.to_string()) + " has bits beyond its length",
                           "write " + tick(wire::Prefix{network.network(), network.length}.to_string()));
    }
}

void check_networks(const Validation& check, const std::vector<Located<NetworkOrList>>& entries)
{
    for (const auto& entry : entries) {
        if (entry->network) {
            check_network(check, entry.where, *entry->network);
        }
        if (!entry->network && !entry->list.empty() && find_list(check.model, entry->list) == nullptr &&
            check.clean("lists")) {
            check.report.error(entry.where, "there is no list " + tick(entry->list), "lists stand under `lists`");
        }
    }
}

/// A network that is both let in and kept out says nothing.
void check_contradictions(const Validation& check, const Clients& clients)
{
    for (const auto& denied : clients.deny) {
        const auto same = std::find_if(clients.allow.begin(), clients.allow.end(),
                                       [&](const auto& allowed) { return *allowed == *denied; });
        if (same != clients.allow.end() && (denied->network || !denied->list.empty())) {
            check.report.error(denied.where, tick(show(*denied)) + " is allowed too");
            check.report.note(same->where, "here");
        }
    }
}

void check_lists(const Validation& check)
{
    const auto uses = [](const Service& service, const std::string& name) {
        const auto named = [&](const auto& entry) { return entry->list == name; };
        return std::any_of(service.clients.allow.begin(), service.clients.allow.end(), named) ||
               std::any_of(service.clients.deny.begin(), service.clients.deny.end(), named);
    };
    std::map<std::string, const Where*> names;
    for (const NetworkList& list : check.model.lists) {
        if (const auto [first, inserted] = names.emplace(list.name.value, &list.name.where);
            !inserted && !list.name->empty()) {
            report_twice(check, list.name.where, *first->second, "there is already a list " + tick(list.name.value));
        }
        for (const auto& network : list.networks) {
            check_network(check, network.where, *network);
        }
        if (!list.name->empty() && check.clean("services") &&
            std::none_of(check.model.services.begin(), check.model.services.end(),
                         [&](const Service& service) { return uses(service, *list.name); })) {
            check.report.warning(list.name.where, "nothing uses list " + tick(list.name.value));
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
    check_lists(check);
    for (const Service& service : model.services) {
        check_networks(check, service.clients.allow);
        check_networks(check, service.clients.deny);
        check_contradictions(check, service.clients);
    }
}

} // namespace sluice::config
