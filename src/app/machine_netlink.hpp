// Read-only questions to the kernel's routing tables (rtnetlink(7)).
#pragma once

#include <sluice/wire/address.hpp>

#include <optional>
#include <string>
#include <vector>

namespace sluice::app {

struct LinkFacts {
    std::string name{};
    int index = 0;
    unsigned flags = 0; ///< IFF_*
    std::uint32_t mtu = 0;
    int master = 0; ///< Index of the bridge, bond or team; 0: none
};

/// Everything in this network namespace. Empty when the kernel does not answer. Control thread.
[[nodiscard]] std::vector<LinkFacts> read_links();
[[nodiscard]] std::vector<wire::Prefix> read_addresses(int interface_index);
/// Gateways of the default routes over an interface, of both families; the unspecified address for a route without one.
[[nodiscard]] std::vector<wire::IpAddress> read_default_gateways(int interface_index);

} // namespace sluice::app
