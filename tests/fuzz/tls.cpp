// Bytes of a stranger into a TLS server: nothing may crash, hang or keep a buffer. The first byte of the input says how
// large the pieces are.
#include <sluice/tls/engine.hpp>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>

namespace {

using namespace sluice;

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

std::shared_ptr<const tls::ServerContext> make_context()
{
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = X509_new();
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_set_pubkey(certificate, key);
    X509_sign(certificate, key, EVP_sha256());
    tls::ServerOptions options;
    options.certificates.push_back(
        {.certificate = {.path = "fuzz.crt", .content = pem([&](BIO* bio) { PEM_write_bio_X509(bio, certificate); })},
         .key = {.path = "fuzz.key", .content = pem([&](BIO* bio) {
                                         PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
                                     })}});
    X509_free(certificate);
    EVP_PKEY_free(key);
    return tls::ServerContext::create(options, tls::TicketKeys::random()).value();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const auto context = make_context();
    if (size == 0) {
        return 0;
    }
    tls::BufferPool pool{4};
    {
        tls::Engine server{context, pool};
        const std::size_t piece = std::size_t{data[0]} + 1;
        Bytes rest = std::as_bytes(std::span{data, size}).subspan(1);
        tls::Status status = tls::Status::want_input;
        int signatures = 0;
        while (!rest.empty() && status != tls::Status::failed && status != tls::Status::ok) {
            rest = rest.subspan(server.feed(rest.first(std::min(piece, rest.size()))));
            status = server.handshake();
            if (status == tls::Status::want_private_key) {
                server.admit_private_key();
                status = server.handshake();
                ++signatures;
            }
            server.output_consumed(server.output().size());
        }
        if (signatures > 2) { // A retried hello and the one after it.
            std::abort();
        }
        std::array<std::byte, 64> buffer{};
        if (server.handshake_complete()) {
            static_cast<void>(server.read(buffer));
        }
        static_cast<void>(server.shutdown());
    }
    if (pool.lent() != 0) {
        std::abort();
    }
    return 0;
}
