"""Methods by which servers answer clients themselves: `dr`, with the example file, real servers and a narrow way to the client.

client ── edge ══ hub ══ node, web1, web2 (both hold the virtual addresses on lo)
 (path MTU 1400)
"""

import json
import os
import random
import re

import pytest

from direct_servers import FAMILIES, VIRTUAL, DirectServers
from lab import ROOT, Lab, Node, Router, wait_until

CLIENT = {4: "198.51.100.10", 6: "2001:db8:c::10"}
NEAR = {4: "198.51.100.1", 6: "2001:db8:c::1"}
EDGE = {4: "192.0.2.1", 6: "2001:db8::1"}
WEB = {"web1": {4: "192.0.2.21", 6: "2001:db8::21"}, "web2": {4: "192.0.2.22", 6: "2001:db8::22"}}
BITS = {4: 24, 6: 64}
NARROW = 1400
SIZE = 1 << 20

class Site(DirectServers):
    def __init__(self, lab, driver):
        super().__init__(lab)
        lab.make_hub("street")
        self.client = lab.host("client", *(f"{CLIENT[family]}/{BITS[family]}" for family in FAMILIES), hub="street")
        self.edge = Router(lab, "edge", EDGE, "hub", NEAR, "street", CLIENT, NARROW)
        for family in FAMILIES:
            self.client.ip(f"-{family}", "route", "add", "default", "via", NEAR[family])
        self.content = random.Random(5).randbytes(SIZE)
        for name, addresses in WEB.items():
            self.add_server(name, addresses)
        with open(os.path.join(ROOT, "config/examples/dr-dual-stack.yaml")) as file:
            example = file.read()
        self.node = Node(lab, "lb", example.replace("{interface: eth1}", f"{{interface: eth0, driver: {driver}}}") + """
memory: {hugepages: off, size: 256MiB}
cpu: {forwarders: [0, 1], workers: [0]}
control: {socket: "{socket}"}
""")
        self.node.start()
        for instance in ("public", "public6"):
            wait_until(lambda one=instance: self.node.vrrp_state(one) == "active", 15, f"{instance} to be active")
        for family in FAMILIES:
            wait_until(lambda one=family: self.get(one, "/who").returncode == 0, 10, f"IPv{family} through the node", 0.1)

    def add_server(self, name, addresses):
        host = self.lab.host(name, *(f"{addresses[family]}/{BITS[family]}" for family in FAMILIES))
        for family in FAMILIES:
            host.ip(f"-{family}", "route", "add", "default", "via", EDGE[family])
        self.serve(host, name, addresses)

    def counted(self, pool):
        """Packets that the node has seen to and from the servers of a pool."""
        servers = [one for one in self.node.json("servers")["servers"] if one["pool"] == pool]
        return sum(one["packets_in_total"] for one in servers), sum(one["packets_out_total"] for one in servers)


@pytest.fixture(scope="module")
def site(driver):
    with Lab() as lab:
        one = Site(lab, driver)
        yield one
        assert one.node.stop() == 0, one.node.process.output()


@pytest.mark.parametrize("family", FAMILIES)
def test_dr_server_sees_the_client_at_the_services_address(site, family):
    answers = [site.get(family, "/who").stdout.split() for _ in range(20)]
    assert {name for name, *_ in answers} == {"web1", "web2"}
    assert {tuple(rest) for _, *rest in answers} == {(VIRTUAL[family], CLIENT[family])}


@pytest.mark.parametrize("family", FAMILIES)
def test_dr_download_goes_past_the_node_and_its_servers_learn_the_clients_path_mtu(site, family):
    """The edge router tells the service's address that answers are too big; the node passes it on to the right server."""
    for host in site.webs.values():
        host.run("ip", f"-{family}", "route", "flush", "cache")
    pool = "web" if family == 4 else "web6"
    before = site.counted(pool)
    path = os.path.join(site.lab.folder, "got.bin")
    for _ in range(12):
        result = site.get(family, "/down.bin", "-o", path)
        assert result.returncode == 0, result.stderr
        with open(path, "rb") as file:
            assert file.read() == site.content
    for name, host in site.webs.items():
        learned = re.search(r" mtu (\d+)", host.run("ip", "route", "get", CLIENT[family]).stdout)
        assert learned and int(learned.group(1)) == NARROW, name
    after = site.counted(pool)
    assert after[0] > before[0] and after[1] == before[1] == 0, "answers do not pass here"


@pytest.mark.parametrize("family", FAMILIES)
def test_dr_upload_is_whole(site, family):
    path = os.path.join(site.lab.folder, "up.bin")
    with open(path, "wb") as file:
        file.write(site.content)
    result = site.get(family, f"/put-{family}", "-T", path)
    assert result.returncode == 0, result.stderr
    found = [www for www in site.www.values() if os.path.exists(os.path.join(www, f"put-{family}"))]
    assert len(found) == 1
    with open(os.path.join(found[0], f"put-{family}"), "rb") as file:
        assert file.read() == site.content


@pytest.mark.parametrize("family", FAMILIES)
def test_dr_udp_reaches_every_server_also_in_fragments(site, family, driver):
    size = 3000 if driver == "af_xdp" else 1000  # af_packet: the kernel puts fragments together
    answers = [site.ask(family, b"%d " % number + b"x" * size) for number in range(12)]
    assert {name for name, *_ in answers} == {"web1", "web2"}
    assert all(who == CLIENT[family] and back == b"%d " % number + b"x" * size for number, (_, who, back) in enumerate(answers))


def test_dr_connections_are_listed_with_their_method_and_the_clients_half(site):
    with site.client.connect(VIRTUAL[4], 80) as one:
        one.sendall(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in one.recv(4096)
        port = one.getsockname()[1]
        flows = map(json.loads, site.node.ctl("--json", "connections").stdout.splitlines())
        listed = [flow for flow in flows if flow.get("client") == f"{CLIENT[4]}:{port}"]
        assert [(flow["method"], flow["state"]) for flow in listed] == [("dr", "established")]


def test_dr_server_that_is_down_gets_nothing_new(site):
    site.node.ctl("drain", "web/192.0.2.21")
    try:
        assert {site.get(4, "/who").stdout.split()[0] for _ in range(8)} == {"web2"}
    finally:
        site.node.ctl("undrain", "web/192.0.2.21")
    wait_until(lambda: site.get(4, "/who").stdout.split()[0] == "web1", 10, "web1 to take turns again")
