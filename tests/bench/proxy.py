#!/usr/bin/python3
"""Nginx, HAProxy and Sluice as HTTP proxies over the same veth topology, interleaved in one run.

client -- switch -- proxy -- switch -- origin (Nginx answering from memory). Prints a table; --json writes the numbers.
Method: `rounds` rounds; in each every proxy is measured once, in turn. Medians. CPU per request: processor time with the proxy
at a fixed rate, minus that of client and origin alone at that rate, divided by the requests; what Sluice's cores spend on
empty polls is taken off (their own `polling` counter). Processor time is the scheduler's, in nanoseconds, of all processes
of the laboratory and of the kernel's network threads: the machine's own statistic counts ticks, and misses what sleeps
between them.
"""

import argparse
import json
import os
import re
import resource
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
from lab import Lab, Node, run, wait_for_port  # noqa: E402

SLUICE = """
cpu: {forwarders: [0], workers: [0], idle: adaptive}
memory: {hugepages: off, size: 512MiB}
ports: [{name: front, device: {interface: eth0, driver: %s}, addresses: [192.0.2.30/24]}]
services: [{name: site, listen: 192.0.2.30:80/tcp, proxy: {routes: [{pool: web}]}}]
pools: [{name: web, servers: [{address: 192.0.2.21:80}]}]
control: {socket: "{socket}"}
"""


def scheduled_seconds(process):
    """Processor time of a process with its threads, softirqs that they were interrupted for included."""
    total = 0
    for thread in os.listdir(f"/proc/{process}/task"):
        with open(f"/proc/{process}/task/{thread}/schedstat") as times:
            total += int(times.read().split()[0])
    return total * 1e-9


def busy_seconds():
    """Processor time of everything that descends from this process, ended or not, and of the softirq threads."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = used.ru_utime + used.ru_stime
    parents, softirqs = {}, []
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{process}/stat") as stat:
                head, fields = stat.read().rsplit(")", 1)
        except OSError:
            continue
        parents[int(process)] = int(fields.split()[1])
        if "(ksoftirqd/" in head:
            softirqs.append(int(process))

    def ours(process):
        while process in parents and process != os.getpid():
            process = parents[process]
        return process == os.getpid()

    return total + sum(scheduled_seconds(process) for process in parents if process in softirqs or process != os.getpid() and ours(process))


def wrk(client, address, seconds, close=False, connections=64):
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    if close:
        words += ["-H", "Connection: close"]
    out = client.run(*words, f"http://{address}/", timeout=seconds + 30).stdout
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
    units = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
    latency = {}
    for part in ("50", "99"):
        match = re.search(rf"{part}%\s+([\d.]+)(us|ms|s)", out)
        latency[part] = float(match.group(1)) * units[match.group(2)] if match else None
    errors = re.search(r"Socket errors: (.*)", out)
    return {"requests_per_second": rate, "p50_seconds": latency["50"], "p99_seconds": latency["99"], "errors": errors.group(1) if errors else None}


def fixed_rate(client, address, rate, seconds):
    """A constant rate over 16 connections; the processor time that everybody used and the requests that succeeded."""
    begin = busy_seconds()
    out = client.run("h2load", "--h1", "-c16", "-t1", f"-D{seconds}", f"--rps={rate / 16:.2f}", f"http://{address}/", timeout=seconds + 30).stdout
    done = int(re.search(r"(\d+) succeeded", out).group(1))
    return busy_seconds() - begin, done


class Contender:
    def __init__(self, name, address, busy=None):
        self.name, self.address, self.busy = name, address, busy
        self.keepalive, self.fresh, self.cost = [], [], []


def build(lab, driver):
    client = lab.host("client", "192.0.2.10/24")
    origin = lab.host("origin", "192.0.2.21/24")
    lab.nginx(origin, 'server { listen 80 backlog=4096; location / { return 200 "a body of thirty-two bytes......\\n"; } }')
    nginx_host = lab.host("nginx", "192.0.2.31/24")
    lab.nginx(nginx_host, """
  upstream web { server 192.0.2.21:80; keepalive 128; keepalive_requests 1000000; }
  server { listen 80 backlog=4096; location / { proxy_pass http://web; proxy_http_version 1.1; proxy_set_header Connection ""; } }""", name="proxy")
    haproxy_host = lab.host("haproxy", "192.0.2.32/24")
    path = os.path.join(lab.folder, "haproxy.cfg")
    with open(path, "w") as file:
        file.write("""global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 2s
  http-reuse always
listen site
  bind 192.0.2.32:80
  server web 192.0.2.21:80 pool-max-conn 256
""")
    haproxy_host.start("haproxy", "haproxy", "-db", "-f", path)
    node = Node(lab, "sluice", SLUICE % driver)
    node.start()
    for host, address in ((nginx_host, "192.0.2.31"), (haproxy_host, "192.0.2.32")):
        wait_for_port(host, address, 80)

    def empty_polls():
        """Process time that the packet cores spent without work."""
        return sum(core["polling_seconds_total"] for core in node.json("cores")["cores"])

    return client, node, [Contender("nginx", "192.0.2.31"), Contender("haproxy", "192.0.2.32"), Contender("sluice", "192.0.2.30", empty_polls)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rate", type=int, default=4000)
    parser.add_argument("--driver", default="af_xdp", choices=["af_xdp", "af_packet"])
    parser.add_argument("--json")
    options = parser.parse_args()
    with Lab() as lab:
        client, _, contenders = build(lab, options.driver)
        for contender in contenders:
            wrk(client, contender.address, 1)
        for _ in range(options.rounds):
            direct_busy, direct_done = fixed_rate(client, "192.0.2.21", options.rate, options.seconds)
            for contender in contenders:
                contender.keepalive.append(wrk(client, contender.address, options.seconds))
                contender.fresh.append(wrk(client, contender.address, options.seconds, close=True))
                polls = contender.busy() if contender.busy else 0.0
                busy, done = fixed_rate(client, contender.address, options.rate, options.seconds)
                polls = contender.busy() - polls if contender.busy else 0.0
                contender.cost.append((busy - polls) / done - direct_busy / direct_done)
    rows = []
    for contender in contenders:
        rows.append({
            "proxy": contender.name,
            "keepalive_requests_per_second": statistics.median(one["requests_per_second"] for one in contender.keepalive),
            "connections_per_second": statistics.median(one["requests_per_second"] for one in contender.fresh),
            "p50_seconds": statistics.median(one["p50_seconds"] for one in contender.keepalive),
            "p99_seconds": statistics.median(one["p99_seconds"] for one in contender.keepalive),
            "cpu_per_request_seconds": statistics.median(contender.cost),
            "errors": [one["errors"] for one in contender.keepalive + contender.fresh if one["errors"]],
        })
    base = rows[0]
    print(f"{'proxy':9}{'keep-alive req/s':>18}{'new conn/s':>12}{'p50 us':>9}{'p99 us':>9}{'CPU us/req':>12}   of nginx: req/s, CPU")
    for row in rows:
        print(f"{row['proxy']:9}{row['keepalive_requests_per_second']:18,.0f}{row['connections_per_second']:12,.0f}{row['p50_seconds'] * 1e6:9.0f}"
              f"{row['p99_seconds'] * 1e6:9.0f}{row['cpu_per_request_seconds'] * 1e6:12.1f}   "
              f"{row['keepalive_requests_per_second'] / base['keepalive_requests_per_second']:.2f}, "
              f"{row['cpu_per_request_seconds'] / base['cpu_per_request_seconds']:.2f}" + (f"   errors: {row['errors']}" if row["errors"] else ""))
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"method": __doc__, "options": vars(options), "rows": rows}, file, indent=1)
    return 1 if any(row["errors"] for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
