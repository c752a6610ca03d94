"""What clients see of a pair while it is reloaded, drained, handed over, killed and brought back: HTTP under load."""

import signal
import socket
import ssl
import time

import pytest

from lab import Lab, wait_until
from site_lab import ECHO_PORT, VIP, VIP6, Site

OTHER_ROUTES = '[{match: {path: {exact: /hello}}, respond: {body: "hello"}}, {pool: web}]'


@pytest.fixture(scope="module")
def site(lab, driver):
    return Site(lab, driver=driver, tracking=", track: [{pool: web}]").start()


@pytest.fixture
def pair(site):
    """Both nodes run as at first: lb1 active, lb2 backup, no standby, their first files."""
    for number, node in enumerate(site.nodes, 1):
        node.configure(site.config(number))
        node.plug()
        if not node.process.running():
            node.start()
        node.ctl("reload")
        node.ctl("handover", "--undo", check=False)
    site.wait_active(0)
    return site


def load(site, *more):
    return site.client.load("http", VIP, 80, "--connections", 8, "--every", 10, *more)


def test_reload_every_200_ms_under_load_without_an_error(pair):
    http, udp = load(pair), pair.client.load("udp", VIP, ECHO_PORT)
    tls = pair.client.load("http", VIP, 443, "--tls", "--connections", 4)
    node = pair.nodes[0]
    for number in range(25):
        node.configure(pair.config(1, **({"routes": OTHER_ROUTES} if number % 2 else {})))
        node.process.signal(signal.SIGHUP)
        time.sleep(0.2)
    results = [http.result(), tls.result(), udp.result()]
    assert results[0]["failed"] == 0, results[0]
    assert results[1]["failed"] == 0, results[1]
    assert results[2]["lost"] == 0, results[2]
    assert min(results[0]["requests"], results[1]["requests"]) > 200
    assert node.vrrp_state() == "active"
    assert results[0]["connections"] <= results[0]["requests"]


def test_refused_reload_changes_nothing_under_load(pair):
    http = load(pair)
    node = pair.nodes[0]
    node.configure(pair.config(1).replace("routes: [{pool: web}]", "routes: [{pool: wbe}]", 1))
    for _ in range(5):
        assert node.ctl("reload", check=False).returncode == 3
    result = http.result()
    assert result["failed"] == 0, result


def test_drain_under_load_moves_new_requests_without_an_error(pair):
    http = load(pair)
    pair.nodes[0].ctl("drain", "web/web1", "--reason", "test")
    try:
        time.sleep(0.3)
        after = load(pair, "--seconds", 1).result()
        assert set(after["bodies"]) == {"web2"}, after
        result = http.result()
        assert result["failed"] == 0, result
    finally:
        pair.nodes[0].ctl("undrain", "web/web1")
    wait_until(lambda: "web1" in pair.client.curl(f"http://{VIP}/").stdout, 10, "web1 to answer again")


def test_handover_and_back_under_load(pair):
    """While the node drains, whoever asks is served. What is left to fail: requests that cross the end of an idle connection
    on their way, as with any server, and what is in flight in the moment in which the addresses go."""
    first, second = pair.nodes
    for giver, taker in ((first, second), (second, first)):
        http, udp = load(pair), pair.client.load("udp", VIP, ECHO_PORT)
        time.sleep(0.3)
        giver.ctl("handover")
        taker.wait_vrrp("active")
        time.sleep(0.5)
        results = http.result(), udp.result()
        crossed = [one for one in results[0]["failures"] if one["reason"] == "closed without an answer"]
        assert len(crossed) <= 10, crossed
        failures = [one for one in results[0]["failures"] if one not in crossed]
        span = max(one["ended"] for one in failures) - min(one["began"] for one in failures) if failures else 0
        assert span < 0.5, (results[0]["reasons"], failures[0], failures[-1])
        assert results[1]["outage_seconds"] < 0.5, results[1]
    for node in (second, first):
        node.ctl("handover", "--undo")
    pair.wait_active(0)
    after = load(pair, "--seconds", 1).result()
    assert after["failed"] == 0, after


def test_node_that_dies_and_returns_under_load(pair):
    first, second = pair.nodes
    http, udp = load(pair, "--timeout", 1), pair.client.load("udp", VIP, ECHO_PORT)
    time.sleep(0.3)
    first.kill()
    second.wait_vrrp("active")
    time.sleep(0.5)
    results = http.result(), udp.result()
    assert results[0]["outage_seconds"] < 1, results[0]
    assert results[1]["outage_seconds"] < 1, results[1]
    settled = load(pair, "--seconds", 1).result()
    assert settled["failed"] == 0, settled

    http = load(pair, "--timeout", 1)
    first.plug()
    first.start()
    pair.wait_active(0)
    time.sleep(0.5)
    back = http.result()
    assert back["outage_seconds"] < 1, back
    settled = load(pair, "--seconds", 1).result()
    assert settled["failed"] == 0, settled


class TlsClient:
    """Connections that carry a session on, in one version of TLS."""

    def __init__(self, site, version):
        self.site = site
        self.context = ssl.create_default_context()
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE
        self.context.minimum_version = self.context.maximum_version = version
        self.session = None

    def resumes(self):
        """One request on a new connection; whether it resumed the session of the one before."""
        with self.context.wrap_socket(self.site.client.connect(VIP, 443), server_hostname="site.example", session=self.session) as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n\r\n")
            answer = b""
            while data := tls.recv(4096):
                answer += data
            assert answer.startswith(b"HTTP/1.1 200 ")
            self.session = tls.session
            return tls.session_reused


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_session_resumes_on_every_worker_after_a_reload_and_on_the_peer(pair, version):
    client = TlsClient(pair, version)
    assert not client.resumes()
    assert all(client.resumes() for _ in range(8))  # both workers, by chance of the port
    pair.nodes[0].ctl("reload")
    assert client.resumes()
    pair.nodes[0].kill()
    pair.nodes[1].wait_vrrp("active")
    assert client.resumes()


def answers_arp(site):
    output = site.client.run("arping", "-c", 2, "-w", 2, "-I", "eth0", VIP, check=False).stdout
    return "Received 0 response" not in output


def answers_solicitation(site):
    site.client.ip("-6", "neigh", "flush", "dev", "eth0")
    return " 0 received" not in site.client.run("ping", "-6", "-c2", "-i0.3", "-W1", VIP6, check=False).stdout


def test_both_nodes_backup_is_silence_and_their_own_addresses_answer(pair):
    """A service without any healthy server: both nodes give up the addresses that they tie to it."""
    assert answers_arp(pair) and answers_solicitation(pair)
    mac = pair.client.run("ip", "neigh", "show", VIP).stdout.split("lladdr ")[1].split(" ")[0]
    for _, nginx in pair.web:
        nginx.signal(signal.SIGSTOP)
    try:
        for node in pair.nodes:
            wait_until(lambda node=node: node.vrrp_state() != "active" and node.vrrp_state("public6") != "active", 20, f"{node.name} to yield")
        time.sleep(0.5)
        assert not answers_arp(pair)
        assert not answers_solicitation(pair)
        pair.client.ip("neigh", "replace", VIP, "lladdr", mac, "dev", "eth0")
        assert " 0 received" in pair.client.run("ping", "-c3", "-i0.2", "-W1", VIP, check=False).stdout
        for port in (80, 4242):
            with pytest.raises(socket.timeout):
                pair.client.connect(VIP, port, timeout=1.5)
        for own in ("192.0.2.11", "192.0.2.12", "2001:db8::11", "2001:db8::12"):
            assert " 0% packet loss" in pair.client.run("ping", "-c3", "-i0.2", "-W2", own, check=False).stdout
    finally:
        pair.client.run("ip", "neigh", "del", VIP, "dev", "eth0", check=False)
        for _, nginx in pair.web:
            nginx.signal(signal.SIGCONT)
    pair.wait_active(0, 20)
    assert pair.client.curl("-m", 5, f"http://{VIP}/").returncode == 0


def test_site_serves_over_af_packet_as_well():
    """The whole way once more on the other driver."""
    with Lab() as lab:
        site = Site(lab, driver="af_packet").start()
        site.wait_active(0)
        result = load(site, "--seconds", 2).result()
        assert result["failed"] == 0, result
