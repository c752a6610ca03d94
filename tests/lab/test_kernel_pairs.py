"""Our TCP and the kernel's as client and as server, in every pair, over one relay: byte-identical streams, goodput, fairness."""

import statistics

import pytest

from cable import KINDS, PAIRS, Cable, job, rates_with_loss, results, retransmissions, shares
from probes import FULL

OPTIONS = 12  # Timestamps are in every segment.
LARGEST = 1 << 30 if FULL else 64 << 20
LARGEST_WITH_LOSS = {10: 16 << 20, 50: 16 << 20 if FULL else 4 << 20}  # 5 % costs the kernel's sender half a minute for 16 MiB.
FLOWS, FLOW_SIZE = 8, 32 << 20 if FULL else 6 << 20
LEAST_GOODPUT = 0.7  # of Linux to Linux
CABLES, SHARED_SECONDS = (8, 60) if FULL else (5, 10)
LEAST_SHARE = 0.5  # of the kernel's flow beside, and at most twice as much


def edges(mss):
    """Around one, two and ten segments, and where the options make the difference."""
    segment = mss - OPTIONS
    return [size + near for size in (segment, mss, 2 * segment, 10 * segment) for near in (-1, 0, 1)]


SIZES = [1, 2, 3, 100, 535, 536, 537, *edges(1460), 65535, 65536, 65537, 1 << 20]
SIZES6 = [1, *edges(1440), 65535, 65536, 65537, 1 << 20, 16 << 20]
SIZES_WITH_LOSS = [1, 2, 1447, 1448, 1449, 14480, 65535, 65536, 65537, 1 << 20]


def ways(size):
    """One way, the other, and both at once."""
    return [job(size, 0), job(0, size), job(size, size)]


@pytest.fixture(scope="module")
def cable(lab):
    return Cable(lab)


@pytest.mark.parametrize("client, server", PAIRS)
def test_streams_over_a_clean_cable_are_identical(cable, client, server):
    cable.weather()
    jobs = [each for size in SIZES for each in ways(size)]
    with cable.servers():
        assert len(results(cable.client(client, server, *jobs), 60)) == len(jobs)
        for each in results(cable.client(client, server, *ways(16 << 20), job(LARGEST, 0), job(0, LARGEST)), 400):
            print(f"{client} to {server}: {each}")


def test_streams_over_ipv6_are_identical(cable):
    cable.weather()
    jobs = [each for size in SIZES6 for each in ways(size)]
    with cable.servers(ipv6=True):
        for client, server in PAIRS:
            assert len(results(cable.client(client, server, *jobs, ipv6=True), 60)) == len(jobs)


@pytest.mark.parametrize("per_mille", [10, 50])
def test_streams_over_a_cable_that_loses_packets_are_identical(cable, per_mille):
    """Every pair at once; so the timeouts of one do not make the others wait."""
    cable.weather(seed=per_mille, drop=per_mille, round_trip_ms=2)
    most = LARGEST_WITH_LOSS[per_mille]
    jobs = [each for size in SIZES_WITH_LOSS for each in ways(size)] + [job(most, 0), job(0, most)]
    with cable.servers():
        running = {pair: cable.client(*pair, "--together", *jobs) for pair in PAIRS}
        for pair, process in running.items():
            found = results(process, 240)
            assert len(found) == len(jobs)
            print(pair, retransmissions(process), [each for each in found if each["up"] + each["down"] == most])
    print(cable.stop_relay())


def test_goodput_with_loss_is_near_that_of_linux_to_linux(cable):
    rates = rates_with_loss(cable, 10, 20, FLOWS, FLOW_SIZE)
    linux = rates["kernel", "kernel"]
    print("\n".join(f"{sender} to {receiver}: {rate / 1e6:.2f} MB/s, {rate / linux:.2f}" for (sender, receiver), rate in rates.items()))
    print(cable.stop_relay())
    assert all(rate >= LEAST_GOODPUT * linux for rate in rates.values()), rates


@pytest.mark.parametrize("receiver", KINDS if FULL else ["kernel"])
def test_bottleneck_is_shared_with_the_kernel(lab, receiver):
    """Who loses what at a full queue is half chance (two flows of the kernel's get 0.7 to 1.7 of each other), so it is done on several
    cables at once."""
    found = sorted(ours / kernel for kernel, ours in shares([Cable(lab) for _ in range(CABLES)], KINDS, receiver, 10_000, SHARED_SECONDS))
    print(f"ours to the kernel's, at the {receiver}: {[round(each, 2) for each in found]}")
    assert LEAST_SHARE <= statistics.median(found) <= 1 / LEAST_SHARE, found
