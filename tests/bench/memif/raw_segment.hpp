// TCP segments without a stack: for clients that are a few bytes each, and for those that no stack would be.
#pragma once

#include "generator.hpp"

#include <cstdint>
#include <string_view>

namespace sluice::bench {

struct RawSegment {
    wire::IpAddress source;
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    std::uint32_t sequence = 0;
    std::uint32_t acknowledgment = 0;
    std::uint16_t window = 0xffff;
    std::uint8_t flags = 0; ///< With SYN an MSS of 1460 is announced.
    std::string_view payload = {};
};

/// To the node. Lost, as on a wire, when there is no packet buffer.
void send_segment(Wire& wire, const wire::IpAddress& node, const RawSegment& segment) noexcept;

} // namespace sluice::bench
