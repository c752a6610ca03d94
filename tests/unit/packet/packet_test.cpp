#include <sluice/packet/heap_pool.hpp>

#include <gtest/gtest.h>

#include <thread>

namespace sluice::packet {
namespace {

TEST(Packet, grows_and_shrinks_within_its_room_only)
{
    HeapPool pool{1, 100};
    Packet packet = pool.allocate();
    ASSERT_TRUE(packet);
    EXPECT_EQ(packet.size(), 0U);
    EXPECT_EQ(packet.headroom(), default_headroom);
    EXPECT_EQ(packet.append(101), nullptr);
    ASSERT_NE(packet.append(100), nullptr);
    EXPECT_EQ(packet.append(1), nullptr);
    ASSERT_NE(packet.prepend(default_headroom), nullptr);
    EXPECT_EQ(packet.prepend(1), nullptr);
    EXPECT_EQ(packet.size(), default_headroom + 100);
    packet.trim_front(10);
    packet.trim_back(8);
    EXPECT_EQ(packet.size(), default_headroom + 82);
    EXPECT_EQ(packet.headroom(), 10U);
    EXPECT_EQ(packet.tailroom(), 8U);
}

TEST(HeapPool, gives_what_it_has_and_takes_everything_back)
{
    HeapPool pool{3};
    Packet first = pool.allocate();
    Packet second = pool.allocate();
    Packet third = pool.allocate();
    EXPECT_TRUE(third);
    EXPECT_FALSE(pool.allocate());
    second.reset();
    EXPECT_EQ(pool.available(), 1U);
    EXPECT_TRUE(pool.allocate());
    first = std::move(third);
    EXPECT_FALSE(third); // NOLINT(bugprone-use-after-move): that is the point
    EXPECT_EQ(pool.available(), 2U);
}

TEST(Burst, erase_front_keeps_the_order_and_returns_buffers)
{
    HeapPool pool{Burst::capacity};
    Burst burst;
    while (!burst.full()) {
        Packet packet = pool.allocate();
        *packet.append(1) = static_cast<std::byte>(burst.size());
        burst.push(std::move(packet));
    }
    burst.erase_front(60);
    ASSERT_EQ(burst.size(), 4U);
    EXPECT_EQ(burst[0].data()[0], std::byte{60});
    EXPECT_EQ(burst[3].data()[0], std::byte{63});
    EXPECT_EQ(pool.available(), 60U);
    burst.clear();
    EXPECT_EQ(pool.available(), pool.capacity());
}

TEST(HeapPool, buffers_released_by_another_thread_come_home)
{
    HeapPool pool{64};
    for (int round = 0; round < 200; ++round) {
        std::vector<Packet> packets;
        while (Packet packet = pool.allocate()) {
            packets.push_back(std::move(packet));
        }
        ASSERT_EQ(packets.size(), 64U) << "round " << round;
        std::thread other{
            [half = std::vector<Packet>{std::make_move_iterator(packets.begin()),
                                        std::make_move_iterator(packets.begin() + 32)}]() mutable { half.clear(); }};
        packets.clear();
        other.join();
    }
    EXPECT_EQ(pool.available(), 64U);
}

} // namespace
} // namespace sluice::packet
