"""The two stacks that raw-frame tests compare, behind one face: Linux's, and Sluice's in a node that proxies to the same server.

    raw peer (gateway 192.0.2.1, hosts 198.18.0.0/15) ─ switch ─┬─ linux  .12: raw_server.py
                                                                ├─ node   .11: proxies to .21, and to raw hosts for `dial`
                                                                └─ origin .21: raw_server.py
"""

import itertools
import os
import socket
import threading

import raw_peer
from lab import Bare, LabError, Node, wait_for_port

GATEWAYS = ("192.0.2.1", "2001:db8::1")
NODE = {4: "192.0.2.11", 6: "2001:db8::11"}
LINUX = {4: "192.0.2.12", 6: "2001:db8::12"}
ORIGIN = "192.0.2.21"
SERVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "raw_server.py")
DIALS = 24  # raw hosts of each family that the node has a pool for; every test that is dialled takes one
DIAL_PORT = 7000


def dial_address(family, number):
    return f"198.19.0.{number + 1}" if family == 4 else f"2001:db8:2::{number + 1:x}"


def node_config(driver):
    listeners = "".join(f"""
  - {{name: p{port}, listen: ["{NODE[4]}:{port}/tcp", "[{NODE[6]}]:{port}/tcp"], proxy: {{routes: [{{pool: p{port}}}]}}}}""" for port in (80, 81))
    pools = "".join(f"""
  - {{name: p{port}, servers: [{{address: {ORIGIN}:{port}}}]}}""" for port in (80, 81))
    for family in (4, 6):
        for number in range(DIALS):
            name = f"dial{family}-{number}"
            server = f"{dial_address(family, number)}:{DIAL_PORT}" if family == 4 else f"[{dial_address(family, number)}]:{DIAL_PORT}"
            listeners += f"""
  - {{name: {name}, listen: "{NODE[4]}:{1000 * family + number}/tcp", proxy: {{routes: [{{pool: {name}}}]}}}}"""
            pools += f"""
  - {{name: {name}, servers: [{{address: "{server}"}}], retries: 0, timeouts: {{connect: 8s, response: 8s}}}}"""
    return f"""
memory: {{hugepages: off, size: 256MiB}}
cpu: {{forwarders: [0], workers: [0]}}
ports:
  - name: front
    device: {{interface: eth0, driver: {driver}}}
    addresses: [{NODE[4]}/24, "{NODE[6]}/64"]
    routes: [{{to: 0.0.0.0/0, via: {GATEWAYS[0]}}}, {{to: "::/0", via: "{GATEWAYS[1]}"}}]
services:{listeners}
pools:{pools}
control: {{socket: "{{socket}}"}}
"""


class Dial:
    """A connection that the subject is asked to open; `outcome()` is what became of it: "answered" or "failed"."""

    def __init__(self, talk):
        self.result = "failed"
        self.thread = threading.Thread(target=self.run, args=(talk,), daemon=True)
        self.thread.start()

    def run(self, talk):
        try:
            self.result = talk()
        except (ConnectionError, OSError):
            pass

    def outcome(self):
        self.thread.join(raw_peer.PATIENCE)
        if self.thread.is_alive():
            raise LabError("the subject neither connected nor gave up")
        return self.result

    def pending(self):
        return self.thread.is_alive()


def request(connection, host):
    """One request over a kernel socket; whether it was answered by 200."""
    connection.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    return "answered" if connection.recv(4096).startswith(b"HTTP/1.1 200") else "failed"


class Subject:
    """`address`, `mac` and `server` (the host that raw_server.py runs on)."""

    def __init__(self, stage, name, addresses, mac, server, first_dial=0):
        self.stage, self.name, self.address, self.mac, self.server = stage, name, addresses, mac, server
        self.dials = {family: itertools.count(first_dial) for family in (4, 6)}

    def host(self, family=4, address=None):
        return raw_peer.Host(self.stage.wire, self.mac, self.address[family], address)

    def go(self, name, port=80):
        """Lets the server read what it holds back."""
        with self.server.connect("127.0.0.1", port) as connection:
            connection.sendall(f"GET /go/{name} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            assert connection.recv(4096)

    def dial(self, family=4):
        """A new raw host and the attempt of the subject to connect to it."""
        number = next(self.dials[family])
        host = self.host(family, dial_address(family, number))
        return host, Dial(lambda: self.call(family, number))


class LinuxSubject(Subject):
    def __init__(self, stage, host):
        # RFC 1337 is followed where one asks for it; a host that learned an MTU or a metric for one test must not use it in another.
        host.run("sysctl", "-qw", "net.ipv4.tcp_rfc1337=1", "net.ipv4.tcp_no_metrics_save=1")
        host.ip("route", "add", "default", "via", GATEWAYS[0])
        host.ip("-6", "route", "add", "default", "via", GATEWAYS[1])
        host.start("server", "/usr/bin/python3", SERVER, "0.0.0.0", "::")
        super().__init__(stage, "linux", LINUX, bytes.fromhex(host.mac().replace(":", "")), host, first_dial=DIALS)

    def call(self, family, number):
        address = dial_address(family, number)
        with self.server.socket(socket.AF_INET if family == 4 else socket.AF_INET6, timeout=8) as connection:
            connection.connect((address, DIAL_PORT))
            return request(connection, address)


class SluiceSubject(Subject):
    """Its server is that of the origin, behind it."""

    def __init__(self, stage, driver):
        self.node = Node(stage.lab, "lb", node_config(driver)).start()
        super().__init__(stage, "sluice", NODE, bytes.fromhex(self.node.host.mac().replace(":", "")), stage.lab.hosts["origin"])

    def call(self, family, number):
        with self.server.connect(NODE[4], 1000 * family + number, timeout=8) as connection:
            return request(connection, "a")

    def dropped(self, reason):
        """How many packets it has dropped for this reason."""
        return sum(row["packets_total"] for row in self.node.json("drops")["drops"] if row["reason"] == reason)


class Stage:
    """The laboratory with both subjects."""

    def __init__(self, lab, driver):
        self.lab = lab
        peer = Bare(lab, "peer")
        origin = lab.host("origin", f"{ORIGIN}/24")
        linux = lab.host("linux", f"{LINUX[4]}/24", f"{LINUX[6]}/64")
        origin.start("server", "/usr/bin/python3", SERVER, "0.0.0.0")
        self.wire = raw_peer.Wire(peer.namespace, GATEWAYS)
        self.subjects = {"linux": LinuxSubject(self, linux), "sluice": SluiceSubject(self, driver)}
        for host in (linux, origin):
            wait_for_port(host, "127.0.0.1", 81)
        for subject in self.subjects.values():
            subject.host(4).tcp().open()  # The gateways are known from here on.
            subject.host(6).tcp().open()

    def close(self):
        self.wire.close()
