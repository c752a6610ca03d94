// What `control` compiles for active health checks: plain values, immutable once published.
#pragma once

#include <sluice/health/check.hpp>
#include <sluice/health/server.hpp>
#include <sluice/wire/address.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace sluice::tls {
class ClientContext;
}

namespace sluice::probe {

struct StatusRange {
    std::uint16_t first = 200;
    std::uint16_t last = 299;
};

/// GET over a connection of its own; the status line decides.
struct HttpProbe {
    std::string path = "/";
    std::string host; ///< Host and SNI; empty: the server's address.
    std::vector<StatusRange> status{StatusRange{}};
    std::shared_ptr<const tls::ClientContext> tls; ///< Null: in clear.
};

/// A connection that is established and closed again.
struct TcpProbe {};

/// An echo request (RFC 792, RFC 4443 section 4.1).
struct IcmpProbe {};

struct UdpProbe {
    std::string send;
    std::optional<std::string> expect; ///< What the answer begins with; nothing: any answer will do.
};

using Method = std::variant<HttpProbe, TcpProbe, IcmpProbe, UdpProbe>;

/// The check of one server. The server is its identity over reloads: state and counts stay when it is listed again.
struct ServerCheck {
    std::shared_ptr<health::Server> server;
    wire::Endpoint target; ///< Where the probe goes; the port is unused by ICMP.
    Method method;
    health::CheckSettings settings;
};

/// One generation. A worker is given the checks that it owns.
struct ProbePlan {
    std::vector<std::shared_ptr<const ServerCheck>> checks;
};

} // namespace sluice::probe
