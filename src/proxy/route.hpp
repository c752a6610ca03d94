// Which route answers a request: pure matching over a plan. Any thread.
#pragma once

#include <sluice/http/message.hpp>
#include <sluice/proxy/plan.hpp>

#include <span>
#include <string_view>

namespace sluice::proxy {

/// `host` as http::RequestHead::host has it: lower case, no port, no final dot.
[[nodiscard]] bool matches(const HostMatch& match, std::string_view host) noexcept;

/// `path` is normalised and without query. A prefix that ends in '/' matches what follows it; one that does not ends at
/// a segment boundary, so `/v1` matches `/v1` and `/v1/x` but not `/v10`.
[[nodiscard]] bool matches(const PathMatch& match, std::string_view path) noexcept;

/// The first route that matches, or null.
[[nodiscard]] const Route* find_route(std::span<const Route> routes, const http::RequestHead& request) noexcept;

/// The Location of a redirect. `secure`: the request came over TLS.
[[nodiscard]] std::string redirect_location(const Redirect& redirect, const http::RequestHead& request, bool secure);

} // namespace sluice::proxy
