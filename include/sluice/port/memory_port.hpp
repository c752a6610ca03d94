// Two ports joined back to back in memory: the wire of tests and simulations. Frames move, they are never copied, so
// the pools that they come from must outlive the link.
#pragma once

#include <sluice/handoff/ring.hpp>
#include <sluice/port/port.hpp>
#include <sluice/telemetry/counters.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sluice::port {

/// Which receive queue a frame arrives on.
enum class QueueChoice : std::uint8_t {
    same, ///< The number of the queue it was sent from, modulo the receive queues
    flow, ///< Like a NIC: a hash of addresses and ports, equal in both directions; anything but TCP and UDP: addresses
    random, ///< Any queue, for tests of ownership: flows are torn apart on purpose
};

/// What happens to a frame whose receive queue is full.
enum class WhenFull : std::uint8_t {
    drop, ///< Lost and counted by the receiver, like on a wire
    hold, ///< Refused: transmit() leaves it with the sender
};

struct MemoryPortOptions {
    std::string name{};
    wire::MacAddress mac{};
    std::uint16_t mtu = 1500;
    std::uint16_t queues = 1;      ///< Receive queues, and as many transmit queues
    std::uint8_t index = 0;        ///< Marked on received packets
    std::size_t queue_size = 1024; ///< Frames from each of the peer's queues to each of ours
    QueueChoice choice = QueueChoice::flow;
    std::uint64_t seed = 0; ///< Of QueueChoice::random
    WhenFull when_full = WhenFull::drop;
    bool descriptors = false; ///< Offer descriptors (a system call when a queue becomes non-empty); not in virtual time
};

class MemoryLink;

/// One end. Each queue belongs to one thread at a time; both ends may run on different threads.
class MemoryPort final : public Port {
public:
    ~MemoryPort() override;
    MemoryPort(const MemoryPort&) = delete;
    MemoryPort& operator=(const MemoryPort&) = delete;

    [[nodiscard]] std::string_view name() const noexcept override { return options_.name; }
    [[nodiscard]] wire::MacAddress mac() const noexcept override { return options_.mac; }
    [[nodiscard]] std::uint16_t mtu() const noexcept override { return options_.mtu; }
    [[nodiscard]] const Capabilities& capabilities() const noexcept override { return capabilities_; }
    std::size_t receive(std::uint16_t queue, packet::Burst& out) noexcept override;
    std::size_t transmit(std::uint16_t queue, packet::Burst& frames) noexcept override;
    [[nodiscard]] int descriptor(std::uint16_t queue) const noexcept override;
    [[nodiscard]] bool link_up() const noexcept override;
    void refresh() noexcept override {}
    [[nodiscard]] Statistics statistics() const noexcept override;
    void accept_mac(const wire::MacAddress&) noexcept override {}

    /// Frames that wait to be received. Any thread; a moment's value.
    [[nodiscard]] std::size_t pending() const noexcept;

private:
    friend class MemoryLink;
    struct ReceiveQueue;
    struct TransmitQueue;

    MemoryPort(MemoryPortOptions options, const std::atomic<bool>& link_up);
    void join(MemoryPort& peer);
    [[nodiscard]] std::uint16_t choose_queue(TransmitQueue& from, std::uint16_t queue, Bytes frame) noexcept;
    /// From a sending queue of the peer. False: full, `frame` is untouched.
    [[nodiscard]] bool arrive(std::uint16_t from, std::uint16_t queue, packet::Packet&& frame) noexcept;

    MemoryPortOptions options_;
    Capabilities capabilities_;
    const std::atomic<bool>& link_up_;
    MemoryPort* peer_ = nullptr;
    std::vector<std::unique_ptr<ReceiveQueue>> receive_queues_;
    std::vector<std::unique_ptr<TransmitQueue>> transmit_queues_;
};

/// Two ports and the wire between them.
class MemoryLink {
public:
    MemoryLink(MemoryPortOptions first, MemoryPortOptions second);

    [[nodiscard]] MemoryPort& first() noexcept { return *first_; }
    [[nodiscard]] MemoryPort& second() noexcept { return *second_; }
    /// Pulls or plugs the cable; frames sent over a pulled one are lost and counted. Any thread.
    void set_up(bool up) noexcept { up_.store(up, std::memory_order_relaxed); }

private:
    std::atomic<bool> up_{true};
    std::unique_ptr<MemoryPort> first_;
    std::unique_ptr<MemoryPort> second_;
};

} // namespace sluice::port
