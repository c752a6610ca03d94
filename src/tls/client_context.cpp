#include "engine_callbacks.hpp"
#include "server_state.hpp"

#include <openssl/err.h>

namespace sluice::tls {
namespace {

/// A probe that verifies nothing gains nothing from refusing old keys.
constexpr int unverified_security_level = 1;

} // namespace

Expected<std::shared_ptr<const ClientContext>, LoadError> ClientContext::create(const ClientOptions& options)
{
    const auto alpn = alpn_wire(options.alpn);
    if (!alpn) {
        return failure(alpn.error());
    }
    ContextPtr owned{SSL_CTX_new(TLS_client_method())};
    SSL_CTX* context = owned.get();
    if (context == nullptr) {
        return failure(LoadError{.message = "OpenSSL cannot create a context: " + take_openssl_error(),
                                 .remedy = "check /etc/ssl/openssl.cnf"});
    }
    SSL_CTX_set_security_level(context, options.verify ? security_level : unverified_security_level);
    SSL_CTX_set_min_proto_version(context, options.min_version == Version::tls1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(context, options.max_version == Version::tls1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_clear_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, stream_modes);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, &EngineCallbacks::keep_session);
    SSL_CTX_set_verify(context, options.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    if (options.verify) {
        const bool loaded = options.ca_file.empty() ? SSL_CTX_set_default_verify_paths(context) == 1
                                                    : SSL_CTX_load_verify_file(context, options.ca_file.c_str()) == 1;
        if (!loaded) {
            return failure(
                LoadError{.kind = LoadError::Kind::unreadable,
                          .file = options.ca_file,
                          .message = options.ca_file + ": no trusted certificates in it (" + take_openssl_error() + ")",
                          .remedy = "apt-get install ca-certificates, or name a PEM file"});
        }
    }
    if (!alpn->empty()) {
        SSL_CTX_set_alpn_protos(context, alpn->data(), static_cast<unsigned int>(alpn->size()));
    }
    ERR_clear_error();
    return std::shared_ptr<const ClientContext>{new ClientContext{owned.release(), options.verify}};
}

ClientContext::~ClientContext() { SSL_CTX_free(context_); }

} // namespace sluice::tls
