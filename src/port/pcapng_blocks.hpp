// Blocks of a pcapng file (draft-ietf-opsawg-pcapng), in memory: one section, Ethernet interfaces, nanoseconds. Any
// thread.
#pragma once

#include <sluice/base/bytes.hpp>
#include <sluice/base/time.hpp>

#include <cstdint>
#include <string_view>
#include <vector>

namespace sluice::port {

enum class Direction : std::uint8_t { inbound = 1, outbound = 2 }; ///< Values of epb_flags

struct PacketBlock {
    std::uint32_t interface = 0; ///< Counts the interface blocks
    Duration time{};             ///< From 1970
    Bytes kept;                  ///< The beginning of the frame
    std::size_t size = 0;        ///< Of the whole frame
    Direction direction = Direction::inbound;
    std::string_view comment; ///< None when empty
};

/// Each appends one block.
void append_section(std::vector<std::byte>& out);
void append_interface(std::vector<std::byte>& out, std::string_view name, std::uint32_t snap);
void append_packet(std::vector<std::byte>& out, const PacketBlock& packet);

} // namespace sluice::port
