#!/usr/bin/python3
"""Our TCP beside the kernel's, over the same cable: bulk, goodput with loss, shares of a bottleneck. Prints tables; four minutes.

The program is tests/lab/transfer, the cable tests/lab/cable.py. What is compared runs at the same time or in turn.
"""

import os
import statistics
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
from cable import KINDS, PAIRS, Cable, job, rates_with_loss, results, shares  # noqa: E402
from lab import Lab  # noqa: E402

BULK = 256 << 20
ROUNDS = 5
CABLES = 7
SECONDS = 20
ROUND_TRIP_MS = 20
LOSSES = {1: (1, 48 << 20), 10: (8, 8 << 20), 50: (8, 1 << 20)}  # per mille: flows each way of each pair, bytes of each
NAMES = {"kernel": "Linux", "ours": "Sluice"}


def bulk(lab):
    cable = Cable(lab)
    cable.weather()
    seconds = {pair: [] for pair in PAIRS}
    with cable.servers():
        for _ in range(ROUNDS):
            for pair, took in seconds.items():
                took.append(results(cable.client(*pair, job(BULK, 0)), 120)[0]["seconds"])
    cable.stop_relay()
    return {pair: BULK / statistics.median(each) for pair, each in seconds.items()}


def print_rates(title, columns):
    """`columns`: name to rates by pair."""
    print(f"\n| {title} | " + " | ".join(columns) + " |\n|" + "---|" * (len(columns) + 1))
    for pair in PAIRS:
        cells = [f"{rates[pair] / 1e6:.2f} ({rates[pair] / rates['kernel', 'kernel']:.2f})" for rates in columns.values()]
        print(f"| {NAMES[pair[0]]} to {NAMES[pair[1]]} | " + " | ".join(cells) + " |", flush=True)


def main():
    with Lab() as lab:
        columns = {"no loss, no delay": bulk(lab)}
        cable = Cable(lab)
        for per_mille, (flows, size) in LOSSES.items():
            columns[f"{per_mille / 10} %, {ROUND_TRIP_MS} ms"] = rates_with_loss(cable, per_mille, ROUND_TRIP_MS, flows, size)
        cable.stop_relay()
        print_rates("MB/s of one flow (of Linux to Linux)", columns)
        cables = [Cable(lab) for _ in range(CABLES)]
        print("\n| two flows at one bottleneck, 20 ms | second to first: least | median | most |\n|---|---|---|---|")
        for kbit in (10_000, 40_000):
            for kinds in (KINDS, ("kernel", "kernel"), ("ours", "ours")):
                found = sorted(second / first for first, second in shares(cables, kinds, "kernel", kbit, SECONDS, ROUND_TRIP_MS))
                print(f"| {NAMES[kinds[0]]} and {NAMES[kinds[1]]}, {kbit // 1000} Mbit/s | {found[0]:.2f} | {statistics.median(found):.2f} | "
                      f"{found[-1]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
