// Frames: whatever arrives, offsets are ordered and lie within the frame, and nothing outside it is read (each input
// is parsed in a heap block of exactly its size, which AddressSanitizer guards).
#include "tcp/segment.hpp"

#include <sluice/wire/arp.hpp>
#include <sluice/wire/mld.hpp>
#include <sluice/wire/ndp.hpp>
#include <sluice/wire/parse.hpp>

#include <algorithm>
#include <cstdlib>
#include <memory>

using namespace sluice;

namespace {

void require(bool condition)
{
    if (!condition) {
        std::abort();
    }
}

void check_offsets(Bytes frame, const wire::ParsedPacket& packet, std::size_t first_header)
{
    require(packet.network_offset == first_header || packet.network_offset == first_header + wire::vlan_tag_size);
    require(packet.network_offset < packet.transport_offset);
    require(packet.transport_offset <= packet.payload_offset);
    require(packet.payload_offset <= packet.end);
    require(packet.end <= frame.size());
    require(packet.fragment_offset == 0 || packet.is_fragment);
    require(!packet.is_ip() || packet.source.is_v4() == packet.is_v4() || !packet.is_v4());
}

void check_segment(Bytes frame, const wire::ParsedPacket& packet)
{
    const tcp::Segment segment = tcp::read_segment(frame, packet);
    require(segment.payload.size() <= packet.payload_size());
    require(segment.sack_count <= segment.sacks.size());
    require(segment.flags == packet.tcp_flags);
    if (!segment.payload.empty()) {
        require(segment.payload.data() == frame.data() + packet.payload_offset);
    }
}

void check_icmp(Bytes frame, const wire::ParsedPacket& packet)
{
    if (const auto error = wire::parse_icmp_error(frame, packet)) {
        const wire::QuotedPacket& quoted = error->quoted;
        require(quoted.network_offset == packet.payload_offset);
        require(quoted.network_offset + wire::ipv4_minimum_size <= quoted.transport_offset);
        require(quoted.transport_offset + std::size_t{8} <= packet.end);
        require(quoted.sequence.has_value() == (quoted.protocol == wire::protocol::tcp));
        require(quoted.source.is_v4() == packet.is_v4() || !packet.is_v4());
    }
    const Bytes message = frame.subspan(packet.transport_offset, packet.transport_size());
    if (packet.protocol == wire::protocol::icmpv6 && message.size() >= wire::neighbour_message_size) {
        if (const auto options = wire::parse_neighbour_options(message.subspan(wire::neighbour_message_size))) {
            require(message.size() > wire::neighbour_message_size ||
                    (!options->source_link_layer && !options->target_link_layer));
        }
        require(wire::mld_response_delay(load16(message.data() + 4)) >= Duration::zero());
    }
}

void check(Bytes frame, const wire::ParsedPacket& packet, std::size_t first_header)
{
    check_offsets(frame, packet, first_header);
    const auto problem = wire::verify_transport(frame, packet);
    require(!problem || (packet.is_ip() && packet.has_transport()));
    if (packet.kind == wire::NetworkKind::arp) {
        const wire::Arp arp{frame.data() + packet.network_offset};
        require(!arp.is_ipv4_over_ethernet() || (arp.sender() == packet.source && arp.target() == packet.destination));
        return;
    }
    if (!packet.has_transport()) {
        require(packet.payload_offset == packet.transport_offset);
        return;
    }
    if (packet.protocol == wire::protocol::tcp) {
        check_segment(frame, packet);
    } else if (packet.protocol == wire::protocol::icmp || packet.protocol == wire::protocol::icmpv6) {
        check_icmp(frame, packet);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto copy = std::make_unique<std::byte[]>(size);
    std::transform(data, data + size, copy.get(), [](std::uint8_t value) { return std::byte{value}; });
    const Bytes frame{copy.get(), size};
    wire::ParsedPacket packet;
    if (!wire::parse_frame(frame, packet)) {
        check(frame, packet, wire::ethernet_size);
    }
    if (!wire::parse_ip(frame, packet)) {
        require(packet.is_ip());
        check(frame, packet, 0);
    }
    // What follows an Ethernet header parses the same without it.
    if (size > wire::ethernet_size && wire::Ethernet{frame.data()}.type() != wire::ether_type::vlan) {
        wire::ParsedPacket inner;
        if (!wire::parse_frame(frame, packet) && packet.is_ip()) {
            require(!wire::parse_ip(frame.subspan(wire::ethernet_size), inner));
            require(inner.end + wire::ethernet_size == packet.end && inner.protocol == packet.protocol &&
                    inner.payload_offset + wire::ethernet_size == packet.payload_offset);
        }
    }
    return 0;
}
