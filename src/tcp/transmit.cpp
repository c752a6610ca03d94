// Segments become packets: IP header, TCP header, options, payload and checksums in one buffer.
#include "tcp/core.hpp"

#include <sluice/wire/checksum.hpp>

#include <cstring>

namespace sluice::tcp {
namespace {

std::size_t ip_header_size(const wire::IpAddress& address) noexcept
{
    return address.is_v4() ? wire::ipv4_minimum_size : wire::ipv6_size;
}

void write_ipv4(std::byte* to, const TableEntry& ends, std::size_t total, std::uint8_t hop_limit) noexcept
{
    store16(to, 0x4500);
    store16(to + 2, static_cast<std::uint16_t>(total));
    store32(to + 4, 0x4000); // Identification 0 with "don't fragment": an atomic datagram (RFC 6864 §4.1).
    store8(to + 8, hop_limit);
    store8(to + 9, wire::protocol::tcp);
    store16(to + 10, 0);
    ends.local.store(to + 12);
    ends.remote.store(to + 16);
    store16(to + 10, wire::checksum({to, wire::ipv4_minimum_size}));
}

void write_ipv6(std::byte* to, const TableEntry& ends, std::size_t total, std::uint8_t hop_limit) noexcept
{
    store32(to, 0x60000000U);
    store16(to + 4, static_cast<std::uint16_t>(total - wire::ipv6_size));
    store8(to + 6, wire::protocol::tcp);
    store8(to + 7, hop_limit);
    ends.local.store(to + 8);
    ends.remote.store(to + 24);
}

} // namespace

std::size_t headers_size(const wire::IpAddress& address) noexcept
{
    return ip_header_size(address) + wire::tcp_minimum_size;
}

std::uint16_t announced_mss(const wire::IpAddress& address, Path path) noexcept
{
    return static_cast<std::uint16_t>(path.mtu - headers_size(address));
}

bool transmit(Core& core, const Outgoing& segment, const OptionWriter& options, std::array<Bytes, 2> payload) noexcept
{
    const std::size_t payload_size = payload[0].size() + payload[1].size();
    const std::size_t ip_size = ip_header_size(segment.ends.local);
    const std::size_t tcp_size = wire::tcp_minimum_size + options.size();
    const std::size_t total = ip_size + tcp_size + payload_size;
    packet::Packet packet = core.output.allocate(payload_size != 0 ? Output::Purpose::data : Output::Purpose::control);
    std::byte* const ip = packet ? packet.append(total) : nullptr;
    if (ip == nullptr) {
        return false;
    }
    (segment.ends.local.is_v4() ? write_ipv4 : write_ipv6)(ip, segment.ends, total, core.options.hop_limit);

    std::byte* const header = ip + ip_size;
    const wire::MutableTcp tcp{header};
    tcp.set_source_port(segment.ends.local_port);
    tcp.set_destination_port(segment.ends.remote_port);
    tcp.set_sequence(segment.sequence);
    tcp.set_acknowledgment(segment.acknowledgment);
    tcp.set_header_length(tcp_size);
    tcp.set_flags(segment.flags);
    tcp.set_window(segment.window);
    tcp.set_checksum(0);
    tcp.set_urgent_pointer(0);
    std::memcpy(header + wire::tcp_minimum_size, options.bytes().data(), options.size());

    wire::ChecksumSum sum;
    sum.add_pseudo_header(segment.ends.local, segment.ends.remote, wire::protocol::tcp,
                          static_cast<std::uint32_t>(tcp_size + payload_size));
    sum.add({header, tcp_size});
    std::byte* const body = header + tcp_size;
    if (payload[1].empty()) {
        sum.add_and_copy(payload[0], body);
    } else {
        // The ring wraps inside this segment: the second piece may start at an odd offset, where sums cannot be joined.
        std::memcpy(body, payload[0].data(), payload[0].size());
        std::memcpy(body + payload[0].size(), payload[1].data(), payload[1].size());
        sum.add({body, payload_size});
    }
    tcp.set_checksum(sum.finish());

    core.count(Counter::tcp_segments_sent);
    core.output.transmit(std::move(packet), segment.ends.local, segment.ends.remote, segment.path);
    return true;
}

void answer_with_reset(Core& core, const TableEntry& ends, const Segment& segment) noexcept
{
    if (segment.has(wire::tcp_flag::rst)) {
        return;
    }
    if (!core.resets.allow(core.now())) {
        core.counters.drop(DropReason::rate_limited);
        return;
    }
    const std::optional<Path> path = core.output.find_path(ends.local, ends.remote);
    if (!path) {
        return;
    }
    Outgoing reset{ends, *path, Sequence{0}, segment.end(), wire::tcp_flag::rst | wire::tcp_flag::ack, 0};
    if (segment.has(wire::tcp_flag::ack)) {
        reset.sequence = segment.acknowledgment;
        reset.acknowledgment = Sequence{0};
        reset.flags = wire::tcp_flag::rst;
    }
    if (transmit(core, reset, {}, {})) {
        core.count(Counter::tcp_resets_sent);
    }
}

} // namespace sluice::tcp
