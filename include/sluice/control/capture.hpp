// What a capture of a running node is asked for, and where its packets come from. Control thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sluice::control {

struct CaptureRequest {
    std::vector<std::uint32_t>
        filter;               ///< A program of the Berkeley Packet Filter, four numbers an instruction; empty: all
    bool dropped = false;     ///< Only what is dropped, with the reason
    std::uint16_t snap = 256; ///< Bytes of each packet, at most
};

/// A capture that runs; it ends with this object.
class CaptureSource {
public:
    virtual ~CaptureSource() = default;
    /// Nothing new comes in; what waits can still be read.
    virtual void stop() = 0;
    /// Appends whole blocks of pcapng until there are `bytes` or more, or `packets` of packets, or no more wait.
    /// Returns the packets.
    virtual std::size_t read(std::vector<std::byte>& out, std::size_t bytes, std::uint64_t packets) = 0;
    /// Packets that found no room.
    [[nodiscard]] virtual std::uint64_t discarded() const = 0;
    /// Drops without a packet to show.
    [[nodiscard]] virtual std::uint64_t unseen_drops() const = 0;
};

} // namespace sluice::control
