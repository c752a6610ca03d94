#include <sluice/neigh/neighbours.hpp>
#include <sluice/wire/vrrp.hpp>

#include <algorithm>

namespace sluice::neigh {
namespace {

std::vector<Interface> with_link_locals(std::vector<Interface> interfaces)
{
    for (Interface& interface : interfaces) {
        interface = with_link_local(std::move(interface));
    }
    return interfaces;
}

} // namespace

Table::Table(std::vector<Interface> given, const std::vector<VirtualAddress>& virtual_addresses, const Table* previous,
             AddressStates& states)
    : interfaces{with_link_locals(std::move(given))}, routes{interfaces},
      addresses{interfaces, virtual_addresses, previous != nullptr ? &previous->addresses : nullptr, states},
      groups(interfaces.size())
{
    for (std::size_t index = 0; index < interfaces.size(); ++index) {
        std::vector<wire::IpAddress>& list = groups[index];
        const auto join = [&](const wire::IpAddress& group) {
            if (std::find(list.begin(), list.end(), group) == list.end()) {
                list.push_back(group);
            }
        };
        for (const LocalAddress& each : addresses.entries()) {
            if (each.port != interfaces[index].port || each.address.is_v4()) {
                continue;
            }
            join(each.address.solicited_node());
            if (each.is_virtual) {
                join(wire::vrrp_group(true));
            }
        }
    }
}

const Interface* Table::interface(std::uint8_t port) const noexcept
{
    const auto found =
        std::find_if(interfaces.begin(), interfaces.end(), [port](const Interface& each) { return each.port == port; });
    return found == interfaces.end() ? nullptr : &*found;
}

} // namespace sluice::neigh
