#include "translate.hpp"

#include <sluice/wire/checksum.hpp>

namespace sluice::l4 {
namespace {

std::uint16_t fold(std::uint32_t sum) noexcept
{
    sum = (sum >> 16U) + (sum & 0xffffU);
    return static_cast<std::uint16_t>((sum >> 16U) + sum);
}

/// RFC 1624 eqn. 3 with all differences summed up beforehand.
std::uint16_t updated(std::uint16_t checksum, std::uint32_t difference) noexcept
{
    return static_cast<std::uint16_t>(~fold(static_cast<std::uint16_t>(~checksum) + difference));
}

std::uint32_t difference(std::uint16_t from, std::uint16_t to) noexcept
{
    return std::uint32_t{static_cast<std::uint16_t>(~from)} + to;
}

void rewrite_network(std::byte* network, const wire::ParsedPacket& parsed, const Translation& to) noexcept
{
    if (parsed.is_v4()) {
        const wire::MutableIpv4 header{network};
        header.set_source(to.source);
        header.set_destination(to.destination);
        header.set_time_to_live(static_cast<std::uint8_t>(parsed.hop_limit - 1));
        // The hop limit is the high byte of its word: one less is 0x100 less.
        const std::uint32_t all = to.address_delta + difference(0x0100, 0);
        header.set_header_checksum(updated(header.header_checksum(), all));
    } else {
        const wire::MutableIpv6 header{network};
        header.set_source(to.source);
        header.set_destination(to.destination);
        header.set_hop_limit(static_cast<std::uint8_t>(parsed.hop_limit - 1));
    }
}

} // namespace

std::uint16_t address_delta(const flow::Flow& flow) noexcept
{
    wire::ChecksumDelta delta;
    delta.replace(flow.client, flow.local);
    delta.replace(flow.service, flow.server);
    // The delta of a field that was 0xffff, whose complement is 0, is the sum of the differences itself.
    return static_cast<std::uint16_t>(~delta.apply(0xffff));
}

void translate(MutableBytes frame, wire::ParsedPacket& parsed, const Translation& to) noexcept
{
    rewrite_network(frame.data() + parsed.network_offset, parsed, to);
    if (parsed.has_transport()) {
        const std::uint32_t all = to.address_delta + difference(parsed.source_port, to.source_port) +
                                  difference(parsed.destination_port, to.destination_port);
        std::byte* const transport = frame.data() + parsed.transport_offset;
        if (parsed.protocol == wire::protocol::tcp) {
            const wire::MutableTcp header{transport};
            header.set_source_port(to.source_port);
            header.set_destination_port(to.destination_port);
            header.set_checksum(updated(header.checksum(), all));
        } else {
            const wire::MutableUdp header{transport};
            header.set_source_port(to.source_port);
            header.set_destination_port(to.destination_port);
            if (const std::uint16_t old = header.checksum(); old != 0) {
                const std::uint16_t result = updated(old, all);
                header.set_checksum(result == 0 ? std::uint16_t{0xffff} : result);
            }
        }
    }
    parsed.source = to.source;
    parsed.destination = to.destination;
    parsed.source_port = to.source_port;
    parsed.destination_port = to.destination_port;
    --parsed.hop_limit;
}

void pass_on(MutableBytes frame, wire::ParsedPacket& parsed) noexcept
{
    --parsed.hop_limit;
    std::byte* const network = frame.data() + parsed.network_offset;
    if (parsed.is_v4()) {
        const wire::MutableIpv4 header{network};
        header.set_time_to_live(parsed.hop_limit);
        header.set_header_checksum(updated(header.header_checksum(), difference(0x0100, 0)));
    } else {
        wire::MutableIpv6{network}.set_hop_limit(parsed.hop_limit);
    }
}

void translate_icmp_error(MutableBytes frame, wire::ParsedPacket& parsed, const wire::QuotedPacket& quoted,
                          const flow::FiveTuple& original, const wire::IpAddress& source,
                          const wire::IpAddress& destination) noexcept
{
    // What changes inside is collected for the ICMP checksum; what the inner transport checksum covers, for that one.
    wire::ChecksumDelta icmp;
    wire::ChecksumDelta addresses;
    addresses.replace(quoted.source, original.source);
    addresses.replace(quoted.destination, original.destination);
    icmp.replace(quoted.source, original.source);
    icmp.replace(quoted.destination, original.destination);

    std::byte* const inner = frame.data() + quoted.network_offset;
    if (parsed.is_v4()) {
        const wire::MutableIpv4 header{inner};
        header.set_source(original.source);
        header.set_destination(original.destination);
        const std::uint16_t old = header.header_checksum();
        header.set_header_checksum(addresses.apply(old));
        icmp.replace16(old, header.header_checksum());
    } else {
        const wire::MutableIpv6 header{inner};
        header.set_source(original.source);
        header.set_destination(original.destination);
    }

    std::byte* const transport = frame.data() + quoted.transport_offset;
    const std::size_t checksum_offset = quoted.protocol == wire::protocol::tcp ? 16 : 6;
    wire::ChecksumDelta all = addresses;
    all.replace16(quoted.source_port, original.source_port);
    all.replace16(quoted.destination_port, original.destination_port);
    icmp.replace16(quoted.source_port, original.source_port);
    icmp.replace16(quoted.destination_port, original.destination_port);
    store16(transport, original.source_port);
    store16(transport + 2, original.destination_port);
    if (quoted.transport_offset + checksum_offset + 2 <= parsed.end) {
        const std::uint16_t old = load16(transport + checksum_offset);
        const bool udp = quoted.protocol == wire::protocol::udp;
        const std::uint16_t result = udp ? all.apply_udp(old) : all.apply(old);
        store16(transport + checksum_offset, result);
        icmp.replace16(old, result);
    }

    const wire::MutableIcmp message{frame.data() + parsed.transport_offset};
    wire::ChecksumDelta outer;
    outer.replace(parsed.source, source);
    outer.replace(parsed.destination, destination);
    if (!parsed.is_v4()) {
        // The ICMPv6 checksum covers the addresses outside too.
        icmp.replace(parsed.source, source);
        icmp.replace(parsed.destination, destination);
    }
    message.set_checksum(icmp.apply(message.checksum()));
    const Translation outside{source, destination, 0, 0, static_cast<std::uint16_t>(~outer.apply(0xffff))};
    rewrite_network(frame.data() + parsed.network_offset, parsed, outside);
    parsed.source = source;
    parsed.destination = destination;
    --parsed.hop_limit;
}

} // namespace sluice::l4
