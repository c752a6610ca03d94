#include "memory_plan.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::app {
namespace {

/// AF_XDP wants 8192 a queue: half are with the kernel to be filled, others wait to be sent.
constexpr std::size_t receive_buffers = 8192;
constexpr std::size_t reserve_buffers = 1024;
constexpr std::size_t least_data_buffers = 4096;
constexpr std::size_t most_data_buffers = 65536;
constexpr std::uint64_t most_half_open = 65536;
constexpr std::uint64_t most_time_wait = 262144;
constexpr std::uint64_t least_state_bytes = 32ULL << 20U; ///< Flows, connections and their buffers of one core

} // namespace

MemoryPlan plan_memory(const MemoryRequest& request) noexcept
{
    MemoryPlan plan;
    plan.receive_buffers_per_queue = receive_buffers;
    plan.reserve_buffers_per_core = reserve_buffers;
    const std::uint64_t fixed = cost::packet_buffer * (request.receive_queues * receive_buffers +
                                                       request.cores * (reserve_buffers + least_data_buffers));
    plan.least_bytes = fixed + request.cores * least_state_bytes;

    // A quarter for packets on their way out, as far as more of them help; a quarter of what remains for flows, the
    // rest for connections and what they hold.
    const std::uint64_t rest = request.total_bytes > fixed ? request.total_bytes - fixed : 0;
    plan.data_buffers_per_core = std::clamp<std::size_t>(
        least_data_buffers + rest / 4 / cost::packet_buffer / request.cores, least_data_buffers, most_data_buffers);
    plan.packet_bytes = cost::packet_buffer * (request.receive_queues * receive_buffers +
                                               request.cores * (reserve_buffers + plan.data_buffers_per_core));
    const std::uint64_t state = request.total_bytes > plan.packet_bytes ? request.total_bytes - plan.packet_bytes : 0;
    plan.flows_per_forwarder = std::max<std::uint64_t>(state / 4 / cost::flow / request.forwarders, 1024);
    const std::uint64_t worker = state / 4 * 3 / request.workers;
    plan.connections_per_worker = std::max<std::uint64_t>(worker / 8 * 3 / cost::connection, 1024);
    plan.tcp_buffer_bytes_per_worker = std::max<std::uint64_t>(worker / 8 * 3, 6ULL << 20U);
    // A quarter is left: blocks for heads and bodies, as many for TLS records, and records of connections that are not
    // there yet or not any more.
    plan.proxy_blocks_per_worker = std::max<std::uint64_t>(worker / 48 * 5 / cost::proxy_block, 96);
    plan.tls_blocks_per_worker = std::max<std::uint64_t>(worker / 48 * 5 / cost::tls_block, 96);
    const std::uint64_t records = worker / 24 / cost::record;
    plan.half_open_per_worker = std::clamp<std::uint64_t>(records / 4, 1024, most_half_open);
    plan.time_wait_per_worker = std::clamp<std::uint64_t>(records / 4 * 3, 1024, most_time_wait);
    return plan;
}

std::string MemoryPlan::to_string() const
{
    return fmt::format(
        "packets {} MiB ({} receive buffers a queue, {} to send and {} in reserve a core); {} flows a forwarder; "
        "{} connections, {} MiB of TCP buffers, {} blocks, {} half-open and {} TIME_WAIT records a worker",
        packet_bytes >> 20U, receive_buffers_per_queue, data_buffers_per_core, reserve_buffers_per_core,
        flows_per_forwarder, connections_per_worker, tcp_buffer_bytes_per_worker >> 20U,
        proxy_blocks_per_worker + tls_blocks_per_worker, half_open_per_worker, time_wait_per_worker);
}

} // namespace sluice::app
