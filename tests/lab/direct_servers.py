"""Servers that hold the virtual addresses on their loopback and answer clients themselves, past the node: HTTP and a UDP echo."""

import os
import socket

from lab import wait_for_port

VIRTUAL = {4: "192.0.2.100", 6: "2001:db8::100"}
FAMILIES = [4, 6]

# Answers from the address that was asked, with the server's name and what it got.
ECHO = """
import selectors, socket, sys
chooser = selectors.DefaultSelector()
for family, address in [(socket.AF_INET, one) for one in sys.argv[2].split(",")] + [(socket.AF_INET6, one) for one in sys.argv[3].split(",")]:
    one = socket.socket(family, socket.SOCK_DGRAM)
    one.bind((address, 7777))
    chooser.register(one, selectors.EVENT_READ)
while True:
    for key, _ in chooser.select():
        data, peer = key.fileobj.recvfrom(65536)
        key.fileobj.sendto(data if data == b"ping" else f"{sys.argv[1]} {peer[0]} ".encode() + data, peer)
"""


class DirectServers:
    """A site with a client and such servers; who derives sets `lab`, `client` and `content`."""

    def __init__(self, lab):
        self.lab = lab
        self.client = self.content = None
        self.webs = {}
        self.www = {}

    def serve(self, host, name, addresses):
        host.run("sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2")
        for family in FAMILIES:
            host.ip("addr", "add", f"{VIRTUAL[family]}/{32 if family == 4 else 128}", "dev", "lo", *(["nodad"] if family == 6 else []))
        nginx = self.lab.nginx(host, f"""
  server {{
    listen 80; listen [::]:80;
    location = /healthz {{ return 200 "ok\\n"; }}
    location = /who {{ return 200 "{name} $server_addr $remote_addr\\n"; }}
    location / {{ dav_methods PUT; }}
  }}""")
        with open(os.path.join(nginx.www, "down.bin"), "wb") as file:
            file.write(self.content)
        host.start("echo", "/usr/bin/python3", "-c", ECHO, name, f"{addresses[4]},{VIRTUAL[4]}", f"{addresses[6]},{VIRTUAL[6]}")
        wait_for_port(host, "127.0.0.1", 80)
        self.webs[name] = host
        self.www[name] = nginx.www

    def get(self, family, path, *words):
        address = VIRTUAL[4] if family == 4 else f"[{VIRTUAL[6]}]"
        return self.client.curl("-f", "-m", "20", *words, f"http://{address}{path}")

    def ask(self, family, data):
        with self.client.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM, 5) as one:
            one.connect((VIRTUAL[family], 7777))
            one.send(data)
            server, who, back = one.recv(65536).split(b" ", 2)
            return server.decode(), who.decode(), back
