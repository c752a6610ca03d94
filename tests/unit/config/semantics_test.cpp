// Semantic checks: one row for each, and for what they must let through.
#include "table.hpp"

namespace sluice::config::testing {
namespace {

const std::vector<Row>& semantic_rows()
{
    static const std::vector<Row> table{
        {"core_twice", one_port + "cpu: {forwarders: [1, 1]}\n",
         "2:23: error: core 1 stands here twice\n"
         "2:20: note: it stands here first\n"},
        {"list_that_is_not_there",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{respond: {}}]}, clients: {deny: "
                    "[203.0.113.0/24, bad]}}]\n",
         "2:116: error: there is no list `bad` [lists stand under `lists`]\n"},
        {"list_name_twice_and_used",
         one_port + "lists: [{name: bad, networks: [203.0.113.0/24]}, {name: bad, networks: [\"2001:db8::/32\"]}]\n"
                    "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{respond: {}}]}, clients: {deny: "
                    "[bad]}}]\n",
         "2:57: error: there is already a list `bad`\n"
         "2:16: note: it stands here first\n"},
        {"network_allowed_and_denied",
         one_port +
             "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{respond: {}}]}, clients: {allow: "
             "[10.0.0.0/8], deny: [10.0.0.0/8]}}]\n",
         "2:121: error: `10.0.0.0/8` is allowed too\n"
         "2:101: note: here\n"},
        {"address_without_a_length_among_clients",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{respond: {}}]}, clients: {deny: "
                    "[203.0.113.9]}}]\n",
         "2:100: error: `203.0.113.9` has no prefix length [write `203.0.113.9/24`, or /32 for it alone]\n"},
        {"rates_of_clients",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{respond: {}}]}, clients: "
                    "{new_flows: 10000, new_flows_per_source: 0/s}}]\n",
         "2:104: error: `10000` has no unit [write it like `100/s`; units: /s]\n"
         "2:133: error: `0/s` does not switch a limit off [write `none`]\n"},
        {"network_of_a_list_with_host_bits",
         one_port + "lists: [{name: bad, networks: [203.0.113.9/24]}]\n"
                    "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{respond: {}}]}, clients: {deny: "
                    "[bad, 10.0.0.1/8]}}]\n",
         "2:32: error: `203.0.113.9/24` has bits beyond its length [write `203.0.113.0/24`]\n"
         "3:105: error: `10.0.0.1/8` has bits beyond its length [write `10.0.0.0/8`]\n"},
        {"list_that_nothing_uses", one_port + "lists: [{name: bad, networks: [203.0.113.0/24]}]\n",
         "2:16: warning: nothing uses list `bad`\n"},
        {"drain_longer_than_stop", one_port + "stop: {drain: 60s}\n",
         "2:7: error: `drain` is longer than the whole stop may take [make `timeout` at least as long as `drain`]\n"},
        {"admin_beyond_loopback_without_allow", one_port + "admin: {listen: 0.0.0.0:9180}\n",
         "2:17: error: the admin page beyond loopback needs `allow` [allow: [192.0.2.0/24], the networks that may "
         "ask]\n"},
        {"port_name_twice", "ports: [{name: a, device: {interface: e1}}, {name: a, device: {interface: e2}}]\n",
         "1:52: error: there is already a port `a`\n"
         "1:16: note: it stands here first\n"},
        {"interface_twice", "ports: [{name: a, device: {interface: e1}}, {name: b, device: {interface: e1}}]\n",
         "1:75: error: `e1` is driven by two ports\n"
         "1:39: note: it stands here first\n"},
        {"vdev_twice_with_other_arguments",
         R"(ports: [{name: a, device: {vdev: "net_memif0,id=1"}}, {name: b, device: {vdev: "net_memif0,id=2"}}]
)",
         "1:80: error: `net_memif0` is driven by two ports\n"
         "1:34: note: it stands here first\n"},
        {"port_address_is_the_network", "ports: [{name: a, device: {interface: e1}, addresses: [192.0.2.0/24]}]\n",
         "1:56: error: `192.0.2.0/24` is the network's own address or its broadcast address [write the address of this "
         "node, with the length of its network]\n"},
        {"port_address_is_the_broadcast", "ports: [{name: a, device: {interface: e1}, addresses: [192.0.2.255/24]}]\n",
         "1:56: error: `192.0.2.255/24` is the network's own address or its broadcast address [write the address of "
         "this node, with the length of its network]\n"},
        {"port_address_of_a_point_to_point_link",
         "ports: [{name: a, device: {interface: e1}, addresses: [192.0.2.0/31]}]\n", ""},
        {"port_address_is_loopback", "ports: [{name: a, device: {interface: e1}, addresses: [127.0.0.1/8]}]\n",
         "1:56: error: `127.0.0.1/8` cannot be an address of a port\n"},
        {"port_address_alone", "ports: [{name: a, device: {interface: e1}, addresses: [192.0.2.1/32]}]\n",
         "1:56: warning: `192.0.2.1/32` has no network around it, so no neighbour is reachable from it [write the "
         "length of the network that the port is in, like /24]\n"},
        {"port_address_twice", "ports: [{name: a, device: {interface: e1}, addresses: [192.0.2.1/24, 192.0.2.1/25]}]\n",
         "1:70: error: `192.0.2.1` is already an address of a port\n"
         "1:56: note: it stands here first\n"},
        {"two_ports_in_one_network",
         "ports: [{name: a, device: {interface: e1}, addresses: [192.0.2.1/24]}, {name: b, device: {interface: e2}, "
         "addresses: [192.0.2.2/25]}]\n",
         "1:119: warning: ports `a` and `b` are in one network [neighbours are looked for on the first of them only]\n"
         "1:56: note: the other address\n"},
        {"mtu_too_small_for_ipv6",
         R"(ports: [{name: a, mtu: 1000, device: {interface: e1}, addresses: ["2001:db8::1/64"]}]
)",
         "1:24: error: IPv6 needs an MTU of at least 1280 bytes\n"},
        {"route_with_two_families",
         R"(ports: [{name: a, device: {interface: e1}, addresses: [192.0.2.1/24], routes: [{to: 0.0.0.0/0, via: "fe80::1"}]}]
)",
         "1:101: error: a route has one address family [destination 0.0.0.0/0, gateway fe80::1]\n"},
        {"route_with_host_bits",
         "ports: [{name: a, device: {interface: e1}, addresses: [192.0.2.1/24], routes: [{to: 10.0.0.1/8, via: "
         "192.0.2.2}]}]\n",
         "1:85: error: `10.0.0.1/8` has bits beyond its length [write `10.0.0.0/8`]\n"},
        {"gateway_that_is_no_neighbour",
         "ports: [{name: a, device: {interface: e1}, addresses: [192.0.2.1/24], routes: [{to: 0.0.0.0/0, via: "
         "198.51.100.1}]}]\n",
         "1:101: error: `198.51.100.1` is in no network of port `a` [a gateway is a neighbour: give the port an "
         "address in its network]\n"},
        {"gateway_that_is_the_port_itself",
         "ports: [{name: a, device: {interface: e1}, addresses: [192.0.2.1/24], routes: [{to: 0.0.0.0/0, via: "
         "192.0.2.1}]}]\n",
         "1:101: error: `192.0.2.1` is this port's own address, not a gateway\n"},
        {"route_twice",
         "ports: [{name: a, device: {interface: e1}, addresses: [192.0.2.1/24], routes: [{to: 0.0.0.0/0, via: "
         "192.0.2.2}, {to: 0.0.0.0/0, via: 192.0.2.3}]}]\n",
         "1:118: error: there is already a route to `0.0.0.0/0`\n"
         "1:85: note: it stands here first\n"},
        {"instance_name_twice",
         one_port + "vrrp:\n  - {name: a, port: front, vrid: 1, addresses: [192.0.2.100]}\n  - {name: a, port: front, "
                    "vrid: 2, addresses: [192.0.2.101]}\n",
         "4:12: error: there is already an instance `a`\n"
         "3:12: note: it stands here first\n"},
        {"instance_on_no_port", one_port + "vrrp:\n  - {name: a, port: back, vrid: 1, addresses: [192.0.2.100]}\n",
         "3:21: error: there is no port `back`\n"},
        {"vrid_twice_on_a_port_and_family",
         one_port + "vrrp:\n  - {name: a, port: front, vrid: 1, addresses: [192.0.2.100]}\n  - {name: b, port: front, "
                    "vrid: 1, addresses: [192.0.2.101]}\n",
         "4:34: error: vrid 1 is already taken on port `front` for IPv4\n"
         "3:34: note: it stands here first\n"},
        {"vrid_once_per_family", one_port + R"(vrrp:
  - {name: a, port: front, vrid: 1, addresses: [192.0.2.100]}
  - {name: b, port: front, vrid: 1, addresses: ["fe80::1"]}
)",
         ""},
        {"instance_with_two_families", one_port + R"(vrrp:
  - {name: a, port: front, vrid: 1, addresses: [192.0.2.100, "2001:db8::100"]}
)",
         "3:62: error: an instance has one address family [put `2001:db8::100` into an instance of its own in group "
         "`a`]\n"},
        {"ipv6_instance_without_link_local_first", one_port + R"(vrrp:
  - {name: a, port: front, vrid: 1, addresses: ["2001:db8::100"]}
)",
         R"(3:49: error: the first IPv6 address of an instance is link-local (RFC 9568 §5.2.9) [put one in front, the same on both nodes, like "fe80::1"]
)"},
        {"virtual_address_twice",
         one_port + "vrrp:\n  - {name: a, port: front, vrid: 1, addresses: [192.0.2.100]}\n  - {name: b, port: front, "
                    "vrid: 2, addresses: [192.0.2.100]}\n",
         "4:49: error: `192.0.2.100` is already a virtual address\n"
         "3:49: note: it stands here first\n"},
        {"virtual_address_is_multicast",
         one_port + "vrrp:\n  - {name: a, port: front, vrid: 1, addresses: [224.0.0.18]}\n",
         "3:49: error: `224.0.0.18` cannot be a virtual address\n"},
        {"virtual_address_is_the_ports_own",
         one_port + "vrrp:\n  - {name: a, port: front, vrid: 1, addresses: [192.0.2.11]}\n",
         "3:49: error: `192.0.2.11` is a port's own address [a virtual address belongs to no node; only an owner with "
         "priority 255 may list its own]\n"
         "1:62: note: the port has it here\n"},
        {"owner_with_priority_255",
         one_port + "vrrp:\n  - {name: a, port: front, vrid: 1, priority: 255, addresses: [192.0.2.11]}\n", ""},
        {"priority_255_without_owning",
         one_port + "vrrp:\n  - {name: a, port: front, vrid: 1, priority: 255, addresses: [192.0.2.100]}\n",
         "3:47: error: priority 255 is for the owner of the addresses (RFC 9568 §5.2.4) [1..254, since the port does "
         "not have all of them as its own]\n"},
        {"virtual_address_off_the_ports_networks",
         one_port + "vrrp:\n  - {name: a, port: front, vrid: 1, addresses: [198.51.100.1]}\n",
         "3:49: warning: `198.51.100.1` is in no network of port `front` [neighbours will not ask for it unless they "
         "have a route to it on this link]\n"},
        {"ipv4_instance_on_a_port_without_ipv4",
         R"(ports: [{name: front, device: {interface: eth1}, addresses: ["2001:db8::11/64"]}]
vrrp:
  - {name: a, port: front, vrid: 1, addresses: [192.0.2.100]}
)",
         "3:21: error: port `front` has no IPv4 address to send adverts from [give the port an address of its own "
         "under `addresses`]\n"
         "3:49: warning: `192.0.2.100` is in no network of port `front` [neighbours will not ask for it unless they "
         "have a route to it on this link]\n"},
        {"advert_interval_not_in_hundredths",
         one_port + "vrrp:\n  - {name: a, port: front, vrid: 1, advert_interval: 15ms, addresses: [192.0.2.100]}\n",
         "3:54: error: an advert interval is whole hundredths of a second (RFC 9568 §5.2.7) [10ms, 20ms, ...]\n"},
        {"preempt_delay_without_preempt",
         one_port + "vrrp:\n  - {name: a, port: front, vrid: 1, preempt: false, preempt_delay: 1s, addresses: "
                    "[192.0.2.100]}\n",
         "3:5: warning: `preempt_delay` does nothing without `preempt`\n"},
        {"group_with_two_priorities",
         one_port + "vrrp:\n  - {name: a, group: g, port: front, vrid: 1, priority: 200, addresses: [192.0.2.100]}\n  "
                    "- {name: b, group: g, port: front, vrid: 2, addresses: [192.0.2.101]}\n",
         "4:5: error: instances of one group have one priority, since they move together\n"
         "3:57: note: group `g` starts here\n"},
        {"group_that_disagrees_on_preempt",
         one_port + "vrrp:\n  - {name: a, group: g, port: front, vrid: 1, addresses: [192.0.2.100]}\n  - {name: b, "
                    "group: g, port: front, vrid: 2, preempt: false, addresses: [192.0.2.101]}\n",
         "4:5: error: instances of one group agree on `preempt` and `preempt_delay`\n"
         "3:5: note: group `g` starts here\n"},
        {"track_of_nothing",
         one_port +
             "vrrp:\n  - {name: a, port: front, vrid: 1, addresses: [192.0.2.100], track: [{port: x}, {pool: y}]}\n",
         "3:78: error: there is no port `x`\n"
         "3:89: error: there is no pool `y`\n"},
        {"track_with_weight_zero",
         one_port + "vrrp:\n  - {name: a, port: front, vrid: 1, addresses: [192.0.2.100], track: [{port: front, "
                    "weight: 0}]}\n",
         "3:71: error: a weight of 0 changes nothing [leave it out to make the instance yield]\n"},
        {"service_name_twice",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{respond: {}}]}}, {name: s, "
                    "listen: 192.0.2.11:81/tcp, proxy: {routes: [{respond: {}}]}}]\n",
         "2:91: error: there is already a service `s`\n"
         "2:19: note: it stands here first\n"},
        {"listen_on_an_address_of_nobody",
         one_port + "services: [{name: s, listen: 192.0.2.99:80/tcp, proxy: {routes: [{respond: {}}]}}]\n",
         "2:30: error: `192.0.2.99` is an address of no port and no vrrp instance [known: 192.0.2.11]\n"},
        {"listen_on_every_address",
         one_port + R"(services: [{name: s, listen: "[::]:80/tcp", proxy: {routes: [{respond: {}}]}}]
)",
         "2:30: error: a service names the addresses that it listens on [known: 2001:db8::11]\n"},
        {"listeners_that_overlap",
         one_port + "services:\n  - {name: a, listen: 192.0.2.11:53/udp, forward: {pool: p}}\n  - {name: b, listen: "
                    "192.0.2.11:50-60/udp, forward: {pool: p}}\npools: [{name: p, servers: [{address: 192.0.2.20}]}]\n",
         "4:23: error: service `a` already listens there\n"
         "3:23: note: on this address and port\n"},
        {"listeners_side_by_side",
         one_port + "services:\n  - {name: a, listen: 192.0.2.11:53/udp, forward: {pool: p}}\n  - {name: b, listen: "
                    "[192.0.2.11:54-60/udp, 192.0.2.11:53/tcp], forward: {pool: p}}\npools: [{name: p, servers: "
                    "[{address: 192.0.2.20}]}]\n",
         ""},
        {"proxy_and_forward",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{respond: {}}]}, forward: {pool: "
                    "p}}]\npools: [{name: p, servers: [{address: 192.0.2.20:80}]}]\n",
         "2:83: error: `proxy` and `forward` exclude each other [exactly one of proxy, forward]\n"
         "2:49: note: `proxy` stands here\n"},
        {"proxy_over_udp",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/udp, proxy: {routes: [{respond: {}}]}}]\n",
         "2:30: error: a proxy listens on tcp [udp is for `forward`]\n"},
        {"proxy_on_a_range",
         one_port + "services: [{name: s, listen: 192.0.2.11:1-1024/tcp, proxy: {routes: [{respond: {}}]}}]\n", ""},
        {"proxy_on_a_long_range",
         one_port + "services: [{name: s, listen: 192.0.2.11:1-1025/tcp, proxy: {routes: [{respond: {}}]}}]\n",
         "2:30: error: a proxy listens on at most 1024 ports of a range [longer ranges are for `forward`]\n"},
        {"route_to_no_pool",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{pool: x}]}}]\n",
         "2:73: error: there is no pool `x`\n"},
        {"forward_to_no_pool", one_port + "services: [{name: s, listen: 192.0.2.11:80/udp, forward: {pool: x}}]\n",
         "2:65: error: there is no pool `x`\n"},
        {"route_shadowed_by_one_without_match",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{respond: {}}, {match: {host: "
                    "a.org}, respond: {}}]}}]\n",
         "2:81: warning: no request reaches this route [the first match wins: put it in front of the other]\n"
         "2:66: note: this route already takes everything that it matches\n"},
        {"route_shadowed_by_a_prefix",
         one_port +
             "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{match: {path: {prefix: /a}}, respond: "
             "{}}, {match: {path: {exact: /a/b}}, respond: {}}, {match: {path: {exact: /ab}}, respond: {}}]}}]\n",
         "2:110: warning: no request reaches this route [the first match wins: put it in front of the other]\n"
         "2:66: note: this route already takes everything that it matches\n"},
        {"route_shadowed_by_a_wildcard",
         one_port +
             R"(services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{match: {host: "*.a.org"}, respond: {}}, {match: {host: w.a.org}, respond: {}}, {match: {host: a.org}, respond: {}}]}}]
)",
         "2:107: warning: no request reaches this route [the first match wins: put it in front of the other]\n"
         "2:66: note: this route already takes everything that it matches\n"},
        {"redirect_to_itself",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{redirect: {scheme: http}}]}}]\n",
         "2:77: error: this redirect leads to where the request came from [the service already speaks http]\n"},
        {"redirect_with_another_status",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{redirect: {scheme: https, "
                    "status: 304}}]}}]\n",
         "2:77: error: 304 is not a status of a redirect [301, 302, 303, 307 or 308]\n"},
        {"respond_204_with_a_body",
         one_port +
             "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{respond: {status: 204, body: x}}]}}]\n",
         "2:76: error: an answer 204 has no body (RFC 9110 §6.4.1)\n"},
        {"header_rule_on_framing",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{respond: {}, headers: "
                    "{response: {remove: [Content-Length]}}}]}}]\n",
         "2:110: error: `Content-Length` is not for rules to change [the proxy itself keeps it right]\n"},
        {"request_rule_without_request",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{respond: {}, headers: {request: "
                    "{set: {A: b}}}}]}}]\n",
         "2:99: warning: rules for the request do nothing here [this route sends no request to a server]\n"},
        {"gre_beyond_the_mtu",
         one_port + "services: [{name: s, listen: 192.0.2.11:53/udp, forward: {pool: p, method: gre}}]\npools: [{name: "
                    "p, servers: [{address: 192.0.2.20}]}]\n",
         "2:76: warning: packets of 1500 bytes do not fit through this tunnel: 24 bytes are added, and port `front` "
         "has an MTU of 1500 [an MTU of 1524 on the way to the servers, or a smaller one at the clients]\n"
         "1:9: note: the port\n"},
        {"balance_of_forwarding_on_a_proxy",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{pool: p}]}}]\npools: [{name: p, "
                    "servers: [{address: 192.0.2.20}], balance: lblcr}]\n",
         "3:62: error: `lblcr` is for forwarding [for a proxy: rr, wrr, lc, wlc, sh, dh, mh, sed, nq, fo, ovf, twos]\n"
         "2:73: note: this route proxies to the pool\n"},
        {"balance_of_lvs_on_a_forwarding_service",
         one_port + "services: [{name: s, listen: 192.0.2.11:53/udp, forward: {pool: p}}]\npools: [{name: p, balance: "
                    "lblcr, servers: [{address: 192.0.2.20}]}]\n",
         ""},
        {"balance_by_load_on_a_proxy",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{pool: p}]}}]\npools: [{name: p, "
                    "servers: [{address: 192.0.2.20}], balance: wlc}]\n",
         ""},
        {"limits_upside_down",
         one_port + "services: [{name: s, listen: 192.0.2.11:53/udp, forward: {pool: p}}]\npools: [{name: p, servers: "
                    "[{address: 192.0.2.20, limits: {upper: 10, lower: 11}}]}]\n",
         "3:59: error: `lower` is more than `upper` [a full server takes flows again when it has fewer than "
         "`lower`]\n"},
        {"slow_start_of_a_hash",
         one_port + "services: [{name: s, listen: 192.0.2.11:53/udp, forward: {pool: p}}]\npools: [{name: p, balance: "
                    "mh, slow_start: 30s, servers: [{address: 192.0.2.20}]}]\n",
         "3:44: error: `mh` has no weights that could rise [`slow_start` is for wrr, wlc, sed, nq and twos]\n"},
        {"limits_and_slow_start_on_a_proxy",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{pool: p}]}}]\npools: [{name: p, "
                    "slow_start: 30s, servers: [{address: 192.0.2.20, limits: {upper: 10}}]}]\n",
         "3:31: error: `slow_start` is for forwarding [leave it out, or give forwarding a pool of its own]\n"
         "2:73: note: this route proxies to the pool\n"
         "3:76: error: `limits` is for forwarding [leave it out, or give forwarding a pool of its own]\n"
         "2:73: note: this route proxies to the pool\n"},
        {"limits_and_slow_start_on_a_forwarding_service",
         one_port + "services: [{name: s, listen: 192.0.2.11:53/udp, forward: {pool: p, persistence: {}}}]\npools: "
                    "[{name: p, slow_start: 30s, servers: [{address: 192.0.2.20, limits: {upper: 10}}]}]\n",
         ""},
        {"persistence_with_an_ipv6_mask_for_ipv4",
         one_port + "services: [{name: s, listen: 192.0.2.11:53/udp, forward: {pool: p, persistence: {netmask: 64}}}]\n"
                    "pools: [{name: p, servers: [{address: 192.0.2.20}]}]\n",
         "2:81: error: an IPv4 address has 32 bits [`netmask` is 1 to 32]\n"},
        {"source_without_fullnat",
         one_port + "services: [{name: s, listen: 192.0.2.11:53/udp, forward: {pool: p, method: nat, source: "
                    "[192.0.2.11]}}]\npools: [{name: p, servers: [{address: 192.0.2.20}]}]\n",
         "2:90: error: only fullnat and tunnels have source addresses [leave `source` out]\n"},
        {"source_owned_by_no_instance",
         one_port + "services: [{name: s, listen: 192.0.2.11:53/udp, forward: {pool: p, source: "
                    "[192.0.2.11]}}]\npools: [{name: p, servers: [{address: 192.0.2.20}]}]\n",
         "2:77: error: `192.0.2.11` is owned by no vrrp instance [add it to the `addresses` of one, so that flows "
         "survive a takeover; or leave `source` out]\n"},
        {"source_of_the_other_family", one_port + R"(vrrp:
  - {name: a, port: front, vrid: 1, addresses: ["fe80::1", "2001:db8::100"]}
services: [{name: s, listen: 192.0.2.11:53/udp, forward: {pool: p, source: ["2001:db8::100"]}}]
pools: [{name: p, servers: [{address: 192.0.2.20}]}]
)",
         "4:77: error: no source address is of the family of the servers, IPv4\n"},
        {"forward_from_two_families",
         one_port + R"(services: [{name: s, listen: [192.0.2.11:53/udp, "[2001:db8::11]:53/udp"], forward: {pool: p}}]
pools: [{name: p, servers: [{address: 192.0.2.20}]}]
)",
         "2:50: error: a forwarding service has one address family [IPv4 and IPv6 are two services with a pool "
         "each]\n"},
        {"forward_to_the_other_family",
         one_port + R"(services: [{name: s, listen: 192.0.2.11:53/udp, forward: {pool: p}}]
pools: [{name: p, servers: [{address: "[2001:db8::20]"}]}]
)",
         "2:65: error: pool `p` has servers of the other address family [forwarding keeps the family; a proxy may "
         "change it]\n"
         "3:39: note: for example this one\n"},
        {"proxy_to_the_other_family",
         one_port + R"(services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{pool: p}]}}]
pools: [{name: p, servers: [{address: "[2001:db8::20]:80"}]}]
)",
         ""},
        {"dr_with_a_port_change",
         one_port + "services: [{name: s, listen: 192.0.2.11:53/udp, forward: {pool: p, method: dr}}]\npools: [{name: "
                    "p, servers: [{address: 192.0.2.20:5353}]}]\n",
         "2:76: error: `dr` cannot change the port [leave the port out of the server's address, or use fullnat or "
         "nat]\n"
         "3:39: note: this server has another port than the service\n"},
        {"dr_behind_a_gateway",
         "ports: [{name: front, device: {interface: eth1}, addresses: [192.0.2.11/24], routes: [{to: 0.0.0.0/0, via: "
         "192.0.2.1}]}]\nservices: [{name: s, listen: 192.0.2.11:53/udp, forward: {pool: p, method: dr}}]\npools: "
         "[{name: p, servers: [{address: 198.51.100.1}]}]\n",
         "2:76: error: dr reaches only neighbours, and a server is behind a gateway\n"
         "3:39: note: this one\n"},
        {"tunnel_beyond_the_mtu",
         one_port + "services: [{name: s, listen: 192.0.2.11:53/udp, forward: {pool: p, method: gue}}]\npools: [{name: "
                    "p, servers: [{address: 192.0.2.20}]}]\n",
         "2:76: warning: packets of 1500 bytes do not fit through this tunnel: 32 bytes are added, and port `front` "
         "has an MTU of 1500 [an MTU of 1532 on the way to the servers, or a smaller one at the clients]\n"
         "1:9: note: the port\n"},
        {"tunnel_within_the_mtu",
         "ports: [{name: front, mtu: 1600, device: {interface: eth1}, addresses: [192.0.2.11/24]}]\nservices: [{name: "
         "s, listen: 192.0.2.11:53/udp, forward: {pool: p, method: gue}}]\npools: [{name: p, servers: [{address: "
         "192.0.2.20}]}]\n",
         ""},
        {"tunnel_to_the_other_family_without_a_source",
         R"(ports: [{name: front, mtu: 1600, device: {interface: eth1}, addresses: [192.0.2.11/24, "2001:db8::11/64"]}]
vrrp: [{name: a, port: front, vrid: 1, addresses: [192.0.2.100]}]
services: [{name: s, listen: 192.0.2.100:53/udp, forward: {pool: p, method: ipip, source: [192.0.2.100]}}]
pools: [{name: p, servers: [{address: 192.0.2.20}, {address: "[2001:db8::20]"}]}]
)",
         "3:92: error: no source address is of the family of every server: IPv6 is missing\n"
         "4:62: note: this server needs one\n"},
        {"pool_name_twice",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{pool: p}]}}]\npools: [{name: p, "
                    "servers: [{address: 192.0.2.20}]}, {name: p, servers: [{address: 192.0.2.20}]}]\n",
         "3:61: error: there is already a pool `p`\n"
         "3:16: note: it stands here first\n"},
        {"pool_that_nothing_uses", one_port + "pools: [{name: p, servers: [{address: 192.0.2.20}]}]\n",
         "2:16: warning: nothing uses pool `p`\n"},
        {"server_twice",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{pool: p}]}}]\npools: [{name: p, "
                    "servers: [{address: 192.0.2.20:80}, {address: 192.0.2.20:80}]}]\n",
         "3:65: error: `192.0.2.20:80` is already a server of this pool\n"
         "3:39: note: it stands here first\n"},
        {"server_name_twice",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{pool: p}]}}]\npools: [{name: p, "
                    "servers: [{address: 192.0.2.20:80, name: a}, {address: 192.0.2.20:81, name: a}]}]\n",
         "3:64: error: there is already a server `a` in this pool\n"
         "3:29: note: it stands here first\n"},
        {"server_that_is_a_virtual_address",
         one_port + "vrrp:\n  - {name: a, port: front, vrid: 1, addresses: [192.0.2.100]}\nservices: [{name: s, "
                    "listen: 192.0.2.11:80/tcp, proxy: {routes: [{pool: p}]}}]\npools: [{name: p, servers: [{address: "
                    "192.0.2.100:80}]}]\n",
         "5:39: error: `192.0.2.100` is a virtual address, so it cannot be a server\n"
         "3:49: note: it is this node's here\n"},
        {"server_that_is_this_node",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{pool: p}]}}]\npools: [{name: p, "
                    "servers: [{address: 192.0.2.11:8080}]}]\n",
         "3:39: error: `192.0.2.11` is an address of a port, so it cannot be a server\n"
         "1:62: note: it is this node's here\n"},
        {"server_on_loopback",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{pool: p}]}}]\npools: [{name: p, "
                    "servers: [{address: 127.0.0.1:8080}]}]\n",
         "3:39: error: `127.0.0.1` cannot be a server's address\n"},
        {"server_that_nothing_leads_to",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{pool: p}]}}]\npools: [{name: p, "
                    "servers: [{address: 198.51.100.1:80}]}]\n",
         "3:39: error: nothing leads to `198.51.100.1` [give a port an address in its network, or a route to it]\n"},
        {"server_reached_by_a_port_without_own_address",
         R"(ports: [{name: front, device: {interface: eth1}, addresses: [192.0.2.11/24], routes: [{to: "::/0", via: "fe80::1"}]}]
services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{pool: p}]}}]
pools: [{name: p, servers: [{address: "[2001:db8::20]:80"}]}]
)",
         "3:39: error: port `front` has no address of its own to speak to `2001:db8::20` from [add one to its "
         "`addresses`]\n"},
        {"weights_that_sum_to_zero",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{pool: p}]}}]\npools: [{name: p, "
                    "servers: [{address: 192.0.2.20, weight: 0}, {address: 192.0.2.21, weight: 0}]}]\n",
         "3:16: warning: every server of pool `p` has weight 0 [nothing new goes there; give one of them a weight]\n"},
        {"check_longer_than_its_interval",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{pool: p}]}}]\npools: [{name: p, "
                    "servers: [{address: 192.0.2.20:80}], health: {tcp: {}, interval: 1s, timeout: 2s}}]\n",
         "3:64: warning: a check may take longer than the time to the next [make `timeout` at most as long as "
         "`interval`]\n"},
        {"check_without_a_port",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{pool: p}]}}]\npools: [{name: p, "
                    "servers: [{address: 192.0.2.20}], health: {tcp: {}}}]\n",
         "3:61: error: the check does not know which port to ask [write `port` in the check, or a port in every "
         "server's address]\n"
         "3:39: note: this server has none\n"},
        {"check_with_a_port_of_its_own",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{pool: p}]}}]\npools: [{name: p, "
                    "servers: [{address: 192.0.2.20}], health: {tcp: {port: 80}}}]\n",
         ""},
        {"check_by_echo_needs_no_port",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{pool: p}]}}]\npools: [{name: p, "
                    "servers: [{address: 192.0.2.20}], health: {icmp: {}}}]\n",
         ""},
        {"two_kinds_of_check",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{pool: p}]}}]\npools: [{name: p, "
                    "servers: [{address: 192.0.2.20:80}], health: {icmp: {}, tcp: {}}}]\n",
         "3:65: error: `tcp` and `icmp` exclude each other [exactly one of http, https, tcp, icmp, udp]\n"
         "3:75: note: `tcp` stands here\n"},
        {"no_kind_of_check",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{pool: p}]}}]\npools: [{name: p, "
                    "servers: [{address: 192.0.2.20:80}], health: {interval: 1s}}]\n",
         "3:64: error: one of http, https, tcp, icmp, udp is missing here\n"},
        {"hash_fallback_without_a_hash",
         one_port + "services: [{name: s, listen: 192.0.2.11:53/udp, forward: {pool: p}}]\npools: [{name: p, servers: "
                    "[{address: 192.0.2.20}], hash_fallback: true}]\n",
         "3:9: warning: `hash_fallback` does nothing with `wrr` [it is for `mh` and `sh`]\n"},
        {"hash_key_without_a_hash",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{pool: p}]}}]\npools: [{name: p, "
                    "servers: [{address: 192.0.2.20}], hash_key: address_port}]\n",
         "3:9: warning: `hash_key` does nothing with `wrr` [it is for `mh` and `sh`]\n"},
    };
    return table;
}

class SemanticTable : public ::testing::TestWithParam<Row> {};

TEST_P(SemanticTable, Text_GivesTheseFindingsAndNoOthers) { expect_findings(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Table, SemanticTable, ::testing::ValuesIn(semantic_rows()), row_name);

} // namespace
} // namespace sluice::config::testing
