// Which certificates answer to which server name. Private to this module.
#pragma once

#include <sluice/tls/certificate.hpp>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sluice::tls {

[[nodiscard]] std::string lower_case(std::string_view text);

/// Immutable after construction; any thread may look up.
class NameIndex {
public:
    NameIndex() = default;
    /// At least one certificate. Of certificates of the same name and kind of key the first wins.
    explicit NameIndex(std::span<const CertificateInfo> certificates);

    /// Indices into what the constructor was given, never empty: exact name, else wildcard of one label (RFC 6125,
    /// section 6.4.3), else the first certificate. Letter case and a final dot do not matter.
    [[nodiscard]] std::span<const std::uint32_t> find(std::string_view server_name) const noexcept;

private:
    struct Hash {
        using is_transparent = void;
        [[nodiscard]] std::size_t operator()(std::string_view text) const noexcept
        {
            return std::hash<std::string_view>{}(text);
        }
    };
    using Map = std::unordered_map<std::string, std::vector<std::uint32_t>, Hash, std::equal_to<>>;

    Map exact_;
    Map wildcard_; ///< Keyed by what follows the asterisk: ".example.org".
    std::vector<std::uint32_t> fallback_;
};

} // namespace sluice::tls
