// An interface of this network namespace by a packet socket: the wire of a stack that runs without DPDK. One thread.
#pragma once

#include <sluice/base/time.hpp>
#include <sluice/packet/heap_pool.hpp>
#include <sluice/wire/address.hpp>
#include <sluice/wire/parse.hpp>

#include <string>
#include <vector>

namespace sluice::transfer {

class RawPort {
public:
    struct Neighbour {
        wire::IpAddress address;
        wire::MacAddress mac;
    };

    /// Throws std::system_error.
    RawPort(const std::string& interface, std::vector<Neighbour> neighbours);
    RawPort(const RawPort&) = delete;
    RawPort& operator=(const RawPort&) = delete;
    ~RawPort();

    [[nodiscard]] packet::Packet allocate() noexcept { return pool_.allocate(); }
    /// Calls `each(packet, parsed)` for IP packets whose checksums are right, from their IP header on; a bounded
    /// number. False when there was nothing.
    template <class Each>
    bool receive(Each&& each)
    {
        packet::Burst burst;
        receive_burst(burst);
        for (packet::Packet& packet : burst) {
            wire::ParsedPacket parsed;
            if (!wire::parse_frame(packet.bytes(), parsed) && parsed.is_ip() && !parsed.is_fragment) {
                packet.trim_front(parsed.network_offset);
                if (!wire::parse_ip(packet.bytes(), parsed) && !wire::verify_transport(packet.bytes(), parsed)) {
                    each(std::move(packet), parsed);
                }
            }
        }
        return !burst.empty();
    }
    /// `packet` starts at its IP header; it leaves with flush(), or before. To one of the neighbours.
    void send(packet::Packet&& packet, const wire::IpAddress& destination) noexcept;
    void flush() noexcept;
    /// Until a frame arrives, or that long.
    void wait(Duration longest) noexcept;
    [[nodiscard]] std::uint64_t unsent() const noexcept { return unsent_; }

private:
    void receive_burst(packet::Burst& burst) noexcept;

    static constexpr std::size_t buffers = 16384;

    packet::HeapPool pool_{buffers};
    packet::Burst out_;
    int socket_ = -1;
    wire::MacAddress own_;
    std::vector<Neighbour> neighbours_;
    std::uint64_t unsent_ = 0; ///< Nobody to send to, or not taken by the interface
};

} // namespace sluice::transfer
