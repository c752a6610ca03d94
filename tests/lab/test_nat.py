"""Layer 4 between two networks: `nat` with real peers on both arms, path MTU on either side, errors translated; `fullnat` with Maglev.

client ── edge ══ hub ══ node ══ back ══ web
 (path MTU 1400)                    ╚═ farm ── far (path MTU 1400)
"""

import collections
import os
import random
import re
import signal

import pytest

from lab import Lab, Node, Router, wait_for_port, wait_until

CLIENT = {4: "198.51.100.10", 6: "2001:db8:c::10"}
EDGE = {4: "192.0.2.1", 6: "2001:db8::1"}
VIRTUAL = {4: "192.0.2.100", 6: "2001:db8::100"}
GATEWAY = {4: "10.0.0.1", 6: "2001:db8:1::1"}
WEB = {4: "10.0.0.21", 6: "2001:db8:1::21"}
FARM = {4: "10.0.0.2", 6: "2001:db8:1::2"}
FAR = {4: "10.1.0.22", 6: "2001:db8:2::22"}
BITS = {4: 24, 6: 64}
NARROW = 1400
SIZE = 1 << 20
FAMILIES = [4, 6]

CONFIG = """
memory: {hugepages: off, size: 256MiB}
cpu: {forwarders: [0], workers: [0]}
ports:
  - name: outside
    device: {interface: eth0, driver: af_packet}
    addresses: [192.0.2.11/24, "2001:db8::11/64"]
    routes: [{to: 0.0.0.0/0, via: 192.0.2.1}, {to: "::/0", via: "2001:db8::1"}]
  - name: inside
    device: {interface: eth1, driver: af_packet}
    addresses: [10.0.0.11/24, "2001:db8:1::11/64"]
    routes: [{to: 10.1.0.0/24, via: 10.0.0.2}, {to: "2001:db8:2::/64", via: "2001:db8:1::2"}]
vrrp:
  - {name: public, group: edge, port: outside, vrid: 51, priority: 200, advert_interval: 100ms, addresses: [192.0.2.100]}
  - {name: public6, group: edge, port: outside, vrid: 51, priority: 200, advert_interval: 100ms, addresses: ["fe80::100", "2001:db8::100"]}
  - {name: gateway, group: edge, port: inside, vrid: 52, priority: 200, advert_interval: 100ms, addresses: [10.0.0.1]}
  - {name: gateway6, group: edge, port: inside, vrid: 52, priority: 200, advert_interval: 100ms, addresses: ["fe80::1", "2001:db8:1::1"]}
services:
  - {name: web, listen: "192.0.2.100:80/tcp", forward: {method: nat, pool: web}}
  - {name: web6, listen: "[2001:db8::100]:80/tcp", forward: {method: nat, pool: web6}}
  - {name: far, listen: "192.0.2.100:81/tcp", forward: {method: nat, pool: far}}
  - {name: far6, listen: "[2001:db8::100]:81/tcp", forward: {method: nat, pool: far6}}
  - {name: echo, listen: "192.0.2.100:7777/udp", forward: {method: nat, pool: echo}}
  - {name: echo6, listen: "[2001:db8::100]:7777/udp", forward: {method: nat, pool: echo6}}
  - {name: closed, listen: "192.0.2.100:7778/udp", forward: {method: nat, pool: closed}}
  - {name: closed6, listen: "[2001:db8::100]:7778/udp", forward: {method: nat, pool: closed6}}
  - {name: proxied, listen: ["192.0.2.100:8080/tcp", "[2001:db8::100]:8080/tcp"], proxy: {routes: [{pool: proxied}]}}
  - {name: hashed, listen: "192.0.2.100:82/tcp", forward: {method: fullnat, pool: hashed}}
pools:
  - {name: web, servers: [{address: "10.0.0.21:80"}]}
  - {name: web6, servers: [{address: "[2001:db8:1::21]:80"}]}
  - {name: far, servers: [{address: "10.1.0.22:80"}]}
  - {name: far6, servers: [{address: "[2001:db8:2::22]:80"}]}
  - {name: echo, balance: rr, servers: [{address: "10.0.0.21:7001"}, {address: "10.0.0.21:7002"}]}
  - {name: echo6, balance: rr, servers: [{address: "[2001:db8:1::21]:7001"}, {address: "[2001:db8:1::21]:7002"}]}
  - {name: closed, servers: [{address: "10.0.0.21:9"}]}
  - {name: closed6, servers: [{address: "[2001:db8:1::21]:9"}]}
  - {name: proxied, servers: [{address: "10.0.0.21:80"}]}
  - {name: hashed, balance: mh, servers: [{address: "10.0.0.21:8081"}, {address: "10.0.0.21:8082"}, {address: "10.0.0.21:8083"}]}
control: {socket: "{socket}"}
"""

# Answers each datagram with the port that got it and the address that it came from.
ECHO = """
import selectors, socket
chooser = selectors.DefaultSelector()
for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
    for port in (7001, 7002):
        one = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind((address, port))
        chooser.register(one, selectors.EVENT_READ, port)
while True:
    for key, _ in chooser.select():
        data, peer = key.fileobj.recvfrom(65536)
        key.fileobj.sendto(f"{key.data} {peer[0]} ".encode() + data, peer)
"""
ASK = """
import socket, sys
family, address, port, count, size = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
for number in range(count):
    one = socket.socket(socket.AF_INET6 if family == "6" else socket.AF_INET, socket.SOCK_DGRAM)
    one.connect((address, port))
    one.settimeout(3)
    data = b"%d " % number + b"x" * size
    try:
        one.send(data)
        answer = one.recv(65536)
        where, who, back = answer.split(b" ", 2)
        print(where.decode(), who.decode(), "same" if back == data else "other")
    except OSError as error:
        print(type(error).__name__)
"""


class Site:
    def __init__(self, lab):
        self.lab = lab
        for hub in ("back", "street", "yard"):
            lab.make_hub(hub)
        self.client = lab.host("client", *(f"{CLIENT[family]}/{BITS[family]}" for family in FAMILIES), hub="street")
        self.edge = Router(lab, "edge", EDGE, "hub", {4: "198.51.100.1", 6: "2001:db8:c::1"}, "street", CLIENT, NARROW)
        self.web = lab.host("web", *(f"{WEB[family]}/{BITS[family]}" for family in FAMILIES), hub="back")
        self.farm = Router(lab, "farm", FARM, "back", {4: "10.1.0.1", 6: "2001:db8:2::1"}, "yard", FAR, NARROW)
        self.far = lab.host("far", *(f"{FAR[family]}/{BITS[family]}" for family in FAMILIES), hub="yard")
        for host, gateway in ((self.client, {4: "198.51.100.1", 6: "2001:db8:c::1"}), (self.web, GATEWAY), (self.farm.host, GATEWAY),
                              (self.far, {4: "10.1.0.1", 6: "2001:db8:2::1"})):
            for family in FAMILIES:
                host.ip(f"-{family}", "route", "add", "default", "via", gateway[family])
        self.nginx = {}
        for host in (self.web, self.far):
            named = "".join(f'server {{ listen {port}; location / {{ return 200 "{port} $remote_addr\\n"; }} }}\n' for port in (8081, 8082, 8083))
            self.nginx[host.name] = lab.nginx(host, f"""
  server {{
    listen 80; listen [::]:80;
    location = /who {{ return 200 "$remote_addr\\n"; }}
    location / {{ dav_methods PUT; }}
  }}
  {named}""")
            wait_for_port(host, "127.0.0.1", 80)
        self.content = random.Random(3).randbytes(SIZE)
        for nginx in self.nginx.values():
            with open(os.path.join(nginx.www, "down.bin"), "wb") as file:
                file.write(self.content)
        self.path = os.path.join(lab.folder, "up.bin")
        with open(self.path, "wb") as file:
            file.write(self.content)
        self.web.start("echo", "/usr/bin/python3", "-c", ECHO)
        self.node = Node(lab, "lb", CONFIG, hub=("hub", "back"), interfaces=("eth0", "eth1"))
        self.node.start()
        for instance in ("public", "public6", "gateway", "gateway6"):
            wait_until(lambda one=instance: self.node.vrrp_state(one) == "active", 10, f"{instance} to be active")
        for family in FAMILIES:
            wait_until(lambda one=family: self.get(one, "/who").returncode == 0, 10, f"IPv{family} through the node", 0.1)

    def url(self, family, path, port=80):
        return f"http://{VIRTUAL[4]}:{port}{path}" if family == 4 else f"http://[{VIRTUAL[6]}]:{port}{path}"

    def get(self, family, path, port=80, *words):
        return self.client.curl("-f", "-m", "20", *words, self.url(family, path, port))

    def download(self, family, port=80):
        path = os.path.join(self.lab.folder, "got.bin")
        result = self.get(family, "/down.bin", port, "-o", path)
        assert result.returncode == 0, result.stderr
        with open(path, "rb") as file:
            assert file.read() == self.content

    def upload(self, family, server, port=80):
        name = f"put-{family}-{port}"
        result = self.get(family, f"/{name}", port, "-T", self.path)
        assert result.returncode == 0, result.stderr
        with open(os.path.join(self.nginx[server].www, name), "rb") as file:
            assert file.read() == self.content

    def ask(self, family, port, count=1, size=0):
        return self.client.run("/usr/bin/python3", "-c", ASK, family, VIRTUAL[family], port, count, size).stdout.split("\n")[:-1]


@pytest.fixture(scope="module")
def site():
    with Lab() as lab:
        one = Site(lab)
        yield one
        assert one.node.stop() == 0, one.node.process.output()


def learned_mtu(host, address):
    """The path MTU that a host has learned to an address; forgets it."""
    found = re.search(r" mtu (\d+)", host.run("ip", "route", "get", address).stdout)
    host.run("ip", "-6" if ":" in address else "-4", "route", "flush", "cache")
    return int(found.group(1)) if found else None


@pytest.mark.parametrize("family", FAMILIES)
def test_nat_server_sees_the_client_itself(site, family):
    assert site.get(family, "/who").stdout == CLIENT[family] + "\n"


@pytest.mark.parametrize("family", FAMILIES)
def test_nat_download_is_whole_and_the_server_learns_the_clients_path_mtu(site, family):
    """The edge router tells the service address, which it takes for the sender; the node passes it on to the server."""
    site.web.run("ip", f"-{family}", "route", "flush", "cache")
    site.download(family)
    assert learned_mtu(site.web, CLIENT[family]) == NARROW


@pytest.mark.parametrize("family", FAMILIES)
def test_nat_upload_is_whole_and_the_client_learns_the_servers_path_mtu(site, family):
    """The router before the server speaks of a server that the client has never heard of; the node says it of the service."""
    site.client.run("ip", f"-{family}", "route", "flush", "cache")
    site.upload(family, "far", 81)
    assert learned_mtu(site.client, VIRTUAL[family]) == NARROW


@pytest.mark.parametrize("family", FAMILIES)
def test_nat_upload_over_a_whole_path_is_whole(site, family):
    site.upload(family, "web")


@pytest.mark.parametrize("family", FAMILIES)
def test_nat_udp_reaches_every_server_and_comes_back_from_the_service(site, family):
    answers = site.ask(family, 7777, count=20, size=1000)
    assert all(line.endswith(f" {CLIENT[family]} same") for line in answers), answers
    assert collections.Counter(line.split()[0] for line in answers) == {"7001": 10, "7002": 10}, "rr takes turns"


@pytest.mark.parametrize("family", FAMILIES)
def test_nat_udp_flow_stays_with_its_server(site, family):
    script = ("import socket,sys\none=socket.socket(socket.AF_INET6 if sys.argv[1]=='6' else socket.AF_INET,socket.SOCK_DGRAM)\n"
              "one.settimeout(3)\none.connect((sys.argv[2],7777))\nfor number in range(50):\n one.send(b'x'); print(one.recv(99).split()[0].decode())\n")
    answers = site.client.run("/usr/bin/python3", "-c", script, family, VIRTUAL[family]).stdout.split()
    assert len(answers) == 50 and len(set(answers)) == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_nat_port_unreachable_of_a_server_reaches_the_client(site, family):
    assert site.ask(family, 7778) == ["ConnectionRefusedError"]


@pytest.mark.parametrize("family", FAMILIES)
def test_proxied_download_follows_the_path_mtu(site, family):
    """The same router speaks to a connection that the node itself terminates."""
    site.download(family, 8080)


def hashed(site, addresses):
    answers = {}
    for address in addresses:
        result = site.get(4, "/", 82, "--interface", address)
        assert result.returncode == 0, result.stderr
        answers[address] = tuple(result.stdout.split())
    return answers


def test_fullnat_mh_keeps_each_client_at_its_server_and_moves_few(site):
    addresses = [f"198.51.100.{number}" for number in range(100, 130)]
    for address in addresses:
        site.client.ip("addr", "add", f"{address}/32", "dev", "eth0")
    first = hashed(site, addresses)
    assert {source for _, source in first.values()} == {"10.0.0.11"}, "full NAT: the server sees the node"
    assert {server for server, _ in first.values()} == {"8081", "8082", "8083"}
    assert hashed(site, addresses) == first
    # Without the second server only its clients move.
    site.node.configure(CONFIG.replace('{address: "10.0.0.21:8082"}, ', ""))
    site.node.process.signal(signal.SIGHUP)
    wait_until(lambda: "8082" not in {server for server, _ in hashed(site, addresses).values()}, 10, "the reload", 0.1)
    later = hashed(site, addresses)
    stayed = [address for address in addresses if first[address][0] != "8082"]
    moved = [address for address in stayed if later[address] != first[address]]
    assert len(moved) <= len(stayed) // 10, f"{moved} moved although their server stayed"
    site.node.configure(CONFIG)
    site.node.process.signal(signal.SIGHUP)
    wait_until(lambda: hashed(site, addresses) == first, 10, "the old assignment", 0.1)
