// Every row of the table of answers that the proxy gives.
#include "lab.hpp"

#include <sluice/health/server.hpp>

#include <gtest/gtest.h>

namespace sluice::proxy::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

class Answers : public ::testing::Test {
protected:
    void serve() { lab.apply({plan}); }

    /// The answer to one request on a connection of its own; `client` stays for a look at its end.
    std::string answer_to(const std::string& request, Duration limit = 10s)
    {
        client = lab.connect();
        client->send(request);
        lab.run_until([&] { return complete_message(client->received) != 0 || client->ended; }, limit);
        lab.run_for(1ms);
        return client->received;
    }

    [[nodiscard]] const AccessRecord& record() const { return lab.records.at(0); }

    Lab lab;
    PeerRef client;
    Origin web{lab.origin, 8080};
    Origin other{lab.origin, 8081};
    std::shared_ptr<health::Server> web_server = Lab::make_server("web1", web.endpoint());
    std::shared_ptr<health::Server> other_server = Lab::make_server("web2", other.endpoint());
    std::shared_ptr<health::Server> closed_server = Lab::make_server("closed", {lab.origin.address, 9});
    std::shared_ptr<ServicePlan> plan = Lab::make_plan({web_server});
};

TEST_F(Answers, no_route_matches_404)
{
    plan->routes[0].path = {PathMatch::Kind::exact, "/only"};
    serve();
    EXPECT_TRUE(answer_to(get).starts_with("HTTP/1.1 404 Not Found\r\n"));
    EXPECT_EQ(record().outcome, Outcome::no_route);
    EXPECT_FALSE(client->ended);
}

TEST_F(Answers, redirect_of_a_client_that_names_no_host_leads_to_our_address)
{
    plan->routes[0].action = Redirect{{}, {}, "/new", 0, 308};
    serve();
    const std::string expected = "Location: http://" + lab.node.address.to_string() + "/new\r\n";
    EXPECT_NE(answer_to("GET / HTTP/1.0\r\n\r\n").find(expected), std::string::npos) << client->received;
}

TEST_F(Answers, no_healthy_server_503)
{
    web_server->set_status(health::Status::down);
    serve();
    EXPECT_TRUE(answer_to(get).starts_with("HTTP/1.1 503 "));
    EXPECT_EQ(record().outcome, Outcome::no_server);
}

TEST_F(Answers, drained_and_quiesced_servers_take_nothing_503)
{
    plan = Lab::make_plan({web_server, other_server});
    web_server->set_drained(true);
    Lab::pool_of(*plan).servers[1].weight = 0;
    serve();
    EXPECT_TRUE(answer_to(get).starts_with("HTTP/1.1 503 "));
}

TEST_F(Answers, every_server_refused_502)
{
    plan = Lab::make_plan({closed_server});
    serve();
    EXPECT_TRUE(answer_to(get).starts_with("HTTP/1.1 502 Bad Gateway\r\n"));
    EXPECT_EQ(record().outcome, Outcome::connect_refused);
    EXPECT_EQ(record().failure_count, 2); // retries: 1, and there is nobody else to ask.
    EXPECT_EQ(record().failures[0].server.view(), "closed");
}

TEST_F(Answers, one_server_refused_the_other_answers)
{
    plan = Lab::make_plan({closed_server, web_server});
    web.answer_each(hello);
    serve();
    EXPECT_TRUE(answer_to("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").ends_with("hello"));
    EXPECT_EQ(record().outcome, Outcome::none);
    ASSERT_EQ(record().failure_count, 1);
    EXPECT_EQ(record().failures[0].outcome, Outcome::connect_refused);
    EXPECT_TRUE(web.peers.at(0)->received.ends_with("abc"));
}

TEST_F(Answers, server_resets_before_answering_idempotent_goes_elsewhere)
{
    plan = Lab::make_plan({web_server, other_server});
    web.on_data = [](Peer& peer) { peer.reset(); };
    other.answer_each(hello);
    serve();
    EXPECT_TRUE(answer_to("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").ends_with("hello"));
    EXPECT_TRUE(other.peers.at(0)->received.ends_with("\r\n\r\nabc")) << other.peers[0]->received;
    EXPECT_EQ(record().failures[0].outcome, Outcome::upstream_reset);
}

TEST_F(Answers, server_resets_before_answering_post_is_not_repeated_502)
{
    plan = Lab::make_plan({web_server, other_server});
    web.on_data = [](Peer& peer) { peer.reset(); };
    other.answer_each(hello);
    serve();
    EXPECT_TRUE(answer_to("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").starts_with("HTTP/1.1 502 "));
    EXPECT_TRUE(other.peers.empty());
}

TEST_F(Answers, large_body_cannot_be_repeated_502)
{
    plan = Lab::make_plan({web_server, other_server});
    web.on_data = [](Peer& peer) {
        if (peer.received.size() > 100'000) {
            peer.reset();
        }
    };
    other.answer_each(hello);
    serve();
    EXPECT_TRUE(answer_to("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + std::string(200'000, 'x'))
                    .starts_with("HTTP/1.1 502 "));
    EXPECT_TRUE(other.peers.empty());
}

TEST_F(Answers, kept_connection_went_stale_fresh_one_is_used)
{
    web.on_data = [this](Peer& peer) {
        if (web.peers.size() == 1 && peer.requests == 1) {
            peer.reset(); // The second request on the first connection.
        } else if (complete_message(peer.received) != 0) {
            ++peer.requests;
            peer.send(hello);
        }
    };
    serve();
    answer_to(get);
    EXPECT_TRUE(answer_to(get).ends_with("hello"));
    EXPECT_EQ(web.peers.size(), 2U);
    EXPECT_EQ(lab.records.at(1).failure_count, 0);
    EXPECT_EQ(lab.records[1].outcome, Outcome::none);
}

TEST_F(Answers, server_closes_its_idle_connection_nobody_notices)
{
    web.on_data = [](Peer& peer) {
        if (complete_message(peer.received) != 0 && peer.requests++ == 0) {
            peer.send(hello);
            peer.finish();
        }
    };
    serve();
    answer_to(get);
    lab.run_for(10ms);
    EXPECT_EQ(lab.worker->usage().upstream_idle, 0U);
    EXPECT_TRUE(answer_to(get).ends_with("hello"));
    EXPECT_FALSE(lab.records.at(1).reused);
}

TEST_F(Answers, server_talks_nonsense_502)
{
    web.answer_each("SSH-2.0-OpenSSH_9.2\r\n\r\n");
    serve();
    EXPECT_TRUE(answer_to(get).starts_with("HTTP/1.1 502 "));
    EXPECT_EQ(record().outcome, Outcome::upstream_malformed);
    EXPECT_TRUE(record().has_reason);
}

TEST_F(Answers, server_frames_ambiguously_502)
{
    for (const char* nonsense :
         {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
          "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"}) {
        web.answer_each(nonsense);
        serve();
        EXPECT_TRUE(answer_to(get).starts_with("HTTP/1.1 502 ")) << nonsense;
    }
}

TEST_F(Answers, server_switches_protocols_unasked_502)
{
    web.answer_each("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    serve();
    EXPECT_TRUE(answer_to(get).starts_with("HTTP/1.1 502 "));
    EXPECT_EQ(record().outcome, Outcome::upgrade_unexpected);
}

TEST_F(Answers, connecting_takes_too_long_504)
{
    Lab::pool_of(*plan).retries = 0;
    lab.blackhole = lab.origin.address;
    serve();
    const TimePoint began = lab.clock.now();
    EXPECT_TRUE(answer_to(get).starts_with("HTTP/1.1 504 Gateway Timeout\r\n"));
    EXPECT_EQ(record().outcome, Outcome::connect_timeout);
    EXPECT_NEAR(std::chrono::duration<double>(lab.clock.now() - began).count(), 1.0, 0.1);
}

TEST_F(Answers, response_takes_too_long_504)
{
    Lab::pool_of(*plan).retries = 0;
    Lab::pool_of(*plan).timeouts.response = 3s;
    serve();
    const TimePoint began = lab.clock.now();
    EXPECT_TRUE(answer_to(get).starts_with("HTTP/1.1 504 "));
    EXPECT_EQ(record().outcome, Outcome::response_timeout);
    EXPECT_NEAR(std::chrono::duration<double>(lab.clock.now() - began).count(), 3.0, 0.1);
    EXPECT_EQ(lab.worker->usage().upstream_idle, 0U);
}

TEST_F(Answers, server_asks_for_the_body_and_never_answers_504)
{
    Lab::pool_of(*plan).retries = 0;
    Lab::pool_of(*plan).timeouts.response = 3s;
    web.on_data = [](Peer& peer) {
        if (peer.requests++ == 0) {
            peer.send("HTTP/1.1 100 Continue\r\n\r\n");
        }
    };
    serve();
    client = lab.connect();
    client->send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    ASSERT_TRUE(lab.run_until([&] { return client->take() == "HTTP/1.1 100 Continue\r\n\r\n"; }));
    client->send("body!");
    ASSERT_TRUE(lab.run_until([&] { return complete_message(client->received) != 0; }));
    EXPECT_TRUE(client->received.starts_with("HTTP/1.1 504 ")) << client->received;
    EXPECT_EQ(record().outcome, Outcome::response_timeout);
}

TEST_F(Answers, upload_of_a_slow_client_is_not_the_servers_fault)
{
    Lab::pool_of(*plan).timeouts.response = 3s;
    web.answer_each(hello);
    serve();
    client = lab.connect();
    client->send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
    for (int byte = 0; byte < 5; ++byte) {
        lab.run_for(2s);
        client->send("x");
    }
    ASSERT_TRUE(lab.run_until([&] { return complete_message(client->received) != 0; }));
    EXPECT_TRUE(client->received.starts_with("HTTP/1.1 200 "));
}

TEST_F(Answers, server_dies_inside_its_response_connection_is_cut)
{
    web.on_data = [](Peer& peer) {
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        peer.finish();
    };
    serve();
    client = lab.connect();
    client->send(get);
    ASSERT_TRUE(lab.run_until([&] { return client->ended; }));
    EXPECT_TRUE(client->received.ends_with("hello\r\n")) << client->received;
    lab.run_for(1ms);
    EXPECT_EQ(record().outcome, Outcome::upstream_truncated);
    EXPECT_EQ(record().status, 200);
}

TEST_F(Answers, server_dies_inside_its_response_http10_client_is_reset)
{
    web.on_data = [](Peer& peer) {
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        peer.finish();
    };
    serve();
    client = lab.connect();
    client->send("GET / HTTP/1.0\r\n\r\n");
    ASSERT_TRUE(lab.run_until([&] { return client->ended; }));
    EXPECT_TRUE(client->was_reset);
}

TEST_F(Answers, server_stalls_inside_its_response_connection_is_cut)
{
    Lab::pool_of(*plan).timeouts.response = 2s;
    web.answer_each("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    serve();
    client = lab.connect();
    client->send(get);
    ASSERT_TRUE(lab.run_until([&] { return client->ended; }));
    lab.run_for(1ms);
    EXPECT_EQ(record().outcome, Outcome::upstream_stalled);
}

TEST_F(Answers, request_is_malformed_or_ambiguous_400_and_closed)
{
    serve();
    for (const char* request :
         {"GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
          "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
          "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
          "GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n",
          "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"}) {
        lab.records.clear();
        EXPECT_TRUE(answer_to(request).starts_with("HTTP/1.1 400 Bad Request\r\n")) << request;
        EXPECT_TRUE(lab.run_until([&] { return client->ended; })) << request;
        ASSERT_EQ(lab.records.size(), 1U) << request;
        EXPECT_EQ(record().outcome, Outcome::malformed);
        EXPECT_TRUE(record().has_reason);
    }
    EXPECT_TRUE(web.peers.empty());
}

TEST_F(Answers, malformed_chunk_400_and_the_server_gets_no_end)
{
    serve();
    client = lab.connect();
    client->send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    ASSERT_TRUE(lab.run_until([&] { return !web.peers.empty() && web.peers[0]->received.ends_with("abc\r\n"); }));
    client->send("zz\r\n");
    ASSERT_TRUE(lab.run_until([&] { return client->ended && web.peers[0]->ended; }));
    EXPECT_TRUE(client->received.starts_with("HTTP/1.1 400 ")) << client->received;
    lab.run_for(1ms);
    EXPECT_EQ(record().outcome, Outcome::malformed);
    EXPECT_TRUE(record().has_reason);
    EXPECT_EQ(web.peers[0]->received.find("0\r\n\r\n"), std::string::npos);
}

TEST_F(Answers, header_over_its_limit_431)
{
    plan->limits.header_bytes = 1024;
    serve();
    EXPECT_TRUE(answer_to("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(2000, 'x') + "\r\n\r\n")
                    .starts_with("HTTP/1.1 431 "));
}

TEST_F(Answers, target_over_its_limit_414)
{
    serve();
    EXPECT_TRUE(
        answer_to("GET /" + std::string(9000, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("HTTP/1.1 414 "));
}

TEST_F(Answers, announced_body_over_its_limit_413)
{
    plan->limits.body_bytes = 10;
    serve();
    EXPECT_TRUE(answer_to("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n").starts_with("HTTP/1.1 413 "));
    EXPECT_TRUE(web.peers.empty());
}

TEST_F(Answers, chunked_body_over_its_limit_413)
{
    plan->limits.body_bytes = 10;
    serve();
    EXPECT_TRUE(
        answer_to("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n")
            .starts_with("HTTP/1.1 413 "));
    EXPECT_EQ(record().outcome, Outcome::body_too_large);
}

TEST_F(Answers, client_dribbles_its_header_408)
{
    serve();
    client = lab.connect();
    const std::string request = get;
    for (std::size_t at = 0; at < 20 && !client->ended && client->received.empty(); ++at) {
        client->send(request.substr(at, 1));
        lab.run_for(1s);
    }
    EXPECT_TRUE(client->received.starts_with("HTTP/1.1 408 ")) << client->received;
    EXPECT_EQ(record().outcome, Outcome::header_timeout);
}

TEST_F(Answers, client_stops_inside_its_body_408)
{
    plan->timeouts.body = 2s;
    serve();
    EXPECT_TRUE(answer_to("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc").starts_with("HTTP/1.1 408 "));
    EXPECT_EQ(record().outcome, Outcome::body_timeout);
    EXPECT_TRUE(lab.run_until([&] { return client->ended && web.peers.at(0)->ended; }));
}

TEST_F(Answers, idle_client_is_closed_silently)
{
    plan->timeouts.keepalive = 5s;
    web.answer_each(hello);
    serve();
    answer_to(get);
    client->take();
    ASSERT_TRUE(lab.run_until([&] { return client->ended; }, 6s));
    EXPECT_EQ(client->received, "");
    EXPECT_FALSE(client->was_reset);
    EXPECT_EQ(lab.records.size(), 1U);
}

TEST_F(Answers, client_leaves_first_upstream_is_cancelled_499)
{
    serve();
    client = lab.connect();
    client->send(get);
    ASSERT_TRUE(lab.run_until([&] { return !web.peers.empty() && !web.peers[0]->received.empty(); }));
    client->close();
    ASSERT_TRUE(lab.run_until([&] { return web.peers[0]->ended; }));
    lab.run_for(1ms);
    EXPECT_EQ(record().outcome, Outcome::client_left);
    EXPECT_EQ(record().status, 499);
    EXPECT_EQ(lab.worker->usage().requests, 0U);
}

TEST_F(Answers, client_leaves_while_connecting_499)
{
    lab.blackhole = lab.origin.address;
    serve();
    client = lab.connect();
    client->send(get);
    lab.run_for(100ms);
    client->reset();
    lab.run_for(100ms);
    ASSERT_EQ(lab.records.size(), 1U);
    EXPECT_EQ(record().outcome, Outcome::client_left);
}

TEST_F(Answers, client_leaves_inside_the_response_499)
{
    web.on_data = [](Peer& peer) {
        if (peer.requests++ == 0) {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n" + std::string(5'000'000, 'x'));
        }
    };
    serve();
    client = lab.connect();
    client->send(get);
    lab.run_until([&] { return client->received.size() > 100'000; });
    client->reset();
    ASSERT_TRUE(lab.run_until([&] { return web.peers[0]->ended; }));
    lab.run_for(1ms);
    EXPECT_EQ(record().outcome, Outcome::client_left);
    EXPECT_EQ(record().status, 499);
}

TEST_F(Answers, client_stops_taking_the_response)
{
    plan->timeouts.body = 5s;
    web.on_data = [](Peer& peer) {
        if (peer.requests++ == 0) {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n" + std::string(20'000'000, 'x'));
        }
    };
    serve();
    client = lab.connect();
    client->pause();
    client->send(get);
    lab.run_for(10s);
    ASSERT_EQ(lab.records.size(), 1U);
    EXPECT_EQ(record().outcome, Outcome::client_stalled);
    EXPECT_EQ(lab.worker->usage().requests, 0U);
}

TEST_F(Answers, connect_method_501)
{
    serve();
    EXPECT_TRUE(answer_to("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n").starts_with("HTTP/1.1 501 "));
}

TEST_F(Answers, nothing_is_left_behind)
{
    web.answer_each(hello);
    serve();
    for (int round = 0; round < 5; ++round) {
        answer_to(get);
        answer_to("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc", 100ms);
        client->reset();
    }
    lab.worker->drain();
    lab.run_for(100s);
    const WorkerUsage usage = lab.worker->usage();
    EXPECT_EQ(usage.client_connections, 0U);
    EXPECT_EQ(usage.requests, 0U);
    EXPECT_EQ(usage.upstream_connections, 0U);
    EXPECT_EQ(usage.blocks, 0U);
    EXPECT_EQ(lab.node.stack.usage().connections, 0U);
}

} // namespace
} // namespace sluice::proxy::test
