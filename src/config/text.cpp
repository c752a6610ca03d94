#include <config/quote.hpp>
#include <config/scalars.hpp>

#include <algorithm>

namespace sluice::config {

namespace {

bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alnum(char c) { return is_alpha(c) || is_digit(c); }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

template <class Predicate>
bool all(std::string_view text, Predicate predicate)
{
    return !text.empty() && std::all_of(text.begin(), text.end(), predicate);
}

bool is_name(std::string_view text)
{
    return text.size() <= 64 && all(text, [](char c) { return is_alnum(c) || c == '.' || c == '_' || c == '-'; }) &&
           is_alnum(text.front());
}

/// dev_valid_name() of the kernel, and nothing that a shell or a log would stumble over.
bool is_interface(std::string_view text)
{
    return text.size() <= 15 && text != "." && text != ".." &&
           all(text, [](char c) { return c > 0x20 && c < 0x7f && c != '/' && c != ':'; });
}

bool is_pci(std::string_view text)
{
    static constexpr std::string_view shape = "hhhh:hh:hh.h";
    if (text.size() != shape.size()) {
        return false;
    }
    for (std::size_t index = 0; index < shape.size(); ++index) {
        if (shape[index] == 'h' ? !is_hex(text[index]) : text[index] != shape[index]) {
            return false;
        }
    }
    return true;
}

bool is_vdev(std::string_view text)
{
    return text.starts_with("net_") && all(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

/// Labels of RFC 1123 §2.1, with the underscore that is in use.
bool is_domain(std::string_view text)
{
    if (text.empty() || text.size() > 253) {
        return false;
    }
    while (true) {
        const std::size_t dot = text.find('.');
        const std::string_view label = text.substr(0, dot);
        const bool fits = label.size() <= 63 &&
                          all(label, [](char c) { return is_alnum(c) || c == '-' || c == '_'; }) &&
                          label.front() != '-' && label.back() != '-';
        if (!fits || dot == std::string_view::npos) {
            return fits;
        }
        text.remove_prefix(dot + 1);
    }
}

bool is_host(std::string_view text)
{
    if (text.starts_with('[') && text.ends_with(']')) {
        const auto address = wire::IpAddress::parse(text.substr(1, text.size() - 2));
        return address && address->is_v6();
    }
    return is_domain(text);
}

bool is_uri_path(std::string_view text)
{
    static constexpr std::string_view others = "-._~!$&'()*+,;=:@/?";
    if (!text.starts_with('/')) {
        return false;
    }
    for (std::size_t index = 0; index < text.size(); ++index) {
        if (text[index] == '%') {
            if (index + 2 >= text.size() || !is_hex(text[index + 1]) || !is_hex(text[index + 2])) {
                return false;
            }
            index += 2;
        } else if (!is_alnum(text[index]) && others.find(text[index]) == std::string_view::npos) {
            return false;
        }
    }
    return true;
}

bool is_token(std::string_view text)
{
    return all(text, [](char c) {
        return is_alnum(c) || std::string_view{"!#$%&'*+-.^_`|~"}.find(c) != std::string_view::npos;
    });
}

bool is_header_value(std::string_view text)
{
    const auto edge = [](char c) { return c == ' ' || c == '\t'; };
    if (!text.empty() && (edge(text.front()) || edge(text.back()))) {
        return false;
    }
    return std::all_of(text.begin(), text.end(), [](char c) {
        const auto value = static_cast<unsigned char>(c);
        return value == '\t' || (value >= 0x20 && value != 0x7f);
    });
}

bool fits(std::string_view text, Text kind)
{
    switch (kind) {
    case Text::any:
        return text.find('\0') == std::string_view::npos;
    case Text::name:
        return is_name(text);
    case Text::group:
        return text.size() <= 32 && all(text, [](char c) { return is_alnum(c) || c == '_' || c == '-' || c == '.'; });
    case Text::interface:
        return is_interface(text);
    case Text::pci:
        return is_pci(text);
    case Text::vdev:
        return is_vdev(text);
    case Text::host:
        return is_host(text);
    case Text::host_pattern:
        return is_host(text.starts_with("*.") ? text.substr(2) : text);
    case Text::uri_path:
        return is_uri_path(text);
    case Text::header_name:
        return is_token(text);
    case Text::header_value:
        return is_header_value(text);
    }
    return false;
}

std::string_view advice(Text kind)
{
    switch (kind) {
    case Text::name:
        return "letters, digits, `.`, `_` and `-`, starting with a letter or digit, at most 64";
    case Text::pci:
        return "write it like \"0000:3b:00.0\", in quotes";
    case Text::vdev:
        return "write it as DPDK does: \"net_memif0,role=client\"";
    case Text::host:
        return "without port and scheme";
    case Text::host_pattern:
        return "a host name without port, or `*.` and one; regular expressions are not known";
    case Text::uri_path:
        return "it starts with `/`; other characters are percent-encoded";
    case Text::header_value:
        return "no line breaks or control characters, no blanks at the ends";
    default:
        return {};
    }
}

} // namespace

std::string_view text_kind(Text kind) noexcept
{
    switch (kind) {
    case Text::any:
        return "text";
    case Text::name:
        return "name";
    case Text::group:
        return "group";
    case Text::interface:
        return "interface";
    case Text::pci:
        return "PCI address";
    case Text::vdev:
        return "DPDK vdev";
    case Text::host:
        return "host";
    case Text::host_pattern:
        return "host pattern";
    case Text::uri_path:
        return "path";
    case Text::header_name:
        return "header name";
    case Text::header_value:
        return "header value";
    }
    return {};
}

Parsed<std::string> parse_text(std::string_view text, Text kind)
{
    if (!fits(text, kind)) {
        return failure(
            Wrong{tick(text) + " is not a valid " + std::string{text_kind(kind)}, std::string{advice(kind)}});
    }
    std::string value{text};
    if (kind == Text::host_pattern || kind == Text::host) {
        std::transform(value.begin(), value.end(), value.begin(),
                       [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
    }
    return value;
}

} // namespace sluice::config
