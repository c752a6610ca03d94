"""10 MiB each way where both legs lose, duplicate and reorder packets: byte-identical, and not much slower than Linux to Linux.

client ─ relay ─┬─ node ── (proxies to the web server)
                ├─ linux ─ (Nginx that does the same with the kernel's TCP)
web ──── relay ─┘
"""

import contextlib
import hashlib
import os
import random
import statistics
import time

import pytest

from lab import BUILD, Lab, Node, run, wait_for_port, wait_until

RELAY = os.path.join(BUILD, "lab_relay")
SIZE = 10 << 20
ROUNDS = 5
DROP, DUPLICATE, REORDER = 20, 10, 10  # of 1000 packets, each way, on either leg
NODE = "192.0.2.11"
LINUX = "192.0.2.12"
WEB = "192.0.2.21"
MOST = 3  # times what Linux takes, in the middle of all rounds: a timeout more or less on either side is chance

CONFIG = f"""
memory: {{hugepages: off, size: 256MiB}}
cpu: {{forwarders: [0], workers: [0]}}
ports: [{{name: front, device: {{interface: eth0, driver: af_packet}}, addresses: [{NODE}/24]}}]
services: [{{name: site, listen: {NODE}:80/tcp, proxy: {{routes: [{{pool: web}}]}}}}]
pools: [{{name: web, servers: [{{address: {WEB}:80}}]}}]
control: {{socket: "{{socket}}"}}
"""


def relay(lab, host, seed):
    """Puts the relay into the cable between a host and the switch."""
    hub = f"{lab.prefix}-hub"
    outer, inner = f"{host.name}-o", f"{host.name}-i"
    run("ip", "-n", hub, "link", "add", outer, "type", "veth", "peer", "name", inner)
    for link in (outer, inner):
        run("ip", "netns", "exec", hub, "ethtool", "-K", link, "tx", "off", "tso", "off", "gso", "off", "gro", "off")
        run("ip", "-n", hub, "link", "set", link, "up")
    run("ip", "-n", hub, "link", "set", host.link, "nomaster")
    run("ip", "-n", hub, "link", "set", outer, "master", "br0")
    process = lab.start(f"relay-{host.name}", ["ip", "netns", "exec", hub, RELAY, host.link, inner, seed, DROP, DUPLICATE, REORDER])
    wait_until(lambda: "started" in process.output() or not process.running(), 10, "the relay")
    assert process.running(), process.output()
    return process


def hurry(lab):
    """Before other users of this machine: the kernel's TCP does not wait for its turn, and a wait here is a wait of TCP there."""
    for process in lab.processes:
        with contextlib.suppress(FileNotFoundError), open(f"/proc/{process.pid}/autogroup", "w") as file:
            file.write("-12")


@pytest.fixture(scope="module")
def site():
    with Lab() as lab:
        client = lab.host("client", "192.0.2.10/24")
        linux = lab.host("linux", f"{LINUX}/24")
        web = lab.host("web", f"{WEB}/24")
        for host in (client, linux, web):
            # The same congestion control everywhere (a sender that ignores loss would compare policies, not the repair of losses).
            host.run("sysctl", "-qw", "net.ipv4.tcp_congestion_control=reno", "net.ipv4.tcp_no_metrics_save=1")
        nginx = lab.nginx(web, "server { listen 80; location / { dav_methods PUT; } }")
        lab.nginx(linux, f"""
  upstream web {{ server {WEB}:80; keepalive 8; }}
  server {{ listen 80; location / {{
    proxy_pass http://web; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; proxy_request_buffering off;
  }} }}""")
        node = Node(lab, "lb", CONFIG)
        node.start()
        content = random.Random(7).randbytes(SIZE)
        with open(os.path.join(nginx.www, "down.bin"), "wb") as file:
            file.write(content)
        path = os.path.join(lab.folder, "up.bin")
        with open(path, "wb") as file:
            file.write(content)
        for address in (NODE, LINUX):
            wait_for_port(client, address, 80)
        relays = [relay(lab, client, 11), relay(lab, web, 12)]
        hurry(lab)
        yield lab, client, nginx, node, path, hashlib.sha256(content).hexdigest()
        for one in relays:
            assert one.stop() == 0
            print(one.output())


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def download(site, address):
    lab, client, _, _, _, expected = site
    path = os.path.join(lab.folder, "got.bin")
    begin = time.monotonic()
    result = client.curl("-f", "-m", "60", "-o", path, f"http://{address}/down.bin", timeout=90)
    took = time.monotonic() - begin
    assert result.returncode == 0, result.stderr
    assert digest(path) == expected
    return took


def upload(site, address):
    _, client, nginx, _, path, expected = site
    name = f"put-{address}"
    begin = time.monotonic()
    result = client.curl("-f", "-m", "60", "-T", path, f"http://{address}/{name}", timeout=90)
    took = time.monotonic() - begin
    assert result.returncode == 0, result.stderr
    assert digest(os.path.join(nginx.www, name)) == expected
    return took


@pytest.mark.parametrize("transfer", [download, upload])
def test_transfer_over_legs_with_faults_is_whole_and_keeps_up_with_linux(site, transfer):
    node = site[3]
    times = {LINUX: [], NODE: []}
    for _ in range(ROUNDS):  # in turn, so that both meet the same machine
        for address, took in times.items():
            took.append(transfer(site, address))
    print(transfer.__name__, {address: [round(one, 2) for one in took] for address, took in times.items()})
    assert statistics.median(times[NODE]) <= MOST * statistics.median(times[LINUX]), f"{times}\n{node.process.output()}"
