#include "memory_shares.hpp"

#include "memory_plan.hpp"

#include <proxy/holdings.hpp>

namespace sluice::app {
namespace {

control::MemoryShare packets(std::string_view name, const packet::Pool& pool) noexcept
{
    const std::uint64_t used = pool.capacity() - std::min(pool.available(), pool.capacity());
    return {name, used, used * cost::packet_buffer, pool.capacity() * cost::packet_buffer};
}

/// What stands for connections and requests; all of it together within the limit of the first.
void add_held(std::vector<control::MemoryShare>& shares, const proxy::WorkerUsage& use)
{
    constexpr std::array<std::string_view, proxy::held_kinds> names{
        "clients", "tls_sessions", "tls_handshakes", "requests", "large_heads", "http2_bodies", "upstream_connections"};
    shares.push_back(
        {"connections", use.client_connections + use.upstream_connections, use.held_bytes, use.held_limit});
    for (std::size_t kind = 0; kind < proxy::held_kinds; ++kind) {
        shares.push_back({names[kind], use.held[kind], use.held[kind] * proxy::weights[kind], 0});
    }
}

} // namespace

std::vector<control::MemoryShare> memory_shares(Core& core, const control::CoreUse& use)
{
    std::vector<control::MemoryShare> shares;
    shares.push_back(packets("packets", core.context().pool));
    shares.push_back(packets("packets_reserve", core.context().reserve));
    if (core.forwarder() != nullptr) {
        shares.push_back({"flows", use.flows, use.flows * cost::flow, use.flow_capacity * cost::flow});
    }
    if (core.worker() == nullptr) {
        return shares;
    }
    add_held(shares, use.proxy);
    shares.push_back({"tcp_buffers", use.tcp.connections, use.tcp.buffer_bytes, use.tcp.buffer_limit});
    shares.push_back({"proxy_blocks", use.proxy.blocks, use.proxy.blocks * cost::proxy_block,
                      use.proxy.block_limit * cost::proxy_block});
    const tls::BufferPool& blocks = core.worker()->tls_buffers();
    shares.push_back({"tls_blocks", blocks.lent(), blocks.lent() * cost::tls_block, blocks.limit() * cost::tls_block});
    shares.push_back(
        {"half_open", use.tcp.half_open, use.tcp.half_open * cost::record, use.tcp.half_open_limit * cost::record});
    shares.push_back(
        {"time_wait", use.tcp.time_wait, use.tcp.time_wait * cost::record, use.tcp.time_wait_limit * cost::record});
    return shares;
}

} // namespace sluice::app
