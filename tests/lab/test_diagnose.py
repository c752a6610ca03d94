"""What an operator sees of a running node: connections by filter and in full, and captures that tshark reads."""

import json
import os
import signal
import subprocess
import time

import pytest

import lab
import site_lab

CLIENT = "192.0.2.10"
HELD = 24

# Connections that have had an answer, held until the end of standard input; prints their local ports.
HOLDER = f"""
import socket, sys
held = []
for _ in range({HELD}):
    one = socket.create_connection(("{site_lab.VIP}", 80))
    one.sendall(b"GET / HTTP/1.1\\r\\nHost: site.example\\r\\n\\r\\n")
    assert one.recv(4096).startswith(b"HTTP/1.1 200")
    held.append(one)
print(*[one.getsockname()[1] for one in held], flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def site():
    with lab.Lab() as laboratory:
        one = site_lab.Site(laboratory, nodes=1, driver="af_packet")
        one.start()
        one.wait_active()
        yield one
        assert one.nodes[0].stop() == 0, one.nodes[0].process.output()


@pytest.fixture(scope="module")
def node(site):
    return site.nodes[0]


@pytest.fixture(scope="module")
def ports(site):
    """Local ports of the client's held connections."""
    with subprocess.Popen(site.client.command("/usr/bin/python3", "-c", HOLDER), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        yield [int(port) for port in holder.stdout.readline().split()]
        holder.stdin.close()
        holder.wait(10)


def listed(node, *words):
    result = node.ctl("--json", "connections", *words)
    return [json.loads(line) for line in result.stdout.splitlines()]


# ---- Connections


def test_filters_pick_connections_at_the_node(site, node, ports):
    mine = listed(node, "--client", CLIENT)
    assert len(mine) >= HELD and all(one["remote"].startswith(CLIENT + ":") and one["side"] == "client" for one in mine if one["layer"] == 7)
    assert {int(one["remote"].rsplit(":", 1)[1]) for one in listed(node, "--client", "192.0.2.0/28", "--state", "ESTABLISHED", "--service", "site")} == set(ports)
    assert listed(node, "--client", "198.51.100.0/24") == []
    assert listed(node, "--service", "site-tls") == []
    to_web1 = listed(node, "--server", "192.0.2.21:80")
    assert to_web1 and all(one["remote"] == "192.0.2.21:80" and one["side"] == "server" for one in to_web1)


def test_worker_filter_splits_what_the_workers_hold(site, node, ports):
    by_core = [listed(node, "--worker", core, "--client", CLIENT, "--state", "established") for core in ("0", "1")]
    assert all(one["core"] == core for core, some in enumerate(by_core) for one in some)
    assert sum(len(some) for some in by_core) == HELD and all(by_core), "both workers hold some of 24 clients"


def test_flows_of_layer_4_are_filtered_too(site, node):
    site.client.run("/usr/bin/python3", "-c", f"""
import socket
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); one.settimeout(2); one.sendto(b"x", ("{site_lab.VIP}", {site_lab.ECHO_PORT})); one.recvfrom(9)
""")
    flows = listed(node, "--service", "echo", "--client", CLIENT, "--server", "192.0.2.23")
    assert flows and all(one["layer"] == 4 and one["client"].startswith(CLIENT) for one in flows)
    assert not [one for one in listed(node, "--worker", "0") if one["layer"] == 4]


DETAIL_KEYS = """
smoothed_rtt_seconds rtt_variation_seconds minimum_rtt_seconds retransmission_timeout_seconds backoff_doublings unanswered_attempts
unanswered_keepalives congestion_window_bytes slow_start_threshold_bytes in_flight_bytes in_flight_segments pipe_bytes sacked_bytes
sacked_segments lost_bytes retransmissions_total last_retransmission_reason since_retransmission_seconds send_queue_bytes receive_queue_bytes
send_window_bytes send_window_maximum_bytes receive_window_bytes receive_limit_bytes send_window_scale_bits receive_window_scale_bits
out_of_order_bytes out_of_order_ranges segment_size_bytes peer_segment_size_bytes largest_segment_received_bytes path_mtu_bytes sack timestamps
window_scaling reader_waits writer_waits fin_sent fin_received recovery recovery_left_bytes duplicate_acks prr_delivered_bytes prr_out_bytes
prr_recover_flight_bytes undo_possible reordering_seen reordering_window_seconds tail_loss_probe_out congestion_control slow_start
cubic_maximum_bytes cubic_k_seconds cubic_epoch_seconds cubic_estimate_segments timers idle_seconds since_received_seconds since_sent_seconds
since_progress_seconds age_seconds bytes_sent_total bytes_received_total
""".split()


def test_one_endpoint_shows_everything_that_tcp_knows(node, ports):
    [one] = listed(node, "--client", f"{CLIENT}:{ports[0]}")
    assert not set(DETAIL_KEYS) - set(one)
    assert one["state"] == "ESTABLISHED" and one["recovery"] == "open" and one["congestion_control"] == "cubic"
    assert 0 < one["minimum_rtt_seconds"] <= one["smoothed_rtt_seconds"] + one["rtt_variation_seconds"] + 1
    assert one["sack"] and one["timestamps"] and one["window_scaling"] and one["path_mtu_bytes"] == 1500
    assert one["reader_waits"] and one["bytes_received_total"] > 0 and one["age_seconds"] >= one["idle_seconds"]
    [same] = listed(node, "--detail", f"{CLIENT}:{ports[0]}")
    assert same["remote"] == one["remote"] and set(same) == set(one)
    text = node.ctl("connections", "--detail", f"{CLIENT}:{ports[0]}").stdout
    for word in ("round trip", "cwnd", "ssthresh", "in flight", "SACKed", "timers", "cubic"):
        assert word in text, text
    assert "recovery" not in listed(node, "--client", CLIENT)[0]


def test_upstream_connection_is_found_by_its_own_end(node, ports):
    upstream = listed(node, "--server", "192.0.2.21:80")[0]
    [one] = listed(node, "--detail", upstream["local"])
    assert one["remote"] == "192.0.2.21:80" and one["side"] == "server" and "recovery" in one


@pytest.mark.parametrize("words", [["--client", "nobody"], ["--service", "nowhere"], ["--state", "asleep"], ["--worker", "7"], ["--worker", "x"]])
def test_filter_that_is_none_is_a_wrong_command_line(node, words):
    result = node.ctl("connections", *words, check=False)
    assert result.returncode == 64 and result.stderr


# ---- Capture


def tshark(path, *fields, filter=""):
    words = [word for field in fields for word in ("-e", field)]
    result = subprocess.run(["tshark", "-r", path, "-Y", filter, "-T", "fields", "-E", "separator=|", *words], capture_output=True, text=True, check=True)
    return [line.split("|") for line in result.stdout.splitlines()]


def start_capture(node, *words):
    process = subprocess.Popen([lab.SLUICECTL, "--socket", node.socket, "capture", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    lab.wait_until(lambda: process.poll() is not None or logged_begin(node, process), 5, "the capture to begin")
    return process


def logged_begin(node, process):
    """The file has its header once the taps are in place; standard output cannot be looked at."""
    path = process.args[process.args.index("--write") + 1]
    return path == "-" or (os.path.exists(path) and os.path.getsize(path) > 0)


def end(process, signal_number=signal.SIGINT):
    process.send_signal(signal_number)
    out, error = process.communicate(timeout=10)
    return process.returncode, error.decode()


def fetch(site):
    site.client.curl("-f", "-m", "5", f"http://{site_lab.VIP}/", check=True)


def test_capture_shows_both_directions_on_their_port(site, node, tmp_path):
    path = str(tmp_path / "all.pcapng")
    process = start_capture(node, "--write", path)
    fetch(site)
    time.sleep(0.1)
    code, error = end(process)
    assert code == 0 and "0 packets not captured" in error
    lines = tshark(path, "frame.interface_name", "frame.packet_flags_direction", "http.request.method", "ip.src", filter="http.request")
    assert {line[0] for line in lines} == {"front"}
    directions = {(line[3], int(line[1], 0)) for line in lines}
    assert (CLIENT, 1) in directions, "the client's request came in"
    assert any(source != CLIENT and way == 2 for source, way in directions), "the proxy's request went out"
    times = [float(line[0]) for line in tshark(path, "frame.time_epoch")]
    assert len(times) == int(error.split()[0]) and abs(times[0] - time.time()) < 60


def test_capture_goes_to_a_pipe_and_ends_by_count(site, node):
    with subprocess.Popen([lab.SLUICECTL, "--socket", node.socket, "capture", "--write", "-", "--count", "5"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        reader = subprocess.Popen(["tshark", "-r", "-", "-T", "fields", "-e", "frame.number"], stdin=process.stdout, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        fetch(site)
        fetch(site)
        out, _ = reader.communicate(timeout=20)
        error = process.stderr.read().decode()
        assert process.wait(10) == 0 and error.startswith("5 packets captured")
    assert out.split() == [b"1", b"2", b"3", b"4", b"5"]


def test_capture_filter_is_applied_at_the_node_and_snap_cuts(site, node, tmp_path):
    path = str(tmp_path / "some.pcapng")
    process = start_capture(node, "--write", path, "--filter", f"tcp port 80 and host {CLIENT} and not vrrp", "--snap", "64")
    fetch(site)
    time.sleep(0.1)
    assert end(process)[0] == 0
    lines = tshark(path, "ip.src", "ip.dst", "frame.cap_len", "frame.len")
    assert lines and all({CLIENT, site_lab.VIP} == {line[0], line[1]} for line in lines)
    assert max(int(line[2]) for line in lines) == 64 and max(int(line[3]) for line in lines) > 64


def test_capture_of_drops_says_why_and_shows_nothing_else(site, node, tmp_path):
    path = str(tmp_path / "drops.pcapng")
    process = start_capture(node, "--write", path, "--dropped", "--filter", f"host {CLIENT}")
    site.client.run("/usr/bin/python3", "-c", f"""
import socket
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.sendto(b"nobody listens here", ("{site_lab.VIP}", 4242))
two = socket.socket(); two.settimeout(1)
try:
    two.connect(("{site_lab.VIP}", 4243))
except OSError:
    pass
""")
    fetch(site)
    time.sleep(0.1)
    code, error = end(process)
    assert code == 0 and "drops without a packet" in error
    lines = tshark(path, "udp.dstport", "tcp.dstport", "frame.comment")
    known = {drop["reason"] for drop in node.json("drops")["drops"]}
    assert ["4242"] == [line[0] for line in lines if line[0]]
    assert any(line[1] == "4243" for line in lines) and not any(line[1] == "80" for line in lines), lines
    assert all(line[2].split(":")[0] in known and len(line[2]) > 20 for line in lines), lines


def test_capture_ends_after_its_seconds_and_without_packets(node, tmp_path):
    path = str(tmp_path / "empty.pcapng")
    start = time.monotonic()
    result = node.ctl("capture", "--write", path, "--filter", "udp port 9", "--seconds", "1")
    assert 0.9 < time.monotonic() - start < 5 and result.stderr.startswith("0 packets captured")
    assert tshark(path, "frame.number") == []


def test_second_capture_is_refused_and_a_dead_client_ends_the_first(site, node, tmp_path):
    first = start_capture(node, "--write", str(tmp_path / "one.pcapng"))
    second = node.ctl("capture", "--write", str(tmp_path / "two.pcapng"), "--seconds", "1", check=False)
    assert second.returncode == 1 and "runs already" in second.stderr
    first.kill()
    first.communicate(timeout=10)
    lab.wait_until(lambda: node.ctl("capture", "--write", str(tmp_path / "three.pcapng"), "--seconds", "0.1", check=False).returncode == 0, 5,
                   "the dead client's capture to end")


def test_capture_that_nobody_reads_discards_and_says_so(site, node):
    with subprocess.Popen([lab.SLUICECTL, "--socket", node.socket, "capture", "--write", "-", "--snap", "65535"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        sink = f"import socket\none = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nfor _ in range(20000): one.sendto(bytes(1400), ('{site_lab.VIP}', 4242))"
        for _ in range(3):
            site.client.run("/usr/bin/python3", "-c", sink)
        fetch(site)
        assert time.monotonic() < deadline
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=20)
    assert process.returncode == 0
    captured, _, _, lost = error.decode().split()[:4]
    assert int(captured) > 0 and int(lost) > 0, error
    fetch(site)


@pytest.mark.parametrize("words", [[], ["--write", "x", "--snap", "10"], ["--write", "x", "--count", "0"], ["--write", "x", "--filter", "no such words"],
                                   ["--write", "x", "--seconds", "-1"]])
def test_capture_without_sense_is_a_wrong_command_line(node, words, tmp_path):
    result = subprocess.run([lab.SLUICECTL, "--socket", node.socket, "capture", *words], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 64 and result.stderr and not os.listdir(tmp_path)


def test_file_that_cannot_be_written_is_said(node, tmp_path):
    result = node.ctl("capture", "--write", str(tmp_path / "no" / "file"), check=False)
    assert result.returncode == 1 and "cannot write" in result.stderr
