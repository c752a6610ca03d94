#include "openssl.hpp"

#include <sluice/tls/error.hpp>

#include <openssl/err.h>

namespace sluice::tls {
namespace {

// Boost's base class has a protected destructor that is not virtual, and its objects are never deleted.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
class Category final : public boost::system::error_category {
public:
    [[nodiscard]] const char* name() const noexcept override { return "tls"; }

    [[nodiscard]] std::string message(int value) const override
    {
        switch (static_cast<Error>(value)) {
        case Error::http_request:
            return "HTTP in clear on a TLS port";
        case Error::not_tls:
            return "the peer does not speak TLS";
        case Error::unsupported_version:
            return "no TLS version in common";
        case Error::no_shared_cipher:
            return "no cipher suite, group or signature algorithm in common";
        case Error::alert_received:
            return "the peer sent a fatal alert";
        case Error::certificate_rejected:
            return "the certificate of the peer was rejected";
        case Error::handshake_failed:
            return "the TLS handshake failed";
        case Error::protocol_violation:
            return "the peer violates the TLS protocol";
        case Error::truncated:
            return "the connection ended without close_notify";
        case Error::out_of_buffers:
            return "no TLS buffer is free";
        }
        return "unknown";
    }
};
#pragma GCC diagnostic pop

} // namespace

const boost::system::error_category& error_category() noexcept
{
    static const Category category;
    return category;
}

std::string take_openssl_error()
{
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    const char* reason = ERR_reason_error_string(code);
    return reason != nullptr ? reason : "unknown error";
}

} // namespace sluice::tls
