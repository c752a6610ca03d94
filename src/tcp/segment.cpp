#include "tcp/segment.hpp"

#include <algorithm>

namespace sluice::tcp {
namespace {

namespace kind {
constexpr std::uint8_t end_of_list = 0;
constexpr std::uint8_t no_operation = 1;
constexpr std::uint8_t maximum_segment_size = 2;
constexpr std::uint8_t window_scale = 3;
constexpr std::uint8_t sack_permitted = 4;
constexpr std::uint8_t sack = 5;
constexpr std::uint8_t timestamps = 8;
} // namespace kind

constexpr std::uint8_t maximum_window_scale = 14; // RFC 7323 §2.3: a larger shift is used as 14.

void read_sack(Segment& segment, Bytes body) noexcept
{
    for (std::size_t at = 0; at + 8 <= body.size() && segment.sack_count < segment.sacks.size(); at += 8) {
        segment.sacks[segment.sack_count++] = {Sequence{load32(body.data() + at)},
                                               Sequence{load32(body.data() + at + 4)}};
    }
}

void read_option(Segment& segment, std::uint8_t option, Bytes body) noexcept
{
    const bool syn = segment.has(wire::tcp_flag::syn);
    if (option == kind::maximum_segment_size && body.size() == 2 && syn) {
        segment.mss = load16(body.data());
    } else if (option == kind::window_scale && body.size() == 1 && syn) {
        segment.has_window_scale = true;
        segment.window_scale = std::min(load8(body.data()), maximum_window_scale);
    } else if (option == kind::sack_permitted && body.empty() && syn) {
        segment.sack_permitted = true;
    } else if (option == kind::timestamps && body.size() == 8) {
        segment.has_timestamps = true;
        segment.timestamp_value = load32(body.data());
        segment.timestamp_echo = load32(body.data() + 4);
    } else if (option == kind::sack && body.size() >= 8 && body.size() % 8 == 0) {
        read_sack(segment, body);
    }
}

} // namespace

Segment read_segment(Bytes frame, const wire::ParsedPacket& parsed) noexcept
{
    const wire::Tcp header{frame.data() + parsed.transport_offset};
    Segment segment;
    segment.sequence = header.sequence();
    segment.acknowledgment = header.acknowledgment();
    segment.flags = header.flags();
    segment.window = header.window();
    if (!segment.has(wire::tcp_flag::syn)) {
        segment.payload = frame.subspan(parsed.payload_offset, parsed.payload_size());
    }
    const std::byte* at = header.data() + wire::tcp_minimum_size;
    const std::byte* const end = header.data() + header.header_length();
    while (at < end) {
        const std::uint8_t option = load8(at);
        if (option == kind::end_of_list) {
            break;
        }
        if (option == kind::no_operation) {
            ++at;
            continue;
        }
        if (end - at < 2) {
            break;
        }
        const std::size_t size = load8(at + 1);
        if (size < 2 || size > static_cast<std::size_t>(end - at)) {
            break;
        }
        read_option(segment, option, Bytes{at + 2, size - 2});
        at += size;
    }
    return segment;
}

void OptionWriter::mss(std::uint16_t value) noexcept
{
    put32(std::uint32_t{kind::maximum_segment_size} << 24U | 4U << 16U | value);
}

void OptionWriter::window_scale(std::uint8_t shift) noexcept
{
    put32(std::uint32_t{kind::no_operation} << 24U | std::uint32_t{kind::window_scale} << 16U | 3U << 8U | shift);
}

void OptionWriter::sack_permitted() noexcept
{
    put32(std::uint32_t{kind::no_operation} << 24U | std::uint32_t{kind::no_operation} << 16U |
          std::uint32_t{kind::sack_permitted} << 8U | 2U);
}

void OptionWriter::timestamps(std::uint32_t value, std::uint32_t echo) noexcept
{
    put32(std::uint32_t{kind::no_operation} << 24U | std::uint32_t{kind::no_operation} << 16U |
          std::uint32_t{kind::timestamps} << 8U | 10U);
    put32(value);
    put32(echo);
}

void OptionWriter::sack(std::span<const SequenceRange> blocks) noexcept
{
    const std::size_t count = std::min(blocks.size(), (data_.size() - size_ - 4) / 8);
    if (count == 0) {
        return;
    }
    put8(kind::no_operation);
    put8(kind::no_operation);
    put8(kind::sack);
    put8(static_cast<std::uint8_t>(2 + 8 * count));
    for (const SequenceRange& block : blocks.first(count)) {
        put32(block.begin.value());
        put32(block.end.value());
    }
}

} // namespace sluice::tcp
