#include <sluice/l4/answers.hpp>

#include <sluice/wire/checksum.hpp>

#include <algorithm>

namespace sluice::l4 {
namespace {

constexpr std::uint8_t own_hop_limit = 64;

void write_ipv4(std::byte* to, const wire::IpAddress& source, const wire::IpAddress& destination) noexcept
{
    store16(to, 0x4500);
    store16(to + 2, wire::ipv4_minimum_size + wire::tcp_minimum_size);
    store32(to + 4, 0x00004000); // Do not fragment, so that the identification may be anything (RFC 6864)
    store8(to + 8, own_hop_limit);
    store8(to + 9, wire::protocol::tcp);
    store16(to + 10, 0);
    source.store(to + 12);
    destination.store(to + 16);
    store16(to + 10, wire::checksum({to, wire::ipv4_minimum_size}));
}

void write_ipv6(std::byte* to, const wire::IpAddress& source, const wire::IpAddress& destination) noexcept
{
    store32(to, 0x60000000);
    store16(to + 4, wire::tcp_minimum_size);
    store8(to + 6, wire::protocol::tcp);
    store8(to + 7, own_hop_limit);
    source.store(to + 8);
    destination.store(to + 24);
}

} // namespace

void make_reset(packet::Packet& packet, wire::ParsedPacket& parsed) noexcept
{
    namespace flag = wire::tcp_flag;
    const wire::Tcp offender{packet.data() + parsed.transport_offset};
    const std::uint8_t flags = offender.flags();
    std::uint32_t sequence = 0;
    std::uint32_t acknowledgment = 0;
    std::uint8_t answer = flag::rst;
    if ((flags & flag::ack) != 0) {
        sequence = offender.acknowledgment().value();
    } else {
        const std::uint32_t controls = ((flags & flag::syn) != 0 ? 1U : 0U) + ((flags & flag::fin) != 0 ? 1U : 0U);
        acknowledgment = offender.sequence().value() + static_cast<std::uint32_t>(parsed.payload_size()) + controls;
        answer |= flag::ack;
    }

    const std::size_t network_size = parsed.is_v4() ? wire::ipv4_minimum_size : wire::ipv6_size;
    const std::size_t end = parsed.network_offset + network_size + wire::tcp_minimum_size;
    std::swap(parsed.source, parsed.destination);
    std::swap(parsed.source_port, parsed.destination_port);
    parsed.transport_offset = static_cast<std::uint16_t>(parsed.network_offset + network_size);
    parsed.payload_offset = parsed.end = static_cast<std::uint16_t>(end);
    parsed.tcp_flags = answer;
    parsed.hop_limit = own_hop_limit;

    std::byte* const network = packet.data() + parsed.network_offset;
    if (parsed.is_v4()) {
        write_ipv4(network, parsed.source, parsed.destination);
    } else {
        write_ipv6(network, parsed.source, parsed.destination);
    }
    std::byte* const transport = packet.data() + parsed.transport_offset;
    store16(transport, parsed.source_port);
    store16(transport + 2, parsed.destination_port);
    store32(transport + 4, sequence);
    store32(transport + 8, acknowledgment);
    store16(transport + 12, static_cast<std::uint16_t>(0x5000U | answer));
    store32(transport + 14, 0); // Window and checksum
    store16(transport + 18, 0);
    const wire::MutableTcp header{transport};
    header.set_checksum(
        wire::checksum({transport, wire::tcp_minimum_size}, parsed.source, parsed.destination, wire::protocol::tcp));
    packet.trim_back(packet.size() - end);
}

bool split_ipv4(Bytes frame, const wire::ParsedPacket& parsed, std::uint32_t mtu, packet::Pool& pool,
                packet::Burst& out) noexcept
{
    const std::size_t header_size = static_cast<std::size_t>(parsed.transport_offset - parsed.network_offset);
    const Bytes data = frame.subspan(parsed.transport_offset, parsed.transport_size());
    const std::size_t step = (mtu - header_size) / 8 * 8;
    if ((data.size() + step - 1) / step > out.room()) {
        return false;
    }
    packet::Burst parts;
    for (std::size_t done = 0; done < data.size(); done += step) {
        const std::size_t size = std::min(step, data.size() - done);
        const bool last = done + size == data.size();
        packet::Packet part = pool.allocate();
        std::byte* const to = part ? part.append(parsed.transport_offset + size) : nullptr;
        if (to == nullptr) {
            return false;
        }
        std::memcpy(to, frame.data(), parsed.transport_offset);
        std::memcpy(to + parsed.transport_offset, data.data() + done, size);
        std::byte* const network = to + parsed.network_offset;
        const std::size_t offset = (parsed.fragment_offset + done) / 8;
        const bool more = !last || parsed.more_fragments;
        store16(network + 2, static_cast<std::uint16_t>(header_size + size));
        store16(network + 6, static_cast<std::uint16_t>(offset | (more ? 0x2000U : 0U)));
        store16(network + 10, 0);
        store16(network + 10, wire::checksum({network, header_size}));
        parts.push(std::move(part));
    }
    for (packet::Packet& part : parts) {
        out.push(std::move(part));
    }
    return true;
}

} // namespace sluice::l4
