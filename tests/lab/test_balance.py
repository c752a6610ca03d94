"""Layer 4 chooses servers: least connections by what is really open, persistence, limits; with the counts that an operator sees.

client ══ hub ══ node
           ╚═ farm (three servers on one host: 8081, 8082, 8083)
"""

import collections
import time

import pytest

from lab import Lab, Node, wait_until

SERVICE = "192.0.2.100"
PORTS = ("8081", "8082", "8083")

CONFIG = """
memory: {hugepages: off, size: 256MiB}
cpu: {forwarders: [0, 1], workers: [0]}
ports: [{name: front, device: {interface: eth0, driver: af_packet}, addresses: [192.0.2.11/24]}]
vrrp: [{name: public, port: front, vrid: 51, priority: 200, advert_interval: 100ms, addresses: [192.0.2.100]}]
services:
  - {name: least, listen: 192.0.2.100:80/tcp, forward: {pool: least, timeouts: {tcp_fin: 1s}}}
  - {name: sticky, listen: 192.0.2.100:81/tcp, forward: {pool: sticky, timeouts: {tcp_fin: 1s}, persistence: {timeout: 2s}}}
  - {name: limited, listen: 192.0.2.100:82/tcp, forward: {pool: limited, timeouts: {tcp_fin: 1s}}}
pools:
  - {name: sticky, balance: rr, servers: [{address: 192.0.2.20:8081}, {address: 192.0.2.20:8082}, {address: 192.0.2.20:8083}]}
  - {name: limited, balance: fo, servers: [{address: 192.0.2.20:8081, weight: 9, limits: {upper: 3, lower: 2}}, {address: 192.0.2.20:8082}]}
  - {name: least, balance: lc, servers: [{address: 192.0.2.20:8081}, {address: 192.0.2.20:8082}, {address: 192.0.2.20:8083}]}
control: {socket: "{socket}"}
"""

# Says which port it is and keeps the connection until the client closes it.
SERVER = """
import asyncio
async def serve(reader, writer):
    writer.write(b"%d\\n" % writer.get_extra_info("sockname")[1])
    await reader.read()
    writer.close()
async def main():
    for port in (8081, 8082, 8083):
        await asyncio.start_server(serve, "0.0.0.0", port)
    await asyncio.Event().wait()
asyncio.run(main())
"""


class Site:
    def __init__(self, lab):
        self.client = lab.host("client", "192.0.2.30/24", "192.0.2.31/24")
        self.farm = lab.host("farm", "192.0.2.20/24")
        self.farm.start("servers", "/usr/bin/python3", "-c", SERVER)
        self.node = Node(lab, "lb", CONFIG)
        self.node.start()
        wait_until(lambda: self.node.vrrp_state() == "active", 15, "the node to be active")
        wait_until(lambda: self.works(), 10, "the servers behind the node", 0.1)

    def works(self):
        try:
            self.open(80)[0].close()
            return True
        except OSError:
            return False

    def open(self, port, source=None):
        """A connection, and the server that it ended at."""
        time.sleep(0.002)  # Forwarders learn within a millisecond what the others have done.
        one = self.client.socket()
        if source:
            one.bind((source, 0))
        one.connect((SERVICE, port))
        return one, one.recv(64).decode().strip()

    def flows(self, pool):
        """Active and inactive flows of each server."""
        return {item["address"].split(":")[1]: (item["flows_active"], item["flows_inactive"])
                for item in self.node.json("servers")["servers"] if item["pool"] == pool}

    def quiet_but(self, pool, flows):
        wait_until(lambda: sum(sum(pair) for pair in self.flows(pool).values()) == flows, 10, "closed flows to be forgotten", 0.1)

    def quiet(self, pool):
        wait_until(lambda: set(self.flows(pool).values()) == {(0, 0)}, 10, "the flows of before to be forgotten", 0.1)


@pytest.fixture(scope="module")
def site():
    with Lab() as lab:
        one = Site(lab)
        yield one
        assert one.node.stop() == 0, one.node.process.output()


def test_least_connections_follow_what_is_open(site):
    site.quiet("least")
    held = [site.open(80) for _ in range(12)]
    counts = collections.Counter(port for _, port in held)
    assert set(counts) == set(PORTS) and max(counts.values()) - min(counts.values()) <= 1, counts
    wait_until(lambda: site.flows("least") == {port: (counts[port], 0) for port in PORTS}, 5, "sluicectl to count them")
    for one, port in held:
        if port == "8082":
            one.close()
    wait_until(lambda: site.flows("least")["8082"][0] == 0, 5, "closed flows to be inactive")
    # What is established is lighter there by four, and inactive flows weigh little.
    fresh = [site.open(80) for _ in range(counts["8082"])]
    assert {port for _, port in fresh} == {"8082"}, [port for _, port in fresh]
    for one, _ in held + fresh:
        one.close()


def test_persistence_keeps_a_client_while_it_has_flows_and_until_its_server_is_drained(site):
    held, first = site.open(81)
    assert {site.open(81)[1] for _ in range(9)} == {first}, "nine more flows of the client, on both forwarders"
    other = {site.open(81, "192.0.2.31")[1] for _ in range(3)}
    assert len(other) == 1 and other != {first}, "another client, the next in turn"
    # Its time is over, but a flow of it is there.
    site.quiet_but("sticky", 1)
    time.sleep(2.5)
    assert site.open(81)[1] == first
    site.node.ctl("drain", f"sticky/192.0.2.20:{first}")
    moved = site.open(81)[1]
    assert moved != first and site.open(81)[1] == moved, "drain overrides it, and the client stays where it went"
    held.send(b"x")  # Existing flows go on.
    assert site.flows("sticky")[first][0] == 1
    site.node.ctl("undrain", f"sticky/192.0.2.20:{first}")
    assert site.open(81)[1] == moved
    held.close()


def test_server_at_its_limit_gets_nothing_until_it_has_room(site):
    held = [site.open(82) for _ in range(5)]
    assert [port for _, port in held] == ["8081"] * 3 + ["8082"] * 2
    servers = {item["address"]: item for item in site.node.json("servers")["servers"] if item["pool"] == "limited"}
    assert servers["192.0.2.20:8081"]["full"] and not servers["192.0.2.20:8081"]["accepts_new"]
    assert not servers["192.0.2.20:8082"]["full"]
    for one, _ in held[:2]:
        one.close()
    wait_until(lambda: sum(site.flows("limited")["8081"]) == 1, 10, "two flows to be forgotten", 0.1)
    assert site.open(82)[1] == "8081"
    for one, _ in held[2:]:
        one.close()
