// What `control` compiles for the proxy: plain values, immutable once published, any thread may read them.
//
// A plan and everything it points to outlives the snapshot that listed it: requests hold references to plans, never to
// snapshots. Plans whose content did not change are shared by consecutive generations.
#pragma once

#include <sluice/base/time.hpp>
#include <sluice/wire/address.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace sluice::health {
class Server;
}
namespace sluice::tls {
class ServerContext;
}

namespace sluice::proxy {

/// Limits that are switched off (`none` in the file).
inline constexpr std::uint64_t unlimited = ~std::uint64_t{0};
inline constexpr Duration no_timeout = Duration::max();

/// How a pool picks a server for a request. The names are LVS's.
enum class Balance : std::uint8_t {
    rr,   ///< In turn, weights ignored (0 still means quiesced).
    wrr,  ///< In turn by weight, interleaved.
    lc,   ///< Fewest requests in progress on this worker.
    wlc,  ///< Fewest requests in progress per weight.
    sh,   ///< By client address, onto a table of weights.
    dh,   ///< By the service address that the client used.
    mh,   ///< Maglev hash of the client address: few clients move when a server does.
    sed,  ///< Shortest expected delay: (requests + 1) / weight.
    nq,   ///< An idle server at once, else as sed.
    fo,   ///< The highest weight that is up.
    ovf,  ///< The highest weight that has fewer requests than its weight.
    twos, ///< The less loaded of two random ones.
};

struct PoolTimeouts {
    Duration connect = std::chrono::seconds{1};    ///< Total.
    Duration response = std::chrono::seconds{60};  ///< Without progress.
    Duration keepalive = std::chrono::seconds{60}; ///< An idle connection to a server is kept this long.
};

struct PoolServer {
    std::shared_ptr<health::Server> identity; ///< Address, live state and counters; stable over reloads.
    std::uint32_t weight = 1;                 ///< 0: quiesced, takes no new requests.
};

/// A pool as one generation describes it. Its name is its identity: workers keep connections and balance by name and
/// server, so an edited pool keeps what still fits.
struct Pool {
    std::string name;
    Balance balance = Balance::wrr;
    bool hash_client_port = false; ///< sh and mh hash the client's port too.
    std::vector<PoolServer> servers;
    PoolTimeouts timeouts;
    std::uint32_t retries = 1; ///< Further attempts after the first.
};

/// Lower case; `*.example.org` matches every name below example.org, not example.org itself.
struct HostMatch {
    enum class Kind : std::uint8_t { exact, wildcard };
    Kind kind = Kind::exact;
    std::string value; ///< Of a wildcard the part from the dot on.
};

struct PathMatch {
    enum class Kind : std::uint8_t { any, exact, prefix };
    Kind kind = Kind::any;
    std::string value; ///< Compared with the normalised path.
};

struct HeaderField {
    std::string name;
    std::string value;
};

/// Applied in the order remove, set, add.
struct HeaderRules {
    std::vector<std::string> remove;
    std::vector<HeaderField> set; ///< Replaces every field of that name.
    std::vector<HeaderField> add;
    [[nodiscard]] bool empty() const noexcept { return remove.empty() && set.empty() && add.empty(); }
};

/// What is left empty is taken from the request.
struct Redirect {
    std::string scheme;
    std::string host;
    std::string path;
    std::uint16_t port = 0;
    std::uint16_t status = 308;
};

struct Respond {
    std::uint16_t status = 200;
    std::string content_type = "text/plain";
    std::string body;
};

using Action = std::variant<std::shared_ptr<const Pool>, Redirect, Respond>;

struct Route {
    std::vector<HostMatch> hosts; ///< Empty: every host.
    PathMatch path;
    Action action;
    HeaderRules request_headers;
    HeaderRules response_headers;
};

struct ServiceTimeouts {
    Duration handshake = std::chrono::seconds{10}; ///< Total, from accept to the end of the TLS handshake.
    Duration header = std::chrono::seconds{10}; ///< Total, from the first byte of a request to the end of its header.
    Duration body = std::chrono::seconds{30};   ///< Without progress while the client sends a body or takes a response.
    Duration keepalive = std::chrono::seconds{75}; ///< Between requests.
    Duration tunnel = std::chrono::hours{1};       ///< Without progress in either direction after an upgrade.
};

struct ServiceLimits {
    std::uint32_t header_bytes = 32 * 1024; ///< The header section of a request or of a response.
    std::uint64_t body_bytes = unlimited;   ///< Of a request.
};

/// One `services` entry with a `proxy` block.
struct ServicePlan {
    std::string name; ///< Identity over reloads.
    std::vector<wire::Endpoint> listen;
    std::shared_ptr<const tls::ServerContext> tls; ///< Null: in clear.
    std::vector<wire::Prefix> trusted;             ///< Clients whose forwarding headers are believed.
    ServiceTimeouts timeouts;
    ServiceLimits limits;
    std::vector<Route> routes; ///< First match wins.
};

/// What one generation publishes to the workers.
struct ProxyPlan {
    std::vector<std::shared_ptr<const ServicePlan>> services;
};

} // namespace sluice::proxy
