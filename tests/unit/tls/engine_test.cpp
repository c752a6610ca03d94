#include "material.hpp"

#include <openssl/ssl.h>

#include <gtest/gtest.h>

#include <array>
#include <span>
#include <string>

namespace sluice::tls {
namespace {

using namespace test;

class EngineTest : public testing::TestWithParam<Version> {
protected:
    [[nodiscard]] std::shared_ptr<const ClientContext> client_of_version() const
    {
        return client_context({.verify = false, .alpn = {"h2", "http/1.1"}, .max_version = GetParam()});
    }

    BufferPool pool{64};
    std::shared_ptr<const ServerContext> context = server_context(options({site()}));
};

INSTANTIATE_TEST_SUITE_P(versions, EngineTest, testing::Values(Version::tls1_2, Version::tls1_3),
                         [](const auto& param_info) {
                             return param_info.param == Version::tls1_2 ? "tls1_2" : "tls1_3";
                         });

TEST_P(EngineTest, handshake_completes_and_tells_what_was_agreed)
{
    Engine client{client_of_version(), "www.example.org", pool};
    Engine server{context, pool};
    Conversation talk{client, server};
    ASSERT_TRUE(talk.handshake());
    EXPECT_EQ(server.server_name(), "www.example.org");
    EXPECT_EQ(server.alpn(), "h2");
    EXPECT_EQ(client.alpn(), "h2");
    EXPECT_EQ(server.version(), GetParam() == Version::tls1_2 ? "TLSv1.2" : "TLSv1.3");
    EXPECT_EQ(client.peer_fingerprint(), context->certificates()[0].fingerprint);
    EXPECT_FALSE(server.resumed());
    EXPECT_EQ(talk.private_key_operations, 1);
}

TEST_P(EngineTest, handshake_and_data_survive_single_bytes)
{
    Engine client{client_of_version(), "www.example.org", pool};
    Engine server{context, pool};
    Conversation talk{client, server, 1};
    ASSERT_TRUE(talk.handshake());
    EXPECT_EQ(talk.deliver(client, server, "GET / HTTP/1.1\r\n\r\n"), "GET / HTTP/1.1\r\n\r\n");
}

TEST_P(EngineTest, data_crosses_both_ways_and_idle_holds_no_buffer)
{
    Engine client{client_of_version(), "", pool};
    Engine server{context, pool};
    Conversation talk{client, server};
    ASSERT_TRUE(talk.handshake());
    static_cast<void>(read_all(client)); // Takes the tickets.
    std::string text(300'000, '\0');
    for (std::size_t index = 0; index < text.size(); ++index) {
        text[index] = static_cast<char>(index * 31 % 251);
    }
    EXPECT_TRUE(talk.deliver(client, server, text) == text);
    EXPECT_TRUE(talk.deliver(server, client, text) == text);
    EXPECT_EQ(pool.lent(), 0U);
}

TEST_P(EngineTest, close_notify_ends_the_data_in_order)
{
    Engine client{client_of_version(), "", pool};
    Engine server{context, pool};
    Conversation talk{client, server};
    ASSERT_TRUE(talk.handshake());
    EXPECT_EQ(client.write(std::as_bytes(std::span{"last", 4})).bytes, 4U);
    EXPECT_EQ(client.shutdown(), Status::ok);
    EXPECT_EQ(client.shutdown(), Status::ok);
    while (talk.exchange()) {
    }
    EXPECT_EQ(read_all(server), "last");
    std::array<std::byte, 8> buffer{};
    EXPECT_EQ(server.read(buffer).status, Status::closed);
    EXPECT_EQ(server.read(buffer).status, Status::closed);
    EXPECT_FALSE(server.error());
}

TEST_P(EngineTest, transport_that_just_ends_is_truncation)
{
    Engine client{client_of_version(), "", pool};
    Engine server{context, pool};
    Conversation talk{client, server};
    ASSERT_TRUE(talk.handshake());
    server.input_ended();
    std::array<std::byte, 8> buffer{};
    EXPECT_EQ(server.read(buffer).status, Status::failed);
    EXPECT_EQ(server.error(), Error::truncated);
}

TEST_P(EngineTest, forged_record_fails_with_an_alert)
{
    Engine client{client_of_version(), "", pool};
    Engine server{context, pool};
    Conversation talk{client, server};
    ASSERT_TRUE(talk.handshake());
    ASSERT_EQ(client.write(std::as_bytes(std::span{"text", 4})).bytes, 4U);
    std::vector<std::byte> record{client.output().begin(), client.output().end()};
    record.back() ^= std::byte{1};
    server.feed(record);
    std::array<std::byte, 8> buffer{};
    EXPECT_EQ(server.read(buffer).status, Status::failed);
    EXPECT_EQ(server.error(), Error::protocol_violation);
    EXPECT_FALSE(server.error_detail().empty());
    EXPECT_FALSE(server.output().empty());
    client.output_consumed(client.output().size());
    client.feed(server.output());
    EXPECT_EQ(client.read(buffer).status, Status::failed);
    EXPECT_EQ(client.error(), Error::alert_received);
}

TEST_P(EngineTest, exhausted_pool_fails_the_connection_and_leaks_nothing)
{
    BufferPool small{1};
    std::byte* taken = small.acquire();
    {
        Engine client{client_of_version(), "", small};
        EXPECT_EQ(client.handshake(), Status::failed);
        EXPECT_EQ(client.error(), Error::out_of_buffers);
        Engine server{context, small};
        EXPECT_TRUE(server.input_space().empty());
        EXPECT_EQ(server.error(), Error::out_of_buffers);
    }
    small.release(taken);
    EXPECT_EQ(small.lent(), 0U);
}

TEST_P(EngineTest, gathered_pieces_leave_as_one_record)
{
    Engine client{client_of_version(), "", pool};
    Engine server{context, pool};
    Conversation talk{client, server};
    ASSERT_TRUE(talk.handshake());
    RecordGatherer record{server};
    for (const std::string_view piece : {"", "HTTP/1.1 200 OK\r\n\r\n", "", "body"}) {
        record.add(std::as_bytes(std::span{piece}));
    }
    EXPECT_EQ(record.write().bytes, 23U);
    EXPECT_LT(server.output().size(), 23U + 60U);
    while (talk.exchange()) {
    }
    EXPECT_EQ(read_all(client), "HTTP/1.1 200 OK\r\n\r\nbody");
}

TEST_P(EngineTest, gathering_stops_at_a_full_record)
{
    Engine client{client_of_version(), "", pool};
    Engine server{context, pool};
    Conversation talk{client, server};
    ASSERT_TRUE(talk.handshake());
    const std::string small(100, 'a');
    const std::string large(40'000, 'b');
    RecordGatherer record{server};
    record.add(std::as_bytes(std::span{small}));
    record.add(std::as_bytes(std::span{large}));
    EXPECT_FALSE(record.has_room());
    EXPECT_EQ(record.write().bytes, 16384U);
    while (talk.exchange()) {
    }
    EXPECT_TRUE(read_all(client) == small + large.substr(0, 16284));
}

// Before TLS begins.

TEST(EngineInClear, http_request_is_told_apart_and_kept)
{
    BufferPool pool{4};
    Engine server{server_context(options({site()})), pool};
    const std::string request = "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n";
    server.feed(std::as_bytes(std::span{request}));
    EXPECT_EQ(server.handshake(), Status::failed);
    EXPECT_EQ(server.error(), Error::http_request);
    const Bytes kept = server.bytes_in_clear();
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(kept.data()), kept.size()), request);
    EXPECT_TRUE(server.output().empty());
    EXPECT_EQ(server.handshake(), Status::failed);
}

TEST(EngineInClear, neither_tls_nor_http_is_not_tls)
{
    BufferPool pool{4};
    Engine server{server_context(options({site()})), pool};
    const std::array<std::byte, 3> bytes{std::byte{0x80}, std::byte{0x2e}, std::byte{1}};
    server.feed(bytes);
    EXPECT_EQ(server.handshake(), Status::failed);
    EXPECT_EQ(server.error(), Error::not_tls);
    EXPECT_EQ(server.bytes_in_clear().size(), 3U);
}

TEST(EngineInClear, connection_that_says_nothing_and_ends_is_truncated)
{
    BufferPool pool{4};
    Engine server{server_context(options({site()})), pool};
    EXPECT_EQ(server.handshake(), Status::want_input);
    server.input_ended();
    EXPECT_EQ(server.handshake(), Status::failed);
    EXPECT_EQ(server.error(), Error::truncated);
}

// What is refused.

TEST(EngineRefusal, tls1_2_client_against_a_tls1_3_server)
{
    BufferPool pool{8};
    ServerOptions strict = options({site()});
    strict.min_version = Version::tls1_3;
    Engine client{client_context({.verify = false, .max_version = Version::tls1_2}), "", pool};
    Engine server{server_context(strict), pool};
    Conversation talk{client, server};
    EXPECT_FALSE(talk.handshake());
    EXPECT_EQ(server.error(), Error::unsupported_version);
    EXPECT_EQ(client.error(), Error::alert_received);
    EXPECT_EQ(talk.private_key_operations, 0);
}

TEST(EngineRefusal, no_protocol_in_common)
{
    BufferPool pool{8};
    Engine client{client_context({.verify = false, .alpn = {"smtp"}}), "", pool};
    Engine server{server_context(options({site()})), pool};
    Conversation talk{client, server};
    EXPECT_FALSE(talk.handshake());
    EXPECT_EQ(client.error(), Error::alert_received);
}

TEST(EngineRefusal, client_without_alpn_is_served)
{
    BufferPool pool{8};
    Engine client{client_context({.verify = false, .alpn = {}}), "", pool};
    Engine server{server_context(options({site()})), pool};
    Conversation talk{client, server};
    EXPECT_TRUE(talk.handshake());
    EXPECT_EQ(server.alpn(), "");
}

TEST(EngineRefusal, static_rsa_and_cbc_have_no_cipher_in_common)
{
    BufferPool pool{8};
    for (const char* ciphers : {"AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA256", "DHE-RSA-AES128-GCM-SHA256"}) {
        const auto weak = client_context({.verify = false, .max_version = Version::tls1_2});
        ASSERT_EQ(SSL_CTX_set_cipher_list(weak->native(), ciphers), 1);
        Engine client{weak, "", pool};
        Engine server{server_context(options({make_certificate({"a.example.org"}, KeyKind::rsa2048)})), pool};
        Conversation talk{client, server};
        EXPECT_FALSE(talk.handshake()) << ciphers;
        EXPECT_EQ(server.error(), Error::no_shared_cipher) << ciphers;
    }
}

TEST(EngineRefusal, unverified_certificate_is_rejected_by_a_verifying_client)
{
    BufferPool pool{8};
    Engine client{client_context({}), "www.example.org", pool};
    Engine server{server_context(options({site()})), pool};
    Conversation talk{client, server};
    EXPECT_FALSE(talk.handshake());
    EXPECT_EQ(client.error(), Error::certificate_rejected);
    EXPECT_EQ(client.error_detail(), "self-signed certificate");
}

// SNI.

struct NameRow {
    const char* asked;
    std::size_t certificate;
};

class ServerName : public testing::TestWithParam<NameRow> {};

TEST_P(ServerName, certificate_answers_by_exact_name_then_wildcard_then_first)
{
    static const auto context = server_context(options({
        make_certificate({"default.example.net"}),
        make_certificate({"www.example.org", "example.org"}),
        make_certificate({"*.example.org"}),
    }));
    BufferPool pool{8};
    Engine client{client_context(), GetParam().asked, pool};
    Engine server{context, pool};
    Conversation talk{client, server};
    ASSERT_TRUE(talk.handshake());
    EXPECT_EQ(client.peer_fingerprint(), context->certificates()[GetParam().certificate].fingerprint);
    EXPECT_EQ(context->select(GetParam().asked).front(), GetParam().certificate);
}

INSTANTIATE_TEST_SUITE_P(names, ServerName,
                         testing::Values(NameRow{"www.example.org", 1}, NameRow{"WWW.Example.ORG", 1},
                                         NameRow{"example.org", 1}, NameRow{"api.example.org", 2},
                                         NameRow{"a.b.example.org", 0}, NameRow{"default.example.net", 0},
                                         NameRow{"other.test", 0}, NameRow{"", 0}, NameRow{"192.0.2.1", 0}));

TEST(ServerNameKinds, rsa_and_ec_certificates_of_a_name_serve_both_kinds_of_client)
{
    const auto context = server_context(options(
        {make_certificate({"a.example.org"}, KeyKind::rsa2048), make_certificate({"a.example.org"}, KeyKind::p256)}));
    EXPECT_EQ(context->select("a.example.org").size(), 2U);
    EXPECT_EQ(context->select("unknown.test").size(), 2U);
    BufferPool pool{8};
    for (const auto& [algorithms, certificate] :
         {std::pair{"rsa_pss_rsae_sha256", 0U}, std::pair{"ecdsa_secp256r1_sha256", 1U}}) {
        const auto limited = client_context();
        ASSERT_EQ(SSL_CTX_set1_sigalgs_list(limited->native(), algorithms), 1);
        Engine client{limited, "a.example.org", pool};
        Engine server{context, pool};
        Conversation talk{client, server};
        ASSERT_TRUE(talk.handshake()) << algorithms;
        EXPECT_EQ(client.peer_fingerprint(), context->certificates()[certificate].fingerprint);
    }
}

// The private key.

TEST(PrivateKey, hello_retry_asks_again_before_it_signs)
{
    BufferPool pool{8};
    const auto retrying = client_context();
    ASSERT_EQ(SSL_CTX_set1_groups_list(retrying->native(), "P-521:P-256"), 1); // The key share is of a group we lack.
    Engine client{retrying, "", pool};
    Engine server{server_context(options({site()})), pool};
    Conversation talk{client, server};
    ASSERT_TRUE(talk.handshake());
    EXPECT_EQ(talk.private_key_operations, 2);
}

TEST(PrivateKey, engine_waits_for_admission_however_often_it_is_asked)
{
    BufferPool pool{8};
    Engine client{client_context(), "", pool};
    Engine server{server_context(options({site()})), pool};
    ASSERT_EQ(client.handshake(), Status::want_input);
    server.feed(client.output());
    for (int attempt = 0; attempt < 3; ++attempt) {
        EXPECT_EQ(server.handshake(), Status::want_private_key);
        EXPECT_TRUE(server.output().empty());
    }
    server.admit_private_key();
    EXPECT_EQ(server.handshake(), Status::want_input);
    EXPECT_FALSE(server.output().empty());
}

} // namespace
} // namespace sluice::tls
