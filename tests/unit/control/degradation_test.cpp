// What `status` calls degraded: every kind, and what it needs to be one.
#include "fake_node.hpp"
#include "model_of.hpp"
#include "unit/config/certificates.hpp"
#include "unit/vrrp/node.hpp"

#include <control/views.hpp>

#include <gmock/gmock.h>

namespace sluice::control {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* pair_file = R"(
node: n
ports: [{name: front, device: {interface: eth1}, addresses: [192.0.2.11/24]}]
vrrp: [{name: public, port: front, vrid: 51, addresses: [192.0.2.100], track: [{pool: web}]}]
services: [{name: site, listen: 192.0.2.100:80/tcp, proxy: {routes: [{pool: web}]}}]
pools: [{name: web, servers: [{address: 192.0.2.21:80}, {address: 192.0.2.22:80}], health: {tcp: {}}}]
)";

class DegradationTest : public testing::Test {
protected:
    DegradationTest()
    {
        node.configuration = model_of(pair_file);
        node.servers.server_registry = &server_registry_;
        for (const config::Server& server : node.configuration.pools[0].servers) {
            health(server).set_status(health::Status::up);
        }
        node.file.model = node.configuration;
        node.core.since_last_turn = 1ms;
        node.time = TimePoint{1000s};
    }

    health::Server& health(const config::Server& server)
    {
        return *node.servers.server("web", "", {server.address->address, server.address->port}, true).server;
    }
    std::vector<std::string> kinds()
    {
        std::vector<std::string> found;
        for (const Degradation& one : degradations(node)) {
            EXPECT_NE(one.what, "");
            found.emplace_back(one.kind);
        }
        return found;
    }
    Degradation only()
    {
        std::vector<Degradation> found = degradations(node);
        EXPECT_EQ(found.size(), 1U);
        return found.empty() ? Degradation{} : found.front();
    }

    /// The node's VRRP is what `self` does from now on.
    void run_instance(vrrp::test::Node& self, std::uint8_t priority)
    {
        node.vrrp = std::make_shared<vrrp::Table>(std::vector{vrrp::test::instance(priority)},
                                                  std::vector<vrrp::TrackedState>{});
        self.manager.replace(node.vrrp, self.now);
        self.start();
    }

    FakeNode node;

private:
    l4::ServerRegistry server_registry_{16};
};

TEST_F(DegradationTest, WellNode_HasNone) { EXPECT_THAT(kinds(), IsEmpty()); }

TEST_F(DegradationTest, Phases_OtherThanRunningAreNamed)
{
    const std::pair<NodePhase, const char*> table[] = {
        {NodePhase::starting, "not_ready"}, {NodePhase::handing_over, "handing_over"}, {NodePhase::standby, "standby"},
        {NodePhase::draining, "stopping"},  {NodePhase::stopping, "stopping"},
    };
    for (const auto& [phase, kind] : table) {
        node.present_phase = phase;
        EXPECT_THAT(kinds(), ElementsAre(kind));
    }
}

TEST_F(DegradationTest, RefusedReload_IsNamedWithItsFirstErrorAndItsTime)
{
    node.reload_before = ReloadReport{};
    node.reload_before->time = WallTime{100s};
    node.reload_before->diagnostics = {{Severity::warning, {"f", 1, 1}, "only a warning", "", {}},
                                       {Severity::error, {"f", 7, 3}, "unknown key", "", {}}};
    EXPECT_EQ(only().kind, "reload_failed");
    EXPECT_THAT(only().what, HasSubstr("f:7:3: unknown key"));
    EXPECT_EQ(only().since, WallTime{100s});
    node.reload_before->applied = true;
    EXPECT_THAT(kinds(), IsEmpty());
}

TEST_F(DegradationTest, FileThatWouldNotStart_IsNamedWithoutAnyReload)
{
    node.file.model.reset();
    node.file.diagnostics = {{Severity::error, {"f", 2, 1}, "there is no pool `x`", "", {}}};
    EXPECT_EQ(only().kind, "file_invalid");
    EXPECT_THAT(only().what, HasSubstr("f:2:1: there is no pool `x`"));
}

TEST_F(DegradationTest, PortWithoutLink_IsNamedSinceItWentDown)
{
    node.port_views.resize(2);
    node.port_views[0].name = "front";
    node.port_views[1].name = "back";
    node.port_views[1].link_up = true;
    telemetry::Event event;
    event.kind = telemetry::EventKind::port;
    event.subject = "front";
    event.to = "down";
    node.events().add(event, WallTime{50s});
    EXPECT_EQ(only().kind, "port_down");
    EXPECT_EQ(only().subject, "front");
    EXPECT_EQ(only().since, WallTime{50s});
}

TEST_F(DegradationTest, PoolWithoutAServer_IsNamedWithTheInstancesThatTrackIt)
{
    const auto& servers = node.configuration.pools[0].servers;
    health(servers[0]).set_status(health::Status::down);
    EXPECT_THAT(kinds(), IsEmpty()) << "one is left";
    health(servers[1]).set_drained(true);
    EXPECT_THAT(kinds(), ElementsAre("pool_without_server", "tracked_failed"));
    EXPECT_EQ(degradations(node)[1].subject, "public");
    node.configuration.vrrp[0].track.clear();
    EXPECT_THAT(kinds(), ElementsAre("pool_without_server"));
}

TEST_F(DegradationTest, Core_IsLateForAMinuteAndStalledAfterASecond)
{
    node.core.since_late = 59s;
    EXPECT_THAT(kinds(), ElementsAre("core_late"));
    node.core.since_late = 61s;
    EXPECT_THAT(kinds(), IsEmpty());
    node.core.since_last_turn = 1001ms;
    EXPECT_THAT(kinds(), ElementsAre("core_stalled"));
}

TEST_F(DegradationTest, Certificate_IsNamedWithinItsLastWeekAndAfterItsEnd)
{
    const auto now = std::chrono::system_clock::now();
    const auto ends_in = [&](std::chrono::hours left) {
        const config::testing::KeyPair pair = config::testing::make_certificate(now - 1000h, now + left);
        tls::ServerOptions options;
        options.certificates.push_back({{"site.crt", pair.certificate}, {"site.key", pair.key}});
        auto service = std::make_shared<proxy::ServicePlan>();
        service->tls = tls::ServerContext::create(options, tls::TicketKeys::random()).value();
        auto plan = std::make_shared<proxy::ProxyPlan>();
        plan->services.push_back(std::move(service));
        node.proxy = std::move(plan);
    };
    ends_in(7 * 24h + 1h);
    EXPECT_THAT(kinds(), IsEmpty());
    ends_in(7 * 24h - 1h);
    EXPECT_EQ(only().kind, "certificate_expires");
    EXPECT_EQ(only().what, "site.crt ends in 6 days");
    ends_in(-1h);
    EXPECT_EQ(only().what, "site.crt has expired");
}

TEST_F(DegradationTest, AnotherActiveNode_IsNamedWhileItIsHeard)
{
    vrrp::test::Node self{std::vector<vrrp::Parameters>{}};
    run_instance(self, 200);
    self.run(1s);
    node.time = self.now;
    EXPECT_THAT(kinds(), IsEmpty());
    self.hear(150, "192.0.2.3");
    EXPECT_EQ(only().kind, "two_actives");
    EXPECT_EQ(only().subject, "public");
    node.time += 46s;
    EXPECT_THAT(kinds(), IsEmpty());
}

// The symptom: after a handback the peer died, and the survivor said that another node was active.
TEST_F(DegradationTest, AnotherActiveNodeOfBeforeTheTakeover_IsNotNamed)
{
    vrrp::test::Node self{std::vector<vrrp::Parameters>{}};
    run_instance(self, 200);
    self.run(1s);
    self.hear(150, "192.0.2.3");
    node.time = self.now;
    ASSERT_EQ(only().kind, "two_actives");
    self.hear(250, "192.0.2.3"); // A better one: it gives way,
    self.run(10s);               // and takes over when that one is silent.
    node.time = self.now;
    EXPECT_THAT(kinds(), IsEmpty());
}

TEST_F(DegradationTest, InstanceThatYieldsForAFault_IsNamed_AHealthyBackupIsNot)
{
    vrrp::test::Node self{std::vector<vrrp::Parameters>{}};
    run_instance(self, 100);
    self.hear(150, "192.0.2.3");
    node.time = self.now;
    EXPECT_THAT(kinds(), IsEmpty());
    self.manager.set_fault(vrrp::NodeFault::worker_stalled, true, self.now);
    EXPECT_EQ(only().kind, "vrrp_fault");
}

TEST_F(DegradationTest, DrainsThatCannotBeKept_AreNamed)
{
    EXPECT_FALSE(node.drained.load("/tmp/sluice-no-such-folder/drains"));
    node.drained.set({"web", {node.configuration.pools[0].servers[0].address->address, 80}, {}, {}, "root", ""},
                     node.servers, [](const Drain&, bool, std::string_view) {});
    EXPECT_THAT(kinds(), ElementsAre("drains_not_kept"));
}

TEST_F(DegradationTest, LogThatCannotBeWritten_IsNamedWithTheReason)
{
    node.log_trouble = "access.log: No space left on device";
    EXPECT_EQ(only().kind, "log_failed");
    EXPECT_THAT(only().what, HasSubstr("No space left"));
}

} // namespace
} // namespace sluice::control
