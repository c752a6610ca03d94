// Rings between every two cores, and the messages on them.
#pragma once

#include <sluice/handoff/ring.hpp>
#include <sluice/handoff/wakeup.hpp>
#include <sluice/packet/packet.hpp>
#include <sluice/wire/parse.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace sluice::handoff {

enum class Kind : std::uint8_t {
    forward,    ///< To the forwarder that owns the flow
    worker,     ///< To the worker that owns the connection
    local,      ///< To the first forwarder: ARP, neighbour discovery, VRRP, ICMP to us
    transmit,   ///< A complete frame for a port whose queue the other core owns
    unresolved, ///< An IP packet to the first forwarder: its next hop, parsed.destination, has no MAC address yet
};

/// A packet on its way to another core, parsed already.
struct Message {
    packet::Packet packet;
    wire::ParsedPacket parsed;
    Kind kind = Kind::forward;
    bool ports_learned = false; ///< forward: the ports of a later fragment are in `parsed` alone
};

/// One ring for each ordered pair of cores, and one wake-up for each core. Cores are numbered 0..cores-1.
class Mesh {
public:
    Mesh(std::size_t cores, std::size_t ring_capacity);

    /// Core `from` only. False when the ring is full: the caller drops and counts. The receiver is woken by flush().
    [[nodiscard]] bool send(std::size_t from, std::size_t to, Message&& message) noexcept
    {
        row(from).touched |= std::uint64_t{1} << to;
        return ring(from, to).push(std::move(message));
    }
    /// Core `to` only.
    [[nodiscard]] bool receive(std::size_t from, std::size_t to, Message& out) noexcept
    {
        return ring(from, to).pop(out);
    }
    /// Core `from` only: wakes everyone it has sent to since the last flush.
    void flush(std::size_t from) noexcept;
    /// Is anything waiting for `to`? Core `to`.
    [[nodiscard]] bool pending(std::size_t to) const noexcept;

    [[nodiscard]] Wakeup& wakeup(std::size_t core) noexcept { return *wakeups_[core]; }
    [[nodiscard]] std::size_t cores() const noexcept { return wakeups_.size(); }

private:
    struct alignas(64) Row {
        std::uint64_t touched = 0;
    };

    [[nodiscard]] Ring<Message>& ring(std::size_t from, std::size_t to) noexcept
    {
        return *rings_[from * cores() + to];
    }
    [[nodiscard]] Row& row(std::size_t from) noexcept { return rows_[from]; }

    std::vector<std::unique_ptr<Wakeup>> wakeups_;
    std::vector<std::unique_ptr<Ring<Message>>> rings_; ///< None on the diagonal
    std::vector<Row> rows_;
};

} // namespace sluice::handoff
