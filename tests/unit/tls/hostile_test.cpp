// A client of bare OpenSSL that does what ours never would.
#include "material.hpp"

#include <openssl/ssl.h>

#include <gtest/gtest.h>

#include <array>
#include <memory>

namespace sluice::tls {
namespace {

using namespace test;

class RawClient {
public:
    explicit RawClient(int version) : context_{SSL_CTX_new(TLS_client_method())}
    {
        SSL_CTX_set_max_proto_version(context_, version);
        ssl_ = SSL_new(context_);
        SSL_set_connect_state(ssl_);
        SSL_set_bio(ssl_, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    }
    ~RawClient()
    {
        SSL_free(ssl_);
        SSL_CTX_free(context_);
    }
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;

    [[nodiscard]] SSL* ssl() { return ssl_; }

    void to(Engine& server)
    {
        std::array<std::byte, 4096> chunk{};
        for (int size = 1; size > 0;) {
            size = BIO_read(SSL_get_wbio(ssl_), chunk.data(), static_cast<int>(chunk.size()));
            if (size > 0) {
                server.feed(Bytes{chunk}.first(static_cast<std::size_t>(size)));
            }
        }
    }
    void from(Engine& server)
    {
        const Bytes output = server.output();
        BIO_write(SSL_get_rbio(ssl_), output.data(), static_cast<int>(output.size()));
        server.output_consumed(output.size());
    }
    bool handshake(Engine& server)
    {
        Status status = Status::want_input;
        for (int round = 0; round < 10; ++round) {
            const int mine = SSL_do_handshake(ssl_);
            to(server);
            server.admit_private_key();
            status = server.handshake();
            from(server);
            if (mine == 1 && status == Status::ok) {
                return true;
            }
        }
        return false;
    }

private:
    SSL_CTX* context_;
    SSL* ssl_ = nullptr;
};

class Hostile : public testing::Test {
protected:
    BufferPool pool{8};
    Engine server{server_context(options({make_certificate({"a.example.org"})})), pool};
    std::array<std::byte, 1024> buffer{};
};

TEST_F(Hostile, renegotiation_is_refused)
{
    RawClient client{TLS1_2_VERSION};
    ASSERT_TRUE(client.handshake(server));
    SSL_renegotiate(client.ssl());
    SSL_do_handshake(client.ssl());
    client.to(server);
    EXPECT_NE(server.read(buffer).status, Status::ok);
    client.from(server);
    EXPECT_LE(SSL_do_handshake(client.ssl()), 0);
    server.admit_private_key();
    EXPECT_NE(server.read(buffer).status, Status::want_private_key);
}

TEST_F(Hostile, key_update_is_answered_with_the_next_write)
{
    RawClient client{TLS1_3_VERSION};
    ASSERT_TRUE(client.handshake(server));
    SSL_key_update(client.ssl(), SSL_KEY_UPDATE_REQUESTED);
    SSL_write(client.ssl(), "after", 5);
    client.to(server);
    const Transfer read = server.read(buffer);
    EXPECT_EQ(read.status, Status::ok);
    EXPECT_EQ(read.bytes, 5U);
    EXPECT_EQ(server.write(std::as_bytes(std::span{"answer", 6})).bytes, 6U);
    client.from(server);
    std::array<char, 16> text{};
    EXPECT_EQ(SSL_read(client.ssl(), text.data(), static_cast<int>(text.size())), 6);
}

TEST_F(Hostile, flood_of_key_updates_without_listening_ends_the_connection)
{
    RawClient client{TLS1_3_VERSION};
    ASSERT_TRUE(client.handshake(server));
    Status status = Status::want_input;
    int updates = 0;
    for (; updates < 2000 && status == Status::want_input; ++updates) {
        SSL_key_update(client.ssl(), SSL_KEY_UPDATE_REQUESTED);
        SSL_do_handshake(client.ssl());
        client.to(server);
        status = server.read(buffer).status;
    }
    EXPECT_EQ(status, Status::failed);
    EXPECT_EQ(server.error(), Error::protocol_violation);
    EXPECT_EQ(server.error_detail(), "too many control messages");
    EXPECT_LT(updates, 2000);
}

} // namespace
} // namespace sluice::tls
