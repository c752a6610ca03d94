// Which core does what: the roles chosen from `cpu` in the configuration, and what follows from them (shards, queues).
#pragma once

#include <sluice/flow/flow.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sluice::app {

/// One packet core: forwarder, worker or both. `cpu` is the processor it is pinned to.
struct CoreRole {
    unsigned cpu = 0;
    std::optional<std::size_t> forwarder; ///< Its number among the forwarders
    std::optional<std::size_t> worker;    ///< Its number among the workers
};

struct Layout {
    std::vector<CoreRole> cores;
    std::vector<std::size_t> forwarder_core; ///< Forwarder number to core index
    std::vector<std::size_t> worker_core;
    flow::ShardMap forwarders;
    flow::ShardMap workers;

    [[nodiscard]] std::size_t forwarder_core_of(flow::Shard shard) const noexcept
    {
        return forwarder_core[forwarders.owner(shard)];
    }
    [[nodiscard]] std::size_t worker_core_of(flow::Shard shard) const noexcept
    {
        return worker_core[workers.owner(shard)];
    }
    /// The core that feeds receive queue `queue` of every port.
    [[nodiscard]] std::size_t receive_core(std::uint16_t queue) const noexcept
    {
        return forwarder_core[queue % forwarder_core.size()];
    }
    /// The core that owns the transmit queue which `core` uses on a port with `queues` of them; the queue has that
    /// core's number. A core without a queue of its own hands its frames to another.
    [[nodiscard]] static std::size_t transmit_core(std::size_t core, std::uint16_t queues) noexcept
    {
        return core % queues;
    }
    /// "core 0 (cpu 2): forwarder 0, worker 0; ..."
    [[nodiscard]] std::string to_string() const;
};

/// A processor named in both lists becomes one core with both roles. Neither list may be empty; order is kept, the
/// first forwarder runs VRRP and the neighbours.
[[nodiscard]] Layout make_layout(std::span<const unsigned> forwarder_cpus, std::span<const unsigned> worker_cpus);

} // namespace sluice::app
