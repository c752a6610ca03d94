// Services and pools as forwarders read them: plain values that control compiles. Immutable once in a ServiceTable.
#pragma once

#include <sluice/base/time.hpp>
#include <sluice/l4/admission.hpp>
#include <sluice/l4/method.hpp>
#include <sluice/l4/scheduler.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sluice::l4 {

enum class NoServer : std::uint8_t { reject, drop };
enum class OnServerDown : std::uint8_t { keep, reset };

/// Time without a packet after which a flow is forgotten.
struct FlowTimeouts {
    Duration tcp = std::chrono::seconds{900};
    Duration tcp_fin = std::chrono::seconds{120};
    Duration udp = std::chrono::seconds{300};
};

/// Built for one set of servers, at most 65,534; a change of health or weight builds a new one with the same id.
struct Pool {
    PoolId id;
    std::string name;
    SchedulerOptions options;
    std::vector<PoolServer> servers;
    std::unique_ptr<const Scheduler> scheduler;
    std::vector<std::uint16_t> by_id; ///< Indices of servers, in the order of their ids

    /// The index of a server.
    [[nodiscard]] std::optional<std::uint32_t> find(ServerId id) const noexcept;

    /// Control thread. Builds the scheduler by the servers' present health.
    [[nodiscard]] static std::shared_ptr<const Pool> make(PoolId id, std::string name, const SchedulerOptions& options,
                                                          std::vector<PoolServer> servers);
};

/// A client is bound to the server of its flows before.
struct Persistence {
    Duration timeout = std::chrono::seconds{300}; ///< From its last new flow on
    std::uint8_t netmask = 128;                   ///< Bits of its address that count; more than it has: all
};

/// What a forwarding service does.
struct Forwarding {
    Method method = Method::fullnat;
    PoolId pool;
    FlowTimeouts timeouts;
    std::optional<Persistence> persistence;
    NoServer no_server = NoServer::reject;
    OnServerDown on_server_down = OnServerDown::keep; ///< Of TCP flows; UDP flows always move
    /// fullnat and tunnels: our addresses to speak to servers from, of both families if need be. Control fills in the
    /// ports' own when the configuration names none.
    std::vector<wire::IpAddress> sources;
};

struct Service {
    ServiceId id;
    std::string name;
    std::optional<Forwarding> forwarding; ///< Without: a proxy service, its packets go to workers
    Admission admission{};                ///< Of a proxy service too: a SYN is its first packet
};

} // namespace sluice::l4
