// What connections and requests hold has a ceiling; whoever waits longest makes room for who is new.
#include "../tls/material.hpp"
#include "lab.hpp"

#include <sluice/health/server.hpp>

#include <proxy/holdings.hpp>

#include <gtest/gtest.h>

namespace sluice::proxy::test {
namespace {

using namespace std::chrono_literals;
using telemetry::Counter;

const std::string ask = "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n";

class ConnectionMemory : public ::testing::Test {
protected:
    void serve(std::size_t connection_bytes, std::size_t blocks = 1024)
    {
        WorkerOptions options;
        options.connection_bytes = connection_bytes;
        options.block_limit = blocks;
        lab.use(options);
        web.answer_each(hello);
        lab.apply({plan});
    }
    void use_tls()
    {
        plan->tls = tls::test::server_context(tls::test::options({tls::test::make_certificate({"example.org"})}));
        plan->listen[0].port = 443;
    }
    [[nodiscard]] PeerRef connect_tls(const std::string& says = {})
    {
        tls::ClientOptions options;
        options.verify = false;
        options.alpn = {"http/1.1"};
        const PeerRef client = lab.connect_tls(tls::test::client_context(options), "example.org");
        if (!says.empty()) {
            client->send(says);
        }
        lab.run_for(50ms);
        return client;
    }
    [[nodiscard]] PeerRef connect(const std::string& says = {}, std::uint16_t port = 80)
    {
        const PeerRef client = lab.connect(port);
        if (!says.empty()) {
            client->send(says);
        }
        lab.run_for(10ms);
        return client;
    }
    [[nodiscard]] bool answers(const PeerRef& client, Duration limit = 10s)
    {
        client->received.clear();
        client->send(ask);
        return lab.run_until([&] { return complete_message(client->received) != 0 || client->ended; }, limit) &&
               client->received.starts_with("HTTP/1.1 200");
    }
    /// Everything but requests that begin like this is answered.
    void never_answer(const std::string& request)
    {
        web.on_data = [request](Peer& peer) {
            if (!peer.received.starts_with(request)) {
                peer.received.clear();
                peer.send(hello);
            }
        };
    }
    [[nodiscard]] std::uint64_t count(Counter counter) { return lab.node.counters.get(counter); }
    [[nodiscard]] std::size_t held(Held kind) const { return lab.worker->usage().held[static_cast<std::size_t>(kind)]; }
    [[nodiscard]] static std::size_t resets(const std::vector<PeerRef>& clients)
    {
        return static_cast<std::size_t>(
            std::ranges::count_if(clients, [](const PeerRef& client) { return client->was_reset; }));
    }

    Lab lab;
    Origin web{lab.origin, 8080};
    std::shared_ptr<ServicePlan> plan = Lab::make_plan({Lab::make_server("web1", web.endpoint())});
};

TEST_F(ConnectionMemory, client_that_is_idle_longest_makes_room_for_a_new_one)
{
    serve(200 * connection_weight);
    std::vector<PeerRef> idle;
    for (int number = 0; number < 300; ++number) {
        idle.push_back(connect());
    }
    EXPECT_TRUE(idle.front()->was_reset);
    EXPECT_FALSE(idle.back()->was_reset);
    EXPECT_EQ(count(Counter::connections_evicted), resets(idle));
    EXPECT_EQ(count(Counter::connections_refused), 0U);
    EXPECT_LE(lab.worker->usage().held_bytes, lab.worker->usage().held_limit);
    EXPECT_TRUE(answers(connect()));
}

TEST_F(ConnectionMemory, crowd_that_has_just_arrived_is_let_speak_and_the_newest_refused)
{
    serve(40 * connection_weight);
    std::vector<PeerRef> crowd;
    for (int number = 0; number < 60; ++number) {
        crowd.push_back(lab.connect());
    }
    lab.run_for(100ms);
    EXPECT_EQ(count(Counter::connections_evicted), 0U);
    EXPECT_GT(count(Counter::connections_refused), 10U);
    EXPECT_FALSE(crowd.front()->was_reset);
}

TEST_F(ConnectionMemory, client_whose_header_does_not_end_makes_room)
{
    serve(400 * 1024);
    std::vector<PeerRef> slow;
    for (int number = 0; number < 100; ++number) {
        slow.push_back(connect("GET / HTTP/1.1\r\nX: "));
        lab.run_for(50ms);
    }
    EXPECT_GT(resets(slow), 50U);
    EXPECT_EQ(count(Counter::connections_evicted), resets(slow));
    EXPECT_TRUE(answers(connect()));
}

TEST_F(ConnectionMemory, long_header_weighs_more_and_only_while_it_is_there)
{
    serve(1U << 20U);
    const PeerRef client = connect("GET / HTTP/1.1\r\nHost: example.org\r\nX: " + std::string(usual_head_bytes, 'x'));
    EXPECT_EQ(held(Held::large_head), 1U);
    client->send("\r\n\r\n");
    ASSERT_TRUE(lab.run_until([&] { return complete_message(client->received) != 0; }));
    lab.run_for(10ms);
    EXPECT_EQ(held(Held::large_head), 0U);
    EXPECT_EQ(held(Held::request), 0U);
}

TEST_F(ConnectionMemory, handshakes_that_do_not_go_on_weigh_more_and_make_room)
{
    use_tls();
    serve(1U << 20U);
    std::vector<PeerRef> silent;
    for (int number = 0; number < 60; ++number) {
        silent.push_back(connect({}, 443));
        lab.run_for(50ms);
    }
    EXPECT_LE(held(Held::handshake), (1U << 20U) / (weights[0] + weights[1] + weights[2]));
    EXPECT_GT(resets(silent), 30U);
    EXPECT_TRUE(answers(connect_tls()));
    EXPECT_EQ(held(Held::handshake) + 1, held(Held::tls_session));
}

TEST_F(ConnectionMemory, request_without_an_answer_makes_room_and_kept_connections_are_served)
{
    serve(600 * 1024);
    never_answer("GET /never");
    const PeerRef kept = connect();
    ASSERT_TRUE(answers(kept));
    std::vector<PeerRef> stuck;
    for (int number = 0; number < 100; ++number) {
        stuck.push_back(connect("GET /never HTTP/1.1\r\nHost: example.org\r\n\r\n"));
        lab.run_for(50ms);
        ASSERT_TRUE(answers(kept)) << number;
    }
    EXPECT_GT(count(Counter::requests_evicted), 30U);
    EXPECT_TRUE(stuck.front()->received.starts_with("HTTP/1.1 504")) << stuck.front()->received.substr(0, 40);
    EXPECT_LE(lab.worker->usage().held_bytes, lab.worker->usage().held_limit);
    EXPECT_TRUE(answers(connect()));
}

// The symptom: a connection for which there was no block at that moment was closed.
TEST_F(ConnectionMemory, client_for_which_there_is_no_block_waits_for_one)
{
    use_tls();
    serve(4U << 20U, 2);
    never_answer("GET /never");
    std::vector<PeerRef> holders;
    for (int number = 0; number < 2; ++number) {
        // What comes behind a request stays in the block.
        holders.push_back(connect_tls("GET /never HTTP/1.1\r\nHost: example.org\r\n\r\n" + ask));
    }
    ASSERT_EQ(lab.worker->usage().blocks, 2U);
    const PeerRef client = connect_tls(ask);
    lab.run_for(1s);
    EXPECT_FALSE(client->ended);
    for (const PeerRef& holder : holders) {
        holder->reset();
    }
    EXPECT_TRUE(lab.run_until([&] { return complete_message(client->received) != 0; }));
}

// The symptom: uploads that no server took kept their blocks for as long as a server may take to answer.
TEST_F(ConnectionMemory, uploads_that_their_server_does_not_take_make_room)
{
    use_tls();
    serve(4U << 20U, 8);
    std::vector<PeerRef> uploads;
    for (int number = 0; number < 12; ++number) {
        uploads.push_back(connect_tls("POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 4000000\r\n\r\n"));
        for (const PeerRef& peer : web.peers) {
            peer->pause();
        }
        uploads.back()->send(std::string(2'000'000, 'x'));
        lab.run_for(100ms);
    }
    const PeerRef client = connect_tls();
    never_answer("POST");
    EXPECT_TRUE(answers(client));
}

TEST_F(ConnectionMemory, everything_is_given_back)
{
    serve(1U << 20U);
    {
        std::vector<PeerRef> clients;
        for (int number = 0; number < 20; ++number) {
            clients.push_back(connect(number % 2 == 0 ? ask : "GET / HTTP/1.1\r\nX: " + std::string(5000, 'x')));
        }
        EXPECT_GT(lab.worker->usage().held_bytes, 20 * connection_weight);
        for (const PeerRef& client : clients) {
            client->reset();
        }
    }
    lab.worker->abort_all();
    ASSERT_TRUE(lab.run_until([&] { return lab.worker->usage().held_bytes == 0; }, 100s));
    for (const std::size_t left : lab.worker->usage().held) {
        EXPECT_EQ(left, 0U);
    }
}

} // namespace
} // namespace sluice::proxy::test
