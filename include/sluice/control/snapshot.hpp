// One generation of configuration as the cores see it, and what outlives generations.
#pragma once

#include <sluice/health/server.hpp>
#include <sluice/l4/server_registry.hpp>
#include <sluice/l4/service_table.hpp>
#include <sluice/neigh/neighbours.hpp>
#include <sluice/probe/plan.hpp>
#include <sluice/proxy/plan.hpp>
#include <sluice/tls/context.hpp>
#include <sluice/tls/ticket_keys.hpp>
#include <sluice/vrrp/manager.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace sluice::control {

/// Published to every core. Immutable; parts that did not change are shared with the generation before.
struct Snapshot {
    std::uint64_t generation = 0;
    std::shared_ptr<const neigh::Table> neighbours;
    std::shared_ptr<const l4::ServiceTable> services;
    std::shared_ptr<const proxy::ProxyPlan> proxy;
    std::vector<std::shared_ptr<const probe::ProbePlan>> probes; ///< By worker
    std::shared_ptr<vrrp::Table> vrrp;                           ///< Its statistics are written by the first forwarder
};

/// What has an identity of its own over reloads. Control thread only; the objects themselves are shared with cores.
struct Registry {
    using ServerKey = std::pair<std::string, wire::Endpoint>; ///< Pool name and address

    struct ServerEntry {
        std::shared_ptr<health::Server> server;
        l4::ServerId id;
        bool listed = false;  ///< The configuration that runs has it
        bool checked = false; ///< Its pool has a health check there
        // Slow start, see advance_slow_start():
        bool was_available = false;
        TimePoint available_since{};
        std::uint32_t tenths = 10; ///< Of its weight
    };

    std::map<ServerKey, ServerEntry> servers;
    std::map<std::string, std::uint32_t> pool_ids; ///< Of pools that VRRP tracks or services use; never reused
    std::map<std::string, std::uint32_t> service_ids;
    neigh::AddressStates* address_states = nullptr;
    l4::ServerRegistry* server_registry = nullptr;
    std::shared_ptr<const tls::TicketKeys> process_ticket_keys; ///< For services without ticket key files
    std::size_t workers = 1;

    /// The record of a server, made when it is new. One that is there stays as it is: see adopt().
    const ServerEntry& server(const std::string& pool, const std::string& name, const wire::Endpoint& address,
                              bool checked);
    [[nodiscard]] std::uint32_t pool_id(const std::string& name);
    [[nodiscard]] std::uint32_t service_id(const std::string& name);
    /// For https probes: servers' certificates are not verified.
    [[nodiscard]] std::shared_ptr<const tls::ClientContext> probe_tls();

private:
    std::shared_ptr<const tls::ClientContext> probe_tls_;
};

} // namespace sluice::control
