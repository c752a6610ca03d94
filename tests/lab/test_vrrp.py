"""VRRP judged from captured packets: a pair of Sluice nodes, and a Sluice node with Keepalived 2.2.7 in either role."""

import contextlib
import ipaddress
import os
import signal
import struct
import time

import pytest
from scapy.utils import RawPcapReader

from lab import Lab, Node, run, wait_until
from probes import FOREGROUND, state, transitions, wait_for_state
from site_lab import VIP, VIP6, Site

VRID = 51
LINK_LOCAL = "fe80::100"
MAC4 = f"00:00:5e:00:01:{VRID:02x}"
MAC6 = f"00:00:5e:00:02:{VRID:02x}"
BOTH = ("public", "public6")


def mac(octets):
    return octets.hex(":")


def ones_complement_sum(data):
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


class Advert:
    def __init__(self, moment, frame, family, source, destination, hop_limit, traffic_class, message):
        self.time, self.family, self.source, self.destination = moment, family, str(source), str(destination)
        self.hop_limit, self.traffic_class = hop_limit, traffic_class
        self.to_mac, self.from_mac = mac(frame[:6]), mac(frame[6:12])
        kind, self.vrid, self.priority, count, interval = struct.unpack("!BBBBH", message[:6])
        self.version, self.interval_ms = kind >> 4, (interval & 0xFFF) * 10
        size = 4 if family == 4 else 16
        self.addresses = [str(ipaddress.ip_address(message[8 + size * index:8 + size * (index + 1)])) for index in range(count)]
        self.length_is_right = len(message) == 8 + size * count
        pseudo = source.packed + destination.packed + struct.pack("!II", len(message), 112)
        self.checksum_covers_pseudo_header = ones_complement_sum(pseudo + message) == 0xFFFF


class Announcement:
    """A gratuitous ARP or an unsolicited neighbour advertisement."""

    def __init__(self, moment, frame, address, owner, override=True):
        self.time, self.address, self.owner, self.override = moment, address, owner, override
        self.to_mac, self.from_mac = mac(frame[:6]), mac(frame[6:12])


class Capture:
    """Everything that a host sees, from now until packets are asked for."""

    def __init__(self, host):
        Capture.count += 1
        self.path = os.path.join(host.lab.folder, f"capture{Capture.count}.pcap")
        self.process = host.start(f"capture{Capture.count}", "tcpdump", "-i", "eth0", "-U", "--immediate-mode", "-w", self.path)
        wait_until(lambda: "listening on" in self.process.output(), 10, "tcpdump to listen")

    count = 0

    def stop(self):
        time.sleep(0.2)
        self.process.stop()
        self.adverts, self.announcements, self.sources = [], [], []
        for frame, meta in RawPcapReader(self.path):
            self.take(meta.sec + meta.usec / 1e6, frame)
        return self

    def take(self, moment, frame):
        self.sources.append((moment, mac(frame[6:12])))
        kind = frame[12:14]
        if kind == b"\x08\x00" and frame[23] == 112:
            header = 4 * (frame[14] & 15)
            total, = struct.unpack("!H", frame[16:18])
            self.adverts.append(Advert(moment, frame, 4, ipaddress.ip_address(frame[26:30]), ipaddress.ip_address(frame[30:34]), frame[22],
                                       frame[15], frame[14 + header:14 + total]))
        elif kind == b"\x86\xdd" and frame[20] == 112:
            length, = struct.unpack("!H", frame[18:20])
            self.adverts.append(Advert(moment, frame, 6, ipaddress.ip_address(frame[22:38]), ipaddress.ip_address(frame[38:54]), frame[21],
                                       (frame[14] & 15) << 4 | frame[15] >> 4, frame[54:54 + length]))
        elif kind == b"\x08\x06" and frame[28:32] == frame[38:42]:
            self.announcements.append(Announcement(moment, frame, str(ipaddress.ip_address(frame[28:32])), mac(frame[22:28])))
        elif kind == b"\x86\xdd" and frame[20] == 58 and frame[54] == 136 and frame[:2] == b"\x33\x33":
            self.announcements.append(Announcement(moment, frame, str(ipaddress.ip_address(frame[62:78])), mac(frame[80:86]),
                                                   bool(frame[58] & 0x20)))

    def of(self, source, priority=None):
        return [each for each in self.adverts if each.source == source and (priority is None or each.priority == priority)]

    def active_sources(self, family, since):
        """Who has advertised since then; priority 0 says that somebody stops."""
        return {each.source for each in self.adverts if each.family == family and each.time >= since and each.priority != 0}


def ping_once_each(client, *addresses):
    """Each address answers, and only one node does."""
    for address in addresses:
        text = client.run("ping", "-c3", "-i0.1", "-W2", address, check=False).stdout
        assert " 0% packet loss" in text and "DUP!" not in text, text


def config(number, priority, advert="100ms", extra="", virtual=True):
    return f"""
node: lb{number}
cpu: {{forwarders: [0], workers: [0]}}
memory: {{hugepages: off, size: 256MiB}}
ports:
  - {{name: front, device: {{interface: eth0, driver: af_packet}}, addresses: [192.0.2.1{number}/24, "2001:db8::1{number}/64"]}}
vrrp:
  - {{name: public, group: edge, port: front, vrid: {VRID}, priority: {priority}, advert_interval: {advert}, addresses: [{VIP}]{extra}}}
  - {{name: public6, group: edge, port: front, vrid: {VRID}, priority: {priority}, advert_interval: {advert},
     addresses: ["{LINK_LOCAL}", "{VIP6}"]{extra}}}
control: {{socket: "{{socket}}"}}
"""


def client_of(lab):
    return lab.host("client", "192.0.2.10/24", "2001:db8::10/64")


@contextlib.contextmanager
def pair(first_extra="", second_extra="", advert="100ms"):
    with Lab() as lab:
        client = client_of(lab)
        first = Node(lab, "lb1", config(1, 200, advert, first_extra))
        second = Node(lab, "lb2", config(2, 150, advert, second_extra))
        yield client, first, second


def start(*nodes):
    for node in nodes:
        node.start(wait=False, wrapper=FOREGROUND)
    for node in nodes:
        node.wait_ready()


def settled(first, second):
    wait_for_state(first, "active")
    wait_for_state(second, "backup")


def test_pair_elects_the_higher_priority_and_says_so_in_both_families():
    with pair() as (client, first, second):
        capture = Capture(client)
        start(second)
        wait_for_state(second, "active")
        start(first)
        settled(first, second)
        time.sleep(1)
        quiet_since = time.time()
        ping_once_each(client, VIP, VIP6, "192.0.2.11", "192.0.2.12", "2001:db8::12")
        time.sleep(1)
        neighbours = client.ip("neigh", "show", "dev", "eth0")
        capture.stop()
        link_local = {each.source for each in capture.adverts if each.family == 6 and each.priority == 200}
        assert len(link_local) == 1 and link_local.pop().startswith("fe80::")
        assert capture.of("192.0.2.12", 150), "the lower priority took over while it was alone"
        for advert in capture.adverts:
            assert (advert.version, advert.vrid, advert.interval_ms, advert.hop_limit, advert.traffic_class) == (3, VRID, 100, 255, 0xC0)
            assert advert.length_is_right and advert.checksum_covers_pseudo_header
            assert advert.from_mac == (MAC4 if advert.family == 4 else MAC6)
            assert advert.to_mac == ("01:00:5e:00:00:12" if advert.family == 4 else "33:33:00:00:00:12")
            assert advert.destination == ("224.0.0.18" if advert.family == 4 else "ff02::12")
            assert advert.addresses == ([VIP] if advert.family == 4 else [LINK_LOCAL, VIP6])
        assert capture.active_sources(4, quiet_since) == {"192.0.2.11"}
        assert len(capture.active_sources(6, quiet_since)) == 1
        moments = [each.time for each in capture.of("192.0.2.11") if each.time >= quiet_since]
        assert 0.07 < (moments[-1] - moments[0]) / (len(moments) - 1) < 0.13, "adverts are not punctual"
        assert any(f"{VIP} " in line and MAC4 in line for line in neighbours.splitlines()), neighbours
        assert any(f"{VIP6} " in line and MAC6 in line for line in neighbours.splitlines()), neighbours


def test_takeover_announces_every_address_five_times_and_again():
    with pair() as (client, first, second):
        start(first, second)
        settled(first, second)
        capture = Capture(client)
        first.kill()
        wait_for_state(second, "active", 5)
        time.sleep(5.5)
        capture.stop()
        took_over = capture.of("192.0.2.12")[0].time
        for address, owner in ((VIP, MAC4), (VIP6, MAC6), (LINK_LOCAL, MAC6)):
            heard = [each for each in capture.announcements if each.address == address and each.time >= took_over]
            assert [each.owner for each in heard] == [owner] * 10, f"{address}: {len(heard)} announcements"
            assert all(each.from_mac == owner and each.override for each in heard)
            assert heard[4].time - took_over < 1 < 4 < heard[5].time - took_over
            assert heard[0].time >= took_over, "the advert comes first"


def test_backup_never_speaks_for_the_virtual_router():
    with pair() as (client, first, second):
        start(first, second)
        settled(first, second)
        capture = Capture(second.host)
        # Straight to the backup, which a switch would do with a stale table.
        client.ip("neigh", "replace", VIP, "lladdr", second.host.run("cat", "/sys/class/net/eth0/address").stdout.strip(), "dev", "eth0")
        assert client.run("ping", "-c3", "-i0.1", "-W1", VIP, check=False).returncode != 0
        client.ip("neigh", "del", VIP, "dev", "eth0")
        ping_once_each(client, VIP, "192.0.2.12")
        capture.stop()
        assert not capture.of("192.0.2.12"), "a backup advertised"
        assert state(second) == "backup"


def test_stop_says_priority_zero_and_the_peer_follows_after_its_skew():
    with pair() as (client, first, second):
        start(first, second)
        settled(first, second)
        capture = Capture(client)
        assert first.stop() == 0
        wait_for_state(second, "active", 5)
        capture.stop()
        farewell = [each for each in capture.adverts if each.priority == 0]
        assert {each.family for each in farewell} == {4, 6}
        delay = capture.of("192.0.2.12")[0].time - farewell[0].time
        print(f"\npriority 0 to the peer's advert: {1000 * delay:.0f} ms")
        assert 0.03 < delay < 0.2, "skew at priority 150 and 100 ms is 41 ms"
        assert not [each for each in capture.of("192.0.2.11") if each.time > capture.of("192.0.2.12")[0].time + 0.05]


@pytest.mark.parametrize("extra, waits", [(", preempt: false", None), (", preempt_delay: 2s", 2.0), ("", 0.0)])
def test_better_node_that_returns_preempts_as_configured(extra, waits):
    with pair(first_extra=extra) as (client, first, second):
        start(first, second)
        wait_until(lambda: {state(first), state(second)} == {"active", "backup"}, 10, "one active node")
        if state(first) != "active":  # Without preemption whoever is first stays.
            second.stop()
            wait_for_state(first, "active")
            start(second)
        first.kill()
        wait_for_state(second, "active", 5)
        first.plug()
        start(first)
        ready = time.monotonic()
        if waits is None:
            time.sleep(2)
            assert state(first) == "backup" and state(second) == "active"
        else:
            wait_for_state(first, "active", 5)
            waited = time.monotonic() - ready
            assert waits - 0.3 < waited < waits + 1.5
            wait_for_state(second, "backup")
        ping_once_each(client, VIP, VIP6)


def test_pool_that_fails_lowers_the_priority_and_moves_the_group():
    with Lab() as lab:
        site = Site(lab, nodes=2)
        first, second = site.nodes
        # Only the first node's way to the servers is cut: its pool is tracked with a weight that puts it below its peer.
        first.configure(site.config(1, tracking=", track: [{pool: web, weight: -100}]"))
        start(first, second)
        settled(first, second)
        capture = Capture(site.client)
        for host, _ in site.web:
            host.run("nft", "add", "table", "inet", "cut")
            host.run("nft", "add", "chain", "inet", "cut", "input", "{ type filter hook input priority 0; }")
            host.run("nft", "add", "rule", "inet", "cut", "input", "ip", "saddr", "192.0.2.11", "drop")
        wait_for_state(second, "active", 10)
        wait_for_state(first, "backup", 10)
        for host, _ in site.web:
            host.run("nft", "delete", "table", "inet", "cut")
        wait_for_state(first, "active", 10)
        wait_for_state(second, "backup", 10)
        capture.stop()
        assert capture.of("192.0.2.11", 100), "the weight was never advertised"
        last = [each for each in transitions(second) if each.after == "active"][-1]
        assert last.reason.startswith("preempted"), transitions(second)


CRAFT = """
import sys, time
from scapy.all import Ether, IP, Raw, conf, get_if_hwaddr
from scapy.layers.vrrp import VRRPv3
from scapy.utils import checksum
source, kind, seconds = "192.0.2.10", sys.argv[1], float(sys.argv[2])
message = bytearray(bytes(IP(src=source, dst="224.0.0.18", ttl=255, proto=112)/VRRPv3(vrid=51, priority=250, adv=10, addrlist=["192.0.2.100"]))[20:])
if kind != "pseudo":
    message[6:8] = b"\\0\\0"
    message[6:8] = checksum(bytes(message)).to_bytes(2, "big")
if kind == "wrong":
    message[6] ^= 0x55
frame = Ether(src=get_if_hwaddr("eth0"), dst="01:00:5e:00:00:12")/IP(src=source, dst="224.0.0.18", ttl=255, proto=112)/Raw(bytes(message))
socket = conf.L2socket(iface="eth0")
end = time.monotonic() + seconds
while time.monotonic() < end:
    socket.send(frame)
    time.sleep(0.05)
"""


@pytest.mark.parametrize("kind, obeyed", [("pseudo", True), ("rfc9568", True), ("wrong", False)])
def test_both_checksums_of_ipv4_adverts_are_understood_and_wrong_ones_are_not(kind, obeyed):
    with Lab() as lab:
        client = client_of(lab)
        node = Node(lab, "lb1", config(1, 200))
        start(node)
        wait_for_state(node, "active")
        before = len(transitions(node))
        client.run("/usr/bin/python3", "-c", CRAFT, kind, "1")
        if obeyed:
            wait_until(lambda: [each.after for each in transitions(node)[before:] if each.instance == "public"][:1] == ["backup"], 2,
                       "the node to give way")
            wait_for_state(node, "active", 5)
        else:
            assert len(transitions(node)) == before
        instance, = [each for each in node.json("vrrp")["vrrp"] if each["name"] == "public"]
        assert (instance["adverts_received_total"] > 5) == obeyed


# ---- With Keepalived ----

KEEPALIVED_ADDRESS = "192.0.2.31"


class Keepalived:
    def __init__(self, lab, priority):
        self.host = lab.host("keepalived", f"{KEEPALIVED_ADDRESS}/24", "2001:db8::31/64")
        self.folder = lab.folder
        self.path = os.path.join(lab.folder, "keepalived.conf")
        instances = "".join(f"""
vrrp_instance {name} {{
    state BACKUP
    interface eth0
    virtual_router_id {VRID}
    priority {priority}
    advert_int 0.1
    version 3
    virtual_ipaddress {{
        {addresses}
    }}
}}
""" for name, addresses in (("v4", f"{VIP}/24"), ("v6", f"{LINK_LOCAL}/64\n        {VIP6}/64")))
        with open(self.path, "w") as file:
            file.write("global_defs {\n    vrrp_version 3\n}\n" + instances)
        self.starts = 0

    def start(self):
        self.starts += 1
        self.process = self.host.start(f"keepalived{self.starts}", "keepalived", "-n", "-l", "-P", "-f", self.path, "-p",
                                       f"{self.path}.pid", "-r", f"{self.path}.vrrp")

    def is_active(self):
        return VIP in self.host.ip("addr", "show", "dev", "eth0") and VIP6 in self.host.ip("addr", "show", "dev", "eth0")

    def cut_power(self):
        self.host.ip("link", "set", "eth0", "down")
        self.process.kill()
        for pid in run("ip", "netns", "pids", self.host.namespace).stdout.split():  # its child leads a group of its own
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        for file in (f"{self.path}.pid", f"{self.path}.vrrp"):
            with contextlib.suppress(FileNotFoundError):
                os.remove(file)

    def restore_power(self):
        for address in (f"{VIP}/24", f"{VIP6}/64", f"{LINK_LOCAL}/64"):  # kill -9 leaves them behind
            run("ip", "-n", self.host.namespace, "addr", "del", address, "dev", "eth0", check=False)
        self.host.ip("link", "set", "eth0", "up")
        run("ip", "-n", self.host.namespace, "addr", "add", "2001:db8::31/64", "dev", "eth0", "nodad", check=False)


@contextlib.contextmanager
def beside_keepalived(ours, theirs):
    with Lab() as lab:
        client = client_of(lab)
        node = Node(lab, "lb1", config(1, ours))
        keepalived = Keepalived(lab, theirs)
        keepalived.start()
        start(node)
        yield client, node, keepalived


def only(client, node, keepalived, ours):
    """Settled: one of the two is active, in both families, and nobody else advertises."""
    if ours:
        wait_for_state(node, "active")
        wait_until(lambda: not keepalived.is_active(), 10, "Keepalived to give the addresses up")
    else:
        wait_until(keepalived.is_active, 10, "Keepalived to take the addresses")
        wait_for_state(node, "backup")
    time.sleep(0.5)
    since = time.time()
    capture = Capture(client)
    time.sleep(1)
    ping_once_each(client, VIP, VIP6)
    capture.stop()
    assert capture.active_sources(4, since) == {"192.0.2.11" if ours else KEEPALIVED_ADDRESS}
    assert len(capture.active_sources(6, since)) == 1
    return capture


def test_keepalived_active_sluice_takes_over_from_its_stop_and_its_death():
    with beside_keepalived(ours=150, theirs=200) as (client, node, keepalived):
        capture = only(client, node, keepalived, ours=False)
        assert all(each.checksum_covers_pseudo_header for each in capture.adverts)
        keepalived.process.stop()
        only(client, node, keepalived, ours=True)
        keepalived.start()
        only(client, node, keepalived, ours=False)
        died = time.time()
        keepalived.cut_power()
        wait_for_state(node, "active", 5)
        took = next(each.time for each in reversed(transitions(node)) if each.instance == "public") - died
        print(f"\ntook over {1000 * took:.0f} ms after Keepalived died")
        assert took < 1
        keepalived.restore_power()
        keepalived.start()
        only(client, node, keepalived, ours=False)
        assert "differ" not in node.process.output()


def test_sluice_active_keepalived_takes_over_from_its_stop_and_its_death():
    with beside_keepalived(ours=200, theirs=100) as (client, node, keepalived):
        only(client, node, keepalived, ours=True)
        assert node.stop() == 0
        wait_until(keepalived.is_active, 5, "Keepalived to take over after a stop")
        ping_once_each(client, VIP, VIP6)
        start(node)
        only(client, node, keepalived, ours=True)
        died = time.monotonic()
        node.kill()
        wait_until(keepalived.is_active, 5, "Keepalived to take over after a death", 0.005)
        print(f"\nKeepalived took over {1000 * (time.monotonic() - died):.0f} ms after the node died")
        ping_once_each(client, VIP, VIP6)
        node.plug()
        start(node)
        only(client, node, keepalived, ours=True)
