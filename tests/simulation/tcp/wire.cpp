#include "wire.hpp"

#include "tcp/segment.hpp"

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
            send(1 - index, std::move(bytes));
        }
    }
}

void Wire::send(std::size_t to, std::vector<std::byte> bytes)
{
    if (cut || random_.chance(options_.loss)) {
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
            arriving[random_.below(arriving.size())] ^= static_cast<std::byte>(1U << random_.below(8));
        }
        queue_.push({at, order_++, to, std::move(arriving)});
    }
}

} // namespace sluice::simulation
