// Certificates, keys and ticket keys: readable, fitting, not yet ended, and nobody else's to read.
#include <config/validate.hpp>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <ctime>
#include <map>
#include <memory>

namespace sluice::config {

namespace {

template <auto Free>
struct Freed {
    template <class T>
    void operator()(T* pointer) const noexcept
    {
        Free(pointer);
    }
};
using Bio = std::unique_ptr<BIO, Freed<&BIO_free>>;
using X509Pointer = std::unique_ptr<X509, Freed<&X509_free>>;
using KeyPointer = std::unique_ptr<EVP_PKEY, Freed<&EVP_PKEY_free>>;

constexpr std::size_t largest_file = 1U << 20U;

Bio bio_of(const std::string& text) { return Bio{BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))}; }

/// A key with a passphrase would make OpenSSL ask the terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

std::optional<FileText> read_file(const Validation& check, const Located<FilePath>& file, bool secret)
{
    if (file->path.empty()) {
        return std::nullopt;
    }
    auto content = check.files.read(file->path, largest_file);
    if (!content) {
        // Without facts about the machine, files are not looked for either.
        if (check.options.host != nullptr || !content.error().missing) {
            check.host_finding(file.where, tick(file->path) + " cannot be read: " + content.error().message,
                               content.error().missing ? "put the file there, or correct the path"
                                                       : "ls -l " + file->path);
        }
        return std::nullopt;
    }
    constexpr std::uint32_t others = 0007;
    if (secret && (content->mode & others) != 0) {
        check.report.error(file.where, "others may read or change " + tick(file->path), "chmod o= " + file->path);
    }
    return std::move(*content);
}

void check_dates(const Validation& check, const Located<FilePath>& file, const X509& certificate)
{
    if (!check.options.now) {
        return;
    }
    std::time_t now = std::chrono::system_clock::to_time_t(*check.options.now);
    constexpr std::time_t week = 7 * 24 * 3600;
    std::tm end{};
    char date[32] = "";
    if (ASN1_TIME_to_tm(X509_get0_notAfter(&certificate), &end) == 1) {
        std::strftime(date, sizeof date, "%Y-%m-%d %H:%M UTC", &end);
    }
    std::time_t in_a_week = now + week;
    if (X509_cmp_time(X509_get0_notAfter(&certificate), &now) < 0) {
        check.report.warning(file.where, "the certificate ended on " + std::string{date},
                             "renew it; clients refuse it");
    } else if (X509_cmp_time(X509_get0_notAfter(&certificate), &in_a_week) < 0) {
        check.report.warning(file.where, "the certificate ends on " + std::string{date}, "renew it");
    }
    if (X509_cmp_time(X509_get0_notBefore(&certificate), &now) > 0) {
        check.report.warning(file.where, "the certificate is not valid yet", "check the clock of this machine");
    }
}

void check_certificate(const Validation& check, const Certificate& entry)
{
    const auto cert_text = read_file(check, entry.cert, false);
    const auto key_text = read_file(check, entry.key, true);
    X509Pointer certificate;
    KeyPointer key;
    if (cert_text) {
        certificate.reset(PEM_read_bio_X509(bio_of(cert_text->text).get(), nullptr, &no_passphrase, nullptr));
        if (!certificate) {
            check.report.error(entry.cert.where, tick(entry.cert->path) + " holds no certificate in PEM form");
        } else {
            check_dates(check, entry.cert, *certificate);
        }
    }
    if (key_text) {
        key.reset(PEM_read_bio_PrivateKey(bio_of(key_text->text).get(), nullptr, &no_passphrase, nullptr));
        if (!key) {
            check.report.error(entry.key.where, tick(entry.key->path) + " holds no private key in PEM form",
                               "a key with a passphrase cannot be used");
        }
    }
    if (certificate && key && X509_check_private_key(certificate.get(), key.get()) != 1) {
        check.report.error(entry.key.where, "certificate and key do not belong together");
        check.report.note(entry.cert.where, "the certificate");
    }
    ERR_clear_error();
}

void check_ticket_key(const Validation& check, const Located<FilePath>& file)
{
    const auto content = read_file(check, file, true);
    if (content && content->text.size() != 80 && content->text.size() != 48) {
        check.report.error(file.where,
                           "a ticket key has 80 bytes (or 48), this has " + std::to_string(content->text.size()),
                           "(umask 077; openssl rand 80 > " + file->path + ")");
    }
}

} // namespace

void validate_secrets(const Validation& check)
{
    std::set<std::pair<std::string, std::string>> pairs; // One finding for a pair that many services share.
    std::set<std::string> tickets;
    for (const Service& service : check.model.services) {
        if (!service.proxy || !service.proxy->tls) {
            continue;
        }
        for (const Certificate& certificate : service.proxy->tls->certificates) {
            if (pairs.emplace(certificate.cert->path, certificate.key->path).second) {
                check_certificate(check, certificate);
            }
        }
        for (const auto& ticket_key : service.proxy->tls->ticket_keys) {
            if (tickets.insert(ticket_key->path).second) {
                check_ticket_key(check, ticket_key);
            }
        }
    }
}

} // namespace sluice::config
