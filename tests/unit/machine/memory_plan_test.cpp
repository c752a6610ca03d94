// How `memory.size` is divided: never more than there is, never less than a node needs, and large sizes buy
// connections.
#include <app/memory_plan.hpp>

#include <gtest/gtest.h>

namespace sluice::app {
namespace {

constexpr std::uint64_t one_mebibyte = 1ULL << 20U;

/// What the plan hands out, as its parts are used.
std::uint64_t bytes_of(const MemoryPlan& plan, const MemoryRequest& request)
{
    const std::uint64_t worker = plan.connections_per_worker * cost::connection + plan.tcp_buffer_bytes_per_worker +
                                 plan.proxy_blocks_per_worker * cost::proxy_block +
                                 plan.tls_blocks_per_worker * cost::tls_block +
                                 (plan.half_open_per_worker + plan.time_wait_per_worker) * cost::record;
    return plan.packet_bytes + plan.flows_per_forwarder * cost::flow * request.forwarders + worker * request.workers;
}

TEST(MemoryPlan, hands_out_nearly_all_and_not_a_byte_more)
{
    for (const std::uint64_t size :
         {256 * one_mebibyte, 512 * one_mebibyte, 4096 * one_mebibyte, 65536 * one_mebibyte}) {
        for (const std::size_t cores : {1U, 2U, 8U}) {
            const MemoryRequest request{size, cores, cores, cores, 2 * cores};
            const MemoryPlan plan = plan_memory(request);
            if (!plan.fits(size)) {
                continue;
            }
            EXPECT_LE(bytes_of(plan, request), size) << size << " bytes, " << cores << " cores";
            EXPECT_GE(bytes_of(plan, request), size - size / 20) << size << " bytes, " << cores << " cores";
        }
    }
}

TEST(MemoryPlan, nine_gibibytes_buy_a_million_connections_on_one_core)
{
    EXPECT_GE(plan_memory({9216 * one_mebibyte, 1, 1, 1, 1}).connections_per_worker, 1'000'000U);
}

TEST(MemoryPlan, least_size_fits_and_one_byte_less_does_not)
{
    MemoryRequest request{0, 2, 2, 2, 2};
    const std::uint64_t least = plan_memory(request).least_bytes;
    request.total_bytes = least;
    const MemoryPlan plan = plan_memory(request);
    EXPECT_TRUE(plan.fits(least));
    EXPECT_FALSE(plan.fits(least - 1));
    EXPECT_LE(bytes_of(plan, request), least);
}

} // namespace
} // namespace sluice::app
