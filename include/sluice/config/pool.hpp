// The parts of the model that describe pools of servers and their health checks.
#pragma once

#include <sluice/config/values.hpp>

#include <vector>

namespace sluice::config {

/// How a server is picked. The names are LVS's.
enum class Balance : std::uint8_t { rr, wrr, lc, wlc, sh, dh, mh, sed, nq, fo, ovf, lblc, lblcr, twos };

/// What the hashing methods (sh, mh) hash of the client.
enum class HashKey : std::uint8_t { address, address_port };

/// LVS's thresholds.
struct ServerLimits {
    std::uint32_t upper = 0;
    std::optional<std::uint32_t> lower; ///< Unset: three quarters of `upper`.
    Where where;
    bool operator==(const ServerLimits&) const = default;
};

struct Server {
    Located<ServerAddress> address;     ///< Identity in its pool.
    std::string name;                   ///< Empty: shown as its address.
    std::uint32_t weight = 1;           ///< 0: quiesced, takes nothing new.
    std::optional<ServerLimits> limits; ///< Of layer 4 flows.
    Where where;
    bool operator==(const Server&) const = default;
};

struct PoolTimeouts {
    Duration connect = std::chrono::seconds{1};                   ///< Total.
    Limit<Duration> response{Duration{std::chrono::seconds{60}}}; ///< Without progress.
    Duration keepalive = std::chrono::seconds{60}; ///< An unused connection to a server is kept this long.
    Where where;
    bool operator==(const PoolTimeouts&) const = default;
};

struct HttpCheck {
    std::string path = "/";
    std::string host; ///< Host header, and SNI of https; empty: the server's address.
    std::vector<StatusRange> status{StatusRange{}};
    std::optional<std::uint16_t> port; ///< Unset: the server's.
    Where where;
    bool operator==(const HttpCheck&) const = default;
};

struct TcpCheck {
    std::optional<std::uint16_t> port;
    Where where;
    bool operator==(const TcpCheck&) const = default;
};

struct IcmpCheck {
    Where where;
    bool operator==(const IcmpCheck&) const = default;
};

struct UdpCheck {
    Payload send;
    std::optional<Payload> expect; ///< The answer starts with it; unset: any answer will do.
    std::optional<std::uint16_t> port;
    Where where;
    bool operator==(const UdpCheck&) const = default;
};

/// Exactly one of http, https, tcp, icmp and udp is set.
struct HealthCheck {
    std::optional<HttpCheck> http;
    std::optional<HttpCheck> https; ///< The server's certificate is not verified.
    std::optional<TcpCheck> tcp;
    std::optional<IcmpCheck> icmp;
    std::optional<UdpCheck> udp;
    Duration interval = std::chrono::seconds{2};
    Duration timeout = std::chrono::seconds{1};
    std::uint32_t rise = 2; ///< Successes in a row that bring a server up.
    std::uint32_t fall = 3; ///< Failures in a row that take it down.
    Where where;
    bool operator==(const HealthCheck&) const = default;
};

struct Pool {
    Located<std::string> name;
    Located<Balance> balance{Balance::wrr, {}};
    HashKey hash_key = HashKey::address;
    bool hash_fallback = false; ///< Of sh and mh: clients of a server that is full go to others.
    std::vector<Server> servers;
    std::optional<Located<Duration>> slow_start; ///< Of layer 4: how long a weight rises after its server comes up.
    PoolTimeouts timeouts;
    std::uint32_t retries = 1;         ///< Further attempts of a request after the first.
    std::optional<HealthCheck> health; ///< Unset: every server counts as up, "unchecked".
    Where where;
    bool operator==(const Pool&) const = default;
};

} // namespace sluice::config
