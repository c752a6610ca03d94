// What only the machine can tell: a warning, with --host an error that names the command.
#include "support.hpp"

#include <gtest/gtest.h>

namespace sluice::config::testing {
namespace {

std::string judged(const std::string& text, const FakeHost& host, bool host_errors = true)
{
    Options options;
    options.host = &host;
    options.host_errors = host_errors;
    return summary(load_text(text, options).diagnostics);
}

TEST(Host, MachineThatHasEverything_IsQuiet)
{
    EXPECT_EQ(judged(one_port + "cpu: {forwarders: [0], workers: [1]}\ncontrol: {group: adm}\nlog: {access: {file: "
                                "/var/log/sluice/a}}\n",
                     FakeHost{}),
              "");
}

TEST(Host, FindingWithoutHost_IsAWarningAndTheModelIsThere)
{
    FakeHost host;
    host.interfaces.clear();
    Options options;
    options.host = &host;
    const Loaded loaded = load_text(one_port, options);
    EXPECT_TRUE(loaded.model);
    EXPECT_EQ(summary(loaded.diagnostics), "1:43: warning: there is no interface `eth1` [`ip link show` lists them]\n");
}

TEST(Host, FindingWithStrict_IsAnError)
{
    FakeHost host;
    host.interfaces.clear();
    Options options;
    options.host = &host;
    options.strict = true;
    const Loaded loaded = load_text(one_port, options);
    EXPECT_FALSE(loaded.model);
    EXPECT_EQ(summary(loaded.diagnostics), "1:43: error: there is no interface `eth1` [`ip link show` lists them]\n");
}

TEST(Host, WithoutFacts_NothingIsSaid)
{
    EXPECT_EQ(summary(load_text(one_port + "cpu: {workers: [77]}\n").diagnostics), "");
}

TEST(Host, CoreThatIsNotAllowed_IsNamed)
{
    EXPECT_EQ(judged(one_port + "cpu: {workers: [0, 7]}\n", FakeHost{}),
              "2:20: error: this process may not run on core 7 [allowed: 0, 1; `lscpu -e` lists the cores, `taskset -p "
              "1` and the unit's AllowedCPUs= the mask]\n");
}

TEST(Host, AddressOfTheKernel_IsRefusedWithTheCommandThatTakesItAway)
{
    FakeHost host;
    host.addresses_of_kernel = {"192.0.2.5"};
    EXPECT_EQ(judged(one_port, host),
              "1:43: error: the kernel has the address `192.0.2.5` on `eth1` "
              "[`ip address flush dev eth1` takes it away; `kernel: ignore` starts all the same]\n");
    EXPECT_EQ(judged("ports: [{name: p, device: {interface: eth1, kernel: ignore}}]\n", host), "");
}

TEST(Host, PciDeviceThatIsNotThere_IsNamed)
{
    EXPECT_EQ(judged("ports: [{name: p, device: {pci: \"0000:3b:00.0\"}}]\n", FakeHost{}),
              "1:33: error: there is no PCI device `0000:3b:00.0` [`lspci -D` lists them]\n");
}

TEST(Host, RequiredHugepagesThatAreNotFree_NameTheSysctl)
{
    EXPECT_EQ(judged(one_port + "memory: {hugepages: required, size: 1GiB}\n", FakeHost{}),
              "2:9: error: only 0 MiB of hugepages are free, 1GiB are required [sysctl vm.nr_hugepages=512]\n");
}

TEST(Host, TooLittleMemory_IsSaid)
{
    FakeHost host;
    host.available = 100ULL << 20U;
    EXPECT_EQ(judged(one_port + "memory: {hugepages: off, size: 128MiB}\n", host),
              "2:9: error: only 100 MiB of memory are available, 128MiB are asked for "
              "[`free -m` shows it; a smaller `size` under `memory` will do with fewer flows and connections]\n");
    host.hugepages = 128ULL << 20U;
    EXPECT_EQ(judged(one_port + "memory: {size: 128MiB}\n", host), "") << "free hugepages are used";
}

TEST(Host, GroupAndFolderThatAreNotThere_NameTheCommands)
{
    EXPECT_EQ(judged(one_port + "control: {group: nobody-here}\nlog: {access: {file: /srv/log/a}}\n", FakeHost{}),
              "2:18: error: there is no group `nobody-here` [groupadd --system nobody-here]\n"
              "3:22: error: there is no folder `/srv/log` [mkdir -p /srv/log]\n");
}

TEST(Host, NodeWithoutName_HasTheNameOfTheHost)
{
    const FakeHost host;
    Options options;
    options.host = &host;
    const Loaded unnamed = load_text(one_port, options);
    ASSERT_TRUE(unnamed.model);
    EXPECT_EQ(unnamed.model->node, "testhost");
    EXPECT_NE(print(*unnamed.model).find("node: testhost\n"), std::string::npos);
    const Loaded named = load_text(one_port + "node: lb1\n", options);
    ASSERT_TRUE(named.model);
    EXPECT_EQ(named.model->node, "lb1");
}

} // namespace
} // namespace sluice::config::testing
