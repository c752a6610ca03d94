// The field table of pools, and of the file as a whole.
#pragma once

#include <config/schema_node.hpp>
#include <config/schema_service.hpp>

namespace sluice::config {

template <>
struct Schema<ServerLimits> {
    static constexpr std::string_view text =
        "Of forwarding, LVS's thresholds: from `upper` flows on a server takes nothing new, until it has fewer than "
        "`lower`. Clients that persistence sends there still come.";
    static constexpr std::tuple fields{
        field("upper", &ServerLimits::upper, "TCP and UDP flows, closing ones included.")
            .required()
            .between(1, 1U << 30U),
        field("lower", &ServerLimits::lower, "Fewer than these make room again.")
            .between(1, 1U << 30U)
            .unset("3/4 of `upper`"),
    };
};

template <>
struct Schema<Server> {
    static constexpr std::string_view text = "A server of a pool.";
    static constexpr std::tuple fields{
        field("address", &Server::address,
              "`ADDR[:PORT]`, its identity in the pool; without a port: the one that the client used.")
            .required(),
        field("name", &Server::name, "A name for people.").is(Text::name).unset("its address"),
        field("weight", &Server::weight, "Its share; 0: quiesced, takes nothing new.").between(0, 65535),
        field("limits", &Server::limits, "How many flows it may have.").unset("any number"),
    };
};

template <>
struct Schema<PoolTimeouts> {
    static constexpr std::string_view text =
        "How long servers may take. `connect` is a total; the others are time without progress.";
    static constexpr std::tuple fields{
        field("connect", &PoolTimeouts::connect, "Until a connection to a server stands.").between(shortest, longest),
        field("response", &PoolTimeouts::response, "While waiting for a response or its next part; then 504.")
            .between(shortest, longest),
        field("keepalive", &PoolTimeouts::keepalive, "How long an unused connection to a server is kept.")
            .between(shortest, longest),
    };
};

template <>
struct Schema<HttpCheck> {
    static constexpr std::string_view text = "A GET request. `https` does not verify the server's certificate.";
    static constexpr std::tuple fields{
        field("path", &HttpCheck::path, "Path of the request.").is(Text::uri_path),
        field("host", &HttpCheck::host, "Host of the request, and the name in the TLS handshake.")
            .is(Text::host)
            .unset("the server's address"),
        field("status", &HttpCheck::status, "Statuses that are healthy: `[200-299, 404]`."),
        field("port", &HttpCheck::port, "Another port than the server's.").between(1, 65535).unset("the server's"),
    };
};

template <>
struct Schema<TcpCheck> {
    static constexpr std::string_view text = "A connection is opened and closed.";
    static constexpr std::tuple fields{
        field("port", &TcpCheck::port, "Another port than the server's.").between(1, 65535).unset("the server's"),
    };
};

template <>
struct Schema<IcmpCheck> {
    static constexpr std::string_view text = "An echo request. It has no keys: `icmp: {}`.";
    static constexpr std::tuple<> fields{};
};

template <>
struct Schema<UdpCheck> {
    static constexpr std::string_view text =
        "A datagram. Bytes are written as text, or as `hex:` and hexadecimal digits.";
    static constexpr std::tuple fields{
        field("send", &UdpCheck::send, "What is sent.").required(),
        field("expect", &UdpCheck::expect, "How the answer must start.").unset("any answer"),
        field("port", &UdpCheck::port, "Another port than the server's.").between(1, 65535).unset("the server's"),
    };
};

template <>
struct Schema<HealthCheck> {
    static constexpr std::string_view text =
        "How a server is checked. The first result decides alone, later ones after `rise` or `fall`.";
    static constexpr std::array<std::string_view, 5> one_of{"http", "https", "tcp", "icmp", "udp"};
    static constexpr std::tuple fields{
        field("http", &HealthCheck::http, "By an HTTP request."),
        field("https", &HealthCheck::https, "By an HTTP request over TLS."),
        field("tcp", &HealthCheck::tcp, "By a connection."),
        field("icmp", &HealthCheck::icmp, "By an echo."),
        field("udp", &HealthCheck::udp, "By a datagram and its answer."),
        field("interval", &HealthCheck::interval, "Between two checks.")
            .between(std::chrono::milliseconds{10}, std::chrono::hours{24}),
        field("timeout", &HealthCheck::timeout, "For a whole check.").between(shortest, std::chrono::hours{1}),
        field("rise", &HealthCheck::rise, "Successes in a row that bring a server up.").between(1, 100),
        field("fall", &HealthCheck::fall, "Failures in a row that take it down.").between(1, 100),
    };
};

template <>
struct Schema<Pool> {
    static constexpr std::string_view text =
        "Servers that do the same. Balance, weights and health belong to the pool.";
    static constexpr std::tuple fields{
        field("name", &Pool::name, "Its name; its identity over reloads.").required().is(Text::name),
        field("balance", &Pool::balance, "How a server is picked; the names are LVS's."),
        field("hash_key", &Pool::hash_key, "What `mh` and `sh` hash."),
        field("hash_fallback", &Pool::hash_fallback,
              "Of `mh` and `sh` in forwarding, as LVS's mh-fallback and sh-fallback: clients of a server that has "
              "reached its limit go to another one. Without it they are refused until it has room."),
        field("servers", &Pool::servers, "The servers.").required(),
        field("slow_start", &Pool::slow_start,
              "Of forwarding with `wrr`, `wlc`, `sed`, `nq` and `twos`: a server that comes up begins with a tenth of "
              "its weight and has the whole of it after this time.")
            .between(std::chrono::milliseconds{100}, std::chrono::hours{1})
            .unset("its whole weight at once"),
        field("timeouts", &Pool::timeouts, "How long servers may take."),
        field("retries", &Pool::retries, "Further attempts of a request, each on another server, where that is safe.")
            .between(0, 10),
        field("health", &Pool::health, "How servers are checked.").unset("all count as up, shown as unchecked"),
    };
};

template <>
struct Schema<DefaultTimeouts> {
    static constexpr std::string_view text =
        "Each replaces the built-in value of the timeout of that name, wherever it is not written itself.";
    static constexpr std::tuple fields{
        field("handshake", &DefaultTimeouts::handshake, "Of proxies.").between(shortest, longest).unset("built-in"),
        field("header", &DefaultTimeouts::header, "Of proxies.").between(shortest, longest).unset("built-in"),
        field("body", &DefaultTimeouts::body, "Of proxies.").between(shortest, longest).unset("built-in"),
        field("keepalive", &DefaultTimeouts::keepalive, "Of proxies and pools.")
            .between(shortest, longest)
            .unset("built-in"),
        field("tunnel", &DefaultTimeouts::tunnel, "Of proxies.").between(shortest, longest).unset("built-in"),
        field("connect", &DefaultTimeouts::connect, "Of pools.").between(shortest, longest).unset("built-in"),
        field("response", &DefaultTimeouts::response, "Of pools.").between(shortest, longest).unset("built-in"),
        field("tcp", &DefaultTimeouts::tcp, "Of forwarding.")
            .between(std::chrono::seconds{1}, longest)
            .unset("built-in"),
        field("tcp_fin", &DefaultTimeouts::tcp_fin, "Of forwarding.")
            .between(std::chrono::seconds{1}, longest)
            .unset("built-in"),
        field("udp", &DefaultTimeouts::udp, "Of forwarding.")
            .between(std::chrono::seconds{1}, longest)
            .unset("built-in"),
    };
};

template <>
struct Schema<DefaultHealth> {
    static constexpr std::string_view text = "Tunes the checks that pools have; it never adds one.";
    static constexpr std::tuple fields{
        field("interval", &DefaultHealth::interval, "Between two checks.")
            .between(std::chrono::milliseconds{10}, std::chrono::hours{24})
            .unset("built-in"),
        field("timeout", &DefaultHealth::timeout, "For a whole check.")
            .between(shortest, std::chrono::hours{1})
            .unset("built-in"),
        field("rise", &DefaultHealth::rise, "Successes in a row that bring a server up.")
            .between(1, 100)
            .unset("built-in"),
        field("fall", &DefaultHealth::fall, "Failures in a row that take it down.").between(1, 100).unset("built-in"),
    };
};

template <>
struct Schema<Defaults> {
    static constexpr std::string_view text =
        "What holds where nothing is written: built-in, then this, then a map's own key. Maps merge key by key.";
    static constexpr std::tuple fields{
        field("timeouts", &Defaults::timeouts, "Timeouts of proxies, pools and forwarding.").unset("built-in"),
        field("health", &Defaults::health, "Tuning of health checks.").unset("built-in"),
    };
};

/// `include` is not here: it is gone before the keys are read (include.hpp).
template <>
struct Schema<Model> {
    static constexpr std::string_view text = "The file as a whole.";
    static constexpr std::tuple fields{
        field("version", &Model::version, "Version of this format.").between(1, 1),
        field("node", &Model::node, "This node's name. A change needs a restart.")
            .is(Text::name)
            .unset("the host name"),
        field("cpu", &Model::cpu, "Cores. A change needs a restart."),
        field("memory", &Model::memory, "Memory. A change needs a restart."),
        field("ports", &Model::ports, "NICs.").required(),
        field("vrrp", &Model::vrrp, "Virtual addresses.").unset("none"),
        field("defaults", &Model::defaults, "What holds where nothing is written."),
        field("services", &Model::services, "What clients reach.").unset("none"),
        field("pools", &Model::pools, "Where it goes.").unset("none"),
        field("lists", &Model::lists, "Networks that services let in or keep out.").unset("none"),
        field("stop", &Model::stop, "How the process ends."),
        field("control", &Model::control, "The socket of `sluicectl`. A change needs a restart."),
        field("admin", &Model::admin, "Metrics and readiness.").unset("off"),
        field("log", &Model::log, "Logs."),
    };
};

} // namespace sluice::config
