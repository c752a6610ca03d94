// A session resumes wherever its client lands: another worker's context, the next generation's, the peer's.
#include "material.hpp"

#include <gtest/gtest.h>

#include <array>

namespace sluice::tls {
namespace {

using namespace test;

class Resumption : public testing::TestWithParam<Version> {
protected:
    /// One connection; returns the session it ended with.
    Session connect(const std::shared_ptr<const ServerContext>& context, const Session& resume = nullptr)
    {
        Engine client{client_, "www.example.org", pool_};
        Engine server{context, pool_};
        client.resume(resume);
        Conversation talk{client, server};
        EXPECT_TRUE(talk.handshake());
        static_cast<void>(read_all(client)); // TLS 1.3 tickets come after the handshake.
        resumed_ = server.resumed();
        EXPECT_EQ(client.resumed(), resumed_);
        private_key_operations_ = talk.private_key_operations;
        return client.session();
    }

    [[nodiscard]] static TicketKey key_of(unsigned char fill, std::size_t size)
    {
        const std::vector<std::byte> bytes(size, std::byte{fill});
        return *TicketKeys::parse(bytes, "test");
    }
    [[nodiscard]] static std::shared_ptr<const TicketKeys> keys(std::vector<TicketKey> list)
    {
        return std::make_shared<const TicketKeys>(std::move(list));
    }

    BufferPool pool_{16};
    Pair pair_ = make_certificate({"www.example.org"});
    std::shared_ptr<const ClientContext> client_ = client_context({.verify = false, .max_version = GetParam()});
    bool resumed_ = false;
    int private_key_operations_ = 0;
};

INSTANTIATE_TEST_SUITE_P(versions, Resumption, testing::Values(Version::tls1_2, Version::tls1_3),
                         [](const auto& param_info) {
                             return param_info.param == Version::tls1_2 ? "tls1_2" : "tls1_3";
                         });

TEST_P(Resumption, session_resumes_without_a_private_key_operation)
{
    const auto context = server_context(options({pair_}));
    const Session session = connect(context);
    ASSERT_NE(session, nullptr);
    EXPECT_FALSE(resumed_);
    EXPECT_EQ(private_key_operations_, 1);
    connect(context, session);
    EXPECT_TRUE(resumed_);
    EXPECT_EQ(private_key_operations_, 0);
}

TEST_P(Resumption, session_resumes_on_another_context_with_the_same_key_file)
{
    const Session session = connect(server_context(options({pair_}), keys({key_of(1, 80)})));
    // Another node: a certificate of its own too.
    connect(server_context(options({make_certificate({"www.example.org"})}), keys({key_of(1, 80)})), session);
    EXPECT_TRUE(resumed_);
}

TEST_P(Resumption, session_resumes_after_a_reload_with_the_process_keys)
{
    const auto process_keys = TicketKeys::random();
    const Session session = connect(server_context(options({pair_}), process_keys));
    connect(server_context(options({pair_}), process_keys), session);
    EXPECT_TRUE(resumed_);
}

TEST_P(Resumption, unknown_key_means_a_full_handshake)
{
    const Session session = connect(server_context(options({pair_}), keys({key_of(1, 80)})));
    connect(server_context(options({pair_}), keys({key_of(2, 80)})), session);
    EXPECT_FALSE(resumed_);
    EXPECT_EQ(private_key_operations_, 1);
}

TEST_P(Resumption, rotated_key_still_decrypts_and_the_client_gets_a_ticket_of_the_new_one)
{
    const Session old = connect(server_context(options({pair_}), keys({key_of(1, 80)})));
    const Session renewed = connect(server_context(options({pair_}), keys({key_of(2, 80), key_of(1, 80)})), old);
    EXPECT_TRUE(resumed_);
    ASSERT_NE(renewed, nullptr);
    connect(server_context(options({pair_}), keys({key_of(2, 80)})), renewed);
    EXPECT_TRUE(resumed_);
}

TEST_P(Resumption, key_of_48_bytes_works)
{
    const Session session = connect(server_context(options({pair_}), keys({key_of(1, 48)})));
    connect(server_context(options({pair_}), keys({key_of(2, 80), key_of(1, 48)})), session);
    EXPECT_TRUE(resumed_);
}

TEST_P(Resumption, chain_of_resumptions_does_not_end)
{
    const auto context = server_context(options({pair_}));
    Session session = connect(context);
    for (int round = 0; round < 5; ++round) {
        const Session next = connect(context, session);
        EXPECT_TRUE(resumed_) << round;
        session = next != nullptr ? next : session; // TLS 1.2 keeps its ticket.
    }
}

TEST(TicketKeyFile, layouts_are_those_of_nginx)
{
    std::array<std::byte, 80> bytes{};
    for (std::size_t index = 0; index < bytes.size(); ++index) {
        bytes[index] = static_cast<std::byte>(index);
    }
    const auto wide = TicketKeys::parse(bytes, "t");
    ASSERT_TRUE(wide);
    EXPECT_EQ(wide->name[0], std::byte{0});
    EXPECT_EQ(wide->mac_key[0], std::byte{16});
    EXPECT_EQ(wide->cipher_key[0], std::byte{48});
    EXPECT_EQ(wide->cipher_key[31], std::byte{79});
    const auto narrow = TicketKeys::parse(std::span{bytes}.first(48), "t");
    ASSERT_TRUE(narrow);
    EXPECT_EQ(narrow->cipher_key[0], std::byte{16});
    EXPECT_EQ(narrow->mac_key[0], std::byte{32});
    EXPECT_EQ(narrow->mac_key[15], std::byte{47});
}

TEST(TicketKeyFile, other_lengths_are_refused_with_the_command)
{
    for (const std::size_t size : {0U, 47U, 49U, 79U, 81U}) {
        const std::vector<std::byte> bytes(size);
        const auto key = TicketKeys::parse(bytes, "tickets.key");
        ASSERT_FALSE(key);
        EXPECT_EQ(key.error().kind, LoadError::Kind::malformed);
        EXPECT_EQ(key.error().remedy, "openssl rand -out tickets.key 80");
    }
}

TEST(TicketKeys, found_by_name_alone)
{
    const auto keys = TicketKeys::random();
    EXPECT_EQ(keys->find(keys->current().name), &keys->current());
    EXPECT_EQ(keys->find(std::array<std::byte, 16>{}), nullptr);
}

} // namespace
} // namespace sluice::tls
