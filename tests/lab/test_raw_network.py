"""Raw frames below TCP: ICMP errors true and forged, fragments, headers of both versions of IP. Linux and Sluice take the same ones.

Sluice departs knowingly in one thing: workers take whole packets only. Fragments of TCP are dropped and counted, and their sender,
to whom no acknowledgment comes, sends again (docs/tcp.md, left out)."""

import struct

import pytest

from raw_peer import TCP, WORD, Segment, ipv4, ipv6, pack
from raw_subjects import GATEWAYS
from test_raw_stream import ask, assert_pattern, take_flight

both_families = pytest.mark.parametrize("family", [4, 6])
PORT_UNREACHABLE = {4: (3, 3), 6: (1, 4)}
HOST_UNREACHABLE = {4: (3, 1), 6: (1, 3)}
HARD_ERRORS = [(4, 3, 2), (4, 3, 3), (4, 3, 13), (4, 3, 1), (4, 3, 0), (4, 11, 0), (4, 12, 0), (6, 1, 1), (6, 1, 3), (6, 1, 4), (6, 3, 0), (6, 4, 1)]


def router(host):
    return pack(GATEWAYS[0 if host.v4 else 1])


def too_big(host, quoted, mtu, **more):
    """Fragmentation needed (RFC 1191), or packet too big (RFC 8201), from the router."""
    if host.v4:
        host.send_icmp(3, 4, quoted[:28], struct.pack("!HH", 0, mtu), source=router(host), **more)
    else:
        host.send_icmp(2, 0, quoted[:1200], struct.pack("!I", mtu), source=router(host), **more)


def with_sequence(packet, v4, change):
    """The packet as if its sequence number were another."""
    at = (20 if v4 else 40) + 4
    number, = struct.unpack("!I", packet[at:at + 4])
    return packet[:at] + struct.pack("!I", (number + change) % WORD) + packet[at + 4:]


def in_flight(subject, family):
    """A connection on which 8000 bytes are on their way, and the last segment of them."""
    tcp = subject.host(family).tcp().open((("mss", 1400),))
    take_flight(tcp)
    return tcp, next(one for one in reversed(tcp.seen) if one.payload)


def assert_sizes(tcp, least, most):
    """The whole answer comes, and another one; the packets of the latter are as large as this."""
    rest = tcp.read(8000)
    assert_pattern(rest)
    tcp.read_what_comes(1000)  # What the head made it longer
    tcp.acknowledge()
    since = len(tcp.seen)
    ask(tcp, 8000)
    tcp.read(8000)
    largest = max(len(one.packet) for one in tcp.seen[since:] if isinstance(one, Segment))
    assert least <= largest <= most
    tcp.segment("R")


# Path MTU

@both_families
def test_packet_too_big_makes_segments_smaller_and_sends_again_at_once(subject, family):
    tcp, last = in_flight(subject, family)
    mtu = 1000 if family == 4 else 1300
    too_big(tcp.host, next(one for one in tcp.seen if one.payload).packet, mtu)
    again = tcp.expect(where=lambda one: one.payload and one.seq == tcp.rcv)
    assert len(again.packet) <= mtu
    tcp.forget()
    assert_sizes(tcp, mtu - 100, mtu)


@both_families
@pytest.mark.parametrize("change", [-100000, 100000, 1 << 31], ids=["before", "behind", "far"])
def test_packet_too_big_about_nothing_in_flight_changes_nothing(subject, family, change):
    """RFC 5927 §4.1: who is not on the path does not know the number."""
    tcp, last = in_flight(subject, family)
    too_big(tcp.host, with_sequence(last.packet, family == 4, change), 1280 if family == 6 else 600)
    assert_sizes(tcp, 1400, 1500)


@both_families
def test_packet_too_big_with_a_wrong_checksum_is_not_there(subject, family):
    tcp, last = in_flight(subject, family)
    too_big(tcp.host, last.packet, 1280 if family == 6 else 600, bad_checksum=True)
    assert_sizes(tcp, 1400, 1500)


@both_families
@pytest.mark.parametrize("mtu", [0, 1, 68])
def test_absurd_mtu_is_not_believed(subject, family, mtu):
    """IPv4 paths of less than 552 bytes do not exist; an IPv6 packet needs never be smaller than 1280 (RFC 8201 §4)."""
    tcp, last = in_flight(subject, family)
    too_big(tcp.host, last.packet, mtu)
    tcp.forget()
    assert_sizes(tcp, 500 if family == 4 else 1200, 1500)


@both_families
def test_packet_too_big_that_names_a_larger_mtu_changes_nothing(subject, family):
    tcp, last = in_flight(subject, family)
    too_big(tcp.host, last.packet, 9000)
    assert_sizes(tcp, 1400, 1500)


# Errors

@pytest.mark.parametrize("family, kind, code", HARD_ERRORS)
def test_no_icmp_error_ends_an_open_connection(subject, family, kind, code):
    """RFC 5927 §6.1: also what was called hard is a hint only, once a connection is open."""
    tcp, last = in_flight(subject, family)
    tcp.host.send_icmp(kind, code, last.packet[:200], source=router(tcp.host))
    assert_sizes(tcp, 1400, 1500)


@both_families
@pytest.mark.parametrize("error", [PORT_UNREACHABLE, HOST_UNREACHABLE], ids=["port", "host"])
def test_unreachable_gives_up_an_attempt(subject, family, error):
    """RFC 5461: waiting for minutes helps nobody, so both stacks treat also a soft error so while connecting."""
    host, dial = subject.dial(family)
    tcp = host.await_syn()
    host.send_icmp(*error[family], tcp.syn.packet, source=router(host))
    assert dial.outcome() == "failed"


@both_families
def test_unreachable_about_another_syn_gives_up_nothing(subject, family):
    host, dial = subject.dial(family)
    tcp = host.await_syn()
    for change in (-1, 2, 1 << 31, *((1,) if subject.name == "sluice" else ())):  # Linux believes SND.NXT too.
        host.send_icmp(*PORT_UNREACHABLE[family], with_sequence(tcp.syn.packet, family == 4, change), source=router(host))
    tcp.segment("SA")
    tcp.snd += 1
    tcp.expect(where=lambda one: one.payload)
    assert dial.pending()
    tcp.segment("R")
    assert dial.outcome() == "failed"


@both_families
def test_unreachable_about_another_syn_ack_forgets_no_handshake(subject, family):
    tcp = subject.host(family).tcp()
    tcp.segment("S")
    tcp.syn_ack = tcp.expect("SA")
    tcp.host.send_icmp(*PORT_UNREACHABLE[family], with_sequence(tcp.syn_ack.packet, family == 4, 77), source=router(tcp.host))
    tcp.established()
    tcp.tunnel().converse()


@pytest.mark.parametrize("size", [0, 8, 19, 20, 24, 27])
def test_error_that_quotes_too_little_is_nothing(subject, size):
    """The ports and the number are in the first eight bytes behind the IP header."""
    tcp, last = in_flight(subject, 4)
    tcp.host.send_icmp(3, 4, last.packet[:size], struct.pack("!HH", 0, 600), source=router(tcp.host))
    tcp.host.send_icmp(3, 3, last.packet[:size], source=router(tcp.host))
    assert_sizes(tcp, 1400, 1500)


def test_error_about_somebody_elses_packet_is_nothing(subject):
    tcp, last = in_flight(subject, 4)
    for at in (12, 16, 20, 22):  # Source, destination, ports
        forged = bytearray(last.packet[:60])
        forged[at + 1] ^= 0x11
        too_big(tcp.host, bytes(forged), 600)
    assert_sizes(tcp, 1400, 1500)


@pytest.mark.parametrize("kind, code", [(4, 0), (5, 1), (13, 0), (17, 0), (40, 0), (255, 0)])
def test_other_messages_are_nothing(subject, kind, code):
    """Source quench (RFC 6633), redirects of a router that is none, types that nobody knows."""
    tcp, last = in_flight(subject, 4)
    tcp.host.send_icmp(kind, code, last.packet[:60], pack("192.0.2.66"), source=pack("192.0.2.77"))
    assert_sizes(tcp, 1400, 1500)


# Fragments

def fragments(tcp, data, cuts, identification=99):
    """The segment's packets when it is cut at these places, all multiples of eight."""
    host = tcp.host
    parts = []
    for first, last in zip((0, *cuts), (*cuts, len(data))):
        more = last != len(data)
        if host.v4:
            flags = (0x2000 if more else 0) | first // 8
            parts.append(ipv4(host.address, host.to, TCP, data[first:last], identification=identification, flags=flags))
        else:
            parts.append(ipv6(host.address, host.to, TCP, data[first:last], extensions=[(44, struct.pack("!HI", first | more, identification))]))
    return parts


@both_families
@pytest.mark.parametrize("order", [1, -1], ids=["in-order", "reversed"])
def test_fragments_are_put_together_or_sent_again_whole(subject, family, order):
    tcp = subject.host(family).tcp().tunnel()
    payload = b"fragments" * 100
    before = subject.dropped("fragment_unsupported") if subject.name == "sluice" else 0
    for part in fragments(tcp, tcp.bytes("PA", payload=payload), (304, 608))[::order]:
        tcp.host.send_frame(part)
    if subject.name == "linux":
        tcp.snd += len(payload)
        assert tcp.read(len(payload)) == payload
    else:
        tcp.assert_unanswered(payload)
        assert subject.dropped("fragment_unsupported") >= before + 3
    tcp.converse()


@both_families
def test_overlapping_fragments_are_no_segment(subject, family):
    """RFC 5722, and what everybody does for IPv4: such a packet says two things at once."""
    tcp = subject.host(family).tcp().tunnel()
    data = tcp.bytes("PA", payload=b"x" * 100)
    first, _ = fragments(tcp, data, (64,))
    _, second = fragments(tcp, data, (48,))
    tcp.host.send_frame(first)
    tcp.host.send_frame(second)
    tcp.assert_unanswered()


@both_families
def test_lone_fragments_are_not_answered(subject, family):
    """One each of different packets: nothing is complete. The last is half a header (RFC 1858)."""
    tcp = subject.host(family).tcp().tunnel()
    data = tcp.bytes("R", payload=b"x" * 80)
    for number, part in enumerate((0, 1, 2)):
        tcp.host.send_frame(fragments(tcp, data, (24, 48), identification=number)[part])
    tcp.host.send_frame(fragments(tcp, data, (8,), identification=3)[0])
    tcp.assert_unanswered()


def test_atomic_fragment_is_a_whole_packet(subject):
    """RFC 6946."""
    tcp = subject.host(6).tcp().tunnel()
    part, = fragments(tcp, tcp.bytes("PA", payload=b"atomic"), ())
    tcp.host.send_frame(part)
    tcp.snd += 6
    assert tcp.read(6) == b"atomic"
    tcp.converse()


# Headers of IP

@pytest.mark.parametrize("lie", [
    {"bad_checksum": True}, {"version": 5}, {"version": 6}, {"ihl": 4}, {"ihl": 15}, {"total": 19}, {"total": 39}, {"total": 2000},
    {"options": b"\x07\0\0\0"}, {"options": b"\x07\5\0\0"},
], ids=str)
def test_broken_ipv4_header_is_not_there(subject, lie):
    tcp = subject.host(4).tcp().tunnel()
    tcp.host.send_frame(tcp.host.packet(TCP, tcp.bytes("PA", payload=b"lies!"), **lie))
    tcp.assert_unanswered()


@pytest.mark.parametrize("lie", [{"version": 4}, {"version": 7}, {"total": 2000}, {"total": 19}, {"total": 0}], ids=str)
def test_broken_ipv6_header_is_not_there(subject, lie):
    tcp = subject.host(6).tcp().tunnel()
    tcp.host.send_frame(tcp.host.packet(TCP, tcp.bytes("PA", payload=b"lies!"), **lie))
    tcp.assert_unanswered()


@pytest.mark.parametrize("options", [b"\1\1\1\1", b"\x44\x0c\x05\0" + b"\0" * 8, b"\x07\x07\x04\0\0\0\0\0", b"\x94\x04\0\0", b"\x9e\x04\0\0"],
                         ids=["nops", "timestamp", "record-route", "router-alert", "unknown"])
def test_ipv4_options_are_skipped(subject, options):
    """RFC 1122 §3.2.1.8: what is unknown is ignored."""
    tcp = subject.host(4).tcp().tunnel()
    tcp.host.send_frame(tcp.host.packet(TCP, tcp.bytes("PA", payload=b"options"), options=options))
    tcp.snd += 7
    assert tcp.read(7) == b"options"
    tcp.converse()


@pytest.mark.parametrize("kind", [0x83, 0x89], ids=["loose", "strict"])
def test_source_routed_packet_is_not_there(subject, kind):
    """RFC 7126 §4.3, §4.4: it would let anybody receive the answers to an address that is not his."""
    tcp = subject.host(4).tcp().tunnel()
    route = struct.pack("!BBB4sx", kind, 7, 8, pack("192.0.2.66"))
    tcp.host.send_frame(tcp.host.packet(TCP, tcp.bytes("PA", payload=b"source"), options=route))
    tcp.assert_unanswered()


PADDING = b"\1\4\0\0\0\0"
EXTENSIONS = {
    "hop-by-hop": [(0, PADDING)],
    "router-alert": [(0, b"\5\2\0\0\1\0")],
    "destination": [(60, PADDING)],
    "unknown-to-skip": [(60, b"\x1e\4\0\0\0\0")],
    "both": [(0, PADDING), (60, PADDING)],
    "routing-done": [(43, b"\0\0\0\0\0\0")],
    "many": [(0, PADDING), (60, PADDING), (43, b"\0\0\0\0\0\0"), (44, struct.pack("!HI", 0, 5)), (60, PADDING)],
}


@pytest.mark.parametrize("extensions", EXTENSIONS.values(), ids=EXTENSIONS)
def test_ipv6_extension_headers_are_passed_over(subject, extensions):
    tcp = subject.host(6).tcp().tunnel()
    tcp.host.send_frame(tcp.host.packet(TCP, tcp.bytes("PA", payload=b"extensions"), extensions=extensions))
    tcp.snd += 10
    assert tcp.read(10) == b"extensions"
    tcp.converse()


REFUSED_EXTENSIONS = {
    "routing-on": [(43, b"\0\1\0\0\0\0" + pack("2001:db8::66"))],
    "routing-unknown": [(43, b"\xfd\1\0\0\0\0")],
    "discard": [(60, b"\x5e\4\0\0\0\0")],
    "discard-and-tell": [(60, b"\x9e\4\0\0\0\0")],
    "discard-and-tell-one": [(60, b"\xde\4\0\0\0\0")],
    "hop-by-hop-discard": [(0, b"\x5e\4\0\0\0\0")],
    "hop-by-hop-later": [(60, PADDING), (0, PADDING)],
    "option-too-long": [(60, b"\x1e\x20\0\0\0\0")],
    "header-too-long": [(60, b"\1\4\0\0\0\0")],
}


@pytest.mark.parametrize("case", REFUSED_EXTENSIONS)
def test_ipv6_extension_headers_that_forbid_it_are_obeyed(subject, case):
    """RFC 8200 §4.2 to §4.4, RFC 5095: the packet is discarded. The next thing that is heard of TCP answers proper data."""
    tcp = subject.host(6).tcp().tunnel()
    packet = tcp.host.packet(TCP, tcp.bytes("PA", payload=b"forbidden"), extensions=REFUSED_EXTENSIONS[case])
    if case == "header-too-long":
        packet = packet[:41] + b"\xff" + packet[42:]
    tcp.host.send_frame(packet)
    tcp.assert_unanswered()


@both_families
@pytest.mark.parametrize("ttl", [1, 255])
def test_hop_limit_does_not_matter_to_who_is_the_end(subject, family, ttl):
    tcp = subject.host(family).tcp().tunnel()
    tcp.host.send_frame(tcp.host.packet(TCP, tcp.bytes("PA", payload=b"hops"), ttl=ttl))
    tcp.snd += 4
    assert tcp.read(4) == b"hops"
    tcp.converse()


@both_families
@pytest.mark.parametrize("tos", [1, 2, 3, 0xB8, 0xFF])
def test_traffic_class_does_not_matter(subject, family, tos):
    """ECN was not agreed on, so that a router's mark means nothing either."""
    tcp = subject.host(family).tcp().tunnel()
    tcp.host.send_frame(tcp.host.packet(TCP, tcp.bytes("PA", payload=b"class"), tos=tos))
    tcp.snd += 5
    assert tcp.read(5) == b"class"
    tcp.converse()


@both_families
def test_other_destination_is_not_answered(subject, family):
    """A frame for the subject's MAC with another host's address: it is no router."""
    tcp = subject.host(family).tcp().tunnel()
    others = {4: ("192.0.2.99", "203.0.113.1", "192.0.2.255", "255.255.255.255", "224.0.0.1"), 6: ("2001:db8::99", "2001:db8:9::1", "ff02::1")}
    for to in others[family]:
        tcp.host.send_frame(tcp.host.packet(TCP, tcp.bytes("S"), to=pack(to)))
    tcp.assert_unanswered()
