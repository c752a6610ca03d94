#include <sluice/neigh/types.hpp>

#include <algorithm>

namespace sluice::neigh {

wire::IpAddress link_local_of(const wire::MacAddress& mac) noexcept
{
    std::array<std::byte, 16> octets{std::byte{0xfe}, std::byte{0x80}};
    // The universal bit is inverted, and ff:fe stands between the halves of the MAC.
    octets[8] = mac.octets[0] ^ std::byte{0x02};
    octets[9] = mac.octets[1];
    octets[10] = mac.octets[2];
    octets[11] = std::byte{0xff};
    octets[12] = std::byte{0xfe};
    std::copy(mac.octets.begin() + 3, mac.octets.end(), octets.begin() + 13);
    return wire::IpAddress::load_v6(octets.data());
}

Interface with_link_local(Interface interface)
{
    const bool present =
        std::any_of(interface.addresses.begin(), interface.addresses.end(),
                    [](const wire::Prefix& each) { return each.address.is_v6() && each.address.is_link_local(); });
    if (!present) {
        interface.addresses.push_back({link_local_of(interface.mac), 64});
    }
    return interface;
}

std::string_view name(Event::Kind kind) noexcept
{
    static constexpr std::string_view names[] = {"neighbour_failed", "neighbour_moved", "duplicate_address"};
    return names[static_cast<std::size_t>(kind)];
}

} // namespace sluice::neigh
