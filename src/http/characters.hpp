// Character classes of RFC 9110 and RFC 3986 as one table lookup.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace sluice::http {

using CharacterClass = std::uint8_t;
inline constexpr CharacterClass token_character = 1U << 0U;      ///< tchar
inline constexpr CharacterClass value_character = 1U << 1U;      ///< HTAB, SP, VCHAR, obs-text
inline constexpr CharacterClass visible_character = 1U << 2U;    ///< VCHAR
inline constexpr CharacterClass unreserved_character = 1U << 3U; ///< ALPHA DIGIT - . _ ~
inline constexpr CharacterClass path_character = 1U << 4U;       ///< pchar without percent, and the slash
inline constexpr CharacterClass digit_character = 1U << 5U;
inline constexpr CharacterClass hex_character = 1U << 6U;

namespace detail {
constexpr bool contains(std::string_view set, unsigned byte)
{
    return byte < 0x80 && set.find(static_cast<char>(byte)) != std::string_view::npos;
}

constexpr std::array<std::uint8_t, 256> make_character_table()
{
    std::array<std::uint8_t, 256> table{};
    for (unsigned byte = 0; byte < 256; ++byte) {
        const bool digit = byte >= '0' && byte <= '9';
        const bool alpha = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
        const bool visible = byte > 0x20 && byte < 0x7f;
        const bool unreserved = alpha || digit || contains("-._~", byte);
        unsigned classes = 0;
        classes |= alpha || digit || contains("!#$%&'*+-.^_`|~", byte) ? token_character : 0U;
        classes |= visible || byte == '\t' || byte == ' ' || byte >= 0x80 ? value_character : 0U;
        classes |= visible ? visible_character : 0U;
        classes |= unreserved ? unreserved_character : 0U;
        classes |= unreserved || contains("!$&'()*+,;=:@/", byte) ? path_character : 0U;
        classes |= digit ? digit_character : 0U;
        classes |= digit || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F') ? hex_character : 0U;
        table[byte] = static_cast<std::uint8_t>(classes);
    }
    return table;
}
inline constexpr std::array<std::uint8_t, 256> character_table = make_character_table();
} // namespace detail

[[nodiscard]] constexpr bool is(CharacterClass wanted, char character) noexcept
{
    return (detail::character_table[static_cast<unsigned char>(character)] & wanted) != 0;
}

[[nodiscard]] constexpr bool all(CharacterClass wanted, std::string_view text) noexcept
{
    for (const char character : text) {
        if (!is(wanted, character)) {
            return false;
        }
    }
    return true;
}

[[nodiscard]] constexpr char lower(char character) noexcept
{
    return character >= 'A' && character <= 'Z' ? static_cast<char>(character + ('a' - 'A')) : character;
}

/// The value of a hexadecimal digit; only for hex_character.
[[nodiscard]] constexpr unsigned hex_value(char character) noexcept
{
    return character <= '9' ? static_cast<unsigned>(character - '0')
                            : static_cast<unsigned>(lower(character) - 'a' + 10);
}

[[nodiscard]] constexpr std::string_view trim_white_space(std::string_view text) noexcept
{
    const std::size_t first = text.find_first_not_of(" \t");
    return first == std::string_view::npos ? std::string_view{}
                                           : text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

} // namespace sluice::http
