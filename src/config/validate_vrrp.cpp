#include <config/validate.hpp>

#include <algorithm>
#include <map>
#include <tuple>

namespace sluice::config {

namespace {

const Located<wire::Prefix>* own_address(const Model& model, const wire::IpAddress& address)
{
    for (const Port& port : model.ports) {
        for (const auto& own : port.addresses) {
            if (own->address == address) {
                return &own;
            }
        }
    }
    return nullptr;
}

void check_family(const Validation& check, const VrrpInstance& instance)
{
    const bool v4 = instance.addresses.front()->is_v4();
    for (const auto& address : instance.addresses) {
        if (address->is_v4() != v4) {
            check.report.error(address.where, "an instance has one address family",
                               "put " + tick(address->to_string()) + " into an instance of its own in group " +
                                   tick(instance.group));
            return;
        }
    }
    if (!v4 && !instance.addresses.front()->is_link_local()) {
        check.report.error(
            instance.addresses.front().where, "the first IPv6 address of an instance is link-local (RFC 9568 §5.2.9)",
            "put one in front, the same on both nodes, like \"fe80::" + std::to_string(*instance.vrid) + "\"");
    }
}

void check_addresses(const Validation& check, const VrrpInstance& instance, const Port* port)
{
    const Model& model = check.model;
    std::size_t owned = 0;
    for (const auto& address : instance.addresses) {
        if (address->is_multicast() || address->is_loopback() || address->is_unspecified() || address->is_broadcast()) {
            check.report.error(address.where, tick(address->to_string()) + " cannot be a virtual address");
            continue;
        }
        const auto* own = own_address(model, *address);
        owned += own != nullptr ? 1 : 0;
        if (own != nullptr && *instance.priority != 255) {
            check.report.error(
                address.where, tick(address->to_string()) + " is a port's own address",
                "a virtual address belongs to no node; only an owner with priority 255 may list its own");
            check.report.note(own->where, "the port has it here");
        }
        const bool near = port == nullptr || address->is_link_local() ||
                          std::any_of(port->addresses.begin(), port->addresses.end(),
                                      [&](const auto& item) { return item->contains(*address); });
        if (!near && check.clean("ports")) {
            check.report.warning(address.where,
                                 tick(address->to_string()) + " is in no network of port " + tick(port->name.value),
                                 "neighbours will not ask for it unless they have a route to it on this link");
        }
    }
    if (*instance.priority == 255 && owned != instance.addresses.size() && check.clean("ports", "vrrp")) {
        check.report.error(instance.priority.where, "priority 255 is for the owner of the addresses (RFC 9568 §5.2.4)",
                           "1..254, since the port does not have all of them as its own");
    }
}

void check_port(const Validation& check, const VrrpInstance& instance, const Port* port)
{
    if (port == nullptr) {
        if (!instance.port->empty()) {
            check.report.error(instance.port.where, "there is no port " + tick(instance.port.value));
        }
        return;
    }
    const bool v4 = !instance.addresses.empty() && instance.addresses.front()->is_v4();
    const bool has_v4 = std::any_of(port->addresses.begin(), port->addresses.end(),
                                    [](const auto& own) { return own->address.is_v4(); });
    if (v4 && !has_v4 && check.clean("ports", "vrrp")) {
        check.report.error(instance.port.where,
                           "port " + tick(port->name.value) + " has no IPv4 address to send adverts from",
                           "give the port an address of its own under `addresses`");
    }
}

void check_track(const Validation& check, const Track& track)
{
    if (track.port && !track.port->value.empty() && find_port(check.model, track.port->value) == nullptr) {
        check.report.error(track.port->where, "there is no port " + tick(track.port->value));
    }
    if (track.pool && !track.pool->value.empty() && find_pool(check.model, track.pool->value) == nullptr) {
        check.report.error(track.pool->where, "there is no pool " + tick(track.pool->value));
    }
    if (track.weight == 0) {
        check.report.error(track.where, "a weight of 0 changes nothing", "leave it out to make the instance yield");
    }
}

void check_group(const Validation& check, const VrrpInstance& instance,
                 std::map<std::string, const VrrpInstance*>& groups)
{
    const auto [first, inserted] = groups.emplace(instance.group, &instance);
    const VrrpInstance& other = *first->second;
    if (inserted) {
        return;
    }
    if (*other.priority != *instance.priority) {
        check.report.error(instance.priority.where.written() ? instance.priority.where : instance.where,
                           "instances of one group have one priority, since they move together");
        check.report.note(other.priority.where.written() ? other.priority.where : other.where,
                          "group " + tick(instance.group) + " starts here");
    } else if (other.preempt != instance.preempt || other.preempt_delay != instance.preempt_delay) {
        check.report.error(instance.where, "instances of one group agree on `preempt` and `preempt_delay`");
        check.report.note(other.where, "group " + tick(instance.group) + " starts here");
    }
}

void check_instance(const Validation& check, const VrrpInstance& instance)
{
    const Port* port = find_port(check.model, instance.port.value);
    check_port(check, instance, port);
    if (!instance.addresses.empty() && check.clean("vrrp")) {
        check_family(check, instance);
        check_addresses(check, instance, port);
    }
    if (instance.advert_interval->count() % 10'000'000 != 0) {
        check.report.error(instance.advert_interval.where,
                           "an advert interval is whole hundredths of a second (RFC 9568 §5.2.7)", "10ms, 20ms, ...");
    }
    if (!instance.preempt && instance.preempt_delay.count() != 0) {
        check.report.warning(instance.where, "`preempt_delay` does nothing without `preempt`");
    }
    for (const Track& track : instance.track) {
        check_track(check, track);
    }
}

} // namespace

void validate_vrrp(const Validation& check)
{
    std::map<std::string, const Where*> names;
    std::map<std::tuple<std::string, bool, std::uint32_t>, const Where*> ids;
    std::map<wire::IpAddress, const Where*> addresses;
    std::map<std::string, const VrrpInstance*> groups;
    for (const VrrpInstance& instance : check.model.vrrp) {
        if (const auto [first, inserted] = names.emplace(instance.name.value, &instance.name.where);
            !inserted && !instance.name->empty()) {
            report_twice(check, instance.name.where, *first->second,
                         "there is already an instance " + tick(instance.name.value));
        }
        check_instance(check, instance);
        if (!check.clean("vrrp")) {
            continue;
        }
        check_group(check, instance, groups);
        const bool v4 = instance.addresses.front()->is_v4();
        if (const auto [first, inserted] =
                ids.emplace(std::tuple{instance.port.value, v4, *instance.vrid}, &instance.vrid.where);
            !inserted) {
            report_twice(check, instance.vrid.where, *first->second,
                         "vrid " + std::to_string(*instance.vrid) + " is already taken on port " +
                             tick(instance.port.value) + (v4 ? " for IPv4" : " for IPv6"));
        }
        for (const auto& address : instance.addresses) {
            // Link-local addresses mean something else on every port.
            if (const auto [first, inserted] = addresses.emplace(*address, &address.where);
                !inserted && !address->is_link_local()) {
                report_twice(check, address.where, *first->second,
                             tick(address->to_string()) + " is already a virtual address");
            }
        }
    }
}

} // namespace sluice::config
