"""af_packet with two queues, two forwarders and two workers: whichever core a packet reaches first, its flow has one owner."""

import collections
import hashlib
import os
import random
import threading

import pytest

from lab import Lab, Node, wait_for_port

NODE = "192.0.2.11"
WEB = "192.0.2.21"
SIZE = 4 << 20
TRANSFERS = 12
FLOWS = 64
ROUNDS = 20

CONFIG = f"""
memory: {{hugepages: off, size: 256MiB}}
cpu: {{forwarders: [0, 1], workers: [0, 1]}}
ports: [{{name: front, device: {{interface: eth0, driver: af_packet, queues: 2}}, addresses: [{NODE}/24]}}]
services:
  - {{name: site, listen: {NODE}:80/tcp, proxy: {{routes: [{{pool: web}}]}}}}
  - {{name: forwarded, listen: {NODE}:81/tcp, forward: {{method: fullnat, pool: web}}}}
  - {{name: echo, listen: {NODE}:7777/udp, forward: {{method: fullnat, pool: echo}}}}
pools:
  - {{name: web, balance: rr, servers: [{{address: {WEB}:80}}]}}
  - {{name: echo, balance: rr, servers: [{{address: {WEB}:7001}}, {{address: {WEB}:7002}}]}}
control: {{socket: "{{socket}}"}}
"""
# Drops that would show a packet at a core that does not know its flow or connection.
MISSES = ("no_flow", "tcp_no_connection")

# Answers with the port that got the datagram and where it came from: what a flow looks like to the server.
ECHO = """
import selectors, socket
chooser = selectors.DefaultSelector()
for port in (7001, 7002):
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    one.bind(("0.0.0.0", port))
    chooser.register(one, selectors.EVENT_READ, port)
while True:
    for key, _ in chooser.select():
        data, peer = key.fileobj.recvfrom(65536)
        key.fileobj.sendto(f"{key.data} {peer[0]} {peer[1]} ".encode() + data, peer)
"""
ASK = f"""
import socket
flows = []
for number in range({FLOWS}):
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.connect(("{NODE}", 7777))
    one.settimeout(5)
    flows.append(one)
for turn in range({ROUNDS}):
    for number, one in enumerate(flows):
        one.send(b"%d %d" % (number, turn))
    for one in flows:
        print(one.recv(1000).decode(), flush=True)
"""


@pytest.fixture(scope="module")
def site():
    with Lab() as lab:
        client = lab.host("client", "192.0.2.10/24")
        web = lab.host("web", f"{WEB}/24")
        nginx = lab.nginx(web, "server { listen 80; location / { dav_methods PUT; } }")
        web.start("echo", "/usr/bin/python3", "-c", ECHO)
        wait_for_port(web, "127.0.0.1", 80)
        node = Node(lab, "lb", CONFIG, queues=2)
        node.start()
        yield lab, client, nginx, node
        assert node.stop() == 0, node.process.output()


def misses(node):
    drops = {drop["reason"]: drop["packets_total"] for drop in node.json("drops")["drops"]}
    return {reason: drops[reason] for reason in MISSES}


def counters(node, name):
    return [core["counters"][name] for core in node.json("cores")["cores"]]


def test_both_queues_and_all_roles_are_in_use(site):
    node = site[3]
    assert [port["receive_queues"] for port in node.json("ports")["ports"]] == [2]
    assert [core["roles"] for core in node.json("cores")["cores"]] == [["forwarder", "worker"]] * 2


@pytest.mark.parametrize("port", [80, 81], ids=["proxied", "forwarded"])
def test_parallel_transfers_are_whole_without_a_miss(site, port):
    lab, client, nginx, node = site
    before = misses(node)
    content = random.Random(port).randbytes(SIZE)
    expected = hashlib.sha256(content).hexdigest()
    with open(os.path.join(nginx.www, f"down-{port}"), "wb") as file:
        file.write(content)
    failures = []

    def transfer(number):
        path = os.path.join(lab.folder, f"got-{port}-{number}")
        if number % 2:
            words = ["-o", path, f"http://{NODE}:{port}/down-{port}"]
        else:
            words = ["-T", os.path.join(nginx.www, f"down-{port}"), f"http://{NODE}:{port}/up-{port}-{number}"]
            path = os.path.join(nginx.www, f"up-{port}-{number}")
        result = client.curl("-f", "-m", "90", *words, timeout=100)
        if result.returncode != 0:
            failures.append(result.stderr)
            return
        with open(path, "rb") as file:
            if hashlib.sha256(file.read()).hexdigest() != expected:
                failures.append(f"{path} differs")

    threads = [threading.Thread(target=transfer, args=(number,)) for number in range(TRANSFERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert misses(node) == before == {reason: 0 for reason in MISSES}
    assert all(received > 0 for received in counters(node, "packets_received_total")), "each core has received from its queue"
    assert sum(counters(node, "handoffs_total")) > 0, "and has passed on what the other one owns"


def test_udp_flow_is_the_same_flow_for_every_packet(site):
    _, client, _, node = site
    lines = client.run("/usr/bin/python3", "-c", ASK, timeout=100).stdout.splitlines()
    assert len(lines) == FLOWS * ROUNDS
    seen = collections.defaultdict(set)
    for line in lines:
        server, address, port, flow, _ = line.split()
        seen[flow].add((server, address, port))
    # Two owners of one flow would be two entries, hence two ports or two servers.
    assert len(seen) == FLOWS and all(len(ways) == 1 for ways in seen.values())
    assert len({way for ways in seen.values() for way in ways}) == FLOWS, "no two flows look alike to the server"
    assert misses(node) == {reason: 0 for reason in MISSES}
    flows = [core["use"]["flows"] for core in node.json("cores")["cores"]]
    assert all(count > 0 for count in flows), f"both forwarders own flows: {flows}"
