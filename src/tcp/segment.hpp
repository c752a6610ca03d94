// A received TCP segment as values, and the options of one to be sent (RFC 9293 §3.1, RFC 7323, RFC 2018).
#pragma once

#include <sluice/base/bytes.hpp>
#include <sluice/wire/headers.hpp>
#include <sluice/wire/parse.hpp>

#include <array>
#include <cstdint>
#include <span>

namespace sluice::tcp {

using wire::Sequence;

struct SequenceRange {
    Sequence begin;
    Sequence end; ///< One past the last byte.

    [[nodiscard]] std::uint32_t size() const noexcept { return end.value() - begin.value(); }
    bool operator==(const SequenceRange&) const = default;
};

struct Segment {
    Sequence sequence;
    Sequence acknowledgment;
    std::uint8_t flags = 0;
    std::uint16_t window = 0; ///< As in the header, unscaled
    Bytes payload;

    std::uint16_t mss = 0; ///< 0: no such option
    bool has_window_scale = false;
    std::uint8_t window_scale = 0;
    bool sack_permitted = false;
    bool has_timestamps = false;
    std::uint32_t timestamp_value = 0;
    std::uint32_t timestamp_echo = 0;
    std::uint8_t sack_count = 0;
    std::array<SequenceRange, 4> sacks{};

    [[nodiscard]] bool has(std::uint8_t flag) const noexcept { return (flags & flag) != 0; }
    /// SEG.LEN: payload, SYN and FIN.
    [[nodiscard]] std::uint32_t length() const noexcept
    {
        return static_cast<std::uint32_t>(payload.size()) + (has(wire::tcp_flag::syn) ? 1U : 0U) +
               (has(wire::tcp_flag::fin) ? 1U : 0U);
    }
    [[nodiscard]] Sequence end() const noexcept { return sequence + length(); }
};

/// Options are read up to the first malformed one; the rest is ignored then. Data on a SYN is left out: it is not
/// acknowledged, so its sender repeats it (RFC 9293 §3.4 lets it wait for the handshake anyway).
[[nodiscard]] Segment read_segment(Bytes frame, const wire::ParsedPacket& parsed) noexcept;

inline constexpr std::size_t timestamps_option_size = 12; ///< With its two bytes of padding.

/// Options of a segment to be sent, padded to 32-bit words; at most 40 bytes.
class OptionWriter {
public:
    void mss(std::uint16_t value) noexcept;
    void window_scale(std::uint8_t shift) noexcept;
    void sack_permitted() noexcept;
    void timestamps(std::uint32_t value, std::uint32_t echo) noexcept;
    /// As many blocks as there is room for.
    void sack(std::span<const SequenceRange> blocks) noexcept;

    [[nodiscard]] Bytes bytes() const noexcept { return {data_.data(), size_}; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
    void put8(std::uint8_t value) noexcept { store8(data_.data() + size_++, value); }
    void put32(std::uint32_t value) noexcept
    {
        store32(data_.data() + size_, value);
        size_ += 4;
    }

    std::array<std::byte, 40> data_{};
    std::size_t size_ = 0;
};

} // namespace sluice::tcp
