#include "veth_lab.hpp"

#include <sluice/app/machine.hpp>
#include <sluice/app/machine_check.hpp>
#include <sluice/packet/heap_pool.hpp>
#include <sluice/port/dpdk_pool.hpp>
#include <sluice/port/ethdev_port.hpp>
#include <sluice/port/xdp_program.hpp>

#include <bpf/bpf.h>
#include <chrono>
#include <cstring>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <net/if.h>
#include <poll.h>
#include <set>
#include <thread>
#include <unistd.h>

namespace sluice::lab {
namespace {

using namespace std::chrono_literals;
using port::EthdevPort;
using port::InterfaceDriver;

constexpr std::uint16_t test_ether_type = 0x88b5; // For local experiments (IEEE Std 802)

std::vector<std::byte> frame_of(std::uint32_t number, std::size_t size = 60)
{
    std::vector<std::byte> frame(size);
    std::memset(frame.data(), 0xff, 6);
    frame[6] = std::byte{2};
    store16(frame.data() + 12, test_ether_type);
    store32(frame.data() + 14, number);
    return frame;
}

app::MachineOptions small_machine(std::uint64_t mebibytes = 128)
{
    app::MachineOptions options;
    options.hugepages = app::HugePageUse::off;
    options.memory_bytes = mebibytes << 20U;
    options.program = "sluice-lab";
    return options;
}

port::EthdevOptions options_for(const VethLab& lab, InterfaceDriver driver)
{
    port::EthdevOptions options;
    options.name = "front";
    options.index = 2;
    options.device = port::InterfaceDevice{VethLab::port_interface, driver};
    options.runtime_directory = lab.directory();
    return options;
}

bool is_readable(int descriptor, int timeout_ms)
{
    pollfd entry{descriptor, POLLIN, 0};
    return ::poll(&entry, 1, timeout_ms) == 1;
}

std::unique_ptr<EthdevPort> open(const port::EthdevOptions& options)
{
    auto opened = EthdevPort::open(options);
    if (!opened) {
        ADD_FAILURE() << opened.error().message << "; " << opened.error().remedy;
        return nullptr;
    }
    return std::move(*opened);
}

class EthdevLab : public ::testing::TestWithParam<InterfaceDriver> {
protected:
    void SetUp() override
    {
        if (const std::string reason = missing_privilege(); !reason.empty()) {
            GTEST_SKIP() << reason;
        }
        lab_.emplace();
        ASSERT_TRUE(lab_->ready());
    }
    std::optional<VethLab> lab_;
};

// Receives what the test's frames carry until `count` came or a second passed without any.
std::vector<std::uint32_t> receive_numbers(EthdevPort& port, std::uint16_t queue, std::size_t count,
                                           const std::function<void(packet::Burst&)>& then = {})
{
    std::vector<std::uint32_t> numbers;
    packet::Burst burst;
    while (numbers.size() < count && is_readable(port.descriptor(queue), 1000)) {
        port.receive(queue, burst);
        for (const packet::Packet& frame : burst) {
            if (frame.size() >= 18 && load16(frame.data() + 12) == test_ether_type) {
                EXPECT_EQ(frame.port(), 2);
                EXPECT_GE(frame.headroom(), packet::default_headroom);
                numbers.push_back(load32(frame.data() + 14));
            }
        }
        if (then) {
            then(burst);
        }
        burst.clear();
    }
    return numbers;
}

void send_all(EthdevPort& port, packet::Burst& burst)
{
    for (int attempt = 0; attempt < 1000 && !burst.empty(); ++attempt) {
        port.transmit(0, burst);
    }
    EXPECT_TRUE(burst.empty());
}

packet::Packet packet_of(packet::Pool& pool, std::uint32_t number)
{
    packet::Packet packet = pool.allocate();
    const std::vector<std::byte> frame = frame_of(number);
    std::memcpy(packet.append(frame.size()), frame.data(), frame.size());
    return packet;
}

constexpr std::uint32_t count = 200;

// In the child: counts in, echoes, then sends from pools that are not the port's.
void echo_and_send(const VethLab& lab, InterfaceDriver driver, const Child::Channel& channel)
{
    auto machine = app::Machine::start(small_machine());
    ASSERT_TRUE(machine.has_value()) << machine.error().message;
    const std::unique_ptr<EthdevPort> port = open(options_for(lab, driver));
    ASSERT_TRUE(port);
    EXPECT_TRUE(port->link_up());
    ASSERT_GE(port->descriptor(0), 0);
    EXPECT_FALSE(is_readable(port->descriptor(0), 0));
    channel.say('r');

    const std::size_t buffers = port->receive_buffers_available(0);
    const auto numbers = receive_numbers(*port, 0, count, [&](packet::Burst& burst) { send_all(*port, burst); });
    ASSERT_EQ(numbers.size(), count);
    for (std::uint32_t number = 0; number < count; ++number) {
        EXPECT_EQ(numbers[number], number);
    }
    packet::HeapPool heap{8};
    auto foreign = port::DpdkPool::create("foreign", 64);
    ASSERT_TRUE(foreign.has_value());
    for (std::uint32_t number = 0; number < 8; ++number) {
        packet::Burst burst;
        burst.push(packet_of(heap, count + 2 * number));
        burst.push(packet_of(**foreign, count + 2 * number + 1));
        send_all(*port, burst);
    }
    EXPECT_EQ(channel.hear(), 'd');
    EXPECT_EQ(heap.available(), heap.capacity());
    EXPECT_EQ((*foreign)->available(), (*foreign)->capacity());
    port->refresh();
    const port::Statistics statistics = port->statistics();
    EXPECT_GE(statistics.packets_received, count);
    EXPECT_EQ(statistics.packets_transmitted, count + 16);
    EXPECT_EQ(statistics.copies, 8U);
    EXPECT_EQ(statistics.receive_dropped, 0U);
    EXPECT_EQ(statistics.transmit_dropped, 0U);
    // Sent buffers come home at the latest when something else is sent.
    EXPECT_GE(port->receive_buffers_available(0) + 64 + 16, buffers);
}

TEST_P(EthdevLab, frames_pass_both_ways_in_order_whatever_pool_they_come_from)
{
    Child child{lab_->port_namespace(),
                [&](const Child::Channel& channel) { echo_and_send(*lab_, GetParam(), channel); }};
    ASSERT_EQ(child.channel().hear(), 'r');
    const RawPeer peer{lab_->peer_namespace(), VethLab::peer_interface};
    for (std::uint32_t number = 0; number < count; ++number) {
        EXPECT_TRUE(peer.send(frame_of(number, 60 + number * 7)));
    }
    for (std::uint32_t number = 0; number < count + 16; ++number) {
        const auto frame = peer.receive(test_ether_type);
        ASSERT_TRUE(frame.has_value()) << number;
        EXPECT_EQ(load32(frame->data() + 14), number);
        if (number < count) {
            EXPECT_EQ(*frame, frame_of(number, 60 + number * 7));
        }
    }
    child.channel().say('d');
    EXPECT_TRUE(child.succeeded());
}

TEST_P(EthdevLab, link_that_goes_down_is_seen_and_stale_frames_are_never_sent)
{
    Child child{lab_->port_namespace(), [&](const Child::Channel& channel) {
                    auto machine = app::Machine::start(small_machine());
                    ASSERT_TRUE(machine.has_value()) << machine.error().message;
                    const std::unique_ptr<EthdevPort> port = open(options_for(*lab_, GetParam()));
                    ASSERT_TRUE(port);
                    packet::HeapPool heap{8};
                    channel.say('r');
                    EXPECT_EQ(channel.hear(), 'd');
                    port->refresh();
                    EXPECT_FALSE(port->link_up());
                    packet::Burst burst;
                    burst.push(packet_of(heap, 1));
                    EXPECT_EQ(port->transmit(0, burst), 1U);
                    EXPECT_EQ(port->statistics().transmit_dropped, 1U);
                    channel.say('s');
                    EXPECT_EQ(channel.hear(), 'u');
                    for (int attempt = 0; attempt < 200 && !port->link_up(); ++attempt) {
                        std::this_thread::sleep_for(5ms);
                        port->refresh();
                    }
                    EXPECT_TRUE(port->link_up());
                    burst.push(packet_of(heap, 2));
                    send_all(*port, burst);
                    EXPECT_EQ(channel.hear(), 'e');
                }};
    ASSERT_EQ(child.channel().hear(), 'r');
    ASSERT_TRUE(VethLab::ip(lab_->peer_namespace(), {"link", "set", VethLab::peer_interface, "down"}));
    child.channel().say('d');
    ASSERT_EQ(child.channel().hear(), 's');
    ASSERT_TRUE(VethLab::ip(lab_->peer_namespace(), {"link", "set", VethLab::peer_interface, "up"}));
    const RawPeer peer{lab_->peer_namespace(), VethLab::peer_interface};
    child.channel().say('u');
    const auto frame = peer.receive(test_ether_type);
    ASSERT_TRUE(frame.has_value());
    EXPECT_EQ(load32(frame->data() + 14), 2U);
    child.channel().say('e');
    EXPECT_TRUE(child.succeeded());
}

TEST_P(EthdevLab, killed_process_leaves_an_interface_that_opens_again)
{
    const auto serve = [&](const Child::Channel& channel) {
        auto machine = app::Machine::start(small_machine());
        ASSERT_TRUE(machine.has_value()) << machine.error().message;
        const std::unique_ptr<EthdevPort> port = open(options_for(*lab_, GetParam()));
        ASSERT_TRUE(port);
        channel.say('r');
        EXPECT_EQ(receive_numbers(*port, 0, 1), std::vector<std::uint32_t>{7});
    };
    const RawPeer peer{lab_->peer_namespace(), VethLab::peer_interface};
    Child first{lab_->port_namespace(), serve};
    ASSERT_EQ(first.channel().hear(), 'r');
    first.kill();
    const app::SystemHostProbe probe{lab_->directory()};
    VethLab::inside(lab_->port_namespace(), [&] {
        const auto facts = probe.interface(VethLab::port_interface);
        ASSERT_TRUE(facts.has_value());
        EXPECT_EQ(facts->xdp,
                  GetParam() == InterfaceDriver::af_xdp ? app::XdpOwner::left_behind : app::XdpOwner::nobody);
    });
    Child second{lab_->port_namespace(), serve};
    ASSERT_EQ(second.channel().hear(), 'r');
    EXPECT_TRUE(peer.send(frame_of(7)));
    EXPECT_TRUE(second.succeeded());
    // An orderly end leaves nothing.
    VethLab::inside(lab_->port_namespace(),
                    [&] { EXPECT_EQ(probe.interface(VethLab::port_interface)->xdp, app::XdpOwner::nobody); });
}

// What config/sluice.service grants; CAP_SYS_ADMIN for AF_XDP alone.
std::vector<unsigned> service_capabilities(InterfaceDriver driver)
{
    std::vector<unsigned> capabilities{CAP_NET_ADMIN, CAP_NET_RAW, CAP_IPC_LOCK};
    if (driver == InterfaceDriver::af_xdp) {
        capabilities.push_back(CAP_SYS_ADMIN);
    }
    return capabilities;
}

TEST_P(EthdevLab, service_user_with_the_units_capabilities_opens_the_port)
{
    Child child{lab_->port_namespace(), [&](const Child::Channel& channel) {
                    ASSERT_TRUE(become_service(service_capabilities(GetParam()), lab_->directory()));
                    auto machine = app::Machine::start(small_machine());
                    ASSERT_TRUE(machine.has_value()) << machine.error().message;
                    const std::unique_ptr<EthdevPort> port = open(options_for(*lab_, GetParam()));
                    ASSERT_TRUE(port);
                    channel.say('r');
                    EXPECT_EQ(receive_numbers(*port, 0, 1), std::vector<std::uint32_t>{3});
                }};
    ASSERT_EQ(child.channel().hear(), 'r');
    const RawPeer peer{lab_->peer_namespace(), VethLab::peer_interface};
    EXPECT_TRUE(peer.send(frame_of(3)));
    EXPECT_TRUE(child.succeeded());
    const app::SystemHostProbe probe{lab_->directory()};
    VethLab::inside(lab_->port_namespace(),
                    [&] { EXPECT_EQ(probe.interface(VethLab::port_interface)->xdp, app::XdpOwner::nobody); });
}

INSTANTIATE_TEST_SUITE_P(Driver, EthdevLab, ::testing::Values(InterfaceDriver::af_packet, InterfaceDriver::af_xdp),
                         [](const auto& parameter) {
                             return parameter.param == InterfaceDriver::af_packet ? "af_packet" : "af_xdp";
                         });

} // namespace
} // namespace sluice::lab
