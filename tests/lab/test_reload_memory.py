"""A thousand reloads with a WebSocket open: it stays, every core follows every generation, and memory stays flat."""

import json
import os
import sys
import time

import pytest

from lab import Lab, Node, wait_for_port, wait_until

NODE = "192.0.2.11"
WARM = 200  # reloads after which the allocators have what they need
RELOADS = int(os.environ.get("SLUICE_RELOADS", "1000"))  # half a minute on a machine that does nothing else
# The record of events grows until it holds 10,000: some hundred bytes for each of the few that a reload here makes. A
# generation that stayed would cost a hundred times that (its Maglev table alone is larger).
EVENTS = 2 << 10
SLACK = 512 << 10

FIRST = """
node: lb1
memory: {hugepages: off, size: 128MiB}
cpu: {forwarders: [0], workers: [0, 1]}
ports: [{name: front, device: {interface: eth0, driver: af_packet}, addresses: [192.0.2.11/24]}]
vrrp: [{name: public, port: front, vrid: 51, priority: 200, advert_interval: 100ms, addresses: [192.0.2.100]}]
services:
  - {name: site, listen: 192.0.2.11:80/tcp, proxy: {routes: [{pool: origin}]}}
  - name: tls
    listen: 192.0.2.100:443/tcp
    proxy: {tls: {certificates: [{cert: site.crt, key: site.key}], ticket_keys: [tickets.key]}, routes: [{pool: origin}]}
  - {name: echo, listen: 192.0.2.100:7777/udp, forward: {method: fullnat, pool: echo}}
pools:
  - {name: origin, servers: [{address: 192.0.2.24:8080}], health: {tcp: {}, interval: 1s}}
  - {name: echo, balance: mh, servers: [{address: 192.0.2.24:7001}, {address: 192.0.2.24:7002, weight: 3}]}
control: {socket: "{socket}"}
"""
# As much as can differ: a service and a pool more, another route, header rules, timeouts, weights, a check, a priority, a track.
SECOND = FIRST.replace("priority: 200", "priority: 150").replace("addresses: [192.0.2.100]}]", "addresses: [192.0.2.100], track: [{pool: more, weight: -10}]}]") \
    .replace("proxy: {routes: [{pool: origin}]}}", """proxy: {timeouts: {header: 5s}, routes: [
      {match: {host: "*.example.org", path: {prefix: /v2/}}, pool: more, headers: {request: {set: {X-Env: two}}}},
      {match: {path: {exact: /two}}, respond: {body: "two\\n"}}, {pool: origin}]}}""") \
    .replace("services:", "services:\n  - {name: more, listen: 192.0.2.11:8081/tcp, proxy: {routes: [{pool: more}]}}") \
    .replace("weight: 3", "weight: 1") \
    .replace("pools:", "pools:\n  - {name: more, balance: rr, servers: [{address: 192.0.2.24:8080, name: other}], health: {http: {path: /healthz}, interval: 2s}}")

WEBSOCKET = """
import os, signal, socket, sys, time
over = []
signal.signal(signal.SIGTERM, lambda *_: over.append(1))
one = socket.create_connection((sys.argv[1], 80), 5)
one.sendall(b"GET /websocket HTTP/1.1\\r\\nHost: a.example\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n"
            b"Sec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n\\r\\n")
head = b""
while not head.endswith(b"\\r\\n\\r\\n"):
    head += one.recv(1)
assert head.startswith(b"HTTP/1.1 101 "), head
print("open", flush=True)
count = 0
while not over:
    data = os.urandom(100)
    frame = bytes((0x82, 0x80 | len(data))) + bytes(4) + data
    one.sendall(frame)
    back = b""
    while len(back) < len(frame):
        piece = one.recv(len(frame) - len(back))
        if not piece:
            print("closed after", count, flush=True)
            sys.exit(1)
        back += piece
    assert back == frame
    count += 1
    time.sleep(0.02)
print(count, flush=True)
"""


@pytest.fixture
def site():
    with Lab() as lab:
        client = lab.host("client", "192.0.2.10/24")
        origin = lab.host("origin", "192.0.2.24/24")
        journal = os.path.join(lab.folder, "journal")
        origin.start("origin", "/usr/bin/python3", os.path.join(os.path.dirname(os.path.abspath(__file__)), "origin.py"), 8080, journal)
        wait_for_port(origin, "127.0.0.1", 8080)
        certificate, key = lab.certificate("site.example")
        node = Node(lab, "lb", FIRST, files={"site.crt": certificate, "site.key": key, "tickets.key": os.urandom(80)})
        node.start()
        yield lab, client, node


def reload(node, text):
    node.configure(text)
    answer = node.json("reload")
    assert answer["applied"], answer
    assert answer["taken_up"], "a core still uses the generation before, when the next one may come"
    return answer["generation"]


def test_reloads_keep_the_websocket_and_the_memory(site):
    lab, client, node = site
    assert RELOADS > WARM and RELOADS % 50 == 0
    socket = client.start("websocket", "/usr/bin/python3", "-u", "-c", WEBSOCKET, NODE)
    wait_until(lambda: "open" in socket.output() or not socket.running(), 10, "the WebSocket to open")
    assert socket.running(), socket.output()
    sizes = {}
    begin = time.monotonic()
    for number in range(1, RELOADS + 1):
        generation = reload(node, SECOND if number % 2 else FIRST)
        live = node.json("status")["configuration"]["live_generations"]
        assert live <= 2, f"{live} generations are alive after reload {number}, with nothing but a tunnel open"
        if number % 50 == 0:
            sizes[number] = node.resident_bytes()
            # The new file is in force, not merely accepted.
            assert client.curl("-m", "5", f"http://{NODE}/two").stdout == "origin /two\n"
    assert generation > RELOADS  # what the health checks decide makes generations too
    print({number: size >> 10 for number, size in sizes.items()}, f"{time.monotonic() - begin:.1f} s")
    assert sizes[RELOADS] - sizes[WARM] <= SLACK + EVENTS * (RELOADS - WARM), sizes
    reload(node, SECOND)
    assert client.curl("-m", "5", f"http://{NODE}/two").stdout == "two\n"
    assert socket.running(), socket.output()
    assert socket.stop() == 0, socket.output()
    assert int(socket.output().split()[-1]) >= 50, "frames went back and forth"
    states = [event["to"] for event in events(node) if event["kind"] == "vrrp" and event["to"] in ("init", "backup", "active")]
    assert states.count("active") == 1 and states[-1] == "active", "no VRRP transition"
    assert node.stop() == 0


def events(node):
    return [json.loads(line) for line in node.ctl("--json", "events").stdout.splitlines()]
