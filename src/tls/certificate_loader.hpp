// A certificate with its chain and key, as loaded from PEM. Private to this module; control thread only.
#pragma once

#include "openssl.hpp"

#include <sluice/base/result.hpp>
#include <sluice/tls/certificate.hpp>
#include <sluice/tls/context.hpp>
#include <sluice/tls/load_error.hpp>

namespace sluice::tls {

struct LoadedCertificate {
    CertificatePtr certificate;
    KeyPtr key;
    ChainPtr chain; ///< Intermediates; may be empty.
    CertificateInfo info;
};

[[nodiscard]] Expected<LoadedCertificate, LoadError> load_certificate(const CertificateSource& source);

} // namespace sluice::tls
