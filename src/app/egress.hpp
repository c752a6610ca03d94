// The way out of one core: frames are collected per port during a turn and given to the driver once, at its end.
#pragma once

#include <sluice/app/layout.hpp>
#include <sluice/handoff/mesh.hpp>
#include <sluice/port/port.hpp>
#include <sluice/port/tap.hpp>
#include <sluice/telemetry/counters.hpp>

#include <span>
#include <vector>

namespace sluice::app {

class Egress {
public:
    Egress(std::size_t core, std::span<port::Port* const> ports, handoff::Mesh& mesh,
           telemetry::CoreCounters& counters);

    /// A complete frame for `port`. Owner core. What does not fit is dropped and counted as transmit_full.
    void send(std::uint16_t port, packet::Packet&& frame) noexcept;
    /// Gives everything to the drivers. What a driver refuses waits for the next turn.
    void flush() noexcept;
    /// Frames that wait for a driver which was full: the core must not sleep long, and the worker should send less.
    [[nodiscard]] std::size_t backlog() const noexcept;
    /// Shows what leaves to a tap, or no longer (nullptr).
    void set_tap(port::FrameTap* tap) noexcept;

private:
    static constexpr std::size_t backlog_limit = 1024; ///< Frames per port

    struct Lane {
        port::Port* port = nullptr;
        std::size_t owner = 0; ///< The core whose transmit queue is used
        std::uint16_t queue = 0;
        std::vector<packet::Packet> waiting; ///< A ring of backlog_limit
        std::size_t head = 0;
        std::size_t count = 0;
        std::size_t shown = 0; ///< How many of those at the front the tap has seen: a driver refused them
    };

    void transmit(Lane& lane) noexcept;
    void show(Lane& lane) noexcept;

    std::size_t core_;
    handoff::Mesh& mesh_;
    telemetry::CoreCounters& counters_;
    std::vector<Lane> lanes_;
    packet::Burst burst_;
    port::FrameTap* tap_ = nullptr;
};

} // namespace sluice::app
