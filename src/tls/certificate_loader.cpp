#include "certificate_loader.hpp"

#include "certificate_info.hpp"
#include "files.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <utility>

namespace sluice::tls {
namespace {

using Kind = LoadError::Kind;

LoadError error(Kind kind, const std::string& file, const std::string& message, std::string remedy = {})
{
    return {.kind = kind, .file = file, .message = file + ": " + message, .remedy = std::move(remedy)};
}

Expected<std::string, LoadError> content_of(const PemSource& source, Secrecy secrecy)
{
    if (!source.content.empty()) {
        return source.content;
    }
    return read_file(source.path, secrecy);
}

BioPtr memory(const std::string& content)
{
    return BioPtr{BIO_new_mem_buf(content.data(), static_cast<int>(content.size()))};
}

/// Answers every question for a passphrase with a refusal, or OpenSSL would ask the terminal.
int refuse_passphrase(char*, int, int, void* asked)
{
    *static_cast<bool*>(asked) = true;
    return -1;
}

Expected<void, LoadError> read_chain(const std::string& path, const std::string& content, LoadedCertificate& into)
{
    const BioPtr bio = memory(content);
    into.certificate.reset(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (!into.certificate) {
        return failure(error(Kind::malformed, path, "no PEM certificate in it (" + take_openssl_error() + ")",
                             "openssl x509 -in " + path + " -noout -text"));
    }
    into.chain.reset(sk_X509_new_null());
    while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
        sk_X509_push(into.chain.get(), next);
    }
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
        return failure(
            error(Kind::malformed, path, "a certificate after the first is damaged (" + take_openssl_error() + ")"));
    }
    ERR_clear_error();
    return {};
}

Expected<void, LoadError> read_key(const std::string& path, const std::string& content, LoadedCertificate& into)
{
    bool encrypted = false;
    into.key.reset(PEM_read_bio_PrivateKey(memory(content).get(), nullptr, &refuse_passphrase, &encrypted));
    if (!into.key && encrypted) {
        ERR_clear_error();
        return failure(error(Kind::malformed, path,
                             "the private key is encrypted, and nobody is there to type its passphrase",
                             "openssl pkey -in " + path + " -out NEW.key && chmod 600 NEW.key"));
    }
    if (!into.key) {
        return failure(error(Kind::malformed, path, "no PEM private key in it (" + take_openssl_error() + ")",
                             "openssl pkey -in " + path + " -noout -check"));
    }
    return {};
}

/// What OpenSSL itself would refuse when the first client comes: better now.
Expected<void, LoadError> check_usable(const std::string& certificate_path, const std::string& key_path,
                                       const LoadedCertificate& loaded)
{
    if (X509_check_private_key(loaded.certificate.get(), loaded.key.get()) != 1) {
        ERR_clear_error();
        return failure(error(Kind::mismatch, key_path,
                             "this key does not belong to the first certificate of " + certificate_path,
                             "put the server's own certificate first, or name its key"));
    }
    const ContextPtr trial{SSL_CTX_new(TLS_server_method())};
    SSL_CTX_set_security_level(trial.get(), security_level);
    if (SSL_CTX_use_cert_and_key(trial.get(), loaded.certificate.get(), loaded.key.get(), loaded.chain.get(), 1) != 1) {
        return failure(error(Kind::too_weak, certificate_path, "clients would refuse it (" + take_openssl_error() + ")",
                             "issue it again with RSA 2048 or EC P-256, signed with SHA-256"));
    }
    return {};
}

} // namespace

Expected<LoadedCertificate, LoadError> load_certificate(const CertificateSource& source)
{
    ERR_clear_error();
    LoadedCertificate loaded;
    const auto certificate = content_of(source.certificate, Secrecy::open);
    if (!certificate) {
        return failure(certificate.error());
    }
    auto key = content_of(source.key, Secrecy::secret);
    if (!key) {
        return failure(std::move(key.error()));
    }
    auto done = read_chain(source.certificate.path, *certificate, loaded);
    if (done) {
        done = read_key(source.key.path, *key, loaded);
    }
    OPENSSL_cleanse(key->data(), key->size());
    if (done) {
        done = check_usable(source.certificate.path, source.key.path, loaded);
    }
    if (!done) {
        return failure(std::move(done.error()));
    }
    loaded.info = describe(*loaded.certificate, source.certificate.path);
    return loaded;
}

} // namespace sluice::tls
