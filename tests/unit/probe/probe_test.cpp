#include "../proxy/lab.hpp"
#include "../tls/material.hpp"

#include <sluice/health/server.hpp>
#include <sluice/probe/runner.hpp>

#include <gtest/gtest.h>

namespace sluice::probe {
namespace {

using namespace std::chrono_literals;
using health::Reason;
using health::Status;
using proxy::test::Lab;
using proxy::test::Origin;
using proxy::test::Peer;

class Probe : public ::testing::Test, public Environment {
protected:
    Probe()
    {
        runner = std::make_unique<Runner>(RunnerParts{lab.node.loop, lab.node.stack, lab.node.tls_buffers, *this},
                                          RunnerOptions{});
    }
    ~Probe() override
    {
        runner->stop();
        lab.run_for(2s);
        EXPECT_TRUE(runner->idle());
    }

    std::optional<wire::IpAddress> source_for(const wire::IpAddress&) noexcept override { return lab.node.address; }
    std::uint64_t own_drops() noexcept override { return drops; }
    bool port_up(const wire::IpAddress&) noexcept override { return up; }
    bool udp_reserved(const wire::Endpoint&) noexcept override { return false; }
    bool send_udp(const wire::Endpoint& local, const wire::Endpoint& to, Bytes payload) noexcept override
    {
        sent_from = local;
        sent_to = to;
        sent.assign(reinterpret_cast<const char*>(payload.data()), payload.size());
        ++datagrams;
        return can_send;
    }
    bool send_echo(const wire::IpAddress&, const wire::IpAddress& to, std::uint16_t id,
                   std::uint16_t number) noexcept override
    {
        sent_to = {to, 0};
        identifier = id;
        sequence = number;
        ++datagrams;
        return can_send;
    }
    void decided(const ServerCheck&, const health::Decision& decision) noexcept override
    {
        decisions.push_back(decision);
    }

    void check(Method method, std::uint16_t port = 8080)
    {
        auto definition = std::make_shared<ServerCheck>();
        definition->server = server;
        definition->target = {lab.origin.address, port};
        definition->method = std::move(method);
        definition->settings = settings;
        server->set_status(Status::checking);
        ProbePlan plan;
        plan.checks.push_back(definition);
        runner->apply(plan);
    }
    bool decided_within(Duration limit)
    {
        return lab.run_until([&] { return !decisions.empty(); }, limit);
    }
    [[nodiscard]] Reason cause() const { return decisions.back().cause.reason; }
    [[nodiscard]] std::uint64_t inconclusive() const
    {
        std::uint64_t count = 0;
        runner->visit([&](const ServerCheck&, const health::Check& state) { count += state.inconclusive(); });
        return count;
    }

    Lab lab;
    health::CheckSettings settings{.interval = 2s, .timeout = 1s, .rise = 2, .fall = 3};
    std::shared_ptr<health::Server> server = Lab::make_server("web1", {lab.origin.address, 8080});
    std::unique_ptr<Runner> runner;
    std::vector<health::Decision> decisions;
    std::uint64_t drops = 0;
    bool up = true;
    bool can_send = true;
    int datagrams = 0;
    wire::Endpoint sent_from;
    wire::Endpoint sent_to;
    std::string sent;
    std::uint16_t identifier = 0;
    std::uint16_t sequence = 0;
};

TEST_F(Probe, tcp_accepted_server_is_up)
{
    Origin web{lab.origin, 8080};
    check(TcpProbe{});
    EXPECT_FALSE(server->accepts_new());
    EXPECT_FALSE(runner->all_decided());
    ASSERT_TRUE(decided_within(500ms));
    EXPECT_EQ(server->status(), Status::up);
    EXPECT_TRUE(server->accepts_new());
    EXPECT_TRUE(runner->all_decided());
}

TEST_F(Probe, tcp_refused_server_is_down_at_once)
{
    check(TcpProbe{}, 9);
    ASSERT_TRUE(decided_within(500ms));
    EXPECT_EQ(server->status(), Status::down);
    EXPECT_EQ(cause(), Reason::connection_refused);
}

TEST_F(Probe, tcp_no_answer_times_out)
{
    lab.blackhole = lab.origin.address;
    check(TcpProbe{});
    ASSERT_TRUE(decided_within(1500ms));
    EXPECT_EQ(cause(), Reason::connect_timeout);
    EXPECT_NEAR(std::chrono::duration<double>(decisions.back().cause.elapsed).count(), 1.0, 0.05);
}

TEST_F(Probe, http_expected_status_is_up_and_asks_properly)
{
    Origin web{lab.origin, 8080};
    web.answer_each("HTTP/1.1 204 No Content\r\n\r\n");
    HttpProbe probe;
    probe.path = "/healthz";
    probe.host = "example.org";
    check(probe);
    ASSERT_TRUE(decided_within(500ms));
    EXPECT_EQ(server->status(), Status::up);
    EXPECT_TRUE(web.peers.at(0)->received.starts_with("GET /healthz HTTP/1.1\r\nHost: example.org\r\n"));
}

TEST_F(Probe, http_unexpected_status_is_down)
{
    Origin web{lab.origin, 8080};
    web.answer_each("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    check(HttpProbe{});
    ASSERT_TRUE(decided_within(500ms));
    EXPECT_EQ(server->status(), Status::down);
    EXPECT_EQ(cause(), Reason::status_unexpected);
    EXPECT_EQ(decisions.back().cause.status, 503);
}

TEST_F(Probe, http_nonsense_and_silence_are_down)
{
    Origin web{lab.origin, 8080};
    web.answer_each("what?\r\n\r\n");
    check(HttpProbe{});
    ASSERT_TRUE(decided_within(500ms));
    EXPECT_EQ(cause(), Reason::answer_invalid);
}

TEST_F(Probe, http_accepts_but_never_answers)
{
    Origin web{lab.origin, 8080};
    check(HttpProbe{});
    ASSERT_TRUE(decided_within(1500ms));
    EXPECT_EQ(cause(), Reason::answer_timeout);
}

TEST_F(Probe, https_is_probed_without_verification)
{
    Origin plain{lab.origin, 8080};
    plain.answer_each("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    // The proxy itself serves as the TLS server: it answers from a fixed route.
    auto plan = Lab::make_plan({});
    plan->tls = tls::test::server_context(tls::test::options({tls::test::make_certificate({"other.example"})}));
    plan->routes[0].action = proxy::Respond{200, "text/plain", "fine"};
    plan->listen = {{lab.node.address, 443}};
    lab.apply({plan});
    HttpProbe probe;
    probe.tls = tls::test::client_context({.verify = false});
    auto definition = std::make_shared<ServerCheck>();
    definition->server = server;
    definition->target = {lab.node.address, 443};
    definition->method = probe;
    definition->settings = settings;
    ProbePlan checks;
    checks.checks.push_back(definition);
    runner->apply(checks);
    ASSERT_TRUE(decided_within(1500ms));
    EXPECT_EQ(server->status(), Status::up) << health::words(decisions.back().cause);
}

TEST_F(Probe, https_to_a_server_without_tls_is_down)
{
    Origin web{lab.origin, 8080};
    web.on_data = [](Peer& peer) { peer.send("HTTP/1.1 400 Bad Request\r\n\r\n"); };
    HttpProbe probe;
    probe.tls = tls::test::client_context({.verify = false});
    check(probe);
    ASSERT_TRUE(decided_within(1500ms));
    EXPECT_EQ(cause(), Reason::tls_failed);
}

TEST_F(Probe, server_fails_three_times_then_rises_twice)
{
    auto web = std::make_unique<Origin>(lab.origin, 8080);
    check(TcpProbe{});
    ASSERT_TRUE(decided_within(500ms));
    web.reset();
    lab.run_for(3s);
    EXPECT_EQ(server->status(), Status::up); // One or two failures are not enough.
    ASSERT_TRUE(lab.run_until([&] { return server->status() == Status::down; }, 5s));
    web = std::make_unique<Origin>(lab.origin, 8080);
    ASSERT_TRUE(lab.run_until([&] { return server->status() == Status::up; }, 7s));
    EXPECT_EQ(decisions.size(), 3U);
}

TEST_F(Probe, timeout_while_we_dropped_packets_says_nothing)
{
    lab.blackhole = lab.origin.address;
    check(TcpProbe{});
    for (int second = 0; second < 20; ++second) {
        ++drops;
        lab.run_for(500ms);
    }
    EXPECT_TRUE(decisions.empty());
    EXPECT_GE(inconclusive(), 3U);
}

TEST_F(Probe, timeout_noticed_late_says_nothing)
{
    lab.blackhole = lab.origin.address;
    check(TcpProbe{});
    lab.run_for(200ms);
    lab.clock.advance(3s); // The loop stands still.
    lab.run_for(1ms);
    EXPECT_TRUE(decisions.empty());
    EXPECT_EQ(inconclusive(), 1U);
}

TEST_F(Probe, port_down_says_nothing)
{
    up = false;
    check(TcpProbe{});
    lab.run_for(10s);
    EXPECT_TRUE(decisions.empty());
}

TEST_F(Probe, udp_expected_answer_is_up)
{
    check(UdpProbe{.send = "ping", .expect = "po"}, 53);
    ASSERT_TRUE(lab.run_until([&] { return datagrams == 1; }, 500ms));
    EXPECT_EQ(sent, "ping");
    EXPECT_TRUE(flow::local_ports::probes.contains(sent_from.port));
    const std::string answer = "pong";
    runner->udp_received(sent_from.port, {lab.client.address, 53}, std::as_bytes(std::span{answer})); // Somebody else.
    lab.run_for(1ms);
    EXPECT_TRUE(decisions.empty());
    runner->udp_received(sent_from.port, sent_to, std::as_bytes(std::span{answer}));
    ASSERT_TRUE(decided_within(10ms));
    EXPECT_EQ(server->status(), Status::up);
}

TEST_F(Probe, udp_unexpected_unreachable_and_silence_are_down)
{
    check(UdpProbe{.send = "ping", .expect = "pong"}, 53);
    ASSERT_TRUE(lab.run_until([&] { return datagrams == 1; }, 500ms));
    const std::string answer = "nope";
    runner->udp_received(sent_from.port, sent_to, std::as_bytes(std::span{answer}));
    ASSERT_TRUE(decided_within(10ms));
    EXPECT_EQ(cause(), Reason::answer_unexpected);
    ASSERT_TRUE(lab.run_until([&] { return datagrams == 2; }, 3s));
    runner->unreachable(sent_from.port, lab.origin.address);
    lab.run_for(1ms);
    runner->visit([](const ServerCheck&, const health::Check& state) {
        EXPECT_EQ(state.last().reason, Reason::connection_refused);
    });
    lab.run_for(4s);
    runner->visit(
        [](const ServerCheck&, const health::Check& state) { EXPECT_EQ(state.last().reason, Reason::answer_timeout); });
}

TEST_F(Probe, icmp_reply_is_up_wrong_sequence_is_not)
{
    check(IcmpProbe{});
    ASSERT_TRUE(lab.run_until([&] { return datagrams == 1; }, 500ms));
    runner->echo_received(identifier, lab.origin.address, static_cast<std::uint16_t>(sequence + 1));
    lab.run_for(1ms);
    EXPECT_TRUE(decisions.empty());
    runner->echo_received(identifier, lab.origin.address, sequence);
    ASSERT_TRUE(decided_within(10ms));
    EXPECT_EQ(server->status(), Status::up);
}

TEST_F(Probe, could_not_send_says_nothing)
{
    can_send = false;
    check(IcmpProbe{});
    lab.run_for(5s);
    EXPECT_TRUE(decisions.empty());
    EXPECT_GE(datagrams, 2);
}

TEST_F(Probe, reload_keeps_state_and_takes_new_settings)
{
    Origin web{lab.origin, 8080};
    check(TcpProbe{});
    ASSERT_TRUE(decided_within(500ms));
    settings.interval = 200ms;
    auto definition = std::make_shared<ServerCheck>();
    definition->server = server;
    definition->target = {lab.origin.address, 8080};
    definition->method = TcpProbe{};
    definition->settings = settings;
    ProbePlan plan;
    plan.checks.push_back(definition);
    runner->apply(plan);
    EXPECT_TRUE(runner->all_decided());
    lab.run_for(5s);
    EXPECT_GT(web.peers.size(), 10U);
    EXPECT_EQ(decisions.size(), 1U);
}

TEST_F(Probe, check_removed_probing_stops)
{
    Origin web{lab.origin, 8080};
    check(TcpProbe{});
    ASSERT_TRUE(decided_within(500ms));
    runner->apply({});
    lab.run_for(3s);
    EXPECT_TRUE(runner->idle());
    EXPECT_EQ(web.peers.size(), 1U);
    EXPECT_EQ(server->status(), Status::up);
}

TEST_F(Probe, many_probes_do_not_run_out_of_ports)
{
    Origin web{lab.origin, 8080};
    settings.interval = 20ms;
    settings.timeout = 20ms;
    check(TcpProbe{});
    lab.run_for(100s);
    EXPECT_EQ(decisions.size(), 1U);
    EXPECT_EQ(inconclusive(), 0U);
    EXPECT_GT(web.peers.size(), 4000U);
}

TEST(PortSlice, only_ports_of_our_shards_that_no_service_has_are_used)
{
    // Through the runner: every port that a probe used satisfies port mod 64 in the mask.
    Lab lab;
    struct Recorder final : Environment {
        explicit Recorder(Lab& of) : lab{of} {}
        std::optional<wire::IpAddress> source_for(const wire::IpAddress&) noexcept override { return lab.node.address; }
        std::uint64_t own_drops() noexcept override { return 0; }
        bool port_up(const wire::IpAddress&) noexcept override { return true; }
        bool udp_reserved(const wire::Endpoint& local) noexcept override { return local.port == 1091; }
        bool send_udp(const wire::Endpoint& local, const wire::Endpoint&, Bytes) noexcept override
        {
            ports.push_back(local.port);
            return true;
        }
        bool send_echo(const wire::IpAddress&, const wire::IpAddress&, std::uint16_t, std::uint16_t) noexcept override
        {
            return false;
        }
        void decided(const ServerCheck&, const health::Decision&) noexcept override {}
        Lab& lab;
        std::vector<std::uint16_t> ports;
    } environment{lab};
    Runner runner{{lab.node.loop, lab.node.stack, lab.node.tls_buffers, environment},
                  {.ports = {1024, 1300}, .shards = 0b1010, .random_seed = 1}};
    auto definition = std::make_shared<ServerCheck>();
    definition->server = Lab::make_server("dns", {lab.origin.address, 53});
    definition->target = {lab.origin.address, 53};
    definition->method = UdpProbe{.send = "x", .expect = {}};
    definition->settings = {.interval = 20ms, .timeout = 10ms, .rise = 1, .fall = 1};
    ProbePlan plan;
    plan.checks.push_back(definition);
    runner.apply(plan);
    lab.run_for(1s);
    runner.stop();
    lab.run_for(100ms);
    ASSERT_GT(environment.ports.size(), 20U);
    for (const std::uint16_t port : environment.ports) {
        EXPECT_TRUE(port % 64 == 1 || port % 64 == 3) << port;
        EXPECT_TRUE(port >= 1024 && port <= 1300);
        EXPECT_NE(port, 1091) << "a service has it: the answer would go there";
    }
}

} // namespace
} // namespace sluice::probe
