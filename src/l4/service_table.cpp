#include <sluice/l4/service_table.hpp>

#include <algorithm>
#include <bit>

namespace sluice::l4 {
namespace {

/// Keys are the configuration's own, so nobody outside can make them collide; a fast mix is enough.
std::uint64_t mix(std::uint64_t high, std::uint64_t low, std::uint64_t rest) noexcept
{
    std::uint64_t value = (high ^ std::rotl(low, 32)) * 0x9e3779b97f4a7c15ULL;
    value = (value ^ rest ^ low) * 0xd6e8feb86659fd93ULL;
    return value ^ (value >> 32U);
}

std::uint64_t port_key(std::uint8_t protocol, std::uint16_t port) noexcept
{
    return std::uint64_t{protocol} << 16U | port;
}

constexpr std::uint32_t nothing = ~std::uint32_t{0};

/// At most a quarter full: a lookup of something absent, which is what strangers send, ends after a step or two.
std::size_t buckets_for(std::size_t entries) noexcept { return std::bit_ceil(std::max<std::size_t>(entries, 4) * 4); }

} // namespace

struct ServiceTable::Index {
    struct Port {
        wire::IpAddress address;
        std::uint32_t key = 0;
        std::uint32_t address_place = nothing;
        std::uint32_t service_place = nothing; ///< `nothing`: a free bucket
    };
    struct Range {
        std::uint16_t first;
        std::uint16_t last;
        std::uint8_t protocol;
        std::uint32_t service_place;
    };
    struct Address {
        LocalAddress local;
        std::vector<Range> ranges; ///< By protocol, then first port
    };

    std::vector<Port> ports;
    std::vector<Address> addresses;
    std::vector<std::uint32_t> address_buckets;
    std::vector<wire::IpAddress> nat_servers; ///< Open addressing; `::` is free
    std::vector<TunnelServer> tunnel_servers; ///< By address
    std::vector<Service> services;
    std::vector<std::uint32_t> service_places; ///< By ServiceId

    [[nodiscard]] std::uint32_t find_address(const wire::IpAddress& address) const noexcept
    {
        const std::size_t mask = address_buckets.size() - 1;
        for (std::size_t at = mix(address.high(), address.low(), 0) & mask;; at = (at + 1) & mask) {
            const std::uint32_t place = address_buckets[at];
            if (place == nothing || addresses[place].local.address == address) {
                return place;
            }
        }
    }
    [[nodiscard]] const Port* find_port(const wire::IpAddress& address, std::uint64_t key) const noexcept
    {
        const std::size_t mask = ports.size() - 1;
        for (std::size_t at = mix(address.high(), address.low(), key) & mask;; at = (at + 1) & mask) {
            const Port& port = ports[at];
            if (port.service_place == nothing) {
                return nullptr;
            }
            if (port.key == key && port.address == address) {
                return &port;
            }
        }
    }

    void add_address(const LocalAddress& local)
    {
        const std::size_t mask = address_buckets.size() - 1;
        std::size_t at = mix(local.address.high(), local.address.low(), 0) & mask;
        for (; address_buckets[at] != nothing; at = (at + 1) & mask) {
            if (addresses[address_buckets[at]].local.address == local.address) {
                return;
            }
        }
        address_buckets[at] = static_cast<std::uint32_t>(addresses.size());
        addresses.push_back({local, {}});
    }
    void add_listener(const Listener& listener)
    {
        const std::uint32_t address = find_address(listener.address);
        const std::uint32_t service =
            listener.service.value < service_places.size() ? service_places[listener.service.value] : nothing;
        if (address == nothing || service == nothing) {
            return;
        }
        if (listener.first_port != listener.last_port) {
            addresses[address].ranges.push_back({listener.first_port, listener.last_port, listener.protocol, service});
            return;
        }
        const std::uint64_t key = port_key(listener.protocol, listener.first_port);
        const std::size_t mask = ports.size() - 1;
        std::size_t at = mix(listener.address.high(), listener.address.low(), key) & mask;
        while (ports[at].service_place != nothing) {
            at = (at + 1) & mask;
        }
        ports[at] = {listener.address, static_cast<std::uint32_t>(key), address, service};
    }
    void add_nat_server(const wire::IpAddress& address)
    {
        const std::size_t mask = nat_servers.size() - 1;
        std::size_t at = mix(address.high(), address.low(), 0) & mask;
        while (nat_servers[at] != wire::IpAddress{} && nat_servers[at] != address) {
            at = (at + 1) & mask;
        }
        nat_servers[at] = address;
    }
    [[nodiscard]] const Service* in_range(const Address& address, std::uint8_t protocol,
                                          std::uint16_t port) const noexcept
    {
        const auto after = std::upper_bound(
            address.ranges.begin(), address.ranges.end(), port_key(protocol, port),
            [](std::uint64_t key, const Range& range) { return key < port_key(range.protocol, range.first); });
        if (after == address.ranges.begin()) {
            return nullptr;
        }
        const Range& range = *std::prev(after);
        return range.protocol == protocol && port <= range.last ? &services[range.service_place] : nullptr;
    }
};

std::shared_ptr<const ServiceTable> ServiceTable::make(Parts parts)
{
    auto index = std::make_shared<Index>();
    index->services = std::move(parts.services);
    for (std::uint32_t place = 0; place < index->services.size(); ++place) {
        const std::uint32_t id = index->services[place].id.value;
        if (id >= index->service_places.size()) {
            index->service_places.resize(id + 1, nothing);
        }
        index->service_places[id] = place;
    }
    index->address_buckets.resize(buckets_for(parts.addresses.size()), nothing);
    for (const LocalAddress& address : parts.addresses) {
        index->add_address(address);
    }
    index->ports.resize(buckets_for(parts.listeners.size()));
    for (const Listener& listener : parts.listeners) {
        index->add_listener(listener);
    }
    for (Index::Address& address : index->addresses) {
        std::sort(address.ranges.begin(), address.ranges.end(),
                  [](const Index::Range& left, const Index::Range& right) {
                      return port_key(left.protocol, left.first) < port_key(right.protocol, right.first);
                  });
    }

    std::shared_ptr<ServiceTable> table{new ServiceTable};
    table->pools_ = std::move(parts.pools);
    table->place_pools();
    std::vector<wire::IpAddress> nat_servers;
    for (const Service& service : index->services) {
        const Pool* const pool = service.forwarding ? table->pool(service.forwarding->pool) : nullptr;
        if (pool == nullptr) {
            continue;
        }
        for (const PoolServer& server : pool->servers) {
            const wire::IpAddress& address = server.record->address().address;
            if (service.forwarding->method == Method::nat) {
                nat_servers.push_back(address);
            } else if (is_tunnel(service.forwarding->method)) {
                index->tunnel_servers.push_back({address, server.id});
            }
        }
    }
    std::sort(index->tunnel_servers.begin(), index->tunnel_servers.end(),
              [](const TunnelServer& left, const TunnelServer& right) { return left.address < right.address; });
    index->nat_servers.resize(buckets_for(nat_servers.size()));
    for (const wire::IpAddress& address : nat_servers) {
        index->add_nat_server(address);
    }
    table->index_ = std::move(index);
    return table;
}

std::shared_ptr<const ServiceTable> ServiceTable::with_pool(std::shared_ptr<const Pool> pool) const
{
    std::shared_ptr<ServiceTable> table{new ServiceTable};
    table->index_ = index_;
    table->pools_ = pools_;
    table->pool_places_ = pool_places_;
    if (pool->id.value < pool_places_.size() && pool_places_[pool->id.value] != 0) {
        table->pools_[pool_places_[pool->id.value] - 1] = std::move(pool);
    }
    return table;
}

void ServiceTable::place_pools()
{
    for (std::uint32_t place = 0; place < pools_.size(); ++place) {
        const std::uint32_t id = pools_[place]->id.value;
        if (id >= pool_places_.size()) {
            pool_places_.resize(id + 1, 0);
        }
        pool_places_[id] = place + 1;
    }
}

ServiceTable::Classification ServiceTable::classify(const wire::IpAddress& destination, std::uint8_t protocol,
                                                    std::uint16_t port) const noexcept
{
    if (const Index::Port* exact = index_->find_port(destination, port_key(protocol, port)); exact != nullptr) {
        return {&index_->addresses[exact->address_place].local, &index_->services[exact->service_place]};
    }
    const std::uint32_t place = index_->find_address(destination);
    if (place == nothing) {
        return {};
    }
    const Index::Address& address = index_->addresses[place];
    return {&address.local, address.ranges.empty() ? nullptr : index_->in_range(address, protocol, port)};
}

bool ServiceTable::is_nat_server(const wire::IpAddress& source) const noexcept
{
    const std::vector<wire::IpAddress>& servers = index_->nat_servers;
    const std::size_t mask = servers.size() - 1;
    for (std::size_t at = mix(source.high(), source.low(), 0) & mask;; at = (at + 1) & mask) {
        if (servers[at] == wire::IpAddress{}) {
            return false;
        }
        if (servers[at] == source) {
            return true;
        }
    }
}

std::span<const ServiceTable::TunnelServer> ServiceTable::tunnel_servers(const wire::IpAddress& address) const noexcept
{
    const std::vector<TunnelServer>& all = index_->tunnel_servers;
    const auto first = std::lower_bound(
        all.begin(), all.end(), address,
        [](const TunnelServer& server, const wire::IpAddress& wanted) { return server.address < wanted; });
    const auto last =
        std::find_if(first, all.end(), [&](const TunnelServer& server) { return server.address != address; });
    return {first, last};
}

const Service* ServiceTable::service(ServiceId id) const noexcept
{
    if (id.value >= index_->service_places.size() || index_->service_places[id.value] == nothing) {
        return nullptr;
    }
    return &index_->services[index_->service_places[id.value]];
}

const Pool* ServiceTable::pool(PoolId id) const noexcept
{
    if (id.value >= pool_places_.size() || pool_places_[id.value] == 0) {
        return nullptr;
    }
    return pools_[pool_places_[id.value] - 1].get();
}

std::span<const Service> ServiceTable::services() const noexcept { return index_->services; }

} // namespace sluice::l4
