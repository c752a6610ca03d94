#include "http/request2.hpp"

#include "http/characters.hpp"

#include <sluice/http/http1.hpp>

#include <algorithm>
#include <array>

namespace sluice::http::http2 {

void RequestAssembler::refuse(Reason reason) noexcept
{
    if (!refusal_) {
        refusal_ = reason;
    }
}

bool RequestAssembler::within_limits(std::string_view name, std::string_view value, const Limits& limits) noexcept
{
    list_bytes_ += name.size() + value.size() + 32;
    ++field_count_;
    if (list_bytes_ > limits.header_list_bytes) {
        refuse(Reason::header_too_large);
    } else if (field_count_ > limits.field_count) {
        refuse(Reason::too_many_fields);
    }
    return !refusal_;
}

void RequestAssembler::add_header(std::string_view name, std::string_view value, const Limits& limits)
{
    if (refusal_) {
        return;
    }
    // A target over its own limit is told as such even when it breaks the limit of the whole as well.
    if (name == ":path" && value.size() > limits.target_bytes) {
        return refuse(Reason::target_too_long);
    }
    if (!within_limits(name, value, limits)) {
        return;
    }
    if (name.starts_with(':')) {
        return add_pseudo(name, value);
    }
    regular_seen_ = true;
    add_field(name, value, head_.fields);
}

void RequestAssembler::add_trailer(std::string_view name, std::string_view value, const Limits& limits)
{
    if (refusal_ || !within_limits(name, value, limits)) {
        return;
    }
    if (name.starts_with(':')) {
        return refuse(Reason::pseudo_header_invalid);
    }
    if (is_forbidden_trailer(name)) {
        return refuse(Reason::trailer_forbidden);
    }
    add_field(name, value, trailers_);
}

void RequestAssembler::add_pseudo(std::string_view name, std::string_view value)
{
    struct Known {
        std::string_view name;
        Pseudo bit;
        std::string RequestHead::*member;
    };
    static constexpr std::array<Known, 4> known{{{":method", method, &RequestHead::method},
                                                 {":scheme", scheme, &RequestHead::scheme},
                                                 {":authority", authority, &RequestHead::authority},
                                                 {":path", path, &RequestHead::target}}};
    const auto found = std::ranges::find(known, name, &Known::name);
    if (found == known.end() || regular_seen_ || (pseudo_seen_ & found->bit) != 0 || !is_field_value(value)) {
        return refuse(Reason::pseudo_header_invalid);
    }
    pseudo_seen_ = static_cast<std::uint8_t>(pseudo_seen_ | found->bit);
    (head_.*found->member).assign(value);
}

void RequestAssembler::add_field(std::string_view name, std::string_view value, Fields& fields)
{
    const bool upper = std::ranges::any_of(name, [](char character) { return character >= 'A' && character <= 'Z'; });
    if (upper || !is_token(name)) {
        return refuse(Reason::field_name_invalid);
    }
    if (!is_field_value(value)) {
        return refuse(Reason::field_value_invalid);
    }
    // RFC 9113 section 8.2.2.
    static constexpr std::array<std::string_view, 5> connection_specific{"connection", "proxy-connection", "keep-alive",
                                                                         "transfer-encoding", "upgrade"};
    if (std::ranges::find(connection_specific, name) != connection_specific.end() ||
        (name == "te" && value != "trailers")) {
        return refuse(Reason::connection_specific_field);
    }
    if (!fields.add(name, value)) {
        refuse(Reason::header_too_large);
    }
}

void RequestAssembler::finish_headers(const Limits& limits, bool end_of_stream)
{
    if (refusal_) {
        return;
    }
    head_.version = Version::http2;
    if (const auto resolved = resolve(limits); !resolved) {
        return refuse(resolved.error());
    }
    if (end_of_stream) {
        finish_request();
    }
    list_bytes_ = 0;
    field_count_ = 0;
}

Expected<void, Reason> RequestAssembler::resolve(const Limits& limits)
{
    if ((pseudo_seen_ & method) == 0 || !is_token(head_.method)) {
        return failure(Reason::pseudo_header_invalid);
    }
    if (head_.method == "CONNECT") {
        return failure(Reason::method_unsupported);
    }
    if ((pseudo_seen_ & scheme) == 0 || (pseudo_seen_ & path) == 0) {
        return failure(Reason::pseudo_header_invalid);
    }
    if (head_.scheme != "http" && head_.scheme != "https") {
        return failure(Reason::scheme_unsupported);
    }
    if (auto host = resolve_host(); !host) {
        return host;
    }
    if (auto parsed = set_origin_target(head_, head_.target); !parsed) {
        return parsed;
    }
    const auto framing = http1::request_framing(Version::http2, head_.fields);
    if (!framing) {
        return failure(framing.error());
    }
    if (framing->kind == http1::Framing::Kind::length) {
        declared_bytes_ = framing->length;
    }
    if (const auto expectation = expects_continue(head_.fields); !expectation) {
        return failure(expectation.error());
    }
    if (!join_cookies()) {
        return failure(Reason::header_too_large);
    }
    // What the limits allowed as fields must also fit as lines of HTTP/1.
    if (head_.fields.bytes() > limits.header_list_bytes) {
        return failure(Reason::header_too_large);
    }
    return {};
}

Expected<void, Reason> RequestAssembler::resolve_host()
{
    const std::size_t hosts = head_.fields.count("host");
    const bool has_authority = (pseudo_seen_ & authority) != 0;
    if (hosts > 1) {
        return failure(Reason::host_duplicate);
    }
    if (hosts == 0 && !has_authority) {
        return failure(Reason::host_missing);
    }
    auto place = parse_authority(has_authority ? head_.authority : *head_.fields.find("host"));
    if (!place) {
        return failure(place.error());
    }
    if (hosts == 1) {
        if (has_authority) {
            const auto other = parse_authority(*head_.fields.find("host"));
            if (!other) {
                return failure(other.error());
            }
            if (!same_authority(*place, *other, head_.scheme)) {
                return failure(Reason::host_mismatch);
            }
        } else {
            head_.authority.assign(*head_.fields.find("host"));
        }
        head_.fields.remove("host");
    }
    head_.host = std::move(place->host);
    head_.port = place->port;
    return {};
}

/// RFC 9113 section 8.2.3: clients may split Cookie for better compression; HTTP/1 knows one field only.
bool RequestAssembler::join_cookies()
{
    if (head_.fields.count("cookie") < 2) {
        return true;
    }
    std::string joined;
    head_.fields.for_each("cookie",
                          [&](std::string_view crumb) { joined.append(joined.empty() ? "" : "; ").append(crumb); });
    return head_.fields.set("cookie", joined);
}

void RequestAssembler::add_data(std::size_t bytes) noexcept
{
    received_bytes_ += bytes;
    if (declared_bytes_ && received_bytes_ > *declared_bytes_) {
        refuse(Reason::content_length_mismatch);
    }
}

void RequestAssembler::finish_request() noexcept
{
    if (declared_bytes_ && received_bytes_ != *declared_bytes_) {
        refuse(Reason::content_length_mismatch);
    }
}

} // namespace sluice::http::http2
