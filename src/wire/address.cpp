#include <sluice/wire/address.hpp>

#include <arpa/inet.h>

#include <charconv>
#include <cstdio>

namespace sluice::wire {
namespace {

std::optional<unsigned> parse_number(std::string_view text, unsigned limit) noexcept
{
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool leading_zero = text.size() > 1 && text.front() == '0';
    if (error != std::errc{} || end != text.data() + text.size() || value > limit || leading_zero) {
        return std::nullopt;
    }
    return value;
}

} // namespace

MacAddress MacAddress::load(const std::byte* from) noexcept
{
    MacAddress result;
    std::memcpy(result.octets.data(), from, 6);
    return result;
}

std::optional<MacAddress> MacAddress::parse(std::string_view text) noexcept
{
    if (text.size() != 17) {
        return std::nullopt;
    }
    MacAddress result;
    for (std::size_t index = 0; index < 6; ++index) {
        unsigned value = 0;
        const char* begin = text.data() + 3 * index;
        const auto [end, error] = std::from_chars(begin, begin + 2, value, 16);
        if (error != std::errc{} || end != begin + 2 || (index < 5 && begin[2] != ':')) {
            return std::nullopt;
        }
        result.octets[index] = static_cast<std::byte>(value);
    }
    return result;
}

std::string MacAddress::to_string() const
{
    char text[18];
    std::snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", unsigned(octets[0]), unsigned(octets[1]),
                  unsigned(octets[2]), unsigned(octets[3]), unsigned(octets[4]), unsigned(octets[5]));
    return text;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) noexcept
{
    char buffer[INET6_ADDRSTRLEN];
    if (text.size() >= sizeof buffer) {
        return std::nullopt;
    }
    buffer[text.copy(buffer, text.size())] = '\0';
    std::byte raw[16];
    if (inet_pton(AF_INET, buffer, raw) == 1) {
        return load_v4(raw);
    }
    if (inet_pton(AF_INET6, buffer, raw) == 1) {
        return load_v6(raw);
    }
    return std::nullopt;
}

bool IpAddress::is_link_local() const noexcept
{
    return is_v4() ? (v4_value() >> 16U) == 0xa9fe : (high() >> 54U) == (0xfe80U >> 6U);
}

MacAddress IpAddress::multicast_mac() const noexcept
{
    MacAddress result;
    if (is_v4()) {
        store16(result.octets.data(), 0x0100);
        store32(result.octets.data() + 2, 0x5e000000U | (v4_value() & 0x7fffffU));
    } else {
        store16(result.octets.data(), 0x3333);
        std::memcpy(result.octets.data() + 2, octets_.data() + 12, 4);
    }
    return result;
}

IpAddress IpAddress::solicited_node() const noexcept
{
    IpAddress result;
    store64(result.octets_.data(), 0xff02'0000'0000'0000ULL);
    store64(result.octets_.data() + 8, 0x0000'0001'ff00'0000ULL | (low() & 0xff'ffffU));
    return result;
}

std::string IpAddress::to_string() const
{
    char text[INET6_ADDRSTRLEN] = "";
    const Bytes bytes = wire();
    inet_ntop(bytes.size() == 4 ? AF_INET : AF_INET6, bytes.data(), text, sizeof text);
    return text;
}

std::optional<Prefix> Prefix::parse(std::string_view text) noexcept
{
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos) {
        return std::nullopt;
    }
    const auto address = IpAddress::parse(text.substr(0, slash));
    if (!address) {
        return std::nullopt;
    }
    const auto length = parse_number(text.substr(slash + 1), address->is_v4() ? 32 : 128);
    if (!length) {
        return std::nullopt;
    }
    return Prefix{*address, static_cast<std::uint8_t>(*length)};
}

bool Prefix::contains(const IpAddress& candidate) const noexcept
{
    return candidate.is_v4() == address.is_v4() && Prefix{candidate, length}.network() == network();
}

IpAddress Prefix::network() const noexcept
{
    const unsigned bits = address.is_v4() ? 96U + length : length;
    std::array<std::byte, 16> masked = address.octets();
    for (unsigned index = 0; index < 16; ++index) {
        const unsigned first = index * 8;
        if (first >= bits) {
            masked[index] = std::byte{0};
        } else if (bits - first < 8) {
            masked[index] &= static_cast<std::byte>(0xffU << (8 - (bits - first)));
        }
    }
    return IpAddress::load_v6(masked.data());
}

IpAddress Prefix::directed_broadcast() const noexcept
{
    if (!address.is_v4() || length > 30) {
        return IpAddress::v4(0);
    }
    const std::uint32_t host_bits = length == 0 ? 0xffffffffU : (1U << (32U - length)) - 1U;
    return IpAddress::v4(address.v4_value() | host_bits);
}

std::string Prefix::to_string() const { return address.to_string() + '/' + std::to_string(length); }

std::optional<Endpoint> Endpoint::parse(std::string_view text) noexcept
{
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) {
        return std::nullopt;
    }
    std::string_view host = text.substr(0, colon);
    const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (bracketed) {
        host = host.substr(1, host.size() - 2);
    }
    const auto address = IpAddress::parse(host);
    const auto port = parse_number(text.substr(colon + 1), 65535);
    if (!address || !port || address->is_v4() == bracketed) {
        return std::nullopt;
    }
    return Endpoint{*address, static_cast<std::uint16_t>(*port)};
}

std::string Endpoint::to_string() const
{
    const std::string host = address.to_string();
    return (address.is_v4() ? host : '[' + host + ']') + ':' + std::to_string(port);
}

} // namespace sluice::wire
