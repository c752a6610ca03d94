// One interface port that works for long: many more frames than its pool has buffers, through both drivers.
#include "lab_support.hpp"

#include <sluice/handoff/ring.hpp>
#include <sluice/packet/heap_pool.hpp>
#include <sluice/port/dpdk_pool.hpp>

#include <atomic>
#include <thread>

namespace sluice::lab {
namespace {

using port::EthdevPort;
using port::InterfaceDriver;

class EthdevLoad : public PortLab, public ::testing::WithParamInterface<InterfaceDriver> {};

constexpr std::uint32_t batch = 32;
constexpr std::uint32_t frames = 3 * 8192;

// Answers every frame that carries a number with the same number: a third goes back as it came, a third is released by
// another thread and answered from another pool of DPDK's, a third likewise from the heap.
void answer(EthdevPort& port, const Child::Channel& channel)
{
    auto foreign = port::DpdkPool::create("foreign", 1024);
    ASSERT_TRUE(foreign.has_value());
    packet::HeapPool heap{256};
    handoff::Ring<packet::Packet> released{1024};
    std::atomic<bool> done{false};
    std::thread releaser{[&] {
        const app::MachineThread registered;
        packet::Packet packet;
        while (!done.load() || !released.empty()) {
            if (released.pop(packet)) {
                packet.reset();
            } else {
                std::this_thread::yield();
            }
        }
    }};
    const auto numbers = receive_numbers(port, 0, frames, [&](packet::Burst& burst) {
        packet::Burst answers;
        for (packet::Packet& frame : burst) {
            if (load16(frame.data() + 12) != test_ether_type) {
                continue;
            }
            const std::uint32_t number = load32(frame.data() + 14);
            if (number % 3 == 0) {
                answers.push(std::move(frame));
                continue;
            }
            answers.push(number % 3 == 1 ? packet_of(**foreign, number, frame.size())
                                         : packet_of(heap, number, frame.size()));
            while (!released.push(std::move(frame))) {
                std::this_thread::yield();
            }
        }
        send_all(port, answers);
    });
    done = true;
    releaser.join();
    EXPECT_EQ(numbers.size(), frames);
    EXPECT_EQ(channel.hear(), 'd');
}

TEST_P(EthdevLoad, port_that_has_used_its_whole_pool_still_sends_every_frame)
{
    Child child{lab().port_namespace(), [&](const Child::Channel& channel) {
                    auto machine = app::Machine::start(small_machine());
                    ASSERT_TRUE(machine.has_value()) << machine.error().message;
                    const app::MachineThread thread;
                    const std::unique_ptr<EthdevPort> port = open_port(options_for(lab(), GetParam()));
                    ASSERT_TRUE(port);
                    const std::size_t buffers = port->receive_buffers_available(0);
                    channel.say('r');
                    answer(*port, channel);
                    port->refresh();
                    EXPECT_EQ(port->statistics().transmit_dropped, 0U);
                    EXPECT_EQ(port->statistics().receive_dropped, 0U);
                    EXPECT_EQ(port->statistics().receive_starved, 0U);
                    // Sent buffers come home at the latest when something else is sent.
                    EXPECT_GE(port->receive_buffers_available(0) + 2 * packet::Burst::capacity, buffers);
                }};
    ASSERT_EQ(child.channel().hear(), 'r');
    const RawPeer peer{lab().peer_namespace(), VethLab::peer_interface};
    for (std::uint32_t first = 0; first < frames; first += batch) {
        for (std::uint32_t number = first; number < first + batch; ++number) {
            ASSERT_TRUE(peer.send(frame_of(number, 60 + number % 1400)));
        }
        for (std::uint32_t number = first; number < first + batch; ++number) {
            const auto frame = peer.receive(test_ether_type);
            ASSERT_TRUE(frame.has_value()) << number;
            ASSERT_EQ(*frame, frame_of(number, 60 + number % 1400));
        }
    }
    child.channel().say('d');
    EXPECT_TRUE(child.succeeded());
}

INSTANTIATE_TEST_SUITE_P(Driver, EthdevLoad, ::testing::Values(InterfaceDriver::af_packet, InterfaceDriver::af_xdp),
                         [](const auto& tested) {
                             return std::string{tested.param == InterfaceDriver::af_xdp ? "af_xdp" : "af_packet"};
                         });

TEST(DpdkPool, buffers_lie_side_by_side_without_gaps_at_page_ends)
{
    Child child{"", [&](const Child::Channel&) {
                    auto machine = app::Machine::start(small_machine());
                    ASSERT_TRUE(machine.has_value()) << machine.error().message;
                    constexpr std::size_t count = 1000;
                    auto pool = port::DpdkPool::create("test", count);
                    ASSERT_TRUE(pool.has_value());
                    ASSERT_TRUE((*pool)->is_contiguous());
                    std::vector<packet::Packet> packets;
                    const std::byte* lowest = nullptr;
                    const std::byte* highest = nullptr;
                    for (packet::Packet packet = (*pool)->allocate(); packet; packet = (*pool)->allocate()) {
                        lowest = lowest == nullptr ? packet.data() : std::min<const std::byte*>(lowest, packet.data());
                        highest = std::max<const std::byte*>(highest, packet.data());
                        packets.push_back(std::move(packet));
                    }
                    ASSERT_EQ(packets.size(), count);
                    EXPECT_EQ(static_cast<std::size_t>(highest - lowest), port::DpdkPool::memory_of(count - 1));
                }};
    EXPECT_TRUE(child.succeeded());
}

} // namespace
} // namespace sluice::lab
