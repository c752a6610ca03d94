"""A peer that is not a kernel: the test itself writes and reads the frames.

A `Wire` is one end of a cable. Behind it is a gateway, whose ARP and neighbour discovery a thread answers, and behind the gateway
any number of invented hosts: each test takes a new one, so what is late for one test reaches no other. A `Tcp` is one connection
of such a host, held in the test's hand: it counts sequence numbers and does nothing by itself.

Every segment that arrives is checked: lengths, checksums, and that no bytes come twice with different contents.
"""

import collections
import itertools
import os
import socket
import struct
import threading
import time

from lab import inside

PATIENCE = 10  # seconds for an answer that must come; a busy machine may take its time
SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC, PACKET_IGNORE_OUTGOING = 263, 1, 1, 23
SO_RCVBUFFORCE = 33
ETH_P_ALL = 3
IPV4, IPV6, ARP = 0x0800, 0x86DD, 0x0806
ICMP, TCP, ICMPV6 = 1, 6, 58
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))
LETTERS = dict(zip("FSRPAUEC", (FIN, SYN, RST, PSH, ACK, URG, ECE, CWR)))
WORD = 1 << 32


def flags_of(text):
    return sum(LETTERS[letter] for letter in text)


def distance(later, earlier):
    """How far `later` is behind `earlier`, in sequence numbers: negative when it is before."""
    return (later - earlier + WORD // 2) % WORD - WORD // 2


def pack(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    # Sixteen-bit words add up modulo 0xffff, and so does the whole as one number (RFC 1071).
    return 0xFFFF - int.from_bytes(data, "big") % 0xFFFF


def is_checksum_right(data):
    return checksum(data) in (0, 0xFFFF)


def pseudo_header(source, destination, protocol, length):
    if len(source) == 4:
        return source + destination + struct.pack("!xBH", protocol, length)
    return source + destination + struct.pack("!IxxxB", length, protocol)


def with_checksum(source, destination, protocol, data, at):
    """`data` with its transport checksum, over a pseudo header, written at offset `at`."""
    value = checksum(pseudo_header(source, destination, protocol, len(data)) + data)
    return data[:at] + struct.pack("!H", value) + data[at + 2:]


def ipv4(source, destination, protocol, payload, ttl=64, identification=0, flags=0x4000, options=b"", tos=0, total=None, ihl=None, version=4,
         bad_checksum=False):
    """A packet; `total`, `ihl` and `version` only to lie. `flags` is the word with DF, MF and the fragment's offset in eights."""
    length = 20 + len(options)
    head = struct.pack("!BBHHHBBH4s4s", version << 4 | (length // 4 if ihl is None else ihl), tos,
                       length + len(payload) if total is None else total, identification, flags, ttl, protocol, 0, source, destination) + options
    value = checksum(head) ^ (0x0101 if bad_checksum else 0)
    return head[:10] + struct.pack("!H", value) + head[12:] + payload


def ipv6(source, destination, protocol, payload, ttl=64, extensions=(), tos=0, total=None, version=6):
    """A packet. `extensions` are (protocol, body) in their order; the first two bytes of a body, next header and length, are made here."""
    for kind, body in reversed(extensions):
        length = 0 if kind == 44 else (len(body) + 2) // 8 - 1
        payload = struct.pack("!BB", protocol, length) + body + payload
        protocol = kind
    length = len(payload) if total is None else total
    return struct.pack("!IHBB16s16s", version << 28 | tos << 20, length, protocol, ttl, source, destination) + payload


def make_options(*options):
    """TCP options from ("mss", 1460), ("ws", 7), "sack-ok", ("ts", value, echo), ("sack", (l, r), ...), "nop", "eol" or raw bytes; padded."""
    data = b""
    for option in options:
        if isinstance(option, bytes):
            data += option
            continue
        name, *values = (option,) if isinstance(option, str) else option
        if name == "mss":
            data += struct.pack("!BBH", 2, 4, *values)
        elif name == "ws":
            data += struct.pack("!BBB", 3, 3, *values)
        elif name == "sack-ok":
            data += b"\4\2"
        elif name == "ts":
            data += struct.pack("!BBII", 8, 10, *(value % WORD for value in values))
        elif name == "sack":
            data += struct.pack("!BB", 5, 2 + 8 * len(values)) + b"".join(struct.pack("!II", *(edge % WORD for edge in block)) for block in values)
        else:
            data += {"nop": b"\1", "eol": b"\0"}[name]
    return data + b"\1" * (-len(data) % 4) if not data.endswith(b"\0") else data + b"\0" * (-len(data) % 4)


def read_options(data):
    """What `make_options` writes, as a dictionary; raises on anything malformed: a subject never sends that."""
    found = {}
    while data:
        kind = data[0]
        if kind == 0:
            break
        if kind == 1:
            data = data[1:]
            continue
        size = data[1]
        body, data = data[2:size], data[size:]
        assert size >= 2 and len(body) == size - 2, "malformed options from the subject"
        if kind == 2:
            found["mss"], = struct.unpack("!H", body)
        elif kind == 3:
            found["ws"] = body[0]
        elif kind == 4:
            found["sack-ok"] = True
        elif kind == 5:
            found["sack"] = [struct.unpack("!II", body[at:at + 8]) for at in range(0, len(body), 8)]
        elif kind == 8:
            found["ts"] = struct.unpack("!II", body)
        else:
            found[kind] = body
    return found


class Segment:
    """A TCP segment that arrived."""

    def __init__(self, packet, source, destination, data):
        assert is_checksum_right(pseudo_header(source, destination, TCP, len(data)) + data), "a wrong TCP checksum from the subject"
        self.packet, self.source = packet, source
        self.sport, self.dport, self.seq, self.ack, offset, self.flags, self.window, self.check, self.urgent = struct.unpack("!HHIIBBHHH", data[:20])
        self.header = (offset >> 4) * 4
        self.options = read_options(data[20:self.header])
        self.payload = data[self.header:]
        self.length = len(self.payload) + bool(self.flags & SYN) + bool(self.flags & FIN)

    def is_exactly(self, letters):
        """Whether these flags are set and no others, PSH and ECN aside."""
        return self.flags & ~(PSH | ECE | CWR) == flags_of(letters)

    def __repr__(self):
        letters = "".join(letter for letter, bit in LETTERS.items() if self.flags & bit)
        return f"<{letters} seq={self.seq} ack={self.ack} win={self.window} len={len(self.payload)} {self.options or ''}>"


class IcmpMessage:
    """An ICMP message of either version that arrived."""

    def __init__(self, data):
        self.type, self.code = data[0], data[1]
        self.rest, self.body = data[4:8], data[8:]

    def __repr__(self):
        return f"<ICMP type={self.type} code={self.code}>"


class Wire:
    """The cable's end with the gateway and its hosts. `gateways`: addresses of both families that ARP and ND are answered for."""

    def __init__(self, namespace, gateways, interface="eth0"):
        self.gateways = [pack(address) for address in gateways]
        with inside(namespace):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        self.socket.bind((interface, ETH_P_ALL))
        self.socket.settimeout(0.2)
        self.mac = self.socket.getsockname()[4]
        self.arrival = threading.Condition()
        self.inboxes = {}  # of hosts, by address
        self.closing = False
        self.failure = None
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        while not self.closing:
            try:
                frame = self.socket.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                return
            try:
                self.take(frame)
            except (AssertionError, struct.error, IndexError) as problem:
                with self.arrival:  # The test that waits tells it.
                    self.failure = f"{problem!r} in {frame.hex()}"
                    self.arrival.notify_all()

    def take(self, frame):
        kind, = struct.unpack("!H", frame[12:14])
        data = frame[14:]
        if kind == ARP:
            self.answer_arp(data)
        elif kind == IPV4:
            length, = struct.unpack("!H", data[2:4])
            assert is_checksum_right(data[:20]), "a wrong IPv4 checksum from the subject"
            assert data[0] == 0x45 and not struct.unpack("!H", data[6:8])[0] & 0x3FFF, "the subject sends fragments or options"
            self.deliver(data[:length], data[9], data[12:16], data[16:20], data[20:length])
        elif kind == IPV6:
            length, = struct.unpack("!H", data[4:6])
            body = data[40:40 + length]
            if data[6] == ICMPV6 and body[0] == 135:
                self.answer_solicitation(frame[6:12], data[8:24], body)
            else:
                self.deliver(data[:40 + length], data[6], data[8:24], data[24:40], body)

    def answer_arp(self, data):
        operation, mac, asker, asked = data[7], data[8:14], data[14:18], data[24:28]
        if operation == 1 and asked in self.gateways:
            reply = struct.pack("!HHBBH6s4s6s4s", 1, IPV4, 6, 4, 2, self.mac, asked, mac, asker)
            self.socket.send(mac + self.mac + struct.pack("!H", ARP) + reply)

    def answer_solicitation(self, mac, asker, body):
        asked = body[8:24]
        if asked not in self.gateways or asker == bytes(16):
            return
        advertisement = struct.pack("!BBHI16sBB6s", 136, 0, 0, 0x60000000, asked, 2, 1, self.mac)
        advertisement = with_checksum(asked, asker, ICMPV6, advertisement, 2)
        self.socket.send(mac + self.mac + struct.pack("!H", IPV6) + ipv6(asked, asker, ICMPV6, advertisement, ttl=255))

    def deliver(self, packet, protocol, source, destination, data):
        with self.arrival:
            inbox = self.inboxes.get(destination)
            if inbox is None:
                return
            if protocol == TCP:
                inbox.append(Segment(packet, source, destination, data))
            elif protocol in (ICMP, ICMPV6):
                inbox.append(IcmpMessage(data))
            self.arrival.notify_all()

    def close(self):
        self.closing = True
        self.reader.join()
        self.socket.close()


class Host:
    """An invented host behind the gateway that talks to one subject, at `to`."""

    numbers = itertools.count(1)

    def __init__(self, wire, mac, to, address=None):
        number = next(Host.numbers)
        self.wire, self.mac = wire, mac
        self.to = pack(to)
        self.v4 = len(self.to) == 4
        if address is None:
            address = f"198.18.{number >> 8}.{number & 255}" if self.v4 else f"2001:db8:1::{number:x}"
        self.text = address
        self.address = pack(address)
        self.inbox = self.wire.inboxes[self.address] = collections.deque()
        self.ports = itertools.count(20000 + 7 * number)

    def send_frame(self, packet, trailer=b"", mac=None, source_mac=None):
        """The packet in a frame. `trailer`: what some cards leave behind the packet, as padding to 60 bytes is."""
        kind = struct.pack("!H", IPV4 if self.v4 else IPV6)
        self.wire.socket.send((mac or self.mac) + (source_mac or self.wire.mac) + kind + packet + trailer)

    def packet(self, protocol, payload, source=None, to=None, **lies):
        make = ipv4 if self.v4 else ipv6
        return make(source or self.address, to or self.to, protocol, payload, **lies)

    def send_icmp(self, kind, code, body=b"", rest=b"\0\0\0\0", source=None, bad_checksum=False):
        """A message from this host, or from the router at `source`."""
        message = struct.pack("!BBH", kind, code, 0) + rest + body
        if self.v4:
            message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
        else:
            message = with_checksum(source or self.address, self.to, ICMPV6, message, 2)
        if bad_checksum:
            message = message[:2] + bytes([message[2] ^ 0x55]) + message[3:]
        self.send_frame(self.packet(ICMP if self.v4 else ICMPV6, message, source=source))

    def receive(self, timeout=PATIENCE):
        """The next segment or message, or None."""
        deadline = time.monotonic() + timeout
        with self.wire.arrival:
            while not self.inbox:
                if self.wire.failure:
                    raise AssertionError(self.wire.failure)
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                self.wire.arrival.wait(left)
            return self.inbox.popleft()

    def tcp(self, port=80, **options):
        return Tcp(self, port, **options)

    def await_syn(self, timeout=PATIENCE):
        """The connection that the subject opens to this host, as a Tcp whose SYN has been read and not been answered."""
        syn = self.receive(timeout)
        assert isinstance(syn, Segment) and syn.is_exactly("S"), f"{syn} instead of a SYN"
        tcp = Tcp(self, syn.sport, local_port=syn.dport)
        tcp.syn, tcp.irs, tcp.rcv = syn, syn.seq, syn.seq + 1
        return tcp


class Tcp:
    """One connection. `snd` is the next sequence number to send, `rcv` the next one expected; only what says so changes them."""

    def __init__(self, host, port, local_port=None, iss=None, mss=1400, window=65535):
        self.host, self.port = host, port
        self.local_port = local_port or next(host.ports)
        self.iss = int.from_bytes(os.urandom(4), "big") if iss is None else iss
        self.snd = self.iss
        self.rcv = 0
        self.mss = mss
        self.window = window
        self.time = None  # our timestamp clock; None: the option is not in use
        self.echo = 0
        self.seen = []  # everything that arrived, in its order
        self.stream = {}  # what arrived, by sequence number, to compare retransmissions with

    @property
    def snd(self):
        return self.snd_

    @snd.setter
    def snd(self, value):
        self.snd_ = value % WORD

    @property
    def rcv(self):
        return self.rcv_

    @rcv.setter
    def rcv(self, value):
        self.rcv_ = value % WORD

    # What leaves

    def bytes(self, flags, seq=None, ack=None, payload=b"", options=None, window=None, urgent=0, offset=None, reserved=0, bad_checksum=False):
        """A segment. Everything not said is as a well-behaved peer would have it; `offset` (in words) and `reserved` only to lie."""
        number = flags_of(flags)
        if options is None:
            options = make_options("nop", "nop", ("ts", self.time, self.echo)) if self.time is not None and not number & RST else b""
        length = 20 + len(options)
        data = struct.pack("!HHIIBBHHH", self.local_port, self.port, (self.snd if seq is None else seq) % WORD,
                           ((self.rcv if ack is None else ack) if number & ACK or ack is not None else 0) % WORD,
                           (length // 4 if offset is None else offset) << 4 | reserved, number, self.window if window is None else window, 0,
                           urgent) + options + payload
        data = with_checksum(self.host.address, self.host.to, TCP, data, 16)
        if bad_checksum:
            data = data[:16] + bytes([data[16] ^ 0x55]) + data[17:]
        return data

    def segment(self, flags, trailer=b"", **fields):
        """Sends one segment and counts nothing."""
        self.host.send_frame(self.host.packet(TCP, self.bytes(flags, **fields)), trailer)

    def send(self, data, **fields):
        """Sends data in order, a few segments as need be."""
        for at in range(0, len(data), self.mss):
            piece = data[at:at + self.mss]
            self.tick()
            self.segment("PA" if at + self.mss >= len(data) else "A", payload=piece, **fields)
            self.snd += len(piece)

    def finish(self, payload=b"", **fields):
        self.tick()
        self.segment("FA", payload=payload, **fields)
        self.snd += len(payload) + 1

    def acknowledge(self, **fields):
        self.segment("A", **fields)

    def tick(self):
        if self.time is not None:
            self.time = (self.time + 1) % WORD

    # What arrives

    def receive(self, timeout=PATIENCE):
        """The next segment of this connection or ICMP message for its host; None after the time."""
        deadline = time.monotonic() + timeout
        while True:
            got = self.host.receive(max(0, deadline - time.monotonic()))
            if isinstance(got, Segment):
                if (got.sport, got.dport) != (self.port, self.local_port):
                    continue
                self.compare(got)
                if "ts" in got.options:
                    self.echo = got.options["ts"][0]
            if got is not None:
                self.seen.append(got)
            return got

    def compare(self, segment):
        """The same number is the same byte, whenever it comes."""
        start = segment.seq + bool(segment.flags & SYN)
        for at, byte in enumerate(segment.payload):
            assert self.stream.setdefault((start + at) % WORD, byte) == byte, "a retransmission with other bytes"

    def expect(self, flags=None, timeout=PATIENCE, where=lambda segment: True, what=""):
        """The next segment with exactly these flags of which `where` is true; others may come before it, a RST may not."""
        passed = []
        deadline = time.monotonic() + timeout
        while True:
            got = self.receive(max(0, deadline - time.monotonic()))
            if got is None:
                raise AssertionError(f"no {flags} {what} within {timeout} s, but {passed}; expected next: {self.rcv}, sent up to: {self.snd}")
            if isinstance(got, Segment):
                if (flags is None or got.is_exactly(flags)) and where(got):
                    return got
                assert not got.flags & RST, f"{got} instead of {flags} {what}"
            passed.append(got)

    def expect_ack(self, ack=None, **more):
        """A segment without data that acknowledges everything up to `ack`, or up to what was sent, and nothing else."""
        wanted = (self.snd if ack is None else ack) % WORD
        return self.expect("A", where=lambda one: one.ack == wanted and not one.payload, what=f"that acknowledges {wanted}", **more)

    def expect_acknowledged(self, ack=None, **more):
        """Any segment that acknowledges everything up to `ack`."""
        wanted = (self.snd if ack is None else ack) % WORD
        return self.expect(where=lambda one: one.flags & ACK and not one.flags & RST and one.ack == wanted,
                           what=f"that acknowledges {wanted}", **more)

    def expect_reset(self, seq=None, ack=None):
        """A RST as RFC 9293 §3.10.7.1 wants it: at the number that the segment acknowledged, or acknowledging it from zero."""
        if seq is not None:
            return self.expect("R", where=lambda one: one.seq == seq % WORD, what=f"with sequence number {seq % WORD}")
        return self.expect("RA", where=lambda one: one.seq == 0 and one.ack == ack % WORD, what=f"that acknowledges {ack % WORD}")

    def right_edge(self, segment=None):
        """Up to where the subject takes data, by this segment or the last one that came."""
        segment = segment or [one for one in self.seen if isinstance(one, Segment)][-1]
        scale = 0 if segment.flags & SYN else self.syn_ack.options.get("ws", 0)
        return (segment.ack + (segment.window << scale)) % WORD

    def read(self, size, timeout=PATIENCE, acknowledge=True):
        """The next `size` bytes of the subject's stream, acknowledged; what comes twice or out of order is put right."""
        deadline = time.monotonic() + timeout
        data = b""
        while len(data) < size:
            while self.rcv in self.stream and len(data) < size:
                data += bytes([self.stream.pop(self.rcv)])
                self.rcv += 1
            if len(data) < size:
                if acknowledge and data:
                    self.acknowledge()
                self.expect(where=lambda one: one.payload, timeout=max(0, deadline - time.monotonic()),
                            what=f"with data: {len(data)} of {size} bytes came")
        if acknowledge:
            self.acknowledge()
        return data

    def read_what_comes(self, size, quiet=0.1):
        """Up to `size` bytes of the stream, fewer when nothing has come for so long. Acknowledges nothing."""
        data = b""
        while len(data) < size:
            while self.rcv in self.stream:
                data += bytes([self.stream.pop(self.rcv)])
                self.rcv += 1
            if len(data) >= size or self.receive(quiet) is None:
                break
        return data

    def forget(self):
        """What arrived and was not read yet is as if it had been lost."""
        self.stream = {}

    # Conversations

    def upgrade(self, path="/echo"):
        """What makes a byte stream of the connection, see raw_server.py; `tunnel` sends it and reads the answer."""
        return (f"GET {path} HTTP/1.1\r\nHost: raw.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").encode()

    def tunnel(self, path="/echo", **opening):
        """Opens the connection and makes an echo of it."""
        if opening or not self.rcv:
            self.open(**opening)
        self.send(self.upgrade(path))
        self.read_head(b"HTTP/1.1 101 ")
        return self

    def read_head(self, begin):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.read(1, acknowledge=False)
        assert head.startswith(begin), head
        self.acknowledge()
        return head

    def open(self, options=(), window=None, third=b""):
        """The handshake; the SYN-ACK. Timestamps are used from then on when both offered them."""
        for option in options:
            if option[0] == "ts":
                self.time = option[1]
        syn_options = make_options(*options)
        self.segment("S", options=syn_options, window=window)
        self.syn_ack = self.expect("SA", where=lambda one: one.ack == (self.iss + 1) % WORD, what="that acknowledges the SYN")
        self.established(third)
        return self

    def established(self, third=b""):
        self.irs = self.syn_ack.seq
        self.snd, self.rcv = self.iss + 1, self.irs + 1
        if "ts" not in self.syn_ack.options:
            self.time = None
        if third:
            self.send(third)
        else:
            self.acknowledge()

    def converse(self, data=None):
        """The connection is alive and whole: what is sent comes back. Returns what arrived meanwhile."""
        data = data or b"<" + os.urandom(12).hex().encode() + b">"
        before = len(self.seen)
        self.send(data)
        assert self.read(len(data)) == data
        self.expect_acknowledged_by(before)
        return [one for one in self.seen[before:] if isinstance(one, Segment)]

    def expect_acknowledged_by(self, since):
        """What we sent has been acknowledged by something that arrived since; waits for it otherwise."""
        if not any(isinstance(one, Segment) and one.ack == self.snd for one in self.seen[since:]):
            self.expect_acknowledged()

    def assert_unanswered(self, data=None):
        """What was sent last was taken for nothing: the next thing that the subject says answers the next proper data. Segments
        are processed in their order, so an answer would have come before."""
        for one in self.converse(data):
            assert one.ack == self.snd, f"{one} answers what must be ignored"

    def assert_ignored(self, data=None):
        """What was sent last changed nothing, whether it was answered by an acknowledgment or not."""
        start = self.snd
        for one in self.converse(data):
            assert one.ack in (start, self.snd), f"{one} takes what must be ignored"

    def assert_gone(self, **fields):
        """The subject has no such connection: whatever comes is answered by RST."""
        self.segment("A", payload=b"?", **fields)
        self.expect("R", where=lambda one: one.seq == self.rcv, what="of a connection that is gone")


