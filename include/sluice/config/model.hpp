// The configuration as plain values: what one file and everything it includes say, with every default filled in.
//
// A model only ever comes out of config::load, which returns one when nothing in the files is wrong: references name
// something, ranges hold, exactly one of each alternative is set. Immutable afterwards; any thread may read it.
// Durations are sluice::Duration. `where` members say where a thing was written and do not take part in ==.
#pragma once

#include <sluice/config/node.hpp>
#include <sluice/config/pool.hpp>
#include <sluice/config/service.hpp>

namespace sluice::config {

/// `defaults.timeouts`: what is set replaces the built-in value wherever a map has a timeout of that name.
struct DefaultTimeouts {
    std::optional<Duration> handshake;
    std::optional<Duration> header;
    std::optional<Limit<Duration>> body;
    std::optional<Duration> keepalive; ///< Of both sides: clients and servers.
    std::optional<Limit<Duration>> tunnel;
    std::optional<Duration> connect;
    std::optional<Limit<Duration>> response;
    std::optional<Duration> tcp;
    std::optional<Duration> tcp_fin;
    std::optional<Duration> udp;
    Where where;
    bool operator==(const DefaultTimeouts&) const = default;
};

/// `defaults.health`: tunes the checks that pools have, never adds one.
struct DefaultHealth {
    std::optional<Duration> interval;
    std::optional<Duration> timeout;
    std::optional<std::uint32_t> rise;
    std::optional<std::uint32_t> fall;
    Where where;
    bool operator==(const DefaultHealth&) const = default;
};

/// Already applied to services and pools when a model is handed out; kept for printing.
struct Defaults {
    DefaultTimeouts timeouts;
    DefaultHealth health;
    Where where;
    bool operator==(const Defaults&) const = default;
};

struct Model {
    std::uint32_t version = 1;
    std::string node; ///< Empty: the host name.
    Cpu cpu;
    Memory memory;
    std::vector<Port> ports;
    std::vector<VrrpInstance> vrrp;
    Defaults defaults;
    std::vector<Service> services;
    std::vector<Pool> pools;
    std::vector<NetworkList> lists;
    Stop stop;
    Control control;
    std::optional<Admin> admin; ///< Unset: no admin page.
    Log log;
    Where where;
    bool operator==(const Model&) const = default;
};

/// By name; null when there is none. The references of a loaded model always resolve.
[[nodiscard]] const Pool* find_pool(const Model& model, std::string_view name) noexcept;
[[nodiscard]] const NetworkList* find_list(const Model& model, std::string_view name) noexcept;
[[nodiscard]] const Port* find_port(const Model& model, std::string_view name) noexcept;

} // namespace sluice::config
