"""A cable with the kernel's TCP and ours at both ends, in any weather: every pair of client and server over the same relay.

kernel-l ─┐                ┌─ kernel-r
          ├─ hub ─ relay ─ hub
ours-l  ──┘                └─ ours-r
"""

import contextlib
import json
import os
import statistics

from lab import BUILD, LabError, run, wait_until

RELAY = os.path.join(BUILD, "lab_relay")
TRANSFER = os.path.join(BUILD, "lab_transfer")
KINDS = ("kernel", "ours")
PAIRS = [(client, server) for client in KINDS for server in KINDS]
PORT = 7000
# The last parts of their addresses. One process of ours is one host: two that run at once need two.
HOSTS = {("kernel", "l"): [1], ("kernel", "r"): [2], ("ours", "l"): [11, 13], ("ours", "r"): [12]}
ADDRESSES = [(kind, side, number) for (kind, side), numbers in HOSTS.items() for number in numbers]


def address(number, ipv6=False):
    return f"fd00:9::{number}" if ipv6 else f"10.9.0.{number}"


class Cable:
    count = 0

    def __init__(self, lab):
        self.lab = lab
        self.number = Cable.count
        self.started = 0
        Cable.count += 1
        self.relay = None
        self.hubs = {}
        self.hosts = {}
        for side in "lr":
            hub = f"hub{self.number}{side}"
            lab.make_hub(hub)
            self.hubs[side] = f"{lab.prefix}-{hub}"
            for kind in KINDS:
                addresses = [address(HOSTS[kind, side][0]) + "/24", address(HOSTS[kind, side][0], True) + "/64"]
                addresses = addresses if kind == "kernel" else []
                self.hosts[kind, side] = lab.host(f"{kind}{self.number}{side}", *addresses, hub=hub)
        for (kind, side), host in self.hosts.items():
            if kind == "ours":
                host.run("sysctl", "-qw", "net.ipv6.conf.eth0.disable_ipv6=1")
                continue
            # What one connection has learned must not help the next: every transfer is the first.
            host.run("sysctl", "-qw", "net.ipv4.tcp_no_metrics_save=1")
            for other, mac in self.neighbours(side):
                host.ip("neigh", "replace", other, "lladdr", mac, "dev", "eth0", "nud", "permanent")
        self.lay()

    def lay(self):
        """outer ── inner: the relay stands between `inner` and `far`, whose other end is at the hub on the right."""
        left, right = self.hubs["l"], self.hubs["r"]
        run("ip", "-n", left, "link", "add", "outer", "type", "veth", "peer", "name", "inner")
        run("ip", "-n", left, "link", "add", "far", "type", "veth", "peer", "name", "near", "netns", right)
        for namespace, link in ((left, "outer"), (left, "inner"), (left, "far"), (right, "near")):
            run("ip", "netns", "exec", namespace, "ethtool", "-K", link, "tx", "off", "tso", "off", "gso", "off", "gro", "off")
            run("ip", "-n", namespace, "link", "set", link, "up")
        run("ip", "-n", left, "link", "set", "outer", "master", "br0")
        run("ip", "-n", right, "link", "set", "near", "master", "br0")

    def weather(self, seed=1, drop=0, round_trip_ms=0, kbit=0, queue=0):
        """From now on: of 1000 packets `drop` are lost, each way; the rest is the relay's to explain."""
        if self.relay:
            self.stop_relay()
        words = [RELAY, "inner", "far", seed, drop, 0, 0]
        words += [f"delay={round_trip_ms * 500}"] if round_trip_ms else []
        words += [f"rate={kbit}", f"queue={queue}"] if kbit else []
        self.started += 1
        self.relay = self.lab.start(f"relay{self.number}-{self.started}", ["ip", "netns", "exec", self.hubs["l"], *words])
        wait_until(lambda: "started" in self.relay.output() or not self.relay.running(), 10, "the relay")
        if not self.relay.running():
            raise LabError(self.relay.output())
        hurry(self.relay)

    def stop_relay(self):
        """What became of the packets."""
        if self.relay.stop() != 0:
            raise LabError(self.relay.output())
        return self.relay.output()

    def neighbours(self, side):
        """(address, MAC) of everybody on the other side."""
        return [(address(number, ipv6), self.hosts[kind, there].mac()) for kind, there, number in ADDRESSES if there != side
                for ipv6 in (False, True)]

    def program(self, kind, side, own, *words):
        neighbours = [f"--neighbour={other}={mac}" for other, mac in self.neighbours(side)] if kind == "ours" else []
        self.started += 1
        process = self.hosts[kind, side].start(f"transfer{self.started}", TRANSFER, kind, "--address", own, "--port", PORT, *neighbours, *words)
        hurry(process)
        return process

    @contextlib.contextmanager
    def servers(self, ipv6=False):
        """One of each kind, on the right."""
        processes = [self.program(kind, "r", address(HOSTS[kind, "r"][0], ipv6)) for kind in KINDS]
        try:
            for process in processes:
                wait_until(lambda: "started" in process.output() or not process.running(), 10, "the server")
                if not process.running():
                    raise LabError(process.output())
            yield dict(zip(KINDS, processes))
        finally:
            for process in processes:
                process.stop()

    def client(self, kind, server, *words, ipv6=False):
        """On the left; `words` are jobs and options."""
        own = HOSTS[kind, "l"][-1 if server == "ours" else 0]
        return self.program(kind, "l", address(own, ipv6), "--peer", address(HOSTS[server, "r"][0], ipv6), *words)


def job(up, down):
    return f"{up}:{down}"


def lines(process):
    return [json.loads(line) for line in process.output().splitlines() if line.startswith("{")]


def results(process, timeout):
    """One for each transfer of a client that has done all of them without a fault."""
    code = process.wait(timeout)
    found = [each for each in lines(process) if "fault" in each]
    if code != 0 or any(each["fault"] for each in found):
        raise LabError(f"{process.name} ended with {code}:\n{process.output()}")
    return found


def retransmissions(process):
    """Segments that a client, or a server that was stopped, has sent again."""
    return sum(each.get("retransmissions", 0) for each in lines(process))


def rates_with_loss(cable, per_mille, round_trip_ms, flows, size):
    """Bytes a second of one flow by (sender, receiver), clients sending and receiving. All at once, so that every pair meets the same
    machine; the losses are the cable's, so nobody is in another's way."""
    cable.weather(seed=per_mille, drop=per_mille, round_trip_ms=round_trip_ms)
    seconds = {pair: [] for pair in PAIRS}
    with cable.servers():
        running = {pair: cable.client(*pair, "--together", *[job(size, 0), job(0, size)] * flows) for pair in PAIRS}
        for (client, server), process in running.items():
            for each in results(process, 500):
                seconds[(client, server) if each["up"] else (server, client)].append(each["seconds"])
    return {pair: size / statistics.mean(each) for pair, each in seconds.items()}


def shares(cables, kinds, receiver, kbit, seconds, round_trip_ms=20):
    """What two flows of these kinds send side by side, on each of the cables: a bottleneck of `kbit`, before which as much may wait
    as is on the way."""
    sent = []
    with contextlib.ExitStack() as servers:
        for number, cable in enumerate(cables):
            cable.weather(seed=number, round_trip_ms=round_trip_ms, kbit=kbit, queue=kbit * round_trip_ms // 8)
            servers.enter_context(cable.servers())
        endless = ["--seconds", seconds, "--together"]
        running = [[cable.client(kinds[0], receiver, *endless, job(1 << 40, 0), job(1 << 40, 0))] if kinds[0] == kinds[1]
                   else [cable.client(kind, receiver, *endless, job(1 << 40, 0)) for kind in kinds] for cable in cables]
        for pair in running:
            sent.append([each["up"] for process in pair for each in results(process, 3 * seconds + 60)])
            if sum(sent[-1]) < 0.7 * kbit * 125 * seconds:
                raise LabError(f"this was no bottleneck: {sent[-1]} bytes in {seconds} s")
    for cable in cables:
        cable.stop_relay()
    return sent


def hurry(process):
    """Before other users of this machine: the kernel's TCP does not wait for its turn, and a wait here is a wait of TCP there."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/{process.pid}/autogroup", "w") as file:
        file.write("-12")
