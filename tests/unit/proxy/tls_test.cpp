#include "../tls/material.hpp"
#include "http2_client.hpp"

#include <sluice/health/server.hpp>

namespace sluice::proxy::test {
namespace {

using namespace std::chrono_literals;

class Secure : public ::testing::Test {
protected:
    Secure()
    {
        plan->tls = tls::test::server_context(tls::test::options({tls::test::make_certificate({"example.org"})}));
        plan->listen[0].port = 443;
        web.answer_each(hello);
        lab.apply({plan});
    }

    [[nodiscard]] static std::shared_ptr<const tls::ClientContext> offering(std::vector<std::string> protocols)
    {
        tls::ClientOptions options;
        options.verify = false;
        options.alpn = std::move(protocols);
        return tls::test::client_context(options);
    }

    Lab lab;
    Origin web{lab.origin, 8080};
    std::shared_ptr<ServicePlan> plan = Lab::make_plan({Lab::make_server("web1", web.endpoint())});
};

TEST_F(Secure, http11_over_tls)
{
    const PeerRef client = lab.connect_tls(offering({"http/1.1"}), "example.org");
    client->send("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
    ASSERT_TRUE(lab.run_until([&] { return complete_message(client->received) != 0; }));
    EXPECT_EQ(client->alpn, "http/1.1");
    EXPECT_TRUE(client->received.ends_with("hello"));
    EXPECT_NE(web.peers.at(0)->received.find("X-Forwarded-Proto: https"), std::string::npos);
    EXPECT_TRUE(lab.records.at(0).secure);
}

TEST_F(Secure, large_bodies_both_ways)
{
    const std::string big(3'000'000, 'z');
    web.on_data = [&](Peer& peer) {
        if (complete_message(peer.received) != 0) {
            peer.received.clear();
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + big);
        }
    };
    const PeerRef client = lab.connect_tls(offering({}), "example.org");
    client->send("POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 3000000\r\n\r\n" + big);
    ASSERT_TRUE(lab.run_until([&] { return complete_message(client->received) != 0; }, 60s));
    EXPECT_TRUE(client->received.ends_with(big));
}

TEST_F(Secure, http2_by_alpn)
{
    Http2Client client{lab.connect_tls(offering({"h2", "http/1.1"}), "example.org")};
    const auto id =
        client.request({{":method", "GET"}, {":scheme", "https"}, {":authority", "example.org"}, {":path", "/"}});
    ASSERT_TRUE(lab.run_until([&] { return client.answers[id].over(); }));
    EXPECT_EQ(client.answers[id].body, "hello");
    EXPECT_EQ(client.peer->alpn, "h2");
}

TEST_F(Secure, idle_connection_holds_no_blocks)
{
    const PeerRef client = lab.connect_tls(offering({}), "example.org");
    client->send("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
    ASSERT_TRUE(lab.run_until([&] { return complete_message(client->received) != 0; }));
    lab.run_for(10ms);
    EXPECT_EQ(lab.worker->usage().blocks, 0U);
    EXPECT_EQ(lab.node.tls_buffers.lent(), 0U);
}

TEST_F(Secure, bytes_behind_the_end_of_the_session_are_no_request_and_no_body)
{
    const std::string smuggled = "GET /smuggled HTTP/1.1\r\nHost: example.org\r\n\r\n";
    for (const std::string request : {"POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 4\r\n\r\nbody",
                                      "POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 400\r\n\r\nbody"}) {
        const PeerRef client = lab.connect_tls(offering({"http/1.1"}), "example.org");
        client->send(request);
        client->end_session_and_send(smuggled);
        lab.run_for(3s);
        EXPECT_EQ(lab.worker->usage().client_connections, 0U);
        lab.run_for(100ms);
    }
    for (const PeerRef& peer : web.peers) {
        EXPECT_EQ(peer->received.find("smuggled"), std::string::npos) << peer->received;
    }
    EXPECT_EQ(lab.records.size(), 2U);
}

TEST_F(Secure, plain_http_on_a_tls_listener_400_and_closed)
{
    const PeerRef client = lab.connect(443);
    client->send("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
    ASSERT_TRUE(lab.run_until([&] { return client->ended; }));
    EXPECT_TRUE(client->received.starts_with("HTTP/1.1 400 ")) << client->received;
    EXPECT_FALSE(client->was_reset);
    EXPECT_EQ(lab.records.at(0).outcome, Outcome::plain_http_on_tls);
    client->close();
    lab.run_for(3s);
    EXPECT_EQ(lab.worker->usage().client_connections, 0U);
}

TEST_F(Secure, handshake_that_never_ends_is_given_up)
{
    const PeerRef client = lab.connect(443);
    lab.run_for(9s);
    EXPECT_FALSE(client->ended);
    lab.run_for(2s);
    EXPECT_TRUE(client->ended);
    EXPECT_EQ(lab.worker->usage().client_connections, 0U);
}

class SecureCounters : public Secure {
protected:
    [[nodiscard]] std::uint64_t count(telemetry::Counter counter) const { return lab.node.counters.get(counter); }
    /// Exactly one handshake has failed, for this reason.
    void expect_failed(telemetry::Counter reason) const
    {
        using telemetry::Counter;
        EXPECT_EQ(count(Counter::tls_handshakes), 0U);
        EXPECT_EQ(count(Counter::tls_handshakes_failed), 1U);
        for (const Counter each :
             {Counter::tls_failed_not_tls, Counter::tls_failed_nothing_shared, Counter::tls_failed_alert,
              Counter::tls_failed_timeout, Counter::tls_failed_closed, Counter::tls_failed_other}) {
            EXPECT_EQ(count(each), each == reason ? 1U : 0U) << telemetry::text(each).name;
        }
    }
};

TEST_F(SecureCounters, handshakes_and_resumptions_are_counted)
{
    const auto context = offering({});
    tls::Session session;
    for (std::uint64_t number = 1; number <= 3; ++number) {
        const PeerRef client = lab.connect_tls(context, "example.org", 443, session);
        client->send("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
        ASSERT_TRUE(lab.run_until([&] { return complete_message(client->received) != 0; }));
        session = client->session();
        EXPECT_EQ(count(telemetry::Counter::tls_handshakes), number);
        EXPECT_EQ(count(telemetry::Counter::tls_resumptions), number - 1);
    }
    EXPECT_EQ(count(telemetry::Counter::tls_handshakes_failed), 0U);
}

TEST_F(SecureCounters, plain_http_is_an_outcome_and_no_handshake)
{
    const PeerRef client = lab.connect(443);
    client->send("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
    ASSERT_TRUE(lab.run_until([&] { return client->ended; }));
    EXPECT_EQ(count(telemetry::Counter::tls_handshakes), 0U);
    EXPECT_EQ(count(telemetry::Counter::tls_handshakes_failed), 0U);
    EXPECT_EQ(lab.worker->outcomes().get(Outcome::plain_http_on_tls), 1U);
}

TEST_F(SecureCounters, other_protocol_is_counted_as_not_tls)
{
    const PeerRef client = lab.connect(443);
    client->send("\x7f"
                 "ELF and no protocol at all");
    ASSERT_TRUE(lab.run_until([&] { return client->ended; }));
    expect_failed(telemetry::Counter::tls_failed_not_tls);
}

TEST_F(SecureCounters, old_version_alone_is_counted_as_nothing_shared)
{
    tls::ServerOptions strict = tls::test::options({tls::test::make_certificate({"example.org"})});
    strict.min_version = tls::Version::tls1_3;
    plan->tls = tls::test::server_context(strict);
    tls::ClientOptions old;
    old.verify = false;
    old.max_version = tls::Version::tls1_2;
    const PeerRef client = lab.connect_tls(tls::test::client_context(old), "example.org");
    ASSERT_TRUE(lab.run_until([&] { return client->ended; }));
    lab.run_for(10ms);
    expect_failed(telemetry::Counter::tls_failed_nothing_shared);
}

TEST_F(SecureCounters, client_that_rejects_the_certificate_is_counted_as_alert)
{
    // It trusts what the system trusts.
    const PeerRef client = lab.connect_tls(tls::test::client_context({.verify = true}), "example.org");
    ASSERT_TRUE(lab.run_until([&] { return client->ended; }));
    EXPECT_TRUE(client->secure_failed);
    lab.run_for(10ms);
    expect_failed(telemetry::Counter::tls_failed_alert);
}

TEST_F(SecureCounters, silent_client_is_counted_as_timeout)
{
    const PeerRef client = lab.connect(443);
    lab.run_for(11s);
    EXPECT_TRUE(client->ended);
    expect_failed(telemetry::Counter::tls_failed_timeout);
}

TEST_F(SecureCounters, client_that_goes_away_is_counted_as_closed)
{
    const PeerRef client = lab.connect(443);
    client->finish();
    lab.run_for(1s);
    expect_failed(telemetry::Counter::tls_failed_closed);
}

TEST_F(SecureCounters, client_that_resets_is_counted_as_closed)
{
    const PeerRef client = lab.connect(443);
    lab.run_for(10ms); // accepted
    client->reset();
    lab.run_for(1s);
    expect_failed(telemetry::Counter::tls_failed_closed);
}

TEST_F(Secure, client_closes_orderly_leaves_nothing)
{
    const PeerRef client = lab.connect_tls(offering({}), "example.org");
    client->send("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n");
    ASSERT_TRUE(lab.run_until([&] { return complete_message(client->received) != 0; }));
    client->finish();
    ASSERT_TRUE(lab.run_until([&] { return client->ended; }));
    lab.run_for(3s);
    EXPECT_EQ(lab.worker->usage().client_connections, 0U);
}

} // namespace
} // namespace sluice::proxy::test
