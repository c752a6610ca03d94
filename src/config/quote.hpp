// What a user wrote, as it may stand in a message.
#pragma once

#include <string>
#include <string_view>

namespace sluice::config {

/// In backticks; control characters escaped, since a message goes to terminals and logs, and long texts cut.
[[nodiscard]] inline std::string tick(std::string_view text)
{
    static constexpr std::string_view hex = "0123456789abcdef";
    constexpr std::size_t longest = 80;
    std::string out = "`";
    for (const char c : text.substr(0, longest)) {
        const auto value = static_cast<unsigned char>(c);
        if (value < 0x20 || value == 0x7f) {
            out += {'\\', 'x', hex[value >> 4U], hex[value & 15U]};
        } else {
            out += c;
        }
    }
    while (text.size() > longest && (static_cast<unsigned char>(out.back()) & 0xc0U) == 0x80U) {
        out.pop_back(); // Not in the middle of a character.
    }
    return out + (text.size() > longest ? "...`" : "`");
}

} // namespace sluice::config
