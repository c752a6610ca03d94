// The seam to the network: queues of frames. DPDK devices, the in-memory pair and the pcap replay implement it; fault
// injection and capture wrap it.
#pragma once

#include <sluice/base/time.hpp>
#include <sluice/packet/packet.hpp>
#include <sluice/wire/address.hpp>

#include <cstdint>
#include <string_view>

namespace sluice::port {

/// What a port can do by itself; whatever it cannot, `port` does in software and counts.
struct Capabilities {
    std::uint16_t receive_queues = 1;
    std::uint16_t transmit_queues = 1;
    bool verifies_checksums = false; ///< Received packets may carry checksum_verified()
    bool filters_mac = false;        ///< Frames for foreign MAC addresses may be kept away; see accept_mac()
};

/// Totals since the port was opened. Written by the cores that own its queues, read by any thread.
struct Statistics {
    std::uint64_t packets_received = 0;
    std::uint64_t bytes_received = 0;
    std::uint64_t packets_transmitted = 0;
    std::uint64_t bytes_transmitted = 0;
    std::uint64_t receive_dropped = 0;  ///< Lost before we saw them: ring full, no buffer
    std::uint64_t transmit_dropped = 0; ///< Refused by the device
    std::uint64_t copies = 0;           ///< Packets that had to be copied to be sent or received
    std::uint64_t slow_calls = 0;       ///< Driver calls that took longer than 1 ms
    std::uint64_t receive_starved = 0;  ///< Calls of receive() that found no frames and no free buffer to put one in
};

class Port {
public:
    virtual ~Port() = default;

    [[nodiscard]] virtual std::string_view name() const noexcept = 0; ///< As in the configuration
    [[nodiscard]] virtual wire::MacAddress mac() const noexcept = 0;
    [[nodiscard]] virtual std::uint16_t mtu() const noexcept = 0; ///< Of the IP packet, bytes
    [[nodiscard]] virtual const Capabilities& capabilities() const noexcept = 0;

    /// Appends received frames to `out`, as many as it has room for; returns how many. The core that owns the queue.
    virtual std::size_t receive(std::uint16_t queue, packet::Burst& out) noexcept = 0;
    /// Takes frames from the front of `frames`; what the device did not accept stays there, in order. The core that
    /// owns the queue. Frames may come from any pool.
    virtual std::size_t transmit(std::uint16_t queue, packet::Burst& frames) noexcept = 0;

    /// A descriptor that is readable while receive(queue) would return frames, or -1 when the device has none. Any
    /// thread.
    [[nodiscard]] virtual int descriptor(std::uint16_t queue) const noexcept = 0;
    /// When receive(queue) must be called even if the descriptor stays quiet: a port that holds frames back says so
    /// here. The core that owns the queue.
    [[nodiscard]] virtual TimePoint poll_at(std::uint16_t queue) const noexcept
    {
        static_cast<void>(queue);
        return never;
    }
    /// Is the link up and the device working? Any thread; no system call.
    [[nodiscard]] virtual bool link_up() const noexcept = 0;
    /// Refreshes what needs a system call (link state, kernel drop counters). Control thread.
    virtual void refresh() noexcept = 0;
    [[nodiscard]] virtual Statistics statistics() const noexcept = 0;
    /// Lets frames for `mac` in (a virtual router's); a device that cannot filter accepts everything. Before start, or
    /// control thread.
    virtual void accept_mac(const wire::MacAddress& mac) noexcept = 0;
};

} // namespace sluice::port
