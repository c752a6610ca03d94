// Which port an address is reached through: neighbours first, then the most specific static route.
#pragma once

#include <sluice/config/model.hpp>

namespace sluice::config {

struct Reach {
    const Port* port = nullptr;       ///< Null: nothing leads there.
    const PortRoute* route = nullptr; ///< Null: it is a neighbour.
};

[[nodiscard]] inline Reach reach_of(const Model& model, const wire::IpAddress& address)
{
    Reach best;
    for (const Port& port : model.ports) {
        for (const auto& own : port.addresses) {
            if (own->contains(address)) {
                return {&port, nullptr};
            }
        }
        for (const PortRoute& route : port.routes) {
            if (route.to->contains(address) && (best.route == nullptr || best.route->to->length < route.to->length)) {
                best = {&port, &route};
            }
        }
    }
    return best;
}

} // namespace sluice::config
