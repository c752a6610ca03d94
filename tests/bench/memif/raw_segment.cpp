#include "raw_segment.hpp"

#include <sluice/wire/checksum.hpp>

#include <cstring>

namespace sluice::bench {

void send_segment(Wire& wire, const wire::IpAddress& node, const RawSegment& segment) noexcept
{
    const bool syn = (segment.flags & wire::tcp_flag::syn) != 0;
    const std::size_t header = wire::tcp_minimum_size + (syn ? 4U : 0U);
    const std::size_t total = wire::ipv4_minimum_size + header + segment.payload.size();
    packet::Packet packet = wire.allocate();
    if (!packet) {
        return;
    }
    std::byte* const ip = packet.append(total);
    std::memset(ip, 0, wire::ipv4_minimum_size + header);
    store8(ip, 0x45);
    store16(ip + 2, static_cast<std::uint16_t>(total));
    store8(ip + 8, 64);
    store8(ip + 9, wire::protocol::tcp);
    segment.source.store(ip + 12);
    node.store(ip + 16);
    store16(ip + 10, wire::checksum({ip, wire::ipv4_minimum_size}));
    std::byte* const start = ip + wire::ipv4_minimum_size;
    const wire::MutableTcp tcp{start};
    tcp.set_source_port(segment.source_port);
    tcp.set_destination_port(segment.destination_port);
    tcp.set_sequence(wire::Sequence{segment.sequence});
    tcp.set_acknowledgment(wire::Sequence{segment.acknowledgment});
    tcp.set_header_length(header);
    tcp.set_flags(segment.flags);
    tcp.set_window(segment.window);
    if (syn) {
        store32(start + wire::tcp_minimum_size, 0x020405b4); // MSS 1460
    }
    std::memcpy(start + header, segment.payload.data(), segment.payload.size());
    tcp.set_checksum(
        wire::checksum({start, header + segment.payload.size()}, segment.source, node, wire::protocol::tcp));
    wire.send(std::move(packet));
}

} // namespace sluice::bench
