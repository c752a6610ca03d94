"""Frames larger than the MTU. What puts received packets together on our own interface (GRO, LRO) is turned off while a port uses it;
what arrives all the same was cut by the driver, is dropped, and counted with what an operator does about it."""

import hashlib
import os
import random
import socket

import pytest

from lab import Node, run, wait_for_port, wait_until
from site_lab import ECHO_PORT, ECHO_PROGRAM

NODE, CLIENT, WEB = "192.0.2.11", "192.0.2.10", "192.0.2.21"
SIZE = 8 << 20


def config(driver):
    return f"""
memory: {{hugepages: off, size: 256MiB}}
cpu: {{forwarders: [0], workers: [0]}}
ports: [{{name: front, device: {{interface: eth0, driver: {driver}}}, addresses: [{NODE}/24]}}]
services:
  - {{name: site, listen: {NODE}:80/tcp, proxy: {{routes: [{{pool: web}}]}}}}
  - {{name: echo, listen: {NODE}:{ECHO_PORT}/udp, forward: {{method: fullnat, pool: echo}}}}
pools:
  - {{name: web, servers: [{{address: {WEB}:80}}]}}
  - {{name: echo, servers: [{{address: {WEB}:{ECHO_PORT}}}]}}
control: {{socket: "{{socket}}"}}
"""


class Site:
    def __init__(self, lab):
        self.lab = lab
        self.client = lab.host("client", f"{CLIENT}/24")
        web = lab.host("web", f"{WEB}/24")
        self.nginx = lab.nginx(web, "server { listen 80; location / { dav_methods PUT; client_body_buffer_size 1m; } }")
        web.start("echo", "/usr/bin/python3", "-c", ECHO_PROGRAM)
        wait_for_port(web, "127.0.0.1", 80)
        self.path = os.path.join(lab.folder, "content")
        with open(self.path, "wb") as file:
            file.write(random.Random(3).randbytes(SIZE))
        self.hub = f"{lab.prefix}-hub"

    def node(self, driver):
        """A node, not started, on whose interface the kernel puts packets together."""
        node = Node(self.lab, f"lb{driver[-2:]}", config(driver))
        self.offload(node, "gro", "on")
        return node

    @staticmethod
    def offload(node, *words):
        run("ip", "netns", "exec", node.host.namespace, "ethtool", "-K", "eth0", *words)

    def put(self):
        """Starts an upload; the process of curl."""
        return self.client.start(f"put{len(self.lab.processes)}", "curl", "-sS", "-f", "-m", "90", "-T", self.path, f"http://{NODE}/up.bin")

    def assert_uploaded(self, curl):
        assert curl.wait(100) == 0, curl.output()
        assert digest(os.path.join(self.nginx.www, "up.bin")) == digest(self.path)

    def assert_download(self):
        path = os.path.join(self.lab.folder, "down")
        self.client.curl("-f", "-m", "90", "-o", path, f"http://{NODE}/up.bin", check=True, timeout=100)
        assert digest(path) == digest(self.path)


@pytest.fixture(scope="module")
def site(lab):
    return Site(lab)


@pytest.fixture(scope="module")
def packet_node(site):
    node = site.node("af_packet").start()
    yield node
    if node.process.running():
        node.stop()


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def merges(node):
    features = run("ip", "netns", "exec", node.host.namespace, "ethtool", "-k", "eth0").stdout
    return "generic-receive-offload: on" in features


def drops(node):
    return {drop["reason"]: drop for drop in node.json("drops")["drops"]}


def dropped(node, reason):
    return drops(node).get(reason, {"packets_total": 0})["packets_total"]


def test_kernel_puts_nothing_together_while_a_port_uses_the_interface(site, packet_node):
    assert not merges(packet_node)
    assert "merging of received packets (GRO, LRO) turned off" in packet_node.process.output()
    site.assert_uploaded(site.put())
    site.assert_download()
    assert dropped(packet_node, "larger_than_mtu") == dropped(packet_node, "truncated") == 0


def test_packets_put_together_all_the_same_are_counted_with_advice_and_hurt_no_byte(site, packet_node):
    """Somebody turns it on behind the port's back."""
    site.offload(packet_node, "gro", "on")
    upload = site.put()
    wait_until(lambda: dropped(packet_node, "larger_than_mtu") > 0, 30, "a packet larger than the MTU")
    assert "gro off" in drops(packet_node)["larger_than_mtu"]["advice"]
    site.offload(packet_node, "gro", "off")
    site.assert_uploaded(upload)
    assert dropped(packet_node, "truncated") == 0


def test_peer_that_leaves_packets_to_an_offload_is_told_from_the_first(site, packet_node):
    """On a virtual link nobody does what the sender's card would have done: no checksum is written, and no packet cut. That shows in
    its SYN already, so no larger packet can follow."""
    before = dropped(packet_node, "tcp_checksum_invalid")
    port = packet_node.host.links["eth0"]
    for namespace, interface in ((site.client.namespace, "eth0"), (site.hub, site.client.link), (site.hub, port)):
        run("ip", "netns", "exec", namespace, "ethtool", "-K", interface, "tx", "on", "tso", "on", "gso", "on")
    try:
        refused = site.client.curl("-m", "3", f"http://{NODE}/up.bin", "-o", "/dev/null")
        assert refused.returncode == 28, refused.stderr
        assert dropped(packet_node, "tcp_checksum_invalid") > before
        assert "tx off" in drops(packet_node)["tcp_checksum_invalid"]["advice"]
    finally:
        for namespace, interface in ((site.client.namespace, "eth0"), (site.hub, site.client.link), (site.hub, port)):
            run("ip", "netns", "exec", namespace, "ethtool", "-K", interface, "tx", "off", "tso", "off", "gso", "off")
    site.assert_download()


def test_fragments_that_the_kernel_puts_together_are_taken_as_far_as_they_fit(site, packet_node):
    """Sockets of AF_PACKET that share an interface get fragments of IPv4 only put together (PACKET_FANOUT_FLAG_DEFRAG), and the driver
    makes its sockets share also when there is one."""
    with site.client.socket(kind=socket.SOCK_DGRAM, timeout=5) as echo:
        echo.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER, IP_PMTUDISC_DONT: with fragments
        echo.connect((NODE, ECHO_PORT))
        for size in (100, 1600):  # The answers of the latter are fragments, too.
            echo.send(b"x" * size)
            assert len(echo.recv(65536)) == size
        before = dropped(packet_node, "larger_than_mtu")
        echo.send(b"x" * 3000)
        wait_until(lambda: dropped(packet_node, "larger_than_mtu") > before, 10, "the drop")
        assert "use af_xdp" in drops(packet_node)["larger_than_mtu"]["advice"]
        echo.send(b"y" * 100)
        assert echo.recv(65536) == b"y" * 100


def test_what_was_turned_off_is_on_again_behind_the_port(packet_node):
    assert packet_node.stop() == 0
    assert merges(packet_node)


def test_xdp_takes_packets_before_they_are_put_together_and_fragments_as_they_are(site, packet_node):
    if packet_node.process.running():
        packet_node.stop()
    node = site.node("af_xdp").start()
    site.assert_uploaded(site.put())
    site.assert_download()
    with site.client.socket(kind=socket.SOCK_DGRAM, timeout=5) as echo:
        echo.setsockopt(socket.IPPROTO_IP, 10, 0)
        echo.connect((NODE, ECHO_PORT))
        echo.send(b"x" * 3000)
        assert len(echo.recv(65536)) == 3000
    assert dropped(node, "larger_than_mtu") == dropped(node, "truncated") == 0
    assert node.stop() == 0
    assert merges(node)
