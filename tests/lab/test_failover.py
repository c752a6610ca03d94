"""What a node's end costs its clients, and what a node under pressure must not do: move.

Probed as a client sees it: a datagram every millisecond through full NAT, a new HTTP connection every ten milliseconds. Bounds
on a median hold as they are; a single worst case gets twice its bound unless SLUICE_TEST_FULL=1 asks for a quiet machine.
"""

import contextlib
import os
import statistics
import time

import pytest

from lab import Lab, wait_until
from probes import FOREGROUND, FULL, Prober, busy_loops, cpu_seconds, outage_milliseconds, state, transitions, wait_for_state
from site_lab import ECHO_PORT, VIP, VIP6, Site

LENIENCE = 1 if FULL else 2
SLOW_ECHO_US = 10_000


@contextlib.contextmanager
def started_pair(driver="af_xdp", advert="10ms", prepare=None, wrapper=FOREGROUND, **options):
    """The site with both nodes running, the first one active."""
    with Lab() as lab:
        site = Site(lab, nodes=2, driver=driver, advert=advert, **options)
        if prepare:
            prepare(site)
        for node in site.nodes:
            node.start(wait=False, wrapper=wrapper)
        for node in site.nodes:
            node.wait_ready()
        settle(site)
        yield site


def settle(site):
    """The preferred node active, the other one backup, and the proxy serving: what every measurement starts from."""
    first, second = site.nodes
    wait_for_state(first, "active", 20)
    wait_for_state(second, "backup")
    wait_until(lambda: site.client.curl("-m", "2", f"http://{VIP}/").stdout.startswith("web"), 20, "the proxy to serve", 0.1)


@contextlib.contextmanager
def probed(site):
    """Probes beside what is done inside; afterwards `seen` holds the results."""
    seen = {}
    udp = Prober(site.client, "udp", VIP, ECHO_PORT, every=1)
    http = Prober(site.client, "http", VIP, 80, every=10)
    time.sleep(0.3)
    yield seen
    time.sleep(0.3)
    seen["udp"] = udp.stop()
    seen["http"] = http.stop()


def moves(*nodes):
    """Every transition of these nodes, for a message."""
    return [(node.name, each) for node in nodes for each in transitions(node)]


def show(title, **numbers):
    print(f"\n{title}: " + ", ".join(f"{name} {value}" for name, value in numbers.items()))


@pytest.mark.parametrize("driver", ["af_xdp", "af_packet"] if FULL else ["af_xdp"])
def test_node_that_dies_costs_forty_milliseconds(driver):
    """SIGKILL and link down of the active node, again and again; it comes back and preempts in between."""
    rounds = 20 if FULL else 5
    kills = []
    with started_pair(driver) as site:
        first, second = site.nodes
        with probed(site) as seen:
            for _ in range(rounds):
                settle(site)
                time.sleep(0.5)
                kills.append(time.monotonic())
                first.kill()
                wait_for_state(second, "active", 5)
                time.sleep(0.5)
                first.plug()
                first.start(wrapper=FOREGROUND)
            settle(site)
    udp = [outage_milliseconds(seen["udp"], kill - 0.05, kill + 0.4) for kill in kills]
    http = [outage_milliseconds(seen["http"], kill - 0.1, kill + 0.4) for kill in kills]
    show(f"node death over {driver}, {rounds} times", udp_ms=[round(each, 1) for each in udp], udp_median=statistics.median(udp),
         udp_worst=max(udp), http_ms=[round(each) for each in http], late_ms=1000 * seen["udp"]["late_seconds"])
    assert min(udp) > 5, "a node died and nobody noticed: the probes did not go through it"
    assert statistics.median(udp) <= 40
    assert max(udp) <= 60 * LENIENCE
    assert statistics.median(http) <= 100
    assert max(http) <= 100 * LENIENCE


def test_node_that_dies_at_the_default_interval_costs_four_adverts():
    with started_pair(advert="100ms") as site:
        first, second = site.nodes
        with probed(site) as seen:
            kill = time.monotonic()
            first.kill()
            wait_for_state(second, "active", 5)
            time.sleep(0.5)
    gap = outage_milliseconds(seen["udp"], kill - 0.1, kill + 0.4)
    show("node death at 100 ms adverts", udp_ms=gap)
    assert 150 < gap <= 400


@pytest.mark.parametrize("advert", ["10ms", "100ms"])
def test_graceful_stop_loses_two_probes_at_most(advert):
    lost, measured = [], []
    wanted = 5 if FULL else 3
    with started_pair(advert=advert, stop="{drain: 500ms, timeout: 10s}") as site:
        first, second = site.nodes
        for _ in range(2 * wanted):
            with probed(site) as seen:
                assert first.stop() == 0
                wait_for_state(second, "active", 5)
            measured.append(seen["udp"]["failed"])
            # A machine on which an echo takes so long is busy with something else: a quieter moment is waited for.
            if seen["udp"]["p99_us"] < SLOW_ECHO_US:
                lost.append(seen["udp"]["failed"])
            show("graceful stop", advert=advert, udp_lost=seen["udp"]["failed"], http_failed=seen["http"]["failed"],
                 http_reasons=seen["http"]["reasons"], http_outages=seen["http"]["outages"])
            if len(lost) == wanted:
                break
            first.start(wrapper=FOREGROUND)
            settle(site)
    lost = lost or measured
    assert statistics.median(lost) <= 2, lost
    assert max(lost) <= 2 * LENIENCE, lost


def test_handover_and_back_lose_two_probes_at_most():
    with started_pair(advert="100ms", stop="{drain: 500ms, timeout: 10s}") as site:
        first, second = site.nodes
        with probed(site) as away:
            first.ctl("handover", "--timeout", "3s")
            wait_for_state(second, "active", 5)
            wait_for_state(first, "backup", 5)
        with probed(site) as stays:
            time.sleep(1)
        assert state(second) == "active", "a node that gave its addresses away took them back unasked"
        with probed(site) as back:
            first.ctl("handover", "--undo")
            wait_for_state(first, "active", 5)
            wait_for_state(second, "backup", 5)
        for title, seen in (("away", away), ("stays", stays), ("back", back)):
            show(f"handover {title}", udp_lost=seen["udp"]["failed"], http_failed=seen["http"]["failed"],
                 http_reasons=seen["http"]["reasons"])
    assert away["udp"]["failed"] <= 2 * LENIENCE
    assert stays["udp"]["failed"] == 0
    assert back["udp"]["failed"] <= 2 * LENIENCE


def test_killed_process_leaves_the_address_silent_and_a_restart_serves():
    with Lab() as lab:
        site = Site(lab, nodes=1)
        node = site.nodes[0].start()
        wait_for_state(node, "active", 20)
        assert site.client.run("ping", "-c1", "-W2", VIP, check=False).returncode == 0
        node.process.kill()
        assert site.client.run("ping", "-c3", "-i0.2", "-W1", VIP, check=False).returncode != 0
        site.client.ip("neigh", "flush", "dev", "eth0")
        for address in (VIP, VIP6):
            assert site.client.run("ping", "-c1", "-W1", address, check=False).returncode != 0, "somebody answers for a dead node"
        node.start()
        wait_for_state(node, "active", 20)
        wait_until(lambda: site.client.curl("-m", "2", f"http://{VIP}/").stdout.startswith("web"), 20, "the proxy to serve", 0.1)


def keepalived_pair(lab):
    """Two Keepalived of the same timers on a switch of their own; a function that counts what they took over."""
    lab.make_hub("khub")
    processes = []
    for number, priority in ((1, 200), (2, 150)):
        host = lab.host(f"ka{number}", f"192.0.2.6{number}/24", hub="khub")
        path = os.path.join(lab.folder, f"ka{number}.conf")
        with open(path, "w") as file:
            file.write(f"""global_defs {{
    vrrp_version 3
}}
vrrp_instance beside {{
    state BACKUP
    interface eth0
    virtual_router_id 61
    priority {priority}
    advert_int 0.01
    virtual_ipaddress {{
        192.0.2.160/32
    }}
}}
""")
        processes.append(host.start("keepalived", "keepalived", "-n", "-l", "-P", "-f", path, "-p", f"{path}.pid", "-r", f"{path}.vrrp"))
    wait_until(lambda: "MASTER STATE" in processes[0].output(), 10, "Keepalived to be active")
    time.sleep(1)
    return lambda: sum(process.output().count("Entering MASTER STATE") for process in processes)


def test_busy_machine_moves_nothing():
    """Six endless loops on the same cores: no transition at 100 ms adverts; at 10 ms fewer than Keepalived's."""
    duration = 60 if FULL else 15
    with started_pair(advert="100ms", wrapper=()) as slow, started_pair(advert="10ms", wrapper=()) as fast:
        keepalived = keepalived_pair(slow.lab)
        before = {name: moves(*site.nodes) for name, site in (("slow", slow), ("fast", fast))}
        takeovers_before = keepalived()
        with busy_loops(6):
            time.sleep(duration)
        moved = {name: moves(*site.nodes)[len(before[name]):] for name, site in (("slow", slow), ("fast", fast))}
        takeovers = [each for _, each in moved["fast"] if each.after == "active" and each.instance == "public"]
        theirs = keepalived() - takeovers_before
        show(f"six busy loops for {duration} s", at_100ms=len(moved["slow"]), at_10ms=len(takeovers), keepalived_at_10ms=theirs)
    assert not moved["slow"], moved["slow"]
    # A few seconds are a small sample of rare events; a minute is one to compare.
    assert len(takeovers) < (max(theirs, 1) if FULL else theirs + 4), f"{moved['fast']}; Keepalived: {theirs}"


def test_storm_of_rsa_handshakes_moves_nothing():
    """Full RSA-2048 handshakes at saturation with 10 ms adverts."""
    duration = 30 if FULL else 10

    def use_rsa(site):
        certificate, key = site.lab.certificate("site.example", key="rsa:2048")
        for node in site.nodes:
            node.write("site.crt", certificate)
            node.write("site.key", key)

    with started_pair(advert="10ms", prepare=use_rsa) as site:
        first = site.nodes[0]
        before = len(moves(*site.nodes))
        used = cpu_seconds(first.sluice_pid())
        clients = [site.client.start(f"storm{number}", *FOREGROUND, "openssl", "s_time", "-connect", f"{VIP}:443", "-new", "-time", duration)
                   for number in range(4)]
        time.sleep(duration + 0.5)
        used = cpu_seconds(first.sluice_pid()) - used
        for client in clients:
            client.wait(60)
        counts = [int(line.split()[0]) for client in clients for line in client.output().splitlines() if "real seconds" in line]
        moved = moves(*site.nodes)[before:]
        show(f"RSA-2048 for {duration} s", handshakes_per_second=sum(counts) / duration, node_cores=round(used / duration, 2),
             transitions=len(moved))
    assert len(counts) == len(clients), [client.output() for client in clients]
    assert sum(counts) > 20 * duration, "that is no storm"
    assert not moved, moved


def test_neighbours_that_change_their_mac_cost_a_retransmission_at_most():
    """The client's next hop and the backend change their MAC in the middle of a download, and say so as hardware does."""
    with Lab() as lab:
        site = Site(lab, nodes=1, pools=f"""
  - {{name: web, servers: [{{address: 192.0.2.21:80, name: web1}}]}}
  - {{name: echo, servers: [{{address: 192.0.2.23:{ECHO_PORT}}}]}}
""")
        site.nodes[0].start(wrapper=FOREGROUND)
        wait_for_state(site.nodes[0], "active", 20)
        backend, nginx = site.web[0]
        content = os.urandom(1 << 20) * 8
        with open(os.path.join(nginx.www, "large"), "wb") as file:
            file.write(content)
        received = os.path.join(lab.folder, "received")
        for changing, octet in ((backend, "a1"), (site.client, "a2")):
            started = time.monotonic()
            curl = site.client.start(f"curl{octet}", "curl", "-sS", "--limit-rate", "4M", "-m", "30", "-o", received, f"http://{VIP}/large")
            time.sleep(0.7)
            changing.run("sysctl", "-qw", "net.ipv4.conf.eth0.arp_notify=1")
            changing.ip("link", "set", "eth0", "address", f"02:00:00:00:00:{octet}")
            assert curl.wait(40) == 0, curl.output()
            took = time.monotonic() - started
            show(f"{changing.name} changed its MAC", download_s=round(took, 2))
            with open(received, "rb") as file:
                assert file.read() == content
            assert took < 2 + 1.5 * LENIENCE, "8 MiB at 4 MiB/s take 2 s"
