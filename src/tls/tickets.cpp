#include "server_state.hpp"

#include <openssl/core_names.h>
#include <openssl/rand.h>

#include <algorithm>

namespace sluice::tls {
namespace {

constexpr std::size_t name_size = 16;
constexpr int iv_size = 16;

constexpr int refused = -1;
constexpr int unknown_key = 0;
constexpr int usable = 1;
constexpr int usable_but_renew = 2;

bool set_mac_key(EVP_MAC_CTX* mac, const TicketKey& key) noexcept
{
    // OSSL_PARAM has no const form; OpenSSL only reads these.
    auto* secret = const_cast<std::byte*>(key.mac_key.data());
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, secret, key.wide ? 32 : 16),
                                     OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                     OSSL_PARAM_construct_end()};
    return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

} // namespace

int protect_ticket(SSL* ssl, unsigned char* key_name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
                   int encrypt)
{
    const auto& state = *static_cast<const ServerContext::State*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
    const TicketKeys& keys = *state.ticket_keys;
    const TicketKey* key = &keys.current();
    if (encrypt == 1) {
        if (RAND_bytes(iv, iv_size) != 1) {
            return refused;
        }
        std::copy_n(reinterpret_cast<const unsigned char*>(key->name.data()), name_size, key_name);
    } else {
        key = keys.find({reinterpret_cast<const std::byte*>(key_name), name_size});
        if (key == nullptr) {
            return unknown_key;
        }
    }
    const EVP_CIPHER* algorithm = (key->wide ? state.wide_cipher : state.narrow_cipher).get();
    const auto* cipher_key = reinterpret_cast<const unsigned char*>(key->cipher_key.data());
    if (EVP_CipherInit_ex2(cipher, algorithm, cipher_key, iv, encrypt, nullptr) != 1 || !set_mac_key(mac, *key)) {
        return refused;
    }
    // A TLS 1.3 client uses a ticket once (RFC 8446, appendix C.4) and needs the next one.
    const bool renew = key != &keys.current() || SSL_version(ssl) == TLS1_3_VERSION;
    return encrypt == 0 && renew ? usable_but_renew : usable;
}

} // namespace sluice::tls
