// Every key of the file reaches what the data plane uses; records of servers change only when a model is adopted.
#include <sluice/config/load.hpp>
#include <sluice/control/compile.hpp>

#include "unit/config/certificates.hpp"

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace sluice::control {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* whole_file = R"(
ports:
  - name: back
    device: {interface: eth2}
    mtu: 1400
    addresses: [10.0.0.1/24]
    routes: [{to: 10.9.0.0/16, via: 10.0.0.254}]
  - {name: front, device: {interface: eth1}, addresses: [192.0.2.11/24, "2001:db8::11/64"]}
vrrp:
  - name: public
    group: edge
    port: front
    vrid: 51
    priority: 200
    advert_interval: 30ms
    preempt: false
    checksum: rfc9568
    addresses: [192.0.2.100, 192.0.2.110]
    track: [{port: back, weight: -50}, {pool: web}]
  - {name: public6, port: front, vrid: 52, virtual_mac: false, preempt_delay: 7s, checksum: pseudo, addresses: ["fe80::100"]}
services:
  - name: site
    listen: [192.0.2.100:80/tcp, 192.0.2.100:8000-8002/tcp]
    proxy:
      forwarded: {trust: [10.0.0.0/8]}
      timeouts: {handshake: 1s, header: 2s, body: 3s, keepalive: 4s, tunnel: none}
      limits: {header: 16KiB, body: 1MiB}
      tls: {certificates: [{cert: site.crt, key: site.key}], ticket_keys: [tickets.key]}
      routes:
        - match: {host: ["a.example", "*.b.example"], path: {exact: /x}}
          pool: web
          headers: {request: {remove: [A], set: {B: b}, add: {C: c}}, response: {set: {D: d}}}
        - {match: {path: {prefix: /p/}}, redirect: {scheme: https, host: c.example, port: 8443, path: /q, status: 301}}
        - {respond: {status: 418, content_type: text/html, body: tea}}
  - name: dns
    listen: [192.0.2.100:53/udp, 192.0.2.100:5000-5009/udp]
    forward: {method: fullnat, pool: dns, source: [192.0.2.110], timeouts: {tcp: 11s, tcp_fin: 12s, udp: 13s}, no_server: drop, on_server_down: reset}
  - {name: plain, listen: 192.0.2.100:54/udp, forward: {pool: dns}}
  - {name: routed, listen: 192.0.2.11:25/tcp, forward: {method: nat, pool: mail}}
pools:
  - name: web
    balance: twos
    servers: [{address: 10.0.0.21:80, weight: 5, name: one}, {address: 10.0.0.22:80, weight: 0}]
    timeouts: {connect: 100ms, response: 200ms, keepalive: 300ms}
    retries: 4
    health: {http: {path: /h, host: h.example, status: [200-204, 301], port: 81}, interval: 5s, timeout: 400ms, rise: 6, fall: 7}
  - {name: dns, balance: mh, hash_key: address_port, servers: [{address: 10.0.0.53, weight: 3}], health: {udp: {send: "hex:00ff", expect: ok, port: 53}}}
  - {name: mail, balance: rr, servers: [{address: 10.0.0.25:25}], health: {icmp: {}}}
)";

class CompileTest : public testing::Test {
protected:
    CompileTest()
    {
        char name[] = "/tmp/sluice-compile-XXXXXX";
        folder = mkdtemp(name);
        const auto now = std::chrono::system_clock::now();
        const config::testing::KeyPair pair = config::testing::make_certificate(now - 24h, now + 1000h);
        write("site.crt", pair.certificate);
        write("site.key", pair.key);
        write("tickets.key", std::string(80, 'k'));
        registry.server_registry = &servers_;
        registry.address_states = &states_;
        registry.process_ticket_keys = tls::TicketKeys::random();
        registry.workers = 2;
    }
    ~CompileTest() override { std::filesystem::remove_all(folder); }

    void write(const std::string& file, const std::string& text) const
    {
        std::ofstream{folder + "/" + file} << text;
        std::filesystem::permissions(folder + "/" + file,
                                     std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    }
    config::Model model(const std::string& text)
    {
        write("main.yaml", text);
        const config::Loaded loaded = config::load(folder + "/main.yaml", {});
        EXPECT_TRUE(loaded.model) << (loaded.diagnostics.empty() ? "" : format(loaded.diagnostics.front()));
        return *loaded.model;
    }
    std::unique_ptr<Snapshot> compile(const config::Model& model, const Snapshot* previous = nullptr)
    {
        auto snapshot = control::compile(model, {{back_mac, 9000}, {front_mac, 1500}}, registry, previous);
        EXPECT_TRUE(snapshot) << format(snapshot.error().front());
        return std::move(*snapshot);
    }
    std::unique_ptr<Snapshot> compile_whole_file() { return compile(model(whole_file)); }
    health::Server& server(const std::string& pool, const char* address)
    {
        return *registry.servers.at({pool, wire::Endpoint::parse(address).value()}).server;
    }
    std::shared_ptr<const probe::ServerCheck> check(const Snapshot& snapshot, const char* address)
    {
        for (const auto& plan : snapshot.probes) {
            for (const auto& one : plan->checks) {
                if (one->server->address().address.to_string() == address) {
                    return one;
                }
            }
        }
        return nullptr;
    }
    static wire::IpAddress ip(const char* text) { return wire::IpAddress::parse(text).value(); }

    const wire::MacAddress back_mac = wire::MacAddress::from(2, 0, 0, 0, 0, 1);
    const wire::MacAddress front_mac = wire::MacAddress::from(2, 0, 0, 0, 0, 2);
    std::string folder;
    Registry registry;

private:
    l4::ServerRegistry servers_{16};
    neigh::AddressStates states_;
};

TEST_F(CompileTest, Ports_GiveAddressesRoutesAndTheSmallerMtu)
{
    const auto snapshot = compile_whole_file();
    const neigh::Interface& back = *snapshot->neighbours->interface(0);
    EXPECT_EQ(back.mtu, 1400);
    EXPECT_EQ(back.mac, back_mac);
    EXPECT_EQ(back.addresses.front().to_string(), "10.0.0.1/24");
    EXPECT_EQ(snapshot->neighbours->interface(1)->mtu, 1500);
    const auto hop = snapshot->neighbours->routes.lookup(ip("10.9.1.1"));
    ASSERT_TRUE(hop);
    EXPECT_EQ(hop->address, ip("10.0.0.254"));
    EXPECT_EQ(hop->source, ip("10.0.0.1"));
}

TEST_F(CompileTest, VirtualAddresses_HaveTheVirtualMacUnlessSwitchedOff)
{
    const auto snapshot = compile_whole_file();
    const neigh::LocalAddress* v4 = snapshot->neighbours->addresses.find(1, ip("192.0.2.100"));
    ASSERT_NE(v4, nullptr);
    EXPECT_TRUE(v4->is_virtual);
    EXPECT_EQ(v4->mac.to_string(), "00:00:5e:00:01:33");
    EXPECT_EQ(snapshot->neighbours->addresses.find(1, ip("fe80::100"))->mac, front_mac);
    EXPECT_EQ(snapshot->neighbours->addresses.find(0, ip("192.0.2.100")), nullptr);
}

TEST_F(CompileTest, Instance_HasEverythingThatWasWritten)
{
    const auto snapshot = compile_whole_file();
    const vrrp::Member* member = snapshot->vrrp->find("public");
    ASSERT_NE(member, nullptr);
    const vrrp::Parameters& parameters = member->parameters;
    EXPECT_EQ(parameters.group, "edge");
    EXPECT_EQ(parameters.port, 1);
    EXPECT_EQ(parameters.vrid, 51);
    EXPECT_EQ(parameters.priority, 200);
    EXPECT_EQ(parameters.advert_interval, 30ms);
    EXPECT_FALSE(parameters.preempt);
    EXPECT_EQ(parameters.checksum, vrrp::ChecksumMode::rfc9568);
    EXPECT_EQ(parameters.source, ip("192.0.2.11"));
    EXPECT_EQ(parameters.mac().to_string(), "00:00:5e:00:01:33");
    EXPECT_THAT(parameters.addresses, ElementsAre(ip("192.0.2.100"), ip("192.0.2.110")));
    ASSERT_THAT(parameters.tracks, SizeIs(2));
    EXPECT_EQ(parameters.tracks[0].object, (vrrp::TrackedObject{vrrp::TrackedObject::Kind::port, 0}));
    EXPECT_EQ(parameters.tracks[0].weight, -50);
    EXPECT_EQ(parameters.tracks[1].object,
              (vrrp::TrackedObject{vrrp::TrackedObject::Kind::pool, registry.pool_id("web")}));
    EXPECT_FALSE(parameters.tracks[1].weight);
    const vrrp::Parameters& six = snapshot->vrrp->find("public6")->parameters;
    EXPECT_TRUE(six.preempt);
    EXPECT_EQ(six.preempt_delay, 7s);
    EXPECT_EQ(six.checksum, vrrp::ChecksumMode::pseudo);
    EXPECT_TRUE(six.source.is_link_local());
    EXPECT_EQ(six.mac(), front_mac);
}

TEST_F(CompileTest, ProxyService_HasItsListenersLimitsAndTimeouts)
{
    const auto snapshot = compile_whole_file();
    ASSERT_THAT(snapshot->proxy->services, SizeIs(1));
    const proxy::ServicePlan& site = *snapshot->proxy->services[0];
    EXPECT_EQ(site.name, "site");
    std::vector<std::uint16_t> ports;
    for (const wire::Endpoint& endpoint : site.listen) {
        ports.push_back(endpoint.port);
    }
    EXPECT_THAT(ports, ElementsAre(80, 8000, 8001, 8002));
    ASSERT_THAT(site.trusted, SizeIs(1));
    EXPECT_EQ(site.trusted[0].to_string(), "10.0.0.0/8");
    EXPECT_EQ(site.timeouts.handshake, 1s);
    EXPECT_EQ(site.timeouts.header, 2s);
    EXPECT_EQ(site.timeouts.body, 3s);
    EXPECT_EQ(site.timeouts.keepalive, 4s);
    EXPECT_EQ(site.timeouts.tunnel, proxy::no_timeout);
    EXPECT_EQ(site.limits.header_bytes, 16U << 10U);
    EXPECT_EQ(site.limits.body_bytes, 1U << 20U);
    ASSERT_NE(site.tls, nullptr);
    EXPECT_THAT(site.tls->certificates(), SizeIs(1));
}

TEST_F(CompileTest, Routes_HaveWhatTheyMatchAndWhatTheyDo)
{
    const auto snapshot = compile_whole_file();
    const std::vector<proxy::Route>& routes = snapshot->proxy->services[0]->routes;
    ASSERT_THAT(routes, SizeIs(3));
    ASSERT_THAT(routes[0].hosts, SizeIs(2));
    EXPECT_EQ(routes[0].hosts[0].value, "a.example");
    EXPECT_EQ(routes[0].hosts[1].kind, proxy::HostMatch::Kind::wildcard);
    EXPECT_EQ(routes[0].hosts[1].value, ".b.example");
    EXPECT_EQ(routes[0].path.kind, proxy::PathMatch::Kind::exact);
    EXPECT_EQ(routes[0].path.value, "/x");
    EXPECT_EQ(std::get<std::shared_ptr<const proxy::Pool>>(routes[0].action)->name, "web");
    EXPECT_THAT(routes[0].request_headers.remove, ElementsAre("A"));
    EXPECT_EQ(routes[0].request_headers.set[0].value, "b");
    EXPECT_EQ(routes[0].request_headers.add[0].name, "C");
    EXPECT_EQ(routes[0].response_headers.set[0].value, "d");
    EXPECT_EQ(routes[1].path.kind, proxy::PathMatch::Kind::prefix);
    const auto& redirect = std::get<proxy::Redirect>(routes[1].action);
    EXPECT_EQ(redirect.scheme, "https");
    EXPECT_EQ(redirect.host, "c.example");
    EXPECT_EQ(redirect.port, 8443);
    EXPECT_EQ(redirect.path, "/q");
    EXPECT_EQ(redirect.status, 301);
    const auto& respond = std::get<proxy::Respond>(routes[2].action);
    EXPECT_EQ(respond.status, 418);
    EXPECT_EQ(respond.content_type, "text/html");
    EXPECT_EQ(respond.body, "tea");
}

TEST_F(CompileTest, ProxyPool_HasBalanceWeightsTimeoutsAndRetries)
{
    const auto snapshot = compile_whole_file();
    const auto& pool = *std::get<std::shared_ptr<const proxy::Pool>>(snapshot->proxy->services[0]->routes[0].action);
    EXPECT_EQ(pool.balance, proxy::Balance::twos);
    ASSERT_THAT(pool.servers, SizeIs(2));
    EXPECT_EQ(pool.servers[0].weight, 5U);
    EXPECT_EQ(pool.servers[0].identity->name(), "one");
    EXPECT_EQ(pool.servers[1].weight, 0U);
    EXPECT_EQ(pool.servers[1].identity->name(), "10.0.0.22:80");
    EXPECT_EQ(pool.timeouts.connect, 100ms);
    EXPECT_EQ(pool.timeouts.response, 200ms);
    EXPECT_EQ(pool.timeouts.keepalive, 300ms);
    EXPECT_EQ(pool.retries, 4U);
}

TEST_F(CompileTest, ForwardingService_HasMethodSourcesTimeoutsAndWhatHappensWithoutAServer)
{
    const auto snapshot = compile_whole_file();
    const auto found = snapshot->services->classify(ip("192.0.2.100"), wire::protocol::udp, 5009);
    ASSERT_NE(found.service, nullptr);
    EXPECT_EQ(found.service->name, "dns");
    ASSERT_TRUE(found.service->forwarding);
    const l4::Forwarding& forwarding = *found.service->forwarding;
    EXPECT_EQ(forwarding.method, l4::Method::fullnat);
    EXPECT_THAT(forwarding.sources, ElementsAre(ip("192.0.2.110")));
    EXPECT_EQ(forwarding.timeouts.tcp, 11s);
    EXPECT_EQ(forwarding.timeouts.tcp_fin, 12s);
    EXPECT_EQ(forwarding.timeouts.udp, 13s);
    EXPECT_EQ(forwarding.no_server, l4::NoServer::drop);
    EXPECT_EQ(forwarding.on_server_down, l4::OnServerDown::reset);
    EXPECT_EQ(snapshot->services->classify(ip("192.0.2.100"), wire::protocol::udp, 5010).service, nullptr);
    const auto plain = snapshot->services->classify(ip("192.0.2.100"), wire::protocol::udp, 54);
    EXPECT_THAT(plain.service->forwarding->sources, ElementsAre(ip("10.0.0.1"))) << "the port's own";
    EXPECT_EQ(plain.service->forwarding->no_server, l4::NoServer::reject);
    EXPECT_EQ(plain.service->forwarding->on_server_down, l4::OnServerDown::keep);
    const auto routed = snapshot->services->classify(ip("192.0.2.11"), wire::protocol::tcp, 25);
    EXPECT_EQ(routed.service->forwarding->method, l4::Method::nat);
    EXPECT_TRUE(snapshot->services->is_nat_server(ip("10.0.0.25")));
    const auto proxied = snapshot->services->classify(ip("192.0.2.100"), wire::protocol::tcp, 8002);
    ASSERT_NE(proxied.service, nullptr);
    EXPECT_FALSE(proxied.service->forwarding);
}

TEST_F(CompileTest, ForwardingPool_HasBalanceHashKeyAndWeights)
{
    const auto snapshot = compile_whole_file();
    const l4::Pool* dns = snapshot->services->pool({registry.pool_id("dns")});
    ASSERT_NE(dns, nullptr);
    EXPECT_EQ(dns->options.balance, l4::Balance::mh);
    EXPECT_TRUE(dns->options.hash_port);
    ASSERT_THAT(dns->servers, SizeIs(1));
    EXPECT_EQ(dns->servers[0].weight, 3U);
    EXPECT_EQ(snapshot->services->pool({registry.pool_id("mail")})->options.balance, l4::Balance::rr);
}

TEST_F(CompileTest, HealthChecks_AskWhatWasWritten)
{
    const auto snapshot = compile_whole_file();
    const auto web = check(*snapshot, "10.0.0.21");
    ASSERT_NE(web, nullptr);
    EXPECT_EQ(web->target.port, 81);
    const auto& http = std::get<probe::HttpProbe>(web->method);
    EXPECT_EQ(http.path, "/h");
    EXPECT_EQ(http.host, "h.example");
    ASSERT_THAT(http.status, SizeIs(2));
    EXPECT_EQ(http.status[0].last, 204);
    EXPECT_EQ(http.status[1].first, 301);
    EXPECT_EQ(http.tls, nullptr);
    EXPECT_EQ(web->settings, (health::CheckSettings{5s, 400ms, 6, 7}));
    const auto& udp = std::get<probe::UdpProbe>(check(*snapshot, "10.0.0.53")->method);
    EXPECT_EQ(udp.send, std::string("\0\xff", 2));
    EXPECT_EQ(udp.expect, "ok");
    EXPECT_TRUE(std::holds_alternative<probe::IcmpProbe>(check(*snapshot, "10.0.0.25")->method));
    EXPECT_EQ(server("web", "10.0.0.21:80").status(), health::Status::checking);
}

TEST_F(CompileTest, HttpsCheck_HasTlsAndTcpCheckItsPort)
{
    const auto snapshot = compile(model(R"(
ports: [{name: front, device: {interface: eth1}, addresses: [10.0.0.1/24]}]
services: [{name: s, listen: 10.0.0.1:80/tcp, proxy: {routes: [{match: {path: {exact: /}}, pool: a}, {pool: b}]}}]
pools:
  - {name: a, servers: [{address: 10.0.0.21:443}], health: {https: {path: /}}}
  - {name: b, servers: [{address: 10.0.0.22:80}], health: {tcp: {port: 82}}}
)"));
    EXPECT_NE(std::get<probe::HttpProbe>(check(*snapshot, "10.0.0.21")->method).tls, nullptr);
    EXPECT_TRUE(std::holds_alternative<probe::TcpProbe>(check(*snapshot, "10.0.0.22")->method));
    EXPECT_EQ(check(*snapshot, "10.0.0.22")->target.port, 82);
}

TEST_F(CompileTest, CertificateThatWasReplaced_IsReadAgainThoughTheFileDidNotChange)
{
    const config::Model same = model(whole_file);
    const auto first = compile(same);
    const auto now = std::chrono::system_clock::now();
    const config::testing::KeyPair pair = config::testing::make_certificate(now - 24h, now + 2000h);
    write("site.crt", pair.certificate);
    write("site.key", pair.key);
    const auto second = compile(same, first.get());
    EXPECT_NE(first->proxy->services[0]->tls->certificates()[0].fingerprint,
              second->proxy->services[0]->tls->certificates()[0].fingerprint);
}

TEST_F(CompileTest, ModelThatIsNotAdopted_ChangesNoRecord)
{
    const std::string unchecked = R"(
ports: [{name: front, device: {interface: eth1}, addresses: [10.0.0.1/24]}]
services: [{name: s, listen: 10.0.0.1:80/tcp, proxy: {routes: [{pool: a}]}}]
pools: [{name: a, servers: [{address: 10.0.0.21:80, name: old}]}]
)";
    std::string checked = unchecked;
    checked.replace(checked.find("name: old}]"), 11, "name: new}], health: {tcp: {}}");
    const config::Model before = model(unchecked);
    const config::Model after = model(checked);
    const auto first = compile(before);
    adopt(registry, before);
    health::Server& record = server("a", "10.0.0.21:80");
    ASSERT_EQ(record.status(), health::Status::unchecked);

    const auto second = compile(after, first.get());
    EXPECT_EQ(record.status(), health::Status::unchecked) << "it would refuse everything, and nobody would check it";
    EXPECT_EQ(record.name(), "old");
    adopt(registry, after);
    EXPECT_EQ(record.status(), health::Status::up) << "it goes on serving until the first verdict";
    EXPECT_EQ(record.name(), "new");

    // A check whose last verdict comes when it is already gone.
    const auto third = compile(before, second.get());
    adopt(registry, before);
    record.set_status(health::Status::down);
    adopt(registry, before);
    EXPECT_EQ(record.status(), health::Status::unchecked);
    EXPECT_TRUE(record.accepts_new());
}

// The symptom: a reload that renamed a pool answered 503 until the first check.
TEST_F(CompileTest, PoolThatIsRenamed_ServesFromWhatItsServersAreKnownToBe)
{
    const auto named = [&](const std::string& pool, const std::string& port) {
        return model(R"(
ports: [{name: front, device: {interface: eth1}, addresses: [10.0.0.1/24]}]
services: [{name: s, listen: 10.0.0.1:80/tcp, proxy: {routes: [{pool: )" +
                     pool + R"(}]}}]
pools: [{name: )" + pool +
                     ", servers: [{address: 10.0.0.21:" + port + "}], health: {tcp: {}}}]\n");
    };
    const auto first = compile(named("a", "80"));
    ASSERT_EQ(server("a", "10.0.0.21:80").status(), health::Status::checking);
    const auto early = compile(named("b", "80"), first.get());
    EXPECT_EQ(server("b", "10.0.0.21:80").status(), health::Status::checking);
    server("a", "10.0.0.21:80").set_status(health::Status::up);
    const auto second = compile(named("c", "80"), first.get());
    EXPECT_EQ(server("c", "10.0.0.21:80").status(), health::Status::up);
    const auto other = compile(named("d", "81"), first.get());
    EXPECT_EQ(server("d", "10.0.0.21:81").status(), health::Status::checking) << "nobody has checked that port";
}

TEST_F(CompileTest, ServerOfAModelThatWasRefused_IsForgotten)
{
    const config::Model whole = model(whole_file);
    const auto first = compile(whole);
    adopt(registry, whole);
    std::string more = whole_file;
    more.replace(more.find("{address: 10.0.0.25:25}"), 23, "{address: 10.0.0.25:25}, {address: 10.0.0.26:25}");
    static_cast<void>(compile(model(more), first.get()));
    ASSERT_THAT(registry.servers, SizeIs(5));
    forget_unlisted(registry, whole);
    EXPECT_THAT(registry.servers, SizeIs(4));
}

} // namespace
} // namespace sluice::control
