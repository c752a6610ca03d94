// What is behind a ServerContext. Private to this module; immutable once created, any thread may read it.
#pragma once

#include "certificate_loader.hpp"
#include "names.hpp"
#include "openssl.hpp"

#include <sluice/tls/context.hpp>

#include <memory>
#include <vector>

namespace sluice::tls {

struct ServerContext::State {
    ContextPtr context;
    std::vector<LoadedCertificate> certificates;
    std::vector<CertificateInfo> infos; ///< As certificates.
    NameIndex names;
    std::shared_ptr<const TicketKeys> ticket_keys;
    CipherPtr narrow_cipher; ///< Fetched once: a fetch per ticket takes a lock in OpenSSL.
    CipherPtr wide_cipher;
    std::vector<unsigned char> alpn; ///< In the format of RFC 7301: lengths and names.
};

/// Names in the format of RFC 7301, section 3.1.
[[nodiscard]] Expected<std::vector<unsigned char>, LoadError> alpn_wire(const std::vector<std::string>& protocols);

/// OpenSSL's callback for tickets in both directions (SSL_CTX_set_tlsext_ticket_key_evp_cb); the SSL_CTX's application
/// data is the State.
int protect_ticket(SSL* ssl, unsigned char* key_name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
                   int encrypt);

} // namespace sluice::tls
