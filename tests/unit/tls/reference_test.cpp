// asio::ssl::stream as the other end: what we send is what an independent stream over the same library expects.
#include "material.hpp"
#include "transport.hpp"

#include <sluice/tls/stream.hpp>

#include <boost/asio/read.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

#include <gtest/gtest.h>

#include <string>

namespace sluice::tls {
namespace {

using namespace test;
namespace asio = boost::asio;
using boost::system::error_code;

TEST(AsioSslClient, echo_and_orderly_shutdown)
{
    asio::io_context context;
    BufferPool pool{16};
    asio::ssl::context reference{asio::ssl::context::tls_client};
    auto [near, far] = transport_pair<Socket>(context);
    asio::ssl::stream<Socket> client{std::move(near), reference};
    Stream<Socket> server{std::move(far), server_context(options({make_certificate({"a.example.org"})})), pool};
    const std::string sent(100'000, 'q');
    std::string echoed(sent.size(), '\0');
    std::string received(sent.size(), '\0');
    bool client_down = false;
    server.async_handshake([&](error_code error) {
        ASSERT_FALSE(error);
        asio::async_read(server, asio::buffer(received), [&](error_code read_error, std::size_t) {
            ASSERT_FALSE(read_error);
            asio::async_write(server, asio::buffer(received), [&](error_code write_error, std::size_t) {
                ASSERT_FALSE(write_error);
                server.async_shutdown([](error_code shutdown_error) { EXPECT_FALSE(shutdown_error); });
            });
        });
    });
    client.async_handshake(asio::ssl::stream_base::client, [&](error_code error) {
        ASSERT_FALSE(error);
        asio::async_write(client, asio::buffer(sent),
                          [&](error_code write_error, std::size_t) { ASSERT_FALSE(write_error); });
        asio::async_read(client, asio::buffer(echoed), [&](error_code read_error, std::size_t) {
            ASSERT_FALSE(read_error);
            client.async_shutdown([&](error_code shutdown_error) {
                EXPECT_FALSE(shutdown_error);
                client_down = true;
            });
        });
    });
    context.run();
    EXPECT_TRUE(echoed == sent);
    EXPECT_TRUE(client_down);
}

TEST(AsioSslStream, runs_over_our_stream)
{
    // TLS inside TLS: our stream models everything that asio asks of a next layer.
    asio::io_context context;
    BufferPool pool{64};
    asio::ssl::context reference{asio::ssl::context::tls_client};
    auto [near, far] = transport_pair<Socket>(context);
    const auto server_side = server_context(options({make_certificate({"a.example.org"})}));
    Stream<Socket> outer_client{std::move(near), client_context({.verify = false, .alpn = {}}), "", pool};
    Stream<Socket> outer_server{std::move(far), server_side, pool};
    asio::ssl::stream<Stream<Socket>&> inner_client{outer_client, reference};
    Stream<Stream<Socket>&> inner_server{outer_server, server_side, pool};
    bool client_ready = false;
    bool server_ready = false;
    outer_client.async_handshake([&](error_code error) {
        ASSERT_FALSE(error);
        inner_client.async_handshake(asio::ssl::stream_base::client, [&](error_code inner) { client_ready = !inner; });
    });
    outer_server.async_handshake([&](error_code error) {
        ASSERT_FALSE(error);
        inner_server.async_handshake([&](error_code inner) { server_ready = !inner; });
    });
    context.run();
    EXPECT_TRUE(client_ready);
    EXPECT_TRUE(server_ready);
}

} // namespace
} // namespace sluice::tls
