"""The example site of the demo and of most end-to-end tests: a client, a pair of Sluice nodes, two Nginx, a UDP echo.

All on one switch, 192.0.2.0/24 and 2001:db8::/64:
  client .10   lb1 .11   lb2 .12   web1 .21   web2 .22   echo .23   virtual .100 (IPv4) and ::100 (IPv6)
"""

import json
import os

from lab import LabError, Node, wait_for_port

VIP = "192.0.2.100"
VIP6 = "2001:db8::100"
ECHO_PORT = 7777

ECHO_PROGRAM = f"""
import socket
sockets = []
import selectors
chooser = selectors.DefaultSelector()
for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
    one = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    one.bind((address, {ECHO_PORT}))
    chooser.register(one, selectors.EVENT_READ)
while True:
    for key, _ in chooser.select():
        data, peer = key.fileobj.recvfrom(65536)
        key.fileobj.sendto(data, peer)
"""


def site_config(name, number, priority, driver="af_xdp", advert="100ms", extra_services="", extra_pools="", pools=None, idle="adaptive", cpu=None, stop=None,
                tracking="", memory="off", routes="[{pool: web}]", gateway="", health="health: {http: {path: /healthz}, interval: 200ms, timeout: 150ms}"):
    """The file of one node. Both nodes differ in their name, own addresses and priority only."""
    pools = pools or f"""
  - name: web
    servers:
      - {{address: 192.0.2.21:80, name: web1}}
      - {{address: 192.0.2.22:80, name: web2}}
    {health}
  - {{name: echo, balance: mh, servers: [{{address: 192.0.2.23:{ECHO_PORT}}}]}}
"""
    cpu = cpu or f"{{forwarders: [0], workers: [0, 1], idle: {idle}}}"
    return f"""
node: {name}
cpu: {cpu}
memory: {{hugepages: {memory}, size: 384MiB}}
ports:
  - name: front
    device: {{interface: eth0, driver: {driver}}}
    addresses: [192.0.2.{number}/24, "2001:db8::{number}/64"]
    {f"routes: [{{to: 0.0.0.0/0, via: {gateway}}}]" if gateway else ""}
vrrp:
  - {{name: public, group: edge, port: front, vrid: 51, priority: {priority}, advert_interval: {advert}, addresses: [{VIP}]{tracking}}}
  - {{name: public6, group: edge, port: front, vrid: 51, priority: {priority}, advert_interval: {advert},
     addresses: ["fe80::100", "{VIP6}"]{tracking}}}
services:
  - name: site
    listen: ["{VIP}:80/tcp", "[{VIP6}]:80/tcp"]
    proxy:
      routes: {routes}
  - name: site-tls
    listen: ["{VIP}:443/tcp", "[{VIP6}]:443/tcp"]
    proxy:
      tls: {{certificates: [{{cert: site.crt, key: site.key}}], ticket_keys: [tickets.key]}}
      routes: {routes}
  - name: echo
    listen: {VIP}:{ECHO_PORT}/udp
    forward: {{method: fullnat, pool: echo}}
{extra_services}
pools:{pools}{extra_pools}
stop: {stop or '{drain: 2s, timeout: 20s}'}
control: {{socket: "{{socket}}"}}
"""


ORIGIN_SERVICES = f"""
  - name: origin
    listen: "{VIP}:8080/tcp"
    proxy:
      timeouts: {{handshake: 2s, header: 2s, body: 2s, keepalive: 30s, tunnel: 30s}}
      routes:
        - {{match: {{path: {{prefix: /refused/}}}}, pool: refused}}
        - {{match: {{path: {{prefix: /absent/}}}}, pool: absent}}
        - {{match: {{path: {{prefix: /silent/}}}}, pool: silent}}
        - {{match: {{path: {{prefix: /down/}}}}, pool: down}}
        - {{match: {{path: {{prefix: /one-refuses/}}}}, pool: one-refuses}}
        - {{match: {{path: {{prefix: /}}}}, pool: origin}}
  - name: origin-tls
    listen: "{VIP}:8443/tcp"
    proxy:
      tls: {{certificates: [{{cert: site.crt, key: site.key}}], ticket_keys: [tickets.key]}}
      timeouts: {{handshake: 2s, header: 2s, body: 2s, keepalive: 30s, tunnel: 30s}}
      routes: [{{pool: origin}}]
  - name: narrow
    listen: "{VIP}:8081/tcp"
    proxy:
      limits: {{header: 4KiB, body: 64KiB}}
      timeouts: {{header: 1s, body: 1s, keepalive: 2s}}
      routes:
        - {{match: {{host: one.example}}, pool: origin}}
        - {{match: {{host: "*.many.example"}}, pool: origin}}
        - {{match: {{path: {{exact: /moved}}}}, redirect: {{scheme: https, status: 308}}}}
        - {{match: {{path: {{exact: /here}}}}, respond: {{status: 200, body: "answered here\\n"}}}}
  - name: tcp-forward
    listen: "{VIP}:9000/tcp"
    forward: {{method: fullnat, pool: forwarded}}
  - name: nobody-udp
    listen: "{VIP}:9001/udp"
    forward: {{method: fullnat, pool: down-forward}}
  - name: nobody-tcp
    listen: "{VIP}:9001/tcp"
    forward: {{method: fullnat, pool: down-forward}}
  - name: silent-tcp
    listen: "{VIP}:9002/tcp"
    forward: {{method: fullnat, pool: down-forward, no_server: drop}}
"""
ORIGIN_POOLS = """
  - name: origin
    servers: [{address: 192.0.2.24:8080}]
    timeouts: {connect: 1s, response: 2s, keepalive: 30s}
  - {name: refused, servers: [{address: 192.0.2.24:9}], timeouts: {connect: 1s}}
  - {name: silent, servers: [{address: 192.0.2.24:11}], timeouts: {connect: 1s}}
  - {name: absent, servers: [{address: 192.0.2.99:80}], timeouts: {connect: 1s}}
  - {name: one-refuses, balance: rr, servers: [{address: 192.0.2.24:9}, {address: 192.0.2.24:8080}]}
  - {name: down, servers: [{address: 192.0.2.24:9}], health: {tcp: {}, interval: 1s, timeout: 500ms}}
  - {name: forwarded, servers: [{address: 192.0.2.24:8080}]}
  - {name: down-forward, servers: [{address: 192.0.2.24:10}], health: {tcp: {port: 9}, interval: 1s, timeout: 500ms}}
"""


class Site:
    """Builds the site; nodes are made but not started."""

    def __init__(self, lab, nodes=2, **options):
        self.lab = lab
        self.options = options
        self.client = lab.host("client", "192.0.2.10/24", "2001:db8::10/64")
        self.web = []
        for number in (1, 2):
            host = lab.host(f"web{number}", f"192.0.2.2{number}/24", f"2001:db8::2{number}/64")
            nginx = lab.nginx(host, f"""
  server {{
    listen 80; listen [::]:80;
    location = /healthz {{ return 200 "well\\n"; }}
    location = / {{ return 200 "web{number}\\n"; }}
    location / {{ }}
    location /put/ {{ dav_methods PUT; create_full_put_path on; client_body_buffer_size 1m; }}
    location /slow {{ limit_rate 64k; }}
  }}""")
            self.web.append((host, nginx))
        self.echo = lab.host("echo", "192.0.2.23/24", "2001:db8::23/64")
        self.echo.start("server", "/usr/bin/python3", "-c", ECHO_PROGRAM)
        certificate, key = lab.certificate("site.example", "*.site.example")
        tickets = os.urandom(80)
        self.files = {"site.crt": certificate, "site.key": key, "tickets.key": tickets}
        self.nodes = [Node(lab, f"lb{number}", self.config(number), files=self.files) for number in range(1, nodes + 1)]
        for host, _ in self.web:
            wait_for_port(host, "127.0.0.1", 80)

    def config(self, number, **more):
        options = {**self.options, **more}
        return site_config(f"lb{number}", 10 + number, 250 - 50 * number, **options)

    def start(self):
        for node in self.nodes:
            node.start(wait=False)
        for node in self.nodes:
            node.wait_ready()
        return self

    def active(self):
        """The node that answers for the virtual address, by its own word."""
        for node in self.nodes:
            if node.process and node.process.running() and node.vrrp_state() == "active":
                return node
        raise LabError("no node is active")

    def wait_active(self, number=0, timeout=15):
        """Waits until this node has the addresses of both families and every other one that runs is backup."""
        self.nodes[number].wait_vrrp("active", timeout)
        for other in self.nodes:
            if other is not self.nodes[number] and other.process and other.process.running():
                other.wait_vrrp("backup", timeout)
        return self.nodes[number]


class OriginSite(Site):
    """The site with origin.py behind services of its own: 8080 (in clear), 8443 (TLS), 8081 (with tight limits), and forwarding on 9000-9002."""

    def __init__(self, lab, nodes=1, **options):
        self.origin = lab.host("origin", "192.0.2.24/24", "2001:db8::24/64")
        self.journal_path = os.path.join(lab.folder, "origin.journal")
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "origin.py")
        self.clear_journal()
        self.origin.start("origin", "/usr/bin/python3", program, 8080, self.journal_path)
        wait_for_port(self.origin, "127.0.0.1", 8080)
        super().__init__(lab, nodes, extra_services=ORIGIN_SERVICES, extra_pools=ORIGIN_POOLS, **options)

    def clear_journal(self):
        open(self.journal_path, "w").close()

    def journal(self):
        """The requests that reached the origin, in their order."""
        with open(self.journal_path) as file:
            return [json.loads(line) for line in file]


class RoutedSite(Site):
    """The site with its client behind a router: 198.51.100.10, through 192.0.2.1."""

    def __init__(self, lab, nodes=1, **options):
        super().__init__(lab, nodes, gateway="192.0.2.1", **options)
        lab.make_hub("far")
        self.router = lab.host("router", "192.0.2.1/24")
        lab.join(self.router.namespace, "eth1", "far", "router1")
        self.router.run("ethtool", "-K", "eth1", "tx", "off", "tso", "off", "gso", "off", "gro", "off")
        self.router.ip("addr", "add", "198.51.100.1/24", "dev", "eth1")
        self.router.ip("link", "set", "eth1", "up")
        self.router.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.send_redirects=0", "net.ipv4.conf.eth0.send_redirects=0")
        self.far = lab.host("far-client", "198.51.100.10/24", hub="far")
        self.far.ip("route", "add", "default", "via", "198.51.100.1")
