"""The demonstration: the whole system on virtual ports, with real peers, doing in a minute what a bad week brings.

Ends with 0 when every step did what it should, with 1 otherwise; leaves nothing behind, on Ctrl-C too.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time

from lab import SLUICE, SLUICECTL, Lab, LabError, run, wait_until
from site_lab import ECHO_PORT, VIP, VIP6, Site

STATE = "/run/sluice-demo.json"
LONGEST_GAP = 1.0

BROKEN = {
    "vrid: 51": "virtual_router_id: 51",
    "interval: 200ms": "interval: 200",
    "routes: [{pool: web}]": "routes: [{pool: wbe}]",
}
NEW_ROUTES = '[{match: {path: {exact: /hello}}, respond: {body: "hello from the new file\\n"}}, {pool: web}]'


class StepFailed(Exception):
    """What a step saw is not what it should be."""


def expect(condition, text):
    if not condition:
        raise StepFailed(text)


class Screen:
    """What a person sees: headings, one line a step, indented blocks of output."""

    def __init__(self):
        self.colour = sys.stdout.isatty()
        self.failures = 0

    def paint(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self.colour else text

    def heading(self, text):
        print(f"\n{self.paint('1', text)}", flush=True)

    def block(self, text):
        print(self.paint("2", textwrap.indent(text.rstrip(), "      ")), flush=True)

    @contextlib.contextmanager
    def step(self, title):
        """Prints the step's line when it is over; a failure is counted and the demonstration goes on."""
        said = []
        try:
            yield said.append
            mark, text = self.paint("32", "✓"), "; ".join(said)
        except (StepFailed, LabError, subprocess.TimeoutExpired, OSError) as error:
            self.failures += 1
            mark, text = self.paint("31", "✗"), self.paint("31", "; ".join([*said, str(error).strip()]))
        print(f"  {mark} {title:<22} {text}", flush=True)


class Demo:
    def __init__(self, lab, screen, driver):
        self.lab = lab
        self.screen = screen
        self.site = Site(lab, driver=driver, memory="auto")
        self.client = self.site.client
        self.first, self.second = self.site.nodes

    def run(self):
        self.start()
        if self.screen.failures:
            return self.screen.failures  # Without a running pair the rest would only repeat it.
        self.requests()
        self.check()
        self.reload()
        self.drain()
        self.handover()
        self.status()
        self.death()
        return self.screen.failures

    # Load that runs while something is done to the nodes.

    @contextlib.contextmanager
    def load(self):
        """HTTP over 8 kept connections and a new one every 10 ms, UDP every millisecond; yields a function that ends it."""
        http = self.client.load("http", VIP, 80, "--connections", 8, "--every", 10, "--timeout", 1)
        udp = self.client.load("udp", VIP, ECHO_PORT)
        seen = {}

        def end():
            seen.update(http=http.result(), udp=udp.result())
            return seen["http"], seen["udp"]

        time.sleep(0.5)
        try:
            yield end
        finally:
            if not seen:
                end()

    @staticmethod
    def figures(http, udp):
        failures = f"{http['failed']} failed"
        if http["failed"]:
            failures += " (" + ", ".join(f"{count} {reason}" for reason, count in http["reasons"].items()) + ")"
        return f"{http['requests']} requests, {failures}; {udp['sent']} datagrams, {udp['lost']} lost"

    @staticmethod
    def gap(http, udp):
        return max(http["outage_seconds"], udp["outage_seconds"])

    # The steps, in the order in which they are shown.

    def start(self):
        self.screen.heading("A client, two Sluice nodes, two Nginx and a UDP echo on one bridge")
        with self.screen.step("start") as say:
            self.site.start()
            self.site.wait_active(0)
            driver = self.site.options["driver"]
            say(f"lb1 is active for {VIP} and {VIP6}, lb2 is its backup (ports: {driver})")

    def curl(self, *words):
        """One request: (body, HTTP version, status)."""
        result = self.client.curl("-k", "-m", 5, "-w", "%{http_version} %{http_code}", *words)
        body, _, rest = result.stdout.rpartition("\n")
        version, _, status = rest.partition(" ")
        expect(result.returncode == 0 and status == "200", f"curl {' '.join(words)}: {result.stderr.strip() or rest}")
        return body, version

    def requests(self):
        self.screen.heading("Requests through the virtual address")
        for title, words, wanted in (("HTTP", [f"http://{VIP}/"], "1.1"), ("HTTP over IPv6", [f"http://[{VIP6}]/"], "1.1"),
                                     ("HTTPS", ["--http1.1", f"https://{VIP}/"], "1.1"),
                                     ("HTTP/2 over TLS", ["--http2", f"https://{VIP}/"], "2"),
                                     ("HTTP/2 in clear", ["--http2-prior-knowledge", f"http://{VIP}/"], "2")):
            with self.screen.step(title) as say:
                answers = [self.curl(*words) for _ in range(10)]
                versions = {version for _, version in answers}
                expect(versions == {wanted}, f"HTTP {versions}, not {wanted}")
                bodies = [body for body, _ in answers]
                say(f"{' '.join(['curl', *words])}: 10 answers, " +
                    ", ".join(f"{bodies.count(name)} from {name}" for name in sorted(set(bodies))))
        with self.screen.step("UDP, full NAT") as say:
            udp = self.client.load("udp", VIP, ECHO_PORT, "--seconds", 1)
            seen = udp.result()
            expect(seen["lost"] == 0, f"{seen['lost']} of {seen['sent']} datagrams lost")
            say(f"{seen['sent']} datagrams sent, every one echoed")

    def broken(self, node):
        text = self.site.config(self.site.nodes.index(node) + 1)
        for right, wrong in BROKEN.items():
            text = text.replace(right, wrong, 1)
        return text

    def check(self):
        self.screen.heading("A broken file is judged before it does harm")
        errors = []
        with self.screen.step("sluice check") as say:
            path = self.first.write("broken.yaml", self.broken(self.first).replace("{socket}", self.first.socket))
            result = self.first.host.run(SLUICE, "check", path, check=False)
            expect(result.returncode == 3, f"exit {result.returncode}, not 3")
            text = (result.stderr + result.stdout).replace(path, "broken.yaml")
            errors = [line for line in text.splitlines() if " error: " in line]
            expect(len(errors) >= len(BROKEN), f"only {len(errors)} errors:\n{text}")
            say(f"exit 3, {len(errors)} errors at once, each with its place:")
        self.screen.block("\n".join(errors))

    def reload(self):
        self.screen.heading("Reload under load")
        with self.screen.step("a broken file") as say, self.load() as end:
            self.first.configure(self.broken(self.first))
            result = self.first.ctl("reload", check=False)
            expect(result.returncode == 3, f"sluicectl reload: exit {result.returncode}, not 3\n{result.stdout}{result.stderr}")
            time.sleep(0.5)
            http, udp = end()
            expect(not http["failed"] and not udp["lost"], self.figures(http, udp))
            say(f"refused (exit 3), nothing changed: {self.figures(http, udp)}")
        with self.screen.step("a good file") as say, self.load() as end:
            for number, node in enumerate(self.site.nodes, 1):
                node.configure(self.site.config(number, routes=NEW_ROUTES))
                node.ctl("reload")
            body, _ = self.curl(f"http://{VIP}/hello")
            time.sleep(0.5)
            http, udp = end()
            expect(body == "hello from the new file", f"/hello answers {body!r}")
            expect(not http["failed"] and not udp["lost"], self.figures(http, udp))
            say(f"taken, its new route answers: {self.figures(http, udp)}")

    def drain(self):
        self.screen.heading("Drain a server under load")
        with self.screen.step("drain web/web1") as say, self.load() as end:
            self.first.ctl("drain", "web/web1", "--reason", "demo")
            time.sleep(0.3)
            after = self.client.load("http", VIP, 80, "--connections", 2, "--seconds", 1)
            left = after.result()["bodies"]
            http, udp = end()
            expect(set(left) == {"web2"}, f"answers after the drain: {left}")
            expect(not http["failed"] and not udp["lost"], self.figures(http, udp))
            say(f"every later answer came from web2: {self.figures(http, udp)}")
        with self.screen.step("undrain") as say:
            self.first.ctl("undrain", "web/web1")
            wait_until(lambda: self.curl(f"http://{VIP}/")[0] == "web1", 10, "web1 to answer again", 0.05)
            say("web1 answers again")

    def handover(self):
        self.screen.heading("Hand over under load, and back")
        for giver, taker in ((self.first, self.second), (self.second, self.first)):
            with self.screen.step(f"{giver.name} to {taker.name}") as say, self.load() as end:
                giver.ctl("handover")
                taker.wait_vrrp("active")
                time.sleep(0.5)
                http, udp = end()
                expect(self.gap(http, udp) <= LONGEST_GAP, f"a gap of {self.gap(http, udp):.3f} s: {self.figures(http, udp)}")
                say(self.figures(http, udp))
        with self.screen.step("handover --undo") as say:
            for node in (self.second, self.first):
                node.ctl("handover", "--undo")
            self.site.wait_active(0)
            say("lb1 is active, lb2 its backup, as before")

    def status(self):
        self.screen.heading("sluicectl status")
        for node in self.site.nodes:
            text = ""
            with self.screen.step(node.name) as say:
                result = node.ctl("status", check=False)
                expect(result.returncode == 0, f"exit {result.returncode}\n{result.stdout}{result.stderr}")
                text = result.stdout
                say("exit 0: all well")
            self.screen.block(text)

    def death(self):
        self.screen.heading("Kill the active node under load, and bring it back")
        with self.screen.step("SIGKILL, link down") as say, self.load() as end:
            self.first.kill()
            self.second.wait_vrrp("active")
            time.sleep(1.0)
            http, udp = end()
            expect(self.gap(http, udp) <= LONGEST_GAP, f"a gap of {self.gap(http, udp):.3f} s: {self.figures(http, udp)}")
            say(f"the client saw a gap of {1000 * http['outage_seconds']:.0f} ms (HTTP) and {1000 * udp['outage_seconds']:.0f} ms "
                f"(UDP): {self.figures(http, udp)}")
        with self.screen.step("lb1 comes back") as say, self.load() as end:
            self.first.plug()
            self.first.start()
            self.site.wait_active(0)
            time.sleep(0.5)
            http, udp = end()
            expect(self.gap(http, udp) <= LONGEST_GAP, f"a gap of {self.gap(http, udp):.3f} s: {self.figures(http, udp)}")
            say(f"it takes its addresses again (preempt), gap {1000 * self.gap(http, udp):.0f} ms: {self.figures(http, udp)}")


def commands(demo):
    """What to play with in a lab that was kept."""
    client = demo.client.namespace
    lines = [f"ip netns exec {client} curl http://{VIP}/", f"ip netns exec {client} curl -k --http2 https://{VIP}/"]
    for node in demo.site.nodes:
        lines.append(f"{SLUICECTL} --socket {node.socket} status")
    lines += [f"{SLUICECTL} --socket {demo.first.socket} handover", f"$EDITOR {demo.first.path}",
              f"{SLUICECTL} --socket {demo.first.socket} reload", f"kill -9 {demo.first.sluice_pid()}",
              f"tail -f {demo.first.process.log_path}", "scripts/demo --down"]
    return "\n".join(lines)


def remember(lab):
    """Everything that --down needs, written before there is much to remove; called again as the lab grows."""
    with open(STATE, "w") as file:
        json.dump({"namespaces": lab.namespaces, "folder": lab.folder, "pid": os.getpid()}, file)


def take_down():
    """Removes the lab that the state file names: what runs in its namespaces, the namespaces, its folder."""
    try:
        with open(STATE) as file:
            state = json.load(file)
    except FileNotFoundError:
        return False
    for namespace in reversed(state["namespaces"]):
        pids = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True).stdout.split()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        subprocess.run(["ip", "netns", "delete", namespace], capture_output=True)
    if os.path.basename(state["folder"]).startswith("sluice-lab-"):
        shutil.rmtree(state["folder"], ignore_errors=True)
    os.unlink(STATE)
    return True


def lab_is_up():
    try:
        with open(STATE) as file:
            state = json.load(file)
    except FileNotFoundError:
        return False
    existing = run("ip", "netns", "list").stdout.split()
    return any(namespace in existing for namespace in state["namespaces"])


def interrupted(number, _):
    raise KeyboardInterrupt(signal.Signals(number).name)


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo", description="Shows Sluice at work in a lab of network namespaces.")
    parser.add_argument("--keep", action="store_true", help="leave the lab up and print commands to play with it")
    parser.add_argument("--down", action="store_true", help="remove a lab that was kept")
    parser.add_argument("--driver", choices=["af_xdp", "af_packet"], default="af_xdp", help="how the nodes drive their ports")
    options = parser.parse_args()
    if options.down:
        print("The lab is gone." if take_down() else "There is no lab.")
        return 0
    if lab_is_up():
        print("A lab is up already: `scripts/demo --down` removes it.", file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    began = time.monotonic()
    screen = Screen()
    lab = Lab()
    failures = None
    try:
        lab.on_namespace = lambda: remember(lab)
        demo = Demo(lab, screen, options.driver)
        failures = demo.run()
        if options.keep:
            lab.keep = True
            screen.heading("The lab stays up. To play with it:")
            screen.block(commands(demo))
    except KeyboardInterrupt as reason:
        print(f"\n{reason or 'interrupted'}: cleaning up", flush=True)
    except LabError as error:
        print(f"\nthe laboratory failed: {error}", file=sys.stderr)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if not lab.keep:
            lab.close()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(STATE)
    seconds = time.monotonic() - began
    if failures is None:
        print(f"\nNot finished ({seconds:.0f} s).")
    else:
        print(f"\n{f'{failures} steps failed' if failures else 'Every step did what it should'} ({seconds:.0f} s).")
    return 0 if failures == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
