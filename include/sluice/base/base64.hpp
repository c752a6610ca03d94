// Bytes as text (RFC 4648 §4, with padding), for places where only text passes.
#pragma once

#include <sluice/base/bytes.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

[[nodiscard]] std::string base64_encode(Bytes bytes);
/// Nothing when `text` is none: foreign letters, a length that is no multiple of four, padding in the middle.
[[nodiscard]] std::optional<std::vector<std::byte>> base64_decode(std::string_view text);

} // namespace sluice
