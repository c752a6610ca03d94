"""Raw frames at a connection's end: FIN in any order and from either side, TIME_WAIT (RFC 1337, RFC 6191). Linux and Sluice alike."""

import pytest

from raw_peer import WORD, distance, make_options

both_families = pytest.mark.parametrize("family", [4, 6])
WITH_TIME = (("mss", 1400), ("ts", 100000, 0))


def subject_closes(tcp):
    """The subject sends its FIN first: it is in FIN_WAIT_1, as nothing of it is acknowledged yet. The FIN is read."""
    tcp.send(b"bye!")
    assert tcp.read(4, acknowledge=False) == b"bye!"
    if not any(one.flags & 1 for one in tcp.seen):
        tcp.expect(where=lambda one: one.flags & 1, what="with FIN")
    tcp.rcv += 1


def closing_tcp(subject, family=4, **opening):
    tcp = subject.host(family).tcp().tunnel(**opening)
    subject_closes(tcp)
    return tcp


def in_time_wait(subject, family=4, **opening):
    """Both ends have closed, the subject first."""
    tcp = closing_tcp(subject, family, **opening)
    tcp.acknowledge()
    tcp.finish()
    tcp.expect_ack()
    return tcp


def assert_closed_by_both(tcp):
    """After our FIN the subject sends its own, is acknowledged, and forgets everything: it was the second to close."""
    fin = tcp.expect(where=lambda one: one.flags & 1 and one.ack == tcp.snd, what="with FIN, and that acknowledges ours")
    assert fin.seq + len(fin.payload) == tcp.rcv
    tcp.rcv += 1
    tcp.acknowledge()
    tcp.assert_gone()


# The peer closes first

@both_families
def test_fin_is_acknowledged_and_answered(subject, family):
    tcp = subject.host(family).tcp().tunnel()
    tcp.finish()
    assert_closed_by_both(tcp)


@both_families
def test_fin_with_data_delivers_the_data_first(subject, family):
    tcp = subject.host(family).tcp().tunnel()
    tcp.finish(b"the last words")
    assert tcp.read(14) == b"the last words"
    if not any(one.flags & 1 for one in tcp.seen):
        tcp.expect(where=lambda one: one.flags & 1)
    tcp.rcv += 1
    tcp.acknowledge()
    tcp.assert_gone()


@both_families
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "with-data"])
def test_fin_before_the_data_before_it_waits(subject, family, alone):
    tcp = subject.host(family).tcp().tunnel()
    begin = tcp.snd
    if alone:
        tcp.segment("FA", seq=begin + 8)
    else:
        tcp.segment("FA", seq=begin + 4, payload=b"5678")
    tcp.segment("A", payload=b"1234")
    if alone:
        tcp.segment("A", seq=begin + 4, payload=b"5678")
    tcp.snd = begin + 8
    assert tcp.read(8, acknowledge=False) == b"12345678"
    if alone:
        # Whether a FIN without data is remembered is each stack's own business: it is sent until it is acknowledged.
        tcp.segment("FA")
    tcp.snd += 1
    if not any(one.flags & 1 for one in tcp.seen):
        tcp.expect(where=lambda one: one.flags & 1 and one.ack == tcp.snd)
    tcp.rcv += 1
    tcp.acknowledge()
    tcp.assert_gone()


@both_families
def test_fin_is_acknowledged_each_time_that_it_comes(subject, family):
    tcp = subject.host(family).tcp().tunnel()
    tcp.finish()
    fin = tcp.expect("FA", where=lambda one: one.ack == tcp.snd)
    for _ in range(3):
        tcp.segment("FA", seq=tcp.snd - 1)
        tcp.expect_acknowledged()
    tcp.rcv = fin.seq + 1
    tcp.acknowledge()
    tcp.assert_gone()


def test_data_behind_a_fin_is_nothing(subject):
    tcp = subject.host().tcp().tunnel()
    tcp.finish()
    tcp.segment("PA", payload=b"and another thing")
    fin = tcp.expect(where=lambda one: one.flags & 1)
    assert fin.ack == tcp.snd
    tcp.segment("PA", payload=b"and another thing")
    tcp.rcv = fin.seq + 1
    tcp.acknowledge()
    tcp.assert_gone()
    assert all(distance(one.ack, tcp.snd) <= 0 for one in tcp.seen if not one.flags & 4)


def test_fin_inside_of_what_was_acknowledged_already_is_nothing(subject):
    """A FIN flag on a repetition of old bytes would close at a place that was passed."""
    tcp = subject.host().tcp().tunnel()
    tcp.converse(b"0123456789")
    tcp.segment("FA", seq=tcp.snd - 10, payload=b"01234")
    tcp.assert_ignored()


def test_fin_with_an_old_copy_of_the_data_before_it_closes(subject):
    tcp = subject.host().tcp().tunnel()
    tcp.converse(b"0123456789")
    tcp.segment("FA", seq=tcp.snd - 10, payload=b"0123456789")
    tcp.snd += 1
    assert_closed_by_both(tcp)


def test_last_ack_waits_for_the_acknowledgment_of_its_own_fin(subject):
    """An acknowledgment of less keeps the subject's FIN alive: it is sent again."""
    tcp = subject.host().tcp().tunnel()
    tcp.finish()
    fin = tcp.expect(where=lambda one: one.flags & 1)
    tcp.acknowledge()  # of everything but the FIN
    again = tcp.expect(where=lambda one: one.flags & 1)
    assert (again.seq, again.ack) == (fin.seq, tcp.snd)
    tcp.rcv += 1
    tcp.acknowledge()
    tcp.assert_gone()


def test_reset_in_last_ack_ends_it(subject):
    tcp = subject.host().tcp().tunnel()
    tcp.finish()
    tcp.expect(where=lambda one: one.flags & 1)
    tcp.segment("R")
    tcp.assert_gone()


# The subject closes first

@both_families
def test_data_and_fin_after_the_subjects_fin_are_taken(subject, family):
    """FIN_WAIT_1, FIN_WAIT_2: only one direction is closed."""
    tcp = closing_tcp(subject, family)
    tcp.segment("PA", ack=tcp.rcv - 1, payload=b"one")  # Its FIN is not acknowledged yet.
    tcp.snd += 3
    tcp.expect_acknowledged()
    tcp.segment("PA", payload=b"two")  # Now it is.
    tcp.snd += 3
    tcp.expect_acknowledged()
    tcp.finish(b"three")
    tcp.expect_acknowledged()


def test_fin_out_of_order_in_fin_wait_is_taken_in_order(subject):
    tcp = closing_tcp(subject)
    tcp.acknowledge()
    tcp.segment("FA", seq=tcp.snd + 3, payload=b"456")
    tcp.expect_ack()
    tcp.segment("PA", payload=b"123")
    tcp.snd += 7
    tcp.expect_acknowledged()


@both_families
def test_simultaneous_close(subject, family):
    """Both FINs cross: CLOSING, then TIME_WAIT."""
    tcp = closing_tcp(subject, family)
    tcp.finish(ack=tcp.rcv - 1)
    tcp.expect_acknowledged()
    tcp.acknowledge()
    tcp.segment("FA", seq=tcp.snd - 1)  # TIME_WAIT answers this.
    tcp.expect_ack()


def test_fin_that_was_lost_is_sent_again_in_fin_wait_and_closing(subject):
    tcp = closing_tcp(subject)
    fin = tcp.expect(where=lambda one: one.flags & 1)
    assert (fin.seq + len(fin.payload)) % WORD == (tcp.rcv - 1) % WORD
    tcp.finish(ack=tcp.rcv - 1)
    tcp.expect_acknowledged()
    tcp.expect(where=lambda one: one.flags & 1)
    tcp.acknowledge()
    tcp.segment("FA", seq=tcp.snd - 1)
    tcp.expect_ack()


@both_families
def test_reset_in_fin_wait_ends_it(subject, family):
    tcp = closing_tcp(subject, family)
    tcp.acknowledge()
    tcp.segment("R")
    tcp.assert_gone()


def test_reset_beside_the_very_number_in_fin_wait_is_challenged(subject):
    tcp = closing_tcp(subject)
    tcp.acknowledge()
    tcp.segment("R", seq=tcp.snd + 5)
    tcp.expect_ack()
    tcp.finish()
    tcp.expect_acknowledged()


# TIME_WAIT

@both_families
def test_time_wait_acknowledges_a_repeated_fin(subject, family):
    tcp = in_time_wait(subject, family)
    for _ in range(2):
        tcp.segment("FA", seq=tcp.snd - 1)
        answer = tcp.expect_ack()
        assert answer.seq == tcp.rcv


@both_families
def test_time_wait_ignores_a_reset(subject, family):
    """RFC 1337: else the ports were free while segments of the connection may still come. (Linux is asked for it: tcp_rfc1337.)"""
    tcp = in_time_wait(subject, family)
    tcp.segment("R")
    tcp.segment("RA")
    tcp.segment("FA", seq=tcp.snd - 1)
    tcp.expect_ack()


def test_time_wait_takes_no_data_and_no_old_syn(subject):
    tcp = in_time_wait(subject)
    tcp.segment("PA", seq=tcp.snd - 5, payload=b"late")
    tcp.segment("S", seq=tcp.snd - 1000)
    tcp.segment("SA", seq=tcp.iss)
    tcp.segment("FA", seq=tcp.snd - 1)
    tcp.expect_ack()
    while (more := tcp.receive(0.05)) is not None:
        assert more.is_exactly("A") and more.ack == tcp.snd and more.seq == tcp.rcv, f"{more} from TIME_WAIT"


@both_families
def test_time_wait_gives_way_to_a_higher_sequence_number(subject, family):
    """RFC 9293 §3.10.7.4 (MAY-2), RFC 6191: without timestamps the numbers tell that it is new. Its own number is beyond the old ones."""
    tcp = in_time_wait(subject, family)
    again = tcp.host.tcp(local_port=tcp.local_port, iss=tcp.snd + 1000)
    again.tunnel()
    assert distance(again.irs, tcp.rcv) > 0
    again.converse()


@both_families
def test_time_wait_gives_way_to_a_newer_timestamp(subject, family):
    """RFC 6191 §2: whatever the sequence number."""
    tcp = in_time_wait(subject, family, options=WITH_TIME)
    again = tcp.host.tcp(local_port=tcp.local_port, iss=tcp.snd - 100000)
    again.tunnel(options=(("mss", 1400), ("ts", tcp.time + 5000, 0))).converse()


def test_time_wait_does_not_give_way_to_an_older_timestamp(subject):
    tcp = in_time_wait(subject, options=WITH_TIME)
    tcp.segment("S", seq=tcp.snd + 1000, options=make_options(("mss", 1400), ("ts", tcp.time - 5000, 0)))
    answer = tcp.expect("A")
    assert answer.ack == tcp.snd
    tcp.segment("FA", seq=tcp.snd - 1)
    tcp.expect_ack()


def test_time_wait_acknowledges_a_fin_with_an_old_timestamp(subject):
    """A FIN that waited in the network has an old one (RFC 7323 §5.3, R1: answered, not taken)."""
    tcp = in_time_wait(subject, options=WITH_TIME)
    tcp.segment("FA", seq=tcp.snd - 1, options=make_options("nop", "nop", ("ts", tcp.time - 5000, tcp.echo)))
    tcp.expect_ack()


def test_challenged_syn_in_time_wait_ends_it_by_its_reset_or_waits(subject):
    """A client that reuses the ports too early resets at the number that the acknowledgment names. RFC 1337 ignores that in
    TIME_WAIT; its next SYN, one round trip newer, is what gets in."""
    tcp = in_time_wait(subject)
    early = tcp.host.tcp(local_port=tcp.local_port, iss=tcp.snd - 1000)
    early.segment("S")
    answer = early.expect("A")
    assert answer.ack == tcp.snd
    early.segment("R", seq=answer.ack)
    again = tcp.host.tcp(local_port=tcp.local_port, iss=tcp.snd + 1000)
    again.tunnel().converse()
