// X.509 fields as text. Private to this module.
#pragma once

#include "openssl.hpp"

#include <sluice/tls/certificate.hpp>

#include <string>

namespace sluice::tls {

[[nodiscard]] CertificateInfo describe(X509& certificate, const std::string& source);

/// SHA-256 of the DER form, lower-case hex in pairs joined by colons.
[[nodiscard]] std::string fingerprint(const X509& certificate);

} // namespace sluice::tls
