// Idle connections give up their coroutines after a second; nobody at either end must be able to tell.
#include "../tls/material.hpp"
#include "http2_client.hpp"

#include <sluice/health/server.hpp>

namespace sluice::proxy::test {
namespace {

using namespace std::chrono_literals;

const std::string get = "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n";

class Parked : public ::testing::Test {
protected:
    Parked()
    {
        web.answer_each(hello);
        plan->timeouts.keepalive = 75s;
        lab.apply({plan});
    }

    [[nodiscard]] std::size_t parked() const { return lab.worker->usage().parked; }
    void become_parked()
    {
        lab.run_for(1100ms);
        ASSERT_EQ(parked(), 1U);
    }
    bool answers(const PeerRef& client)
    {
        client->received.clear();
        client->send(get);
        return lab.run_until([&] { return complete_message(client->received) != 0; }) &&
               client->received.ends_with("hello");
    }
    [[nodiscard]] bool all_is_given_back()
    {
        return lab.run_until([&] {
            const WorkerUsage usage = lab.worker->usage();
            return usage.client_connections == 0 && usage.parked == 0;
        });
    }

    Lab lab;
    Origin web{lab.origin, 8080};
    std::shared_ptr<ServicePlan> plan = Lab::make_plan({Lab::make_server("web1", web.endpoint())});
};

TEST_F(Parked, after_a_second_and_not_before)
{
    const PeerRef client = lab.connect();
    ASSERT_TRUE(answers(client));
    lab.run_for(900ms);
    EXPECT_EQ(parked(), 0U);
    lab.run_for(200ms);
    EXPECT_EQ(parked(), 1U);
}

TEST_F(Parked, next_request_is_served_and_the_one_after_it)
{
    const PeerRef client = lab.connect();
    for (int request = 0; request < 3; ++request) {
        ASSERT_TRUE(answers(client));
        EXPECT_EQ(parked(), 0U);
        become_parked();
    }
    client->finish();
    ASSERT_TRUE(lab.run_until([&] { return client->ended; }));
    EXPECT_FALSE(client->was_reset);
    EXPECT_TRUE(all_is_given_back());
}

TEST_F(Parked, before_its_first_byte_it_may_still_speak_either_version)
{
    const PeerRef first = lab.connect();
    become_parked();
    EXPECT_TRUE(answers(first));
    first->close();
    ASSERT_TRUE(all_is_given_back());
    const PeerRef second = lab.connect();
    become_parked();
    Http2Client client{second};
    const auto id =
        client.request({{":method", "GET"}, {":scheme", "http"}, {":authority", "example.org"}, {":path", "/"}});
    ASSERT_TRUE(lab.run_until([&] { return client.answers[id].over(); }));
    EXPECT_EQ(client.answers[id].body, "hello");
}

TEST_F(Parked, idle_timeout_counts_from_the_last_request)
{
    const PeerRef client = lab.connect();
    ASSERT_TRUE(answers(client));
    lab.run_for(74s);
    EXPECT_FALSE(client->ended);
    EXPECT_EQ(parked(), 1U);
    ASSERT_TRUE(lab.run_until([&] { return client->ended; }, 2s));
    EXPECT_FALSE(client->was_reset);
    EXPECT_TRUE(client->received.ends_with("hello")) << "nothing more was said";
}

TEST_F(Parked, client_that_dribbles_its_first_line_gets_the_header_timeout)
{
    plan->timeouts.header = 3s;
    const PeerRef client = lab.connect();
    become_parked();
    client->send("GE");
    lab.run_for(2900ms);
    EXPECT_FALSE(client->ended);
    ASSERT_TRUE(lab.run_until([&] { return client->ended; }, 4s));
    EXPECT_NE(client->received.find(" 408 "), std::string::npos);
}

TEST_F(Parked, reset_by_the_client_gives_everything_back)
{
    const PeerRef client = lab.connect();
    become_parked();
    client->reset();
    EXPECT_TRUE(all_is_given_back());
}

TEST_F(Parked, drain_leaves_it_a_second_for_a_request_on_its_way)
{
    const PeerRef asking = lab.connect();
    const PeerRef silent = lab.connect();
    lab.run_for(1100ms);
    ASSERT_EQ(parked(), 2U);
    lab.worker->drain();
    lab.run_for(900ms);
    EXPECT_FALSE(asking->ended || silent->ended);
    EXPECT_TRUE(answers(asking));
    EXPECT_NE(asking->received.find("Connection: close"), std::string::npos);
    EXPECT_TRUE(lab.run_until([&] { return silent->ended; }, 200ms));
    EXPECT_FALSE(silent->was_reset);
    EXPECT_TRUE(silent->received.empty());
    asking->close();
    EXPECT_TRUE(all_is_given_back());
}

TEST_F(Parked, service_that_is_removed_ends_it)
{
    const PeerRef client = lab.connect();
    become_parked();
    lab.apply({});
    ASSERT_TRUE(lab.run_until([&] { return client->ended; }, 1200ms));
    EXPECT_TRUE(all_is_given_back());
}

TEST_F(Parked, abort_of_all_resets_it)
{
    const PeerRef client = lab.connect();
    become_parked();
    lab.worker->abort_all();
    ASSERT_TRUE(lab.run_until([&] { return client->ended; }));
    EXPECT_TRUE(client->was_reset);
    EXPECT_TRUE(all_is_given_back());
}

TEST_F(Parked, reload_changes_what_its_next_request_meets)
{
    const PeerRef client = lab.connect();
    become_parked();
    const auto other = std::make_shared<ServicePlan>(*plan);
    other->routes.front().action = Respond{418, {}, "text/plain"};
    lab.apply({other});
    lab.run_for(2s);
    EXPECT_EQ(parked(), 1U);
    EXPECT_EQ(lab.worker->usage().plans, 1U) << "a parked connection holds no generation";
    client->send(get);
    ASSERT_TRUE(lab.run_until([&] { return complete_message(client->received) != 0; }));
    EXPECT_TRUE(client->received.starts_with("HTTP/1.1 418 "));
}

TEST_F(Parked, over_tls_too)
{
    plan->tls = tls::test::server_context(tls::test::options({tls::test::make_certificate({"example.org"})}));
    plan->listen[0].port = 443;
    lab.apply({});
    lab.apply({plan});
    tls::ClientOptions options;
    options.verify = false;
    const PeerRef client = lab.connect_tls(tls::test::client_context(options), "example.org");
    ASSERT_TRUE(lab.run_until([&] { return !client->alpn.empty() || lab.worker->usage().client_connections == 1; }));
    become_parked();
    EXPECT_EQ(lab.node.tls_buffers.lent(), 0U);
    EXPECT_TRUE(answers(client));
    become_parked();
    EXPECT_TRUE(answers(client));
    client->finish();
    EXPECT_TRUE(all_is_given_back());
}

} // namespace
} // namespace sluice::proxy::test
