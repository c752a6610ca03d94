// Services and addresses in one table: one lookup says what a destination is to us. An immutable snapshot, read by any
// core within one turn.
#pragma once

#include <sluice/l4/service.hpp>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace sluice::l4 {

/// An address of ours. Control copies these from neigh::LocalAddresses, so that both mean the same places.
struct LocalAddress {
    wire::IpAddress address;
    bool is_virtual = false;
    std::uint16_t place = 0; ///< In neigh::AddressStates; meaningful for virtual addresses
};

/// One `listen` of a service.
struct Listener {
    wire::IpAddress address;
    std::uint16_t first_port = 0;
    std::uint16_t last_port = 0; ///< Inclusive
    std::uint8_t protocol = 0;   ///< TCP or UDP
    ServiceId service;
};

class ServiceTable {
public:
    struct Parts {
        std::vector<LocalAddress> addresses;
        std::vector<Listener> listeners; ///< Their addresses must be among `addresses`; they must not overlap
        std::vector<Service> services;
        std::vector<std::shared_ptr<const Pool>> pools;
    };

    /// Control thread. Pools that a service names must be there.
    [[nodiscard]] static std::shared_ptr<const ServiceTable> make(Parts parts);
    /// The same table with one pool (found by its id) replaced; everything else is shared. For changes of health.
    [[nodiscard]] std::shared_ptr<const ServiceTable> with_pool(std::shared_ptr<const Pool> pool) const;

    // ---- Any core ----

    /// What a destination is. No address: nobody here. An address without a service: a port that no service has.
    struct Classification {
        const LocalAddress* address = nullptr;
        const Service* service = nullptr;
    };
    /// One probe for a service's exact port, one more for an address, a search among the address's port ranges if it
    /// has any: the cost does not depend on the number of services. `port` 0 asks for the address alone.
    [[nodiscard]] Classification classify(const wire::IpAddress& destination, std::uint8_t protocol,
                                          std::uint16_t port) const noexcept;

    /// Is this the address of a server behind a `nat` service, whose packets to clients pass through us?
    [[nodiscard]] bool is_nat_server(const wire::IpAddress& source) const noexcept;

    /// Servers with this address that tunnels lead to. For ICMP errors: a search.
    struct TunnelServer {
        wire::IpAddress address;
        ServerId id;
    };
    [[nodiscard]] std::span<const TunnelServer> tunnel_servers(const wire::IpAddress& address) const noexcept;

    /// nullptr when there is no such service (any more).
    [[nodiscard]] const Service* service(ServiceId id) const noexcept;
    [[nodiscard]] const Pool* pool(PoolId id) const noexcept;

    [[nodiscard]] std::span<const Service> services() const noexcept;
    [[nodiscard]] std::span<const std::shared_ptr<const Pool>> pools() const noexcept { return pools_; }

private:
    struct Index;
    ServiceTable() = default;
    void place_pools();

    std::shared_ptr<const Index> index_;
    std::vector<std::shared_ptr<const Pool>> pools_;
    std::vector<std::uint32_t> pool_places_; ///< By PoolId: place in pools_ + 1, or 0
};

} // namespace sluice::l4
