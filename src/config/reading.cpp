#include <config/quote.hpp>
#include <config/reading.hpp>
#include <config/reference.hpp>
#include <config/syntax.hpp>
#include <config/words.hpp>

#include <algorithm>

namespace sluice::config {

namespace {

std::string listed(std::span<const std::string_view> words)
{
    std::string text;
    for (const std::string_view word : words) {
        text += (text.empty() ? "" : ", ") + std::string{word};
    }
    return text;
}

std::string_view kind_of(const Node& node) { return node.kind == Node::Kind::list ? "a list" : "a map"; }

bool expect_value(Reading& reading, const Place& place, std::string_view what)
{
    if (place.node.kind == Node::Kind::broken) {
        return false;
    }
    if (place.node.kind == Node::Kind::null) {
        reading.report.error(place.key, "there is no value here",
                             "expected " + std::string{what} + "; or leave the key out");
        return false;
    }
    return true;
}

/// Where a value stands, or its key when it has no place of its own.
Mark place_of(const Place& place)
{
    return place.node.mark.line != 0 && place.node.kind != Node::Kind::null ? place.node.mark : place.key;
}

} // namespace

bool expect_scalar(Reading& reading, const Place& place, std::string_view what, bool quotes)
{
    if (!expect_value(reading, place, what)) {
        return false;
    }
    if (place.node.kind != Node::Kind::scalar) {
        if (const auto problem =
                explain_unquoted_address(reading.report.sources()[place.node.mark.file], place.node.mark)) {
            reading.report.error(problem->mark, problem->message, problem->hint);
            return false;
        }
        reading.report.error(place.node.mark,
                             "expected " + std::string{what} + ", not " + std::string{kind_of(place.node)});
        return false;
    }
    if (place.node.quoted && !quotes) {
        reading.report.error(place.node.mark, "expected " + std::string{what} + ", and quotes make it text",
                             "remove the quotes");
        return false;
    }
    return true;
}

bool expect_list(Reading& reading, const Place& place, std::string_view what)
{
    if (!expect_value(reading, place, what)) {
        return false;
    }
    if (place.node.kind != Node::Kind::list) {
        const bool dash =
            place.node.kind == Node::Kind::scalar && !place.node.quoted && place.node.text.starts_with('-');
        const bool map = place.node.kind == Node::Kind::map;
        reading.report.error(place.node.mark,
                             "expected " + std::string{what} + (map ? ", not a map" : ", not one value"),
                             dash  ? "a list item needs a space after its dash"
                             : map ? "put `- ` in front of the first key of each item"
                                   : "write it as [" + place.node.text.substr(0, 80) + "]");
        return false;
    }
    return true;
}

bool expect_map(Reading& reading, const Place& place, std::string_view what)
{
    if (!expect_value(reading, place, what)) {
        return false;
    }
    if (place.node.kind != Node::Kind::map) {
        const bool list = place.node.kind == Node::Kind::list;
        reading.report.error(place.node.mark,
                             "expected " + std::string{what} +
                                 (list ? ", not a list" : ", not " + tick(place.node.text)),
                             "write `key: value` lines below, or {key: value}");
        return false;
    }
    return true;
}

void report_wrong(Reading& reading, const Place& place, const Wrong& wrong)
{
    std::string hint = wrong.hint;
    if (place.node.kind == Node::Kind::scalar) {
        if (const std::string_view ours = our_name(place.node.text); !ours.empty() && hint.empty()) {
            hint = ours;
        }
    }
    reading.report.error(place_of(place), wrong.message, hint);
}

void report_unknown_key(Reading& reading, const Entry& entry, std::string_view,
                        std::span<const std::string_view> allowed)
{
    if (reading.report.full()) {
        reading.report.error(entry.mark, {});
        return;
    }
    std::string hint;
    const std::string_view near = nearest(entry.key, allowed);
    const std::string_view ours = our_name(entry.key);
    const std::string elsewhere = sections_with_key(entry.key);
    if (!ours.empty()) {
        hint = std::string{ours} + ". ";
    } else if (!near.empty()) {
        hint = "did you mean " + tick(near) + "? ";
    } else if (!elsewhere.empty()) {
        hint = "it belongs to " + elsewhere + ". ";
    }
    hint += allowed.empty() ? "No keys are known here" : "Known here: " + listed(allowed);
    reading.report.error(entry.mark, "unknown key " + tick(entry.key), hint);
}

void report_unknown_word(Reading& reading, const Place& place, std::string_view,
                         std::span<const std::string_view> allowed)
{
    std::string hint;
    if (const std::string_view ours = our_name(place.node.text); !ours.empty()) {
        hint = std::string{ours} + ". ";
    } else if (const std::string_view near = nearest(place.node.text, allowed); !near.empty()) {
        hint = "did you mean " + tick(near) + "? ";
    }
    reading.report.error(place.node.mark, tick(place.node.text) + " is not known here",
                         hint + "Known here: " + listed(allowed));
}

void report_missing(Reading& reading, const Place& place, std::string_view key, std::string_view text)
{
    reading.report.error(place.key, tick(key) + " is missing here", std::string{key} + ": " + std::string{text});
}

void check_alternative(Reading& reading, const Place& place, std::span<const std::string_view> one_of)
{
    const Entry* first = nullptr;
    for (const std::string_view key : one_of) {
        const Entry* entry = place.node.find(key);
        if (entry == nullptr) {
            continue;
        }
        if (first != nullptr) {
            reading.report.error(entry->mark, tick(first->key) + " and " + tick(entry->key) + " exclude each other",
                                 "exactly one of " + listed(one_of));
            reading.report.note(first->mark, tick(first->key) + " stands here");
            return;
        }
        first = entry;
    }
    if (first == nullptr) {
        reading.report.error(place_of(place), "one of " + listed(one_of) + " is missing here");
    }
}

std::string resolve_path(std::string_view path, const std::string& from_file)
{
    if (path.starts_with('/')) {
        return std::string{path};
    }
    const std::size_t slash = from_file.rfind('/');
    return slash == std::string::npos ? std::string{path} : from_file.substr(0, slash + 1) + std::string{path};
}

void apply_defaults(Proxy& proxy, const Defaults& defaults)
{
    const DefaultTimeouts& from = defaults.timeouts;
    ProxyTimeouts& to = proxy.timeouts;
    to.handshake = from.handshake.value_or(to.handshake);
    to.header = from.header.value_or(to.header);
    to.body = from.body.value_or(to.body);
    to.keepalive = from.keepalive.value_or(to.keepalive);
    to.tunnel = from.tunnel.value_or(to.tunnel);
}

void apply_defaults(Forward& forward, const Defaults& defaults)
{
    const DefaultTimeouts& from = defaults.timeouts;
    ForwardTimeouts& to = forward.timeouts;
    to.tcp = from.tcp.value_or(to.tcp);
    to.tcp_fin = from.tcp_fin.value_or(to.tcp_fin);
    to.udp = from.udp.value_or(to.udp);
}

void apply_defaults(Pool& pool, const Defaults& defaults)
{
    const DefaultTimeouts& from = defaults.timeouts;
    PoolTimeouts& to = pool.timeouts;
    to.connect = from.connect.value_or(to.connect);
    to.response = from.response.value_or(to.response);
    to.keepalive = from.keepalive.value_or(to.keepalive);
}

void apply_defaults(HealthCheck& health, const Defaults& defaults)
{
    const DefaultHealth& from = defaults.health;
    health.interval = from.interval.value_or(health.interval);
    health.timeout = from.timeout.value_or(health.timeout);
    health.rise = from.rise.value_or(health.rise);
    health.fall = from.fall.value_or(health.fall);
}

} // namespace sluice::config
