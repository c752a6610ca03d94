#include <config/quote.hpp>
#include <config/scalars.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace sluice::config {

namespace {

constexpr std::string_view digits = "0123456789";

bool all_in(std::string_view text, std::string_view allowed)
{
    return !text.empty() && text.find_first_not_of(allowed) == std::string_view::npos;
}

auto wrong(std::string message, std::string hint = {}) { return failure(Wrong{std::move(message), std::move(hint)}); }

template <class Integer>
bool to_integer(std::string_view text, Integer& out, int base = 10)
{
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), out, base);
    return status == std::errc{} && end == text.data() + text.size();
}

std::string range_hint(std::int64_t least, std::int64_t most)
{
    if (most == std::numeric_limits<std::int64_t>::max()) {
        return "at least " + std::to_string(least);
    }
    return std::to_string(least) + ".." + std::to_string(most);
}

struct Unit {
    std::string_view name;
    std::int64_t factor;
};

constexpr std::array durations{Unit{"d", 86'400'000'000'000}, Unit{"h", 3'600'000'000'000}, Unit{"m", 60'000'000'000},
                               Unit{"s", 1'000'000'000},      Unit{"ms", 1'000'000},        Unit{"us", 1'000}};
constexpr std::array sizes{Unit{"TiB", 1LL << 40U}, Unit{"GiB", 1LL << 30U}, Unit{"MiB", 1LL << 20U},
                           Unit{"KiB", 1LL << 10U}, Unit{"B", 1}};

/// A decimal number directly followed by a unit.
template <std::size_t Count>
Parsed<std::int64_t> parse_quantity(std::string_view text, const std::array<Unit, Count>& units, std::string_view what,
                                    std::string_view example, std::string_view words)
{
    const std::size_t split = std::min(text.find_first_not_of(digits), text.size());
    const std::string_view number = text.substr(0, split);
    const std::string_view unit = text.substr(split);
    std::int64_t value = 0;
    if (number.empty() || !to_integer(number, value)) {
        return wrong(tick(text) + " is not a " + std::string{what}, "write it like `" + std::string{example} + "`");
    }
    if (number.size() > 1 && number.front() == '0') {
        return wrong(tick(text) + " starts with a zero",
                     "numbers are decimal: " + tick(std::to_string(value) + std::string{unit}));
    }
    if (unit.empty()) {
        return wrong(tick(text) + " has no unit",
                     "write it like `" + std::string{example} + "`; units: " + std::string{words});
    }
    for (const Unit& item : units) {
        if (item.name == unit) {
            std::int64_t result = 0;
            if (__builtin_mul_overflow(value, item.factor, &result)) {
                return wrong(tick(text) + " is too large");
            }
            return result;
        }
    }
    return wrong(tick(unit) + " is not a unit of a " + std::string{what}, "units: " + std::string{words});
}

template <std::size_t Count>
std::string show_quantity(std::int64_t value, const std::array<Unit, Count>& units, std::string_view zero)
{
    for (const Unit& unit : units) {
        if (value != 0 && value % unit.factor == 0) {
            return std::to_string(value / unit.factor) + std::string{unit.name};
        }
    }
    return std::string{zero};
}

bool looks_like_host_name(std::string_view text)
{
    return std::any_of(text.begin(), text.end(),
                       [](char c) { return (c >= 'g' && c <= 'z') || (c >= 'G' && c <= 'Z'); });
}

struct AddressAndPort {
    std::string_view address;
    std::optional<std::string_view> port;
};

/// Splits `ADDR[:PORT]`; IPv6 stands in brackets when a port follows.
Parsed<AddressAndPort> split_port(std::string_view text)
{
    if (text.starts_with('[')) {
        const std::size_t close = text.find(']');
        if (close == std::string_view::npos) {
            return wrong(tick(text) + " has no closing bracket", "[2001:db8::1]:443");
        }
        const std::string_view rest = text.substr(close + 1);
        if (!rest.empty() && rest.front() != ':') {
            return wrong(tick(text) + " has something between bracket and port", "[2001:db8::1]:443");
        }
        return AddressAndPort{text.substr(1, close - 1),
                              rest.empty() ? std::nullopt : std::optional<std::string_view>{rest.substr(1)}};
    }
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) {
        return AddressAndPort{text, std::nullopt};
    }
    if (text.find(':', colon + 1) != std::string_view::npos) {
        return wrong(tick(text) + " is ambiguous: where does the port begin?",
                     "IPv6 stands in brackets, in quotes: \"[2001:db8::1]:443\"");
    }
    return AddressAndPort{text.substr(0, colon), text.substr(colon + 1)};
}

Parsed<std::uint16_t> parse_port(std::string_view text)
{
    auto number = parse_number(text, 1, 65535);
    if (!number) {
        return wrong("the port " + number.error().message, number.error().hint);
    }
    return static_cast<std::uint16_t>(*number);
}

std::string bracketed(const wire::IpAddress& address)
{
    return address.is_v4() ? address.to_string() : "[" + address.to_string() + "]";
}

} // namespace

Parsed<std::int64_t> parse_number(std::string_view text, std::int64_t least, std::int64_t most)
{
    const std::string_view unsigned_text = text.starts_with('-') ? text.substr(1) : text;
    if (unsigned_text.starts_with("0x") || unsigned_text.starts_with("0X")) {
        std::int64_t value = 0;
        const bool readable = to_integer(unsigned_text.substr(2), value, 16);
        return wrong(tick(text) + " is not a decimal number", readable ? "write " + std::to_string(value) : "");
    }
    std::int64_t value = 0;
    if (!all_in(unsigned_text, digits)) {
        return wrong(tick(text) + " is not a number", "decimal digits only: " + range_hint(least, most));
    }
    if (unsigned_text.size() > 1 && unsigned_text.front() == '0') {
        return wrong(tick(text) + " starts with a zero",
                     "numbers are decimal, octal ones do not exist here: write " +
                         std::string{unsigned_text.substr(
                             std::min(unsigned_text.find_first_not_of('0'), unsigned_text.size() - 1))});
    }
    if (!to_integer(text, value) || value < least || value > most) {
        return wrong(tick(text) + " is out of range", range_hint(least, most));
    }
    return value;
}

Parsed<bool> parse_bool(std::string_view text)
{
    if (text == "true" || text == "false") {
        return text == "true";
    }
    std::string lower{text};
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
    const bool yes = lower == "yes" || lower == "on" || lower == "y" || lower == "true" || lower == "1";
    const bool no = lower == "no" || lower == "off" || lower == "n" || lower == "false" || lower == "0";
    return wrong(tick(text) + " is neither `true` nor `false`", yes ? "write `true`" : no ? "write `false`" : "");
}

Parsed<Duration> parse_duration(std::string_view text)
{
    auto value = parse_quantity(text, durations, "duration", "250ms", "us ms s m h d");
    if (!value) {
        return failure(value.error());
    }
    return Duration{*value};
}

Parsed<ByteSize> parse_size(std::string_view text)
{
    auto value = parse_quantity(text, sizes, "size", "4MiB", "B KiB MiB GiB TiB");
    if (!value) {
        return failure(value.error());
    }
    return ByteSize{static_cast<std::uint64_t>(*value)};
}

Parsed<Rate> parse_rate(std::string_view text)
{
    constexpr std::array<Unit, 1> rates{{{"/s", 1}}};
    auto value = parse_quantity(text, rates, "rate", "100/s", "/s");
    if (!value) {
        return failure(value.error());
    }
    if (*value > std::numeric_limits<std::uint32_t>::max()) {
        return wrong(tick(text) + " is too large");
    }
    return Rate{static_cast<std::uint32_t>(*value)};
}

Parsed<NetworkOrList> parse_network_or_list(std::string_view text)
{
    if (text.find('/') == std::string_view::npos && !wire::IpAddress::parse(text)) {
        if (auto name = parse_text(text, Text::name)) {
            return NetworkOrList{std::nullopt, std::move(*name)};
        }
    }
    auto network = parse_prefix(text);
    if (!network) {
        return failure(network.error());
    }
    return NetworkOrList{*network, {}};
}

Parsed<wire::IpAddress> parse_address(std::string_view text)
{
    if (const auto address = wire::IpAddress::parse(text)) {
        return *address;
    }
    if (text == "*") {
        return wrong("`*` is not an address",
                     "name the address; a service listens on addresses of a port or of a vrrp instance");
    }
    if (const auto prefix = wire::Prefix::parse(text)) {
        return wrong(tick(text) + " has a prefix length",
                     "only the address belongs here: " + tick(prefix->address.to_string()));
    }
    return wrong(tick(text) + " is not an IP address",
                 looks_like_host_name(text) ? "host names are not looked up; write the address" : "");
}

Parsed<wire::Prefix> parse_prefix(std::string_view text)
{
    if (const auto prefix = wire::Prefix::parse(text)) {
        return *prefix;
    }
    if (const auto address = wire::IpAddress::parse(text)) {
        return wrong(tick(text) + " has no prefix length",
                     "write " + tick(address->to_string() + (address->is_v4() ? "/24" : "/64")) + ", or " +
                         (address->is_v4() ? "/32" : "/128") + " for it alone");
    }
    if (text == "default") {
        return wrong("`default` is not a network", "write 0.0.0.0/0 or \"::/0\"");
    }
    return wrong(tick(text) + " is not a network", "write it like 10.0.0.0/8 or \"2001:db8::/32\"");
}

Parsed<wire::Endpoint> parse_endpoint(std::string_view text)
{
    auto parts = split_port(text);
    if (!parts) {
        return failure(parts.error());
    }
    if (!parts->port) {
        return wrong(tick(text) + " has no port", "127.0.0.1:9180");
    }
    auto address = parse_address(parts->address);
    if (!address) {
        return failure(address.error());
    }
    auto port = parse_port(*parts->port);
    if (!port) {
        return failure(port.error());
    }
    return wire::Endpoint{*address, *port};
}

Parsed<Listen> parse_listen(std::string_view text)
{
    const std::size_t slash = text.rfind('/');
    const std::string_view transport = slash == std::string_view::npos ? std::string_view{} : text.substr(slash + 1);
    if (transport != "tcp" && transport != "udp") {
        return wrong(tick(text) + " does not say tcp or udp", "ADDR:PORT[-PORT]/tcp or /udp, like 192.0.2.100:80/tcp");
    }
    auto parts = split_port(text.substr(0, slash));
    if (!parts) {
        return failure(parts.error());
    }
    auto address = parse_address(parts->address);
    if (!address) {
        return failure(address.error());
    }
    if (!parts->port) {
        return wrong(tick(text) + " has no port", "ADDR:PORT[-PORT]/tcp or /udp, like 192.0.2.100:80/tcp");
    }
    const std::size_t dash = parts->port->find('-');
    auto first = parse_port(parts->port->substr(0, dash));
    auto last = dash == std::string_view::npos ? first : parse_port(parts->port->substr(dash + 1));
    if (!first || !last) {
        return failure(first ? last.error() : first.error());
    }
    if (*last < *first) {
        return wrong(tick(*parts->port) + " ends before it begins");
    }
    return Listen{*address, *first, *last, transport == "tcp" ? Transport::tcp : Transport::udp};
}

Parsed<ServerAddress> parse_server(std::string_view text)
{
    auto parts = split_port(text);
    if (!parts) {
        return failure(parts.error());
    }
    auto address = parse_address(parts->address);
    if (!address) {
        return failure(address.error());
    }
    if (!parts->port) {
        return ServerAddress{*address, 0};
    }
    auto port = parse_port(*parts->port);
    if (!port) {
        return failure(port.error());
    }
    return ServerAddress{*address, *port};
}

Parsed<StatusRange> parse_status_range(std::string_view text)
{
    const std::size_t dash = text.find('-');
    auto first = parse_number(text.substr(0, dash), 100, 599);
    auto last = dash == std::string_view::npos ? first : parse_number(text.substr(dash + 1), 100, 599);
    if (!first || !last) {
        return wrong(tick(text) + " is not a status or a range of them", "write 200, or 200-299");
    }
    if (*last < *first) {
        return wrong(tick(text) + " ends before it begins");
    }
    return StatusRange{static_cast<std::uint16_t>(*first), static_cast<std::uint16_t>(*last)};
}

Parsed<Payload> parse_payload(std::string_view text)
{
    if (!text.starts_with("hex:")) {
        return Payload{std::string{text}};
    }
    Payload payload;
    const std::string_view hex = text.substr(4);
    for (std::size_t index = 0; index < hex.size(); index += 2) {
        unsigned value = 0;
        if (hex.size() - index < 2 || !to_integer(hex.substr(index, 2), value, 16)) {
            return wrong(tick(text) + " is not a row of hexadecimal bytes", "hex:0001ff");
        }
        payload.bytes.push_back(static_cast<char>(value));
    }
    return payload;
}

std::string show(Duration value) { return show_quantity(value.count(), durations, "0s"); }
std::string show(ByteSize value) { return show_quantity(static_cast<std::int64_t>(value.bytes), sizes, "0B"); }

std::string show(Rate value) { return std::to_string(value.per_second) + "/s"; }

std::string show(const NetworkOrList& value) { return value.network ? value.network->to_string() : value.list; }

std::string show(const Listen& value)
{
    std::string text = bracketed(value.address) + ":" + std::to_string(value.first_port);
    if (value.last_port != value.first_port) {
        text += "-" + std::to_string(value.last_port);
    }
    return text + (value.transport == Transport::tcp ? "/tcp" : "/udp");
}

std::string show(const ServerAddress& value)
{
    return bracketed(value.address) + (value.port == 0 ? "" : ":" + std::to_string(value.port));
}

std::string show(const StatusRange& value)
{
    return std::to_string(value.first) + (value.last == value.first ? "" : "-" + std::to_string(value.last));
}

std::string show(const Payload& value)
{
    const bool printable =
        std::all_of(value.bytes.begin(), value.bytes.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
    if (printable && !value.bytes.starts_with("hex:")) {
        return value.bytes;
    }
    static constexpr std::string_view hex = "0123456789abcdef";
    std::string text = "hex:";
    for (const char byte : value.bytes) {
        const auto number = static_cast<unsigned char>(byte);
        text += {hex[number >> 4U], hex[number & 15U]};
    }
    return text;
}

} // namespace sluice::config
