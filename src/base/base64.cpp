#include <sluice/base/base64.hpp>

#include <algorithm>
#include <array>
#include <cstdint>

namespace sluice {
namespace {

constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t no_letter = 0xff;

constexpr std::array<std::uint8_t, 256> make_values()
{
    std::array<std::uint8_t, 256> values{};
    values.fill(no_letter);
    for (std::size_t index = 0; index < letters.size(); ++index) {
        values[static_cast<unsigned char>(letters[index])] = static_cast<std::uint8_t>(index);
    }
    return values;
}
constexpr std::array<std::uint8_t, 256> values = make_values();

} // namespace

std::string base64_encode(Bytes bytes)
{
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t index = 0; index < bytes.size(); index += 3) {
        const std::size_t count = std::min<std::size_t>(3, bytes.size() - index);
        std::uint32_t group = 0;
        for (std::size_t offset = 0; offset < 3; ++offset) {
            group = group << 8U | (offset < count ? std::to_integer<std::uint32_t>(bytes[index + offset]) : 0U);
        }
        for (std::size_t letter = 0; letter < 4; ++letter) {
            text += letter <= count ? letters[group >> (18 - 6 * letter) & 63U] : '=';
        }
    }
    return text;
}

std::optional<std::vector<std::byte>> base64_decode(std::string_view text)
{
    if (text.size() % 4 != 0) {
        return {};
    }
    std::vector<std::byte> bytes;
    bytes.reserve(text.size() / 4 * 3);
    for (std::size_t index = 0; index < text.size(); index += 4) {
        const bool last = index + 4 == text.size();
        const std::size_t padding = !last || text[index + 3] != '=' ? 0 : text[index + 2] != '=' ? 1 : 2;
        std::uint32_t group = 0;
        for (std::size_t letter = 0; letter < 4; ++letter) {
            const std::uint8_t value =
                letter < 4 - padding ? values[static_cast<unsigned char>(text[index + letter])] : std::uint8_t{0};
            if (value == no_letter) {
                return {};
            }
            group = group << 6U | value;
        }
        for (std::size_t offset = 0; offset < 3 - padding; ++offset) {
            bytes.push_back(static_cast<std::byte>(group >> (16 - 8 * offset) & 0xffU));
        }
    }
    return bytes;
}

} // namespace sluice
