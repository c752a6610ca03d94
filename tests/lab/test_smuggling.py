"""Requests that two readers could understand differently. Each is refused, and nothing of it reaches the origin."""

import pytest

from raw_http import exchange
from site_lab import VIP, OriginSite

NEXT = b"GET /smuggled HTTP/1.1\r\nHost: site.example\r\n\r\n"


def post(fields, body=b""):
    return b"POST /smuggle HTTP/1.1\r\nHost: site.example\r\n" + fields + b"\r\n" + body


def chunked(body):
    return post(b"Transfer-Encoding: chunked\r\n", body)


LENGTHS = {"plus": b"+5", "minus": b"-5", "hex": b"0x5", "space_inside": b"5 5", "letter": b"5a", "empty": b"", "comma": b"5,",
           "semicolon": b"5;5", "fraction": b"5.0", "vertical_tab": b"\x0b5", "huge": b"99999999999999999999",
           "wraps_64_bits": b"18446744073709551621"}

REQUESTS = {
    "cl_te": post(b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\nX"),
    "te_cl": post(b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
    "te_te_identity": post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", b"0\r\n\r\n"),
    "te_te_twice": post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "te_list_twice": post(b"Transfer-Encoding: chunked, chunked\r\n", b"0\r\n\r\n"),
    "te_chunked_not_last": post(b"Transfer-Encoding: chunked, gzip\r\n", b"0\r\n\r\n"),
    "te_unknown": post(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n"),
    "te_vertical_tab": post(b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n"),
    "te_quoted": post(b"Transfer-Encoding: \"chunked\"\r\n", b"0\r\n\r\n"),
    "te_empty": post(b"Transfer-Encoding: \r\n", b"0\r\n\r\n"),
    "te_space_before_colon": post(b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n"),
    "te_in_http_1_0": b"POST /smuggle HTTP/1.0\r\nHost: site.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "cl_twice_differing": post(b"Content-Length: 5\r\nContent-Length: 6\r\n", b"hello"),
    "cl_twice_equal": post(b"Content-Length: 5\r\nContent-Length: 5\r\n", b"hello"),
    "cl_list": post(b"Content-Length: 5, 5\r\n", b"hello"),
    "cl_space_before_colon": post(b"Content-Length : 5\r\n", b"hello"),
    **{f"cl_{name}": post(b"Content-Length: " + value + b"\r\n", b"hello") for name, value in LENGTHS.items()},
    "bare_lf_lines": b"GET /smuggle HTTP/1.1\nHost: site.example\n\n",
    "bare_lf_one_field": b"GET /smuggle HTTP/1.1\r\nHost: site.example\nX: y\r\n\r\n",
    "bare_cr_in_value": b"GET /smuggle HTTP/1.1\r\nHost: site.example\r\nX: a\rb\r\n\r\n",
    "obs_fold": b"GET /smuggle HTTP/1.1\r\nHost: site.example\r\nX: a\r\n b\r\n\r\n",
    "space_before_first_field": b"GET /smuggle HTTP/1.1\r\n Host: site.example\r\n\r\n",
    "nul_in_value": b"GET /smuggle HTTP/1.1\r\nHost: site.example\r\nX: a\0b\r\n\r\n",
    "nul_in_name": b"GET /smuggle HTTP/1.1\r\nHost: site.example\r\nX\0Y: a\r\n\r\n",
    "nul_in_target": b"GET /smuggle\0 HTTP/1.1\r\nHost: site.example\r\n\r\n",
    "no_host": b"GET /smuggle HTTP/1.1\r\n\r\n",
    "two_hosts": b"GET /smuggle HTTP/1.1\r\nHost: site.example\r\nHost: other.example\r\n\r\n",
    "two_equal_hosts": b"GET /smuggle HTTP/1.1\r\nHost: site.example\r\nHost: site.example\r\n\r\n",
    "host_list": b"GET /smuggle HTTP/1.1\r\nHost: site.example, other.example\r\n\r\n",
    "host_with_user": b"GET /smuggle HTTP/1.1\r\nHost: user@site.example\r\n\r\n",
    "empty_field_name": b"GET /smuggle HTTP/1.1\r\nHost: site.example\r\n: a\r\n\r\n",
    "no_colon": b"GET /smuggle HTTP/1.1\r\nHost: site.example\r\nTransfer-Encoding\r\n\r\n",
    "method_with_colon": b"GE:T /smuggle HTTP/1.1\r\nHost: site.example\r\n\r\n",
    "two_spaces": b"GET  /smuggle HTTP/1.1\r\nHost: site.example\r\n\r\n",
    "tab_for_space": b"GET\t/smuggle HTTP/1.1\r\nHost: site.example\r\n\r\n",
    "no_version": b"GET /smuggle\r\nHost: site.example\r\n\r\n",
    "version_2_0": b"GET /smuggle HTTP/2.0\r\nHost: site.example\r\n\r\n",
    "version_lower_case": b"GET /smuggle http/1.1\r\nHost: site.example\r\n\r\n",
    "space_in_target": b"GET /smuggle me HTTP/1.1\r\nHost: site.example\r\n\r\n",
    "chunk_size_hex_prefix": chunked(b"0x5\r\nhello\r\n0\r\n\r\n"),
    "chunk_size_negative": chunked(b"-5\r\nhello\r\n0\r\n\r\n"),
    "chunk_size_empty": chunked(b"\r\nhello\r\n0\r\n\r\n"),
    "chunk_size_space": chunked(b"5 \r\nhello\r\n0\r\n\r\n"),
    "chunk_size_overflow": chunked(b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    "chunk_line_bare_lf": chunked(b"5\nhello\r\n0\r\n\r\n"),
    "chunk_extension_bare_lf": chunked(b"5;a\nhello\r\n0\r\n\r\n"),
    "chunk_data_too_long": chunked(b"5\r\nhello!\r\n0\r\n\r\n"),
    "chunk_data_bare_lf": chunked(b"5\r\nhello\n0\r\n\r\n"),
    "trailer_obs_fold": chunked(b"0\r\nX: a\r\n b\r\n\r\n"),
    "trailer_bare_lf": chunked(b"0\r\nX: a\n\r\n"),
    "trailer_nul": chunked(b"0\r\nX: a\0b\r\n\r\n"),
}


@pytest.fixture(scope="module")
def site(lab, driver):
    return OriginSite(lab, driver=driver).start()


@pytest.mark.parametrize("name", REQUESTS)
def test_ambiguous_request_is_refused_and_reaches_nobody(site, name):
    site.clear_journal()
    responses, end = exchange(site.client, VIP, 8080, REQUESTS[name] + NEXT)
    assert len(responses) == 1, f"{len(responses)} answers"
    assert responses[0].status in (400, 501, 505), f"status {responses[0].status}"
    assert end in ("closed", "reset")
    assert site.journal() == []


def test_sound_requests_around_them_are_served(site):
    """The table above would pass on a proxy that refuses everything."""
    site.clear_journal()
    sound = chunked(b"5;extension=\"a\"\r\nhello\r\n0\r\nX-Trailer: a\r\n\r\n") + post(b"Content-Length: 5\r\n", b"hello")
    last = b"GET /last HTTP/1.1\r\nHost: site.example\r\nConnection: close\r\n\r\n"
    responses, end = exchange(site.client, VIP, 8080, sound + last)
    assert [one.status for one in responses] == [200, 200, 200]
    assert end == "closed"
    assert [(one["line"].split(" ")[1], one["body_bytes"]) for one in site.journal()] == [("/smuggle", 5), ("/smuggle", 5), ("/last", 0)]
