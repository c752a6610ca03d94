#include "packet/neigh/bench.hpp"

#include <atomic>
#include <thread>

namespace sluice::neigh::test {
namespace {

TEST(Adjacencies, nobody_reads_as_unusable)
{
    Adjacencies adjacencies{4};
    EXPECT_FALSE(adjacencies.read({}).usable());
    EXPECT_FALSE(adjacencies.use({0xffffff00U}).usable());
    EXPECT_FALSE(adjacencies.find(0, ip("192.0.2.1")));
}

TEST(Adjacencies, handle_of_a_forgotten_neighbour_never_reads_as_another)
{
    Limits limits;
    limits.neighbours_per_port = 1;
    Bench bench{limits, 1};
    bench.configure();
    const AdjacencyIndex first = bench.neighbours.resolve(0, ip("192.0.2.1"), bench.now);
    bench.run(4s); // Failed: it may make room.
    const AdjacencyIndex second = bench.neighbours.resolve(0, ip("192.0.2.2"), bench.now);
    ASSERT_TRUE(second);
    EXPECT_NE(first, second);
    EXPECT_EQ(bench.adjacencies.read(first).state, NeighbourState::none);
    EXPECT_EQ(bench.adjacencies.read(second).state, NeighbourState::incomplete);
    EXPECT_FALSE(bench.adjacencies.find(0, ip("192.0.2.1")));
    EXPECT_EQ(bench.adjacencies.find(0, ip("192.0.2.2")), second);
}

TEST(Adjacencies, same_address_on_two_ports_are_two_neighbours)
{
    Bench bench;
    bench.apply(
        {{0, our_mac, 1500, {prefix("192.0.2.11/24")}, {}}, {7, other_mac, 1500, {prefix("198.51.100.11/24")}, {}}},
        {});
    const AdjacencyIndex left = bench.neighbours.resolve(0, ip("fe80::1"), bench.now);
    const AdjacencyIndex right = bench.neighbours.resolve(7, ip("fe80::1"), bench.now);
    EXPECT_NE(left, right);
    EXPECT_EQ(bench.adjacencies.read(left).port, 0);
    EXPECT_EQ(bench.adjacencies.read(right).port, 7);
}

TEST(Adjacencies, many_come_and_go_and_are_all_found)
{
    Limits limits;
    limits.neighbours_per_port = 1000;
    Bench bench{limits, 1000};
    bench.configure();
    const auto address = [](std::uint32_t number) { return wire::IpAddress::v4(0xc0000200U - 0x10000U + number); };
    for (std::uint32_t round = 0; round < 3; ++round) {
        for (std::uint32_t number = 0; number < 1000; ++number) {
            ASSERT_TRUE(bench.neighbours.resolve(0, address(round * 500 + number), bench.now))
                << round << ' ' << number;
        }
        for (std::uint32_t number = 0; number < 1000; ++number) {
            ASSERT_TRUE(bench.adjacencies.find(0, address(round * 500 + number))) << round << ' ' << number;
        }
        // All fail; those of the next round that are new push out the oldest.
        bench.run(4s);
    }
    bench.run(60s);
    for (std::uint32_t number = 0; number < 2000; ++number) {
        EXPECT_FALSE(bench.adjacencies.find(0, address(number)));
    }
}

TEST(Adjacencies, readers_never_see_a_mac_of_another_neighbour)
{
    // One writer moves and forgets two neighbours; readers hold them to their own MACs.
    Limits limits;
    limits.neighbours_per_port = 2;
    Bench bench{limits, 2};
    bench.configure();
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> wrong{0};
    std::atomic<std::uint64_t> reads{0};
    const auto reader = [&] {
        while (!stop.load()) {
            for (std::uint32_t last = 1; last <= 4; ++last) {
                const AdjacencyIndex index = bench.adjacencies.find(0, wire::IpAddress::v4(0xc0000200U + last));
                const Adjacency seen = bench.adjacencies.use(index);
                reads.fetch_add(1, std::memory_order_relaxed);
                if (seen.usable() && std::to_integer<std::uint32_t>(seen.mac.octets[5]) != last) {
                    wrong.fetch_add(1);
                }
            }
        }
    };
    std::thread first{reader};
    std::thread second{reader};
    for (int round = 0; round < 2000; ++round) {
        for (std::uint32_t last = 1; last <= 4; ++last) {
            const wire::IpAddress address = wire::IpAddress::v4(0xc0000200U + last);
            const AdjacencyIndex index = bench.neighbours.resolve(0, address, bench.now);
            if (index) {
                ArpFields answer;
                answer.operation = wire::ArpOperation::reply;
                answer.sender = address.to_string();
                answer.sender_mac = wire::MacAddress::from(2, 0, 0, 0, static_cast<unsigned>(round) & 0xffU, last);
                answer.target_mac = our_mac;
                bench.receive(arp(answer));
            }
            bench.run(13s); // Stale after some of these, so that it can be pushed out.
        }
    }
    stop = true;
    first.join();
    second.join();
    EXPECT_EQ(wrong.load(), 0U);
    EXPECT_GT(reads.load(), 0U);
}

} // namespace
} // namespace sluice::neigh::test
