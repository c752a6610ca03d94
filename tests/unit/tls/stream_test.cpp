#include "material.hpp"
#include "transport.hpp"

#include <sluice/tls/stream.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <optional>
#include <string>

namespace sluice::tls {
namespace {

using namespace test;
namespace asio = boost::asio;
using boost::system::error_code;

// Functions, for g++ 12 fails on designated initialisers inside templates.
std::shared_ptr<const ClientContext> h2_client() { return client_context({.verify = false, .alpn = {"h2"}}); }

std::shared_ptr<const ClientContext> tls1_2_client()
{
    return client_context({.verify = false, .max_version = Version::tls1_2});
}

/// What an operation completed with.
struct Result {
    std::optional<error_code> error;
    std::size_t bytes = 0;

    auto handler()
    {
        return [this](error_code with, std::size_t count = 0) {
            error = with;
            bytes = count;
        };
    }
    [[nodiscard]] bool pending() const { return !error.has_value(); }
    [[nodiscard]] bool succeeded() const { return error.has_value() && !*error; }
};

template <class Transport>
class StreamTest : public testing::Test {
protected:
    /// Runs until nothing more can happen by itself.
    void run()
    {
        context.restart();
        while (context.poll() > 0) {
        }
    }
    void handshake()
    {
        Result client_done;
        Result server_done;
        client.async_handshake(client_done.handler());
        server.async_handshake(server_done.handler());
        run();
        ASSERT_TRUE(client_done.succeeded());
        ASSERT_TRUE(server_done.succeeded());
    }
    /// Client writes, server reads.
    void expect_delivery(const std::string& text)
    {
        Result written;
        Result read;
        std::string received(text.size(), '\0');
        asio::async_write(client, asio::buffer(text), written.handler());
        asio::async_read(server, asio::buffer(received), read.handler());
        run();
        ASSERT_TRUE(written.succeeded());
        ASSERT_TRUE(read.succeeded());
        EXPECT_TRUE(received == text);
    }

    asio::io_context context;
    BufferPool pool{64};
    HandshakeGate gate;
    std::shared_ptr<const ServerContext> server_side = server_context(options({site()}));
    std::shared_ptr<const ClientContext> client_side = h2_client();
    std::pair<Transport, Transport> transports = transport_pair<Transport>(context);
    Stream<Transport> client{std::move(transports.first), client_side, "www.example.org", pool};
    Stream<Transport> server{std::move(transports.second), server_side, pool};
};

using Transports = testing::Types<Socket, WaitingSocket>;
TYPED_TEST_SUITE(StreamTest, Transports);

TYPED_TEST(StreamTest, handshake_tells_name_and_protocol)
{
    this->handshake();
    EXPECT_EQ(this->server.server_name(), "www.example.org");
    EXPECT_EQ(this->server.alpn(), "h2");
    EXPECT_EQ(this->server.version(), "TLSv1.3");
    EXPECT_TRUE(this->server.handshake_complete());
    EXPECT_FALSE(this->server.resumed());
}

TYPED_TEST(StreamTest, megabyte_crosses_both_ways_at_once)
{
    this->handshake();
    std::string up(1'000'000, '\0');
    for (std::size_t index = 0; index < up.size(); ++index) {
        up[index] = static_cast<char>(index * 7 % 253);
    }
    const std::string down(up.rbegin(), up.rend());
    std::string at_server(up.size(), '\0');
    std::string at_client(up.size(), '\0');
    std::array<Result, 4> results;
    asio::async_write(this->client, asio::buffer(up), results[0].handler());
    asio::async_write(this->server, asio::buffer(down), results[1].handler());
    asio::async_read(this->client, asio::buffer(at_client), results[2].handler());
    asio::async_read(this->server, asio::buffer(at_server), results[3].handler());
    this->run();
    for (const Result& result : results) {
        EXPECT_TRUE(result.succeeded());
    }
    EXPECT_TRUE(at_server == up);
    EXPECT_TRUE(at_client == down);
}

TYPED_TEST(StreamTest, shutdown_is_end_of_file_to_the_peer)
{
    this->handshake();
    Result shut;
    Result read;
    std::array<char, 8> buffer{};
    this->server.async_read_some(asio::buffer(buffer), read.handler());
    this->client.async_shutdown(shut.handler());
    this->run();
    EXPECT_TRUE(shut.succeeded());
    EXPECT_EQ(read.error, asio::error::eof);
}

TYPED_TEST(StreamTest, closed_transport_without_close_notify_is_truncation)
{
    this->handshake();
    Result sent;
    Result taken;
    std::array<char, 8> buffer{};
    this->server.async_write_some(asio::buffer("x", 1), sent.handler());
    this->client.async_read_some(asio::buffer(buffer), taken.handler()); // Unread tickets would make it a reset.
    this->run();
    ASSERT_EQ(taken.bytes, 1U);
    Result read;
    this->server.async_read_some(asio::buffer(buffer), read.handler());
    this->client.next_layer().close();
    this->run();
    EXPECT_EQ(read.error, make_error_code(Error::truncated));
}

TYPED_TEST(StreamTest, cancelled_read_loses_nothing)
{
    this->handshake();
    asio::cancellation_signal signal;
    Result cancelled;
    std::array<char, 8> buffer{};
    this->server.async_read_some(asio::buffer(buffer),
                                 asio::bind_cancellation_slot(signal.slot(), cancelled.handler()));
    this->run();
    ASSERT_TRUE(cancelled.pending());
    signal.emit(asio::cancellation_type::total);
    this->run();
    EXPECT_EQ(cancelled.error, asio::error::operation_aborted);
    this->expect_delivery("still here");
}

TYPED_TEST(StreamTest, operation_that_is_ready_completes_later_and_not_inside_its_call)
{
    this->handshake();
    this->expect_delivery("x");
    Result write;
    this->client.async_write_some(asio::buffer("twins", 5), write.handler());
    this->run();
    std::array<char, 2> first{};
    std::array<char, 8> rest{};
    Result read;
    this->server.async_read_some(asio::buffer(first), read.handler());
    this->run();
    ASSERT_EQ(read.bytes, 2U);
    Result again;
    this->server.async_read_some(asio::buffer(rest), again.handler());
    EXPECT_TRUE(again.pending());
    this->run();
    EXPECT_EQ(again.bytes, 3U);
    Result empty;
    this->server.async_read_some(asio::buffer(rest.data(), 0), empty.handler());
    EXPECT_TRUE(empty.pending());
    this->run();
    EXPECT_TRUE(empty.succeeded());
}

TYPED_TEST(StreamTest, wait_completes_when_the_peer_speaks)
{
    this->handshake();
    Result waited;
    this->server.async_wait_readable(waited.handler());
    this->run();
    ASSERT_TRUE(waited.pending());
    Result write;
    this->client.async_write_some(asio::buffer("hello", 5), write.handler());
    this->run();
    EXPECT_TRUE(waited.succeeded());
    std::array<char, 8> buffer{};
    Result read;
    this->server.async_read_some(asio::buffer(buffer), read.handler());
    this->run();
    EXPECT_EQ(read.bytes, 5U);
}

TYPED_TEST(StreamTest, wait_with_decrypted_bytes_left_does_not_wait)
{
    this->handshake();
    Result write;
    this->client.async_write_some(asio::buffer("twins", 5), write.handler());
    std::array<char, 2> first{};
    Result read;
    this->server.async_read_some(asio::buffer(first), read.handler());
    this->run();
    Result waited;
    this->server.async_wait_readable(waited.handler());
    this->run();
    EXPECT_TRUE(waited.succeeded());
}

TYPED_TEST(StreamTest, moved_stream_goes_on)
{
    this->handshake();
    Result read;
    std::array<char, 8> buffer{};
    this->server.async_read_some(asio::buffer(buffer), read.handler());
    this->run();
    Stream<TypeParam> moved = std::move(this->server);
    Result write;
    this->client.async_write_some(asio::buffer("moved", 5), write.handler());
    this->run();
    EXPECT_EQ(read.bytes, 5U);
}

TYPED_TEST(StreamTest, buffer_sequence_leaves_in_one_write)
{
    this->handshake();
    Result written;
    const std::array<asio::const_buffer, 3> pieces{asio::buffer("head", 4), asio::const_buffer{},
                                                   asio::buffer("body", 4)};
    this->client.async_write_some(pieces, written.handler());
    std::array<char, 16> buffer{};
    Result read;
    this->server.async_read_some(asio::buffer(buffer), read.handler());
    this->run();
    EXPECT_EQ(written.bytes, 8U);
    EXPECT_EQ(std::string(buffer.data(), read.bytes), "headbody");
}

TYPED_TEST(StreamTest, http_on_a_tls_port_can_be_answered_in_clear)
{
    const std::string request = "GET / HTTP/1.1\r\n\r\n";
    Result sent;
    asio::async_write(this->client.next_layer(), asio::buffer(request), sent.handler());
    Result shaken;
    this->server.async_handshake(shaken.handler());
    this->run();
    EXPECT_EQ(shaken.error, make_error_code(Error::http_request));
    const Bytes kept = this->server.bytes_in_clear();
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(kept.data()), kept.size()), request);
    const std::string answer = "HTTP/1.1 400 Bad Request\r\n\r\n";
    asio::async_write(this->server.next_layer(), asio::buffer(answer), sent.handler());
    std::string received(answer.size(), '\0');
    Result read;
    asio::async_read(this->client.next_layer(), asio::buffer(received), read.handler());
    this->run();
    EXPECT_EQ(received, answer);
}

TYPED_TEST(StreamTest, failed_handshake_sends_its_alert)
{
    auto strict_options = options({site()});
    strict_options.min_version = Version::tls1_3;
    auto [near, far] = transport_pair<TypeParam>(this->context);
    Stream<TypeParam> old_client{std::move(near), tls1_2_client(), "", this->pool};
    Stream<TypeParam> strict{std::move(far), server_context(strict_options), this->pool};
    Result client_done;
    Result server_done;
    old_client.async_handshake(client_done.handler());
    strict.async_handshake(server_done.handler());
    this->run();
    EXPECT_EQ(server_done.error, make_error_code(Error::unsupported_version));
    EXPECT_EQ(client_done.error, make_error_code(Error::alert_received));
}

// Memory.

TEST(IdleStream, with_wait_readable_pending_read_holds_no_buffer)
{
    asio::io_context context;
    BufferPool pool{64};
    auto [near, far] = transport_pair<WaitingSocket>(context);
    Stream<WaitingSocket> client{std::move(near), client_context(), "", pool};
    Stream<WaitingSocket> server{std::move(far), server_context(options({site()})), pool};
    Result done;
    client.async_handshake(done.handler());
    server.async_handshake([](error_code) {});
    while (context.poll() > 0) {
    }
    ASSERT_TRUE(done.succeeded());
    std::array<char, 8> buffer{};
    Result read;
    server.async_read_some(asio::buffer(buffer), read.handler());
    client.async_read_some(asio::buffer(buffer), read.handler());
    while (context.poll() > 0) {
    }
    ASSERT_TRUE(read.pending());
    EXPECT_EQ(pool.lent(), 0U);
    client.next_layer().close();
    server.next_layer().close();
    while (context.poll() > 0) {
    }
}

// The gate.

class GateTest : public testing::Test {
protected:
    struct Connection {
        Connection(GateTest& test, std::pair<Socket, Socket> sockets)
            : client{std::move(sockets.first), test.client_side, "", test.pool}, server{std::move(sockets.second),
                                                                                        test.server_side, test.pool,
                                                                                        &test.gate.value()}
        {
        }
        Stream<Socket> client;
        Stream<Socket> server;
        Result client_done;
        Result server_done;
        asio::cancellation_signal cancel;
    };

    void connect(const Session& session = nullptr)
    {
        Connection& added = connections.emplace_back(*this, transport_pair<Socket>(context));
        added.client.engine().resume(session);
        added.client.async_handshake(added.client_done.handler());
        added.server.async_handshake(asio::bind_cancellation_slot(added.cancel.slot(), added.server_done.handler()));
    }
    void run()
    {
        context.restart();
        while (context.poll() > 0) {
        }
    }
    /// A stream must not be destroyed while an operation is pending on it.
    void TearDown() override
    {
        gate.reset();
        for (Connection& each : connections) {
            each.client.next_layer().close();
            each.server.next_layer().close();
        }
        run();
    }
    [[nodiscard]] std::size_t completed() const
    {
        return static_cast<std::size_t>(
            std::count_if(connections.begin(), connections.end(), [](const Connection& each) {
                return each.client_done.succeeded() && each.server_done.succeeded();
            }));
    }

    BufferPool pool{64};
    std::optional<HandshakeGate> gate{std::in_place};
    std::shared_ptr<const ServerContext> server_side = server_context(options({site()}));
    std::shared_ptr<const ClientContext> client_side = client_context();
    asio::io_context context;
    std::deque<Connection> connections;
    Result read; ///< Pending until TearDown().
    std::array<char, 8> buffer{};
};

TEST_F(GateTest, one_handshake_completes_per_admission_in_order)
{
    for (int index = 0; index < 5; ++index) {
        connect();
    }
    run();
    EXPECT_EQ(gate->waiting(), 5U);
    EXPECT_EQ(completed(), 0U);
    for (std::size_t admitted = 1; admitted <= 5; ++admitted) {
        EXPECT_TRUE(gate->admit_one());
        run();
        EXPECT_EQ(completed(), admitted);
        EXPECT_TRUE(connections[admitted - 1].server_done.succeeded());
    }
    EXPECT_FALSE(gate->admit_one());
}

TEST_F(GateTest, signature_is_made_inside_the_admission)
{
    connect();
    run();
    ASSERT_TRUE(connections[0].server.engine().output().empty());
    gate->admit_one();
    EXPECT_FALSE(connections[0].server.engine().output().empty()); // Certificate, signature and Finished.
}

TEST_F(GateTest, resumed_handshake_does_not_wait)
{
    connect();
    run();
    gate->admit_one();
    run();
    ASSERT_EQ(completed(), 1U);
    connections[0].client.async_read_some(asio::buffer(buffer), read.handler()); // Takes the tickets.
    run();
    connect(connections[0].client.engine().session());
    run();
    EXPECT_EQ(gate->waiting(), 0U);
    EXPECT_EQ(completed(), 2U);
    EXPECT_TRUE(connections[1].server.resumed());
}

TEST_F(GateTest, cancelled_handshake_leaves_the_queue)
{
    for (int index = 0; index < 3; ++index) {
        connect();
    }
    run();
    connections[1].cancel.emit(asio::cancellation_type::terminal);
    connections[1].cancel.emit(asio::cancellation_type::terminal);
    run();
    EXPECT_EQ(connections[1].server_done.error, asio::error::operation_aborted);
    EXPECT_EQ(gate->waiting(), 2U);
    gate->admit_one();
    gate->admit_one();
    run();
    EXPECT_EQ(completed(), 2U);
}

TEST_F(GateTest, cancellation_after_the_admission_finds_the_handshake_under_way)
{
    connect();
    run();
    gate->admit_one();
    connections[0].cancel.emit(asio::cancellation_type::terminal);
    run();
    EXPECT_FALSE(connections[0].server_done.pending());
}

TEST_F(GateTest, destroyed_gate_frees_what_waits_without_calling_it)
{
    auto owned = std::make_shared<int>(0);
    bool called = false;
    auto sockets = transport_pair<Socket>(context);
    Stream<Socket> client{std::move(sockets.first), client_side, "", pool};
    Stream<Socket> server{std::move(sockets.second), server_side, pool, &gate.value()};
    client.async_handshake([](error_code) {});
    server.async_handshake([owned, &called](error_code) { called = true; });
    run();
    ASSERT_EQ(gate->waiting(), 1U);
    EXPECT_EQ(owned.use_count(), 2);
    gate.reset();
    EXPECT_EQ(owned.use_count(), 1);
    EXPECT_FALSE(called);
    client.next_layer().cancel();
    run();
}

} // namespace
} // namespace sluice::tls
