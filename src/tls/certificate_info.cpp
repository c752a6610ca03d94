#include "certificate_info.hpp"

#include "names.hpp"

#include <openssl/ec.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>

#include <array>
#include <ctime>
#include <string_view>

namespace sluice::tls {
namespace {

using NamesPtr = std::unique_ptr<GENERAL_NAMES, Releaser<GENERAL_NAMES_free>>;

std::string text_of(const X509_NAME* name)
{
    const BioPtr bio{BIO_new(BIO_s_mem())};
    X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB));
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

std::string_view view(const ASN1_STRING& string)
{
    return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(&string)),
            static_cast<std::size_t>(ASN1_STRING_length(&string))};
}

std::string address_text(std::string_view bytes)
{
    std::array<char, INET6_ADDRSTRLEN> text{};
    const int family = bytes.size() == 4 ? AF_INET : AF_INET6;
    const bool known = bytes.size() == 4 || bytes.size() == 16;
    return known && inet_ntop(family, bytes.data(), text.data(), text.size()) != nullptr ? text.data() : "";
}

void add_subject_alternative_names(const X509& certificate, std::vector<std::string>& names)
{
    const NamesPtr alternatives{
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr))};
    for (int index = 0; index < sk_GENERAL_NAME_num(alternatives.get()); ++index) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(alternatives.get(), index);
        std::string text;
        if (name->type == GEN_DNS) {
            text = lower_case(view(*name->d.dNSName));
        } else if (name->type == GEN_IPADD) {
            text = address_text(view(*name->d.iPAddress));
        }
        if (!text.empty()) {
            names.push_back(std::move(text));
        }
    }
}

/// RFC 6125, section 6.4.4: the CN counts only where no SAN names anything.
void add_common_name(const X509& certificate, std::vector<std::string>& names)
{
    const X509_NAME* subject = X509_get_subject_name(&certificate);
    const int index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (index < 0) {
        return;
    }
    const ASN1_STRING* value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index));
    if (value != nullptr && ASN1_STRING_length(value) > 0) {
        names.push_back(lower_case(view(*value)));
    }
}

std::chrono::sys_seconds time_of(const ASN1_TIME* time)
{
    std::tm broken_down{};
    if (time == nullptr || ASN1_TIME_to_tm(time, &broken_down) != 1) {
        return {};
    }
    return std::chrono::sys_seconds{std::chrono::seconds{timegm(&broken_down)}};
}

std::string key_text(const X509& certificate)
{
    EVP_PKEY* key = X509_get0_pubkey(&certificate);
    if (key == nullptr) {
        return "unknown";
    }
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC) {
        std::array<char, 64> group{};
        std::size_t size = 0;
        EVP_PKEY_get_group_name(key, group.data(), group.size(), &size);
        const char* nist = EC_curve_nid2nist(OBJ_sn2nid(group.data()));
        return std::string{"EC "} + (nist != nullptr ? nist : group.data());
    }
    const char* type = EVP_PKEY_get0_type_name(key);
    const std::string name = type != nullptr ? type : "unknown";
    return EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA ? name + ' ' + std::to_string(EVP_PKEY_get_bits(key)) : name;
}

} // namespace

std::string fingerprint(const X509& certificate)
{
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    X509_digest(&certificate, EVP_sha256(), digest.data(), &size);
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (unsigned int index = 0; index < size; ++index) {
        if (index > 0) {
            text += ':';
        }
        text += digits[digest[index] >> 4U];
        text += digits[digest[index] & 0xfU];
    }
    return text;
}

CertificateInfo describe(X509& certificate, const std::string& source)
{
    CertificateInfo info;
    info.subject = text_of(X509_get_subject_name(&certificate));
    info.issuer = text_of(X509_get_issuer_name(&certificate));
    add_subject_alternative_names(certificate, info.names);
    if (info.names.empty()) {
        add_common_name(certificate, info.names);
    }
    info.not_before = time_of(X509_get0_notBefore(&certificate));
    info.not_after = time_of(X509_get0_notAfter(&certificate));
    info.fingerprint = fingerprint(certificate);
    info.key = key_text(certificate);
    info.source = source;
    return info;
}

} // namespace sluice::tls
