// Sees every frame header that a client sends, also those that nghttp2 discards without a word.
#pragma once

#include <sluice/base/bytes.hpp>

#include <algorithm>
#include <array>
#include <cstdint>

namespace sluice::http::http2 {

/// RFC 9113 section 4.1, without the stream.
struct FrameHeader {
    std::uint32_t payload_bytes;
    std::uint8_t type;
    std::uint8_t flags;
};

/// Knows nothing but lengths: the preface, then header and payload in turn. What nghttp2 makes of them is its business.
class FrameScanner {
public:
    template <class Visit>
    void scan(Bytes in, Visit&& visit)
    {
        while (!in.empty()) {
            if (skip_ != 0) {
                const std::size_t skipped = std::min<std::size_t>(skip_, in.size());
                skip_ -= static_cast<std::uint32_t>(skipped);
                in = in.subspan(skipped);
                continue;
            }
            header_[filled_++] = in.front();
            in = in.subspan(1);
            if (filled_ == header_.size()) {
                filled_ = 0;
                skip_ = load32(header_.data()) >> 8U;
                visit(FrameHeader{skip_, load8(&header_[3]), load8(&header_[4])});
            }
        }
    }

private:
    static constexpr std::uint32_t preface_bytes = 24;

    std::array<std::byte, 9> header_{};
    std::size_t filled_ = 0;
    std::uint32_t skip_ = preface_bytes;
};

} // namespace sluice::http::http2
