// What is told of the real machine, and what is refused before anything is touched.
#include "lab_support.hpp"

#include <sluice/app/machine_check.hpp>
#include <sluice/packet/heap_pool.hpp>
#include <sluice/port/dpdk_pool.hpp>
#include <sluice/port/xdp_program.hpp>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cstring>
#include <gmock/gmock.h>
#include <net/if.h>
#include <set>
#include <unistd.h>

namespace sluice::lab {
namespace {

using app::SystemHostProbe;
using app::XdpOwner;
using port::EthdevPort;
using port::InterfaceDriver;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class MachineLab : public PortLab {
protected:
    [[nodiscard]] app::InterfaceFacts facts()
    {
        std::optional<app::InterfaceFacts> found;
        VethLab::inside(lab().port_namespace(),
                        [&] { found = SystemHostProbe{lab().directory()}.interface(VethLab::port_interface); });
        EXPECT_TRUE(found.has_value());
        return found.value_or(app::InterfaceFacts{});
    }
    [[nodiscard]] bool ip(std::vector<std::string> arguments)
    {
        return VethLab::ip(lab().port_namespace(), std::move(arguments));
    }
};

TEST_F(MachineLab, untouched_interface_is_used_by_nobody)
{
    const app::InterfaceFacts found = facts();
    EXPECT_TRUE(found.up);
    EXPECT_FALSE(found.loopback);
    EXPECT_EQ(found.mtu, 1500U);
    EXPECT_THAT(found.addresses, IsEmpty());
    EXPECT_THAT(found.default_gateways, IsEmpty());
    EXPECT_EQ(found.master, "");
    EXPECT_EQ(found.xdp, XdpOwner::nobody);
    VethLab::inside(lab().port_namespace(), [&] {
        const SystemHostProbe probe{lab().directory()};
        EXPECT_FALSE(probe.interface("absent0").has_value());
        EXPECT_THAT(probe.interface_names(), ::testing::ElementsAre(VethLab::port_interface));
    });
}

TEST_F(MachineLab, addresses_default_routes_and_bridges_of_the_kernel_are_seen)
{
    ASSERT_TRUE(ip({"address", "add", "192.0.2.5/24", "dev", VethLab::port_interface}));
    ASSERT_TRUE(ip({"route", "add", "default", "via", "192.0.2.1", "dev", VethLab::port_interface}));
    app::InterfaceFacts found = facts();
    ASSERT_EQ(found.addresses.size(), 1U);
    EXPECT_EQ(found.addresses.front().to_string(), "192.0.2.5/24");
    ASSERT_EQ(found.default_gateways.size(), 1U);
    EXPECT_EQ(found.default_gateways.front().to_string(), "192.0.2.1");

    // The very commands that the check advises free the interface.
    ASSERT_TRUE(ip({"address", "flush", "dev", VethLab::port_interface}));
    ASSERT_TRUE(ip({"link", "add", "br0", "type", "bridge"}));
    ASSERT_TRUE(ip({"link", "set", VethLab::port_interface, "master", "br0"}));
    found = facts();
    EXPECT_THAT(found.addresses, IsEmpty());
    EXPECT_THAT(found.default_gateways, IsEmpty());
    EXPECT_EQ(found.master, "br0");
    ASSERT_TRUE(ip({"link", "set", VethLab::port_interface, "nomaster", "down"}));
    found = facts();
    EXPECT_EQ(found.master, "");
    EXPECT_FALSE(found.up);
}

TEST(MachineProbe, facts_of_this_machine_agree_with_the_process)
{
    const SystemHostProbe probe{"/nonexistent"};
    EXPECT_GT(probe.memory().available_bytes, 64ULL << 20U);
    EXPECT_EQ(probe.cores(), app::allowed_cores());
    EXPECT_EQ(probe.has(app::Capability::net_admin), ::geteuid() == 0);
    EXPECT_FALSE(probe.writable_directory("/nonexistent/folder"));
    EXPECT_TRUE(probe.writable_directory(::testing::TempDir()));
    EXPECT_FALSE(probe.pci_driver("ffff:ff:1f.7").has_value());
}

// A program that passes everything, attached by somebody who is not a sluice.
bool attach_foreign_program()
{
    constexpr std::uint8_t move_to_r0 = BPF_ALU64 | BPF_MOV | BPF_K;
    constexpr std::uint8_t leave = BPF_JMP | BPF_EXIT;
    bpf_insn code[2] = {};
    code[0].code = move_to_r0;
    code[0].imm = XDP_PASS;
    code[1].code = leave;
    const int program = bpf_prog_load(BPF_PROG_TYPE_XDP, "firewall", "GPL", code, 2, nullptr);
    const auto index = static_cast<int>(::if_nametoindex(VethLab::port_interface));
    const bool attached = program >= 0 && bpf_xdp_attach(index, program, 0, nullptr) == 0;
    ::close(program);
    return attached;
}

TEST_F(MachineLab, foreign_xdp_program_is_named_and_left_alone)
{
    VethLab::inside(lab().port_namespace(), [] { ASSERT_TRUE(attach_foreign_program()); });
    const app::InterfaceFacts found = facts();
    EXPECT_EQ(found.xdp, XdpOwner::foreign);
    EXPECT_EQ(found.xdp_name, "firewall");
    Child child{lab().port_namespace(), [&](const Child::Channel&) {
                    auto machine = app::Machine::start(small_machine());
                    ASSERT_TRUE(machine.has_value()) << machine.error().message;
                    const auto opened = EthdevPort::open(options_for(lab(), InterfaceDriver::af_xdp));
                    ASSERT_FALSE(opened.has_value());
                    EXPECT_THAT(opened.error().message, HasSubstr("`firewall`"));
                    EXPECT_EQ(opened.error().remedy, "ip link set dev port0 xdp off");
                }};
    EXPECT_TRUE(child.succeeded());
    EXPECT_EQ(facts().xdp_program, found.xdp_program);
}

TEST_F(MachineLab, running_instance_keeps_its_interface_and_both_machines_run_side_by_side)
{
    Child first{lab().port_namespace(), [&](const Child::Channel& channel) {
                    auto machine = app::Machine::start(small_machine());
                    ASSERT_TRUE(machine.has_value()) << machine.error().message;
                    const std::unique_ptr<EthdevPort> port = open_port(options_for(lab(), InterfaceDriver::af_xdp));
                    ASSERT_TRUE(port);
                    channel.say('r');
                    EXPECT_EQ(receive_numbers(*port, 0, 1), std::vector<std::uint32_t>{5});
                }};
    ASSERT_EQ(first.channel().hear(), 'r');
    const app::InterfaceFacts found = facts();
    EXPECT_EQ(found.xdp, XdpOwner::instance);
    EXPECT_EQ(found.xdp_holder, first.process());
    Child second{lab().port_namespace(), [&](const Child::Channel&) {
                     auto machine = app::Machine::start(small_machine());
                     ASSERT_TRUE(machine.has_value()) << machine.error().message;
                     const auto opened = EthdevPort::open(options_for(lab(), InterfaceDriver::af_xdp));
                     ASSERT_FALSE(opened.has_value());
                     EXPECT_THAT(opened.error().message, HasSubstr("running process"));
                 }};
    EXPECT_TRUE(second.succeeded());
    const RawPeer peer{lab().peer_namespace(), VethLab::peer_interface};
    EXPECT_TRUE(peer.send(frame_of(5)));
    EXPECT_TRUE(first.succeeded());
}

TEST_F(MachineLab, af_packet_spreads_flows_over_two_queues_each_with_its_descriptor)
{
    constexpr std::uint32_t flows = 64;
    Child child{lab().port_namespace(), [&](const Child::Channel& channel) {
                    auto machine = app::Machine::start(small_machine());
                    ASSERT_TRUE(machine.has_value()) << machine.error().message;
                    port::EthdevOptions options = options_for(lab(), InterfaceDriver::af_packet);
                    options.queues = 2;
                    options.receive_buffers = 2048;
                    const std::unique_ptr<EthdevPort> port = open_port(options);
                    ASSERT_TRUE(port);
                    ASSERT_EQ(port->capabilities().receive_queues, 2);
                    EXPECT_NE(port->descriptor(0), port->descriptor(1));
                    channel.say('r');
                    std::array<std::size_t, 2> seen{};
                    for (int idle = 0; idle < 20 && seen[0] + seen[1] < flows;) {
                        for (std::uint16_t queue = 0; queue < 2; ++queue) {
                            packet::Burst burst;
                            const bool readable = is_readable(port->descriptor(queue), 50);
                            const std::size_t got = port->receive(queue, burst);
                            EXPECT_TRUE(readable || got == 0) << "frames in a queue whose descriptor is quiet";
                            idle += got == 0 ? 1 : 0;
                            for (const packet::Packet& frame : burst) {
                                seen[queue] += load16(frame.data() + 12) == 0x0800 ? 1 : 0;
                            }
                        }
                    }
                    EXPECT_EQ(seen[0] + seen[1], flows);
                    EXPECT_GT(seen[0], 0U);
                    EXPECT_GT(seen[1], 0U);
                }};
    ASSERT_EQ(child.channel().hear(), 'r');
    const RawPeer peer{lab().peer_namespace(), VethLab::peer_interface};
    for (std::uint16_t flow = 0; flow < flows; ++flow) {
        std::vector<std::byte> frame = frame_of(0, 60);
        store16(frame.data() + 12, 0x0800);
        std::byte* const ip = frame.data() + 14;
        std::memset(ip, 0, 46);
        ip[0] = std::byte{0x45};
        store16(ip + 2, 46);
        ip[8] = std::byte{64};
        ip[9] = std::byte{17};
        store32(ip + 12, 0xc0000201);
        store32(ip + 16, 0xc0000202);
        store16(ip + 20, static_cast<std::uint16_t>(10'000 + flow));
        store16(ip + 22, 53);
        EXPECT_TRUE(peer.send(frame));
    }
    EXPECT_TRUE(child.succeeded());
}

TEST_F(MachineLab, port_without_free_buffers_counts_it_and_goes_on_when_they_are_back)
{
    constexpr std::uint32_t buffers = 64;
    Child child{lab().port_namespace(), [&](const Child::Channel& channel) {
                    auto machine = app::Machine::start(small_machine());
                    ASSERT_TRUE(machine.has_value()) << machine.error().message;
                    port::EthdevOptions options = options_for(lab(), InterfaceDriver::af_packet);
                    options.receive_buffers = buffers;
                    const std::unique_ptr<EthdevPort> port = open_port(options);
                    ASSERT_TRUE(port);
                    packet::Burst held;
                    channel.say('r');
                    EXPECT_EQ(channel.hear(), 's');
                    port->receive(0, held);
                    ASSERT_EQ(held.size(), buffers);
                    EXPECT_EQ(port->receive_buffers_available(0), 0U);
                    packet::Burst more;
                    EXPECT_EQ(port->receive(0, more), 0U);
                    EXPECT_EQ(port->statistics().receive_starved, 1U);
                    held.clear();
                    EXPECT_EQ(receive_numbers(*port, 0, 20).size(), 20U);
                }};
    ASSERT_EQ(child.channel().hear(), 'r');
    const RawPeer peer{lab().peer_namespace(), VethLab::peer_interface};
    for (std::uint32_t number = 0; number < buffers + 20; ++number) {
        EXPECT_TRUE(peer.send(frame_of(number)));
    }
    child.channel().say('s');
    EXPECT_TRUE(child.succeeded());
}

// memif needs no privileges, only two processes. Frames longer than its buffers arrive in pieces.
TEST(VirtualDevice, memif_pair_carries_frames_in_pieces_and_has_no_descriptor)
{
    constexpr std::size_t long_frame = 4000;
    const std::string socket = ::testing::TempDir() + "sluice-memif-" + std::to_string(::getpid());
    const auto options = [&](const char* role) {
        port::EthdevOptions made;
        made.name = "wire";
        made.index = port_index;
        made.mtu = 4000;
        made.receive_buffers = 2048;
        made.device = port::VirtualDevice{std::string{"net_memif0,role="} + role + ",socket=" + socket +
                                          ",socket-abstract=no,bsize=2048"};
        return made;
    };
    const auto wait_for_link = [](EthdevPort& port, bool up) {
        for (int attempt = 0; attempt < 500 && port.link_up() != up; ++attempt) {
            ::usleep(10'000);
            port.refresh();
        }
        EXPECT_EQ(port.link_up(), up);
    };
    const auto run = [&](const char* role, const Child::Channel& channel) {
        auto machine = app::Machine::start(small_machine());
        ASSERT_TRUE(machine.has_value()) << machine.error().message;
        const app::MachineThread thread;
        EXPECT_TRUE(thread.registered());
        const std::unique_ptr<EthdevPort> port = open_port(options(role));
        ASSERT_TRUE(port);
        channel.say('r');
        wait_for_link(*port, true);
        EXPECT_EQ(port->descriptor(0), -1);
        packet::Burst burst;
        if (role == std::string{"server"}) {
            packet::HeapPool heap{4, long_frame};
            burst.push(packet_of(heap, 9, long_frame));
            burst.push(packet_of(heap, 10, 60));
            send_all(*port, burst);
            EXPECT_EQ(channel.hear(), 'e');
            return;
        }
        for (int attempt = 0; attempt < 500 && burst.size() < 2; ++attempt) {
            ::usleep(10'000);
            port->receive(0, burst);
        }
        ASSERT_EQ(burst.size(), 2U);
        const std::vector<std::byte> expected = frame_of(9, long_frame);
        EXPECT_TRUE(std::equal(expected.begin(), expected.end(), burst[0].bytes().begin(), burst[0].bytes().end()));
        EXPECT_EQ(load32(burst[1].data() + 14), 10U);
        burst.clear();
        channel.say('g');
        // Both ends closing in the same moment would have the driver's own thread take down what ours takes down.
        wait_for_link(*port, false);
    };
    const std::string here = "";
    Child server{here, [&](const Child::Channel& channel) { run("server", channel); }};
    ASSERT_EQ(server.channel().hear(), 'r');
    Child client{here, [&](const Child::Channel& channel) { run("client", channel); }};
    ASSERT_EQ(client.channel().hear(), 'r');
    EXPECT_EQ(client.channel().hear(), 'g');
    server.channel().say('e');
    EXPECT_TRUE(client.succeeded());
    EXPECT_TRUE(server.succeeded());
    ::unlink(socket.c_str());
}

TEST(Machine, start_keeps_the_affinity_and_says_what_it_chose)
{
    Child child{"", [](const Child::Channel&) {
                    const std::vector<unsigned> before = app::allowed_cores();
                    auto machine = app::Machine::start(small_machine());
                    ASSERT_TRUE(machine.has_value()) << machine.error().message;
                    EXPECT_EQ(app::allowed_cores(), before);
                    EXPECT_EQ(machine->summary(), "memory: 128 MiB of 4 KiB pages (hugepages are off)");
                    auto pool = port::DpdkPool::create("test", 1000);
                    ASSERT_TRUE(pool.has_value());
                    EXPECT_EQ((*pool)->available(), 1000U);
                    packet::Packet packet = (*pool)->allocate();
                    ASSERT_TRUE(packet);
                    EXPECT_EQ(packet.headroom(), packet::default_headroom);
                    EXPECT_EQ(packet.tailroom(), packet::default_data_room);
                    packet.reset();
                    EXPECT_EQ((*pool)->available(), 1000U);
                    const auto too_much = port::DpdkPool::create("huge", 1'000'000);
                    ASSERT_FALSE(too_much.has_value());
                    EXPECT_THAT(too_much.error().remedy, HasSubstr("memory: size"));
                }};
    EXPECT_TRUE(child.succeeded());
}

TEST_F(MachineLab, free_hugepages_are_taken_and_af_xdp_works_on_them)
{
    app::MachineOptions options = small_machine();
    options.hugepages = app::HugePageUse::automatic;
    if (SystemHostProbe{""}.memory().free_hugepage_bytes < options.memory_bytes) {
        GTEST_SKIP() << "fewer than 128 MiB of hugepages are free";
    }
    Child child{lab().port_namespace(), [&](const Child::Channel& channel) {
                    auto machine = app::Machine::start(options);
                    ASSERT_TRUE(machine.has_value()) << machine.error().message;
                    EXPECT_TRUE(machine->uses_hugepages()) << machine->summary();
                    const std::unique_ptr<EthdevPort> port = open_port(options_for(lab(), InterfaceDriver::af_xdp));
                    ASSERT_TRUE(port);
                    channel.say('r');
                    EXPECT_EQ(receive_numbers(*port, 0, 1), std::vector<std::uint32_t>{5});
                }};
    ASSERT_EQ(child.channel().hear(), 'r');
    const RawPeer peer{lab().peer_namespace(), VethLab::peer_interface};
    EXPECT_TRUE(peer.send(frame_of(5)));
    EXPECT_TRUE(child.succeeded());
}

} // namespace
} // namespace sluice::lab
