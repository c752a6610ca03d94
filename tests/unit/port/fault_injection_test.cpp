#include "frames.hpp"

#include <sluice/packet/heap_pool.hpp>
#include <sluice/port/fault_injection.hpp>
#include <sluice/port/memory_port.hpp>

#include <algorithm>
#include <gtest/gtest.h>
#include <set>
#include <vector>

namespace sluice::port {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t always = 1'000'000;
constexpr std::uint32_t half = 500'000;

// A faulty port whose other end the test holds.
class FaultInjectionTest : public ::testing::Test {
protected:
    FaultInjection make(const FaultInjectionOptions& options) { return {link_.first(), clock_, options}; }

    void send(Port& port, std::uint32_t first, std::uint32_t count)
    {
        packet::Burst burst;
        for (std::uint32_t number = first; number < first + count; ++number) {
            burst.push(numbered(pool_, number));
        }
        EXPECT_EQ(port.transmit(0, burst), count);
    }
    static std::vector<std::uint32_t> received(Port& port)
    {
        std::vector<std::uint32_t> numbers;
        packet::Burst burst;
        while (port.receive(0, burst) > 0) {
            for (const packet::Packet& frame : burst) {
                numbers.push_back(number_of(frame));
            }
            burst.clear();
        }
        return numbers;
    }

    packet::HeapPool pool_{1024};
    FakeClock clock_;
    MemoryLink link_{{.name = "a"}, {.name = "b"}};
};

TEST_F(FaultInjectionTest, without_faults_frames_pass_at_once_and_in_order)
{
    FaultInjection port = make({});
    send(port, 0, 10);
    EXPECT_EQ(received(link_.second()), (std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
    send(link_.second(), 20, 3);
    EXPECT_EQ(received(port), (std::vector<std::uint32_t>{20, 21, 22}));
    EXPECT_EQ(port.poll_at(0), never);
}

TEST_F(FaultInjectionTest, dropped_frames_are_counted_once_and_their_buffers_come_back)
{
    FaultInjection port = make({.transmit = {.drop = half}});
    send(port, 0, 64);
    const auto numbers = received(link_.second());
    EXPECT_EQ(numbers.size() + port.transmit_faults().dropped, 64U);
    EXPECT_GT(numbers.size(), 10U);
    EXPECT_LT(numbers.size(), 54U);
    EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
    EXPECT_EQ(port.receive_faults().dropped, 0U);
    EXPECT_EQ(pool_.available(), pool_.capacity());
}

TEST_F(FaultInjectionTest, directions_have_faults_of_their_own)
{
    FaultInjection port = make({.receive = {.drop = always}});
    send(port, 0, 4);
    EXPECT_EQ(received(link_.second()).size(), 4U);
    send(link_.second(), 0, 4);
    EXPECT_TRUE(received(port).empty());
    EXPECT_EQ(port.receive_faults().dropped, 4U);
}

TEST_F(FaultInjectionTest, duplicates_follow_their_frame)
{
    FaultInjection port = make({.transmit = {.duplicate = always}});
    send(port, 0, 3);
    EXPECT_EQ(received(link_.second()), (std::vector<std::uint32_t>{0, 0, 1, 1, 2, 2}));
    EXPECT_EQ(port.transmit_faults().duplicated, 3U);
}

TEST_F(FaultInjectionTest, corrupted_frame_differs_in_exactly_one_bit_behind_the_ethernet_header)
{
    FaultInjection port = make({.receive = {.corrupt = always}});
    packet::Burst burst;
    for (int round = 0; round < 50; ++round) {
        send(link_.second(), 0, 1);
        ASSERT_EQ(port.receive(0, burst), 1U);
        const packet::Packet expected = numbered(pool_, 0);
        int bits = 0;
        for (std::size_t index = 0; index < expected.size(); ++index) {
            const auto difference = std::to_integer<unsigned>(expected.bytes()[index] ^ burst[0].data()[index]);
            bits += std::popcount(difference);
            EXPECT_TRUE(difference == 0 || index >= 14);
        }
        EXPECT_EQ(bits, 1);
        burst.clear();
    }
}

TEST_F(FaultInjectionTest, delayed_frames_wait_for_their_time_and_poll_at_names_it)
{
    FaultInjection port = make({.receive = {.delay = 5ms}, .transmit = {.delay = 3ms}});
    const TimePoint start = clock_.now();
    send(port, 1, 1);
    send(link_.second(), 2, 1);
    EXPECT_TRUE(received(port).empty());
    EXPECT_TRUE(received(link_.second()).empty());
    EXPECT_EQ(port.poll_at(0), start + 3ms);
    clock_.advance(3ms);
    EXPECT_TRUE(received(port).empty()) << "receiving also sends what is due";
    EXPECT_EQ(received(link_.second()), std::vector<std::uint32_t>{1});
    EXPECT_EQ(port.poll_at(0), start + 5ms);
    clock_.advance(2ms);
    EXPECT_EQ(received(port), std::vector<std::uint32_t>{2});
    EXPECT_EQ(port.poll_at(0), never);
}

TEST_F(FaultInjectionTest, reordered_frames_are_overtaken_and_none_is_lost)
{
    FaultInjection port = make({.transmit = {.reorder = 200'000, .reorder_window = 2ms}});
    std::vector<std::uint32_t> numbers;
    for (std::uint32_t number = 0; number < 100; ++number) {
        send(port, number, 1);
        clock_.advance(100us);
        received(port);
        const auto more = received(link_.second());
        numbers.insert(numbers.end(), more.begin(), more.end());
    }
    clock_.advance(2ms);
    received(port);
    const auto rest = received(link_.second());
    numbers.insert(numbers.end(), rest.begin(), rest.end());
    EXPECT_EQ(numbers.size(), 100U);
    EXPECT_EQ(std::set<std::uint32_t>(numbers.begin(), numbers.end()).size(), 100U);
    EXPECT_FALSE(std::is_sorted(numbers.begin(), numbers.end()));
    EXPECT_GT(port.transmit_faults().reordered, 5U);
}

std::vector<std::uint32_t> what_survives(std::uint64_t seed)
{
    packet::HeapPool pool{256};
    const FakeClock clock;
    MemoryLink link{{.name = "a"}, {.name = "b"}};
    FaultInjection port{
        link.first(), clock, {.seed = seed, .transmit = {.drop = 100'000, .duplicate = 100'000, .corrupt = 100'000}}};
    std::vector<std::uint32_t> numbers;
    for (std::uint32_t number = 0; number < 200; ++number) {
        packet::Burst burst;
        burst.push(numbered(pool, number));
        port.transmit(0, burst);
        packet::Burst got;
        link.second().receive(0, got);
        for (const packet::Packet& frame : got) {
            numbers.push_back(number_of(frame));
        }
    }
    return numbers;
}

TEST(FaultInjection, same_seed_gives_the_same_faults_and_another_seed_others)
{
    EXPECT_EQ(what_survives(4), what_survives(4));
    EXPECT_NE(what_survives(4), what_survives(5));
}

TEST(FaultInjection, refusing_port_makes_frames_wait_and_a_full_lane_refuses_in_turn)
{
    packet::HeapPool pool{64};
    FakeClock clock;
    MemoryLink link{{.name = "a"}, {.name = "b", .queue_size = 4, .when_full = WhenFull::hold}};
    FaultInjection port{link.first(), clock, {.held_limit = 8}};
    packet::Burst burst;
    for (std::uint32_t number = 0; number < 40; ++number) {
        burst.push(numbered(pool, number));
    }
    std::vector<std::uint32_t> numbers;
    for (int round = 0; round < 40 && numbers.size() < 40; ++round) {
        port.transmit(0, burst);
        packet::Burst got;
        link.second().receive(0, got);
        for (const packet::Packet& frame : got) {
            numbers.push_back(number_of(frame));
        }
    }
    ASSERT_EQ(numbers.size(), 40U);
    EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
    EXPECT_EQ(port.transmit_faults().overflowed, 0U);
}

} // namespace
} // namespace sluice::port
