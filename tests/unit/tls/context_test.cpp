#include "material.hpp"

#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace sluice::tls {
namespace {

using namespace test;
using Kind = LoadError::Kind;

/// A folder of its own, gone at the end of the test.
class ContextFiles : public testing::Test {
protected:
    ContextFiles()
    {
        std::string pattern = testing::TempDir() + "sluice-tls-XXXXXX";
        folder_ = ::mkdtemp(pattern.data());
    }
    ~ContextFiles() override { std::filesystem::remove_all(folder_); }

    std::string write(const std::string& name, const std::string& content, mode_t mode = 0600)
    {
        const std::string path = folder_ / name;
        std::ofstream{path} << content;
        ::chmod(path.c_str(), mode);
        return path;
    }
    [[nodiscard]] static LoadError error_of(const std::string& certificate, const std::string& key)
    {
        ServerOptions files;
        files.certificates.push_back({.certificate = {.path = certificate}, .key = {.path = key}});
        auto context = ServerContext::create(files, TicketKeys::random());
        EXPECT_FALSE(context);
        return context ? LoadError{} : context.error();
    }

    std::filesystem::path folder_;
    Pair pair_ = make_certificate({"www.example.org"});
};

TEST_F(ContextFiles, good_files_become_a_context)
{
    ServerOptions files;
    files.certificates.push_back({.certificate = {.path = write("site.crt", pair_.certificate, 0644)},
                                  .key = {.path = write("site.key", pair_.key, 0640)}});
    EXPECT_TRUE(ServerContext::create(files, TicketKeys::random()));
}

TEST_F(ContextFiles, missing_file_is_named)
{
    const LoadError error = error_of(folder_ / "none.crt", write("site.key", pair_.key));
    EXPECT_EQ(error.kind, Kind::unreadable);
    EXPECT_EQ(error.file, folder_ / "none.crt");
    EXPECT_EQ(error.message, error.file + ": No such file or directory");
    EXPECT_FALSE(error.remedy.empty());
}

TEST_F(ContextFiles, key_that_others_may_read_is_refused_with_the_command)
{
    const std::string key = write("site.key", pair_.key, 0644);
    const LoadError error = error_of(write("site.crt", pair_.certificate), key);
    EXPECT_EQ(error.kind, Kind::exposed);
    EXPECT_EQ(error.remedy, "chmod o= " + key);
}

TEST_F(ContextFiles, folder_and_fifo_are_no_certificates)
{
    const std::string key = write("site.key", pair_.key);
    EXPECT_EQ(error_of(folder_, key).kind, Kind::malformed);
    const std::string fifo = folder_ / "fifo";
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    EXPECT_EQ(error_of(fifo, key).kind, Kind::malformed);
}

TEST_F(ContextFiles, key_of_another_certificate_is_a_mismatch)
{
    const Pair other = make_certificate({"other.test"});
    const LoadError error = error_of(write("site.crt", pair_.certificate), write("site.key", other.key));
    EXPECT_EQ(error.kind, Kind::mismatch);
}

TEST_F(ContextFiles, encrypted_key_is_refused_without_asking_the_terminal)
{
    const LoadError error = error_of(write("site.crt", pair_.certificate), write("site.key", encrypt_key(pair_.key)));
    EXPECT_EQ(error.kind, Kind::malformed);
    EXPECT_NE(error.message.find("encrypted"), std::string::npos);
}

TEST_F(ContextFiles, certificate_and_key_swapped_are_malformed)
{
    const LoadError error = error_of(write("site.crt", pair_.key), write("site.key", pair_.certificate));
    EXPECT_EQ(error.kind, Kind::malformed);
    EXPECT_NE(error.message.find("no PEM certificate"), std::string::npos);
}

TEST_F(ContextFiles, damaged_intermediate_is_not_ignored)
{
    std::string chain = pair_.certificate + pair_.certificate;
    chain[pair_.certificate.size() + 100] = '!';
    EXPECT_EQ(error_of(write("site.crt", chain), write("site.key", pair_.key)).kind, Kind::malformed);
}

TEST_F(ContextFiles, weak_key_is_refused_before_a_client_does)
{
    const Pair weak = make_certificate({"www.example.org"}, KeyKind::rsa1024);
    const LoadError error = error_of(write("site.crt", weak.certificate), write("site.key", weak.key));
    EXPECT_EQ(error.kind, Kind::too_weak);
    EXPECT_NE(error.message.find("ee key too small"), std::string::npos);
}

TEST_F(ContextFiles, ticket_keys_are_loaded_in_order_and_kept_secret)
{
    const std::vector<std::string> paths{write("new.key", std::string(80, 'n')),
                                         write("old.key", std::string(48, 'o'))};
    const auto keys = TicketKeys::load(paths);
    ASSERT_TRUE(keys);
    EXPECT_EQ((*keys)->size(), 2U);
    EXPECT_EQ((*keys)->current().name[0], std::byte{'n'});
    const std::vector<std::string> exposed{write("open.key", std::string(80, 'x'), 0644)};
    EXPECT_EQ(TicketKeys::load(exposed).error().kind, Kind::exposed);
    EXPECT_EQ(TicketKeys::load({}).error().kind, Kind::invalid);
}

TEST(ServerContext, without_certificate_is_refused)
{
    const auto context = ServerContext::create({}, TicketKeys::random());
    ASSERT_FALSE(context);
    EXPECT_EQ(context.error().kind, Kind::invalid);
}

TEST(ServerContext, empty_protocol_name_is_refused)
{
    ServerOptions bad = options({make_certificate({"a.example.org"})});
    bad.alpn = {"h2", ""};
    EXPECT_FALSE(ServerContext::create(bad, TicketKeys::random()));
}

TEST(ClientContext, verification_against_a_named_authority_accepts_its_certificate_alone)
{
    const Pair pair = make_certificate({"www.example.org", "192.0.2.1"});
    std::string pattern = testing::TempDir() + "sluice-ca-XXXXXX";
    const int file = ::mkstemp(pattern.data());
    ASSERT_EQ(::write(file, pair.certificate.data(), pair.certificate.size()),
              static_cast<ssize_t>(pair.certificate.size()));
    ::close(file);
    const auto client_side = client_context({.ca_file = pattern});
    ::unlink(pattern.c_str());
    const auto server_side = server_context(options({pair}));
    BufferPool pool{8};
    for (const auto& [name, accepted] : {std::pair{"www.example.org", true}, std::pair{"192.0.2.1", true},
                                         std::pair{"other.example.org", false}, std::pair{"192.0.2.2", false}}) {
        Engine client{client_side, name, pool};
        Engine server{server_side, pool};
        Conversation talk{client, server};
        EXPECT_EQ(talk.handshake(), accepted) << name;
        if (!accepted) {
            EXPECT_EQ(client.error(), Error::certificate_rejected) << name;
        }
    }
}

TEST(ClientContext, missing_authority_file_is_an_error)
{
    const auto context = ClientContext::create({.ca_file = "/nonexistent/ca.pem"});
    ASSERT_FALSE(context);
    EXPECT_EQ(context.error().file, "/nonexistent/ca.pem");
}

TEST(CertificateInfo, tells_what_the_certificate_says)
{
    const Pair pair =
        make_certificate({"www.example.org", "*.Example.NET", "2001:db8::1", "192.0.2.7"}, KeyKind::rsa2048, 7);
    const auto context = server_context(options({pair}));
    const CertificateInfo& info = context->certificates().at(0);
    EXPECT_EQ(info.subject, "CN=www.example.org");
    EXPECT_EQ(info.issuer, "CN=www.example.org");
    EXPECT_EQ(info.names, (std::vector<std::string>{"www.example.org", "*.example.net", "2001:db8::1", "192.0.2.7"}));
    EXPECT_EQ(info.key, "RSA 2048");
    EXPECT_EQ(info.source, "test.crt");
    EXPECT_EQ(info.not_after - info.not_before, std::chrono::hours{7 * 24 + 1});
    EXPECT_FALSE(info.expired(std::chrono::system_clock::now()));
    EXPECT_TRUE(info.expired(std::chrono::system_clock::now() + std::chrono::hours{8 * 24}));
    EXPECT_EQ(info.fingerprint.size(), 95U);
}

TEST(CertificateInfo, elliptic_key_has_the_name_of_its_curve)
{
    const auto context = server_context(options({make_certificate({"a.example.org"})}));
    EXPECT_EQ(context->certificates().at(0).key, "EC P-256");
}

} // namespace
} // namespace sluice::tls
