"""The table of answers: what a client gets in each situation, from a live node."""

import socket
import time

import pytest

from lab import wait_until
from raw_http import exchange, receive_all
from site_lab import VIP, VIP6, OriginSite

SCAPY_STRAY_SEGMENT = """
from scapy.all import IP, TCP, sr1, conf
conf.verb = 0
answer = sr1(IP(dst="%s") / TCP(sport=45678, dport=80, flags="A", seq=1000, ack=5000), timeout=5)
print(answer[TCP].flags, answer[TCP].seq) if answer else print("silence")
"""


@pytest.fixture(scope="module")
def site(lab, driver):
    site = OriginSite(lab, driver=driver)
    # The kernel of the origin never answers on port 11: a server behind a firewall that drops.
    site.origin.run("nft", "add table inet lab; add chain inet lab in { type filter hook input priority 0; }; add rule inet lab in tcp dport 11 drop")
    return site.start()


def get(site, path, port=8080, host="site.example", timeout=15):
    """One request that asks for the connection's end: the response."""
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    responses, _ = exchange(site.client, VIP, port, request.encode(), timeout)
    assert len(responses) == 1
    return responses[0]


def test_no_route_matches_answers_404(site):
    assert get(site, "/nowhere", port=8081).status == 404


def test_route_by_host_and_wildcard_is_found(site):
    assert get(site, "/x", port=8081, host="one.example").status == 200
    assert get(site, "/x", port=8081, host="ONE.example:8081").status == 200
    assert get(site, "/x", port=8081, host="a.many.example").status == 200
    assert get(site, "/x", port=8081, host="many.example").status == 404


def test_redirect_and_respond_answer_by_themselves(site):
    moved = get(site, "/moved?a=b", port=8081)
    assert (moved.status, moved.fields["location"]) == (308, "https://site.example/moved?a=b")
    here = get(site, "/here", port=8081)
    assert (here.status, here.body) == (200, b"answered here\n")


def test_no_healthy_server_answers_503(site):
    assert get(site, "/down/").status == 503


def test_forwarded_tcp_without_server_is_reset(site):
    began = time.monotonic()
    with pytest.raises(ConnectionRefusedError):
        site.client.connect(VIP, 9001)
    assert time.monotonic() - began < 0.9, "refused by a retransmitted SYN only"


def test_forwarded_udp_without_server_is_unreachable(site):
    with site.client.socket(kind=socket.SOCK_DGRAM) as probe:
        probe.connect((VIP, 9001))
        probe.send(b"x")
        with pytest.raises(ConnectionRefusedError):
            probe.recv(100)


def test_forwarded_tcp_without_server_is_silence_when_the_file_says_so(site):
    with pytest.raises(socket.timeout):
        site.client.connect(VIP, 9002, timeout=2.5)


def test_forwarded_tcp_reaches_its_server(site):
    responses, _ = exchange(site.client, VIP, 9000, b"GET /forwarded HTTP/1.1\r\nHost: a\r\n\r\n", timeout=2)
    assert [one.body for one in responses] == [b"origin /forwarded\n"]


def test_server_that_refuses_answers_502(site):
    assert get(site, "/refused/").status == 502


def test_server_that_refuses_is_left_for_another(site):
    for _ in range(4):
        assert get(site, "/one-refuses/").status == 200


@pytest.mark.parametrize("path", ["/garbage", "/die-at-once", "/two-lengths", "/huge-head"])
def test_server_that_answers_nonsense_answers_502(site, path):
    assert get(site, path).status == 502


def test_connecting_too_long_answers_504(site):
    began = time.monotonic()
    assert get(site, "/silent/").status == 504
    assert 0.9 < time.monotonic() - began < 5


def test_server_that_is_not_there_is_a_gateway_error(site):
    assert get(site, "/absent/").status in (502, 504)


def test_response_too_late_answers_504(site):
    began = time.monotonic()
    assert get(site, "/hang").status == 504
    assert 1.8 < time.monotonic() - began < 8


@pytest.mark.parametrize("path", ["/die-length", "/reset-mid", "/die-chunked", "/hang-mid", "/bad-chunk"])
def test_server_that_dies_in_its_response_never_looks_complete(site, path):
    with site.client.connect(VIP, 8080, 15) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        data, end = receive_all(connection, 15)
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert end in ("closed", "reset")
    if b"content-length: 2000" in head.lower():
        assert len(body) < 2000
    else:
        assert b"chunked" in head.lower()
        assert not body.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("path", ["/die-length", "/reset-mid", "/die-chunked", "/bad-chunk"])
def test_server_that_dies_in_its_response_resets_the_http2_stream(site, path):
    result = site.client.curl("--http2-prior-knowledge", "-m", 15, f"http://{VIP}:8080{path}")
    assert result.returncode == 92, f"curl exit {result.returncode}: {result.stderr}"  # CURLE_HTTP2_STREAM


def test_header_over_its_limit_answers_431(site):
    responses, end = exchange(site.client, VIP, 8081, b"GET / HTTP/1.1\r\nHost: one.example\r\nX: " + b"a" * 8192 + b"\r\n\r\n")
    assert [one.status for one in responses] == [431]
    assert end in ("closed", "reset")


def test_target_over_its_limit_answers_414(site):
    responses, end = exchange(site.client, VIP, 8081, b"GET /" + b"a" * 8192 + b" HTTP/1.1\r\nHost: one.example\r\n\r\n")
    assert [one.status for one in responses] == [414]
    assert end in ("closed", "reset")


def test_body_over_its_limit_answers_413_and_is_not_passed_on(site):
    site.clear_journal()
    responses, _ = exchange(site.client, VIP, 8081, b"POST / HTTP/1.1\r\nHost: one.example\r\nContent-Length: 65537\r\n\r\n")
    assert [one.status for one in responses] == [413]
    chunk = b"10001\r\n" + b"a" * 65537 + b"\r\n0\r\n\r\n"
    responses, _ = exchange(site.client, VIP, 8081, b"POST / HTTP/1.1\r\nHost: one.example\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk)
    assert [one.status for one in responses] == [413]
    assert site.journal() == []


@pytest.mark.parametrize("beginning", [b"G", b"GET / HTTP/1.1\r\nHost: one.ex",
                                       b"POST / HTTP/1.1\r\nHost: one.example\r\nContent-Length: 10\r\n\r\nhello"])
def test_client_too_slow_answers_408(site, beginning):
    began = time.monotonic()
    responses, end = exchange(site.client, VIP, 8081, beginning)
    assert [one.status for one in responses] == [408]
    assert end in ("closed", "reset")
    assert time.monotonic() - began < 6


def test_client_that_dribbles_its_header_answers_408(site):
    """`header` is a total: a byte now and then does not keep a connection."""
    began = time.monotonic()
    with site.client.connect(VIP, 8081) as connection:
        request = b"GET / HTTP/1.1\r\nHost: one.example\r\nX: " + b"a" * 400
        data = b""
        for byte in request:
            try:
                connection.send(bytes([byte]))
                connection.settimeout(0.05)
                data += connection.recv(4096)
                break
            except socket.timeout:
                continue
            except (BrokenPipeError, ConnectionResetError):
                break
    assert data.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - began < 6


def test_silent_client_is_closed_without_an_answer(site):
    """No byte of a request came: there is nothing to answer."""
    responses, end = exchange(site.client, VIP, 8081, b"", timeout=10)
    assert responses == []
    assert end == "closed"


def established_at_origin(site):
    return site.origin.run("ss", "-Htn", "state", "established", "sport", "=", ":8080").stdout.count("192.0.2.11")


@pytest.mark.parametrize("reset", [False, True])
def test_client_that_leaves_cancels_the_request_upstream(site, reset):
    before = established_at_origin(site)
    connections = [site.client.connect(VIP, 8080) for _ in range(3)]
    for connection in connections:
        connection.sendall(b"GET /hang-mid HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()
    wait_until(lambda: established_at_origin(site) <= before, 1.5, "the upstream connections to be closed")


def test_plain_http_on_a_tls_listener_answers_400(site):
    responses, end = exchange(site.client, VIP, 443, b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n")
    assert [one.status for one in responses] == [400]
    assert end in ("closed", "reset")


@pytest.mark.parametrize("address", [VIP, VIP6, "192.0.2.11", "2001:db8::11"])
def test_tcp_to_a_closed_port_is_reset(site, address):
    began = time.monotonic()
    with pytest.raises(ConnectionRefusedError):
        site.client.connect(address, 4242)
    assert time.monotonic() - began < 0.9


@pytest.mark.parametrize("address", [VIP, VIP6, "192.0.2.11", "2001:db8::11"])
def test_udp_to_a_closed_port_is_unreachable(site, address):
    with site.client.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 4242))
        probe.send(b"x")
        with pytest.raises(ConnectionRefusedError):
            probe.recv(100)


def test_segment_of_no_connection_is_reset(site):
    answer = site.client.run("/usr/bin/python3", "-c", SCAPY_STRAY_SEGMENT % VIP, timeout=30).stdout.strip()
    assert answer == "R 5000"  # RFC 9293 section 3.10.7.1: the reset takes its sequence number from the ACK.


def test_packet_for_nobody_here_is_not_routed(site):
    site.client.ip("route", "add", "198.51.100.0/24", "via", VIP)
    site.client.ip("neigh", "replace", "192.0.2.24", "lladdr", "00:00:5e:00:01:33", "dev", "eth0")
    try:
        for address in ("198.51.100.1", "192.0.2.24"):
            result = site.client.run("ping", "-c3", "-i0.2", "-W1", address, check=False)
            assert "0 received" in result.stdout, result.stdout
            assert "Redirect" not in result.stdout and "Unreachable" not in result.stdout, result.stdout
    finally:
        site.client.ip("neigh", "del", "192.0.2.24", "dev", "eth0")
        site.client.ip("route", "del", "198.51.100.0/24")


@pytest.mark.parametrize("address", [VIP, VIP6, "192.0.2.11", "2001:db8::11"])
@pytest.mark.parametrize("size", [0, 56, 1400])
def test_echo_is_answered(site, address, size):
    result = site.client.run("ping", "-c5", "-i0.05", "-W5", "-s", size, address, check=False)
    assert " 0% packet loss" in result.stdout, result.stdout


def test_both_families_are_served(site):
    for url in (f"http://{VIP}/", f"http://[{VIP6}]/", f"https://{VIP}/", f"https://[{VIP6}]/"):
        result = site.client.curl("-k", "-m", 10, url)
        assert result.stdout in ("web1\n", "web2\n"), f"{url}: {result.stdout}{result.stderr}"
