// What the stack needs from its surroundings: a way out, local ports. Implemented by the worker (and by tests); called
// on the loop's thread, never re-entered.
#pragma once

#include <sluice/packet/packet.hpp>
#include <sluice/wire/address.hpp>

#include <cstdint>
#include <optional>

namespace sluice::tcp {

/// How packets reach an address. Connections keep it; `id` means something to the Output alone (an adjacency, say).
struct Path {
    std::uint32_t id = 0;
    std::uint16_t mtu = 1500; ///< From the IP header on; at least 576 (IPv4) or 1280 (IPv6).
};

class Output {
public:
    virtual ~Output() = default;

    /// Empty when there is no route. Asked when a connection begins, when retransmissions go unanswered, and for
    /// answers without a connection.
    [[nodiscard]] virtual std::optional<Path> find_path(const wire::IpAddress& source,
                                                        const wire::IpAddress& destination) noexcept = 0;

    enum class Purpose : std::uint8_t {
        data,   ///< May fail: the stack tries again at the next flush().
        control ///< ACK, RST, SYN: may use the reserve.
    };
    /// An empty packet with at least packet::default_headroom, or one without a buffer.
    [[nodiscard]] virtual packet::Packet allocate(Purpose purpose) noexcept = 0;

    /// Takes a packet that starts at its IP header, checksums filled in. What happens to it is the implementation's to
    /// count.
    virtual void transmit(packet::Packet&& packet, const wire::IpAddress& source, const wire::IpAddress& destination,
                          Path path) noexcept = 0;

    /// Whether something of ours that the stack does not know answers at this endpoint (a forwarded service, say): no
    /// connection may begin there, its answers would not come back.
    [[nodiscard]] virtual bool reserved(const wire::Endpoint&) noexcept { return false; }
};

/// Tells whether a local port can be taken towards the remote endpoint in question.
class PortQuestion {
public:
    [[nodiscard]] virtual bool is_free(std::uint16_t port) const noexcept = 0;

protected:
    ~PortQuestion() = default;
};

class PortAllocator {
public:
    virtual ~PortAllocator() = default;
    /// A port for which the question says yes, or 0. The connection table is what remembers ports in use, TIME_WAIT
    /// included, so nothing is given back.
    [[nodiscard]] virtual std::uint16_t choose(const wire::IpAddress& local, const wire::Endpoint& remote,
                                               const PortQuestion& question) noexcept = 0;
};

} // namespace sluice::tcp
