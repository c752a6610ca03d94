#include "engine_callbacks.hpp"
#include "server_state.hpp"

#include <openssl/err.h>

#include <utility>

namespace sluice::tls {
namespace {

/// Forward secrecy and authenticated encryption only; what every client since 2014 speaks.
constexpr const char* tls12_ciphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:"
    "ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
constexpr const char* tls13_ciphers = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384";
constexpr const char* groups = "X25519:P-256:P-384";
/// The same in every context: a session resumes on another worker, after a reload and on the peer.
constexpr unsigned char session_id_context[] = {'s', 'l', 'u', 'i', 'c', 'e'};

int acknowledge_server_name(SSL*, int*, void*) { return SSL_TLSEXT_ERR_OK; }

/// RFC 7301, section 3.2: no protocol in common ends the handshake; anything else lets a client of another protocol in.
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* chosen_size, const unsigned char* offered,
                    unsigned int offered_size, void* argument)
{
    const auto& state = *static_cast<const ServerContext::State*>(argument);
    unsigned char* protocol = nullptr;
    const int result = SSL_select_next_proto(&protocol, chosen_size, state.alpn.data(),
                                             static_cast<unsigned int>(state.alpn.size()), offered, offered_size);
    *chosen = protocol;
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

void configure_protocol(SSL_CTX* context, const ServerOptions& options)
{
    SSL_CTX_set_security_level(context, security_level);
    SSL_CTX_set_min_proto_version(context, options.min_version == Version::tls1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_clear_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_TICKET);
    SSL_CTX_set_mode(context, stream_modes);
    SSL_CTX_set_cipher_list(context, tls12_ciphers);
    SSL_CTX_set_ciphersuites(context, tls13_ciphers);
    SSL_CTX_set1_groups_list(context, groups);
}

void configure_sessions(SSL_CTX* context, const ServerOptions& options)
{
    SSL_CTX_set_session_cache_mode(context,
                                   SSL_SESS_CACHE_OFF); // Tickets carry the state; a cache would be one per node.
    SSL_CTX_set_session_id_context(context, session_id_context, sizeof session_id_context);
    SSL_CTX_set_timeout(context, static_cast<long>(options.session_lifetime.count()));
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, &protect_ticket);
}

LoadError out_of_memory()
{
    return {.message = "OpenSSL cannot create a context: " + take_openssl_error(),
            .remedy = "check /etc/ssl/openssl.cnf"};
}

} // namespace

Expected<std::vector<unsigned char>, LoadError> alpn_wire(const std::vector<std::string>& protocols)
{
    std::vector<unsigned char> wire;
    for (const std::string& protocol : protocols) {
        if (protocol.empty() || protocol.size() > 255) {
            return failure(LoadError{.message = "an ALPN protocol name has 1 to 255 bytes"});
        }
        wire.push_back(static_cast<unsigned char>(protocol.size()));
        wire.insert(wire.end(), protocol.begin(), protocol.end());
    }
    return wire;
}

Expected<std::shared_ptr<const ServerContext>, LoadError>
ServerContext::create(const ServerOptions& options, std::shared_ptr<const TicketKeys> ticket_keys)
{
    if (options.certificates.empty()) {
        return failure(
            LoadError{.message = "a TLS listener needs a certificate", .remedy = "add one to `certificates`"});
    }
    auto state = std::make_unique<State>();
    for (const CertificateSource& source : options.certificates) {
        auto loaded = load_certificate(source);
        if (!loaded) {
            return failure(std::move(loaded.error()));
        }
        state->infos.push_back(loaded->info);
        state->certificates.push_back(std::move(*loaded));
    }
    auto alpn = alpn_wire(options.alpn);
    if (!alpn) {
        return failure(std::move(alpn.error()));
    }
    state->alpn = std::move(*alpn);
    state->names = NameIndex{state->infos};
    state->ticket_keys = std::move(ticket_keys);
    state->narrow_cipher.reset(EVP_CIPHER_fetch(nullptr, "AES-128-CBC", nullptr));
    state->wide_cipher.reset(EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr));
    state->context.reset(SSL_CTX_new(TLS_server_method()));
    SSL_CTX* context = state->context.get();
    if (context == nullptr || !state->narrow_cipher || !state->wide_cipher) {
        return failure(out_of_memory());
    }
    configure_protocol(context, options);
    configure_sessions(context, options);
    SSL_CTX_set_app_data(context, state.get());
    SSL_CTX_set_cert_cb(context, &EngineCallbacks::choose_certificate, state.get());
    SSL_CTX_set_tlsext_servername_callback(context, &acknowledge_server_name);
    if (!state->alpn.empty()) {
        SSL_CTX_set_alpn_select_cb(context, &choose_protocol, state.get());
    }
    ERR_clear_error();
    return std::shared_ptr<const ServerContext>{new ServerContext{std::move(state)}};
}

ServerContext::ServerContext(std::unique_ptr<State> state) : state_{std::move(state)} {}
ServerContext::~ServerContext() = default;

const std::vector<CertificateInfo>& ServerContext::certificates() const noexcept { return state_->infos; }

std::vector<std::size_t> ServerContext::select(std::string_view server_name) const
{
    const auto found = state_->names.find(server_name);
    return {found.begin(), found.end()};
}

} // namespace sluice::tls
