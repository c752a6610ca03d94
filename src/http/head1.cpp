// Heads of HTTP/1: RFC 9112 sections 2 to 5.
#include <sluice/http/http1.hpp>

#include "http/characters.hpp"
#include "http/field_line.hpp"

#include <algorithm>

namespace sluice::http::http1 {

/// No registered method is longer than half of this.
static constexpr std::size_t longest_method = 32;

LineReader::Line LineReader::next(std::string_view in)
{
    if (drop_carried_) {
        carried_.clear();
        drop_carried_ = false;
    }
    const std::size_t feed = in.find('\n');
    if (feed == std::string_view::npos) {
        carried_.append(in);
        return {in.size(), false, false, {}};
    }
    Line line{feed + 1, true, false, in.substr(0, feed)};
    if (!carried_.empty()) {
        carried_.append(line.text);
        line.text = carried_;
        drop_carried_ = true;
    }
    line.bare_lf = !line.text.ends_with('\r');
    if (!line.bare_lf) {
        line.text.remove_suffix(1);
    }
    return line;
}

void LineReader::reset() noexcept
{
    carried_.clear();
    drop_carried_ = false;
}

Expected<void, Reason> parse_field_line(std::string_view line, std::uint16_t field_limit, Fields& fields)
{
    std::size_t colon = 0;
    while (colon < line.size() && is(token_character, line[colon])) {
        ++colon;
    }
    if (colon == line.size()) {
        return failure(Reason::field_name_invalid);
    }
    if (line[colon] != ':') {
        if (!is(value_character, line[colon])) {
            return failure(reason_for_control(line[colon]));
        }
        if (colon == 0 && (line[0] == ' ' || line[0] == '\t')) {
            return failure(Reason::obs_fold);
        }
        const std::size_t next = line.find_first_not_of(" \t", colon);
        const bool spaced = next > colon && next != std::string_view::npos && line[next] == ':';
        return failure(spaced ? Reason::space_before_colon : Reason::field_name_invalid);
    }
    if (colon == 0) {
        return failure(Reason::field_name_invalid);
    }
    const std::string_view value = trim_white_space(line.substr(colon + 1));
    if (const std::size_t bad = find_non_value(value); bad != std::string_view::npos) {
        return failure(reason_for_control(value[bad]));
    }
    if (fields.size() >= field_limit) {
        return failure(Reason::too_many_fields);
    }
    if (!fields.add(line.substr(0, colon), value)) {
        return failure(Reason::header_too_large);
    }
    return {};
}

/// Every option is compared with every field later on, so there must not be more of them than there may be fields.
static bool too_many_options(const Fields& fields, std::size_t limit)
{
    std::size_t options = 0;
    fields.for_each("connection", [&](std::string_view list) {
        options += 1 + static_cast<std::size_t>(std::ranges::count(list, ','));
    });
    return options > limit;
}

static Expected<Version, Reason> parse_version(std::string_view text)
{
    if (text.size() != 8 || !text.starts_with("HTTP/") || text[6] != '.' || !is(digit_character, text[5]) ||
        !is(digit_character, text[7])) {
        return failure(Reason::version_invalid);
    }
    if (text[5] != '1' || text[7] > '1') {
        return failure(Reason::version_unsupported);
    }
    return text[7] == '1' ? Version::http11 : Version::http10;
}

static Expected<void, Reason> check_printable(std::string_view line)
{
    if (const std::size_t bad = find_non_value(line); bad != std::string_view::npos) {
        return failure(reason_for_control(line[bad]));
    }
    return {};
}

Progress RequestParser::refuse(Reason reason, std::size_t consumed) noexcept
{
    state_ = State::refused;
    reason_ = reason;
    return {consumed, Status::refused};
}

void RequestParser::reset() noexcept
{
    lines_.reset();
    head_.clear();
    framing_ = {};
    consumed_ = 0;
    state_ = State::start;
    skipped_empty_line_ = false;
    expects_continue_ = false;
    absolute_target_ = false;
}

Progress RequestParser::feed(Bytes in)
{
    if (state_ == State::complete || state_ == State::refused) {
        return {0, state_ == State::complete ? Status::complete : Status::refused};
    }
    const std::string_view text = as_text(in);
    if (consumed_ == 0 && !text.empty() && !is(token_character, text[0]) && text[0] != '\r' && text[0] != '\n') {
        // Another protocol, such as TLS, is told at its first byte instead of at a timeout.
        return refuse(Reason::method_invalid, 0);
    }
    std::size_t total = 0;
    while (total < text.size()) {
        const LineReader::Line line = lines_.next(text.substr(total, limits_.header_bytes - consumed_ + 1));
        total += line.consumed;
        consumed_ += line.consumed;
        const std::size_t length = line.complete ? line.text.size() : lines_.pending();
        const bool line_too_long = length > limits_.target_bytes + longest_method + sizeof "  HTTP/1.1\r";
        if (state_ == State::start && (line_too_long || consumed_ > limits_.header_bytes)) {
            return refuse(Reason::target_too_long, total);
        }
        if (consumed_ > limits_.header_bytes) {
            return refuse(Reason::header_too_large, total);
        }
        if (!line.complete) {
            break;
        }
        if (line.bare_lf) {
            return refuse(Reason::bare_lf, total);
        }
        Expected<void, Reason> parsed;
        if (state_ == State::fields && line.text.empty()) {
            parsed = finish();
            if (parsed) {
                state_ = State::complete;
                return {total, Status::complete};
            }
        } else if (state_ == State::fields) {
            parsed = parse_field_line(line.text, limits_.field_count, head_.fields);
        } else if (line.text.empty() && !skipped_empty_line_) {
            skipped_empty_line_ = true;
        } else {
            parsed = parse_request_line(line.text);
            state_ = State::fields;
        }
        if (!parsed) {
            return refuse(parsed.error(), total);
        }
    }
    return {total, Status::need_more};
}

Expected<void, Reason> RequestParser::parse_request_line(std::string_view line)
{
    if (auto printable = check_printable(line); !printable) {
        return printable;
    }
    const std::size_t first = line.find(' ');
    const std::size_t last = line.rfind(' ');
    const std::string_view method = line.substr(0, first);
    if (!is_token(method)) {
        return failure(Reason::method_invalid);
    }
    if (method.size() > longest_method) {
        return failure(Reason::method_too_long);
    }
    if (first == std::string_view::npos || first == last) {
        return failure(Reason::request_line_invalid);
    }
    head_.method.assign(method);
    const std::string_view target = line.substr(first + 1, last - first - 1);
    if (target.empty() || std::ranges::any_of(target, is_white_space)) {
        return failure(Reason::request_line_invalid);
    }
    const auto version = parse_version(line.substr(last + 1));
    if (!version) {
        return failure(version.error());
    }
    head_.version = *version;
    if (target.size() > limits_.target_bytes) {
        return failure(Reason::target_too_long);
    }
    return parse_target(target);
}

Expected<void, Reason> RequestParser::parse_target(std::string_view target)
{
    if (head_.method == "CONNECT") {
        return failure(Reason::method_unsupported);
    }
    if (target.front() == '/' || target == "*") {
        return set_origin_target(head_, target);
    }
    const std::size_t separator = target.find("://");
    if (separator == std::string_view::npos) {
        return failure(Reason::target_invalid);
    }
    const std::string_view scheme = target.substr(0, separator);
    const bool secure = equal_ignoring_case(scheme, "https");
    if (!secure && !equal_ignoring_case(scheme, "http")) {
        return failure(Reason::scheme_unsupported);
    }
    head_.scheme.assign(secure ? "https" : "http");
    const std::string_view rest = target.substr(separator + 3);
    const std::size_t end = std::min(rest.find_first_of("/?#"), rest.size());
    head_.authority.assign(rest.substr(0, end));
    absolute_target_ = true;
    std::string origin{rest.substr(end)};
    if (origin.empty() && head_.method == "OPTIONS") {
        origin = "*"; // RFC 9112 section 3.2.4
    } else if (!origin.starts_with('/')) {
        origin.insert(0, 1, '/');
    }
    auto parsed = set_origin_target(head_, origin);
    head_.target.assign(target);
    return parsed;
}

Expected<void, Reason> RequestParser::resolve_host()
{
    const std::size_t hosts = head_.fields.count("host");
    if (hosts > 1) {
        return failure(Reason::host_duplicate);
    }
    if (hosts == 0 && head_.version == Version::http11) {
        return failure(Reason::host_missing);
    }
    if (hosts == 0 && !absolute_target_) {
        return {};
    }
    auto place = parse_authority(hosts == 1 ? *head_.fields.find("host") : head_.authority);
    if (!place) {
        return failure(place.error());
    }
    if (absolute_target_) {
        // A client must send both alike; who is right is what two servers would disagree about.
        const auto target_place = parse_authority(head_.authority);
        if (!target_place) {
            return failure(target_place.error());
        }
        if (!same_authority(*place, *target_place, head_.scheme)) {
            return failure(Reason::host_mismatch);
        }
    }
    if (hosts == 1) {
        head_.authority.assign(*head_.fields.find("host"));
        head_.fields.remove("host");
    }
    head_.host = std::move(place->host);
    head_.port = place->port;
    return {};
}

Expected<void, Reason> RequestParser::finish()
{
    if (too_many_options(head_.fields, limits_.field_count)) {
        return failure(Reason::too_many_fields);
    }
    if (auto host = resolve_host(); !host) {
        return host;
    }
    const auto framing = request_framing(head_.version, head_.fields);
    if (!framing) {
        return failure(framing.error());
    }
    framing_ = *framing;
    if (head_.version == Version::http10) {
        // RFC 9110 section 10.1.1: ignored there, so nobody behind us may see it in a newer version.
        head_.fields.remove("expect");
        return {};
    }
    const auto expectation = http::expects_continue(head_.fields);
    if (!expectation) {
        return failure(expectation.error());
    }
    expects_continue_ = *expectation && framing_.has_body();
    return {};
}

Progress ResponseParser::refuse(Reason reason, std::size_t consumed) noexcept
{
    state_ = State::refused;
    reason_ = reason;
    return {consumed, Status::refused};
}

void ResponseParser::reset() noexcept
{
    lines_.reset();
    head_.clear();
    consumed_ = 0;
    state_ = State::start;
}

Progress ResponseParser::feed(Bytes in)
{
    if (state_ == State::complete || state_ == State::refused) {
        return {0, state_ == State::complete ? Status::complete : Status::refused};
    }
    const std::string_view text = as_text(in);
    if (consumed_ == 0 && !text.empty() && text[0] != 'H') {
        return refuse(Reason::status_line_invalid, 0);
    }
    std::size_t total = 0;
    while (total < text.size()) {
        const LineReader::Line line = lines_.next(text.substr(total, limits_.header_bytes - consumed_ + 1));
        total += line.consumed;
        consumed_ += line.consumed;
        if (consumed_ > limits_.header_bytes) {
            return refuse(Reason::header_too_large, total);
        }
        if (!line.complete) {
            break;
        }
        if (line.bare_lf) {
            return refuse(Reason::bare_lf, total);
        }
        if (state_ == State::fields && line.text.empty()) {
            if (too_many_options(head_.fields, limits_.field_count)) {
                return refuse(Reason::too_many_fields, total);
            }
            state_ = State::complete;
            return {total, Status::complete};
        }
        const auto parsed = state_ == State::fields ? parse_field_line(line.text, limits_.field_count, head_.fields)
                                                    : parse_status_line(line.text);
        if (!parsed) {
            return refuse(parsed.error(), total);
        }
        state_ = State::fields;
    }
    return {total, Status::need_more};
}

Expected<void, Reason> ResponseParser::parse_status_line(std::string_view line)
{
    if (auto printable = check_printable(line); !printable) {
        return printable;
    }
    // `HTTP/1.1 200 reason`; many servers leave the space out when they have no reason phrase.
    if (line.size() < 12 || line[8] != ' ' || (line.size() > 12 && line[12] != ' ')) {
        return failure(Reason::status_line_invalid);
    }
    const auto version = parse_version(line.substr(0, 8));
    if (!version) {
        return failure(version.error());
    }
    const std::string_view digits = line.substr(9, 3);
    if (!all(digit_character, digits) || digits[0] < '1' || digits[0] > '5') {
        return failure(Reason::status_line_invalid);
    }
    head_.version = *version;
    head_.status = static_cast<std::uint16_t>((digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0'));
    return {};
}

} // namespace sluice::http::http1
