#include "http2_client.hpp"

#include <sluice/health/server.hpp>

#include <algorithm>

namespace sluice::proxy::test {
namespace {

using namespace std::chrono_literals;

class Http2 : public ::testing::Test {
protected:
    static constexpr const char* hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nKeep-Alive: 5\r\n\r\nhello";

    void serve() { lab.apply({plan}); }
    void connect(bool hold_windows = false) { client = std::make_unique<Http2Client>(lab.connect(), hold_windows); }
    bool answered(std::int32_t id)
    {
        return lab.run_until([&] { return client->answers[id].over(); });
    }

    Lab lab;
    Origin web{lab.origin, 8080};
    std::shared_ptr<health::Server> server = Lab::make_server("web1", web.endpoint());
    std::shared_ptr<ServicePlan> plan = Lab::make_plan({server});
    std::unique_ptr<Http2Client> client;
};

TEST_F(Http2, get_with_prior_knowledge_becomes_http11)
{
    web.answer_each(hello);
    serve();
    connect();
    const auto id = client->request({{":method", "GET"},
                                     {":scheme", "http"},
                                     {":authority", "example.org:80"},
                                     {":path", "/a?b"},
                                     {"cookie", "a=1"},
                                     {"cookie", "b=2"},
                                     {"te", "trailers"}});
    ASSERT_TRUE(answered(id));
    const auto& answer = client->answers[id];
    EXPECT_EQ(answer.status(), "200");
    EXPECT_EQ(answer.body, "hello");
    EXPECT_TRUE(answer.ended);
    for (const auto& [name, value] : answer.fields) {
        EXPECT_NE(name, "keep-alive");
    }
    const std::string& seen = web.peers.at(0)->received;
    EXPECT_TRUE(seen.starts_with("GET /a?b HTTP/1.1\r\nHost: example.org:80\r\n")) << seen;
    EXPECT_NE(seen.find("ookie: a=1; b=2\r\n"), std::string::npos) << seen;
    EXPECT_EQ(seen.find("te:"), std::string::npos);
    EXPECT_EQ(lab.records.at(0).version, http::Version::http2);
    EXPECT_EQ(lab.records[0].outcome, Outcome::none);
}

TEST_F(Http2, streams_are_served_beside_each_other)
{
    web.on_data = [](Peer& peer) {
        if (complete_message(peer.received) != 0 && peer.received.find("/slow") == std::string::npos) {
            peer.received.clear();
            peer.send(hello);
        }
    };
    serve();
    connect();
    const auto slow = client->get("/slow");
    const auto fast = client->get("/fast");
    ASSERT_TRUE(answered(fast));
    EXPECT_FALSE(client->answers[slow].over());
    EXPECT_EQ(client->answers[fast].body, "hello");
    EXPECT_EQ(web.peers.size(), 2U);
}

TEST_F(Http2, upload_without_length_is_chunked_with_trailers_both_ways)
{
    web.on_data = [](Peer& peer) {
        if (peer.received.ends_with("0\r\n\r\n") && peer.requests++ == 0) {
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 2\r\n\r\n");
        }
    };
    serve();
    connect();
    const auto id = client->post();
    client->data(id, std::string(100'000, 'x'), true);
    ASSERT_TRUE(answered(id));
    EXPECT_EQ(client->answers[id].body, "ok");
    EXPECT_EQ(client->answers[id].fields.back().first, "x-sum");
    EXPECT_NE(web.peers.at(0)->received.find("Transfer-Encoding: chunked"), std::string::npos);
    EXPECT_EQ(lab.records.at(0).bytes_received, 100'000U);
}

TEST_F(Http2, upload_with_length_arrives_whole)
{
    web.answer_each(hello);
    serve();
    connect();
    // Every position has its own content: a piece that is overwritten on its way, or moved, shows.
    std::string body(3'000'000, '\0');
    for (std::size_t index = 0; index < body.size(); ++index) {
        body[index] = static_cast<char>((index * 31 + index / 255) % 251);
    }
    const auto id = client->post({{"content-length", std::to_string(body.size())}});
    client->data(id, body, true);
    ASSERT_TRUE(answered(id));
    EXPECT_EQ(client->answers[id].status(), "200");
    EXPECT_TRUE(web.peers.at(0)->received.ends_with(body));
}

TEST_F(Http2, server_that_does_not_read_closes_the_window)
{
    web.on_accept = [](Peer& peer) { peer.pause(); };
    serve();
    connect();
    const auto id = client->post();
    client->data(id, std::string(20'000'000, 'x'), true);
    lab.run_for(3s);
    // What nghttp2 could not send stays with the client: the window of the stream is shut.
    EXPECT_EQ(nghttp2_session_get_stream_remote_window_size(client->session, id), 0);
    EXPECT_LT(lab.worker->usage().blocks, 4U);
    web.peers.at(0)->resume();
    ASSERT_TRUE(lab.run_until([&] { return web.peers[0]->received.size() > 20'000'000; }, 120s));
}

TEST_F(Http2, large_response_waits_for_the_clients_window)
{
    web.on_data = [](Peer& peer) {
        if (peer.requests++ == 0) {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n" + std::string(5'000'000, 'x'));
        }
    };
    serve();
    connect(true);
    const auto id = client->get();
    lab.run_for(2s);
    EXPECT_EQ(client->answers[id].body.size(), 65'535U);
    EXPECT_GT(web.peers.at(0)->unsent(), 1'000'000U);
    client->open_window(id, 10'000'000);
    ASSERT_TRUE(answered(id));
    EXPECT_EQ(client->answers[id].body.size(), 5'000'000U);
}

TEST_F(Http2, client_never_opens_its_window_stream_is_reset)
{
    plan->timeouts.body = 5s;
    web.on_data = [](Peer& peer) {
        if (peer.requests++ == 0) {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n" + std::string(5'000'000, 'x'));
        }
    };
    serve();
    connect(true);
    const auto id = client->get();
    lab.run_for(7s);
    EXPECT_TRUE(client->answers[id].reset);
    EXPECT_EQ(lab.records.at(0).outcome, Outcome::client_stalled);
    EXPECT_FALSE(client->peer->ended);
}

TEST_F(Http2, streams_whose_clients_take_nothing_make_room_for_others)
{
    web.answer_each("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + std::string(300'000, 'x'));
    serve();
    std::vector<std::unique_ptr<Http2Client>> greedy;
    for (int count = 0; count < 10; ++count) {
        greedy.push_back(std::make_unique<Http2Client>(lab.connect(), true));
        for (int stream = 0; stream < 30; ++stream) {
            static_cast<void>(greedy.back()->get());
        }
        lab.run_for(10ms);
    }
    lab.run_for(4s);
    const PeerRef modest = lab.connect();
    modest->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_TRUE(lab.run_until([&] { return complete_message(modest->received) != 0 || modest->ended; }));
    EXPECT_TRUE(modest->received.starts_with("HTTP/1.1 200")) << modest->received.substr(0, 100);
    EXPECT_TRUE(std::ranges::any_of(
        lab.records, [](const AccessRecord& record) { return record.outcome == Outcome::client_stalled; }));
}

TEST_F(Http2, head_has_no_body_and_keeps_its_length)
{
    web.answer_each("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n");
    serve();
    connect();
    const auto id = client->request({{":method", "HEAD"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}});
    ASSERT_TRUE(answered(id));
    EXPECT_EQ(client->answers[id].fields.front(), (std::pair<std::string, std::string>{"content-length", "1234"}));
    EXPECT_TRUE(client->answers[id].ended);
}

TEST_F(Http2, informational_response_is_passed_on)
{
    web.answer_each(std::string{"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"} + hello);
    serve();
    connect();
    const auto id = client->get();
    ASSERT_TRUE(answered(id));
    EXPECT_EQ(client->answers[id].statuses, (std::vector<std::string>{"103", "200"}));
}

TEST_F(Http2, client_resets_stream_upstream_is_cancelled_499)
{
    serve();
    connect();
    const auto id = client->get();
    ASSERT_TRUE(lab.run_until([&] { return !web.peers.empty() && !web.peers[0]->received.empty(); }));
    client->reset(id);
    ASSERT_TRUE(lab.run_until([&] { return web.peers[0]->ended; }));
    lab.run_for(1ms);
    EXPECT_EQ(lab.records.at(0).outcome, Outcome::client_left);
    EXPECT_EQ(lab.records[0].status, 499);
    web.answer_each(hello);
    const auto next = client->get();
    EXPECT_TRUE(answered(next)); // The connection goes on.
}

TEST_F(Http2, client_connection_dies_every_stream_is_cancelled)
{
    serve();
    connect();
    client->get("/1");
    client->get("/2");
    ASSERT_TRUE(lab.run_until([&] { return web.peers.size() == 2; }));
    lab.run_for(1ms);
    client->peer->reset();
    lab.run_for(10ms);
    ASSERT_EQ(lab.records.size(), 2U);
    EXPECT_EQ(lab.records[0].outcome, Outcome::client_left);
    EXPECT_EQ(lab.worker->usage().requests, 0U);
    EXPECT_EQ(lab.worker->usage().client_connections, 0U);
}

TEST_F(Http2, server_dies_inside_its_response_stream_is_reset)
{
    web.on_data = [](Peer& peer) {
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
        peer.finish();
    };
    serve();
    connect();
    const auto id = client->get();
    ASSERT_TRUE(answered(id));
    EXPECT_FALSE(client->answers[id].ended);
    EXPECT_EQ(client->answers[id].reset, static_cast<std::uint32_t>(NGHTTP2_INTERNAL_ERROR));
    lab.run_for(1ms);
    EXPECT_EQ(lab.records.at(0).outcome, Outcome::upstream_truncated);
}

TEST_F(Http2, no_healthy_server_503_and_no_route_404)
{
    server->set_status(health::Status::down);
    plan->routes[0].path = {PathMatch::Kind::prefix, "/web"};
    serve();
    connect();
    const auto down = client->get("/web");
    const auto nowhere = client->get("/other");
    ASSERT_TRUE(answered(down) && answered(nowhere));
    EXPECT_EQ(client->answers[down].status(), "503");
    EXPECT_EQ(client->answers[nowhere].status(), "404");
}

TEST_F(Http2, early_response_stops_the_upload)
{
    web.on_data = [](Peer& peer) {
        if (peer.requests++ == 0) {
            peer.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno");
        }
    };
    serve();
    connect();
    const auto id = client->post();
    client->data(id, std::string(1000, 'x'), false);
    ASSERT_TRUE(lab.run_until([&] { return client->answers[id].reset.has_value(); }));
    EXPECT_EQ(client->answers[id].status(), "413");
    EXPECT_TRUE(client->answers[id].ended);
    EXPECT_EQ(client->answers[id].reset, static_cast<std::uint32_t>(NGHTTP2_NO_ERROR));
}

TEST_F(Http2, body_over_its_limit_413)
{
    plan->limits.body_bytes = 1000;
    serve();
    connect();
    const auto id = client->post();
    client->data(id, std::string(2000, 'x'), true);
    ASSERT_TRUE(lab.run_until([&] { return client->answers[id].ended; }));
    EXPECT_EQ(client->answers[id].status(), "413");
}

TEST_F(Http2, body_longer_than_its_length_never_reaches_a_server_whole)
{
    serve();
    connect();
    const auto id = client->post({{"content-length", "5"}});
    client->data(id, "hello world", true);
    ASSERT_TRUE(answered(id));
    EXPECT_TRUE(client->answers[id].reset.has_value() || client->answers[id].status() == "400");
    lab.run_for(1ms);
    ASSERT_EQ(lab.records.size(), 1U);
    EXPECT_EQ(lab.records[0].outcome, Outcome::malformed);
    for (const PeerRef& peer : web.peers) {
        EXPECT_FALSE(peer->received.ends_with("hello"));
    }
}

TEST_F(Http2, malformed_request_is_recorded)
{
    serve();
    connect();
    const auto id = client->request(
        {{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/"}, {"connection", "close"}});
    ASSERT_TRUE(answered(id));
    lab.run_for(1ms);
    ASSERT_EQ(lab.records.size(), 1U);
    EXPECT_EQ(lab.records[0].outcome, Outcome::malformed);
    EXPECT_EQ(lab.records[0].reason, http::Reason::connection_specific_field);
}

TEST_F(Http2, idle_connection_ends_with_goaway)
{
    plan->timeouts.keepalive = 5s;
    web.answer_each(hello);
    serve();
    connect();
    ASSERT_TRUE(answered(client->get()));
    lab.run_for(4s);
    EXPECT_FALSE(client->peer->ended);
    lab.run_for(5s);
    EXPECT_TRUE(client->peer->ended);
    EXPECT_GE(client->goaways, 1);
    EXPECT_EQ(lab.worker->usage().client_connections, 0U);
}

TEST_F(Http2, drain_announces_and_finishes_what_runs)
{
    serve();
    connect();
    const auto id = client->get();
    ASSERT_TRUE(lab.run_until([&] { return !web.peers.empty() && !web.peers[0]->received.empty(); }));
    lab.worker->drain();
    ASSERT_TRUE(lab.run_until([&] { return client->goaways > 0; }));
    EXPECT_FALSE(client->answers[id].over());
    web.peers[0]->send(hello);
    ASSERT_TRUE(answered(id));
    EXPECT_EQ(client->answers[id].body, "hello");
    ASSERT_TRUE(lab.run_until([&] { return client->peer->ended; }));
}

TEST_F(Http2, client_that_keeps_talking_cannot_put_off_the_end_of_a_drain)
{
    serve();
    const PeerRef peer = lab.connect();
    const std::string empty_settings{"\0\0\0\4\0\0\0\0\0", 9};
    const std::string window_update{"\0\0\4\10\0\0\0\0\0\0\0\0\1", 13};
    peer->send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + empty_settings);
    ASSERT_TRUE(lab.run_until([&] { return !peer->received.empty(); }));
    lab.worker->drain();
    for (int time = 0; time < 10 && !peer->ended; ++time) {
        lab.run_for(400ms);
        peer->send(window_update); // And never an answer to the PING of the first GOAWAY.
    }
    EXPECT_TRUE(peer->ended);
}

TEST_F(Http2, reload_changes_routes_of_an_open_connection)
{
    web.answer_each(hello);
    serve();
    connect();
    ASSERT_TRUE(answered(client->get()));
    plan = std::make_shared<ServicePlan>(*plan);
    plan->routes[0].action = Respond{200, "text/plain", "new world"};
    serve();
    const auto id = client->get();
    ASSERT_TRUE(answered(id));
    EXPECT_EQ(client->answers[id].body, "new world");
    EXPECT_EQ(lab.worker->usage().plans, 1U);
}

} // namespace
} // namespace sluice::proxy::test
