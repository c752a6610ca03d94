#include "memory_plan.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::app {
namespace {

/// One packet buffer with its headroom, DPDK's header and the pool's own.
constexpr std::uint64_t buffer_bytes = 2432;
/// AF_XDP wants 8192 a queue: half are with the kernel to be filled, others wait to be sent.
constexpr std::size_t receive_buffers = 8192;
constexpr std::size_t reserve_buffers = 1024;
constexpr std::size_t least_data_buffers = 4096;
constexpr std::size_t most_data_buffers = 65536;
constexpr std::uint64_t flow_bytes = 160; ///< A record and its places in the index
constexpr std::uint64_t connection_bytes = 2560;
constexpr std::uint64_t block_bytes = 16384;
constexpr std::uint64_t least_state_bytes = 32ULL << 20U; ///< Flows, connections and their buffers of one core

} // namespace

MemoryPlan plan_memory(const MemoryRequest& request) noexcept
{
    MemoryPlan plan;
    plan.receive_buffers_per_queue = receive_buffers;
    plan.reserve_buffers_per_core = reserve_buffers;
    const std::uint64_t fixed = buffer_bytes * (request.receive_queues * receive_buffers +
                                                request.cores * (reserve_buffers + least_data_buffers));
    plan.least_bytes = fixed + request.cores * least_state_bytes;

    // A quarter for packets on their way out, as far as more of them help; a quarter of what remains for flows, the
    // rest for connections and what they hold.
    const std::uint64_t rest = request.total_bytes > fixed ? request.total_bytes - fixed : 0;
    plan.data_buffers_per_core = std::clamp<std::size_t>(least_data_buffers + rest / 4 / buffer_bytes / request.cores,
                                                         least_data_buffers, most_data_buffers);
    plan.packet_bytes = buffer_bytes * (request.receive_queues * receive_buffers +
                                        request.cores * (reserve_buffers + plan.data_buffers_per_core));
    const std::uint64_t state = request.total_bytes > plan.packet_bytes ? request.total_bytes - plan.packet_bytes : 0;
    plan.flows_per_forwarder = std::max<std::uint64_t>(state / 4 / flow_bytes / request.forwarders, 1024);
    const std::uint64_t worker = state / 4 * 3 / request.workers;
    plan.connections_per_worker = std::max<std::uint64_t>(worker / 8 * 3 / connection_bytes, 1024);
    plan.tcp_buffer_bytes_per_worker = std::max<std::uint64_t>(worker / 8 * 3, 6ULL << 20U);
    plan.proxy_blocks_per_worker = std::max<std::uint64_t>(worker / 8 / block_bytes, 128);
    plan.tls_blocks_per_worker = std::max<std::uint64_t>(worker / 8 / block_bytes, 128);
    return plan;
}

std::string MemoryPlan::to_string() const
{
    return fmt::format(
        "packets {} MiB ({} receive buffers a queue, {} to send and {} in reserve a core); {} flows a forwarder; "
        "{} connections and {} MiB of TCP buffers a worker",
        packet_bytes >> 20U, receive_buffers_per_queue, data_buffers_per_core, reserve_buffers_per_core,
        flows_per_forwarder, connections_per_worker, tcp_buffer_bytes_per_worker >> 20U);
}

} // namespace sluice::app
