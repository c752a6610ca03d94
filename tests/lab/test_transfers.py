"""Bytes in bulk through a live node: identical at the other end, under load, and while the network changes."""

import hashlib
import os
import threading
import time

import pytest

import bulk
from lab import wait_for_port, wait_until
from probes import FULL
from site_lab import VIP, RoutedSite

SIZE = 100 << 20
VERSIONS = {"clear": ["--http1.1", f"http://{VIP}"], "tls": ["-k", "--http1.1", f"https://{VIP}"], "http2": ["-k", "--http2", f"https://{VIP}"],
            "http2_clear": ["--http2-prior-knowledge", f"http://{VIP}"]}
GIBIBYTE = 1 << 30
BULK = GIBIBYTE if FULL else GIBIBYTE // 4  # a minute for each way on a machine that is busy with other things
CONSTANT = 16 << 20  # what the resident memory may rise by while a gibibyte passes
BULK_SERVICE = f"""
  - {{name: bulk, listen: "{VIP}:8082/tcp", proxy: {{routes: [{{pool: bulk}}]}}}}
"""
BULK_POOL = """
  - {name: bulk, servers: [{address: 192.0.2.24:8080}]}
"""


@pytest.fixture(scope="module")
def site(lab, driver):
    site = RoutedSite(lab, driver=driver, extra_services=BULK_SERVICE, extra_pools=BULK_POOL)
    origin = lab.host("origin", "192.0.2.24/24")
    origin.start("bulk", "/usr/bin/python3", bulk.__file__, "serve", 8080)
    wait_for_port(origin, "127.0.0.1", 8080)
    return site.start()


@pytest.fixture(scope="module")
def big(site):
    """A file of 100 MiB that both servers have: (its path here, its digest)."""
    path = os.path.join(site.lab.folder, "big")
    digest = hashlib.sha256()
    with open(path, "wb") as file:
        for _ in range(SIZE >> 20):
            piece = os.urandom(1 << 20)
            digest.update(piece)
            file.write(piece)
    for _, nginx in site.web:
        os.link(path, os.path.join(nginx.www, "big"))
    return path, digest.hexdigest()


def digest_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


@pytest.mark.parametrize("version", VERSIONS)
def test_100_mib_down_arrive_identical(site, big, version):
    *words, base = VERSIONS[version]
    path = os.path.join(site.lab.folder, "received")
    result = site.client.curl(*words, "-f", "-m", 240, "-o", path, f"{base}/big", timeout=300)
    assert result.returncode == 0, result.stderr
    assert os.path.getsize(path) == SIZE
    assert digest_of(path) == big[1]
    os.unlink(path)


@pytest.mark.parametrize("version", VERSIONS)
def test_100_mib_up_arrive_identical(site, big, version):
    *words, base = VERSIONS[version]
    result = site.client.curl(*words, "-f", "-m", 240, "-T", big[0], f"{base}/put/{version}", timeout=300)
    assert result.returncode == 0, result.stderr
    arrived = [path for _, nginx in site.web if os.path.exists(path := os.path.join(nginx.www, "put", version))]
    assert len(arrived) == 1
    assert digest_of(arrived[0]) == big[1]
    os.unlink(arrived[0])


def test_100_mib_both_ways_keep_memory_constant(site, big):
    """Bodies stream: what a transfer needs does not depend on its size."""
    before = site.nodes[0].resident_bytes()
    highest = before
    for words in (["-o", "/dev/null", f"http://{VIP}/big"], ["-k", "-T", big[0], f"https://{VIP}/put/memory"]):
        transfer = site.client.start(f"curl{words[0]}", "curl", "-sS", "-m", "240", *words)
        while transfer.running():
            highest = max(highest, site.nodes[0].resident_bytes())
            time.sleep(0.05)
        assert transfer.popen.returncode == 0, transfer.output()
    assert highest - before < 32 << 20


def bulk_transfer(site, way, size):
    """(digest, seconds, highest resident size of the node meanwhile)."""
    begin = time.monotonic()
    process = site.client.start(f"bulk-{way}-{size}", "/usr/bin/python3", bulk.__file__, way, VIP, 8082, size)
    highest = 0
    while process.running():
        highest = max(highest, site.nodes[0].resident_bytes())
        time.sleep(0.05)
    assert process.popen.returncode == 0, process.output()
    return process.output().strip(), time.monotonic() - begin, highest


def test_gibibyte_up_and_down_in_constant_memory(site):
    """Made and digested on the fly; a mebibyte that is lost, doubled or out of its place changes the digest."""
    for way in ("get", "put"):
        assert bulk_transfer(site, way, 64 << 20)[0] == bulk.digest(64 << 20)
    warm = site.nodes[0].resident_bytes()
    expected = bulk.digest(BULK)
    for way in ("get", "put"):
        found, seconds, highest = bulk_transfer(site, way, BULK)
        print(f"\n{BULK >> 20} MiB {way}: {seconds:.1f} s, resident {warm >> 20} MiB before, at most {highest >> 20} MiB")
        assert found == expected
        assert highest - warm < CONSTANT


@pytest.mark.parametrize("url", [f"http://{VIP}/", f"https://{VIP}/"])
def test_64_connections_for_10_seconds_without_an_error(site, url):
    result = site.client.run("wrk", "-t", 2, "-c", 64, "-d", "10s", "--timeout", "5s", url, timeout=60)
    assert "Socket errors" not in result.stdout, result.stdout
    assert "Non-2xx" not in result.stdout, result.stdout
    requests = int(result.stdout.split(" requests in ")[0].split()[-1])
    assert requests > 1000, result.stdout


def test_gateway_that_changes_its_mac_costs_a_retransmission(site, big):
    """The router takes another MAC in the middle of a transfer and says so, as a router pair does."""
    result = {}

    def transfer():
        result["curl"] = site.far.curl("-m", 120, "--limit-rate", "20M", "-o", os.path.join(site.lab.folder, "far"),
                                       "-w", "%{size_download}", f"http://{VIP}/big", timeout=150)

    thread = threading.Thread(target=transfer)
    thread.start()
    path = os.path.join(site.lab.folder, "far")
    wait_until(lambda: os.path.exists(path) and os.path.getsize(path) > 5 << 20, 30, "the transfer to run")
    site.router.ip("link", "set", "eth0", "address", "02:00:00:00:99:99")
    site.router.run("arping", "-U", "-c", 1, "-I", "eth0", "192.0.2.1", check=False)
    changed = time.monotonic()
    there = os.path.getsize(path)
    wait_until(lambda: os.path.getsize(path) > there + (2 << 20), 20, "the transfer to go on")
    assert time.monotonic() - changed < 3
    thread.join()
    assert result["curl"].returncode == 0, result["curl"].stderr
    assert digest_of(path) == big[1]


def test_gateway_that_changes_its_mac_in_silence_is_found_again(site, big):
    """Nobody announces the new MAC: the node finds out by itself that its neighbour is gone."""
    site.router.ip("link", "set", "eth0", "address", "02:00:00:00:99:aa")
    began = time.monotonic()
    result = site.far.curl("-m", 30, "--retry", 10, "--retry-connrefused", f"http://{VIP}/", timeout=60)
    assert result.stdout in ("web1\n", "web2\n"), result.stderr
    assert time.monotonic() - began < 20
