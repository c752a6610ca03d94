#include "names.hpp"

#include <algorithm>
#include <array>

namespace sluice::tls {
namespace {

constexpr std::size_t longest_name = 255;

char lower(char letter) noexcept
{
    return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
}

std::string_view kind_of(const CertificateInfo& certificate) noexcept
{
    return std::string_view{certificate.key}.substr(0, certificate.key.find(' '));
}

void add(std::span<const CertificateInfo> certificates, std::vector<std::uint32_t>& list, std::uint32_t index)
{
    const bool taken = std::any_of(list.begin(), list.end(), [&](std::uint32_t other) {
        return kind_of(certificates[other]) == kind_of(certificates[index]);
    });
    if (!taken) {
        list.push_back(index);
    }
}

} // namespace

std::string lower_case(std::string_view text)
{
    std::string result{text};
    std::transform(result.begin(), result.end(), result.begin(), lower);
    return result;
}

NameIndex::NameIndex(std::span<const CertificateInfo> certificates)
{
    for (std::uint32_t index = 0; index < certificates.size(); ++index) {
        for (const std::string& name : certificates[index].names) {
            if (name.starts_with("*.")) {
                add(certificates, wildcard_[name.substr(1)], index);
            } else {
                add(certificates, exact_[name], index);
            }
        }
        if (certificates[index].names == certificates.front().names) {
            add(certificates, fallback_, index);
        }
    }
}

std::span<const std::uint32_t> NameIndex::find(std::string_view server_name) const noexcept
{
    if (server_name.ends_with('.')) {
        server_name.remove_suffix(1);
    }
    if (server_name.empty() || server_name.size() > longest_name) {
        return fallback_;
    }
    std::array<char, longest_name> buffer{};
    std::transform(server_name.begin(), server_name.end(), buffer.begin(), lower);
    const std::string_view name{buffer.data(), server_name.size()};
    if (const auto found = exact_.find(name); found != exact_.end()) {
        return found->second;
    }
    const std::size_t dot = name.find('.');
    if (dot != std::string_view::npos && dot > 0) {
        if (const auto found = wildcard_.find(name.substr(dot)); found != wildcard_.end()) {
            return found->second;
        }
    }
    return fallback_;
}

} // namespace sluice::tls
