// What layer 4 asks of routes and neighbours. Whoever wires the cores implements it over neigh.
#pragma once

#include <sluice/neigh/adjacency.hpp>
#include <sluice/wire/address.hpp>

#include <cstdint>
#include <optional>

namespace sluice::l4 {

struct NextHop {
    neigh::AdjacencyIndex adjacency; ///< Nobody when the neighbour is not known yet
    std::uint16_t mtu = 1500;        ///< Of the port that leads there
};

/// Called on the forwarder's core, within a turn.
class NextHops {
public:
    virtual ~NextHops() = default;
    /// Empty: no route.
    [[nodiscard]] virtual std::optional<NextHop> find(const wire::IpAddress& source,
                                                      const wire::IpAddress& destination) noexcept = 0;
    /// The MTU of the port behind a handle; 0 when the handle is not valid any more: then find() is asked again.
    [[nodiscard]] virtual std::uint16_t mtu(neigh::AdjacencyIndex adjacency) noexcept = 0;
};

} // namespace sluice::l4
