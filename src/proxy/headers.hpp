// What happens to fields between client and server: hop-by-hop removal, forwarding information, the route's rules.
// Pure; the framing is the codecs' business.
#pragma once

#include <sluice/http/message.hpp>
#include <sluice/proxy/plan.hpp>

#include <span>

namespace sluice::proxy {

/// What the proxy knows about the client side of a request.
struct ClientView {
    wire::Endpoint client;
    wire::Endpoint local;
    bool secure = false;
    std::span<const wire::Prefix> trusted;
};

[[nodiscard]] bool is_trusted(const ClientView& view) noexcept;

/// X-Forwarded-For, -Proto and -Host. A trusted client's are believed: its address is appended to -For, the others
/// stay. From anybody else every X-Forwarded-* and Forwarded (RFC 7239) is a claim that the server must not see. False
/// when the fields outgrow their memory.
[[nodiscard]] bool set_forwarded(http::RequestHead& request, const ClientView& view);

/// Setting Host replaces the authority, removing it does nothing: a request has exactly one.
[[nodiscard]] bool apply_request_rules(http::RequestHead& request, const HeaderRules& rules);
[[nodiscard]] bool apply_rules(http::Fields& fields, const HeaderRules& rules);

/// Everything that turns the client's request into ours but its framing. False when the fields outgrow their memory.
[[nodiscard]] bool prepare_request(http::RequestHead& request, const ClientView& view, const HeaderRules& rules);

/// Servers may merge trailers into the header (RFC 9110 section 6.5.1): what was taken out of the one must not come
/// back by the other. Forwarding information has no place there, whoever sends it.
void prepare_trailers(http::Fields& trailers, const HeaderRules& rules);

} // namespace sluice::proxy
