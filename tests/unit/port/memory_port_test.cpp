#include "frames.hpp"

#include <sluice/packet/heap_pool.hpp>
#include <sluice/port/memory_port.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <poll.h>
#include <set>
#include <thread>

namespace sluice::port {
namespace {

bool readable(int descriptor)
{
    pollfd entry{descriptor, POLLIN, 0};
    return ::poll(&entry, 1, 0) == 1;
}

TEST(MemoryPort, frames_sent_arrive_in_order_and_nothing_more)
{
    packet::HeapPool pool{16};
    MemoryLink link{{.name = "a"}, {.name = "b", .index = 3}};
    packet::Burst burst;
    for (std::uint32_t number = 0; number < 5; ++number) {
        burst.push(numbered(pool, number));
    }
    EXPECT_EQ(link.first().transmit(0, burst), 5U);
    EXPECT_TRUE(burst.empty());

    packet::Burst got;
    EXPECT_EQ(link.second().receive(0, got), 5U);
    for (std::uint32_t number = 0; number < 5; ++number) {
        EXPECT_EQ(number_of(got[number]), number);
        EXPECT_EQ(got[number].port(), 3);
    }
    EXPECT_EQ(link.second().receive(0, got), 0U);
    EXPECT_EQ(link.first().receive(0, got), 0U);
    got.clear();
    EXPECT_EQ(pool.available(), pool.capacity());
    EXPECT_EQ(link.first().statistics().packets_transmitted, 5U);
    EXPECT_EQ(link.second().statistics().packets_received, 5U);
    EXPECT_EQ(link.second().statistics().bytes_received, 5U * 64U);
}

TEST(MemoryPort, full_queue_drops_and_the_receiver_counts)
{
    packet::HeapPool pool{16};
    MemoryLink link{{.name = "a"}, {.name = "b", .queue_size = 4}};
    packet::Burst burst;
    for (std::uint32_t number = 0; number < 6; ++number) {
        burst.push(numbered(pool, number));
    }
    EXPECT_EQ(link.first().transmit(0, burst), 6U);
    EXPECT_EQ(link.second().statistics().receive_dropped, 2U);
    packet::Burst got;
    EXPECT_EQ(link.second().receive(0, got), 4U);
}

TEST(MemoryPort, full_queue_that_holds_leaves_frames_with_the_sender_in_order)
{
    packet::HeapPool pool{16};
    MemoryLink link{{.name = "a"}, {.name = "b", .queue_size = 4, .when_full = WhenFull::hold}};
    packet::Burst burst;
    for (std::uint32_t number = 0; number < 6; ++number) {
        burst.push(numbered(pool, number));
    }
    EXPECT_EQ(link.first().transmit(0, burst), 4U);
    ASSERT_EQ(burst.size(), 2U);
    EXPECT_EQ(number_of(burst[0]), 4U);
    packet::Burst got;
    EXPECT_EQ(link.second().receive(0, got), 4U);
    EXPECT_EQ(link.first().transmit(0, burst), 2U);
    EXPECT_EQ(link.second().receive(0, got), 2U);
    EXPECT_EQ(number_of(got[5]), 5U);
}

TEST(MemoryPort, pulled_cable_loses_frames_and_both_ends_see_it)
{
    packet::HeapPool pool{4};
    MemoryLink link{{.name = "a"}, {.name = "b"}};
    link.set_up(false);
    EXPECT_FALSE(link.first().link_up());
    EXPECT_FALSE(link.second().link_up());
    packet::Burst burst;
    burst.push(numbered(pool, 1));
    EXPECT_EQ(link.first().transmit(0, burst), 1U);
    EXPECT_EQ(link.first().statistics().transmit_dropped, 1U);
    link.set_up(true);
    packet::Burst got;
    EXPECT_EQ(link.second().receive(0, got), 0U);
    EXPECT_EQ(pool.available(), pool.capacity());
}

std::vector<std::uint16_t> queues_taken(std::uint64_t seed)
{
    packet::HeapPool pool{256};
    MemoryLink link{{.name = "a"}, {.name = "b", .queues = 4, .choice = QueueChoice::random, .seed = seed}};
    std::vector<std::uint16_t> taken(128);
    for (std::uint32_t number = 0; number < 128; ++number) {
        packet::Burst burst;
        burst.push(numbered(pool, number));
        link.first().transmit(0, burst);
        for (std::uint16_t queue = 0; queue < 4; ++queue) {
            packet::Burst got;
            if (link.second().receive(queue, got) == 1) {
                taken[number] = queue;
            }
        }
    }
    return taken;
}

TEST(MemoryPort, random_queues_use_every_queue_and_repeat_by_seed)
{
    const auto first = queues_taken(1);
    EXPECT_EQ(first, queues_taken(1));
    EXPECT_NE(first, queues_taken(2));
    EXPECT_EQ(std::set<std::uint16_t>(first.begin(), first.end()).size(), 4U);
}

TEST(MemoryPort, descriptor_is_readable_exactly_while_frames_wait)
{
    packet::HeapPool pool{128};
    MemoryLink link{{.name = "a"}, {.name = "b", .descriptors = true}};
    const int descriptor = link.second().descriptor(0);
    ASSERT_GE(descriptor, 0);
    EXPECT_EQ(link.first().descriptor(0), -1);
    EXPECT_FALSE(readable(descriptor));
    for (int round = 0; round < 3; ++round) {
        for (std::uint32_t number = 0; number < 70; ++number) {
            packet::Burst burst;
            burst.push(numbered(pool, number));
            link.first().transmit(0, burst);
        }
        EXPECT_TRUE(readable(descriptor));
        packet::Burst got;
        EXPECT_EQ(link.second().receive(0, got), 64U);
        EXPECT_TRUE(readable(descriptor)) << "six frames still wait";
        got.clear();
        EXPECT_EQ(link.second().receive(0, got), 6U);
        EXPECT_FALSE(readable(descriptor));
    }
}

// Two sending threads, two receiving threads, every frame on a random queue: for ThreadSanitizer and for losses.
TEST(MemoryPort, threads_on_every_queue_lose_and_duplicate_nothing)
{
    constexpr std::uint32_t count = 20'000;
    packet::HeapPool first_pool{512};
    packet::HeapPool second_pool{512};
    const std::array<packet::HeapPool*, 2> pools{&first_pool, &second_pool};
    MemoryLink link{{.name = "a", .queues = 2},
                    {.name = "b",
                     .queues = 2,
                     .queue_size = 128,
                     .choice = QueueChoice::random,
                     .when_full = WhenFull::hold,
                     .descriptors = true}};
    std::array<std::atomic<std::uint32_t>, 2 * count> seen{};
    std::atomic<std::uint32_t> received{0};
    const auto send = [&](std::uint16_t queue) {
        packet::Burst burst;
        for (std::uint32_t number = 0; number < count || !burst.empty();) {
            while (number < count && !burst.full()) {
                packet::Packet frame = numbered(*pools[queue], queue * count + number);
                if (!frame) {
                    break;
                }
                burst.push(std::move(frame));
                ++number;
            }
            if (link.first().transmit(queue, burst) == 0) {
                std::this_thread::yield();
            }
        }
    };
    const auto collect = [&](std::uint16_t queue) {
        packet::Burst burst;
        while (received.load() < 2 * count) {
            if (link.second().receive(queue, burst) == 0) {
                // A lost wake-up would run into the time-out of every round and the test's own.
                pollfd entry{link.second().descriptor(queue), POLLIN, 0};
                ::poll(&entry, 1, 10);
            }
            for (const packet::Packet& frame : burst) {
                seen[number_of(frame)].fetch_add(1);
            }
            received.fetch_add(static_cast<std::uint32_t>(burst.size()));
            burst.clear();
        }
    };
    std::array<std::thread, 4> threads{std::thread{send, 0}, std::thread{send, 1}, std::thread{collect, 0},
                                       std::thread{collect, 1}};
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_TRUE(std::all_of(seen.begin(), seen.end(), [](const auto& times) { return times.load() == 1; }));
    EXPECT_EQ(link.second().pending(), 0U);
}

} // namespace
} // namespace sluice::port
