#include <sluice/flow/flow.hpp>

#include <gtest/gtest.h>

#include <array>

namespace sluice::flow {
namespace {

TEST(Shards, client_always_same_value)
{
    // Pinned: both nodes of a pair, of any version, must agree on it.
    EXPECT_EQ(shard_of_client(wire::IpAddress::parse("192.0.2.1").value(), 1024), 57);
    EXPECT_EQ(shard_of_client(wire::IpAddress::parse("2001:db8::1").value(), 443), 60);
}

TEST(Shards, many_clients_spread_evenly)
{
    std::array<int, shard_count> hits{};
    constexpr int clients = 64'000;
    for (std::uint32_t client = 0; client < clients; ++client) {
        ++hits[shard_of_client(wire::IpAddress::v4(0x0a000000U + client / 100),
                               static_cast<std::uint16_t>(1024 + client % 100))];
    }
    for (const int count : hits) {
        EXPECT_NEAR(count, clients / 64, 160);
    }
}

TEST(Shards, ranges_of_local_ports_hold_every_shard_equally_often)
{
    for (const auto range : {local_ports::probes, local_ports::workers, local_ports::full_nat}) {
        EXPECT_EQ(range.first % shard_count, 0U);
        EXPECT_EQ((range.last + 1U) % shard_count, 0U);
        EXPECT_EQ(shard_of_local_port(range.first), 0);
        EXPECT_EQ(shard_of_local_port(range.last), 63);
    }
}

TEST(Shards, map_deals_them_out_evenly)
{
    for (std::size_t owners = 1; owners <= 5; ++owners) {
        const ShardMap map{owners};
        std::array<std::size_t, 5> counts{};
        for (std::size_t shard = 0; shard < shard_count; ++shard) {
            ++counts[map.owner(static_cast<Shard>(shard))];
        }
        for (std::size_t owner = 0; owner < owners; ++owner) {
            EXPECT_GE(counts[owner], shard_count / owners);
            EXPECT_LE(counts[owner], shard_count / owners + 1);
        }
    }
}

} // namespace
} // namespace sluice::flow
