#include "wire.hpp"

#include "tcp/segment.hpp"

#include <sluice/wire/checksum.hpp>

#include <cstdio>
#include <cstdlib>

namespace sluice::simulation {

std::uint64_t number(const char* name, std::uint64_t otherwise)
{
    const char* text = std::getenv(name);
    return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

void Judge::sent(TimePoint now, const std::vector<std::byte>& bytes)
{
    wire::ParsedPacket parsed;
    if (wire::parse_ip(bytes, parsed) || wire::verify_transport(bytes, parsed) ||
        parsed.protocol != wire::protocol::tcp) {
        complaint_ = "a stack sent a malformed packet";
        return;
    }
    ++segments;
    const tcp::Segment segment = tcp::read_segment(bytes, parsed);
    payload_bytes += segment.payload.size();
    data_segments += segment.payload.empty() ? 0U : 1U;
    const wire::Endpoint from{parsed.source, parsed.source_port};
    const wire::Endpoint to{parsed.destination, parsed.destination_port};
    Direction& own = directions_[{from, to}];
    Direction& other = directions_[{to, from}];
    if (std::getenv("SLUICE_TRACE") != nullptr) {
        std::printf("%.6f %s > %s flags %02x seq %u+%zu ack %u win %u",
                    static_cast<double>(now.time_since_epoch().count()) / 1e9, from.to_string().c_str(),
                    to.to_string().c_str(), segment.flags, segment.sequence.value(), segment.payload.size(),
                    segment.acknowledgment.value(), segment.window);
        for (std::uint8_t index = 0; index < segment.sack_count; ++index) {
            std::printf(" sack %u-%u", segment.sacks[index].begin.value(), segment.sacks[index].end.value());
        }
        std::printf("\n");
    }
    if (segment.has(wire::tcp_flag::rst)) {
        return;
    }
    if (segment.has(wire::tcp_flag::syn)) {
        own = {};
        own.scaled = segment.has_window_scale;
        own.scale = segment.window_scale;
        own.sent = segment.end();
        if (!segment.has(wire::tcp_flag::ack)) {
            return;
        }
    }
    const bool scaled = own.scaled && other.scaled && !segment.has(wire::tcp_flag::syn);
    const std::uint32_t window = std::uint32_t{segment.window} << (scaled ? own.scale : 0);
    const wire::Sequence edge = segment.acknowledgment + window;
    if (own.synchronized) {
        if (segment.acknowledgment < own.acknowledged) {
            complaint_ = "an acknowledgment went back";
        }
        // Once the peer's FIN is acknowledged nothing more can come, and the window means nothing.
        const bool ended = other.fin && segment.acknowledgment == other.end;
        if (edge < own.edge && !ended) {
            complaint_ = "the right edge of the window retreated by " + std::to_string(own.edge - edge);
        }
    }
    if (other.synchronized && !segment.has(wire::tcp_flag::syn) && !segment.payload.empty() &&
        segment.sequence + static_cast<std::uint32_t>(segment.payload.size()) > other.edge) {
        complaint_ =
            "data was sent " +
            std::to_string(segment.sequence + static_cast<std::uint32_t>(segment.payload.size()) - other.edge) +
            " bytes beyond the peer's window (payload " + std::to_string(segment.payload.size()) + ")";
    }
    if (other.synchronized && !segment.has(wire::tcp_flag::syn) && segment.acknowledgment > other.sent) {
        complaint_ = "what was never sent was acknowledged";
    }
    own.sent = own.synchronized ? std::max(own.sent, segment.end()) : segment.end();
    own.synchronized = true;
    if (segment.has(wire::tcp_flag::fin)) {
        own.fin = true;
        own.end = segment.end();
    }
    own.acknowledged = segment.acknowledgment;
    own.edge = edge;
}

void Wire::turn()
{
    std::size_t due = 0;
    while (!queue_.empty() && queue_.top().at <= clock_.now() && due < 64) {
        Flying flying = queue_.top();
        queue_.pop();
        hosts_[flying.to]->loop.start_turn();
        hosts_[flying.to]->receive(flying.bytes);
        ++due;
    }
    for (std::size_t index = 0; index < hosts_.size(); ++index) {
        hosts_[index]->turn();
        for (auto& bytes : std::exchange(hosts_[index]->sent, {})) {
            judge.sent(clock_.now(), bytes);
            recorder_.write(clock_.now(), bytes, index == 0 ? port::Direction::outbound : port::Direction::inbound);
            if (too_big(bytes)) {
                answer_too_big(index, bytes);
                continue;
            }
            send(1 - index, std::move(bytes));
        }
    }
}

Recorder::Recorder(const char* name)
{
    const char* const path = std::getenv("SLUICE_CAPTURE");
    if (path == nullptr) {
        return;
    }
    if (auto file = port::PcapngFile::create(std::string{path} + "-" + name + ".pcapng", "simulation", 65535)) {
        file_ = std::make_unique<port::PcapngFile>(std::move(*file));
    }
}

void Recorder::write(TimePoint now, Bytes packet, port::Direction direction)
{
    if (file_ == nullptr) {
        return;
    }
    std::vector<std::byte> frame(wire::ethernet_size);
    store16(frame.data() + 12, packet[0] >> 4U == std::byte{4} ? wire::ether_type::ipv4 : wire::ether_type::ipv6);
    frame.insert(frame.end(), packet.begin(), packet.end());
    static_cast<void>(file_->write(frame, frame.size(), now.time_since_epoch(), direction));
}

Duration Wire::jump() noexcept
{
    if (jumps_ >= options_.clock_jumps || !random_.chance(2000)) {
        return {};
    }
    ++jumps_;
    return std::chrono::milliseconds{random_.below(10'000)};
}

void Wire::answer_too_big(std::size_t from, const std::vector<std::byte>& bytes)
{
    last_fault = clock_.now();
    if (options_.black_hole) {
        return;
    }
    const bool v4 = bytes[0] >> 4U == std::byte{4};
    const std::size_t quoted = v4 ? 28 : 512;
    const std::size_t ip = v4 ? wire::ipv4_minimum_size : wire::ipv6_size;
    std::vector<std::byte> error(ip + 8);
    const wire::IpAddress to = hosts_[from]->address;
    const wire::IpAddress router = v4 ? wire::IpAddress::v4(0x0a0000fe) : *wire::IpAddress::parse("2001:db8::fe");
    error.insert(error.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(quoted));
    std::byte* const icmp = error.data() + ip;
    if (v4) {
        store8(error.data(), 0x45);
        store16(error.data() + 2, static_cast<std::uint16_t>(error.size()));
        store8(error.data() + 8, 64);
        store8(error.data() + 9, wire::protocol::icmp);
        router.store(error.data() + 12);
        to.store(error.data() + 16);
        store16(error.data() + 10, wire::checksum({error.data(), ip}));
        store8(icmp, wire::icmp_type::unreachable);
        store8(icmp + 1, 4);
        store16(icmp + 6, options_.narrow_mtu);
        store16(icmp + 2, wire::checksum(Bytes{error}.subspan(ip)));
    } else {
        store8(error.data(), 0x60);
        store16(error.data() + 4, static_cast<std::uint16_t>(error.size() - ip));
        store8(error.data() + 6, wire::protocol::icmpv6);
        store8(error.data() + 7, 64);
        router.store(error.data() + 8);
        to.store(error.data() + 24);
        store8(icmp, wire::icmpv6_type::too_big);
        store16(icmp + 6, options_.narrow_mtu);
        store16(icmp + 2, wire::checksum(Bytes{error}.subspan(ip), router, to, wire::protocol::icmpv6));
    }
    send(from, std::move(error));
}

void Wire::send(std::size_t to, std::vector<std::byte> bytes)
{
    if (cut || random_.chance(options_.loss)) {
        if (std::getenv("SLUICE_TRACE") != nullptr) {
            std::printf("  ... lost\n");
        }
        last_fault = clock_.now();
        return;
    }
    const int copies = random_.chance(options_.duplicate) ? 2 : 1;
    for (int copy = 0; copy < copies; ++copy) {
        Duration after = options_.delay;
        if (options_.jitter.count() != 0) {
            after += Duration{
                static_cast<Duration::rep>(random_.below(static_cast<std::uint64_t>(options_.jitter.count())))};
        }
        TimePoint at = clock_.now() + after;
        if (random_.chance(options_.reorder)) {
            at += Duration{static_cast<Duration::rep>(
                random_.below(static_cast<std::uint64_t>(options_.reorder_delay.count()) + 1))};
        } else {
            at = std::max(at, last_arrival_[to]);
            last_arrival_[to] = at;
        }
        std::vector<std::byte> arriving = bytes;
        if (random_.chance(options_.corrupt)) {
            last_fault = clock_.now();
            arriving[random_.below(arriving.size())] ^= static_cast<std::byte>(1U << random_.below(8));
        }
        queue_.push({at, order_++, to, std::move(arriving)});
    }
}

} // namespace sluice::simulation
