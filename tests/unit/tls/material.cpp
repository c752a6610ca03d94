#include "material.hpp"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <span>

namespace sluice::tls::test {
namespace {

template <class Write>
std::string pem(Write write)
{
    BIO* bio = BIO_new(BIO_s_mem());
    write(bio);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    std::string text{data, static_cast<std::size_t>(size)};
    BIO_free(bio);
    return text;
}

EVP_PKEY* make_key(KeyKind kind)
{
    switch (kind) {
    case KeyKind::rsa2048:
        return EVP_RSA_gen(2048);
    case KeyKind::rsa1024:
        return EVP_RSA_gen(1024);
    case KeyKind::p256:
        break;
    }
    return EVP_EC_gen("P-256");
}

std::string alternatives(const std::vector<std::string>& names)
{
    std::string text;
    for (const std::string& name : names) {
        const bool address =
            name.find(':') != std::string::npos || std::isdigit(static_cast<unsigned char>(name.front())) != 0;
        text += (text.empty() ? "" : ",") + std::string{address ? "IP:" : "DNS:"} + name;
    }
    return text;
}

} // namespace

Pair make_certificate(const std::vector<std::string>& names, KeyKind kind, int days)
{
    EVP_PKEY* key = make_key(kind);
    X509* certificate = X509_new();
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400L * days);
    X509_set_pubkey(certificate, key);
    X509_NAME* subject = X509_get_subject_name(certificate);
    const auto* common_name = reinterpret_cast<const unsigned char*>(names.front().c_str());
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, common_name, -1, -1, 0);
    X509_set_issuer_name(certificate, subject);
    X509_EXTENSION* extension =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, alternatives(names).c_str());
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    X509_sign(certificate, key, EVP_sha256());
    Pair pair{pem([&](BIO* bio) { PEM_write_bio_X509(bio, certificate); }),
              pem([&](BIO* bio) { PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr); })};
    X509_free(certificate);
    EVP_PKEY_free(key);
    return pair;
}

const Pair& site()
{
    static const Pair pair = make_certificate({"www.example.org"});
    return pair;
}

std::string encrypt_key(const std::string& key_pem)
{
    BIO* in = BIO_new_mem_buf(key_pem.data(), static_cast<int>(key_pem.size()));
    EVP_PKEY* key = PEM_read_bio_PrivateKey(in, nullptr, nullptr, nullptr);
    BIO_free(in);
    const unsigned char passphrase[] = "secret";
    std::string text = pem([&](BIO* bio) {
        PEM_write_bio_PrivateKey(bio, key, EVP_aes_128_cbc(), passphrase, sizeof passphrase - 1, nullptr, nullptr);
    });
    EVP_PKEY_free(key);
    return text;
}

CertificateSource source(const Pair& pair)
{
    return {.certificate = {.path = "test.crt", .content = pair.certificate},
            .key = {.path = "test.key", .content = pair.key}};
}

ServerOptions options(const std::vector<Pair>& pairs)
{
    ServerOptions result;
    std::transform(pairs.begin(), pairs.end(), std::back_inserter(result.certificates), source);
    return result;
}

std::shared_ptr<const ServerContext> server_context(const ServerOptions& options,
                                                    std::shared_ptr<const TicketKeys> keys)
{
    auto context = ServerContext::create(options, std::move(keys));
    EXPECT_TRUE(context) << context.error().message;
    return context ? *context : nullptr;
}

std::shared_ptr<const ClientContext> client_context(const ClientOptions& options)
{
    auto context = ClientContext::create(options);
    EXPECT_TRUE(context) << context.error().message;
    return context ? *context : nullptr;
}

bool Conversation::move(Engine& from, Engine& to) const
{
    const Bytes output = from.output();
    if (output.empty()) {
        return false;
    }
    const std::size_t moved = to.feed(output.first(std::min(output.size(), chunk)));
    from.output_consumed(moved);
    return moved > 0;
}

bool Conversation::exchange()
{
    const bool up = move(client, server);
    const bool down = move(server, client);
    return up || down;
}

bool Conversation::handshake()
{
    bool moved = true;
    while (moved) {
        moved = false;
        if (!client.handshake_complete() && client_status != Status::failed) {
            client_status = client.handshake();
        }
        if (!server.handshake_complete() && server_status != Status::failed) {
            server_status = server.handshake();
            if (server_status == Status::want_private_key) {
                ++private_key_operations;
                server.admit_private_key();
                moved = true;
            }
        }
        moved = exchange() || moved;
    }
    return client_status == Status::ok && server_status == Status::ok;
}

std::string read_all(Engine& engine)
{
    std::string text;
    std::array<std::byte, 40'000> buffer{};
    for (;;) {
        const Transfer moved = engine.read(buffer);
        if (moved.status != Status::ok) {
            return text;
        }
        text.append(reinterpret_cast<const char*>(buffer.data()), moved.bytes);
    }
}

std::string Conversation::deliver(Engine& from, Engine& to, const std::string& text)
{
    Bytes rest = std::as_bytes(std::span{text});
    std::string received;
    bool moved = true;
    while (moved || !rest.empty()) {
        const Transfer written = from.write(rest);
        rest = rest.subspan(written.bytes);
        moved = exchange();
        received += read_all(to);
        if (written.status == Status::failed || (!moved && written.bytes == 0 && !rest.empty())) {
            break;
        }
    }
    return received;
}

} // namespace sluice::tls::test
