"""HTTP/1.1 through a live node: what framing, hop-by-hop fields, upgrades and persistence must look like on both sides."""

import hashlib
import os
import time

import pytest

from raw_http import exchange, receive_all, split_responses
from site_lab import VIP, OriginSite


@pytest.fixture(scope="module")
def site(lab, driver):
    return OriginSite(lab, driver=driver).start()


def last_fields(site):
    return [(name.lower(), value) for name, value in site.journal()[-1]["fields"]]


def test_pipelined_requests_are_answered_in_their_order(site):
    requests = b"".join(f"GET /p{number} HTTP/1.1\r\nHost: a\r\n\r\n".encode() for number in range(20))
    responses, end = exchange(site.client, VIP, 8080, requests + b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert [one.body for one in responses] == [f"origin /p{number}\n".encode() for number in range(20)] + [b"origin /last\n"]
    assert end == "closed"


def test_connection_is_kept_and_closed_as_asked(site):
    with site.client.connect(VIP, 8080) as connection:
        for _ in range(3):
            connection.sendall(b"GET /kept HTTP/1.1\r\nHost: a\r\n\r\n")
            responses, rest = split_responses(connection.recv(4096))
            assert (len(responses), rest) == (1, b"")
        connection.sendall(b"GET /kept HTTP/1.0\r\nHost: a\r\n\r\n")
        data, end = receive_all(connection)
        assert end == "closed" and data.startswith(b"HTTP/1.1 200 ")


def test_expect_100_continue_is_answered_before_the_body(site):
    with site.client.connect(VIP, 8080) as connection:
        connection.sendall(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"hello")
        data, _ = receive_all(connection)
    assert b"5 " + hashlib.sha256(b"hello").hexdigest().encode() in data


def test_head_has_no_body_and_the_connection_goes_on(site):
    responses = b"HEAD /h HTTP/1.1\r\nHost: a\r\n\r\nGET /g HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with site.client.connect(VIP, 8080) as connection:
        connection.sendall(responses)
        data, end = receive_all(connection)
    head, _, rest = data.partition(b"\r\n\r\n")
    assert b"content-length: 10" in head.lower()
    assert rest.startswith(b"HTTP/1.1 200 ") and rest.endswith(b"origin /g\n")
    assert end == "closed"


def test_chunked_request_and_its_trailers_arrive_whole(site):
    body = os.urandom(100_000)
    pieces = [body[at:at + 7001] for at in range(0, len(body), 7001)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nX-Trailer: a\r\n\r\n"
    responses, _ = exchange(site.client, VIP, 8080, b"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + chunks)
    assert responses[0].body == f"100000 {hashlib.sha256(body).hexdigest()}\n".encode()


def test_chunked_response_and_its_trailers_arrive_whole(site):
    with site.client.connect(VIP, 8080) as connection:
        connection.sendall(b"GET /trailers HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close, TE\r\n\r\n")
        data, end = receive_all(connection)
    assert end == "closed"
    assert data.lower().endswith(b"\r\n\r\n5\r\nhello\r\n0\r\nx-digest: abc\r\n\r\n")


def test_hop_by_hop_fields_end_at_the_node(site):
    request = (b"GET /hop HTTP/1.1\r\nHost: site.example\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\nTE: gzip\r\n"
               b"Proxy-Connection: keep-alive\r\nUpgrade: something\r\nX-Other: 2\r\n\r\n")
    responses, _ = exchange(site.client, VIP, 8080, request)
    assert responses[0].status == 200
    fields = dict(last_fields(site))
    assert fields["x-other"] == "2"
    for name in ("x-mine", "keep-alive", "te", "proxy-connection", "upgrade"):
        assert name not in fields


def test_host_reaches_the_origin_as_sent_and_forwarded_fields_are_replaced(site):
    request = b"GET /f HTTP/1.1\r\nHost: SITE.example:8080\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n"
    exchange(site.client, VIP, 8080, request)
    fields = last_fields(site)
    assert [value for name, value in fields if name == "host"] == ["SITE.example:8080"]
    assert [value for name, value in fields if name == "x-forwarded-for"] == ["192.0.2.10"]
    assert [value for name, value in fields if name == "x-forwarded-proto"] == ["http"]


def test_matching_and_the_origin_see_the_same_normalised_path(site):
    responses, _ = exchange(site.client, VIP, 8080, b"GET /a/../%72efused/./x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert responses[0].status == 502  # the route /refused/ was taken
    exchange(site.client, VIP, 8080, b"GET /a/../%66/./b%2fc?q=%66/.. HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert site.journal()[-1]["line"] == "GET /f/b%2Fc?q=%66/.. HTTP/1.1"


def test_websocket_echoes_both_ways_for_long(site):
    key = b"dGhlIHNhbXBsZSBub25jZQ=="
    with site.client.connect(VIP, 8080) as connection:
        connection.sendall(b"GET /websocket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                           b"Sec-WebSocket-Key: " + key + b"\r\n\r\n")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=" in head.lower()
        for size in (1, 125, 65536, 500_000):
            message = os.urandom(size)
            received = b""
            sent = 0
            while len(received) < size:
                if sent < size:
                    sent += connection.send(message[sent:sent + 32768])
                received += connection.recv(65536)
            assert received == message
        time.sleep(3)  # longer than header, body and response timeouts: a tunnel has its own
        connection.sendall(b"still there")
        assert connection.recv(100) == b"still there"


def test_slow_reader_gets_everything(site):
    """A client that stalls for a while holds its upstream back and then gets every byte."""
    with open(os.path.join(site.web[0][1].www, "big"), "wb") as file:
        file.write(os.urandom(8 << 20))
    os.link(os.path.join(site.web[0][1].www, "big"), os.path.join(site.web[1][1].www, "big"))
    with open(os.path.join(site.web[0][1].www, "big"), "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    with site.client.connect(VIP, 80, 30) as connection:
        connection.sendall(b"GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        time.sleep(2)
        data, end = receive_all(connection, 60)
    assert end == "closed"
    assert hashlib.sha256(data.partition(b"\r\n\r\n")[2]).hexdigest() == digest


def test_many_clients_that_die_leave_the_node_well(site):
    """Clients that vanish in the middle of everything, 200 of them, and the next one is served at once."""
    for number in range(200):
        connection = site.client.connect(VIP, 8080 if number % 2 else 8443)
        connection.sendall([b"GET /slow-body HTTP/1.1\r\nHost: a\r\n\r\n", b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nx",
                            b"GET /", b"\x16\x03\x01"][number % 4])
        if number % 3 == 0:
            connection.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER 0: a reset instead of an end
        connection.close()
    began = time.monotonic()
    responses, _ = exchange(site.client, VIP, 8080, b"GET /well HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert [one.status for one in responses] == [200]
    assert time.monotonic() - began < 2
