// What a reload refuses by name, because only a restart can change it, and what it does not.
#include "model_of.hpp"

#include <sluice/control/compile.hpp>

#include <gmock/gmock.h>

namespace sluice::control {
namespace {

constexpr const char* running = R"(
node: n
cpu: {forwarders: [0], workers: [1]}
memory: {size: 512MiB}
ports:
  - {name: front, device: {interface: eth1}, mtu: 1500, addresses: [192.0.2.11/24], routes: [{to: 0.0.0.0/0, via: 192.0.2.1}]}
  - {name: back, device: {interface: eth2}, addresses: [10.0.0.11/24]}
vrrp: [{name: public, port: front, vrid: 51, addresses: [192.0.2.100]}]
services: [{name: site, listen: 192.0.2.100:80/tcp, proxy: {routes: [{pool: web}]}}]
pools: [{name: web, servers: [{address: 10.0.0.21:80}]}]
stop: {drain: 5s}
control: {socket: /run/sluice/control.sock}
admin: {listen: 127.0.0.1:9180}
log: {level: info}
)";

struct Row {
    const char* from;
    const char* to;
    const char* refused; ///< What the error names; empty: a reload will do
};

TEST(NeedsRestart, Table)
{
    const Row table[] = {
        {"node: n", "node: m", "`node` cannot"},
        {"workers: [1]", "workers: [0, 1]", "`cpu` cannot"},
        {"workers: [1]", "workers: [1], idle: poll", "`cpu` cannot"},
        {"size: 512MiB", "size: 1GiB", "`memory` cannot"},
        {"size: 512MiB", "size: 512MiB, hugepages: off", "`memory` cannot"},
        {"interface: eth1", "interface: eth3", "`device` of port `front` cannot"},
        {"interface: eth1", "interface: eth1, driver: af_packet", "`device` of port `front` cannot"},
        {"interface: eth1", "interface: eth1, queues: 2", "`device` of port `front` cannot"},
        {"mtu: 1500", "mtu: 9000", "`mtu` of port `front` cannot"},
        {"name: back", "name: rear", "(`rear` is new) cannot"},
        {"  - {name: back, device: {interface: eth2}, addresses: [10.0.0.11/24]}\n", "", "(`back` is gone) cannot"},
        {"control.sock", "other.sock", "`control` cannot"},
        {"control: {", "control: {group: adm, ", "`control` cannot"},
        {"192.0.2.11/24", "192.0.2.12/24", ""},
        {"via: 192.0.2.1}", "via: 192.0.2.2}", ""},
        {"vrid: 51", "vrid: 52, priority: 200, advert_interval: 10ms", ""},
        {"192.0.2.100:80/tcp", "192.0.2.100:81/tcp", ""},
        {"10.0.0.21:80", "10.0.0.22:80", ""},
        {"drain: 5s", "drain: 6s", ""},
        {"127.0.0.1:9180", "127.0.0.1:9181", ""},
        {"level: info", "level: warn, access: {file: /tmp/access.log}", ""},
    };
    for (const Row& row : table) {
        std::string text = replaced(running, row.from, row.to);
        if (std::string_view{row.refused}.find("gone") != std::string_view::npos) {
            text = replaced(text, "10.0.0.21", "192.0.2.21"); // Reached through the port that stays.
        }
        const Diagnostics found = needs_restart(model_of(running), model_of(text));
        if (*row.refused == '\0') {
            EXPECT_TRUE(found.empty()) << row.to << ": " << found.front().message;
            continue;
        }
        ASSERT_FALSE(found.empty()) << row.to;
        EXPECT_THAT(found.front().message, testing::HasSubstr(row.refused)) << row.to;
        EXPECT_EQ(found.front().severity, Severity::error);
        EXPECT_NE(found.front().hint, "");
    }
}

TEST(NeedsRestart, EverythingAtOnce_IsNamedAtOnce)
{
    std::string text = replaced(running, "node: n", "node: m");
    text = replaced(text, "workers: [1]", "workers: [0]");
    text = replaced(text, "size: 512MiB", "size: 1GiB");
    text = replaced(text, "control.sock", "other.sock");
    text = replaced(text, "eth2", "eth4");
    EXPECT_EQ(needs_restart(model_of(running), model_of(text)).size(), 5U);
}

TEST(NeedsRestart, PortsInAnotherOrder_AreRefused)
{
    config::Model other = model_of(running);
    std::swap(other.ports[0], other.ports[1]);
    const Diagnostics found = needs_restart(model_of(running), other);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_THAT(found.front().message, testing::HasSubstr("the order of ports"));
}

} // namespace
} // namespace sluice::control
