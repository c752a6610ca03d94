#include <sluice/http/message.hpp>

#include "http/characters.hpp"
#include "http/hop_by_hop.hpp"

#include <algorithm>
#include <array>

namespace sluice::http {

std::string_view to_string(Version version) noexcept
{
    switch (version) {
    case Version::http10:
        return "HTTP/1.0";
    case Version::http11:
        return "HTTP/1.1";
    case Version::http2:
        return "HTTP/2";
    }
    return {};
}

void RequestHead::clear() noexcept
{
    method.clear();
    scheme.clear();
    authority.clear();
    host.clear();
    target.clear();
    path.clear();
    query.clear();
    has_query = false;
    port = 0;
    version = Version::http11;
    fields.clear();
}

void ResponseHead::clear() noexcept
{
    status = 200;
    version = Version::http11;
    fields.clear();
}

bool is_safe_method(std::string_view method) noexcept
{
    return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "TRACE";
}

bool is_idempotent_method(std::string_view method) noexcept
{
    return is_safe_method(method) || method == "PUT" || method == "DELETE";
}

bool response_has_no_content(std::uint16_t status, std::string_view request_method) noexcept
{
    return request_method == "HEAD" || status < 200 || status == 204 || status == 304;
}

std::string_view reason_phrase(std::uint16_t status) noexcept
{
    struct Phrase {
        std::uint16_t status;
        std::string_view text;
    };
    // RFC 9110 section 15, and 103 (RFC 8297), 428, 429, 431, 511 (RFC 6585), 451 (RFC 7725); ordered by status.
    static constexpr std::array phrases = std::to_array<Phrase>({
        {100, "Continue"},
        {101, "Switching Protocols"},
        {103, "Early Hints"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {203, "Non-Authoritative Information"},
        {204, "No Content"},
        {205, "Reset Content"},
        {206, "Partial Content"},
        {300, "Multiple Choices"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {407, "Proxy Authentication Required"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {426, "Upgrade Required"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {451, "Unavailable For Legal Reasons"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {511, "Network Authentication Required"},
    });
    static_assert(std::ranges::is_sorted(phrases, {}, &Phrase::status));
    const auto found = std::ranges::lower_bound(phrases, status, {}, &Phrase::status);
    return found != phrases.end() && found->status == status ? found->text : std::string_view{};
}

bool is_hop_by_hop(std::string_view name) noexcept
{
    static constexpr std::array<std::string_view, 9> names{
        "connection",     "keep-alive",         "proxy-connection",   "te", "transfer-encoding", "upgrade",
        "http2-settings", "proxy-authenticate", "proxy-authorization"};
    return std::ranges::any_of(names, [name](std::string_view known) { return equal_ignoring_case(known, name); });
}

bool has_hop_by_hop(const Fields& fields) noexcept
{
    return std::ranges::any_of(fields.begin(), fields.end(),
                               [](const Field& field) { return is_hop_by_hop(field.name); });
}

void remove_hop_by_hop(Fields& fields)
{
    // Views of the list stay valid while fields are only removed from it.
    std::string_view options;
    std::string joined;
    fields.for_each("connection", [&](std::string_view value) {
        if (options.empty()) {
            options = value;
        } else {
            joined.append(joined.empty() ? options : std::string_view{}).append(",").append(value);
        }
    });
    const std::string_view named = joined.empty() ? options : std::string_view{joined};
    fields.remove_if([named](const Field& field) {
        if (is_hop_by_hop(field.name)) {
            return true;
        }
        if (named.empty() || equal_ignoring_case(field.name, "content-length")) {
            return false;
        }
        bool found = false;
        for_each_list_member(
            named, [&](std::string_view option) { found = found || equal_ignoring_case(option, field.name); });
        return found;
    });
}

Expected<bool, Reason> expects_continue(const Fields& fields)
{
    const auto expectation = fields.find("expect");
    if (!expectation) {
        return false;
    }
    if (fields.count("expect") != 1 || !equal_ignoring_case(*expectation, "100-continue")) {
        return failure(Reason::expectation_unsupported);
    }
    return true;
}

bool accepts_trailers(const Fields& fields) noexcept { return fields.list_contains("te", "trailers"); }

bool is_forbidden_trailer(std::string_view name) noexcept
{
    static constexpr std::array<std::string_view, 3> names{"content-length", "host", "trailer"};
    return is_hop_by_hop(name) ||
           std::ranges::any_of(names, [name](std::string_view known) { return equal_ignoring_case(known, name); });
}

} // namespace sluice::http
