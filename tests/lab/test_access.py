"""Who may come, and how fast: lists of thousands of networks from an included file, changed by reloads under traffic; rates of
new flows at a proxy and at a forwarded service."""

import http.client
import ipaddress
import json
import socket

import pytest

from lab import Lab, Node, wait_for_port

NODE = "192.0.2.30"
FRIEND, STRANGER = "192.0.2.10", "192.0.2.66"

CONFIG = """
include: [lists.yaml]
memory: {hugepages: off, size: 256MiB}
cpu: {forwarders: [0], workers: [0]}
ports: [{name: front, device: {interface: eth0, driver: af_packet}, addresses: [192.0.2.30/24]}]
services:
  - {name: site, listen: "192.0.2.30:80/tcp", clients: {deny: [blocked]}, proxy: {routes: [{pool: web}]}}
  - {name: echo, listen: "192.0.2.30:7777/udp", clients: {deny: [blocked], new_flows_per_source: 5/s}, forward: {pool: echo}}
  - {name: inner, listen: "192.0.2.30:81/tcp", clients: {allow: [192.0.2.10/32]}, proxy: {routes: [{pool: web}]}}
pools:
  - {name: web, servers: [{address: "192.0.2.21:80"}]}
  - {name: echo, servers: [{address: "192.0.2.21:7777"}]}
control: {socket: "{socket}"}
"""

ECHO = """
import socket
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.bind(("0.0.0.0", 7777))
print("started", flush=True)
while True:
    one.sendto(*one.recvfrom(2048))
"""


def lists(*more):
    """Five thousand networks, and these."""
    first = int(ipaddress.ip_address("198.18.0.0"))
    networks = [f"{ipaddress.ip_address(first + 16 * number)}/29" for number in range(5000)] + list(more)
    return "lists:\n  - name: blocked\n    networks:\n" + "".join(f"      - {network}\n" for network in networks)


@pytest.fixture(scope="module")
def lab():
    with Lab() as made:
        yield made


@pytest.fixture(scope="module")
def client(lab):
    return lab.host("client", f"{FRIEND}/24", f"{STRANGER}/24")


@pytest.fixture(scope="module")
def node(lab, client):
    origin = lab.host("origin", "192.0.2.21/24")
    lab.nginx(origin, 'server { listen 80; location / { return 200 "here\\n"; } }')
    origin.start("echo", "/usr/bin/python3", "-c", ECHO)
    wait_for_port(origin, "192.0.2.21", 80)
    return Node(lab, "node", CONFIG, files={"lists.yaml": lists(f"{STRANGER}/32")}).start()


def dropped(node, reason):
    return sum(drop["packets_total"] for drop in node.json("drops")["drops"] if drop["reason"] == reason)


def asks(client, address, port=80, timeout=1):
    return client.curl("--interface", address, "--max-time", timeout, f"http://{NODE}:{port}/").returncode == 0


def answered(client, address, flows):
    """How many of these new UDP flows come back."""
    sockets = [client.socket(kind=socket.SOCK_DGRAM, timeout=0.3) for _ in range(flows)]
    for one in sockets:
        one.bind((address, 0))
        one.sendto(b"x", (NODE, 7777))
    count = 0
    for one in sockets:
        try:
            count += one.recv(100) == b"x"
            one.settimeout(0.3)
        except TimeoutError:
            one.settimeout(0.01)
        one.close()
    return count


def test_blocked_network_is_kept_out_until_a_reload_lets_it_in(node, client):
    before = dropped(node, "client_denied")
    assert asks(client, FRIEND) and not asks(client, STRANGER)
    assert answered(client, STRANGER, 1) == 0
    assert dropped(node, "client_denied") >= before + 2
    kept = client.connect(NODE, 80)
    connection = http.client.HTTPConnection(NODE, 80)
    connection.sock = kept
    node.write("lists.yaml", lists(f"{FRIEND}/32"))
    node.ctl("reload")
    assert asks(client, STRANGER) and not asks(client, FRIEND)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"here\n", "what is open stays open"
    kept.close()
    node.write("lists.yaml", lists(f"{STRANGER}/32"))
    node.ctl("reload")
    assert asks(client, FRIEND) and not asks(client, STRANGER)


def test_wrong_network_in_the_list_is_refused_by_its_line_and_changes_nothing(node, client):
    node.write("lists.yaml", lists("203.0.113.9/24"))
    refused = node.ctl("reload", check=False)
    assert refused.returncode == 3
    assert "lists.yaml:5004:9: error: `203.0.113.9/24` has bits beyond its length" in refused.stdout + refused.stderr
    assert asks(client, FRIEND) and not asks(client, STRANGER)
    node.write("lists.yaml", lists(f"{STRANGER}/32"))
    node.ctl("reload")


def test_allowed_network_alone_is_let_in(node, client):
    assert asks(client, FRIEND, port=81) and not asks(client, STRANGER, port=81)


def test_source_opens_no_more_flows_than_its_rate_and_keeps_those_it_has(node, client):
    one = client.socket(kind=socket.SOCK_DGRAM, timeout=5)
    one.bind((FRIEND, 0))
    one.sendto(b"first", (NODE, 7777))
    assert one.recv(100) == b"first"
    before = dropped(node, "source_rate_exceeded")
    assert answered(client, FRIEND, 40) <= 15, "five at once, and five in each second of the test"
    assert dropped(node, "source_rate_exceeded") >= before + 25
    one.sendto(b"again", (NODE, 7777))
    assert one.recv(100) == b"again"
    one.close()


def steps(node, *words):
    answer = node.json("explain-flow", *words)
    return answer["passes"], {step["step"]: step for step in answer["steps"]}


def test_explained_flow_is_what_happens_and_names_the_lines(node, client):
    with open(node.path) as file:
        lines = file.read().splitlines()

    def line(step):
        assert step["file"] == node.path
        return lines[step["line"] - 1]

    passes, said = steps(node, "udp", f"{FRIEND}:5555", f"{NODE}:7777")
    assert passes and said["verdict"]["decision"] == "forwarded"
    assert said["flow"]["decision"] == "new"
    assert said["server"]["decision"] == "192.0.2.21:7777" and "name: echo, servers" in line(said["server"])
    assert "name: echo, listen" in line(said["service"]) and "(reachable)" in said["next_hop"]["decision"]
    source = said["method"]["decision"].removeprefix("fullnat from 192.0.2.30:")

    one = client.socket(kind=socket.SOCK_DGRAM, timeout=5)
    one.bind((FRIEND, 5555))
    one.sendto(b"x", (NODE, 7777))
    assert one.recv(100) == b"x"
    one.close()
    flows = [json.loads(text) for text in node.ctl("--json", "connections", "--client", f"{FRIEND}:5555").stdout.splitlines()]
    assert [flow["local"] for flow in flows if flow.get("protocol") == "udp"] == [f"192.0.2.30:{source}"]
    assert steps(node, "udp", f"{FRIEND}:5555", f"{NODE}:7777")[1]["flow"]["decision"].startswith("known")

    passes, said = steps(node, "tcp", f"{STRANGER}:5555", f"{NODE}:80")
    assert not passes and said["verdict"]["decision"] == "dropped: client_denied" and "deny: [blocked]" in line(said["clients"])
    passes, said = steps(node, "tcp", f"{FRIEND}:5555", f"{NODE}:80")
    assert passes and said["verdict"]["decision"] == "given to the worker"
    passes, said = steps(node, "tcp", f"{FRIEND}:5555", f"{NODE}:9")
    assert not passes and said["verdict"]["decision"] == "answered with a TCP reset: no_service"
    assert not steps(node, "udp", f"{FRIEND}:5555", "198.51.100.1:53")[0]
    shown = node.ctl("explain-flow", "tcp", f"{STRANGER}:5555", f"{NODE}:80").stdout
    assert "STEP" in shown and f"{node.path}:" in shown and "client_denied" in shown
    wrong = node.ctl("explain-flow", "udp", "nonsense", f"{NODE}:7777", check=False)
    assert wrong.returncode == 64 and "`nonsense` is no ADDR:PORT" in wrong.stderr
