// The head of a request and of a response, the same for HTTP/1 and HTTP/2, and the rules that belong to no version
// (RFC 9110). Values without I/O; one thread at a time.
#pragma once

#include <sluice/base/result.hpp>
#include <sluice/http/fields.hpp>
#include <sluice/http/reason.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::http {

enum class Version : std::uint8_t { http10, http11, http2 };

[[nodiscard]] std::string_view to_string(Version version) noexcept;

/// A request as a parser delivers it: every field checked, the target taken apart and normalised.
///
/// There is never a Host field in `fields`. Its value is `authority`, whichever of Host, :authority or an absolute
/// target it came from, and a serialiser writes it back. So nothing that edits fields can separate the host that was
/// routed from the host that the upstream sees.
struct RequestHead {
    std::string method;    ///< A token; methods are case-sensitive.
    std::string scheme;    ///< `http` or `https` if the target or :scheme said so, else empty.
    std::string authority; ///< As the client sent it: what the upstream's Host becomes. Empty only in HTTP/1.0.
    std::string host;      ///< For matching: lower case, no port, no final dot, IPv6 without brackets.
    std::string target;    ///< As received, for access records only.
    std::string path;      ///< Normalised (normalise_path); `*` for OPTIONS *. For matching and for the upstream.
    std::string query;     ///< As received, without the question mark.
    bool has_query = false;
    std::uint16_t port = 0; ///< Of the authority; 0 when it has none.
    Version version = Version::http11;
    Fields fields;

    void clear() noexcept;
};

struct ResponseHead {
    std::uint16_t status = 200; ///< 100..599.
    Version version = Version::http11;
    Fields fields;

    void clear() noexcept;
};

/// What a path-absolute becomes before it is matched and forwarded:
/// - percent-encoded unreserved characters are decoded, other encodings keep their bytes with upper-case digits;
/// - characters that no path may hold but that user agents send (`|`, `^`, `{` and the like) are encoded;
/// - dot segments are removed (RFC 3986 section 5.2.4), also when they were encoded;
/// - encoded slashes stay encoded, repeated slashes stay;
/// - refused: a broken encoding, NUL, a backslash, controls, bytes over 0x7E, `#`, climbing above the root, and dot
/// segments that appear only to a
///   server that decodes %2F or %5C or cuts path parameters (`/a/..%2Fb`, `/..;/b`).
/// `out` is replaced; on failure its content is unspecified. `path` begins with `/`.
[[nodiscard]] Expected<void, Reason> normalise_path(std::string_view path, std::string& out);

struct Authority {
    std::string host;       ///< Lower case, without the final dot; IPv6 without brackets.
    std::uint16_t port = 0; ///< 0 when there is none.

    bool operator==(const Authority&) const = default;
};

/// `host [":" port]` (RFC 3986 section 3.2) without user information; hosts of letters, digits, `-._~`, IPv4 and
/// bracketed IPv6 without zone. An empty host is refused.
[[nodiscard]] Expected<Authority, Reason> parse_authority(std::string_view authority);
/// Whether both name the same place: hosts without case, ports compared after the scheme's default.
[[nodiscard]] bool same_authority(const Authority& left, const Authority& right, std::string_view scheme) noexcept;

/// Fills target, path, query, has_query from an origin-form target (`/...` or `*`), which may be head.target itself.
/// RFC 9112 section 3.2.
[[nodiscard]] Expected<void, Reason> set_origin_target(RequestHead& head, std::string_view target);

[[nodiscard]] bool is_safe_method(std::string_view method) noexcept;         ///< RFC 9110 section 9.2.1
[[nodiscard]] bool is_idempotent_method(std::string_view method) noexcept;   ///< RFC 9110 section 9.2.2
[[nodiscard]] std::string_view reason_phrase(std::uint16_t status) noexcept; ///< Empty for a status that no RFC names.
/// RFC 9110 section 6.4.1: answers to HEAD, 1xx, 204 and 304 have no content.
[[nodiscard]] bool response_has_no_content(std::uint16_t status, std::string_view request_method) noexcept;

/// Removes what means something to one connection only (RFC 9110 section 7.6.1): the fields that Connection names,
/// Connection itself, Keep-Alive, Proxy-Connection, TE, Transfer-Encoding, Upgrade, HTTP2-Settings, Proxy-Authenticate
/// and Proxy-Authorization. Content-Length stays whatever Connection says. Framing, and an upgrade that is wanted, are
/// put back with http1::set_framing() and http1::set_upgrade().
void remove_hop_by_hop(Fields& fields);
/// Whether a request asks for 100 before it sends its body (RFC 9110 section 10.1.1); any other expectation is refused.
[[nodiscard]] Expected<bool, Reason> expects_continue(const Fields& fields);
/// Whether the sender of these request fields takes trailers (`TE: trailers`).
[[nodiscard]] bool accepts_trailers(const Fields& fields) noexcept;
/// Whether a trailer of that name is refused: framing, routing and connection fields (RFC 9110 section 6.5.1). Others
/// are forwarded as trailers and never merged into the head.
[[nodiscard]] bool is_forbidden_trailer(std::string_view name) noexcept;

} // namespace sluice::http
