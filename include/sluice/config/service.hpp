// The parts of the model that describe services: what they listen on and whether they proxy or forward.
#pragma once

#include <sluice/config/values.hpp>

#include <vector>

namespace sluice::config {

struct ProxyTimeouts {
    Duration handshake = std::chrono::seconds{10};            ///< Total.
    Duration header = std::chrono::seconds{10};               ///< Total.
    Limit<Duration> body{Duration{std::chrono::seconds{30}}}; ///< Without progress.
    Duration keepalive = std::chrono::seconds{75};            ///< Between requests.
    Limit<Duration> tunnel{Duration{std::chrono::hours{1}}};  ///< Without progress in either direction.
    Where where;
    bool operator==(const ProxyTimeouts&) const = default;
};

struct ProxyLimits {
    ByteSize header{32ULL << 10U}; ///< The whole header section of a request or a response.
    Limit<ByteSize> body;          ///< Of a request.
    Where where;
    bool operator==(const ProxyLimits&) const = default;
};

/// Whose X-Forwarded-* fields are believed and appended to; everybody else's are replaced.
struct Forwarded {
    std::vector<Located<wire::Prefix>> trust;
    Where where;
    bool operator==(const Forwarded&) const = default;
};

struct Certificate {
    Located<FilePath> cert; ///< PEM: the certificate, then its chain.
    Located<FilePath> key;  ///< PEM, readable by its owner (and group) only.
    Where where;
    bool operator==(const Certificate&) const = default;
};

enum class TlsVersion : std::uint8_t { tls12, tls13 };

struct Tls {
    std::vector<Certificate> certificates; ///< By SNI; the first answers the rest.
    TlsVersion min_version = TlsVersion::tls12;
    std::vector<Located<FilePath>> ticket_keys; ///< The first encrypts, all decrypt; empty: keys of this process only.
    Where where;
    bool operator==(const Tls&) const = default;
};

/// At most one of exact and prefix is set.
struct PathMatch {
    std::optional<std::string> exact;
    std::optional<std::string> prefix;
    Where where;
    bool operator==(const PathMatch&) const = default;
};

struct Match {
    std::vector<Located<std::string>> host; ///< Lower case, exact or "*.example.org"; empty: every host.
    std::optional<PathMatch> path;
    Where where;
    bool operator==(const Match&) const = default;
};

struct HeaderField {
    std::string name;
    std::string value;
    Where where;
    bool operator==(const HeaderField&) const = default;
};

/// Applied in the order remove, set, add.
struct HeaderRules {
    std::vector<HeaderField> set; ///< Replaces every field of that name.
    std::vector<HeaderField> add;
    std::vector<Located<std::string>> remove;
    Where where;
    bool operator==(const HeaderRules&) const = default;
};

struct RouteHeaders {
    HeaderRules request;
    HeaderRules response;
    Where where;
    bool operator==(const RouteHeaders&) const = default;
};

enum class Scheme : std::uint8_t { http, https };

/// What is unset is taken from the request.
struct Redirect {
    std::optional<Scheme> scheme;
    std::optional<std::string> host;
    std::optional<std::uint16_t> port;
    std::optional<std::string> path; ///< Replaces path and query.
    std::uint32_t status = 308;      ///< 301, 302, 303, 307 or 308.
    Where where;
    bool operator==(const Redirect&) const = default;
};

struct Respond {
    std::uint32_t status = 200;
    std::string content_type = "text/plain";
    std::string body;
    Where where;
    bool operator==(const Respond&) const = default;
};

/// Exactly one of pool, redirect and respond is set.
struct Route {
    std::optional<Match> match; ///< Unset: everything.
    std::optional<Located<std::string>> pool;
    std::optional<Redirect> redirect;
    std::optional<Respond> respond;
    std::optional<RouteHeaders> headers;
    Where where;
    bool operator==(const Route&) const = default;
};

struct Proxy {
    Forwarded forwarded;
    ProxyTimeouts timeouts;
    ProxyLimits limits;
    std::optional<Tls> tls;
    std::vector<Route> routes; ///< First match wins.
    Where where;
    bool operator==(const Proxy&) const = default;
};

enum class Method : std::uint8_t { fullnat, nat, dr, ipip, gue, gre };
enum class NoServer : std::uint8_t { reject, drop };
enum class OnServerDown : std::uint8_t { keep, reset };

struct ForwardTimeouts {
    Duration tcp = std::chrono::seconds{900};
    Duration tcp_fin = std::chrono::seconds{120};
    Duration udp = std::chrono::seconds{300};
    Where where;
    bool operator==(const ForwardTimeouts&) const = default;
};

/// A client comes to the server of its flows before.
struct Persistence {
    Duration timeout = std::chrono::seconds{300}; ///< From the last new flow on; and as long as there are flows.
    std::optional<std::uint32_t> netmask;         ///< Bits of the client's address that count; unset: all.
    Where where;
    bool operator==(const Persistence&) const = default;
};

struct Forward {
    Located<Method> method{Method::fullnat, {}};
    Located<std::string> pool;
    std::vector<Located<wire::IpAddress>> source; ///< Of fullnat; empty: the port's own addresses.
    ForwardTimeouts timeouts;
    std::optional<Persistence> persistence; ///< Unset: every flow is scheduled.
    NoServer no_server = NoServer::reject;
    OnServerDown on_server_down = OnServerDown::keep; ///< Of TCP flows; UDP flows always move.
    Where where;
    bool operator==(const Forward&) const = default;
};

/// Who may open flows or connections, and how fast; asked of first packets only.
struct Clients {
    std::vector<Located<NetworkOrList>> allow; ///< Empty: everybody.
    std::vector<Located<NetworkOrList>> deny;
    Limit<Rate> new_flows;
    Limit<Rate> new_flows_per_source;
    Where where;
    bool operator==(const Clients&) const = default;
};

/// Networks under one name, for services to refer to.
struct NetworkList {
    Located<std::string> name;
    std::vector<Located<wire::Prefix>> networks;
    Where where;
    bool operator==(const NetworkList&) const = default;
};

/// Exactly one of proxy and forward is set.
struct Service {
    Located<std::string> name; ///< Identity over reloads.
    std::vector<Located<Listen>> listen;
    std::optional<Proxy> proxy;
    std::optional<Forward> forward;
    Clients clients;
    Where where;
    bool operator==(const Service&) const = default;
};

} // namespace sluice::config
