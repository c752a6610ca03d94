// Unknown words: what was probably meant, what another program calls it, where it belongs.
#include "table.hpp"

namespace sluice::config::testing {
namespace {

const std::vector<Row>& word_rows()
{
    static const std::vector<Row> table{
        {"near_word", one_port + "logg: {}\n",
         "2:1: error: unknown key `logg` [did you mean `log`? Known here: version, node, cpu, memory, ports, vrrp, "
         "defaults, services, pools, lists, stop, control, admin, log, include]\n"},
        {"near_word_with_dash",
         one_port + "vrrp: [{name: a, port: front, vrid: 1, addresses: [192.0.2.100], advert-interval: 1s}]\n",
         "2:66: error: unknown key `advert-interval` [did you mean `advert_interval`? Known here: name, group, port, "
         "vrid, priority, advert_interval, preempt, preempt_delay, virtual_mac, checksum, addresses, track]\n"},
        {"swapped_letters", one_port + "stop: {dairn: 5s}\n",
         "2:8: error: unknown key `dairn` [did you mean `drain`? Known here: drain, timeout]\n"},
        {"key_of_another_map", one_port + "log: {format: json}\n",
         "2:7: error: unknown key `format` [it belongs to `log.access`. Known here: level, to, access]\n"},
        {"nothing_near", one_port + "quux: 1\n",
         "2:1: error: unknown key `quux` [Known here: version, node, cpu, memory, ports, vrrp, defaults, services, "
         "pools, lists, stop, control, admin, log, include]\n"},
        {"keepalived_virtual_router_id",
         one_port + "vrrp: [{name: a, port: front, virtual_router_id: 1, vrid: 1, addresses: [192.0.2.100]}]\n",
         "2:31: error: unknown key `virtual_router_id` [it is called `vrid`. Known here: name, group, port, vrid, "
         "priority, advert_interval, preempt, preempt_delay, virtual_mac, checksum, addresses, track]\n"},
        {"keepalived_state",
         one_port + "vrrp: [{name: a, port: front, state: MASTER, vrid: 1, addresses: [192.0.2.100]}]\n",
         "2:31: error: unknown key `state` [there is none: the higher `priority` is active. Known here: name, group, "
         "port, vrid, priority, advert_interval, preempt, preempt_delay, virtual_mac, checksum, addresses, track]\n"},
        {"keepalived_real_server", one_port + "pools: [{name: p, real_server: [], servers: [{address: 192.0.2.20}]}]\n",
         "2:16: warning: nothing uses pool `p`\n"
         "2:19: error: unknown key `real_server` [it is called `servers`. Known here: name, balance, hash_key, "
         "hash_fallback, servers, slow_start, timeouts, retries, health]\n"},
        {"lvs_scheduler", one_port + "pools: [{name: p, scheduler: wrr, servers: [{address: 192.0.2.20}]}]\n",
         "2:16: warning: nothing uses pool `p`\n"
         "2:19: error: unknown key `scheduler` [it is called `balance`, in the pool. Known here: name, balance, "
         "hash_key, hash_fallback, servers, slow_start, timeouts, retries, health]\n"},
        {"keepalived_persistence_timeout",
         one_port + "services: [{name: s, persistence_timeout: 50, listen: 192.0.2.11:80/udp, forward: {pool: p}}]\n"
                    "pools: [{name: p, servers: [{address: 192.0.2.20}]}]\n",
         "2:22: error: unknown key `persistence_timeout` [write `persistence: {timeout: ...}` under `forward`. Known "
         "here: name, listen, proxy, forward, clients]\n"},
        {"nginx_upstream", one_port + "upstream: {}\n",
         "2:1: error: unknown key `upstream` [it is called `pools`. Known here: version, node, cpu, memory, ports, "
         "vrrp, defaults, services, pools, lists, stop, control, admin, log, include]\n"},
        {"nginx_location",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {location: /, routes: [{respond: {}}]}}]\n",
         "2:57: error: unknown key `location` [an item of `routes` with `match: {path: ...}`. Known here: forwarded, "
         "timeouts, limits, tls, routes]\n"},
        {"haproxy_frontend", one_port + "frontend: {}\n",
         "2:1: error: unknown key `frontend` [an item of `services`. Known here: version, node, cpu, memory, ports, "
         "vrrp, defaults, services, pools, lists, stop, control, admin, log, include]\n"},
        {"haproxy_bind",
         one_port + "services: [{name: s, bind: 1, listen: 192.0.2.11:80/tcp, proxy: {routes: [{respond: {}}]}}]\n",
         "2:22: error: unknown key `bind` [it is called `listen`. Known here: name, listen, proxy, forward, "
         "clients]\n"},
        {"haproxy_roundrobin", one_port + "pools: [{name: p, balance: roundrobin, servers: [{address: 192.0.2.20}]}]\n",
         "2:16: warning: nothing uses pool `p`\n"
         "2:28: error: `roundrobin` is not known here [it is called `wrr`, or `rr` without weights. Known here: rr, "
         "wrr, lc, wlc, sh, dh, mh, sed, nq, fo, ovf, lblc, lblcr, twos]\n"},
        {"nginx_least_conn", one_port + "pools: [{name: p, balance: least_conn, servers: [{address: 192.0.2.20}]}]\n",
         "2:16: warning: nothing uses pool `p`\n"
         "2:28: error: `least_conn` is not known here [it is called `wlc`. Known here: rr, wrr, lc, wlc, sh, dh, mh, "
         "sed, nq, fo, ovf, lblc, lblcr, twos]\n"},
        {"lvs_masquerading",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/udp, forward: {method: masquerading, pool: "
                    "p}}]\npools: [{name: p, servers: [{address: 192.0.2.20}]}]\n",
         "2:67: error: `masquerading` is not known here [it is called `nat`. Known here: fullnat, nat, dr, ipip, gue, "
         "gre]\n"},
    };
    return table;
}

class WordTable : public ::testing::TestWithParam<Row> {};

TEST_P(WordTable, Text_GivesTheseFindingsAndNoOthers) { expect_findings(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Table, WordTable, ::testing::ValuesIn(word_rows()), row_name);

} // namespace
} // namespace sluice::config::testing
