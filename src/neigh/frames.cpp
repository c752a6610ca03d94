#include <neigh/frames.hpp>

#include <sluice/wire/checksum.hpp>

#include <algorithm>

namespace sluice::neigh {
namespace {

void write_ipv6(std::byte* to, std::size_t payload, std::uint8_t next_header, std::uint8_t hop_limit,
                const wire::IpAddress& source, const wire::IpAddress& destination) noexcept
{
    store32(to, 0x60000000U);
    store32(to + 4, static_cast<std::uint32_t>(payload) << 16U | std::uint32_t{next_header} << 8U | hop_limit);
    source.store(to + 8);
    destination.store(to + 24);
}

} // namespace

wire::IpAddress all_nodes() noexcept
{
    std::array<std::byte, 16> octets{std::byte{0xff}, std::byte{0x02}};
    octets[15] = std::byte{1};
    return wire::IpAddress::load_v6(octets.data());
}

packet::Packet Frames::allocate(std::size_t size) noexcept
{
    packet::Packet frame = reserve_.allocate();
    if (!frame || frame.append(size) == nullptr) {
        counters_.count(telemetry::Counter::pool_exhausted);
        return {};
    }
    return frame;
}

void Frames::send_arp(std::uint8_t port, const wire::MacAddress& to, wire::ArpOperation operation,
                      const wire::MacAddress& sender_mac, const wire::IpAddress& sender,
                      const wire::MacAddress& target_mac, const wire::IpAddress& target) noexcept
{
    packet::Packet frame = allocate(wire::ethernet_size + wire::arp_size);
    if (frame) {
        wire::MutableEthernet{frame.data()}.set(to, sender_mac, wire::ether_type::arp);
        wire::MutableArp{frame.data() + wire::ethernet_size}.set(operation, sender_mac, sender, target_mac, target);
        output_.send(port, std::move(frame));
    }
}

void Frames::send_neighbour(std::uint8_t port, const wire::MacAddress& from_mac, const wire::MacAddress& to_mac,
                            const wire::IpAddress& source, const wire::IpAddress& destination, std::uint8_t type,
                            std::uint8_t flags, const wire::IpAddress& target, wire::NeighbourOption option) noexcept
{
    constexpr std::size_t message_size = wire::neighbour_message_size + wire::link_layer_option_size;
    packet::Packet frame = allocate(wire::ethernet_size + wire::ipv6_size + message_size);
    if (!frame) {
        return;
    }
    wire::MutableEthernet{frame.data()}.set(to_mac, from_mac, wire::ether_type::ipv6);
    std::byte* const ip = frame.data() + wire::ethernet_size;
    std::byte* const message = ip + wire::ipv6_size;
    write_ipv6(ip, message_size, wire::protocol::icmpv6, wire::neighbour_hop_limit, source, destination);
    wire::MutableNeighbour{message}.set(type, flags, target);
    wire::emit_link_layer_option(message + wire::neighbour_message_size, option, from_mac);
    wire::MutableIcmp{message}.set_checksum(
        wire::checksum({message, message_size}, source, destination, wire::protocol::icmpv6));
    output_.send(port, std::move(frame));
}

void Frames::solicit(const Interface& interface, const wire::IpAddress& source, const wire::IpAddress& target,
                     const std::optional<wire::MacAddress>& unicast) noexcept
{
    if (target.is_v4()) {
        // Without an own IPv4 address this is a probe with sender 0.0.0.0 (RFC 5227 §2.1.1), which is answered too.
        const wire::IpAddress sender = source.is_v4() ? source : wire::IpAddress::v4(0);
        send_arp(interface.port, unicast.value_or(wire::MacAddress::broadcast()), wire::ArpOperation::request,
                 interface.mac, sender, {}, target);
        return;
    }
    const wire::IpAddress group = target.solicited_node();
    send_neighbour(interface.port, interface.mac, unicast ? *unicast : group.multicast_mac(), source,
                   unicast ? target : group, wire::icmpv6_type::neighbour_solicitation, 0, target,
                   wire::NeighbourOption::source_link_layer);
}

void Frames::reply_arp(std::uint8_t port, const wire::MacAddress& mac, const wire::IpAddress& address,
                       const wire::MacAddress& to_mac, const wire::IpAddress& to) noexcept
{
    send_arp(port, to_mac, wire::ArpOperation::reply, mac, address, to_mac, to);
}

void Frames::announce_arp(std::uint8_t port, const wire::MacAddress& mac, const wire::IpAddress& address) noexcept
{
    send_arp(port, wire::MacAddress::broadcast(), wire::ArpOperation::request, mac, address, {}, address);
}

void Frames::advertise(std::uint8_t port, const Advertisement& advertisement) noexcept
{
    send_neighbour(port, advertisement.mac, advertisement.to_mac, advertisement.target, advertisement.to,
                   wire::icmpv6_type::neighbour_advertisement, advertisement.flags, advertisement.target,
                   wire::NeighbourOption::target_link_layer);
}

void Frames::announce_nd(std::uint8_t port, const wire::MacAddress& mac, const wire::IpAddress& address,
                         bool router) noexcept
{
    const wire::IpAddress everybody = all_nodes();
    const unsigned flags = wire::neighbour_flag_override | (router ? wire::neighbour_flag_router : 0U);
    advertise(port, {mac, address, everybody.multicast_mac(), everybody, static_cast<std::uint8_t>(flags)});
}

void Frames::report_groups(const Interface& interface, const wire::IpAddress& source, wire::MldRecord record,
                           std::span<const wire::IpAddress> groups) noexcept
{
    constexpr std::size_t option_size = 8;
    constexpr std::size_t groups_per_report =
        (1280 - wire::ipv6_size - option_size - wire::mld_report_header_size) / wire::mld_record_size;
    const wire::IpAddress destination = wire::mld_routers();
    while (!groups.empty()) {
        const auto part = groups.first(std::min(groups.size(), groups_per_report));
        groups = groups.subspan(part.size());
        const std::size_t message_size = wire::mld_report_size(part.size());
        packet::Packet frame = allocate(wire::ethernet_size + wire::ipv6_size + option_size + message_size);
        if (!frame) {
            return;
        }
        wire::MutableEthernet{frame.data()}.set(destination.multicast_mac(), interface.mac, wire::ether_type::ipv6);
        std::byte* const ip = frame.data() + wire::ethernet_size;
        std::byte* const option = ip + wire::ipv6_size;
        std::byte* const message = option + option_size;
        write_ipv6(ip, option_size + message_size, wire::protocol::hop_by_hop, 1, source, destination);
        store64(option, 0x3a00'0502'0000'0100ULL); // Next ICMPv6; router alert for MLD (RFC 2711), padded to 8 bytes
        wire::emit_mld_report(message, record, part);
        wire::MutableIcmp{message}.set_checksum(
            wire::checksum({message, message_size}, source, destination, wire::protocol::icmpv6));
        output_.send(interface.port, std::move(frame));
    }
}

} // namespace sluice::neigh
