#include <sluice/vrrp/advert.hpp>

#include <sluice/vrrp/timers.hpp>
#include <sluice/wire/checksum.hpp>
#include <sluice/wire/headers.hpp>

#include <optional>

namespace sluice::vrrp {

using telemetry::DropReason;

namespace {

std::optional<ChecksumKind> kind_of_checksum(const Received& received, const wire::VrrpView& view, bool ipv6) noexcept
{
    if (view.checksum_valid_pseudo(received.source, received.destination)) {
        return ChecksumKind::pseudo;
    }
    // IPv6 knows the pseudo-header only (RFC 9568 §5.2.8).
    if (!ipv6 && view.checksum_valid_plain()) {
        return ChecksumKind::rfc9568;
    }
    return std::nullopt;
}

void write_ipv4_header(std::byte* to, const Parameters& parameters, std::size_t payload,
                       const wire::IpAddress& group) noexcept
{
    store16(to, static_cast<std::uint16_t>(0x4500U | wire::vrrp_traffic_class));
    store16(to + 2, static_cast<std::uint16_t>(wire::ipv4_minimum_size + payload));
    store32(to + 4, 0x00004000U); // RFC 6864 §4.1: an atomic datagram needs no identification
    store8(to + 8, wire::vrrp_hop_limit);
    store8(to + 9, wire::vrrp_protocol);
    store16(to + 10, 0);
    parameters.source.store(to + 12);
    group.store(to + 16);
    store16(to + 10, wire::checksum(Bytes{to, wire::ipv4_minimum_size}));
}

void write_ipv6_header(std::byte* to, const Parameters& parameters, std::size_t payload,
                       const wire::IpAddress& group) noexcept
{
    store32(to, 0x60000000U | std::uint32_t{wire::vrrp_traffic_class} << 20U);
    store16(to + 4, static_cast<std::uint16_t>(payload));
    store8(to + 6, wire::vrrp_protocol);
    store8(to + 7, wire::vrrp_hop_limit);
    parameters.source.store(to + 8);
    group.store(to + 24);
}

} // namespace

Expected<Advert, DropReason> check(const Received& received) noexcept
{
    const bool ipv6 = received.source.is_v6();
    const wire::VrrpView view{received.message};
    if (received.hop_limit != wire::vrrp_hop_limit) {
        return failure(DropReason::vrrp_ttl);
    }
    if (!view.has_header()) {
        return failure(DropReason::vrrp_invalid);
    }
    if (view.version() != wire::vrrp_version) {
        return failure(DropReason::vrrp_version);
    }
    if (view.type() != wire::vrrp_type_advertisement || !view.has_addresses(ipv6)) {
        return failure(DropReason::vrrp_invalid);
    }
    const std::optional<ChecksumKind> checksum = kind_of_checksum(received, view, ipv6);
    if (!checksum) {
        return failure(DropReason::vrrp_checksum);
    }
    // An interval of 0 would make every timer run out at once.
    if (view.address_count() == 0 || view.interval_centiseconds() == 0) {
        return failure(DropReason::vrrp_invalid);
    }
    return Advert{view,     received.source, view.vrid(), view.priority(), view.interval_centiseconds() * centisecond,
                  *checksum};
}

Bytes build_frame(const Parameters& parameters, std::uint8_t priority, ChecksumKind checksum,
                  FrameBuffer& buffer) noexcept
{
    const bool ipv6 = parameters.ipv6();
    const wire::IpAddress group = wire::vrrp_group(ipv6);
    const std::size_t payload = wire::vrrp_length(parameters.addresses.size(), ipv6);
    const std::size_t header = ipv6 ? wire::ipv6_size : wire::ipv4_minimum_size;
    std::byte* const ip = buffer.data() + wire::ethernet_size;

    wire::MutableEthernet{buffer.data()}.set(group.multicast_mac(), parameters.mac(),
                                             ipv6 ? wire::ether_type::ipv6 : wire::ether_type::ipv4);
    if (ipv6) {
        write_ipv6_header(ip, parameters, payload, group);
    } else {
        write_ipv4_header(ip, parameters, payload, group);
    }
    const wire::VrrpMessage message{parameters.vrid, priority,
                                    static_cast<std::uint16_t>(parameters.advert_interval / centisecond),
                                    parameters.addresses};
    wire::emit_vrrp(ip + header, message, parameters.source, group, ipv6 || checksum == ChecksumKind::pseudo);
    return {buffer.data(), wire::ethernet_size + header + payload};
}

} // namespace sluice::vrrp
