// One interface port, through both drivers.
#include "lab_support.hpp"

#include <sluice/app/machine_check.hpp>
#include <sluice/packet/heap_pool.hpp>
#include <sluice/port/dpdk_pool.hpp>

#include <chrono>
#include <fstream>
#include <linux/capability.h>
#include <map>
#include <net/if.h>
#include <sstream>
#include <thread>

namespace sluice::lab {
namespace {

using namespace std::chrono_literals;
using port::EthdevPort;
using port::InterfaceDriver;

class EthdevLab : public PortLab, public ::testing::WithParamInterface<InterfaceDriver> {};

constexpr std::uint32_t count = 200;

// In the child: counts in, echoes, then sends from pools that are not the port's.
void echo_and_send(const VethLab& lab, InterfaceDriver driver, const Child::Channel& channel)
{
    auto machine = app::Machine::start(small_machine());
    ASSERT_TRUE(machine.has_value()) << machine.error().message;
    const std::unique_ptr<EthdevPort> port = open_port(options_for(lab, driver));
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
    Child child{lab().port_namespace(),
                [&](const Child::Channel& channel) { echo_and_send(lab(), GetParam(), channel); }};
    ASSERT_EQ(child.channel().hear(), 'r');
    const RawPeer peer{lab().peer_namespace(), VethLab::peer_interface};
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

class FanoutLab : public PortLab {};

// net_af_packet computes the number of its fanout group as process id XOR interface index; the test makes two
// processes meet.
TEST_F(FanoutLab, group_of_another_process_is_named_with_what_mends_it)
{
    const auto serve = [&](const Child::Channel& channel, const char* interface) {
        auto machine = app::Machine::start(small_machine());
        ASSERT_TRUE(machine.has_value()) << machine.error().message;
        ASSERT_EQ(channel.hear(), 'o');
        port::EthdevOptions options = options_for(lab(), InterfaceDriver::af_packet);
        options.device = port::InterfaceDevice{interface, InterfaceDriver::af_packet};
        const auto port = EthdevPort::open(options);
        channel.say(port ? 'r' : port.error().message.find("fanout group") == std::string::npos ? '?' : 'f');
        EXPECT_TRUE(port || port.error().remedy.find("restart") != std::string::npos) << port.error().remedy;
        EXPECT_EQ(channel.hear(), 'e');
    };
    unsigned index = 0;
    VethLab::inside(lab().port_namespace(), [&] { index = ::if_nametoindex(VethLab::port_interface); });
    Child first{lab().port_namespace(),
                [&](const Child::Channel& channel) { serve(channel, VethLab::port_interface); }};
    Child meets{lab().port_namespace(), [&](const Child::Channel& channel) { serve(channel, "port1"); }};
    Child differs{lab().port_namespace(), [&](const Child::Channel& channel) { serve(channel, "port1"); }};
    const auto group = static_cast<unsigned>(first.process()) ^ index;
    // Beyond the sixteen bits of the number, so that no interface has this index already.
    const std::string same_group = std::to_string((group ^ static_cast<unsigned>(meets.process())) | 1U << 16U);
    ASSERT_TRUE(VethLab::ip(lab().port_namespace(), {"link", "add", "port1", "index", same_group, "type", "veth",
                                                     "peer", "name", "peer1", "netns", lab().peer_namespace()}));
    ASSERT_TRUE(VethLab::ip(lab().port_namespace(), {"link", "set", "port1", "up"}));

    for (const auto& [child, outcome] : {std::pair{&first, 'r'}, {&meets, 'f'}, {&differs, 'r'}}) {
        child->channel().say('o');
        EXPECT_EQ(child->channel().hear(), outcome);
    }
    for (Child* child : {&first, &meets, &differs}) {
        child->channel().say('e');
        EXPECT_TRUE(child->succeeded());
    }
}

TEST_P(EthdevLab, link_that_goes_down_is_seen_and_stale_frames_are_never_sent)
{
    Child child{lab().port_namespace(), [&](const Child::Channel& channel) {
                    auto machine = app::Machine::start(small_machine());
                    ASSERT_TRUE(machine.has_value()) << machine.error().message;
                    const std::unique_ptr<EthdevPort> port = open_port(options_for(lab(), GetParam()));
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
    ASSERT_TRUE(VethLab::ip(lab().peer_namespace(), {"link", "set", VethLab::peer_interface, "down"}));
    child.channel().say('d');
    ASSERT_EQ(child.channel().hear(), 's');
    ASSERT_TRUE(VethLab::ip(lab().peer_namespace(), {"link", "set", VethLab::peer_interface, "up"}));
    const RawPeer peer{lab().peer_namespace(), VethLab::peer_interface};
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
        const std::unique_ptr<EthdevPort> port = open_port(options_for(lab(), GetParam()));
        ASSERT_TRUE(port);
        channel.say('r');
        EXPECT_EQ(receive_numbers(*port, 0, 1), std::vector<std::uint32_t>{7});
    };
    const RawPeer peer{lab().peer_namespace(), VethLab::peer_interface};
    Child first{lab().port_namespace(), serve};
    ASSERT_EQ(first.channel().hear(), 'r');
    first.kill();
    const app::SystemHostProbe probe{lab().directory()};
    VethLab::inside(lab().port_namespace(), [&] {
        const auto facts = probe.interface(VethLab::port_interface);
        ASSERT_TRUE(facts.has_value());
        EXPECT_EQ(facts->xdp,
                  GetParam() == InterfaceDriver::af_xdp ? app::XdpOwner::left_behind : app::XdpOwner::nobody);
    });
    Child second{lab().port_namespace(), serve};
    ASSERT_EQ(second.channel().hear(), 'r');
    EXPECT_TRUE(peer.send(frame_of(7)));
    EXPECT_TRUE(second.succeeded());
    // An orderly end leaves nothing.
    VethLab::inside(lab().port_namespace(),
                    [&] { EXPECT_EQ(probe.interface(VethLab::port_interface)->xdp, app::XdpOwner::nobody); });
}

// What a line of config/sluice.service grants, as numbers.
std::vector<unsigned> capabilities_of_unit(const std::string& key)
{
    const std::map<std::string, unsigned> numbers{{"CAP_NET_ADMIN", CAP_NET_ADMIN},
                                                  {"CAP_NET_RAW", CAP_NET_RAW},
                                                  {"CAP_IPC_LOCK", CAP_IPC_LOCK},
                                                  {"CAP_SYS_ADMIN", CAP_SYS_ADMIN}};
    std::ifstream unit{SLUICE_SOURCE_DIR "/config/sluice.service"};
    std::vector<unsigned> granted;
    std::string line;
    while (std::getline(unit, line)) {
        if (line.starts_with(key + "=")) {
            std::istringstream names{line.substr(key.size() + 1)};
            for (std::string name; names >> name;) {
                granted.push_back(numbers.at(name));
            }
        }
    }
    return granted;
}

// CAP_SYS_ADMIN is for AF_XDP alone, as the unit says.
std::vector<unsigned> service_capabilities(InterfaceDriver driver)
{
    std::vector<unsigned> capabilities = capabilities_of_unit("AmbientCapabilities");
    EXPECT_FALSE(capabilities.empty());
    EXPECT_EQ(capabilities, capabilities_of_unit("CapabilityBoundingSet"));
    if (driver == InterfaceDriver::af_packet) {
        std::erase(capabilities, unsigned{CAP_SYS_ADMIN});
    }
    return capabilities;
}

TEST_P(EthdevLab, service_user_with_the_units_capabilities_opens_the_port)
{
    Child child{lab().port_namespace(), [&](const Child::Channel& channel) {
                    ASSERT_TRUE(become_service(service_capabilities(GetParam()), lab().directory()));
                    auto machine = app::Machine::start(small_machine());
                    ASSERT_TRUE(machine.has_value()) << machine.error().message;
                    const std::unique_ptr<EthdevPort> port = open_port(options_for(lab(), GetParam()));
                    ASSERT_TRUE(port);
                    channel.say('r');
                    EXPECT_EQ(receive_numbers(*port, 0, 1), std::vector<std::uint32_t>{3});
                }};
    ASSERT_EQ(child.channel().hear(), 'r');
    const RawPeer peer{lab().peer_namespace(), VethLab::peer_interface};
    EXPECT_TRUE(peer.send(frame_of(3)));
    EXPECT_TRUE(child.succeeded());
    const app::SystemHostProbe probe{lab().directory()};
    VethLab::inside(lab().port_namespace(),
                    [&] { EXPECT_EQ(probe.interface(VethLab::port_interface)->xdp, app::XdpOwner::nobody); });
}

INSTANTIATE_TEST_SUITE_P(Driver, EthdevLab, ::testing::Values(InterfaceDriver::af_packet, InterfaceDriver::af_xdp),
                         [](const auto& parameter) {
                             return parameter.param == InterfaceDriver::af_packet ? "af_packet" : "af_xdp";
                         });

} // namespace
} // namespace sluice::lab
