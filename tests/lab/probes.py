"""What the tests of availability measure with: outages as a client sees them, states as nodes log them, loads, CPU time.

The prober itself is a small program (prober/prober.cpp): a probe every millisecond is too much to ask of an interpreter
that shares two cores with everything else.
"""

import contextlib
import datetime
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time

from lab import BUILD, LabError, wait_until

PROBER = os.path.join(BUILD, "lab_prober")
FULL = os.environ.get("SLUICE_TEST_FULL", "") not in ("", "0")  # every repetition, rather than what a CI run has time for

# What else a machine does, builds say, is not what is measured: nodes are put before it where the kernel groups processes by
# session (autogroup). Measurements of pressure do without.
FOREGROUND = ("bash", "-c", 'echo -10 2>/dev/null > /proc/self/autogroup; exec "$0" "$@"')


class Prober:
    """A prober on `host`, from now until stop(). `kind` is udp or http; the interval is in milliseconds."""

    def __init__(self, host, kind, address, port, every):
        Prober.count += 1
        self.process = host.start(f"prober{Prober.count}", PROBER, kind, address, port, int(every * 1000))
        wait_until(lambda: "started" in self.process.output(), 5, "the prober to start")

    count = 0

    def stop(self):
        """Ends it; what it saw, with times of time.monotonic()."""
        if self.process.stop() != 0:
            raise LabError(f"prober: {self.process.output()}")
        return json.loads(self.process.output().splitlines()[-1])


class Canary:
    """Tells when the machine had no processor for a process like a node: then what was measured says nothing about the node."""

    count = 0

    def __init__(self, lab):
        Canary.count += 1
        self.process = lab.start(f"canary{Canary.count}", [*FOREGROUND, PROBER, "canary", "1000"])
        wait_until(lambda: "started" in self.process.output(), 5, "the canary to start")
        self.late = []

    def stop(self):
        if self.process.stop() != 0:
            raise LabError(f"canary: {self.process.output()}")
        self.late = json.loads(self.process.output().splitlines()[-1])["late"]

    def delay_milliseconds(self, since=0.0, until=float("inf")):
        """The longest that it waited for a processor between two moments."""
        return max((1000 * (each["woke"] - each["due"]) for each in self.late if each["woke"] >= since and each["due"] <= until),
                   default=0.0)


def outage_milliseconds(seen, since, until):
    """The longest outage that began between two moments."""
    return max((1000 * (each["end"] - each["start"]) for each in seen["outages"] if since <= each["start"] <= until), default=0.0)


TRANSITION = re.compile(r"^(\S+) \w+ vrrp (\S+): (init|backup|active) -> (init|backup|active) \((.*)\)$", re.MULTILINE)


class Transition:
    def __init__(self, match):
        moment, self.instance, self.before, self.after, self.reason = match.groups()
        self.time = datetime.datetime.fromisoformat(moment).timestamp()

    def __repr__(self):
        return f"{self.instance}: {self.before} -> {self.after} ({self.reason})"


def transitions(node):
    """What a node has logged of its VRRP instances since it was started last."""
    return [Transition(match) for match in TRANSITION.finditer(node.process.output())]


def state(node, instance="public"):
    last = [each.after for each in transitions(node) if each.instance == instance]
    return last[-1] if last else "init"


def wait_for_state(node, wanted, timeout=10, instances=("public", "public6")):
    try:
        wait_until(lambda: all(state(node, instance) == wanted for instance in instances), timeout, "")
    except LabError as error:
        raise LabError(f"{node.name} is not {wanted} after {timeout} s:\n{node.process.output()}") from error


def busy(host_or_none, count):
    """That many endless loops of ordinary priority, each in a session of its own: a kernel that groups processes by session gives
    each as much as it gives a node."""
    loop = ["/usr/bin/python3", "-c", "while True: pass"]
    command = host_or_none.command(*loop) if host_or_none else loop
    return [subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True) for _ in range(count)]


@contextlib.contextmanager
def busy_loops(count):
    loops = busy(None, count)
    try:
        yield
    finally:
        for each in loops:
            each.kill()
            each.wait()


def cpu_seconds(pid):
    """Processor time of a process with all its threads."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def machine_seconds():
    """Processor time that everything on this machine has used, and that other machines took from it."""
    with open("/proc/stat") as file:
        fields = [int(word) for word in file.readline().split()[1:]]
    user, nice, system, _, _, irq, softirq, steal = fields[:8]
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
