// The field table of services.
#pragma once

#include <config/schema.hpp>

namespace sluice::config {

template <>
struct Schema<ProxyTimeouts> {
    static constexpr std::string_view text =
        "`handshake` and `header` are totals; the others are time without progress.";
    static constexpr std::tuple fields{
        field("handshake", &ProxyTimeouts::handshake, "From accepting a connection to the end of the TLS handshake.")
            .between(shortest, longest),
        field("header", &ProxyTimeouts::header, "From the first byte of a request to the end of its header; then 408.")
            .between(shortest, longest),
        field("body", &ProxyTimeouts::body, "While a client sends a body or takes a response.")
            .between(shortest, longest),
        field("keepalive", &ProxyTimeouts::keepalive, "Between two requests of a connection.")
            .between(shortest, longest),
        field("tunnel", &ProxyTimeouts::tunnel, "In either direction of an upgraded connection (WebSocket).")
            .between(shortest, longest),
    };
};

template <>
struct Schema<ProxyLimits> {
    static constexpr std::string_view text = "What a client may send.";
    static constexpr std::tuple fields{
        field("header", &ProxyLimits::header, "The header section of a request; more is answered 431.")
            .between(kibibyte, mebibyte),
        field("body", &ProxyLimits::body, "The body of a request; more is answered 413.").between(1, 1024 * gibibyte),
    };
};

template <>
struct Schema<Forwarded> {
    static constexpr std::string_view text = "X-Forwarded-For, -Proto and -Host towards the servers.";
    static constexpr std::tuple fields{
        field("trust", &Forwarded::trust,
              "Clients whose fields are believed and appended to; those of all others are replaced.")
            .unset("nobody"),
    };
};

template <>
struct Schema<Certificate> {
    static constexpr std::string_view text =
        "A certificate and its key, as PEM files. Both are read again on every reload.";
    static constexpr std::tuple fields{
        field("cert", &Certificate::cert, "The certificate, then the chain up to the root.").required(),
        field("key", &Certificate::key, "The private key; others must not be able to read it.").required(),
    };
};

template <>
struct Schema<Tls> {
    static constexpr std::string_view text = "TLS towards the clients.";
    static constexpr std::tuple fields{
        field("certificates", &Tls::certificates,
              "Chosen by the name that the client asks for (SNI); the first answers the rest.")
            .required(),
        field("min_version", &Tls::min_version, "The oldest version that is spoken."),
        field("ticket_keys", &Tls::ticket_keys,
              "Files of 80 random bytes, the same on both nodes: the first encrypts session tickets, all decrypt.")
            .unset("random ones, good on this node until it restarts"),
    };
};

template <>
struct Schema<PathMatch> {
    static constexpr std::string_view text = "Compared with the normalised path, without the query.";
    static constexpr std::array<std::string_view, 2> one_of{"exact", "prefix"};
    static constexpr std::tuple fields{
        field("exact", &PathMatch::exact, "The whole path.").is(Text::uri_path),
        field("prefix", &PathMatch::prefix, "How the path starts.").is(Text::uri_path),
    };
};

template <>
struct Schema<Match> {
    static constexpr std::string_view text = "Everything that is written must hold.";
    static constexpr std::tuple fields{
        field("host", &Match::host, "Hosts, exact or `*.example.org`; case and port do not matter.")
            .is(Text::host_pattern)
            .one_or_list()
            .unset("every host"),
        field("path", &Match::path, "The path.").unset("every path"),
    };
};

template <>
struct Schema<HeaderRules> {
    static constexpr std::string_view text = "Applied in the order remove, set, add.";
    static constexpr std::tuple fields{
        field("remove", &HeaderRules::remove, "Fields that are taken out.").is(Text::header_name).unset("none"),
        field("set", &HeaderRules::set, "Fields that replace every field of their name.").unset("none"),
        field("add", &HeaderRules::add, "Fields that are added to what is there.").unset("none"),
    };
};

template <>
struct Schema<RouteHeaders> {
    static constexpr std::string_view text = "Header fields that are changed on their way.";
    static constexpr std::tuple fields{
        field("request", &RouteHeaders::request, "Towards the server.").unset("unchanged"),
        field("response", &RouteHeaders::response, "Towards the client.").unset("unchanged"),
    };
};

template <>
struct Schema<Redirect> {
    static constexpr std::string_view text = "Sends the client elsewhere. What is left out is taken from the request.";
    static constexpr std::tuple fields{
        field("scheme", &Redirect::scheme, "Scheme of the new address.").unset("the request's"),
        field("host", &Redirect::host, "Host of the new address.").is(Text::host).unset("the request's"),
        field("port", &Redirect::port, "Port of the new address.").between(1, 65535).unset("the scheme's"),
        field("path", &Redirect::path, "Path and query of the new address.").is(Text::uri_path).unset("the request's"),
        field("status", &Redirect::status, "301, 302, 303, 307 or 308.").between(301, 308),
    };
};

template <>
struct Schema<Respond> {
    static constexpr std::string_view text = "Answers by itself.";
    static constexpr std::tuple fields{
        field("status", &Respond::status, "Status of the answer.").between(200, 599),
        field("content_type", &Respond::content_type, "Its Content-Type.").is(Text::header_value),
        field("body", &Respond::body, "Its body, at most 64 KiB.").unset("empty"),
    };
};

template <>
struct Schema<Route> {
    static constexpr std::string_view text =
        "The first route that matches a request decides; without one the answer is 404.";
    static constexpr std::array<std::string_view, 3> one_of{"pool", "redirect", "respond"};
    static constexpr std::tuple fields{
        field("match", &Route::match, "Which requests.").unset("all"),
        field("pool", &Route::pool, "The pool that they go to.").is(Text::name),
        field("redirect", &Route::redirect, "Send the client elsewhere."),
        field("respond", &Route::respond, "Answer right here."),
        field("headers", &Route::headers, "Changes to header fields.").unset("none"),
    };
};

template <>
struct Schema<Proxy> {
    static constexpr std::string_view text =
        "Layer 7: TCP and TLS end here, HTTP/1.1 and HTTP/2 requests are routed to pools.";
    static constexpr std::tuple fields{
        field("forwarded", &Proxy::forwarded, "Who may say who the client is."),
        field("timeouts", &Proxy::timeouts, "How long clients may take."),
        field("limits", &Proxy::limits, "How much clients may send."),
        field("tls", &Proxy::tls, "Speak TLS.").unset("in clear"),
        field("routes", &Proxy::routes, "Where requests go.").required(),
    };
};

template <>
struct Schema<ForwardTimeouts> {
    static constexpr std::string_view text = "When a flow without packets is forgotten.";
    static constexpr std::tuple fields{
        field("tcp", &ForwardTimeouts::tcp, "An established TCP connection.").between(std::chrono::seconds{1}, longest),
        field("tcp_fin", &ForwardTimeouts::tcp_fin, "A TCP connection that is closing.")
            .between(std::chrono::seconds{1}, longest),
        field("udp", &ForwardTimeouts::udp, "A UDP flow.").between(std::chrono::seconds{1}, longest),
    };
};

template <>
struct Schema<Persistence> {
    static constexpr std::string_view text =
        "All flows of a client go to one server, whatever the balance, also while that one has weight 0 or has reached "
        "its limit; not when it is down or drained. `{}` is LVS's default.";
    static constexpr std::tuple fields{
        field("timeout", &Persistence::timeout,
              "How long after its last new flow a client is remembered; it is not forgotten while it has flows.")
            .between(std::chrono::seconds{1}, longest),
        field("netmask", &Persistence::netmask, "Clients whose addresses agree in so many bits count as one.")
            .between(1, 128)
            .unset("every address by itself"),
    };
};

template <>
struct Schema<Forward> {
    static constexpr std::string_view text = "Layer 4: packets are passed to the servers of a pool, as LVS does.";
    static constexpr std::tuple fields{
        field("method", &Forward::method, "How a packet reaches its server."),
        field("pool", &Forward::pool, "The servers.").required().is(Text::name),
        field("source", &Forward::source,
              "Of `fullnat`: the addresses that servers see; of tunnels: those that they begin at, one per flow by its "
              "hash. "
              "Owned by a vrrp instance, so that flows survive a takeover.")
            .unset("the port's own"),
        field("timeouts", &Forward::timeouts, "When flows are forgotten."),
        field("persistence", &Forward::persistence, "Keep clients at their servers.").unset("every flow is scheduled"),
        field("no_server", &Forward::no_server, "The answer when no server is healthy."),
        field("on_server_down", &Forward::on_server_down,
              "What happens to the TCP flows of a server that went down; UDP flows move."),
    };
};

template <>
struct Schema<Clients> {
    static constexpr std::string_view text =
        "Who may open flows, or connections to a proxy, and how fast. First packets are asked, and dropped silently; "
        "what "
        "is open stays open. Of the networks that contain an address the longest decides.";
    static constexpr std::tuple fields{
        field("allow", &Clients::allow, "Networks, or names of `lists`, that are let in; with it, nobody else is.")
            .unset("everybody"),
        field("deny", &Clients::deny, "Networks, or names of `lists`, that are kept out.").unset("nobody"),
        field("new_flows", &Clients::new_flows,
              "Of all clients together; each forwarder core has its equal share. A second's worth may come at once.")
            .between(1, 1'000'000'000),
        field("new_flows_per_source", &Clients::new_flows_per_source, "Of one IPv4 address, or of one IPv6 /64.")
            .between(1, 1'000'000'000),
    };
};

template <>
struct Schema<NetworkList> {
    static constexpr std::string_view text =
        "Networks under one name; thousands of them belong into a file that `include` names.";
    static constexpr std::tuple fields{
        field("name", &NetworkList::name, "Its name.").required().is(Text::name),
        field("networks", &NetworkList::networks, "The networks.").required(),
    };
};

template <>
struct Schema<Service> {
    static constexpr std::string_view text = "A service listens on addresses of ports or vrrp instances, and either "
                                             "proxies (layer 7) or forwards (layer 4).";
    static constexpr std::array<std::string_view, 2> one_of{"proxy", "forward"};
    static constexpr std::tuple fields{
        field("name", &Service::name, "Its name; its identity over reloads.").required().is(Text::name),
        field("listen", &Service::listen, "`ADDR:PORT[-PORT]/tcp` or `/udp`; IPv6 in brackets, and quoted.")
            .required()
            .one_or_list(),
        field("proxy", &Service::proxy, "Route HTTP requests."),
        field("forward", &Service::forward, "Forward packets."),
        field("clients", &Service::clients, "Who may come, and how fast."),
    };
};

} // namespace sluice::config
