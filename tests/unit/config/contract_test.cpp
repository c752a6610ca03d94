// The whole file as the manual shows it, read and printed.
#include "support.hpp"

#include <gtest/gtest.h>

namespace sluice::config::testing {
namespace {

const std::string whole_file = R"(version: 1
node: lb1
cpu: {forwarders: [0], workers: [0, 1], idle: adaptive}
memory: {hugepages: auto, size: 512MiB}
ports:
  - name: front
    device: {interface: eth1, driver: af_xdp, kernel: refuse}
    mtu: 1500
    addresses: [192.0.2.11/24, "2001:db8::11/64"]
    routes: [{to: 0.0.0.0/0, via: 192.0.2.1}, {to: "::/0", via: "fe80::1"}]
vrrp:
  - name: public
    group: edge
    port: front
    vrid: 51
    priority: 200
    advert_interval: 100ms
    preempt: true
    preempt_delay: 0s
    addresses: [192.0.2.100, 192.0.2.110]
    track: [{port: front}, {pool: web, weight: -50}]
  - {name: public6, group: edge, port: front, vrid: 51, priority: 200, advert_interval: 100ms, addresses: ["fe80::100", "2001:db8::100"]}
defaults:
  timeouts: {header: 9s, connect: 2s, response: 50s, keepalive: 40s, body: none}
  health: {interval: 3s, timeout: 500ms, rise: 4, fall: 5}
services:
  - name: site
    listen: 192.0.2.100:80/tcp
    proxy:
      forwarded: {trust: [10.0.0.0/8]}
      timeouts: {handshake: 10s, header: 10s, body: 30s, keepalive: 75s, tunnel: 1h}
      limits: {header: 32KiB, body: none}
      routes:
        - {match: {path: {prefix: /.well-known/acme-challenge/}}, pool: web}
        - {match: {host: API.example.org, path: {prefix: /v1/}}, pool: api, headers: {request: {set: {X-Env: prod}, remove: [X-Debug]}}}
        - {match: {host: ["*.example.net"]}, respond: {status: 404, body: "no such \"site\"\n"}}
        - {redirect: {scheme: https, status: 308}}
  - name: site-tls
    listen: ["192.0.2.100:443/tcp", "[2001:db8::100]:443/tcp"]
    proxy:
      tls: {certificates: [{cert: site.crt, key: site.key}], min_version: tls1.2, ticket_keys: [tickets.key]}
      routes: [{pool: web}]
  - name: dns
    listen: ["192.0.2.100:53/udp", "192.0.2.100:53/tcp", 192.0.2.100:8000-8100/udp]
    forward: {method: fullnat, pool: resolvers, source: [192.0.2.110], timeouts: {udp: 200s}, no_server: reject, on_server_down: keep}
pools:
  - name: web
    balance: wrr
    servers:
      - {address: 10.0.0.11:8080, weight: 2}
      - {address: 10.0.0.12:8080, name: web2, weight: 1}
    timeouts: {connect: 1s, response: 60s, keepalive: 60s}
    retries: 1
    health: {http: {path: /healthz, host: example.org, status: [200-299]}, interval: 1s}
  - {name: api, servers: [{address: 10.0.0.21:8080}], health: {tcp: {}}}
  - {name: resolvers, balance: mh, hash_key: address_port, servers: [{address: 10.0.0.53}], health: {udp: {send: "hex:00ff", port: 53}}}
stop: {drain: 5s, timeout: 30s}
control: {socket: /run/sluice/control.sock, group: adm}
admin: {listen: 127.0.0.1:9180}
log: {level: info, to: stderr, access: {file: /var/log/sluice/access.log, format: json}}
)";

TEST(WholeFile, EveryKeyOfTheManual_IsAccepted)
{
    const Loaded loaded = load_text(whole_file);
    EXPECT_EQ(summary(loaded.diagnostics), "");
    ASSERT_TRUE(loaded.model);
    EXPECT_EQ(loaded.files, std::vector<std::string>{"main.yaml"});
}

TEST(WholeFile, Read_GivesTheValues)
{
    const Loaded loaded = load_text(whole_file);
    ASSERT_TRUE(loaded.model);
    const Model& model = *loaded.model;
    EXPECT_EQ(model.node, "lb1");
    EXPECT_EQ(*model.cpu.workers.at(1), 1U);
    EXPECT_EQ(model.memory.size.bytes, 512ULL << 20U);
    EXPECT_EQ(model.ports.at(0).addresses.at(0)->to_string(), "192.0.2.11/24");
    EXPECT_EQ(model.ports.at(0).routes.at(1).via->to_string(), "fe80::1");
    EXPECT_EQ(*model.vrrp.at(0).advert_interval, std::chrono::milliseconds{100});
    EXPECT_EQ(model.vrrp.at(0).track.at(1).weight, -50);
    EXPECT_FALSE(model.vrrp.at(0).track.at(0).weight);
    const Service& site = model.services.at(0);
    EXPECT_EQ(site.listen.at(0)->first_port, 80);
    EXPECT_TRUE(site.proxy->limits.body.unlimited());
    EXPECT_EQ(*site.proxy->routes.at(1).match->host.at(0), "api.example.org");
    EXPECT_EQ(site.proxy->routes.at(1).headers->request.set.at(0).value, "prod");
    EXPECT_EQ(site.proxy->routes.at(2).respond->body, "no such \"site\"\n");
    EXPECT_EQ(site.proxy->routes.at(3).redirect->status, 308U);
    const Service& dns = model.services.at(2);
    EXPECT_EQ(dns.listen.at(2)->last_port, 8100);
    EXPECT_EQ(dns.listen.at(0)->transport, Transport::udp);
    EXPECT_EQ(dns.forward->timeouts.udp, std::chrono::seconds{200});
    EXPECT_EQ(model.pools.at(2).servers.at(0).address->port, 0);
    EXPECT_EQ(model.pools.at(2).health->udp->send.bytes, std::string("\0\xff", 2));
    EXPECT_EQ(model.log.access->file->path, "/var/log/sluice/access.log");
}

TEST(WholeFile, Defaults_StandBetweenBuiltInAndOwnKey)
{
    const Loaded loaded = load_text(whole_file);
    ASSERT_TRUE(loaded.model);
    const Model& model = *loaded.model;
    const Service& own = model.services.at(0);
    const Service& inherits = model.services.at(1);
    EXPECT_EQ(own.proxy->timeouts.header, std::chrono::seconds{10});
    EXPECT_EQ(inherits.proxy->timeouts.header, std::chrono::seconds{9});
    EXPECT_EQ(inherits.proxy->timeouts.keepalive, std::chrono::seconds{40});
    EXPECT_TRUE(inherits.proxy->timeouts.body.unlimited());
    EXPECT_EQ(inherits.proxy->timeouts.handshake, std::chrono::seconds{10}) << "built-in";
    EXPECT_EQ(model.pools.at(0).timeouts.connect, std::chrono::seconds{1});
    EXPECT_EQ(model.pools.at(1).timeouts.connect, std::chrono::seconds{2});
    EXPECT_EQ(model.pools.at(1).timeouts.keepalive, std::chrono::seconds{40});
    EXPECT_EQ(model.pools.at(0).health->interval, std::chrono::seconds{1});
    EXPECT_EQ(model.pools.at(0).health->fall, 5U);
    EXPECT_EQ(model.pools.at(1).health->interval, std::chrono::seconds{3});
}

TEST(WholeFile, Printed_IsValidAndEqual)
{
    const Loaded first = load_text(whole_file);
    ASSERT_TRUE(first.model);
    const std::string printed = print(*first.model);
    const Loaded second = load_text(printed);
    EXPECT_EQ(summary(second.diagnostics), "") << printed;
    ASSERT_TRUE(second.model);
    EXPECT_EQ(*second.model, *first.model) << printed;
    EXPECT_EQ(print(*second.model), printed);
}

TEST(WholeFile, Printed_HasTheDefaultsFilledIn)
{
    const Loaded loaded = load_text(
        one_port + "services: [{name: a, listen: 192.0.2.11:80/tcp, proxy: {routes: [{respond: {}}]}}]\nadmin: {}\n");
    ASSERT_TRUE(loaded.model) << summary(loaded.diagnostics);
    const std::string printed = print(*loaded.model);
    for (const char* line : {"  size: 512MiB\n", "    mtu: 1500\n", "        handshake: 10s\n", "        body: none\n",
                             "  drain: 5s\n", "  listen: 127.0.0.1:9180\n", "            content_type: text/plain\n",
                             "      driver: af_xdp\n", "  level: info\n", "version: 1\n"}) {
        EXPECT_NE(printed.find(line), std::string::npos) << line << "is not in\n" << printed;
    }
}

TEST(WholeFile, Locations_PointAtWhatWasWritten)
{
    const Loaded loaded = load_text(whole_file);
    ASSERT_TRUE(loaded.model);
    const Where& where = loaded.model->vrrp.at(0).vrid.where;
    EXPECT_EQ(where.file, "main.yaml");
    EXPECT_EQ(where.line, 15U);
    EXPECT_EQ(where.column, 11U);
    EXPECT_FALSE(loaded.model->vrrp.at(0).checksum != VrrpChecksum::automatic);
    EXPECT_EQ(loaded.model->services.at(2).forward->pool.where.line, 45U);
}

} // namespace
} // namespace sluice::config::testing
