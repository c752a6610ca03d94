#include "app/configuration_host.hpp"

#include <sluice/app/machine_check.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <set>

namespace sluice::app {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr std::uint64_t mebibyte = 1ULL << 20U;

struct FakeHost final : HostProbe {
    std::map<std::string, InterfaceFacts> interfaces{{"eth1", {.up = true, .mtu = 1500}}};
    std::set<Capability> capabilities{Capability::net_admin, Capability::net_raw, Capability::ipc_lock,
                                      Capability::sys_admin};
    std::uint64_t lockable = 8 * mebibyte;
    MemoryFacts memory_facts{0, 2 * mebibyte, 4096 * mebibyte};
    std::map<std::string, std::string> nics;
    bool writable = true;

    [[nodiscard]] std::optional<InterfaceFacts> interface(const std::string& name) const override
    {
        const auto found = interfaces.find(name);
        return found == interfaces.end() ? std::nullopt : std::optional{found->second};
    }
    [[nodiscard]] std::vector<std::string> interface_names() const override
    {
        std::vector<std::string> names;
        for (const auto& [name, facts] : interfaces) {
            names.push_back(name);
        }
        return names;
    }
    [[nodiscard]] MemoryFacts memory() const override { return memory_facts; }
    [[nodiscard]] bool has(Capability capability) const override { return capabilities.count(capability) == 1; }
    [[nodiscard]] std::uint64_t lock_limit() const override { return lockable; }
    [[nodiscard]] std::vector<unsigned> cores() const override { return {0, 1, 3}; }
    [[nodiscard]] bool writable_directory(const std::string&) const override { return writable; }
    [[nodiscard]] std::optional<std::string> pci_driver(const std::string& address) const override
    {
        const auto found = nics.find(address);
        return found == nics.end() ? std::nullopt : std::optional{found->second};
    }
};

PortRequest on(const std::string& interface, port::InterfaceDriver driver = port::InterfaceDriver::af_xdp)
{
    return {.name = "front", .device = port::InterfaceDevice{interface, driver}};
}

class MachineCheck : public ::testing::Test {
protected:
    MachineReport check() const { return check_machine(request, host); }
    // The one error that a case is about.
    MachineError only_error() const
    {
        const MachineReport report = check();
        EXPECT_EQ(report.errors.size(), 1U);
        for (const MachineError& error : report.errors) {
            EXPECT_FALSE(error.remedy.empty()) << error.message;
        }
        return report.errors.empty() ? MachineError{} : report.errors.front();
    }

    FakeHost host;
    MachineRequest request{.ports = {on("eth1")}, .cores = {0, 1}};
};

TEST_F(MachineCheck, free_interface_and_enough_of_everything_has_nothing_to_say)
{
    EXPECT_THAT(check().errors, IsEmpty());
    EXPECT_THAT(check().warnings, IsEmpty());
}

TEST_F(MachineCheck, missing_interface_names_those_that_exist)
{
    request.ports = {on("eth9")};
    host.interfaces["eth2"] = {};
    EXPECT_EQ(only_error().message, "port front: there is no interface eth9; there are eth1, eth2");
    EXPECT_EQ(only_error().remedy, "ip link show");
}

TEST_F(MachineCheck, loopback_interface_is_refused)
{
    host.interfaces["eth1"].loopback = true;
    EXPECT_THAT(only_error().message, HasSubstr("loopback"));
}

TEST_F(MachineCheck, two_ports_on_one_interface_are_refused)
{
    request.ports.push_back(on("eth1"));
    EXPECT_THAT(only_error().message, HasSubstr("already taken"));
}

TEST_F(MachineCheck, kernel_address_is_refused_with_the_command_that_frees_the_interface)
{
    host.interfaces["eth1"].addresses = {*wire::Prefix::parse("192.0.2.5/24"), *wire::Prefix::parse("fe80::1/64")};
    EXPECT_THAT(only_error().message, HasSubstr("192.0.2.5/24, fe80::1/64"));
    EXPECT_THAT(only_error().remedy,
                StartsWith("ip address flush dev eth1 && sysctl -w net.ipv6.conf.eth1.disable_ipv6=1"));
    EXPECT_THAT(only_error().remedy, HasSubstr("kernel: ignore"));
}

TEST_F(MachineCheck, automatic_link_local_address_needs_only_ipv6_off)
{
    host.interfaces["eth1"].addresses = {*wire::Prefix::parse("fe80::1/64")};
    EXPECT_THAT(only_error().remedy, StartsWith("sysctl -w net.ipv6.conf.eth1.disable_ipv6=1"));
}

TEST_F(MachineCheck, default_route_is_refused_in_its_family)
{
    host.interfaces["eth1"].default_gateways = {*wire::IpAddress::parse("192.0.2.1")};
    EXPECT_THAT(only_error().message, HasSubstr("via 192.0.2.1"));
    EXPECT_THAT(only_error().remedy, StartsWith("ip route del default dev eth1"));
    host.interfaces["eth1"].default_gateways = {*wire::IpAddress::parse("fe80::9")};
    EXPECT_THAT(only_error().remedy, StartsWith("ip -6 route del default dev eth1"));
}

TEST_F(MachineCheck, bridge_member_is_refused_with_the_bridge_named)
{
    host.interfaces["eth1"].master = "br0";
    EXPECT_EQ(only_error().message, "port front: eth1 is a member of br0");
    EXPECT_THAT(only_error().remedy, StartsWith("ip link set dev eth1 nomaster"));
}

TEST_F(MachineCheck, what_the_kernel_does_is_only_a_warning_when_it_is_to_be_ignored)
{
    host.interfaces["eth1"].addresses = {*wire::Prefix::parse("192.0.2.5/24")};
    host.interfaces["eth1"].default_gateways = {*wire::IpAddress::parse("192.0.2.1")};
    request.ports.front().ignore_kernel = true;
    EXPECT_THAT(check().errors, IsEmpty());
    EXPECT_EQ(check().warnings.size(), 2U);
}

TEST_F(MachineCheck, interface_that_is_down_is_a_warning)
{
    host.interfaces["eth1"].up = false;
    EXPECT_THAT(check().errors, IsEmpty());
    ASSERT_EQ(check().warnings.size(), 1U);
    EXPECT_EQ(check().warnings.front().remedy, "ip link set dev eth1 up");
}

TEST_F(MachineCheck, xdp_program_is_judged_by_its_owner)
{
    InterfaceFacts& facts = host.interfaces["eth1"];
    facts.xdp_program = 42;
    facts.xdp_name = "firewall";
    facts.xdp = XdpOwner::left_behind;
    EXPECT_THAT(check().errors, IsEmpty());
    facts.xdp = XdpOwner::foreign;
    EXPECT_THAT(only_error().message, HasSubstr("(42, `firewall`)"));
    EXPECT_THAT(only_error().remedy, HasSubstr("ip link set dev eth1 xdp off"));
    facts.xdp = XdpOwner::instance;
    facts.xdp_holder = 777;
    EXPECT_THAT(only_error().message, HasSubstr("process 777"));
    request.ports = {on("eth1", port::InterfaceDriver::af_packet)};
    EXPECT_THAT(check().errors, IsEmpty()) << "AF_PACKET does not mind";
}

TEST_F(MachineCheck, jumbo_frames_fit_neither_driver_of_interfaces)
{
    request.ports.front().mtu = 9000;
    EXPECT_THAT(only_error().message, HasSubstr("at most 3480 bytes, not 9000"));
    request.ports = {on("eth1", port::InterfaceDriver::af_packet)};
    request.ports.front().mtu = 3000;
    EXPECT_THAT(only_error().message, HasSubstr("at most 1500 bytes, not 3000"));
    EXPECT_THAT(only_error().remedy, HasSubstr("af_xdp"));
}

TEST_F(MachineCheck, missing_capabilities_are_named_together_as_the_driver_needs_them)
{
    host.capabilities.clear();
    host.lockable = 1024 * mebibyte;
    EXPECT_EQ(only_error().message, "AF_XDP ports need CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN");
    request.ports = {on("eth1", port::InterfaceDriver::af_packet)};
    EXPECT_EQ(only_error().message, "AF_PACKET ports need CAP_NET_ADMIN, CAP_NET_RAW");
    request.ports = {{.name = "m", .device = port::VirtualDevice{"net_memif0"}}};
    EXPECT_THAT(check().errors, IsEmpty());
}

TEST_F(MachineCheck, low_lock_limit_matters_to_interfaces_without_ipc_lock)
{
    EXPECT_THAT(check().errors, IsEmpty());
    host.capabilities.erase(Capability::ipc_lock);
    EXPECT_THAT(only_error().remedy, HasSubstr("LimitMEMLOCK=infinity"));
    request.ports = {on("eth1", port::InterfaceDriver::af_packet)};
    EXPECT_THAT(only_error().message, HasSubstr("lock 16 MiB"));
    host.lockable = 16 * mebibyte;
    EXPECT_THAT(check().errors, IsEmpty());
    request.ports.push_back(on("eth2"));
    host.interfaces["eth2"].up = true;
    EXPECT_THAT(only_error().message, HasSubstr("lock 40 MiB"));
}

TEST_F(MachineCheck, required_hugepages_that_are_missing_are_counted)
{
    request.hugepages = HugePageUse::required;
    request.memory_bytes = 101 * mebibyte;
    host.memory_facts.free_hugepage_bytes = 20 * mebibyte;
    EXPECT_EQ(only_error().message, "101 MiB of hugepages are required, 20 MiB are free");
    EXPECT_THAT(only_error().remedy, HasSubstr("+41))")) << "81 MiB in pages of 2 MiB";
    host.memory_facts.free_hugepage_bytes = 101 * mebibyte;
    EXPECT_THAT(check().errors, IsEmpty());
    host.memory_facts = {0, 0, 4096 * mebibyte};
    EXPECT_THAT(only_error().message, HasSubstr("this kernel has none"));
}

TEST_F(MachineCheck, memory_that_is_not_there_is_refused_unless_hugepages_supply_it)
{
    host.memory_facts.available_bytes = 300 * mebibyte;
    EXPECT_EQ(only_error().message, "`memory: size` is 512 MiB, but only 300 MiB are available");
    host.memory_facts.free_hugepage_bytes = 512 * mebibyte;
    EXPECT_THAT(check().errors, IsEmpty());
    request.hugepages = HugePageUse::off;
    EXPECT_EQ(check().errors.size(), 1U);
}

TEST_F(MachineCheck, cores_that_the_process_may_not_use_are_listed_once)
{
    request.cores = {0, 2, 2, 7};
    EXPECT_EQ(only_error().message, "core 2, 7 is not available to this process; 0, 1, 3 are");
}

TEST_F(MachineCheck, runtime_directory_must_be_writable)
{
    host.writable = false;
    EXPECT_EQ(only_error().message, "cannot write to /run/sluice");
}

TEST_F(MachineCheck, nic_must_exist_and_be_bound_to_a_driver_for_user_space)
{
    request.ports = {{.name = "front", .device = port::PciDevice{"0000:3b:00.0"}}};
    EXPECT_THAT(only_error().message, HasSubstr("no PCI device 0000:3b:00.0"));
    host.nics["0000:3b:00.0"] = "ixgbe";
    EXPECT_THAT(only_error().message, HasSubstr("kernel driver ixgbe"));
    EXPECT_EQ(only_error().remedy, "dpdk-devbind.py --bind=vfio-pci 0000:3b:00.0");
    host.nics["0000:3b:00.0"] = "vfio-pci";
    EXPECT_THAT(check().errors, IsEmpty());
}

TEST_F(MachineCheck, everything_that_is_wrong_is_reported_at_once)
{
    request.ports = {on("eth9"), on("eth1")};
    request.cores = {9};
    request.memory_bytes = 1U << 31U;
    host.memory_facts.available_bytes = 1 * mebibyte;
    host.interfaces["eth1"].master = "bond0";
    host.writable = false;
    EXPECT_EQ(check().errors.size(), 5U);
}

TEST(ConfigurationHost, answers_what_the_probe_of_the_machine_found)
{
    FakeHost probe;
    probe.interfaces["eth1"].addresses = {*wire::Prefix::parse("fe80::1/64"), *wire::Prefix::parse("192.0.2.1/24")};
    probe.memory_facts = {16 * mebibyte, 2 * mebibyte, 4096 * mebibyte};
    probe.nics["0000:01:00.0"] = "";
    const ConfigurationHost host{probe};
    EXPECT_THAT(host.cores(), ElementsAre(0, 1, 3));
    EXPECT_TRUE(host.has_interface("eth1"));
    EXPECT_FALSE(host.has_interface("eth2"));
    EXPECT_THAT(host.kernel_addresses("eth1"), ElementsAre("192.0.2.1"));
    EXPECT_THAT(host.kernel_addresses("eth2"), IsEmpty());
    EXPECT_TRUE(host.has_pci_device("0000:01:00.0"));
    EXPECT_FALSE(host.has_pci_device("0000:02:00.0"));
    EXPECT_EQ(host.available_memory(), 4096 * mebibyte);
    EXPECT_EQ(host.free_hugepages(), 16 * mebibyte);
    EXPECT_TRUE(host.has_group("root"));
    EXPECT_FALSE(host.has_group("no-such-group"));
    EXPECT_TRUE(host.has_folder("/proc"));
    EXPECT_FALSE(host.has_folder("/proc/version"));
    EXPECT_NE(host.host_name(), "");
}

} // namespace
} // namespace sluice::app
