// Ownership of OpenSSL's objects, and its error queue as text. Private to this module.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

namespace sluice::tls {

template <auto Free>
struct Releaser {
    template <class Object>
    void operator()(Object* object) const noexcept
    {
        Free(object);
    }
};

inline void free_stack(STACK_OF(X509) * stack) noexcept { sk_X509_pop_free(stack, X509_free); }

using BioPtr = std::unique_ptr<BIO, Releaser<BIO_free_all>>;
using CertificatePtr = std::unique_ptr<X509, Releaser<X509_free>>;
using ChainPtr = std::unique_ptr<STACK_OF(X509), Releaser<free_stack>>;
using CipherPtr = std::unique_ptr<EVP_CIPHER, Releaser<EVP_CIPHER_free>>;
using ContextPtr = std::unique_ptr<SSL_CTX, Releaser<SSL_CTX_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Releaser<EVP_PKEY_free>>;

/// 112 bits: RSA 2048, no SHA-1. Browsers ask for no less.
inline constexpr int security_level = 2;

/// Buffers go back when empty; a write may be repeated from elsewhere; reading goes on past tickets and key updates,
/// for "wants input" must mean that all input was used.
inline constexpr long stream_modes = SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                     SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY;

/// Takes the oldest error of this thread's queue and empties it; "unknown error" when there is none.
[[nodiscard]] std::string take_openssl_error();

} // namespace sluice::tls
