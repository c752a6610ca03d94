// Where OpenSSL calls back into an Engine. Private to this module.
#pragma once

#include "openssl.hpp"

#include <sluice/tls/engine.hpp>

namespace sluice::tls {

struct EngineCallbacks {
    /// SSL_CTX_set_cert_cb of servers: reached only by handshakes that will sign. Suspends until admitted, then
    /// installs the certificates for the client's server name. `state` is the ServerContext::State.
    static int choose_certificate(SSL* ssl, void* state);
    /// SSL_CTX_sess_set_new_cb of clients: keeps the newest session.
    static int keep_session(SSL* ssl, SSL_SESSION* session);

    static int bio_read(BIO* bio, char* into, std::size_t size, std::size_t* moved);
    static int bio_write(BIO* bio, const char* from, std::size_t size, std::size_t* moved);
    static long bio_control(BIO* bio, int command, long number, void* pointer);
};

} // namespace sluice::tls
