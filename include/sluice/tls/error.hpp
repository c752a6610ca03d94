// What can go wrong on a TLS connection, as error codes, so that streams above TLS see one kind of error.
#pragma once

#include <boost/system/error_code.hpp>

#include <type_traits>

namespace sluice::tls {

enum class Error {
    http_request = 1,     ///< The peer speaks HTTP in clear; Stream::bytes_in_clear() has what it sent.
    not_tls,              ///< The first byte is neither a TLS record nor HTTP.
    unsupported_version,  ///< No TLS version in common.
    no_shared_cipher,     ///< No cipher suite, group or signature algorithm in common.
    alert_received,       ///< The peer gave up with a fatal alert.
    certificate_rejected, ///< The peer's certificate did not verify (clients only).
    handshake_failed,     ///< Any other failure before the handshake was complete.
    protocol_violation,   ///< A malformed or forged record, or too many of a kind that costs us work.
    truncated,            ///< The transport ended without close_notify: data may be missing.
    out_of_buffers,       ///< The BufferPool of this core is exhausted.
};

[[nodiscard]] const boost::system::error_category& error_category() noexcept;

[[nodiscard]] inline boost::system::error_code make_error_code(Error error) noexcept
{
    return {static_cast<int>(error), error_category()};
}

} // namespace sluice::tls

template <>
struct boost::system::is_error_code_enum<sluice::tls::Error> : std::true_type {
};
