"""Raw frames that would end an open connection or that are of another time: RST and SYN in and out of the window (RFC 5961), old
timestamps (RFC 7323). Linux and Sluice answer alike."""

import pytest

from raw_peer import WORD, make_options

both_families = pytest.mark.parametrize("family", [4, 6])
WITH_TIME = (("mss", 1400), "sack-ok", ("ts", 0xFFFFFF00, 0))


# RST (RFC 5961 §3)

@both_families
@pytest.mark.parametrize("flags", ["R", "RA"])
def test_reset_at_the_very_number_ends_the_connection(subject, family, flags):
    tcp = subject.host(family).tcp().tunnel()
    tcp.segment(flags)
    tcp.assert_gone()


@both_families
@pytest.mark.parametrize("flags", ["R", "RA"])
def test_reset_inside_of_the_window_is_challenged(subject, family, flags):
    tcp = subject.host(family).tcp().tunnel()
    tcp.segment(flags, seq=tcp.snd + 1)
    challenge = tcp.expect_ack()
    assert challenge.seq == tcp.rcv
    tcp.converse()


@both_families
@pytest.mark.parametrize("where", [-1, -1000, 1 << 25, 1 << 31], ids=["before", "long-before", "behind", "far"])
def test_reset_outside_of_the_window_is_not_answered(subject, family, where):
    tcp = subject.host(family).tcp().tunnel()
    tcp.segment("R", seq=tcp.snd + where)
    tcp.assert_unanswered()


@both_families
def test_peer_that_is_gone_confirms_a_challenge_by_a_reset(subject, family):
    """What the challenge is for: a peer that really lost the connection resets at the number that it was told."""
    tcp = subject.host(family).tcp().tunnel()
    tcp.segment("R", seq=tcp.snd + 100)
    challenge = tcp.expect_ack()
    tcp.segment("R", seq=challenge.ack)
    tcp.assert_gone()


def test_challenges_have_a_limit_per_connection(subject):
    """RFC 5961 §7. A flood gets a few answers and does no harm."""
    tcp = subject.host().tcp().tunnel()
    since = len(tcp.seen)
    for at in range(1, 101):
        tcp.segment("R", seq=tcp.snd + at)
    tcp.converse()
    assert sum(not one.payload and one.ack == tcp.seen[since].ack for one in tcp.seen[since:]) <= 10


def test_reset_with_data_and_with_options_is_a_reset(subject):
    tcp = subject.host().tcp().tunnel(options=WITH_TIME)
    tcp.segment("RA", payload=b"why it was reset", options=make_options("nop", "nop", ("ts", tcp.time, tcp.echo)))
    tcp.assert_gone()


def test_reset_at_the_right_edge_is_challenged_at_most(subject):
    tcp = subject.host().tcp().tunnel()
    for beyond in (-1, 0):
        tcp.segment("R", seq=tcp.right_edge() + beyond)
    tcp.assert_ignored()


@both_families
def test_reset_behind_a_gap_is_challenged(subject, family):
    """What SACK reported lies not behind the number that is expected. (Linux would also take a reset at the end of the last block,
    RFC 5961 has no such case; this one is inside.)"""
    tcp = subject.host(family).tcp().tunnel(options=(("mss", 1400), "sack-ok"))
    tcp.segment("A", seq=tcp.snd + 100, payload=b"x" * 100)
    tcp.expect_ack()
    tcp.segment("R", seq=tcp.snd + 150)
    tcp.expect_ack()
    tcp.segment("A", payload=b"y" * 100)
    tcp.snd += 200
    assert tcp.read(200) == b"y" * 100 + b"x" * 100
    tcp.converse()


# SYN (RFC 5961 §4)

@both_families
@pytest.mark.parametrize("where", [-1, 0, 1, 1000, -100000, 1 << 30], ids=["before", "at", "behind", "inside", "long-before", "far"])
def test_syn_on_an_open_connection_is_challenged_wherever_it_is(subject, family, where):
    tcp = subject.host(family).tcp().tunnel()
    tcp.segment("S", seq=tcp.snd + where, options=make_options(("mss", 1400)))
    challenge = tcp.expect_ack()
    assert challenge.seq == tcp.rcv
    tcp.converse()


@both_families
def test_repeated_syn_ack_is_acknowledged(subject, family):
    tcp = subject.host(family).tcp().tunnel()
    tcp.segment("SA", seq=tcp.iss, ack=tcp.irs + 1)
    tcp.expect_ack()
    tcp.converse()


def test_peer_that_restarted_confirms_a_challenge_and_can_connect_again(subject):
    """RFC 9293 figure 10: a host that crashed begins anew on the same ports."""
    tcp = subject.host().tcp().tunnel()
    again = tcp.host.tcp(local_port=tcp.local_port, iss=tcp.snd + 5000)
    again.segment("S")
    challenge = again.expect("A")
    assert challenge.ack == tcp.snd
    again.segment("R", seq=challenge.ack)
    again.tunnel().converse()


# Timestamps (RFC 7323 §4, §5)

@both_families
def test_old_timestamp_is_refused_and_acknowledged(subject, family):
    tcp = subject.host(family).tcp().tunnel(options=WITH_TIME)
    tcp.segment("PA", payload=b"old!", options=make_options("nop", "nop", ("ts", tcp.time - 1000, tcp.echo)))
    answer = tcp.expect_ack()
    assert answer.options["ts"][1] == tcp.time
    tcp.assert_ignored()


@both_families
def test_timestamps_wrap(subject, family):
    """The clock of this peer passes zero in the middle."""
    tcp = subject.host(family).tcp().tunnel(options=WITH_TIME)
    for _ in range(3):
        tcp.converse()
        tcp.time = (tcp.time + 0x100) % WORD
    assert tcp.time < 0x1000
    tcp.segment("PA", payload=b"old!", options=make_options("nop", "nop", ("ts", 0xFFFFFFFF, tcp.echo)))
    tcp.expect_ack()
    tcp.assert_ignored()


def test_equal_timestamp_is_taken(subject):
    tcp = subject.host().tcp().tunnel(options=WITH_TIME)
    for _ in range(3):
        tcp.segment("PA", payload=b"same")
        tcp.snd += 4
        assert tcp.read(4) == b"same"
    tcp.converse()


def test_reset_with_an_old_timestamp_is_taken(subject):
    """RFC 7323 §5.2: a reset is not subject to PAWS."""
    tcp = subject.host().tcp().tunnel(options=WITH_TIME)
    tcp.segment("R", options=make_options("nop", "nop", ("ts", tcp.time - 1000, tcp.echo)))
    tcp.assert_gone()


def test_segment_without_timestamp_is_taken(subject):
    """RFC 7323 §3.2 lets it be dropped; peers that leave it out exist, and neither stack is so strict."""
    tcp = subject.host().tcp().tunnel(options=WITH_TIME)
    tcp.segment("PA", payload=b"no time", options=b"")
    tcp.snd += 7
    assert tcp.read(7) == b"no time"
    tcp.converse()


def test_echo_is_of_the_first_segment_that_is_not_acknowledged(subject):
    """RFC 7323 §4.3: behind a gap the echo stays that of the last segment in order, and a filled gap gives that of what filled it."""
    tcp = subject.host().tcp().tunnel(options=WITH_TIME)
    tcp.converse()
    known = tcp.time
    tcp.segment("A", seq=tcp.snd + 100, payload=b"x" * 100, options=make_options("nop", "nop", ("ts", known + 50, tcp.echo)))
    assert tcp.expect_ack().options["ts"][1] == known % WORD
    tcp.segment("A", payload=b"y" * 100, options=make_options("nop", "nop", ("ts", known + 40, tcp.echo)))
    tcp.snd += 200
    assert tcp.expect_acknowledged().options["ts"][1] == (known + 40) % WORD
    tcp.time = known + 60
    assert tcp.read(200) == b"y" * 100 + b"x" * 100
    tcp.converse()


def test_timestamp_of_a_segment_outside_of_the_window_is_not_remembered(subject):
    """Else anybody could make all that follows look old."""
    tcp = subject.host().tcp().tunnel(options=WITH_TIME)
    tcp.segment("PA", seq=tcp.snd + (1 << 28), payload=b"forged", options=make_options("nop", "nop", ("ts", tcp.time + (1 << 30), 0)))
    tcp.expect_ack()
    tcp.converse()


def test_timestamps_that_were_not_agreed_on_are_no_use(subject):
    tcp = subject.host().tcp().tunnel()
    for value in (5, 1 << 31, 1):
        tcp.send(b"data", options=make_options("nop", "nop", ("ts", value, 0)))
        assert tcp.read(4) == b"data"
    assert all("ts" not in one.options for one in tcp.seen)


def test_old_timestamp_in_the_handshake_establishes_nothing(subject):
    """RFC 7323 §5.3: the third segment is checked too."""
    tcp = subject.host().tcp()
    tcp.time = 5000
    tcp.segment("S", options=make_options(("mss", 1400), ("ts", 5000, 0)))
    tcp.syn_ack = tcp.expect("SA")
    tcp.segment("PA", seq=tcp.iss + 1, ack=tcp.syn_ack.seq + 1, payload=b"lies", options=make_options("nop", "nop", ("ts", 4000, tcp.echo)))
    tcp.expect("A", where=lambda one: one.ack == (tcp.iss + 1) % WORD)
    tcp.echo = tcp.syn_ack.options["ts"][0]  # Linux departs: it takes the echo of a SYN-ACK alone, not of the segment that it sent last.
    tcp.established()
    tcp.tunnel().converse()
