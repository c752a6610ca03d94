// Request targets and authorities: RFC 3986, RFC 9112 section 3.2.
#include <sluice/http/message.hpp>

#include "http/characters.hpp"

#include <arpa/inet.h>

#include <algorithm>

namespace sluice::http {

static constexpr std::string_view upper_digits = "0123456789ABCDEF";

static void append_encoded(std::string& out, unsigned byte)
{
    out.push_back('%');
    out.push_back(upper_digits[byte >> 4U]);
    out.push_back(upper_digits[byte & 15U]);
}

/// Decodes what must be decoded and encodes what must be encoded; slashes and dots are then what they mean.
static Expected<void, Reason> normalise_characters(std::string_view path, std::string& out)
{
    for (std::size_t at = 0; at < path.size(); ++at) {
        const char character = path[at];
        if (is(path_character, character)) {
            out.push_back(character);
        } else if (character == '%') {
            if (path.size() - at < 3 || !is(hex_character, path[at + 1]) || !is(hex_character, path[at + 2])) {
                return failure(Reason::path_encoding_invalid);
            }
            const unsigned byte = hex_value(path[at + 1]) * 16 + hex_value(path[at + 2]);
            at += 2;
            if (byte == 0) {
                return failure(Reason::path_nul);
            }
            if (is(unreserved_character, static_cast<char>(byte))) {
                out.push_back(static_cast<char>(byte));
            } else {
                append_encoded(out, byte);
            }
        } else if (character == '\\') {
            return failure(Reason::path_backslash);
        } else if (is(visible_character, character) && character != '#') {
            append_encoded(out, static_cast<unsigned char>(character));
        } else {
            return failure(Reason::target_invalid);
        }
    }
    return {};
}

/// Whether some servers would see a dot segment in this segment where we see a name: they decode %2F or %5C, or cut
/// parameters at a semicolon, before they resolve dots.
static bool hides_dot_segment(std::string_view segment) noexcept
{
    while (true) {
        std::size_t end = 0;
        while (end < segment.size() && !segment.substr(end).starts_with("%2F") &&
               !segment.substr(end).starts_with("%5C")) {
            ++end;
        }
        const bool last = end == segment.size();
        std::string_view piece = segment.substr(0, end);
        piece = piece.substr(0, piece.find(';'));
        if (piece == "." || piece == "..") {
            return true;
        }
        if (last) {
            return false;
        }
        segment.remove_prefix(end + 3);
    }
}

/// RFC 3986 section 5.2.4, in place: the result is never longer than what was read.
static Expected<void, Reason> remove_dot_segments(std::string& path)
{
    const auto offset = [](std::size_t index) { return static_cast<std::ptrdiff_t>(index); };
    std::size_t kept = 0;
    std::size_t at = 0;
    while (at < path.size()) {
        // path[at] is the slash before a segment.
        std::size_t end = path.find('/', at + 1);
        end = end == std::string::npos ? path.size() : end;
        const std::string_view segment{path.data() + at + 1, end - at - 1};
        const bool last = end == path.size();
        if (segment == "." || segment == "..") {
            if (segment == "..") {
                if (kept == 0) {
                    return failure(Reason::path_above_root);
                }
                kept = path.rfind('/', kept - 1);
            }
            if (last) {
                path[kept++] = '/';
            }
        } else {
            if (segment.find_first_of(".") != std::string_view::npos && hides_dot_segment(segment)) {
                return failure(Reason::path_ambiguous);
            }
            std::copy(path.begin() + offset(at), path.begin() + offset(end), path.begin() + offset(kept));
            kept += end - at;
        }
        at = end;
    }
    path.resize(kept);
    return {};
}

Expected<void, Reason> normalise_path(std::string_view path, std::string& out)
{
    out.clear();
    if (path.empty() || path.front() != '/') {
        return failure(Reason::target_invalid);
    }
    if (auto characters = normalise_characters(path, out); !characters) {
        return characters;
    }
    // Nearly no path has a dot at the start of a segment or behind something that hides one.
    if (out.find('.') == std::string::npos) {
        return {};
    }
    return remove_dot_segments(out);
}

Expected<void, Reason> set_origin_target(RequestHead& head, std::string_view target)
{
    if (target.data() != head.target.data()) {
        head.target.assign(target);
    }
    const std::size_t mark = target.find('?');
    head.has_query = mark != std::string_view::npos;
    head.query.assign(head.has_query ? target.substr(mark + 1) : std::string_view{});
    if (!all(visible_character, head.query) || head.query.find('#') != std::string::npos) {
        return failure(Reason::target_invalid);
    }
    if (target == "*") {
        if (head.method != "OPTIONS") {
            return failure(Reason::target_invalid);
        }
        head.path.assign("*");
        return {};
    }
    return normalise_path(target.substr(0, mark), head.path);
}

static bool is_ipv6(std::string_view text) noexcept
{
    char terminated[INET6_ADDRSTRLEN + 1];
    if (text.size() >= sizeof terminated || text.find('\0') != std::string_view::npos) {
        return false;
    }
    terminated[text.copy(terminated, text.size())] = '\0';
    in6_addr address;
    return inet_pton(AF_INET6, terminated, &address) == 1;
}

static Expected<std::uint16_t, Reason> parse_port(std::string_view text)
{
    if (text.size() > 5 || !all(digit_character, text)) {
        return failure(Reason::host_invalid);
    }
    unsigned port = 0;
    for (const char digit : text) {
        port = port * 10 + static_cast<unsigned>(digit - '0');
    }
    if (port > 65535 || (port == 0 && !text.empty())) {
        return failure(Reason::host_invalid);
    }
    return static_cast<std::uint16_t>(port);
}

Expected<Authority, Reason> parse_authority(std::string_view authority)
{
    std::string_view host;
    std::string_view rest;
    if (authority.starts_with('[')) {
        const std::size_t bracket = authority.find(']');
        if (bracket == std::string_view::npos) {
            return failure(Reason::host_invalid);
        }
        host = authority.substr(1, bracket - 1);
        rest = authority.substr(bracket + 1);
        if (!is_ipv6(host)) {
            return failure(Reason::host_invalid);
        }
    } else {
        host = authority.substr(0, authority.find(':'));
        rest = authority.substr(host.size());
        if (!all(unreserved_character, host)) {
            return failure(Reason::host_invalid);
        }
        if (host.ends_with('.')) {
            host.remove_suffix(1);
        }
    }
    if (host.empty() || host.size() > 255 || (!rest.empty() && rest.front() != ':')) {
        return failure(Reason::host_invalid);
    }
    const auto port = parse_port(rest.empty() ? rest : rest.substr(1));
    if (!port) {
        return failure(port.error());
    }
    Authority parsed{std::string{host}, *port};
    for (char& character : parsed.host) {
        character = lower(character);
    }
    return parsed;
}

bool same_authority(const Authority& left, const Authority& right, std::string_view scheme) noexcept
{
    const std::uint16_t standard = scheme == "https" ? 443 : 80;
    const auto port = [standard](const Authority& authority) {
        return authority.port == 0 ? standard : authority.port;
    };
    return left.host == right.host && port(left) == port(right);
}

} // namespace sluice::http
