#include <sluice/neigh/icmp.hpp>

#include <sluice/wire/checksum.hpp>

#include <algorithm>
#include <cstring>

namespace sluice::neigh {

using wire::IcmpErrorKind;

namespace {

constexpr std::size_t minimum_ipv4_mtu = 576;  ///< RFC 1812 §4.3.2.3: an error should quote as much as fits here.
constexpr std::size_t minimum_ipv6_mtu = 1280; ///< RFC 4443 §3
constexpr std::uint8_t answer_hop_limit = 64;

struct TypeAndCode {
    std::uint8_t type;
    std::uint8_t code;
};

TypeAndCode ipv4_error(IcmpErrorKind kind) noexcept
{
    switch (kind) {
    case IcmpErrorKind::network_unreachable:
        return {wire::icmp_type::unreachable, 0};
    case IcmpErrorKind::host_unreachable:
        return {wire::icmp_type::unreachable, 1};
    case IcmpErrorKind::protocol_unreachable:
        return {wire::icmp_type::unreachable, 2};
    case IcmpErrorKind::port_unreachable:
        return {wire::icmp_type::unreachable, 3};
    case IcmpErrorKind::too_big:
        return {wire::icmp_type::unreachable, 4};
    case IcmpErrorKind::prohibited:
        return {wire::icmp_type::unreachable, 13};
    case IcmpErrorKind::time_exceeded:
        return {wire::icmp_type::time_exceeded, 0};
    case IcmpErrorKind::parameter_problem:
        break;
    }
    return {wire::icmp_type::parameter_problem, 0};
}

TypeAndCode ipv6_error(IcmpErrorKind kind) noexcept
{
    switch (kind) {
    case IcmpErrorKind::network_unreachable:
        return {wire::icmpv6_type::unreachable, 0};
    case IcmpErrorKind::prohibited:
        return {wire::icmpv6_type::unreachable, 1};
    case IcmpErrorKind::host_unreachable:
        return {wire::icmpv6_type::unreachable, 3};
    case IcmpErrorKind::port_unreachable:
        return {wire::icmpv6_type::unreachable, 4};
    case IcmpErrorKind::too_big:
        return {wire::icmpv6_type::too_big, 0};
    case IcmpErrorKind::time_exceeded:
        return {wire::icmpv6_type::time_exceeded, 0};
    case IcmpErrorKind::protocol_unreachable: // RFC 4443 §3.4: an unrecognised next header is a parameter problem.
        return {wire::icmpv6_type::parameter_problem, 1};
    case IcmpErrorKind::parameter_problem:
        break;
    }
    return {wire::icmpv6_type::parameter_problem, 0};
}

bool is_informational(bool v4, std::uint8_t type) noexcept
{
    if (!v4) {
        return (type & 0x80U) != 0; // RFC 4443 §2.1
    }
    return type == wire::icmp_type::echo_request || type == wire::icmp_type::echo_reply || type == 13 || type == 14;
}

void write_ipv4(std::byte* to, std::size_t size, const wire::IpAddress& source,
                const wire::IpAddress& destination) noexcept
{
    store32(to, 0x45c00000U | static_cast<std::uint32_t>(size)); // RFC 1812 §4.3.2.5: internetwork control
    store32(to + 4, 0x00004000U);
    store32(to + 8, std::uint32_t{answer_hop_limit} << 24U | std::uint32_t{wire::protocol::icmp} << 16U);
    source.store(to + 12);
    destination.store(to + 16);
    wire::MutableIpv4{to}.set_header_checksum(wire::checksum(Bytes{to, wire::ipv4_minimum_size}));
}

void write_ipv6(std::byte* to, std::size_t payload, const wire::IpAddress& source,
                const wire::IpAddress& destination) noexcept
{
    store32(to, 0x60000000U);
    store32(to + 4, static_cast<std::uint32_t>(payload) << 16U | std::uint32_t{wire::protocol::icmpv6} << 8U |
                        answer_hop_limit);
    source.store(to + 8);
    destination.store(to + 24);
}

} // namespace

RateLimit::RateLimit(std::uint32_t per_second) noexcept
    : interval_{Duration{std::chrono::seconds{1}} / std::max(per_second, 1U)}, burst_{interval_ *
                                                                                      std::max(per_second / 10, 10U)}
{
}

bool RateLimit::allow(TimePoint now) noexcept
{
    const TimePoint base = std::max(empty_at_, now);
    if (base + interval_ - now > burst_) {
        return false;
    }
    empty_at_ = base + interval_;
    return true;
}

void make_echo_reply(packet::Packet& frame, const wire::ParsedPacket& parsed,
                     const wire::MacAddress& source_mac) noexcept
{
    std::byte* const data = frame.data();
    const wire::MutableEthernet ethernet{data};
    const wire::MacAddress requester = ethernet.source();
    requester.store(data); // The type, or a VLAN tag, stays.
    source_mac.store(data + 6);

    const wire::MutableIcmp icmp{data + parsed.transport_offset};
    const std::uint16_t old_word = load16(icmp.data());
    wire::ChecksumDelta message;
    if (parsed.is_v4()) {
        const wire::MutableIpv4 ip{data + parsed.network_offset};
        ip.set_source(parsed.destination);
        ip.set_destination(parsed.source);
        const std::uint16_t old_ttl = load16(ip.data() + 8);
        ip.set_time_to_live(answer_hop_limit);
        wire::ChecksumDelta header; // Swapped addresses leave the sum as it was.
        header.replace16(old_ttl, load16(ip.data() + 8));
        ip.set_header_checksum(header.apply(ip.header_checksum()));
        icmp.set_type(wire::icmp_type::echo_reply);
    } else {
        const wire::MutableIpv6 ip{data + parsed.network_offset};
        ip.set_source(parsed.destination);
        ip.set_destination(parsed.source);
        ip.set_hop_limit(answer_hop_limit);
        icmp.set_type(wire::icmpv6_type::echo_reply);
    }
    message.replace16(old_word, load16(icmp.data()));
    icmp.set_checksum(message.apply(icmp.checksum()));
}

bool may_report_error(Bytes frame, const wire::ParsedPacket& parsed) noexcept
{
    if (!parsed.is_ip() || parsed.fragment_offset != 0 || wire::Ethernet{frame.data()}.destination().is_multicast()) {
        return false;
    }
    const auto many = [](const wire::IpAddress& address) {
        return address.is_multicast() || address.is_broadcast() || address.is_unspecified() || address.is_loopback();
    };
    if (many(parsed.source) || many(parsed.destination)) {
        return false;
    }
    const bool icmp = parsed.protocol == (parsed.is_v4() ? wire::protocol::icmp : wire::protocol::icmpv6);
    return !icmp || is_informational(parsed.is_v4(), wire::Icmp{frame.data() + parsed.transport_offset}.type());
}

packet::Packet make_icmp_error(packet::Pool& pool, Bytes offender, const wire::ParsedPacket& parsed, IcmpErrorKind kind,
                               std::uint32_t mtu, const wire::IpAddress& source,
                               const wire::MacAddress& source_mac) noexcept
{
    packet::Packet packet = pool.allocate();
    if (!packet) {
        return packet;
    }
    const bool v4 = parsed.is_v4();
    const std::size_t header = v4 ? wire::ipv4_minimum_size : wire::ipv6_size;
    const std::size_t room = (v4 ? minimum_ipv4_mtu : minimum_ipv6_mtu) - header - wire::icmp_size;
    const std::size_t quoted =
        std::min<std::size_t>(room, static_cast<std::size_t>(parsed.end - parsed.network_offset));
    const std::size_t size = wire::ethernet_size + header + wire::icmp_size + quoted;
    std::byte* const data = packet.append(size);
    if (data == nullptr) {
        return {};
    }
    wire::MutableEthernet{data}.set(wire::Ethernet{offender.data()}.source(), source_mac,
                                    v4 ? wire::ether_type::ipv4 : wire::ether_type::ipv6);
    std::byte* const ip = data + wire::ethernet_size;
    std::byte* const message = ip + header;
    const auto [type, code] = v4 ? ipv4_error(kind) : ipv6_error(kind);
    store32(message, std::uint32_t{type} << 24U | std::uint32_t{code} << 16U);
    store32(message + 4, kind == IcmpErrorKind::too_big ? (v4 ? std::min(mtu, 0xffffU) : mtu) : 0);
    std::memcpy(message + wire::icmp_size, offender.data() + parsed.network_offset, quoted);
    const Bytes whole{message, wire::icmp_size + quoted};
    if (v4) {
        write_ipv4(ip, header + whole.size(), source, parsed.source);
        wire::MutableIcmp{message}.set_checksum(wire::checksum(whole));
    } else {
        write_ipv6(ip, whole.size(), source, parsed.source);
        wire::MutableIcmp{message}.set_checksum(wire::checksum(whole, source, parsed.source, wire::protocol::icmpv6));
    }
    return packet;
}

bool prepend_ethernet(packet::Packet& ip, const wire::MacAddress& destination, const wire::MacAddress& source) noexcept
{
    if (ip.size() == 0) {
        return false;
    }
    const bool v6 = load8(ip.data()) >> 4U == 6;
    std::byte* const header = ip.prepend(wire::ethernet_size);
    if (header == nullptr) {
        return false;
    }
    wire::MutableEthernet{header}.set(destination, source, v6 ? wire::ether_type::ipv6 : wire::ether_type::ipv4);
    return true;
}

} // namespace sluice::neigh
