// How `memory.size` is divided, and what that buys. Pure arithmetic, printed at the start.
#pragma once

#include <sluice/app/layout.hpp>

#include <cstdint>
#include <string>

namespace sluice::app {

/// What one of each costs, as the plan reckons.
namespace cost {
/// A packet buffer with its headroom, DPDK's header and the pool's own.
inline constexpr std::uint64_t packet_buffer = 2432;
inline constexpr std::uint64_t flow = 160;        ///< A record and its places in the index
inline constexpr std::uint64_t connection = 2560; ///< A plain one with everything that belongs to it
/// A half-open or TIME_WAIT record with its places in the table, and what the heap adds.
inline constexpr std::uint64_t record = 160;
inline constexpr std::uint64_t proxy_block = 16 * 1024;
inline constexpr std::uint64_t tls_block = 17 * 1024;
} // namespace cost

struct MemoryRequest {
    std::uint64_t total_bytes = 512ULL << 20U;
    std::size_t cores = 1;
    std::size_t forwarders = 1;
    std::size_t workers = 1;
    std::size_t receive_queues = 1; ///< Of all ports
};

struct MemoryPlan {
    std::size_t receive_buffers_per_queue = 0;
    std::size_t data_buffers_per_core = 0;
    std::size_t reserve_buffers_per_core = 0;
    std::size_t flows_per_forwarder = 0;
    std::size_t connections_per_worker = 0; ///< Plain ones without a request; others weigh more
    std::size_t half_open_per_worker = 0;
    std::size_t time_wait_per_worker = 0;
    std::size_t tcp_buffer_bytes_per_worker = 0;
    std::size_t proxy_blocks_per_worker = 0; ///< Of 16 KiB
    std::size_t tls_blocks_per_worker = 0;   ///< Of 17 KiB
    std::uint64_t packet_bytes = 0;          ///< What EAL must have
    std::uint64_t least_bytes = 0;           ///< The smallest `memory.size` that this layout works with

    [[nodiscard]] bool fits(std::uint64_t total) const noexcept { return total >= least_bytes; }
    /// "packets 96 MiB (...), flows ..., connections ..."
    [[nodiscard]] std::string to_string() const;
};

[[nodiscard]] MemoryPlan plan_memory(const MemoryRequest& request) noexcept;

} // namespace sluice::app
