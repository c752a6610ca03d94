"""HTTP/2 to clients, from a live node: real clients, and frames that no real client sends."""

import contextlib
import time

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import pytest

from site_lab import VIP, OriginSite


@pytest.fixture(scope="module")
def site(lab, driver):
    return OriginSite(lab, driver=driver).start()


class Client:
    """An HTTP/2 client in clear that sends what it is told, sound or not."""

    def __init__(self, site, port=8080):
        self.socket = site.client.connect(VIP, port, 10)
        config = h2.config.H2Configuration(client_side=True, validate_outbound_headers=False, normalize_outbound_headers=False)
        self.connection = h2.connection.H2Connection(config)
        self.connection.initiate_connection()
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def flush(self):
        self.socket.sendall(self.connection.data_to_send())

    def request(self, stream, fields, body=None, end=True):
        self.connection.send_headers(stream, fields, end_stream=end and body is None)
        if body is not None:
            self.connection.send_data(stream, body, end_stream=end)
        self.flush()

    def result(self, stream):
        """How the stream ends: its status as a text, "reset" or "closed" (with the connection)."""
        status = None
        while True:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                return "closed"
            if not data:
                return "closed"
            for event in self.connection.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived) and event.stream_id == stream:
                    status = dict(event.headers)[b":status" if isinstance(event.headers[0][0], bytes) else ":status"]
                    status = status.decode() if isinstance(status, bytes) else status
                elif isinstance(event, h2.events.DataReceived):
                    self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamReset) and event.stream_id == stream:
                    return status or "reset"
                elif isinstance(event, h2.events.StreamEnded) and event.stream_id == stream:
                    return status
                elif isinstance(event, h2.events.ConnectionTerminated):
                    return status or "closed"
            self.flush()


def fields(*more, method="POST", path="/smuggle", scheme="http", authority="site.example"):
    return [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path), *more]


GOAWAY = 7


def frame_types(data):
    """The types of the frames in `data`."""
    types = []
    while len(data) >= 9:
        types.append(data[3])
        data = data[9 + int.from_bytes(data[:3], "big"):]
    return types


GOOD = fields()
UNSOUND = {
    "no_method": (GOOD[1:], b""),
    "no_scheme": ([GOOD[0], *GOOD[2:]], b""),
    "no_path": (GOOD[:3], b""),
    "empty_path": (fields(path=""), b""),
    "path_without_slash": (fields(path="smuggle"), b""),
    "path_with_space": (fields(path="/smuggle HTTP/1.1"), b""),
    "path_with_line_end": (fields(path="/smuggle HTTP/1.1\r\nX: y"), b""),
    "two_methods": ([(":method", "POST"), *GOOD], b""),
    "two_paths": ([*GOOD, (":path", "/smuggled")], b""),
    "two_authorities": ([*GOOD, (":authority", "other.example")], b""),
    "unknown_pseudo_header": ([*GOOD, (":protocol-x", "y")], b""),
    "response_pseudo_header": ([*GOOD, (":status", "200")], b""),
    "pseudo_header_behind_a_field": ([GOOD[0], ("x", "y"), *GOOD[1:]], b""),
    "host_differs_from_authority": (fields(("host", "other.example")), b""),
    "no_authority_and_no_host": ([*GOOD[:2], GOOD[3]], b""),
    "authority_with_user": (fields(authority="user@site.example"), b""),
    "upper_case_name": (fields(("X-Upper", "y")), b""),
    "name_with_space": (fields(("x y", "z")), b""),
    "name_with_colon": (fields(("x:y", "z")), b""),
    "empty_name": (fields(("", "z")), b""),
    "line_end_in_value": (fields(("x", "a\r\nTransfer-Encoding: chunked")), b""),
    "bare_lf_in_value": (fields(("x", "a\nb")), b""),
    "nul_in_value": (fields(("x", "a\0b")), b""),
    "connection": (fields(("connection", "close")), b""),
    "keep_alive": (fields(("keep-alive", "timeout=5")), b""),
    "upgrade": (fields(("upgrade", "websocket")), b""),
    "transfer_encoding": (fields(("transfer-encoding", "chunked")), b"0\r\n\r\n"),
    "te_other_than_trailers": (fields(("te", "gzip")), b""),
    "length_longer_than_body": (fields(("content-length", "6")), b"hello"),
    "length_shorter_than_body": (fields(("content-length", "4")), b"hello"),
    "length_without_body": (fields(("content-length", "4")), None),
    "two_lengths": (fields(("content-length", "5"), ("content-length", "6")), b"hello"),
    "length_malformed": (fields(("content-length", "+5")), b"hello"),
    "length_list": (fields(("content-length", "5, 5")), b"hello"),
}


@pytest.mark.parametrize("name", UNSOUND)
def test_unsound_http2_request_is_refused_and_reaches_nobody(site, name):
    site.clear_journal()
    head, body = UNSOUND[name]
    with Client(site) as client:
        client.request(1, head, body)
        assert client.result(1) in ("reset", "closed", "400")
    assert site.journal() == []


def test_sound_http2_requests_are_served(site):
    site.clear_journal()
    with Client(site) as client:
        client.request(1, fields(("content-length", "5"), ("te", "trailers")), b"hello")
        assert client.result(1) == "200"
        client.request(3, fields(("cookie", "a=b"), ("cookie", "c=d"), method="GET", path="/headers"))
        assert client.result(3) == "200"
    first, second = site.journal()
    assert (first["line"], first["body_bytes"]) == ("POST /smuggle HTTP/1.1", 5)
    cookies = [value for name, value in second["fields"] if name.lower() == "cookie"]
    assert cookies == ["a=b; c=d"]  # RFC 9113 section 8.2.3
    assert [value for name, value in second["fields"] if name.lower() == "host"] == ["site.example"]


def test_stream_that_fails_leaves_its_connection_alone(site):
    with Client(site) as client:
        client.request(1, fields(method="GET", path="/die-at-once"))
        client.request(3, fields(method="GET", path="/well"))
        assert {client.result(1), client.result(3) if client.connection.open_outbound_streams else "200"} <= {"502", "200"}


def test_rapid_reset_ends_the_connection_and_nothing_else(site):
    """CVE-2023-44487: a client that opens and resets streams without end is cut off; others are served meanwhile."""
    with Client(site) as client:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for stream in range(1, 40001, 2):
                client.connection.send_headers(stream, fields(method="GET", path="/hang"), end_stream=True)
                client.connection.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
                client.flush()
        # The kernel may have taken all of it before the node's answer was there.
        client.socket.settimeout(10)
        try:
            while client.socket.recv(65536):
                pass
        except ConnectionResetError:
            pass
        except TimeoutError:
            pytest.fail("20000 resets and still connected")
    assert site.client.curl("-m", 10, f"http://{VIP}:8080/well").stdout == "origin /well\n"


def test_endless_continuation_ends_the_connection(site):
    """A header block that never ends is refused at its limit, not gathered."""
    with site.client.connect(VIP, 8080, 10) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000"))
        block = b"\x00\x01x\x7f\x81\x07" + b"a" * 262  # a literal field of some 260 bytes
        connection.sendall(len(block).to_bytes(3, "big") + bytes.fromhex("0100") + (1).to_bytes(4, "big") + block)
        connection.settimeout(0)
        answer = b""
        deadline = time.monotonic() + 20
        for _ in range(20000):
            frame = len(block).to_bytes(3, "big") + bytes.fromhex("0900") + (1).to_bytes(4, "big") + block
            try:
                while frame and time.monotonic() < deadline:
                    try:
                        frame = frame[connection.send(frame):]
                    except BlockingIOError:
                        time.sleep(0.01)
                answer += connection.recv(65536)
            except BlockingIOError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                return
            if GOAWAY in frame_types(answer):
                return
        pytest.fail(f"20000 CONTINUATION frames, and the answer is {answer!r}")


def test_curl_negotiates_http2_over_tls(site):
    result = site.client.curl("-k", "--http2", "-m", 10, "-o", "/dev/null", "-w", "%{http_version}", f"https://{VIP}:8443/well")
    assert result.stdout == "2", result.stderr


def test_curl_speaks_http2_in_clear(site):
    result = site.client.curl("--http2-prior-knowledge", "-m", 10, "-o", "/dev/null", "-w", "%{http_version}", f"http://{VIP}:8080/well")
    assert result.stdout == "2", result.stderr


def test_curl_that_offers_an_upgrade_is_served_in_http1(site):
    """RFC 9113 dropped the upgrade from HTTP/1.1: the offer is ignored."""
    result = site.client.curl("--http2", "-m", 10, "-o", "/dev/null", "-w", "%{http_version} %{http_code}", f"http://{VIP}:8080/well")
    assert result.stdout == "1.1 200", result.stderr


def test_h2load_many_streams_at_once(site):
    result = site.client.run("h2load", "-n", 5000, "-c", 8, "-m", 32, f"http://{VIP}/", timeout=120)
    assert "5000 succeeded, 0 failed, 0 errored, 0 timeout" in result.stdout, result.stdout
    assert "5000 2xx, 0 3xx, 0 4xx, 0 5xx" in result.stdout, result.stdout


def test_h2load_over_tls(site):
    result = site.client.run("h2load", "-n", 2000, "-c", 8, "-m", 16, f"https://{VIP}/", timeout=120)
    assert "2000 succeeded, 0 failed, 0 errored, 0 timeout" in result.stdout, result.stdout
