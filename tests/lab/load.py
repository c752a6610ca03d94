"""Load with a strict eye: HTTP over kept and new connections, and UDP probes. Prints one JSON object when it is told to end.

    load.py http HOST PORT [--tls] [--path /] [--connections 8] [--pause 5] [--every MS] [--timeout 2] [--seconds N]
    load.py udp HOST PORT [--every 1] [--seconds N]

`http` keeps --connections busy, one request after the other with --pause milliseconds between; --every MS opens a new
connection every so often besides. A response counts only when it is complete and its status is 200. `outages` are spans
in which everything failed: from the start of the first failed attempt to the start of the next one that succeeded.
Ends by SIGTERM or after --seconds.
"""

import argparse
import asyncio
import collections
import errno
import json
import signal
import socket
import ssl
import struct
import time


class Failure(Exception):
    """An attempt that a user would call failed; the text says how."""


REASONS = {None: "no answer in time", errno.ECONNRESET: "reset", errno.EPIPE: "reset", errno.ECONNREFUSED: "refused",
           errno.EHOSTUNREACH: "unreachable"}


class Outages:
    """Turns attempts (when they started, whether they succeeded) into spans of failure."""

    def __init__(self):
        self.attempts = []

    def add(self, started, succeeded):
        self.attempts.append((started, succeeded))

    def longest(self):
        longest = 0.0
        since = None
        last = None
        for started, succeeded in sorted(self.attempts):
            last = started
            if not succeeded:
                since = started if since is None else since
            elif since is not None:
                longest = max(longest, started - since)
                since = None
        if since is not None:
            longest = max(longest, last - since)
        return longest


class Http:
    def __init__(self, options):
        self.options = options
        self.requests = 0
        self.failed = 0
        self.reasons = collections.Counter()
        self.bodies = collections.Counter()
        self.failures = []
        self.slowest = 0.0
        self.connections = 0
        self.fresh = Outages()
        self.stopping = asyncio.Event()
        host = f"[{options.host}]" if ":" in options.host else options.host
        self.request = f"GET {options.path} HTTP/1.1\r\nHost: {host}\r\n{{}}\r\n"
        self.tls = None
        if options.tls:
            self.tls = ssl.create_default_context()
            self.tls.check_hostname = False
            self.tls.verify_mode = ssl.CERT_NONE

    async def connect(self):
        self.connections += 1
        return await asyncio.open_connection(self.options.host, self.options.port, ssl=self.tls)

    async def exchange(self, reader, writer, close):
        """One request and its whole response; whether the connection may be used again."""
        writer.write(self.request.format("Connection: close\r\n" if close else "").encode())
        await writer.drain()
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            raise Failure("closed in the head" if error.partial else "closed without an answer") from error
        lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        try:
            if "content-length" in fields:
                body = await reader.readexactly(int(fields["content-length"]))
            elif fields.get("transfer-encoding") == "chunked":
                body = b""
                while size := int(await reader.readline(), 16):
                    body += (await reader.readexactly(size + 2))[:-2]
                await reader.readexactly(2)
            else:
                body = await reader.read()
        except asyncio.IncompleteReadError as error:
            raise Failure("closed in the body") from error
        status = lines[0].split(" ")[1]
        if status != "200":
            raise Failure(f"status {status}")
        self.bodies[body[:16].decode("latin-1").strip()] += 1
        return fields.get("connection", "").lower() != "close"

    async def attempt(self, connection, close=False):
        """One timed request over the connection, or over a new one; the connection if it lives on."""
        self.requests += 1
        started = time.monotonic()
        writer = None

        async def go():
            nonlocal writer
            reader, writer = connection or await self.connect()
            return (reader, writer) if await self.exchange(reader, writer, close) and not close else None

        alive = None
        try:
            alive = await asyncio.wait_for(go(), self.options.timeout)
            succeeded = True
        except (Failure, OSError, asyncio.TimeoutError, ValueError) as error:
            succeeded = False
            self.failed += 1
            reason = REASONS.get(error.errno, str(error)) if isinstance(error, OSError) else str(error)
            self.reasons[reason] += 1
            if len(self.failures) < 200:
                self.failures.append({"began": time.time() - (time.monotonic() - started), "ended": time.time(), "new": close,
                                      "reason": reason})
        finally:
            if alive is None and writer is not None:
                writer.close()
        elapsed = time.monotonic() - started
        self.slowest = max(self.slowest, elapsed)
        if close:
            self.fresh.add(started, succeeded)
        return alive

    async def keep_busy(self):
        connection = None
        while not self.stopping.is_set():
            if connection and connection[0].at_eof():
                connection[1].close()  # Closed while idle, which a server may: every client looks before it asks again.
                connection = None
            connection = await self.attempt(connection)
            await asyncio.sleep(self.options.pause / 1000)
        if connection:
            connection[1].close()

    async def keep_opening(self):
        tasks = set()
        next_start = time.monotonic()
        while not self.stopping.is_set():
            task = asyncio.create_task(self.attempt(None, close=True))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            next_start = max(next_start + self.options.every / 1000, time.monotonic() - 0.1)
            await asyncio.sleep(max(0.0, next_start - time.monotonic()))
        if tasks:
            await asyncio.wait(tasks)

    async def run(self):
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        print("started", flush=True)
        if self.options.seconds:
            loop.call_later(self.options.seconds, self.stopping.set)
        work = [self.keep_busy() for _ in range(self.options.connections)]
        if self.options.every:
            work.append(self.keep_opening())
        await asyncio.gather(*work)
        return {"requests": self.requests, "failed": self.failed, "reasons": dict(self.reasons), "bodies": dict(self.bodies),
                "failures": self.failures,
                "connections": self.connections, "slowest_seconds": round(self.slowest, 4),
                "outage_seconds": round(self.fresh.longest(), 4)}


class Udp:
    def __init__(self, options):
        self.every = (options.every or 1) / 1000
        self.seconds = options.seconds
        self.target = (options.host, options.port)
        family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.connect(self.target)
        self.stopping = False
        self.sent = []
        self.answered = set()
        self.unreachable = 0

    def receive(self, until):
        while (left := until - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                self.answered.add(struct.unpack("!Q", self.socket.recv(64))[0])
            except (TimeoutError, BlockingIOError):
                return
            except ConnectionRefusedError:
                self.unreachable += 1

    def stop(self, *_):
        self.stopping = True

    def run(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.stop)
        print("started", flush=True)
        begin = time.monotonic()
        due = begin
        while not self.stopping and not (self.seconds and due - begin > self.seconds):
            self.sent.append(time.monotonic())
            try:
                self.socket.send(struct.pack("!Q", len(self.sent) - 1))
            except ConnectionRefusedError:
                self.unreachable += 1
            except (TimeoutError, BlockingIOError):
                pass  # No neighbour yet: it counts as lost.
            # What a starved prober did not send in time it does not send at all: a burst would say nothing.
            due = max(due + self.every, time.monotonic() - self.every)
            self.receive(due)
        self.receive(time.monotonic() + 0.5)
        outages = Outages()
        run = longest_run = 0
        for number, started in enumerate(self.sent):
            answered = number in self.answered
            outages.add(started, answered)
            run = 0 if answered else run + 1
            longest_run = max(longest_run, run)
        return {"sent": len(self.sent), "lost": len(self.sent) - len(self.answered), "longest_run": longest_run,
                "unreachable": self.unreachable, "outage_seconds": round(outages.longest(), 4)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["http", "udp"])
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--path", default="/")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--pause", type=float, default=5)
    parser.add_argument("--every", type=float, default=0)
    parser.add_argument("--timeout", type=float, default=2)
    parser.add_argument("--seconds", type=float, default=0)
    options = parser.parse_args()
    result = asyncio.run(Http(options).run()) if options.kind == "http" else Udp(options).run()
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
