#include <proxy/route.hpp>

#include <algorithm>

namespace sluice::proxy {

bool matches(const HostMatch& match, std::string_view host) noexcept
{
    if (match.kind == HostMatch::Kind::exact) {
        return host == match.value;
    }
    return host.size() > match.value.size() && host.ends_with(match.value);
}

bool matches(const PathMatch& match, std::string_view path) noexcept
{
    switch (match.kind) {
    case PathMatch::Kind::any:
        return true;
    case PathMatch::Kind::exact:
        return path == match.value;
    case PathMatch::Kind::prefix:
        return path.starts_with(match.value) &&
               (path.size() == match.value.size() || match.value.ends_with('/') || path[match.value.size()] == '/');
    }
    return false;
}

const Route* find_route(std::span<const Route> routes, const http::RequestHead& request) noexcept
{
    for (const Route& route : routes) {
        const bool host_matches = route.hosts.empty() || std::ranges::any_of(route.hosts, [&](const HostMatch& host) {
                                      return matches(host, request.host);
                                  });
        if (host_matches && matches(route.path, request.path)) {
            return &route;
        }
    }
    return nullptr;
}

std::string redirect_location(const Redirect& redirect, const http::RequestHead& request, bool secure)
{
    const std::string_view own_scheme = secure ? "https" : "http";
    const std::string_view scheme = redirect.scheme.empty() ? own_scheme : std::string_view{redirect.scheme};
    const bool same_place = scheme == own_scheme && redirect.host.empty();
    std::string location{scheme};
    location += "://";
    const std::string_view host =
        redirect.host.empty() ? std::string_view{request.host} : std::string_view{redirect.host};
    const bool literal = host.find(':') != std::string_view::npos;
    location += literal ? "[" : "";
    location += host;
    location += literal ? "]" : "";
    // The port of the request belongs to its scheme and host: it makes no sense when either changes.
    const std::uint16_t port = redirect.port != 0 ? redirect.port : same_place ? request.port : std::uint16_t{0};
    if (port != 0 && port != (scheme == "https" ? 443 : 80)) {
        location += ':';
        location += std::to_string(port);
    }
    if (!redirect.path.empty()) {
        return location += redirect.path;
    }
    location += request.path;
    if (request.has_query) {
        location += '?';
        location += request.query;
    }
    return location;
}

} // namespace sluice::proxy
