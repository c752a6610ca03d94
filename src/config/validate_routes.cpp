// Routes of proxies: references, header rules, redirects, and routes that an earlier one shadows.
#include <config/names.hpp>
#include <config/validate.hpp>

#include <algorithm>
#include <array>

namespace sluice::config {

namespace {

/// Whether every host that `inner` matches is matched by `outer` too.
bool host_covers(std::string_view outer, std::string_view inner)
{
    if (outer == inner) {
        return true;
    }
    return outer.starts_with("*.") && inner.size() > outer.size() - 1 && inner.ends_with(outer.substr(1));
}

bool hosts_cover(const std::vector<Located<std::string>>& outer, const std::vector<Located<std::string>>& inner)
{
    if (outer.empty()) {
        return true;
    }
    return !inner.empty() && std::all_of(inner.begin(), inner.end(), [&](const auto& each) {
        return std::any_of(outer.begin(), outer.end(),
                           [&](const auto& candidate) { return host_covers(*candidate, *each); });
    });
}

/// A prefix covers its own path and what is below it: `/v1` covers `/v1` and `/v1/a`, not `/v10`.
bool prefix_covers(std::string_view prefix, std::string_view path)
{
    return path.starts_with(prefix) &&
           (prefix.ends_with('/') || path.size() == prefix.size() || path[prefix.size()] == '/');
}

bool path_covers(const std::optional<PathMatch>& outer, const std::optional<PathMatch>& inner)
{
    if (!outer || (outer->prefix && *outer->prefix == "/")) {
        return true;
    }
    if (!inner) {
        return false;
    }
    if (outer->exact) {
        return inner->exact == outer->exact;
    }
    return outer->prefix && prefix_covers(*outer->prefix, inner->exact ? *inner->exact : inner->prefix.value_or(""));
}

bool covers(const Route& outer, const Route& inner)
{
    static const Match everything;
    const Match& wide = outer.match ? *outer.match : everything;
    const Match& narrow = inner.match ? *inner.match : everything;
    return hosts_cover(wide.host, narrow.host) && path_covers(wide.path, narrow.path);
}

void check_shadows(const Validation& check, const std::vector<Route>& routes)
{
    constexpr std::size_t most_compared = 1000; // Pairs grow with the square.
    const std::size_t count = std::min(routes.size(), most_compared);
    for (std::size_t later = 1; later < count; ++later) {
        for (std::size_t earlier = 0; earlier < later; ++earlier) {
            if (covers(routes[earlier], routes[later])) {
                check.report.warning(routes[later].where, "no request reaches this route",
                                     "the first match wins: put it in front of the other");
                check.report.note(routes[earlier].where, "this route already takes everything that it matches");
                break;
            }
        }
    }
}

/// Fields that belong to the framing of messages (RFC 9110 §7.6.1, RFC 9112 §6) and are not for rules to touch.
bool is_framing(std::string_view name)
{
    static constexpr std::array<std::string_view, 9> fields{"connection", "content-length",    "host",
                                                            "keep-alive", "proxy-connection",  "te",
                                                            "trailer",    "transfer-encoding", "upgrade"};
    std::string lower{name};
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return std::find(fields.begin(), fields.end(), lower) != fields.end();
}

void check_header_rules(const Validation& check, const HeaderRules& rules)
{
    const auto judge = [&](const Where& where, const std::string& name) {
        if (is_framing(name)) {
            check.report.error(where, tick(name) + " is not for rules to change", "the proxy itself keeps it right");
        }
    };
    for (const auto* fields : {&rules.set, &rules.add}) {
        for (const HeaderField& field : *fields) {
            judge(field.where, field.name);
        }
    }
    for (const auto& name : rules.remove) {
        judge(name.where, *name);
    }
}

void check_redirect(const Validation& check, const Service& service, const Route& route)
{
    const Redirect& redirect = *route.redirect;
    static constexpr std::array<std::uint32_t, 5> statuses{301, 302, 303, 307, 308};
    if (std::find(statuses.begin(), statuses.end(), redirect.status) == statuses.end()) {
        check.report.error(redirect.where, std::to_string(redirect.status) + " is not a status of a redirect",
                           "301, 302, 303, 307 or 308");
    }
    const bool elsewhere = redirect.host || redirect.port || redirect.path;
    const Scheme own = service.proxy->tls ? Scheme::https : Scheme::http;
    if (!elsewhere && redirect.scheme.value_or(own) == own && check.clean("services")) {
        check.report.error(redirect.where, "this redirect leads to where the request came from",
                           redirect.scheme ? "the service already speaks " + std::string{name_of(own).name}
                                           : "scheme, host, port or path must change");
    }
}

void check_route(const Validation& check, const Service& service, const Route& route)
{
    if (route.pool && !route.pool->value.empty() && find_pool(check.model, route.pool->value) == nullptr) {
        check.report.error(route.pool->where, "there is no pool " + tick(route.pool->value));
    }
    if (route.redirect) {
        check_redirect(check, service, route);
    }
    constexpr std::size_t longest_body = 64U << 10U;
    if (route.respond && route.respond->body.size() > longest_body) {
        check.report.error(route.respond->where, "the body is longer than 64 KiB", "serve it from a pool");
    }
    if (route.respond && !route.respond->body.empty() &&
        (route.respond->status == 204 || route.respond->status == 304)) {
        check.report.error(route.respond->where,
                           "an answer " + std::to_string(route.respond->status) + " has no body (RFC 9110 §6.4.1)");
    }
    if (route.headers) {
        check_header_rules(check, route.headers->request);
        check_header_rules(check, route.headers->response);
        if (!route.pool && (route.headers->request != HeaderRules{})) {
            check.report.warning(route.headers->request.where, "rules for the request do nothing here",
                                 "this route sends no request to a server");
        }
    }
}

} // namespace

void validate_routes(const Validation& check)
{
    for (const Service& service : check.model.services) {
        if (!service.proxy) {
            continue;
        }
        for (const Route& route : service.proxy->routes) {
            check_route(check, service, route);
        }
        if (check.clean("services")) {
            check_shadows(check, service.proxy->routes);
        }
    }
}

} // namespace sluice::config
