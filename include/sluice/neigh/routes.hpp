// Routes: connected prefixes and static routes of every port, longest prefix first. Built by control, immutable, part
// of a snapshot; any core reads it within one turn.
#pragma once

#include <sluice/neigh/types.hpp>

#include <optional>
#include <vector>

namespace sluice::neigh {

struct NextHop {
    std::uint8_t port = 0;
    wire::IpAddress address; ///< Whom to resolve: the gateway, or the destination itself on a connected prefix
    wire::IpAddress source;  ///< The port's own address to speak from; `::` when it has none of that family
    std::uint16_t mtu = 1500;

    bool operator==(const NextHop&) const = default;
};

class Routes {
public:
    Routes() = default;
    /// Connected prefixes win over static routes of the same length; among equals the first listed wins.
    explicit Routes(const std::vector<Interface>& interfaces);

    /// Where a packet to `destination` goes. Link-local destinations need a port: the other function.
    [[nodiscard]] std::optional<NextHop> lookup(const wire::IpAddress& destination) const noexcept;
    /// The same within one port, for link-local destinations and for answers that leave where the question came.
    [[nodiscard]] std::optional<NextHop> lookup(std::uint8_t port, const wire::IpAddress& destination) const noexcept;

    /// Every gateway that a route names, once: what readiness waits for.
    struct Gateway {
        std::uint8_t port = 0;
        wire::IpAddress address;

        bool operator==(const Gateway&) const = default;
    };
    [[nodiscard]] const std::vector<Gateway>& gateways() const noexcept { return gateways_; }

private:
    struct Entry {
        wire::Prefix prefix; ///< Host bits cleared
        std::uint8_t port = 0;
        bool connected = false;
        wire::IpAddress gateway;
        wire::IpAddress source;
        std::uint16_t mtu = 1500;
    };
    [[nodiscard]] static NextHop next_hop(const Entry& entry, const wire::IpAddress& destination) noexcept;

    std::vector<Entry> entries_; ///< By falling prefix length
    std::vector<Gateway> gateways_;
};

} // namespace sluice::neigh
