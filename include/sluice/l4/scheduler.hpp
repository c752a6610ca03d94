// Which server a new flow goes to. A scheduler is built off the packet path from a pool's servers, immutable, and
// shared by all forwarders; what changes from flow to flow is the Cursor of each forwarder, the counts of flows, and
// for lblc and lblcr the affinity table. The names are LVS's.
#pragma once

#include <sluice/base/time.hpp>
#include <sluice/health/server.hpp>
#include <sluice/l4/affinity_table.hpp>
#include <sluice/l4/ids.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

namespace sluice::l4 {

class ServerLoads;

struct PoolServer {
    ServerId id;
    std::shared_ptr<health::Server> record;
    std::uint32_t weight = 1; ///< 0: quiesced, takes no new flows

    [[nodiscard]] bool accepts_new() const noexcept { return weight > 0 && record->accepts_new(); }
    /// Or would, were it not full.
    [[nodiscard]] bool takes_part() const noexcept { return weight > 0 && record->available(); }
};

/// Where one forwarder stands in one pool's order.
struct Cursor {
    std::uint32_t picks = 0;
};

struct PickRequest {
    static constexpr std::size_t maximum_attempts = 8;

    wire::IpAddress client;
    std::uint16_t client_port = 0;
    std::uint16_t forwarder = 0; ///< This one of `forwarders`: each starts at its own place
    std::uint16_t forwarders = 1;
    std::uint16_t attempt = 0;                           ///< How many servers picked before turned out not to do
    std::array<std::uint16_t, maximum_attempts> tried{}; ///< Those: the first `attempt`
    wire::IpAddress destination{};                       ///< The service's address
    TimePoint now{};
    ServerLoads* loads = nullptr;        ///< Needed where counts_flows()
    AffinityTable* affinities = nullptr; ///< Needed by lblc and lblcr
    bool look_only = false;              ///< Nobody will go there: nothing is to be remembered of the pick

    [[nodiscard]] bool was_tried(std::uint32_t server) const noexcept
    {
        const auto end = tried.begin() + std::min<std::size_t>(attempt, maximum_attempts);
        return std::find(tried.begin(), end, server) != end;
    }
};

class Scheduler {
public:
    virtual ~Scheduler() = default;
    [[nodiscard]] virtual std::string_view name() const noexcept = 0;

    /// The index of a server that accepts_new() now, or nothing when none does, or the scheduler means none. `servers`
    /// are those that the scheduler was built for, in the same order. Owner core of `cursor`. rr, wrr and the hashes
    /// take a bounded number of steps as long as the scheduler is rebuilt when a server's health or weight changes
    /// (until then they step over servers that refuse); those that compare servers look at each once, or twice.
    [[nodiscard]] virtual std::optional<std::uint32_t>
    pick(std::span<const PoolServer> servers, const PickRequest& request, Cursor& cursor) const noexcept = 0;

    /// The same client gets the same server on every forwarder and on the peer: flows can be found again by hash alone.
    [[nodiscard]] virtual bool consistent() const noexcept { return false; }
};

enum class Balance : std::uint8_t { rr, wrr, lc, wlc, sed, nq, fo, ovf, twos, sh, dh, mh, lblc, lblcr };

struct SchedulerOptions {
    Balance balance = Balance::wrr;
    bool hash_port = false;           ///< mh, sh: the client's port counts too (LVS: mh-port, sh-port)
    std::uint32_t table_size = 65537; ///< mh: a prime, greater than the number of servers
    bool hash_fallback = false;       ///< mh, sh: clients of a full server go to others (LVS: mh-fallback, sh-fallback)
    std::uint32_t pool = 0;           ///< lblc, lblcr: whose destinations, a PoolId

    bool operator==(const SchedulerOptions&) const = default;
};

/// Builds a scheduler over the servers that take_part() now. When none does, over all with a weight, so that the first
/// to return is used at once. Control thread; up to some milliseconds.
[[nodiscard]] std::unique_ptr<const Scheduler> make_scheduler(const SchedulerOptions& options,
                                                              std::span<const PoolServer> servers);

/// How long lblc and lblcr remember a destination that nobody asks for.
inline constexpr Duration locality_lifetime = std::chrono::hours{24};

} // namespace sluice::l4
