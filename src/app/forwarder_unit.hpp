// One forwarder: what its receive queues deliver is parsed, judged by layer 4, and sent, answered or passed to its
// owner.
#pragma once

#include "core_context.hpp"
#include "ip_output.hpp"

#include <sluice/l4/forwarder.hpp>
#include <sluice/neigh/icmp.hpp>

#include <vector>

namespace sluice::app {

class FirstForwarder;
class WorkerUnit;

class ForwarderUnit final : private l4::NextHops {
public:
    /// `first` and `worker` are this core's own, or null.
    ForwarderUnit(CoreContext& context, IpOutput& output, FirstForwarder* first, WorkerUnit* worker, std::size_t flows);

    /// Puts the generation of this turn to work, if it is another one.
    void apply(const control::Snapshot& snapshot) noexcept;
    /// One burst from every queue of this core. Clears `mail_read` when some queue may hold more. Returns the packets
    /// seen.
    std::size_t receive(bool& mail_read) noexcept;
    /// A packet that another forwarder received and this one owns.
    void forward(packet::Packet&& packet, wire::ParsedPacket& parsed, bool ports_learned) noexcept;

    [[nodiscard]] l4::Forwarder& layer4() noexcept { return layer4_; }

private:
    struct Queue {
        std::uint16_t port = 0;
        std::uint16_t number = 0;
    };
    /// What the passes over a burst know of one packet.
    struct Item {
        wire::ParsedPacket parsed;
        l4::Prepared prepared;
    };

    /// `watched`: a tap wants to know what is dropped.
    template <bool watched>
    void process_burst(std::uint16_t port) noexcept;
    void process_tapped(std::uint16_t port) noexcept;
    [[nodiscard]] std::optional<telemetry::DropReason> refuse(Bytes frame, const wire::ParsedPacket& parsed,
                                                              const neigh::Interface& interface) const noexcept;
    [[nodiscard]] bool is_passed_back(Bytes frame, std::uint8_t port, const wire::ParsedPacket& parsed) const noexcept;
    void act(packet::Packet&& packet, wire::ParsedPacket& parsed, const l4::Verdict& verdict) noexcept;
    void transmit(packet::Packet&& packet, const wire::ParsedPacket& parsed, neigh::AdjacencyIndex adjacency) noexcept;
    void split(packet::Packet&& packet, const wire::ParsedPacket& parsed, const l4::Verdict& verdict) noexcept;
    void give_to_worker(packet::Packet&& packet, const wire::ParsedPacket& parsed, flow::Shard shard) noexcept;
    void give_to_first(packet::Packet&& packet, const wire::ParsedPacket& parsed) noexcept;
    void report_error(packet::Packet&& packet, const wire::ParsedPacket& parsed, const l4::Verdict& verdict) noexcept;

    [[nodiscard]] std::optional<l4::NextHop> find(const wire::IpAddress& source,
                                                  const wire::IpAddress& destination) noexcept override;
    [[nodiscard]] std::uint16_t mtu(neigh::AdjacencyIndex adjacency) noexcept override;

    CoreContext& context_;
    IpOutput& output_;
    FirstForwarder* first_;
    WorkerUnit* worker_;
    l4::Forwarder layer4_;
    std::vector<Queue> queues_;
    neigh::RateLimit errors_{1000};
    std::shared_ptr<const neigh::Table> table_;
    packet::Burst burst_;
    std::vector<Item> items_;
};

} // namespace sluice::app
