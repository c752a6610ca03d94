// What a person wants to know about a certificate (`sluicectl certificates`, expiry warnings).
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace sluice::tls {

struct CertificateInfo {
    std::string subject;            ///< RFC 2253, e.g. "CN=www.example.org,O=Example".
    std::string issuer;             ///< RFC 2253.
    std::vector<std::string> names; ///< What it answers to, lower case: DNS and IP names of the SAN, else the CN.
    std::chrono::sys_seconds not_before;
    std::chrono::sys_seconds not_after;
    std::string fingerprint; ///< SHA-256 of the DER form, lower-case hex in pairs joined by colons.
    std::string key;         ///< "RSA 2048", "EC P-256", "ED25519".
    std::string source;      ///< The file it came from, as configured.

    [[nodiscard]] bool expired(std::chrono::system_clock::time_point now) const noexcept { return now > not_after; }
};

} // namespace sluice::tls
