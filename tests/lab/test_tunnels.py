"""Tunnels with the example file: servers of both families behind a router, real clients, a way that is too narrow.

client ══ hub ══ node ══ back ══ farm ── yard: web1, web2 (both hold the virtual addresses on lo and answer past the node)
The ports are of af_xdp: through af_packet DPDK takes no packet of more than 1500 bytes.
         ╚═ exit ═════════════════════════════╝ (the way of the answers)
"""

import os
import random
import re

import pytest

from direct_servers import FAMILIES, VIRTUAL, DirectServers
from lab import ROOT, Lab, Node, Router, run, wait_until

CLIENT = {4: "192.0.2.10", 6: "2001:db8::10"}
FARM = {4: "10.0.0.2", 6: "2001:db8:1::2"}
YARD = {4: "10.1.0.1", 6: "2001:db8:2::1"}
EXIT = {4: "10.1.0.254", 6: "2001:db8:2::fe"}
WEB = {"web1": {4: "10.1.0.21", 6: "2001:db8:2::21"}, "web2": {4: "10.1.0.22", 6: "2001:db8:2::22"}}
BITS = {4: 24, 6: 64}
SIZE = 1 << 18
DECAPSULATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "decapsulate.py")


class Site(DirectServers):
    def __init__(self, lab):
        super().__init__(lab)
        for hub in ("back", "yard"):
            lab.make_hub(hub)
        self.client = lab.host("client", *(f"{CLIENT[family]}/{BITS[family]}" for family in FAMILIES))
        self.farm = Router(lab, "farm", FARM, "back", YARD, "yard", {4: "10.1.0.21", 6: "2001:db8:2::21"}, 1600)
        self.exit = lab.host("exit", "192.0.2.1/24", "2001:db8::1/64")
        self.make_exit()
        self.content = random.Random(7).randbytes(SIZE)
        for name, addresses in WEB.items():
            self.add_server(name, addresses)
        for namespace, link in ((self.farm.host.namespace, "eth0"), (self.farm.host.namespace, "eth1")):
            run("ip", "-n", namespace, "link", "set", link, "mtu", 1600)
        with open(os.path.join(ROOT, "config/examples/tunnels.yaml")) as file:
            example = file.read()
        self.node = Node(lab, "lb", example.replace("{interface: eth1}", "{interface: eth0}").replace("{interface: eth2}", "{interface: eth1}") + """
memory: {hugepages: off, size: 256MiB}
cpu: {forwarders: [0], workers: [0]}
control: {socket: "{socket}"}
""", hub=("hub", "back"), interfaces=("eth0", "eth1"))
        self.node.host.ip("link", "set", "eth1", "mtu", "1600")
        for hub in ("back", "yard"):
            namespace = f"{lab.prefix}-{hub}"
            for line in run("ip", "-n", namespace, "-o", "link", "show", "master", "br0").stdout.splitlines():
                run("ip", "-n", namespace, "link", "set", line.split(":")[1].strip().split("@")[0], "mtu", 1600)
        self.node.start()
        for instance in ("public", "public6", "tunnels"):
            wait_until(lambda one=instance: self.node.vrrp_state(one) == "active", 15, f"{instance} to be active")
        for family in FAMILIES:
            wait_until(lambda one=family: self.get(one, "/who").returncode == 0, 10, f"IPv{family} through the node", 0.1)

    def make_exit(self):
        """The servers' way to clients, which does not lead through the node."""
        self.lab.join(self.exit.namespace, "eth1", "yard", "exit1")
        self.exit.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.rp_filter=0")
        self.exit.run("ethtool", "-K", "eth1", "tx", "off", "tso", "off", "gso", "off", "gro", "off")
        for family in FAMILIES:
            self.exit.ip("addr", "add", f"{EXIT[family]}/{BITS[family]}", "dev", "eth1", *(["nodad"] if family == 6 else []))
        self.exit.ip("link", "set", "eth1", "up")

    def add_server(self, name, addresses):
        host = self.lab.host(name, *(f"{addresses[family]}/{BITS[family]}" for family in FAMILIES), hub="yard")
        host.ip("link", "set", "eth0", "mtu", "1600")
        host.run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.eth0.rp_filter=0")
        for family in FAMILIES:
            host.ip(f"-{family}", "route", "add", "default", "via", EXIT[family], "mtu", "1500")
            host.ip(f"-{family}", "route", "add", "10.0.0.0/24" if family == 4 else "2001:db8:1::/64", "via", YARD[family])
        end = host.start("tunnel", "/usr/bin/python3", DECAPSULATE, "inside0")
        wait_until(lambda: "ready" in end.output(), 10, "the end of the tunnel")
        self.serve(host, name, addresses)

    def upload(self, family):
        path = os.path.join(self.lab.folder, "up.bin")
        with open(path, "wb") as file:
            file.write(self.content)
        for www in self.www.values():
            if os.path.exists(os.path.join(www, f"put-{family}")):
                os.remove(os.path.join(www, f"put-{family}"))
        result = self.get(family, f"/put-{family}", "-T", path)
        assert result.returncode == 0, result.stderr
        found = [www for www in self.www.values() if os.path.exists(os.path.join(www, f"put-{family}"))]
        assert len(found) == 1
        with open(os.path.join(found[0], f"put-{family}"), "rb") as file:
            assert file.read() == self.content

    def learned_by_client(self, family):
        found = re.search(r" mtu (\d+)", self.client.run("ip", "route", "get", VIRTUAL[family]).stdout)
        self.client.run("ip", f"-{family}", "route", "flush", "cache")
        return int(found.group(1)) if found else None


@pytest.fixture(scope="module")
def site():
    with Lab() as lab:
        one = Site(lab)
        yield one
        assert one.node.stop() == 0, one.node.process.output()


@pytest.mark.parametrize("family", FAMILIES)
def test_tunnel_server_sees_the_client_at_the_services_address(site, family):
    answers = [site.get(family, "/who").stdout.split() for _ in range(8)]
    assert sorted(name for name, *_ in answers) == ["web1"] * 4 + ["web2"] * 4
    assert {tuple(rest) for _, *rest in answers} == {(VIRTUAL[family], CLIENT[family])}


@pytest.mark.parametrize("family", FAMILIES)
def test_tunnel_carries_datagrams_to_servers_of_either_family(site, family):
    answers = [site.ask(family, b"%d " % number + b"x" * 1400) for number in range(10)]
    assert sorted(name for name, *_ in answers) == ["web1"] * 5 + ["web2"] * 5
    assert all(who == CLIENT[family] and back == b"%d " % number + b"x" * 1400 for number, (_, who, back) in enumerate(answers))


@pytest.mark.parametrize("family", FAMILIES)
def test_tunnel_download_and_upload_are_whole(site, family):
    path = os.path.join(site.lab.folder, "got.bin")
    for _ in range(2):
        result = site.get(family, "/down.bin", "-o", path)
        assert result.returncode == 0, result.stderr
        with open(path, "rb") as file:
            assert file.read() == site.content
        site.upload(family)
    assert site.learned_by_client(family) is None, "packets of 1500 bytes fit"


@pytest.mark.parametrize("family, overhead", [(4, 20), (6, 24)])
def test_tunnel_over_a_narrow_way_holes_nothing(site, family, overhead):
    """A router behind the node, on the way to web1, takes 1400 bytes: it tells the node, which tells the client what fits."""
    narrow = WEB["web1"][4]
    site.farm.host.ip("route", "replace", narrow, "dev", "eth1", "mtu", "lock", 1400)
    try:
        for _ in range(4):
            site.upload(family)
        assert site.learned_by_client(family) == 1400 - overhead
    finally:
        site.farm.host.ip("route", "replace", narrow, "dev", "eth1", "mtu", "lock", 1600)
