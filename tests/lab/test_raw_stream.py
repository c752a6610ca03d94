"""Raw frames into an open connection: checksums, offsets, padding, order, overlap, windows. Linux and Sluice take the same bytes."""

import pytest

from raw_peer import ACK, TCP, WORD, distance, make_options
from raw_server import pattern

both_families = pytest.mark.parametrize("family", [4, 6])
BYTES = pattern(6000)
LONG = pattern(2 << 20)


def sack(tcp):
    """A connection with SACK and nothing else, so that a lost segment of ours is reported precisely."""
    return tcp.tunnel(options=(("mss", 1400), "sack-ok"))


def put(tcp, first, last, **fields):
    """Sends BYTES[first:last] at their place behind what was sent so far."""
    tcp.segment("A", seq=tcp.snd + first, payload=BYTES[first:last], **fields)


def assert_whole(tcp, size, family=4):
    """Everything up to `size` arrived, once and in order, and was acknowledged."""
    since = len(tcp.seen)
    tcp.snd += size
    assert tcp.read(size) == BYTES[:size]
    tcp.expect_acknowledged_by(since)
    tcp.converse()


# What is broken is not there

@both_families
@pytest.mark.parametrize("lie", [{"bad_checksum": True}, {"offset": 4}, {"offset": 0}, {"offset": 15}],
                         ids=["checksum", "offset-4", "offset-0", "offset-15"])
def test_broken_segment_is_not_there(subject, family, lie):
    tcp = subject.host(family).tcp().tunnel()
    tcp.segment("PA", payload=b"lies!", **lie)
    tcp.assert_unanswered()


@both_families
@pytest.mark.parametrize("flags", ["R", "F", "S"])
def test_wrong_checksum_neither_ends_nor_begins_anything(subject, family, flags):
    host = subject.host(family)
    tcp = host.tcp().tunnel()
    tcp.segment(flags + ("A" if flags == "F" else ""), bad_checksum=True)
    tcp.assert_unanswered()
    host.tcp().segment("S", bad_checksum=True)
    tcp.assert_unanswered()


def test_checksum_of_all_zeros_and_all_ones_is_verified(subject):
    """Over TCP zero is no "not computed" as it is over UDP."""
    tcp = subject.host().tcp().tunnel()
    for value in (b"\0\0", b"\xff\xff"):
        data = tcp.bytes("PA", payload=b"unchecked")
        tcp.host.send_frame(tcp.host.packet(TCP, data[:16] + value + data[18:]))
    tcp.assert_unanswered()


@both_families
@pytest.mark.parametrize("trailer", [b"\0" * 6, b"\xff" * 46, b"GET / HTTP/1.1\r\n\r\n"], ids=["zeros", "ones", "text"])
def test_what_is_behind_the_packet_is_no_payload(subject, family, trailer):
    """Frames are padded to 60 bytes, and some cards leave more behind them."""
    tcp = subject.host(family).tcp().tunnel()
    tcp.segment("A", trailer=trailer)
    tcp.assert_unanswered()
    tcp.segment("PA", payload=b"x", trailer=trailer)
    tcp.snd += 1
    assert tcp.read(1) == b"x"
    tcp.converse()
    tcp.segment("FA", trailer=trailer)
    tcp.snd += 1
    tcp.expect("FA", where=lambda one: one.ack == tcp.snd)


@pytest.mark.parametrize("reserved", [2, 4, 8, 14])
def test_reserved_bits_are_ignored(subject, reserved):
    """RFC 9293 §3.1. The lowest of them is AccECN's."""
    tcp = subject.host().tcp().tunnel()
    tcp.segment("PA", payload=b"reserved", reserved=reserved)
    tcp.snd += 8
    assert tcp.read(8) == b"reserved"
    tcp.converse()


def test_segment_without_ack_is_not_there(subject):
    """RFC 9293 §3.10.7.4, fifth check."""
    tcp = subject.host().tcp().tunnel()
    tcp.segment("P", payload=b"no ACK")
    tcp.segment("", payload=b"no ACK")
    tcp.segment("F")
    tcp.assert_ignored()


def test_urgent_data_is_delivered_in_line(subject):
    """RFC 6093: the pointer is a hint at most, whatever it points at. (The server under Linux asks for that: SO_OOBINLINE.)"""
    tcp = subject.host().tcp().tunnel()
    for urgent in (1, 5, 6, 1000, 65535):
        tcp.segment("UPA", payload=b"urgent", urgent=urgent)
        tcp.snd += 6
        assert tcp.read(6) == b"urgent"
    tcp.segment("A", urgent=77)
    tcp.converse()


def test_unknown_option_in_an_open_connection_is_skipped(subject):
    tcp = subject.host().tcp().tunnel()
    for options in (b"\xfd\x08ABCDEF", b"\x1e\x12" + b"\0" * 16 + b"\1\1", b"\0" * 40, b"\1" * 40, b"\xfd\0\0\0", b"\1\1\1\xfd"):
        tcp.send(b"data", options=options)
        assert tcp.read(4) == b"data"
    tcp.converse()


# Order and overlap

@both_families
def test_segments_in_reverse_are_put_in_order(subject, family):
    tcp = sack(subject.host(family).tcp())
    for first in (4000, 3000, 2000, 1000):
        put(tcp, first, first + 1000)
        answer = tcp.expect_ack()
        left = tcp.snd + first
        assert answer.options["sack"][0] == (left % WORD, (tcp.snd + 5000) % WORD)  # RFC 2018 §4: the block that this one belongs to
    put(tcp, 0, 1000)
    assert_whole(tcp, 5000)


@both_families
def test_each_gap_is_reported_newest_first(subject, family):
    tcp = sack(subject.host(family).tcp())
    expected = []
    for first in (500, 1500, 2500, 3500):
        put(tcp, first, first + 500)
        expected.insert(0, ((tcp.snd + first) % WORD, (tcp.snd + first + 500) % WORD))
        assert tcp.expect_ack().options["sack"] == expected[:4]
    for first in (0, 1000, 2000, 3000):
        put(tcp, first, first + 500)
    assert_whole(tcp, 4000)


def test_gap_is_not_reported_to_whom_did_not_offer_sack(subject):
    tcp = subject.host().tcp().tunnel()
    put(tcp, 1000, 2000)
    assert "sack" not in tcp.expect_ack().options
    put(tcp, 0, 1000)
    assert_whole(tcp, 2000)


@both_families
def test_gaps_across_sequence_number_zero(subject, family):
    tcp = subject.host(family).tcp(iss=WORD - 1500)
    sack(tcp)
    put(tcp, 2000, 3000)
    left, right = tcp.expect_ack().options["sack"][0]
    assert distance(right, left) == 1000
    put(tcp, 1000, 2000)
    assert tcp.expect_ack().options["sack"] == [((tcp.snd + 1000) % WORD, (tcp.snd + 3000) % WORD)]
    put(tcp, 0, 1000)
    assert_whole(tcp, 3000)


OVERLAPS = {
    "left": [(0, 1000), (500, 1500)],
    "right": [(1000, 2000), (500, 1500), (0, 500)],
    "inside": [(1000, 2400), (1500, 2000), (0, 1000)],
    "around": [(1500, 2000), (1000, 2300), (0, 1000)],
    "all": [(2000, 2100), (1000, 1100), (3000, 3100), (0, 1400), (1400, 2800), (1900, 3200)],
    "same": [(1000, 2000), (1000, 2000), (0, 1000), (0, 1000)],
    "byte-by-byte": [(3, 4), (1, 2), (5, 6), (4, 5), (2, 3), (0, 1)],
    "from-before": [(0, 1000), (0, 1400), (700, 2000)],
}


@both_families
@pytest.mark.parametrize("order", OVERLAPS.values(), ids=OVERLAPS)
def test_overlapping_segments_give_every_byte_once(subject, family, order):
    tcp = sack(subject.host(family).tcp())
    for first, last in order:
        put(tcp, first, last)
    assert_whole(tcp, max(last for _, last in order))


def test_overlap_with_what_was_read_long_ago_is_cut(subject):
    tcp = subject.host().tcp().tunnel()
    begin = tcp.snd
    put(tcp, 0, 1000)
    tcp.snd += 1000
    tcp.read(1000)
    tcp.expect_acknowledged_by(0)
    tcp.segment("A", seq=begin + 500, payload=b"?" * 500 + b"new")
    tcp.snd += 3
    assert tcp.read(3) == b"new"
    tcp.converse()


@both_families
def test_duplicate_is_acknowledged_at_once_and_reported(subject, family):
    """RFC 9293 §3.10.7.4 wants the acknowledgment, RFC 2883 the D-SACK."""
    tcp = sack(subject.host(family).tcp())
    tcp.converse(b"once and again")
    for _ in range(3):
        tcp.segment("PA", seq=tcp.snd - 14, payload=b"once and again")
        answer = tcp.expect_ack()
        assert answer.options["sack"] == [((tcp.snd - 14) % WORD, tcp.snd)]
    tcp.converse()


def test_part_of_a_segment_that_came_before_is_reported(subject):
    """RFC 2883 §4: the bytes that are new count, the others are a D-SACK."""
    tcp = sack(subject.host().tcp())
    tcp.converse(b"0123456789")
    tcp.segment("A", seq=tcp.snd - 5, payload=b"56789abcde")
    tcp.snd += 5
    answer = tcp.expect_acknowledged()
    assert answer.options["sack"] == [((tcp.snd - 10) % WORD, (tcp.snd - 5) % WORD)]
    assert tcp.read(5) == b"abcde"
    tcp.converse()


def test_duplicate_behind_a_gap_is_reported_before_the_gap(subject):
    tcp = sack(subject.host().tcp())
    put(tcp, 1000, 2000)
    tcp.expect_ack()
    put(tcp, 1200, 1400)
    blocks = tcp.expect_ack().options["sack"]
    assert blocks == [((tcp.snd + 1200) % WORD, (tcp.snd + 1400) % WORD), ((tcp.snd + 1000) % WORD, (tcp.snd + 2000) % WORD)]
    put(tcp, 0, 1000)
    assert_whole(tcp, 2000)


@both_families
@pytest.mark.parametrize("length", [0, 1])
def test_keep_alive_is_answered(subject, family, length):
    """RFC 1122 §4.2.3.6: SND.NXT-1, with or without a byte of garbage."""
    tcp = subject.host(family).tcp().tunnel()
    tcp.segment("A", seq=tcp.snd - 1, payload=b"\0" * length)
    answer = tcp.expect_ack()
    assert answer.seq == tcp.rcv
    tcp.converse()


# Windows

@both_families
def test_segment_behind_the_window_is_acknowledged_and_not_taken(subject, family):
    tcp = sack(subject.host(family).tcp())
    edge = tcp.right_edge()
    for beyond in (10, 100000, 1 << 30):
        tcp.segment("PA", seq=edge + beyond, payload=b"beyond")
    answer = tcp.expect_ack()
    assert "sack" not in answer.options
    tcp.assert_ignored()


def test_segment_across_the_right_edge_is_not_taken_beyond_it(subject):
    """RFC 9293 §3.10.7.4: only what lies inside may be taken, and so not the FIN. Linux departs: it has room for a segment that
    begins inside, and takes it whole."""
    tcp = sack(subject.host().tcp())
    edge = tcp.right_edge()
    tcp.segment("FA", seq=edge - 10, payload=b"x" * 30)
    for _, right in tcp.expect_ack().options.get("sack", []):
        assert distance(right, edge) <= (21 if subject.name == "linux" else 0), "bytes behind the window were taken"
    tcp.assert_ignored()


def ask(tcp, size):
    tcp.send(b"GET /bytes/%d HTTP/1.1\r\nHost: a\r\n\r\n" % size)


def assert_pattern(data):
    """What has come of the answer is what was asked for."""
    _, _, body = data.partition(b"\r\n\r\n")
    assert body == pattern(len(body)) and body


def take_flight(tcp):
    """Asks for 8000 bytes, waits until they were sent, and acknowledges none of them. Where they begin."""
    ask(tcp, 8000)
    while len(tcp.stream) < 8000:
        tcp.expect(where=lambda one: one.payload)
    return tcp.rcv


def fill(tcp, chunk=1400):
    """Sends until the window stays shut, also for probes (RFC 9293 §3.8.6.1); how much that was. The right edge never retreats."""
    sent, edge, shut = 0, tcp.right_edge(), 0
    while sent < len(LONG) - chunk:
        while (room := distance(edge, tcp.snd)) > 0:
            size = min(chunk, room)
            tcp.segment("A", payload=LONG[sent:sent + size])
            tcp.snd += size
            sent += size
        answer = tcp.expect("A", where=lambda one: one.ack == tcp.snd or distance(tcp.right_edge(one), edge) > 0)
        while tcp.right_edge(answer) == tcp.snd and (more := tcp.receive(0.2)) is not None:
            answer = more  # What was on its way through the subject made room once more.
        assert distance(tcp.right_edge(answer), edge) >= 0, "the right edge of the window retreats"
        edge = tcp.right_edge(answer)
        shut = shut + 1 if edge == tcp.snd == answer.ack else 0
        if shut == 3:
            return sent
        if edge == tcp.snd:
            tcp.segment("A", payload=LONG[sent:sent + 1])  # A probe: answered, and its byte not taken, as it comes again
    raise AssertionError(f"the window is open after {sent} bytes that nobody reads")


@both_families
def test_reader_that_stops_closes_the_window_and_one_that_goes_on_opens_it(subject, family):
    tcp = subject.host(family).tcp(81)
    name = f"{subject.name}{family}"
    tcp.tunnel(f"/hold/{name}")
    sent = fill(tcp)
    subject.go(name)
    opened = tcp.expect(where=lambda one: distance(tcp.right_edge(one), tcp.snd) > 0, what="that opens the window again")
    # RFC 9293 §3.8.6.2.2: by a whole segment at least, not by what the reader took first
    assert distance(tcp.right_edge(opened), tcp.snd) >= 536
    size = min(sent, 50000)
    assert tcp.read(size) == LONG[:size]
    tcp.segment("R")


@both_families
def test_closed_window_stops_the_subject_and_is_probed(subject, family):
    tcp = subject.host(family).tcp(window=3000).open((("mss", 1000),))
    ask(tcp, 20000)
    data = tcp.read_what_comes(3000, quiet=5)
    assert len(data) == 3000
    tcp.window = 0
    tcp.acknowledge()
    start = tcp.rcv
    for _ in range(2):  # Probes: something at or before the left edge, a byte at most behind it (RFC 9293 §3.8.6.1)
        probe = tcp.expect(where=lambda one: one.flags & ACK)
        assert distance(probe.seq + len(probe.payload), start) <= 1, f"{probe} into a closed window"
        tcp.acknowledge()
    tcp.window = 65535
    tcp.acknowledge()
    data += tcp.read(10000)
    assert_pattern(data)
    tcp.segment("R")


def test_window_that_shrinks_over_what_is_in_flight_does_not_hurt(subject):
    """RFC 9293 §3.8.6: a peer must not, and one must cope (SHLD-15, MUST-34)."""
    tcp = subject.host().tcp(window=8000).open((("mss", 1000),))
    ask(tcp, 20000)
    data = tcp.read_what_comes(8000, quiet=5)
    tcp.window = 10
    tcp.acknowledge(ack=tcp.rcv - 4000)  # Half of what was in flight, and an edge that is 4000 bytes further left
    tcp.acknowledge(ack=tcp.rcv)
    since = len(tcp.seen)
    tcp.send(b"GET /bytes/4 HTTP/1.1\r\n")
    tcp.expect_acknowledged()  # It lives.
    assert all(distance(one.seq + len(one.payload), tcp.rcv) <= 10 for one in tcp.seen[since:])
    tcp.window = 65535
    tcp.acknowledge()
    data += tcp.read(12000)
    assert_pattern(data)
    tcp.segment("R")


def test_window_of_a_few_bytes_makes_progress(subject):
    """Smaller than a segment: the sender may wait (RFC 9293 §3.8.6.2.1), and must not wait for ever."""
    tcp = subject.host().tcp(window=40).open((("mss", 1000),))
    ask(tcp, 20)
    start = tcp.rcv
    data = tcp.read(40)
    assert max(distance(one.seq + len(one.payload), start) for one in tcp.seen[1:]) <= 80
    tcp.window = 65535
    tcp.acknowledge()
    head = data + tcp.read_what_comes(1000)
    assert head.endswith(pattern(20))
    tcp.segment("R")


@both_families
def test_lost_segments_are_sent_again_in_full(subject, family):
    """The first flight is not acknowledged; duplicates of an old acknowledgment ask for it again (RFC 5681 §3.2)."""
    tcp = subject.host(family).tcp().open((("mss", 1000),))
    start = take_flight(tcp)
    since = len(tcp.seen)
    for _ in range(3):
        tcp.acknowledge(ack=start)
    again = tcp.expect(where=lambda one: one.seq == start and one.payload)
    assert tcp.seen.index(again) >= since
    assert_pattern(tcp.read(8000))
    tcp.segment("R")


def test_sack_blocks_that_lie_are_ignored(subject):
    """Blocks about what was never sent, turned round, empty, or below the acknowledgment make nobody think that bytes arrived."""
    tcp = subject.host().tcp().open((("mss", 1000), "sack-ok"))
    start = take_flight(tcp)
    tcp.forget()
    for block in ((100000, 200000), (5000, 1000), (2000, 2000), (-5000, -1000), (1 << 30, 3 << 30)):
        tcp.acknowledge(ack=start, options=make_options("nop", "nop", ("sack", (start + block[0], start + block[1]))))
    assert_pattern(tcp.read(8000))
    tcp.segment("R")


def test_receiver_that_takes_back_what_it_sacked_gets_everything(subject):
    """RFC 2018 §8: a SACK is no promise."""
    tcp = subject.host().tcp().open((("mss", 1000), "sack-ok"))
    start = take_flight(tcp)
    tcp.forget()
    for last in (3000, 4000, 5000, 6000):
        tcp.acknowledge(ack=start, options=make_options("nop", "nop", ("sack", (start + 1000, start + last))))
    assert_pattern(tcp.read(8000))
    tcp.segment("R")


# What is acknowledged and was never sent, or long ago

@both_families
def test_acknowledgment_of_what_was_never_sent_is_answered_and_counts_for_nothing(subject, family):
    """RFC 9293 §3.10.7.4, RFC 5961 §5: it is answered by an acknowledgment, and the segment is dropped."""
    tcp = subject.host(family).tcp().tunnel()
    tcp.segment("PA", payload=b"forged", ack=tcp.rcv + 1000)
    answer = tcp.expect_ack()
    assert answer.seq == tcp.rcv
    tcp.assert_ignored()


@both_families
def test_acknowledgment_older_than_any_window_is_not_believed(subject, family):
    """RFC 5961 §5: below SND.UNA - MAX.SND.WND its data is somebody else's."""
    tcp = subject.host(family).tcp().tunnel()
    tcp.segment("PA", payload=b"forged", ack=tcp.rcv - (1 << 24))
    tcp.expect_ack()
    tcp.assert_ignored()


def test_acknowledgment_of_half_a_segment_sends_the_other_half_again(subject):
    tcp = subject.host().tcp().tunnel()
    tcp.send(b"a whole segment of thirty bytes")
    first = tcp.expect(where=lambda one: one.payload)
    tcp.acknowledge(ack=first.seq + 10)
    again = tcp.expect(where=lambda one: distance(one.seq + len(one.payload), first.seq + 10) > 0 and tcp.seen[-1] is not first)
    assert distance(again.seq, first.seq + 10) <= 0
    tcp.rcv += 31
    tcp.acknowledge()
    tcp.converse()
