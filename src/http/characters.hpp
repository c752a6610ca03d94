// Character classes of RFC 9110 and RFC 3986 as one table lookup.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
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

[[nodiscard]] constexpr bool is_white_space(char character) noexcept { return character == ' ' || character == '\t'; }

[[nodiscard]] constexpr std::string_view trim_white_space(std::string_view text) noexcept
{
    while (!text.empty() && is_white_space(text.front())) {
        text.remove_prefix(1);
    }
    while (!text.empty() && is_white_space(text.back())) {
        text.remove_suffix(1);
    }
    return text;
}

/// The first byte that is no value_character, or npos. Eight bytes at a time: values are most of what a head consists
/// of.
[[nodiscard]] inline std::size_t find_non_value(std::string_view text) noexcept
{
    constexpr std::uint64_t ones = 0x0101010101010101ULL;
    constexpr std::uint64_t high_bits = ones * 0x80;
    std::size_t at = 0;
    for (; text.size() - at >= 8; at += 8) {
        std::uint64_t word;
        std::memcpy(&word, text.data() + at, 8);
        const std::uint64_t below_space = (word - ones * 0x20) & ~word;
        const std::uint64_t not_delete = word ^ (ones * 0x7f);
        const std::uint64_t is_delete = (not_delete - ones) & ~not_delete;
        if (((below_space | is_delete) & high_bits) != 0) {
            break; // a control, or a tab: looked at one by one
        }
    }
    for (; at < text.size(); ++at) {
        if (!is(value_character, text[at])) {
            return at;
        }
    }
    return std::string_view::npos;
}

} // namespace sluice::http
