// The frames that the neighbour module sends by itself. First forwarder only; buffers come from the reserve pool.
#pragma once

#include <sluice/neigh/types.hpp>
#include <sluice/telemetry/counters.hpp>
#include <sluice/wire/arp.hpp>
#include <sluice/wire/mld.hpp>
#include <sluice/wire/ndp.hpp>

#include <optional>
#include <span>

namespace sluice::neigh {

class Frames {
public:
    Frames(packet::Pool& reserve, Output& output, telemetry::CoreCounters& counters) noexcept
        : reserve_{reserve}, output_{output}, counters_{counters}
    {
    }

    /// Asks who has `target`: of everybody, or of `unicast` alone. `source` is an own address of the target's family.
    void solicit(const Interface& interface, const wire::IpAddress& source, const wire::IpAddress& target,
                 const std::optional<wire::MacAddress>& unicast) noexcept;
    /// Answers an ARP request.
    void reply_arp(std::uint8_t port, const wire::MacAddress& mac, const wire::IpAddress& address,
                   const wire::MacAddress& to_mac, const wire::IpAddress& to) noexcept;
    /// An ARP announcement (RFC 5227 §2.3).
    void announce_arp(std::uint8_t port, const wire::MacAddress& mac, const wire::IpAddress& address) noexcept;

    struct Advertisement {
        wire::MacAddress mac; ///< Told in the option, and the source of the frame
        wire::IpAddress target;
        wire::MacAddress to_mac;
        wire::IpAddress to;
        std::uint8_t flags = 0; ///< wire::neighbour_flag_*
    };
    void advertise(std::uint8_t port, const Advertisement& advertisement) noexcept;
    /// An unsolicited neighbour advertisement to all nodes.
    void announce_nd(std::uint8_t port, const wire::MacAddress& mac, const wire::IpAddress& address,
                     bool router) noexcept;

    /// Reports groups in as many messages as they need. `source` is link-local.
    void report_groups(const Interface& interface, const wire::IpAddress& source, wire::MldRecord record,
                       std::span<const wire::IpAddress> groups) noexcept;

private:
    [[nodiscard]] packet::Packet allocate(std::size_t size) noexcept;
    void send_arp(std::uint8_t port, const wire::MacAddress& to, wire::ArpOperation operation,
                  const wire::MacAddress& sender_mac, const wire::IpAddress& sender, const wire::MacAddress& target_mac,
                  const wire::IpAddress& target) noexcept;
    void send_neighbour(std::uint8_t port, const wire::MacAddress& from_mac, const wire::MacAddress& to_mac,
                        const wire::IpAddress& source, const wire::IpAddress& destination, std::uint8_t type,
                        std::uint8_t flags, const wire::IpAddress& target, wire::NeighbourOption option) noexcept;

    packet::Pool& reserve_;
    Output& output_;
    telemetry::CoreCounters& counters_;
};

/// ff02::1
[[nodiscard]] wire::IpAddress all_nodes() noexcept;

} // namespace sluice::neigh
