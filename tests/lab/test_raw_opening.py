"""Raw frames while a connection is opened, by either side: Linux and Sluice answer alike."""

import pytest

from raw_peer import TCP, WORD, Segment, make_options

both_families = pytest.mark.parametrize("family", [4, 6])
FULL_SYN = (("mss", 1400), "sack-ok", ("ts", 1000, 0), ("ws", 7))


def assert_silent(host, probe_port=80):
    """The host got no answer to what it sent: the first thing to come answers the SYN sent now."""
    probe = host.tcp(probe_port)
    probe.segment("S")
    first = host.receive()
    assert isinstance(first, Segment) and first.is_exactly("SA") and first.dport == probe.local_port, f"{first} instead of silence"
    probe.segment("R", seq=probe.iss + 1)


# The handshake of a client

@both_families
def test_syn_without_options_is_answered_with_nothing_but_an_mss(subject, family):
    tcp = subject.host(family).tcp().open()
    assert set(tcp.syn_ack.options) <= {"mss"}
    tcp.tunnel().converse()
    assert all(not one.options for one in tcp.seen[1:])


@both_families
def test_syn_with_all_options_gets_them_all(subject, family):
    tcp = subject.host(family).tcp().open(FULL_SYN)
    options = tcp.syn_ack.options
    assert options["mss"] == (1460 if family == 4 else 1440)  # RFC 6691: the MTU less the fixed headers
    assert options["sack-ok"] and options["ws"] <= 14
    assert options["ts"][1] == 1000  # RFC 7323 §3.2: the echo of the SYN's value
    tcp.tunnel().converse()
    assert all("ts" in one.options for one in tcp.seen), "timestamps are in every segment from then on (RFC 7323 §3.2)"


@both_families
def test_repeated_syn_gets_the_same_syn_ack(subject, family):
    tcp = subject.host(family).tcp()
    tcp.segment("S", options=make_options(*FULL_SYN))
    first = tcp.expect("SA")
    tcp.segment("S", options=make_options(*FULL_SYN))
    second = tcp.expect("SA")
    assert (first.seq, first.ack, first.options["ws"]) == (second.seq, second.ack, second.options["ws"])
    tcp.syn_ack = second
    tcp.established()
    tcp.tunnel().converse()


@both_families
def test_acknowledgment_off_by_one_is_reset_and_establishes_nothing(subject, family):
    tcp = subject.host(family).tcp()
    tcp.segment("S")
    tcp.syn_ack = tcp.expect("SA")
    for wrong in (0, 2, 1 << 31):
        ack = tcp.syn_ack.seq + wrong
        tcp.segment("A", seq=tcp.iss + 1, ack=ack)
        tcp.expect_reset(seq=ack)  # RFC 9293 §3.10.7.4, fifth check, SYN-RECEIVED
    tcp.established()  # The attempt is not hurt.
    tcp.tunnel().converse()


@both_families
def test_reset_of_a_half_open_connection_forgets_it(subject, family):
    tcp = subject.host(family).tcp()
    tcp.segment("S")
    tcp.syn_ack = tcp.expect("SA")
    tcp.segment("R", seq=tcp.iss + 1)
    tcp.segment("A", seq=tcp.iss + 1, ack=tcp.syn_ack.seq + 1)
    tcp.expect_reset(seq=tcp.syn_ack.seq + 1)


def test_reset_outside_of_the_window_of_a_half_open_connection_is_ignored(subject):
    tcp = subject.host().tcp()
    tcp.segment("S")
    tcp.syn_ack = tcp.expect("SA")
    for wrong in (-100, 1 << 20, 1 << 31):
        tcp.segment("R", seq=tcp.iss + wrong)
    tcp.established()
    tcp.tunnel().converse()


def test_old_syn_on_a_half_open_connection_is_acknowledged_and_does_not_hurt(subject):
    tcp = subject.host().tcp()
    tcp.segment("S")
    tcp.syn_ack = tcp.expect("SA")
    tcp.segment("S", seq=tcp.iss - 100000)
    answer = tcp.expect("A")
    assert (answer.seq, answer.ack) == ((tcp.syn_ack.seq + 1) % WORD, (tcp.iss + 1) % WORD)
    tcp.established()
    tcp.tunnel().converse()


def test_sequence_numbers_wrap_in_the_handshake(subject):
    tcp = subject.host().tcp(iss=WORD - 1).tunnel()
    assert tcp.syn_ack.ack == 0
    tcp.converse()


def test_data_with_the_third_segment_is_taken(subject):
    tcp = subject.host().tcp()
    tcp.open(third=tcp.upgrade())
    tcp.read_head(b"HTTP/1.1 101 ")
    tcp.converse()


def test_data_without_the_third_segment_is_taken(subject):
    """The bare acknowledgment is lost; the data behind it acknowledges as well."""
    tcp = subject.host().tcp()
    tcp.segment("S")
    tcp.syn_ack = tcp.expect("SA")
    tcp.snd, tcp.rcv = tcp.iss + 1, tcp.syn_ack.seq + 1
    tcp.tunnel().converse()


def test_data_on_the_syn_may_wait_and_is_not_lost(subject):
    tcp = subject.host().tcp()
    request = tcp.upgrade()
    tcp.segment("S", payload=request[:50])
    tcp.syn_ack = tcp.expect("SA", where=lambda one: one.ack in ((tcp.iss + 1) % WORD, (tcp.iss + 51) % WORD))
    tcp.established()
    tcp.send(request)
    tcp.read_head(b"HTTP/1.1 101 ")
    tcp.converse()


@both_families
def test_fin_with_the_third_segment_closes(subject, family):
    tcp = subject.host(family).tcp()
    tcp.segment("S")
    tcp.syn_ack = tcp.expect("SA")
    tcp.snd, tcp.rcv = tcp.iss + 1, tcp.syn_ack.seq + 1
    tcp.finish()
    tcp.expect("FA", where=lambda one: one.ack == tcp.snd)
    tcp.rcv += 1
    tcp.acknowledge()
    tcp.assert_gone()


def test_syn_that_offers_ecn_is_accepted(subject):
    tcp = subject.host().tcp()
    tcp.segment("SEC")
    tcp.syn_ack = tcp.expect("SA")
    tcp.established()
    tcp.tunnel().converse()


# Segments for nobody

@both_families
def test_syn_to_a_closed_port_is_reset(subject, family):
    tcp = subject.host(family).tcp(9)
    tcp.segment("S")
    tcp.expect_reset(ack=tcp.iss + 1)


@both_families
def test_data_to_a_closed_port_is_reset_and_its_length_counted(subject, family):
    tcp = subject.host(family).tcp(9)
    tcp.segment("F", payload=b"1234567")
    tcp.expect_reset(ack=tcp.iss + 8)  # RFC 9293 §3.10.7.1: SEG.SEQ + SEG.LEN, the FIN is one of it


@pytest.mark.parametrize("port", [80, 9], ids=["listener", "closed"])
@pytest.mark.parametrize("flags", ["A", "SA", "FA", "PA"])
def test_acknowledgment_of_nothing_is_reset_at_its_number(subject, port, flags):
    tcp = subject.host().tcp(port)
    tcp.segment(flags, ack=0xFFFFFFFF)
    tcp.expect_reset(seq=0xFFFFFFFF)


@pytest.mark.parametrize("port", [80, 9], ids=["listener", "closed"])
@pytest.mark.parametrize("flags", ["R", "RA", "SR", "SRA", "FRA"])
def test_reset_of_nothing_is_not_answered(subject, port, flags):
    host = subject.host()
    host.tcp(port).segment(flags, ack=12345 if "A" in flags else None)
    assert_silent(host)


@pytest.mark.parametrize("flags", ["", "F", "U", "P", "FPU", "SF"])
def test_flags_without_sense_are_not_answered_by_a_listener(subject, flags):
    """RFC 9293 §3.10.7.2 drops what has neither RST, ACK nor SYN; SYN with FIN is no beginning of anything."""
    host = subject.host()
    host.tcp().segment(flags)
    assert_silent(host)


# Sources that cannot be answered

@pytest.mark.parametrize("family, source", [
    (4, "224.0.0.5"), (4, "255.255.255.255"), (4, "127.0.0.1"), (4, "0.0.0.0"), (6, "ff02::1"), (6, "::"), (6, "::1"),
])
def test_syn_from_an_impossible_source_is_not_answered(subject, family, source):
    """RFC 9293 §3.9.2.3 (MUST-57): nobody can be there. A connection to such a peer would be answered to everybody, or to us."""
    host, liar = subject.host(family), subject.host(family, source)
    liar.tcp().segment("S")
    assert_silent(host)
    if (subject.name, source) == ("linux", "::"):
        return  # Linux departs: it opens the connection, and its SYN-ACK goes out to `::`.
    assert not liar.inbox, f"{liar.inbox[0]} to {source}"


@both_families
def test_syn_from_the_subjects_own_address_is_not_answered(subject, family):
    """The land attack: it would talk to itself."""
    host, liar = subject.host(family), subject.host(family, subject.address[family])
    liar.tcp().segment("S")
    assert_silent(host)
    assert not liar.inbox


def test_syn_in_a_broadcast_frame_is_not_answered(subject):
    """RFC 1122 §4.2.3.10 and §3.3.6: what was said to all is no beginning of a connection, whatever its IP header says."""
    host = subject.host()
    host.send_frame(host.packet(TCP, host.tcp().bytes("S")), mac=b"\xff" * 6)
    assert_silent(host)


# A subject that connects

def answer_request(tcp):
    """Reads the request over a connection that the subject opened, and answers it."""
    while not bytes(tcp.stream.get((tcp.irs + 1 + at) % WORD, 0) for at in range(len(tcp.stream))).endswith(b"\r\n\r\n"):
        tcp.expect(where=lambda one: one.payload, what="with the request")
    tcp.rcv = (tcp.irs + 1 + len(tcp.stream)) % WORD
    tcp.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


@both_families
def test_connecting_is_a_syn_and_its_answer_is_acknowledged(subject, family):
    host, dial = subject.dial(family)
    tcp = host.await_syn()
    assert tcp.syn.ack == 0 and not tcp.syn.payload
    assert tcp.syn.options["mss"] == (1460 if family == 4 else 1440)
    assert {"sack-ok", "ts", "ws"} <= set(tcp.syn.options)
    tcp.segment("SA", options=make_options(("mss", 1400)))
    tcp.snd += 1
    established = tcp.expect(where=lambda one: one.ack == tcp.snd)
    assert not established.options, "options that only one side offered are not used"
    answer_request(tcp)
    assert dial.outcome() == "answered"


@both_families
def test_syn_ack_of_another_attempt_is_reset_and_the_right_one_taken(subject, family):
    host, dial = subject.dial(family)
    tcp = host.await_syn()
    for wrong in (0, 2):
        tcp.segment("SA", ack=tcp.irs + wrong)
        tcp.expect_reset(seq=tcp.irs + wrong)
    tcp.segment("SA")
    tcp.snd += 1
    answer_request(tcp)
    assert dial.outcome() == "answered"


def test_reset_that_acknowledges_nothing_of_ours_refuses_nothing(subject):
    """RFC 9293 §3.10.7.3: only who has seen the SYN can refuse it."""
    host, dial = subject.dial()
    tcp = host.await_syn()
    tcp.segment("R", seq=0)
    tcp.segment("RA", ack=tcp.irs)
    tcp.segment("RA", ack=tcp.irs + 2)
    tcp.segment("SA")
    tcp.snd += 1
    answer_request(tcp)
    assert dial.outcome() == "answered"


@both_families
def test_reset_that_acknowledges_the_syn_refuses(subject, family):
    host, dial = subject.dial(family)
    tcp = host.await_syn()
    tcp.segment("RA", seq=0)
    assert dial.outcome() == "failed"


def test_acknowledgment_without_syn_opens_nothing(subject):
    host, dial = subject.dial()
    tcp = host.await_syn()
    tcp.segment("A")
    tcp.segment("FA")
    tcp.segment("PA", payload=b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    tcp.segment("SA")
    tcp.snd += 1
    tcp.expect_acknowledged()  # of the SYN alone
    answer_request(tcp)
    assert dial.outcome() == "answered"


@both_families
def test_simultaneous_open_establishes(subject, family):
    host, dial = subject.dial(family)
    tcp = host.await_syn()
    tcp.segment("S", options=make_options(("mss", 1400)))
    both = tcp.expect("SA")
    assert (both.seq, both.ack) == (tcp.irs, (tcp.iss + 1) % WORD)
    tcp.segment("SA", options=make_options(("mss", 1400)))
    tcp.snd += 1
    tcp.acknowledge()
    answer_request(tcp)
    assert dial.outcome() == "answered"


def test_unanswered_syn_is_repeated_unchanged(subject):
    host, dial = subject.dial()
    tcp = host.await_syn()
    again = tcp.expect("S")
    assert (again.seq, again.options["mss"], again.options["ws"]) == (tcp.irs, tcp.syn.options["mss"], tcp.syn.options["ws"])
    assert again.options["ts"][0] != tcp.syn.options["ts"][0]
    tcp.segment("SA")
    tcp.snd += 1
    answer_request(tcp)
    assert dial.outcome() == "answered"


def test_window_of_a_syn_ack_is_not_scaled(subject):
    """RFC 7323 §2.2: what follows may fill 20 bytes, not 20 << 7."""
    host, dial = subject.dial()
    tcp = host.await_syn()
    tcp.segment("SA", options=make_options(("mss", 1400), ("ws", 7)), window=20)
    tcp.snd += 1
    first = tcp.expect(where=lambda one: one.payload)
    assert len(first.payload) <= 20
    tcp.rcv += len(first.payload)
    tcp.window = 512
    tcp.acknowledge()
    answer_request(tcp)
    assert dial.outcome() == "answered"


# Options of a SYN

@pytest.mark.parametrize("options", [
    b"\x02\x04\x05\x00" + b"\xfd\x00\x00\x00", b"\x02\x04\x05\x00" + b"\xfd\x01\x00\x00", b"\x02\x04\x05\x00" + b"\xfd\x28\x00\x00",
    b"\x02\x04\x05\x00" + b"\x01\x01\x01\x08", b"\x02\x04\x05\x00" + b"\x00\x04\x02\x08", b"\x02\x04\x05\x00" + b"\xfd\x04\xab\xcd",
    b"\x02\x04\x05\x00" + b"\x03\x02\x01\x01", b"\x02\x04\x05\x00" + b"\x08\x04\x00\x00", b"\x01" * 40,
], ids=["length-0", "length-1", "too-long", "cut", "behind-the-end", "unknown", "short-ws", "short-ts", "nops"])
def test_malformed_options_do_not_hurt_and_earlier_ones_count(subject, options):
    """RFC 9293 §3.1 (MUST-6, MUST-7): an option whose length says nonsense must not stop anything."""
    tcp = subject.host().tcp()
    tcp.segment("S", options=options)
    tcp.syn_ack = tcp.expect("SA")
    assert set(tcp.syn_ack.options) <= {"mss"}
    tcp.established()
    tcp.tunnel().converse()


@both_families
@pytest.mark.parametrize("mss", [None, 88, 536, 1220])
def test_no_segment_is_larger_than_the_mss(subject, family, mss):
    """Options count in it (RFC 6691 §2). Without the option it is 536, and 1220 over IPv6 (RFC 9293 §3.7.1)."""
    options = (("ts", 1, 0),) if mss is None else (("mss", mss), ("ts", 1, 0))
    tcp = subject.host(family).tcp().open(options)
    tcp.send(b"GET /bytes/20000 HTTP/1.1\r\nHost: a\r\n\r\n")
    tcp.read(20000)
    limit = mss or (536 if family == 4 else 1220)
    sizes = [len(one.payload) + one.header - 20 for one in tcp.seen[1:]]
    assert max(sizes) <= limit
    assert max(sizes) > limit // 2, "far smaller than allowed"


@pytest.mark.parametrize("mss", [0, 1])
def test_absurd_mss_sends_neither_empty_segments_nor_for_ever(subject, mss):
    tcp = subject.host().tcp().open((("mss", mss),))
    tcp.send(b"GET /bytes/2000 HTTP/1.1\r\nHost: a\r\n\r\n")
    tcp.read(2000)
    assert len(tcp.seen) < 200


@pytest.mark.parametrize("shift, limit", [(3, 8), (14, 16384), (15, 16384), (255, 16384)])
def test_window_scale_is_at_most_14(subject, shift, limit):
    """RFC 7323 §2.3. With a window of one unit no more than that is in flight."""
    tcp = subject.host().tcp()
    tcp.window = 1
    tcp.open((("mss", 1400), ("ws", shift)))
    tcp.send(b"GET /bytes/60000 HTTP/1.1\r\nHost: a\r\n\r\n")
    largest = 0
    for _ in range(4 if limit > 100 else 2):
        start, first = tcp.rcv, len(tcp.seen)
        tcp.expect(where=lambda one: one.payload)
        tcp.read_what_comes(limit)
        largest = max(largest, max((one.seq + len(one.payload) - start) % WORD for one in tcp.seen[first:] if one.payload))
        tcp.acknowledge()
    assert largest <= limit
    assert largest > limit // 2
    tcp.segment("R")


def test_options_that_belong_into_a_syn_mean_nothing_later(subject):
    tcp = subject.host().tcp().tunnel(options=(("mss", 1000),))
    tcp.segment("A", options=make_options(("mss", 100), ("ws", 14), "sack-ok"))
    tcp.converse(b"x" * 3000)
    assert max(len(one.payload) for one in tcp.seen) > 500
