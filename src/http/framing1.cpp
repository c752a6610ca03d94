// Where a message of HTTP/1 ends, and what its sender wants of the connection: RFC 9112 sections 6 and 9.
#include <sluice/http/http1.hpp>

#include "http/characters.hpp"

#include <charconv>

namespace sluice::http::http1 {

/// 19 digits would overflow the signed 64-bit counters of other programs.
static constexpr std::size_t longest_length = 18;

static Expected<std::uint64_t, Reason> parse_length(std::string_view text)
{
    // A leading zero is octal to some parsers; a list of equal lengths is one length to some.
    if (text.empty() || text.size() > longest_length || !all(digit_character, text) ||
        (text.size() > 1 && text[0] == '0')) {
        return failure(text.find(',') != std::string_view::npos ? Reason::content_length_duplicate
                                                                : Reason::content_length_invalid);
    }
    std::uint64_t length = 0;
    for (const char digit : text) {
        length = length * 10 + static_cast<std::uint64_t>(digit - '0');
    }
    return length;
}

static Expected<void, Reason> check_transfer_encoding(std::string_view value)
{
    if (equal_ignoring_case(value, "chunked")) {
        return {};
    }
    std::size_t codings = 0;
    std::size_t chunked = 0;
    std::string_view final_coding;
    for_each_list_member(value, [&](std::string_view coding) {
        ++codings;
        chunked += equal_ignoring_case(coding, "chunked") ? 1U : 0U;
        final_coding = coding;
    });
    const bool well_formed = chunked == 1 && equal_ignoring_case(final_coding, "chunked");
    return failure(well_formed && codings > 1 ? Reason::transfer_encoding_unsupported
                                              : Reason::transfer_encoding_invalid);
}

static Expected<Framing, Reason> explicit_framing(Version version, const Fields& fields)
{
    const std::size_t lengths = fields.count("content-length");
    const std::size_t encodings = fields.count("transfer-encoding");
    if (encodings != 0) {
        if (lengths != 0) {
            return failure(Reason::content_length_with_transfer_encoding);
        }
        if (version == Version::http10) {
            return failure(Reason::transfer_encoding_http10);
        }
        if (encodings > 1) {
            return failure(Reason::transfer_encoding_duplicate);
        }
        if (const auto checked = check_transfer_encoding(*fields.find("transfer-encoding")); !checked) {
            return failure(checked.error());
        }
        return Framing{Framing::Kind::chunked};
    }
    if (lengths > 1) {
        return failure(Reason::content_length_duplicate);
    }
    if (lengths == 1) {
        const auto length = parse_length(*fields.find("content-length"));
        if (!length) {
            return failure(length.error());
        }
        return Framing{Framing::Kind::length, *length};
    }
    return Framing{};
}

Expected<Framing, Reason> request_framing(Version version, const Fields& fields)
{
    return explicit_framing(version, fields);
}

Expected<Framing, Reason> response_framing(const ResponseHead& head, std::string_view request_method)
{
    const auto framing = explicit_framing(head.version, head.fields);
    if (!framing) {
        return framing;
    }
    if (head.status == 101) {
        return Framing{Framing::Kind::tunnel};
    }
    if (response_has_no_content(head.status, request_method)) {
        return Framing{};
    }
    return framing->kind == Framing::Kind::none ? Framing{Framing::Kind::until_close} : *framing;
}

bool keep_alive(Version version, const Fields& fields) noexcept
{
    if (fields.list_contains("connection", "close")) {
        return false;
    }
    return version != Version::http10 || fields.list_contains("connection", "keep-alive");
}

static bool asks_for_websocket(const Fields& fields) noexcept
{
    const auto protocol = fields.find("upgrade");
    return protocol && fields.count("upgrade") == 1 && equal_ignoring_case(*protocol, "websocket") &&
           fields.list_contains("connection", "upgrade");
}

bool is_websocket_upgrade(const RequestHead& head, const Framing& framing) noexcept
{
    return head.version == Version::http11 && head.method == "GET" && !framing.has_body() &&
           asks_for_websocket(head.fields) && head.fields.contains("sec-websocket-key");
}

bool is_websocket_accept(const ResponseHead& head) noexcept
{
    return head.status == 101 && asks_for_websocket(head.fields);
}

bool set_framing(Fields& fields, const Framing& framing)
{
    fields.remove("content-length");
    fields.remove("transfer-encoding");
    if (framing.kind == Framing::Kind::chunked) {
        return fields.add("Transfer-Encoding", "chunked");
    }
    if (framing.kind == Framing::Kind::length) {
        char digits[24];
        const auto end = std::to_chars(std::begin(digits), std::end(digits), framing.length).ptr;
        return fields.add("Content-Length", {digits, static_cast<std::size_t>(end - digits)});
    }
    return true;
}

bool set_upgrade(Fields& fields, std::string_view protocol)
{
    return fields.set("Connection", "upgrade") && fields.set("Upgrade", protocol);
}

bool set_connection(Fields& fields, bool keep, Version peer_version)
{
    fields.remove("connection");
    if (!keep) {
        return fields.add("Connection", "close");
    }
    return peer_version != Version::http10 || fields.add("Connection", "keep-alive");
}

} // namespace sluice::http::http1
