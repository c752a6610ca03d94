#include <config/words.hpp>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace sluice::config {

namespace {

struct ForeignWord {
    std::string_view word;
    std::string_view ours;
};

/// Sorted by topic; words that mean the same here as there are missing on purpose.
constexpr std::array foreign_words{
    // Keepalived: VRRP
    ForeignWord{"vrrp_instance", "instances are the items of the list `vrrp`"},
    ForeignWord{"vrrp_sync_group", "give the instances the same `group`"},
    ForeignWord{"virtual_router_id", "it is called `vrid`"},
    ForeignWord{"virtual_ipaddress", "it is called `addresses`"},
    ForeignWord{"virtual_ipaddress_excluded",
                "addresses of the other family are an instance of their own in the same `group`"},
    ForeignWord{"advert_int", "it is called `advert_interval`, with a unit: 100ms"},
    ForeignWord{"nopreempt", "write `preempt: false`"},
    ForeignWord{"use_vmac", "it is called `virtual_mac`, and on unless you write `false`"},
    ForeignWord{"track_interface", "write `track: [{port: NAME}]`"},
    ForeignWord{"track_script",
                "write `track: [{port: NAME}, {pool: NAME}]`; forwarders and workers are always tracked"},
    ForeignWord{"track_process", "forwarders and workers are always tracked"},
    ForeignWord{"state", "there is none: the higher `priority` is active"},
    ForeignWord{"authentication", "VRRPv3 has none (RFC 9568 §9)"},
    ForeignWord{"auth_type", "VRRPv3 has none (RFC 9568 §9)"},
    ForeignWord{"auth_pass", "VRRPv3 has none (RFC 9568 §9)"},
    ForeignWord{"vrrp_version", "always 3 (RFC 9568)"},
    ForeignWord{"notify", "scripts read `sluicectl events --follow`"},
    ForeignWord{"notify_master", "scripts read `sluicectl events --follow`"},
    ForeignWord{"notify_backup", "scripts read `sluicectl events --follow`"},
    ForeignWord{"notify_fault", "scripts read `sluicectl events --follow`"},
    ForeignWord{"unicast_peer", "adverts are multicast (RFC 9568 §5.1.1.2)"},
    ForeignWord{"garp_master_delay", "not adjustable"},
    ForeignWord{"interface", "a port: its name here, its interface under `ports`, `device`"},
    ForeignWord{"global_defs", "`node`, `cpu` and `memory`"},
    ForeignWord{"router_id", "it is called `node`"},
    // Keepalived and LVS: virtual servers
    ForeignWord{"virtual_server", "an item of `services` with `listen` and `forward`"},
    ForeignWord{"virtual_server_group", "`listen` takes a list"},
    ForeignWord{"virtual_service", "an item of `services` with `listen` and `forward`"},
    ForeignWord{"real_server", "it is called `servers`"},
    ForeignWord{"real_servers", "it is called `servers`"},
    ForeignWord{"lb_algo", "it is called `balance`, in the pool"},
    ForeignWord{"lvs_sched", "it is called `balance`, in the pool"},
    ForeignWord{"scheduler", "it is called `balance`, in the pool"},
    ForeignWord{"lb_kind", "it is called `method`, under `forward`"},
    ForeignWord{"lvs_method", "it is called `method`, under `forward`"},
    ForeignWord{"forwarding_method", "it is called `method`, under `forward`"},
    ForeignWord{"laddr_group_name", "it is called `source`, under `forward`"},
    ForeignWord{"local_address", "it is called `source`, under `forward`"},
    ForeignWord{"persistence_timeout", "write `persistence: {timeout: ...}` under `forward`"},
    ForeignWord{"persistence_granularity", "it is called `netmask`, under `persistence`"},
    ForeignWord{"persistence", "it belongs under `forward`, of the service"},
    ForeignWord{"uthreshold", "write `limits: {upper: ...}` in the server"},
    ForeignWord{"lthreshold", "write `limits: {lower: ...}` in the server"},
    ForeignWord{"delay_loop", "it is called `interval`, under `health`"},
    ForeignWord{"delay_before_retry", "it is called `interval`, under `health`"},
    ForeignWord{"inhibit_on_failure", "failed servers take nothing new, see `on_server_down`"},
    ForeignWord{"sorry_server", "a pool with `balance: fo` and a server of low weight"},
    ForeignWord{"HTTP_GET", "write `health: {http: {path: /}}`"},
    ForeignWord{"SSL_GET", "write `health: {https: {path: /}}`"},
    ForeignWord{"TCP_CHECK", "write `health: {tcp: {}}`"},
    ForeignWord{"UDP_CHECK", "write `health: {udp: {send: ...}}`"},
    ForeignWord{"PING_CHECK", "write `health: {icmp: {}}`"},
    ForeignWord{"connect_timeout", "`connect` under `timeouts`; of a check: `timeout` under `health`"},
    ForeignWord{"connect_port", "it is called `port`, in the check"},
    ForeignWord{"quiesce", "write `weight: 0`, or use `sluicectl drain`"},
    // Nginx
    ForeignWord{"http", "HTTP is a service with `proxy`; the check of that name belongs under `health`"},
    ForeignWord{"stream", "an item of `services` with `forward`"},
    ForeignWord{"upstream", "it is called `pools`"},
    ForeignWord{"upstreams", "it is called `pools`"},
    ForeignWord{"server", "an item of `services`; of a pool: `servers`"},
    ForeignWord{"server_name", "write `match: {host: NAME}` in a route"},
    ForeignWord{"location", "an item of `routes` with `match: {path: ...}`"},
    ForeignWord{"proxy_pass", "write `pool: NAME` in a route"},
    ForeignWord{"return", "`redirect` or `respond` in a route"},
    ForeignWord{"rewrite", "`redirect` in a route"},
    ForeignWord{"add_header", "write `headers: {response: {add: {NAME: VALUE}}}` in a route"},
    ForeignWord{"proxy_set_header", "write `headers: {request: {set: {NAME: VALUE}}}` in a route"},
    ForeignWord{"proxy_hide_header", "write `headers: {response: {remove: [NAME]}}` in a route"},
    ForeignWord{"ssl_certificate", "it is called `cert`, under `tls`, `certificates`"},
    ForeignWord{"ssl_certificate_key", "it is called `key`, under `tls`, `certificates`"},
    ForeignWord{"ssl_protocols", "it is called `min_version`, under `tls`"},
    ForeignWord{"ssl_session_ticket_key", "it is called `ticket_keys`, under `tls`"},
    ForeignWord{"ssl", "it is called `tls`, under `proxy`"},
    ForeignWord{"client_max_body_size", "it is called `body`, under `limits`"},
    ForeignWord{"large_client_header_buffers", "it is called `header`, under `limits`"},
    ForeignWord{"client_header_timeout", "it is called `header`, under `timeouts` of `proxy`"},
    ForeignWord{"client_body_timeout", "it is called `body`, under `timeouts` of `proxy`"},
    ForeignWord{"keepalive_timeout", "it is called `keepalive`, under `timeouts`"},
    ForeignWord{"proxy_connect_timeout", "it is called `connect`, under `timeouts` of the pool"},
    ForeignWord{"proxy_read_timeout", "it is called `response`, under `timeouts` of the pool"},
    ForeignWord{"proxy_next_upstream_tries", "it is called `retries`, in the pool"},
    ForeignWord{"set_real_ip_from", "write `forwarded: {trust: [NETWORK]}` under `proxy`"},
    ForeignWord{"access_log", "it is called `access`, under `log`"},
    ForeignWord{"error_log", "it is called `to`, under `log`"},
    ForeignWord{"worker_processes", "it is called `workers`, under `cpu`: a list of cores"},
    ForeignWord{"worker_connections", "follows from `size` under `memory`"},
    ForeignWord{"max_fails", "it is called `fall`, under `health`"},
    // HAProxy
    ForeignWord{"frontend", "an item of `services`"},
    ForeignWord{"frontends", "it is called `services`"},
    ForeignWord{"backend", "an item of `pools`; in a route: `pool`"},
    ForeignWord{"backends", "it is called `pools`"},
    ForeignWord{"bind", "it is called `listen`"},
    ForeignWord{"mode", "a service has either `proxy` or `forward`"},
    ForeignWord{"use_backend", "write `pool: NAME` in a route"},
    ForeignWord{"default_backend", "the last route, without `match`"},
    ForeignWord{"option httpchk", "write `health: {http: {path: /}}`"},
    ForeignWord{"check", "it is called `health`, in the pool"},
    ForeignWord{"health_check", "it is called `health`"},
    ForeignWord{"healthcheck", "it is called `health`"},
    ForeignWord{"inter", "it is called `interval`, under `health`"},
    ForeignWord{"nbthread", "it is called `workers`, under `cpu`: a list of cores"},
    ForeignWord{"stats", "it is called `admin`"},
    ForeignWord{"maxconn", "follows from `size` under `memory`"},
    // Other names that people try
    ForeignWord{"nic", "it is called `ports`"},
    ForeignWord{"interfaces", "it is called `ports`"},
    ForeignWord{"algorithm", "it is called `balance`, in the pool"},
    ForeignWord{"certificate", "it is called `certificates`, a list of {cert, key}"},
    ForeignWord{"includes", "it is called `include`"},
    ForeignWord{"threads", "it is called `workers`, under `cpu`: a list of cores"},
    // Words that stand as values
    ForeignWord{"roundrobin", "it is called `wrr`, or `rr` without weights"},
    ForeignWord{"round_robin", "it is called `wrr`, or `rr` without weights"},
    ForeignWord{"leastconn", "it is called `wlc`"},
    ForeignWord{"least_conn", "it is called `wlc`"},
    ForeignWord{"ip_hash", "it is called `mh`, or `sh`"},
    ForeignWord{"maglev", "it is called `mh`"},
    ForeignWord{"random", "it is called `twos`"},
    ForeignWord{"first", "it is called `ovf`"},
    ForeignWord{"NAT", "it is called `nat`"},
    ForeignWord{"masq", "it is called `nat`"},
    ForeignWord{"masquerading", "it is called `nat`"},
    ForeignWord{"DR", "it is called `dr`"},
    ForeignWord{"TUN", "it is called `ipip`"},
    ForeignWord{"tun", "it is called `ipip`"},
    ForeignWord{"FNAT", "it is called `fullnat`"},
    ForeignWord{"FULLNAT", "it is called `fullnat`"},
    ForeignWord{"fnat", "it is called `fullnat`"},
    ForeignWord{"TLSv1.2", "it is called `tls1.2`"},
    ForeignWord{"TLSv1.3", "it is called `tls1.3`"},
    ForeignWord{"warning", "it is called `warn`"},
};

/// Edits (insert, remove, replace, swap neighbours) from one word to the other.
std::size_t distance(std::string_view from, std::string_view to)
{
    std::vector<std::size_t> before_last;
    std::vector<std::size_t> last(to.size() + 1);
    for (std::size_t column = 0; column <= to.size(); ++column) {
        last[column] = column;
    }
    for (std::size_t row = 1; row <= from.size(); ++row) {
        std::vector<std::size_t> current(to.size() + 1, row);
        for (std::size_t column = 1; column <= to.size(); ++column) {
            const std::size_t replace = last[column - 1] + (from[row - 1] == to[column - 1] ? 0 : 1);
            current[column] = std::min({last[column] + 1, current[column - 1] + 1, replace});
            if (row > 1 && column > 1 && from[row - 1] == to[column - 2] && from[row - 2] == to[column - 1]) {
                current[column] = std::min(current[column], before_last[column - 2] + 1);
            }
        }
        before_last = std::move(last);
        last = std::move(current);
    }
    return last[to.size()];
}

/// Case, `-` and `_` are the first things that people get wrong.
std::string folded(std::string_view word)
{
    std::string text{word};
    std::transform(text.begin(), text.end(), text.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c == '-' || c == ' ' ? '_' : c;
    });
    return text;
}

} // namespace

std::string_view nearest(std::string_view word, std::span<const std::string_view> allowed)
{
    constexpr std::size_t longest = 40;
    if (word.size() > longest) {
        return {};
    }
    const std::string wanted = folded(word);
    std::string_view best;
    std::size_t best_distance = wanted.size() <= 3 ? 2 : wanted.size() <= 6 ? 3 : 4; // Nearer than this.
    for (const std::string_view candidate : allowed) {
        const std::size_t edits = distance(wanted, folded(candidate));
        if (edits < best_distance && edits < candidate.size()) {
            best = candidate;
            best_distance = edits;
        }
    }
    return best;
}

std::string_view our_name(std::string_view word)
{
    const auto found = std::find_if(foreign_words.begin(), foreign_words.end(),
                                    [&](const ForeignWord& item) { return item.word == word; });
    return found == foreign_words.end() ? std::string_view{} : found->ours;
}

} // namespace sluice::config
