// Which server a new flow goes to. A scheduler is built off the packet path from a pool's servers, immutable, and
// shared by all forwarders; what changes from flow to flow is the Cursor of each forwarder. The names are LVS's.
#pragma once

#include <sluice/health/server.hpp>
#include <sluice/l4/ids.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

namespace sluice::l4 {

struct PoolServer {
    ServerId id;
    std::shared_ptr<health::Server> record;
    std::uint32_t weight = 1; ///< 0..65535; 0: quiesced, takes no new flows

    [[nodiscard]] bool accepts_new() const noexcept { return weight > 0 && record->accepts_new(); }
};

/// Where one forwarder stands in one pool's order.
struct Cursor {
    std::uint32_t picks = 0;
};

struct PickRequest {
    wire::IpAddress client;
    std::uint16_t client_port = 0;
    std::uint16_t forwarder = 0; ///< This one of `forwarders`: each starts at its own place
    std::uint16_t forwarders = 1;
    std::uint16_t attempt = 0; ///< Rises when a server picked before turned out not to do
};

class Scheduler {
public:
    virtual ~Scheduler() = default;
    [[nodiscard]] virtual std::string_view name() const noexcept = 0;

    /// The index of a server that accepts_new() now, or nothing when no server does. `servers` are those that the
    /// scheduler was built for, in the same order. Owner core of `cursor`. Takes a bounded number of steps as long as
    /// the scheduler is rebuilt when a server's health or weight changes; until then it steps over servers that refuse.
    [[nodiscard]] virtual std::optional<std::uint32_t>
    pick(std::span<const PoolServer> servers, const PickRequest& request, Cursor& cursor) const noexcept = 0;

    /// The same client gets the same server on every forwarder and on the peer: flows can be found again by hash alone.
    [[nodiscard]] virtual bool consistent() const noexcept { return false; }
};

enum class Balance : std::uint8_t { rr, wrr, mh };

struct SchedulerOptions {
    Balance balance = Balance::wrr;
    bool hash_port = false;           ///< mh: the client's port counts too (LVS: mh-port)
    std::uint32_t table_size = 65537; ///< mh: a prime, greater than the number of servers
};

/// Builds a scheduler over the servers that accept new flows now. When none does, over all with a weight, so that the
/// first to return is used at once. Control thread; up to some milliseconds.
[[nodiscard]] std::unique_ptr<const Scheduler> make_scheduler(const SchedulerOptions& options,
                                                              std::span<const PoolServer> servers);

} // namespace sluice::l4
