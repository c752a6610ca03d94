#!/usr/bin/python3
"""Sluice over memif against a generator of ours: no kernel, no NIC, one core each. Prints Markdown tables.

memif.py l4     packets/s of layer 4 NAT (fullnat) and of testpmd's macswap, in interleaved pairs
memif.py http   requests/s and cycles per request of one worker core
memif.py bulk   one long response: Gbit/s that one worker core carries
memif.py connections   what an open connection costs in memory, and how fast a node answers that holds a million of them
memif.py attacks   what is left of real traffic beside each attack, and what that attack makes of the node's memory

The device under test runs on the first allowed core, the generator on the second.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "lab"))
from lab import SLUICE, SLUICECTL  # noqa: E402

GENERATOR = os.path.join(os.path.dirname(SLUICE), "tests", "bench", "memif", "memif_generator")
RING_BITS = 11  # 2,048 packets
LATER = 15  # seconds after the end; the allocator gives back within ten
CORES = sorted(os.sched_getaffinity(0))
UNDER_TEST, GENERATING = CORES[0], CORES[-1]
# Attack: packets per second, or connections opened per second up to so many.
ATTACKS = {
    "none": (0, 0),
    "syn": (200_000, 0),
    "ack": (200_000, 0),
    "forged": (200_000, 0),
    "tiny": (100_000, 64),
    "out-of-order": (100_000, 64),
    "zero-window": (2_000, 10_000),
    "slow-server": (5_000, 10_000),
    "stuck-upload": (2_000, 10_000),
    "half-head": (5_000, 10_000),
    "half-handshake": (500, 10_000),
    "idle": (50_000, 200_000),
}

NODE = """
cpu: {forwarders: [%d], workers: [%d], idle: poll}
memory: {hugepages: auto, size: %s}
ports: [{name: wire, device: {vdev: "%s"}, addresses: [10.0.0.1/8], routes: [{to: 0.0.0.0/0, via: 10.0.0.2}]}]
services:
  - {name: datagrams, listen: 10.0.0.1:53/udp, forward: {method: fullnat, pool: resolvers}}
  - {name: files, listen: 10.0.0.1:81/tcp, proxy: {routes: [{pool: storage}]}}
  - {name: site, listen: 10.0.0.1:80/tcp, proxy: {timeouts: {keepalive: 1h}, routes: [{pool: web}]}}
pools:
  - {name: resolvers, balance: rr, servers: [{address: 10.2.0.1:53}, {address: 10.2.0.2:53}, {address: 10.2.0.3:53}, {address: 10.2.0.4:53}]}
  - {name: web, servers: [{address: 10.0.0.2:8080}]}
  - {name: storage, servers: [{address: 10.0.0.3:8080}]}
control: {socket: "%s"}
"""
SECURE = """
  - {name: secure, listen: 10.0.0.1:443/tcp, proxy: {tls: {certificates: [{cert: site.crt, key: site.key}]}, timeouts: {keepalive: 1h}, routes: [{pool: web}]}}
pools:"""


def device(folder, role):
    return f"net_memif0,role={role},socket={folder}/memif.sock,socket-abstract=no,bsize=2048,rsize={RING_BITS}"


class Program:
    """A process that is ended when the block is left."""

    def __init__(self, folder, name, command):
        self.log = open(os.path.join(folder, name + ".log"), "w")
        environment = dict(os.environ, RUNTIME_DIRECTORY=folder, NOTIFY_SOCKET="")
        self.popen = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=self.log, stderr=subprocess.STDOUT, env=environment)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.popen.terminate()
        try:
            self.popen.wait(15)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        self.log.close()

    def output(self):
        with open(self.log.name) as log:
            return log.read()

    def wait_for(self, text, timeout=20):
        deadline = time.monotonic() + timeout
        while text not in self.output():
            if self.popen.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the device under test does not start:\n" + self.output())
            time.sleep(0.05)


def start_sluice(folder, memory="512MiB", secure=False):
    path = os.path.join(folder, "sluice.yaml")
    node = NODE
    if secure:
        node = NODE.replace("\npools:", SECURE)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                        "/CN=bench.example.org", "-keyout", os.path.join(folder, "site.key"), "-out", os.path.join(folder, "site.crt")],
                       check=True, capture_output=True)
        os.chmod(os.path.join(folder, "site.key"), 0o600)
    with open(path, "w") as file:
        file.write(node % (UNDER_TEST, UNDER_TEST, memory, device(folder, "server"), os.path.join(folder, "control.sock")))
    return Program(folder, "sluice", [SLUICE, "run", "--config", path])


def start_testpmd(folder):
    return Program(folder, "testpmd", [
        "dpdk-testpmd", "--no-huge", "-m", "256", "--no-pci", "--lcores", f"0@{UNDER_TEST},1@{UNDER_TEST}", "--no-telemetry",
        f"--file-prefix=bench{os.getpid()}", f"--vdev={device(folder, 'server')}",
        "--", "--forward-mode=macswap", "--total-num-mbufs=16384", "--rxd=1024", "--txd=1024"])


def generator(folder, mode, *words):
    return [GENERATOR, "--device", device(folder, "client"), "--core", str(GENERATING), mode, *words]


def l4_once(start, ready, options, *words):
    with tempfile.TemporaryDirectory(prefix="memif") as folder, start(folder) as program:
        program.wait_for(ready)
        out = subprocess.run(generator(folder, "udp", "--seconds", str(options.seconds), "--flows", str(options.flows), *words),
                             capture_output=True, text=True, timeout=60)
        if out.returncode != 0:
            raise RuntimeError(f"{out.stdout}{out.stderr}{program.output()}")
        return json.loads(out.stdout.splitlines()[-1])


def l4(options):
    swaps, nats = [], []
    for _ in range(options.rounds):
        swaps.append(l4_once(start_testpmd, "Checking link statuses", options, "--no-resolve"))
        nats.append(l4_once(start_sluice, " running: ", options))
    swap = statistics.median(one["received_per_second"] for one in swaps)
    nat = statistics.median(one["received_per_second"] for one in nats)
    ratio = statistics.median(b["received_per_second"] / a["received_per_second"] for a, b in zip(swaps, nats))
    print(f"| layer 4 over memif, {options.flows:,} flows | Mpackets/s | ns/packet | of macswap |\n|---|---|---|---|")
    print(f"| testpmd macswap | {swap / 1e6:.2f} | {1e9 / swap:.0f} | 1.00 |")
    print(f"| Sluice fullnat, UDP | {nat / 1e6:.2f} | {1e9 / nat:.0f} | {ratio:.2f} |")
    # A ring that takes everything means that the generator was the limit, and not what was to be measured.
    for name, runs in (("testpmd", swaps), ("Sluice", nats)):
        if statistics.median(one["refused"] for one in runs) == 0:
            print(f"\n{name} took all that the generator could send: its number is a lower bound.")
    print()


def busy_seconds(folder):
    out = subprocess.run([SLUICECTL, "--socket", os.path.join(folder, "control.sock"), "--json", "cores"], capture_output=True, text=True,
                         timeout=10, check=True)
    return sum(core["busy_seconds_total"] for core in json.loads(out.stdout)["cores"])


def traffic_once(options, mode, connections):
    """What the generator counted, and how long the node was busy with it."""
    with tempfile.TemporaryDirectory(prefix="memif") as folder, start_sluice(folder) as program:
        program.wait_for(" running: ")
        command = generator(folder, mode, "--seconds", str(options.seconds), "--connections", str(connections))
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as traffic:
            if "warm" not in traffic.stdout.readline():
                raise RuntimeError("the generator does not start")
            begin = busy_seconds(folder)
            out, _ = traffic.communicate("\n", timeout=60)
            busy = busy_seconds(folder) - begin
        if traffic.returncode != 0:
            raise RuntimeError(out + program.output())
        return dict(json.loads(out.splitlines()[-1]), busy_seconds=busy)


def cycles_per_request(run):
    return run["busy_seconds"] * run["tsc_hz"] / (run["responses"] + run["failures"])


def http(options):
    runs = [traffic_once(options, "http", options.connections) for _ in range(options.rounds)]
    rate = statistics.median(one["responses_per_second"] for one in runs)
    cycles = statistics.median(cycles_per_request(one) for one in runs)
    refused = sum(one["failures"] for one in runs) / sum(one["failures"] + one["responses"] for one in runs)
    print(f"| HTTP/1.1 keep-alive over memif, {options.connections} connections | requests/s | cycles/request | us/request | refused |\n|---|---|---|---|---|")
    print(f"| Sluice, one core | {rate:,.0f} | {cycles:,.0f} | {cycles / runs[0]['tsc_hz'] * 1e6:.2f} | {refused:.2%} |\n")


def bulk(options):
    runs = [traffic_once(options, "bulk", 1) for _ in range(options.rounds)]
    rate = statistics.median(one["gigabits_per_second"] for one in runs)
    core = statistics.median(one["bytes"] * 8e-9 / one["busy_seconds"] for one in runs)
    busy = statistics.median(one["busy_seconds"] / one["seconds"] for one in runs)
    print("| one response without end over memif | Gbit/s | core busy | Gbit/s per busy core |\n|---|---|---|---|")
    print(f"| Sluice, one core | {rate:.2f} | {busy:.0%} | {core:.2f} |\n")


def resident_bytes(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:"))


def counters(folder):
    def ask(verb):
        return json.loads(subprocess.run([SLUICECTL, "--socket", os.path.join(folder, "control.sock"), "--json", verb], capture_output=True,
                                         text=True, timeout=10, check=True).stdout)[verb]
    core = ask("cores")[0]
    dropped = {"drop_" + drop["reason"]: drop["packets_total"] for drop in ask("drops")}
    return dict(core["counters"], **dropped), core["use"], core["busy_seconds_total"]


class Resident(threading.Thread):
    """The largest resident memory of a process in each phase, from a look every 50 ms."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.phase, self.largest, self.over = pid, "start", {}, threading.Event()

    def run(self):
        while not self.over.wait(0.05):
            self.largest[self.phase] = max(self.largest.get(self.phase, 0), resident_bytes(self.pid))


def attack(name, options):
    rate, attackers = ATTACKS[name]
    with tempfile.TemporaryDirectory(prefix="memif") as folder, start_sluice(folder, options.memory, secure=True) as program:
        program.wait_for(" running: ")
        command = generator(folder, "attack", "--attack", name, "--attack-rate", str(rate), "--attackers", str(attackers), "--attack-seconds",
                            str(options.attack_seconds), "--rate", str(options.rate), "--seconds", str(options.seconds),
                            "--connections", str(options.connections))
        resident, seen, results = Resident(program.popen.pid), {}, {}
        resident.start()
        try:
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as traffic:
                for line in traffic.stdout:
                    words = json.loads(line)
                    if "goodput" in words:
                        results[words["phase"]] = words
                    elif "phase" in words:
                        resident.phase = words["phase"]
                        seen[words["phase"]] = counters(folder)
                    else:
                        results["attack"] = words
        finally:
            resident.over.set()
        if traffic.returncode != 0 or "attack" not in results:
            raise RuntimeError(f"{name}: the generator gave up\n" + program.output())
    begin, end = seen["during"], seen["recovery"]
    changed = {key: end[0][key] - begin[0][key] for key in end[0] if end[0][key] != begin[0][key]}
    return results, resident.largest, changed, end[1], (end[2] - begin[2]) / options.attack_seconds


def attacks(options):
    """One row for each attack; what the node counted follows with --verbose."""
    print(f"{options.rate:,} requests/s over {options.connections} connections; a new client every 10 ms\n")
    print("| attack | sent/s | goodput before | during | after | p99 us before | during | new clients served | p99 us | max us | resident MiB before | during "
          "| core busy | connections lost |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    for name in options.only or ATTACKS:
        results, resident, changed, use, busy = attack(name, options)
        before, during, after, totals = (results[one] for one in ("before", "during", "after", "attack"))
        print(f"| {name} | {totals['sent'] / options.attack_seconds:,.0f} | {before['goodput']:.1%} | {during['goodput']:.1%} | {after['goodput']:.1%} "
              f"| {before['p99_us']:,.0f} | {during['p99_us']:,.0f} | {during['served']} of {during['newcomers']} | {during['newcomer_p99_us']:,.0f} "
              f"| {during['newcomer_max_us']:,.0f} | {resident['before'] / 2**20:.0f} | {resident['during'] / 2**20:.0f} | {busy:.0%} | {totals['lost']} |",
              flush=True)
        if options.verbose:
            print(json.dumps({"results": results, "resident": {key: value >> 20 for key, value in resident.items()}, "counters": changed, "use": use},
                             indent=1))


def connections(options):
    with tempfile.TemporaryDirectory(prefix="memif") as folder, start_sluice(folder, options.memory, options.tls) as program:
        program.wait_for(" running: ")
        command = generator(folder, "connections", "--connections", str(options.count), "--open-rate", str(options.open_rate),
                            "--rate", str(options.rate), "--seconds", str(max(options.seconds, 10)), *(["--tls"] if options.tls else []))
        before = resident_bytes(program.popen.pid)
        phases, memory = [], []
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as traffic:
            for _ in range(3):
                line = traffic.stdout.readline()
                if not line:
                    raise RuntimeError("the generator gave up\n" + program.output())
                phases.append(json.loads(line))
                memory.append(resident_bytes(program.popen.pid) - before)
                if len(phases) == 3:
                    time.sleep(LATER)
                    phases.append(dict(phases[-1], phase=f"{LATER} s later", seconds=LATER))
                    memory.append(resident_bytes(program.popen.pid) - before)
                traffic.stdin.write("\n")
                traffic.stdin.flush()
        print(f"| phase | open | seconds | requests | p50 us | p99 us | max us | resident MiB | bytes/connection |\n|---|---|---|---|---|---|---|---|---|")
        for phase, extra in zip(phases, memory):
            each = f"{extra / phase['open']:,.0f}" if phase["open"] else ""
            print(f"| {phase['phase']} | {phase['open']:,} | {phase['seconds']:.1f} | {phase['answered']:,} | {phase['p50_us']:,} | {phase['p99_us']:,} "
                  f"| {phase['max_us']:,} | {extra / 2**20:,.0f} | {each} |")
        last = phases[-1]
        if options.tls:
            print(f"\nFailures {last['failures']}.\n")
        else:
            print(f"\nSent again {last['sent_again']}, resets {last['resets']}, closed by the node {last['closed_by_node']}.\n")
        if traffic.returncode != 0:
            raise RuntimeError("connections were lost, or did not close")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["l4", "http", "bulk", "connections", "attacks", "all"], nargs="?", default="all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--flows", type=int, default=1024)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--count", type=int, default=1_000_000, help="connections that are held open")
    parser.add_argument("--open-rate", type=int, default=50_000, help="connections opened per second")
    parser.add_argument("--rate", type=int, help="requests per second: over random ones of them (5,000), or beside an attack (30,000)")
    parser.add_argument("--tls", action="store_true", help="connections are TLS sessions")
    parser.add_argument("--memory", help="memory.size of the node that holds them (9GiB), or is attacked (512MiB)")
    parser.add_argument("--attack-seconds", type=float, default=4)
    parser.add_argument("--only", action="append", choices=ATTACKS, help="this attack, not all")
    parser.add_argument("--verbose", action="store_true", help="also what the node counted")
    options = parser.parse_args()
    attacked = options.what == "attacks"
    options.rate = options.rate or (30_000 if attacked else 5_000)
    options.memory = options.memory or ("512MiB" if attacked else "9GiB")
    if len(CORES) < 2:
        print("needs two cores", file=sys.stderr)
        return 1
    if options.what in ("l4", "all"):
        l4(options)
    if options.what in ("http", "all"):
        http(options)
    if options.what in ("bulk", "all"):
        bulk(options)
    if options.what == "connections":
        connections(options)
    if options.what == "attacks":
        attacks(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
