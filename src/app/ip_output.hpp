// The way from an IP packet to a frame on a port, for any core: routes and adjacencies are read without a lock; what
// they cannot answer goes to the first forwarder.
#pragma once

#include "core_context.hpp"

#include <optional>

namespace sluice::app {

class IpOutput {
public:
    /// `neighbours` is this core's own when it is the first forwarder, else null.
    IpOutput(CoreContext& context, neigh::Neighbours* neighbours) noexcept : context_{context}, neighbours_{neighbours}
    {
    }

    struct Route {
        neigh::NextHop next_hop;
        neigh::AdjacencyIndex adjacency; ///< Nobody yet when the neighbour is unknown
    };
    /// Where packets to `destination` go. A link-local destination is looked up on the port that owns `source`.
    [[nodiscard]] std::optional<Route> find(const wire::IpAddress& source,
                                            const wire::IpAddress& destination) const noexcept;

    /// Sends an IP packet through a neighbour that find() named. Unknown or unusable: by the long way. `destination` is
    /// whom to send it to, which by direct routing is not the address in the packet.
    void send(packet::Packet&& ip, neigh::AdjacencyIndex adjacency, const wire::IpAddress& source,
              const wire::IpAddress& destination) noexcept;

private:
    [[nodiscard]] bool send_now(packet::Packet& ip, neigh::AdjacencyIndex adjacency) noexcept;

    CoreContext& context_;
    neigh::Neighbours* neighbours_;
};

} // namespace sluice::app
