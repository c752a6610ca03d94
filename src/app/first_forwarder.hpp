// What only the first forwarder runs: VRRP and the neighbours, on the core that forwards, so that adverts stop when
// forwarding stops.
#pragma once

#include "core_context.hpp"
#include "events.hpp"

#include <sluice/vrrp/manager.hpp>

namespace sluice::app {

class FirstForwarder final : private neigh::Output, private vrrp::Output {
public:
    FirstForwarder(CoreContext& context, EventSender& events, const neigh::Limits& limits);

    /// Puts the generation of this turn to work, if it is another one.
    void apply(const control::Snapshot& snapshot) noexcept;
    /// ARP, neighbour discovery, MLD, VRRP, ICMP to our own addresses.
    void input(packet::Packet&& frame, const wire::ParsedPacket& parsed) noexcept;
    /// An IP packet from another core that could not place it; packet.port() is where its route leads.
    void send_unresolved(packet::Packet&& ip, const wire::IpAddress& next_hop) noexcept;
    /// VRRP and neighbour timers. `mail_read`: every receive queue of this core was seen empty this turn.
    void advance(bool mail_read) noexcept;
    [[nodiscard]] TimePoint next_deadline() const noexcept;

    [[nodiscard]] neigh::Neighbours& neighbours() noexcept { return neighbours_; }
    [[nodiscard]] vrrp::Manager& vrrp() noexcept { return vrrp_; }

private:
    void follow(std::string_view instance, const wire::IpAddress& predecessor) noexcept;
    void end_farewell() noexcept;

    void send(std::uint8_t port, packet::Packet&& frame) noexcept override;
    void report(const neigh::Event& event) noexcept override;

    void send(std::uint8_t port, Bytes frame) noexcept override;
    void set_address(std::uint8_t port, const wire::IpAddress& address, const wire::MacAddress& virtual_mac,
                     vrrp::Ownership ownership) noexcept override;
    void announce(std::uint8_t port, const wire::IpAddress& address,
                  const wire::MacAddress& virtual_mac) noexcept override;
    void report(const vrrp::Event& event) noexcept override;

    CoreContext& context_;
    EventSender& events_;
    neigh::Neighbours neighbours_;
    vrrp::Manager vrrp_;
    std::shared_ptr<vrrp::Table> vrrp_table_;
    std::uint64_t generation_ = 0;
    TimePoint farewell_until_ = never; ///< Addresses are marked `leaving` until then
};

} // namespace sluice::app
