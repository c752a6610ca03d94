// One row for each way to get a single value wrong.
#include "table.hpp"

namespace sluice::config::testing {
namespace {

const std::vector<Row>& value_rows()
{
    static const std::vector<Row> table{
        {"duration_without_unit", one_port + "stop: {drain: 5}\n",
         "2:15: error: `5` has no unit [write it like `250ms`; units: us ms s m h d]\n"},
        {"duration_with_a_foreign_unit", one_port + "stop: {drain: 5sec}\n",
         "2:15: error: `sec` is not a unit of a duration [units: us ms s m h d]\n"},
        {"duration_with_a_space", one_port + "stop: {drain: 5 s}\n",
         "2:15: error: ` s` is not a unit of a duration [units: us ms s m h d]\n"},
        {"duration_with_a_leading_zero", one_port + "stop: {drain: 05s}\n",
         "2:15: error: `05s` starts with a zero [numbers are decimal: `5s`]\n"},
        {"duration_too_large", one_port + "stop: {drain: 9999999999d}\n", "2:15: error: `9999999999d` is too large\n"},
        {"duration_out_of_range", one_port + "stop: {timeout: 1ms}\n", "2:17: error: `1ms` is out of range [1s..2h]\n"},
        {"duration_negative", one_port + "stop: {drain: -5s}\n",
         "2:15: error: `-5s` is not a duration [write it like `250ms`]\n"},
        {"size_with_a_decimal_unit", one_port + "memory: {size: 512MB}\n",
         "2:16: error: `MB` is not a unit of a size [units: B KiB MiB GiB TiB]\n"},
        {"size_without_unit", one_port + "memory: {size: 512}\n",
         "2:16: error: `512` has no unit [write it like `4MiB`; units: B KiB MiB GiB TiB]\n"},
        {"size_out_of_range", one_port + "memory: {size: 1KiB}\n",
         "2:16: error: `1KiB` is out of range [64MiB..1TiB]\n"},
        {"number_below_range", one_port + "cpu: {workers: [-1]}\n", "2:17: error: `-1` is out of range [0..1023]\n"},
        {"number_above_range", one_port + "cpu: {workers: [1024]}\n",
         "2:17: error: `1024` is out of range [0..1023]\n"},
        {"number_with_plus", one_port + "cpu: {workers: [+1]}\n",
         "2:17: error: `+1` is not a number [decimal digits only: 0..1023]\n"},
        {"number_beyond_64_bits", one_port + "cpu: {workers: [99999999999999999999]}\n",
         "2:17: error: `99999999999999999999` is out of range [0..1023]\n"},
        {"several_wrong_numbers_each_once", one_port + "cpu: {workers: [a, 5000, 0, 01]}\n",
         "2:17: error: `a` is not a number [decimal digits only: 0..1023]\n"
         "2:20: error: `5000` is out of range [0..1023]\n"
         "2:29: error: `01` starts with a zero [numbers are decimal, octal ones do not exist here: write 1]\n"},
        {"one_value_for_a_list", one_port + "cpu: {workers: 1}\n",
         "2:16: error: expected a list, not one value [write it as [1]]\n"},
        {"map_for_a_list", one_port + "pools: {name: web}\n",
         "2:8: error: expected a list, not a map [put `- ` in front of the first key of each item]\n"},
        {"list_for_a_map", one_port + "log: [info]\n",
         "2:6: error: expected a map, not a list [write `key: value` lines below, or {key: value}]\n"},
        {"text_for_a_map", one_port + "log: info\n",
         "2:6: error: expected a map, not `info` [write `key: value` lines below, or {key: value}]\n"},
        {"list_for_a_word", one_port + "log: {level: [info]}\n", "2:14: error: expected a word, not a list\n"},
        {"empty_list_that_needs_items", "ports: []\n", "1:8: error: this list is empty [it needs at least one item]\n"},
        {"ports_missing", "node: a\n", "0:0: error: `ports` is missing here [ports: NICs.]\n"},
        {"empty_file", "", "0:0: error: `ports` is missing here [ports: NICs.]\n"},
        {"only_comments", "# nothing\n", "0:0: error: `ports` is missing here [ports: NICs.]\n"},
        {"unknown_word", one_port + "log: {level: loud}\n",
         "2:14: error: `loud` is not known here [Known here: trace, debug, info, warn, error]\n"},
        {"limit_zero", one_port + "defaults: {timeouts: {body: 0s}}\n",
         "2:29: error: `0s` does not switch a limit off [write `none`]\n"},
        {"limit_zero_bytes",
         one_port +
             "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {limits: {body: 0}, routes: [{respond: {}}]}}]\n",
         "2:72: error: `0` does not switch a limit off [write `none`]\n"},
        {"timeout_that_cannot_be_off", one_port + "defaults: {timeouts: {header: none}}\n",
         "2:31: error: `none` is not a duration [write it like `250ms`]\n"},
        {"listen_without_protocol",
         one_port + "services: [{name: s, listen: 192.0.2.11:80, proxy: {routes: [{respond: {}}]}}]\n",
         "2:30: error: `192.0.2.11:80` does not say tcp or udp [ADDR:PORT[-PORT]/tcp or /udp, like "
         "192.0.2.100:80/tcp]\n"},
        {"listen_without_port",
         one_port + "services: [{name: s, listen: 192.0.2.11/tcp, proxy: {routes: [{respond: {}}]}}]\n",
         "2:30: error: `192.0.2.11/tcp` has no port [ADDR:PORT[-PORT]/tcp or /udp, like 192.0.2.100:80/tcp]\n"},
        {"listen_range_backwards",
         one_port + "services: [{name: s, listen: 192.0.2.11:90-80/tcp, proxy: {routes: [{respond: {}}]}}]\n",
         "2:30: error: `90-80` ends before it begins\n"},
        {"listen_star", one_port + R"(services: [{name: s, listen: "*:80/tcp", proxy: {routes: [{respond: {}}]}}]
)",
         "2:30: error: `*` is not an address [name the address; a service listens on addresses of a port or of a vrrp "
         "instance]\n"},
        {"listen_host_name",
         one_port + "services: [{name: s, listen: www.example.org:80/tcp, proxy: {routes: [{respond: {}}]}}]\n",
         "2:30: error: `www.example.org` is not an IP address [host names are not looked up; write the address]\n"},
        {"server_host_name", one_port + "pools: [{name: p, servers: [{address: www.example.org:80}]}]\n",
         "2:16: warning: nothing uses pool `p`\n"
         "2:39: error: `www.example.org` is not an IP address [host names are not looked up; write the address]\n"},
        {"server_port_zero", one_port + "pools: [{name: p, servers: [{address: 192.0.2.20:0}]}]\n",
         "2:16: warning: nothing uses pool `p`\n"
         "2:39: error: the port `0` is out of range [1..65535]\n"},
        {"server_port_too_large", one_port + "pools: [{name: p, servers: [{address: 192.0.2.20:70000}]}]\n",
         "2:16: warning: nothing uses pool `p`\n"
         "2:39: error: the port `70000` is out of range [1..65535]\n"},
        {"server_ipv6_without_brackets", one_port + R"(pools: [{name: p, servers: [{address: "2001:db8::20:80"}]}]
)",
         "2:16: warning: nothing uses pool `p`\n"
         R"(2:39: error: `2001:db8::20:80` is ambiguous: where does the port begin? [IPv6 stands in brackets, in quotes: "[2001:db8::1]:443"]
)"},
        {"server_bracket_open", one_port + R"(pools: [{name: p, servers: [{address: "[2001:db8::20"}]}]
)",
         "2:16: warning: nothing uses pool `p`\n"
         "2:39: error: `[2001:db8::20` has no closing bracket [[2001:db8::1]:443]\n"},
        {"server_with_prefix", one_port + "pools: [{name: p, servers: [{address: 192.0.2.20/24}]}]\n",
         "2:16: warning: nothing uses pool `p`\n"
         "2:39: error: `192.0.2.20/24` has a prefix length [only the address belongs here: `192.0.2.20`]\n"},
        {"name_with_a_space", one_port + "pools: [{name: a b, servers: [{address: 192.0.2.20}]}]\n",
         "2:16: error: `a b` is not a valid name [letters, digits, `.`, `_` and `-`, starting with a letter or digit, "
         "at most 64]\n"},
        {"name_that_starts_with_a_dash", one_port + "pools: [{name: -a, servers: [{address: 192.0.2.20}]}]\n",
         "2:16: error: `-a` is not a valid name [letters, digits, `.`, `_` and `-`, starting with a letter or digit, "
         "at most 64]\n"},
        {"path_without_slash",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{match: {path: {prefix: x}}, "
                    "respond: {}}]}}]\n",
         "2:90: error: `x` is not a valid path [it starts with `/`; other characters are percent-encoded]\n"},
        {"path_with_bad_percent",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{match: {path: {exact: /%zz}}, "
                    "respond: {}}]}}]\n",
         "2:89: error: `/%zz` is not a valid path [it starts with `/`; other characters are percent-encoded]\n"},
        {"path_as_text",
         one_port +
             "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{match: {path: /x}, respond: {}}]}}]\n",
         "2:81: error: expected a map, not `/x` [write `key: value` lines below, or {key: value}]\n"},
        {"host_regular_expression",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{match: {host: ~^www}, respond: "
                    "{}}]}}]\n",
         "2:81: error: `~^www` is not a valid host pattern [a host name without port, or `*.` and one; regular "
         "expressions are not known]\n"},
        {"host_with_port",
         one_port +
             R"(services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{match: {host: "a.b:80"}, respond: {}}]}}]
)",
         "2:81: error: `a.b:80` is not a valid host pattern [a host name without port, or `*.` and one; regular "
         "expressions are not known]\n"},
        {"header_name_no_token",
         one_port +
             R"(services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{respond: {}, headers: {response: {set: {"a b": x}}}}]}}]
)",
         "2:107: error: `a b` is not a valid header name\n"},
        {"header_value_with_newline",
         one_port + "services: [{name: s, listen: 192.0.2.11:80/tcp, proxy: {routes: [{respond: {}, headers: "
                    "{response: {set: {a: \"x\\r\\ny\"}}}}]}}]\n",
         R"(2:110: error: `x\x0d\x0ay` is not a valid header value [no line breaks or control characters, no blanks at the ends]
)"},
        {"status_out_of_range",
         one_port + "pools: [{name: p, servers: [{address: 192.0.2.20:80}], health: {http: {status: [200-700]}}}]\n",
         "2:16: warning: nothing uses pool `p`\n"
         "2:81: error: `200-700` is not a status or a range of them [write 200, or 200-299]\n"},
        {"payload_half_a_byte",
         one_port + R"(pools: [{name: p, servers: [{address: 192.0.2.20:80}], health: {udp: {send: "hex:0"}}}]
)",
         "2:16: warning: nothing uses pool `p`\n"
         "2:77: error: `hex:0` is not a row of hexadecimal bytes [hex:0001ff]\n"},
        {"interface_name_too_long", "ports: [{name: p, device: {interface: averyveryverylongname}}]\n",
         "1:39: error: `averyveryverylongname` is not a valid interface\n"},
        {"pci_address_short", R"(ports: [{name: p, device: {pci: "3b:00.0"}}]
)",
         R"(1:33: error: `3b:00.0` is not a valid PCI address [write it like "0000:3b:00.0", in quotes]
)"},
        {"vdev_without_driver", "ports: [{name: p, device: {vdev: memif0}}]\n",
         R"(1:34: error: `memif0` is not a valid DPDK vdev [write it as DPDK does: "net_memif0,role=client"]
)"},
        {"two_of_an_alternative", "ports: [{name: p, device: {interface: eth1, vdev: net_memif0}}]\n",
         "1:45: error: `interface` and `vdev` exclude each other [exactly one of interface, pci, vdev]\n"
         "1:28: note: `interface` stands here\n"},
        {"none_of_an_alternative", "ports: [{name: p, device: {}}]\n",
         "1:27: error: one of interface, pci, vdev is missing here\n"},
        {"address_without_length", "ports: [{name: p, device: {interface: eth1}, addresses: [192.0.2.1]}]\n",
         "1:58: error: `192.0.2.1` has no prefix length [write `192.0.2.1/24`, or /32 for it alone]\n"},
        {"route_to_default",
         "ports: [{name: p, device: {interface: eth1}, addresses: [192.0.2.1/24], routes: [{to: default, via: "
         "192.0.2.2}]}]\n",
         R"(1:87: error: `default` is not a network [write 0.0.0.0/0 or "::/0"]
)"},
    };
    return table;
}

class ValueTable : public ::testing::TestWithParam<Row> {};

TEST_P(ValueTable, Text_GivesTheseFindingsAndNoOthers) { expect_findings(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Table, ValueTable, ::testing::ValuesIn(value_rows()), row_name);

} // namespace
} // namespace sluice::config::testing
