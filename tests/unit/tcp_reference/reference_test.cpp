// The stream models Asio's concepts: asio::ssl::stream and Beast's HTTP work over it unchanged. They are the reference,
// not what the proxy uses.
#include "support/tcp_host.hpp"

#include <sluice/tcp/awaitable.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

namespace sluice::tcp {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
namespace http = boost::beast::http;
using TlsStream = ssl::stream<Stream>;

/// A self-signed certificate of this run.
void make_certificate(ssl::context& context)
{
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_sign(certificate, key, EVP_sha256());
    EXPECT_EQ(SSL_CTX_use_certificate(context.native_handle(), certificate), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey(context.native_handle(), key), 1);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

Awaitable<void> serve(TlsStream stream)
{
    co_await stream.async_handshake(ssl::stream_base::server, use_awaitable);
    boost::beast::flat_buffer buffer;
    http::request<http::string_body> request;
    co_await http::async_read(stream, buffer, request, use_awaitable);
    http::response<http::string_body> response{http::status::ok, 11};
    response.body() = "hello " + request.body();
    response.prepare_payload();
    co_await http::async_write(stream, response, use_awaitable);
    co_await stream.async_shutdown(use_awaitable);
}

Awaitable<void> ask(Stack& stack, wire::Endpoint from, wire::Endpoint to, ssl::context& context, std::string& answer)
{
    TlsStream stream{co_await stack.async_connect(from, to, {}, use_awaitable), context};
    co_await stream.async_handshake(ssl::stream_base::client, use_awaitable);
    http::request<http::string_body> request{http::verb::post, "/", 11};
    request.body() = std::string(100'000, 'x');
    request.prepare_payload();
    co_await http::async_write(stream, request, use_awaitable);
    boost::beast::flat_buffer buffer;
    http::response<http::string_body> response;
    co_await http::async_read(stream, buffer, response, use_awaitable);
    answer = response.body();
    co_await stream.async_shutdown(use_awaitable);
}

TEST(Reference, tls_and_http_of_asio_and_beast_run_over_the_stream)
{
    FakeClock clock;
    testing::TcpHost client{clock, wire::IpAddress::v4(0x0a000001), 1};
    testing::TcpHost server{clock, wire::IpAddress::v4(0x0a000002), 2};
    const wire::Endpoint service{server.address, 443};
    ssl::context server_context{ssl::context::tls_server};
    make_certificate(server_context);
    ssl::context client_context{ssl::context::tls_client};
    ASSERT_TRUE(server.stack.listen(service, {}, [&](Stream stream) {
        asio::co_spawn(server.loop.get_executor(), serve(TlsStream{std::move(stream), server_context}), asio::detached);
    }));
    std::string answer;
    asio::co_spawn(client.loop.get_executor(), ask(client.stack, {client.address, 0}, service, client_context, answer),
                   asio::detached);
    for (int turn = 0; turn < 2000; ++turn) {
        client.turn();
        for (const auto& packet : std::exchange(client.sent, {})) {
            server.receive(packet);
        }
        server.turn();
        for (const auto& packet : std::exchange(server.sent, {})) {
            client.receive(packet);
        }
        clock.advance(1ms);
    }
    EXPECT_EQ(answer.size(), 100'006U);
    EXPECT_EQ(client.stack.usage().connections, 0U);
    EXPECT_EQ(server.stack.usage().connections, 0U);
}

} // namespace
} // namespace sluice::tcp
