"""The operator's side, end to end: every verb of sluicectl, reload, drain, handover, the admin page, the logs."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest

import lab
import site_lab

ADMIN = "127.0.0.1:9180"
VIEWS = ["services", "pools", "servers", "vrrp", "ports", "cores", "drops", "neighbours", "certificates"]


class OperatorSite(site_lab.Site):
    """The example site with an admin page and an access log on each node."""

    def config(self, number, **more):
        return super().config(number, **more) + f"""
admin: {{listen: {ADMIN}}}
log: {{access: {{file: "{{folder}}/access.log"}}}}
"""


@pytest.fixture(scope="module")
def site():
    with lab.Lab() as laboratory:
        pair = OperatorSite(laboratory, nodes=2, driver="af_packet")
        pair.start()
        lab.wait_until(lambda: state(pair.nodes[0]) == {"active"}, 10, "the first node to be active")
        yield pair
        assert [node.stop() for node in pair.nodes] == [0, 0], pair.nodes[0].process.output()


@pytest.fixture
def first(site):
    return site.nodes[0]


@pytest.fixture
def file(first):
    """The first node's file, which is put back and loaded at the end of the test."""
    with open(first.path) as text:
        before = text.read()
    yield before
    write(first, before)
    first.ctl("reload")


def write(node, text):
    with open(node.path, "w") as out:
        out.write(text)


def state(node):
    return {one["state"] for one in node.json("vrrp")["vrrp"]}


def kinds(node):
    """What is degraded, but for what other programs on this machine do to the node."""
    return [one["kind"] for one in node.json("status", check=False)["degraded"] if one["kind"] != "core_late"]


def fetch(site, path="/", count=1):
    """Bodies of `count` requests on connections of their own."""
    return [site.client.curl("-f", "-m", "5", f"http://{site_lab.VIP}{path}", check=True).stdout for _ in range(count)]


def page(node, path, *words):
    """(status, body) from the admin page."""
    result = node.host.run("curl", "-sS", "--noproxy", "*", "-m", "5", "-w", "\n%{http_code}", *words, f"http://{ADMIN}{path}")
    body, _, status = result.stdout.rpartition("\n")
    return int(status), body


# ---- Looking


def test_status_of_a_healthy_pair_is_well_on_both_nodes(site):
    for node in site.nodes:
        answer = node.json("status")
        assert answer["schema"] == 1 and answer["node"] == node.name and answer["well"] and answer["degraded"] == []
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", answer["time"])
        text = node.ctl("status").stdout
        assert f"node {node.name}: running, well" in text and "last changes:" in text


@pytest.mark.parametrize("verb", VIEWS)
def test_view_has_a_table_and_one_object_of_json(first, verb):
    answer = first.json(verb)
    assert {"schema", "node", "time"} <= set(answer) and answer[verb]
    lines = first.ctl(verb).stdout.splitlines()
    assert lines and (lines[0] == lines[0].upper() or lines == ["nothing was dropped"])


def test_json_keys_are_snake_case_everywhere(first):
    def check(value):
        if isinstance(value, dict):
            for key, one in value.items():
                assert re.fullmatch(r"[a-z0-9_]+", key), key
                check(one)
        elif isinstance(value, list):
            for one in value:
                check(one)
    for verb in VIEWS + ["status", "version", "config"]:
        check(first.json(verb))


# Programs rely on these: a key may be added here, never renamed or removed.
ANSWER = "schema node time exit_code"
KEYS = {
    "status": "version state well started degraded vrrp configuration services pools servers servers_accepting drains events",
    "version": "version", "config": "file running", "services": "services", "pools": "pools", "servers": "servers", "vrrp": "state vrrp",
    "ports": "ports", "cores": "cores", "drops": "drops", "neighbours": "neighbours", "certificates": "certificates",
}
ITEM_KEYS = {
    "services": "name kind method tls listen pools pools_ready",
    "pools": "name balance checked servers accepting up down drained services",
    "servers": "pool server address weight status accepts_new full since reason drain flows_active flows_inactive flows_total requests_total failures_total"
               " packets_in_total packets_out_total bytes_in_total bytes_out_total",
    "vrrp": "name group state reason since_seconds port vrid priority configured_priority advert_interval_seconds addresses peer peer_priority"
            " became_active_total became_backup_total adverts_sent_total adverts_received_total priority_zero_sent_total"
            " priority_zero_received_total addresses_differ_total other_active_total",
    "ports": "name link mac mtu_bytes receive_queues transmit_queues packets_received_total bytes_received_total packets_transmitted_total"
             " bytes_transmitted_total receive_dropped_total transmit_dropped_total copies_total slow_calls_total receive_starved_total",
    "cores": "core cpu roles since_last_turn_seconds busy_seconds_total polling_seconds_total turn_p50_microseconds turn_p99_microseconds turn_max_microseconds"
             " events_discarded_total counters use",
    "drops": "reason packets_total meaning advice",
    "neighbours": "port address mac state",
    "certificates": "service file names subject issuer key not_before not_after remaining_seconds fingerprint",
}
USE_KEYS = ("flows flow_capacity client_connections requests upstream_connections upstream_idle tcp_connections tcp_half_open tcp_time_wait"
            " tcp_buffer_bytes memory")
EVENT_KEYS = "schema node time number kind subject from to reason"
RELOAD_KEYS = "time applied taken_up generation diagnostics"
CONNECTION_KEYS = {
    4: "schema node time core layer protocol state client service server local method remaining_seconds",
    7: "schema node time core layer protocol state local remote side age_seconds smoothed_rtt_seconds retransmission_timeout_seconds"
       " congestion_window_bytes in_flight_bytes send_queue_bytes receive_queue_bytes send_window_bytes receive_window_bytes"
       " segment_size_bytes retransmissions_total bytes_sent_total bytes_received_total",
}


def has(found, *keys):
    missing = set(" ".join(keys).split()) - set(found)
    assert not missing, missing


def test_json_has_every_key_that_was_ever_promised(first):
    first.ctl("reload")
    for verb, keys in KEYS.items():
        has(first.json(verb), ANSWER, keys)
    for verb, keys in ITEM_KEYS.items():
        for one in first.json(verb)[verb]:
            has(one, keys)
    for core in first.json("cores")["cores"]:
        if core["use"] is not None:
            has(core["use"], USE_KEYS)
    configuration = first.json("status")["configuration"]
    has(configuration, "file generation live_generations last_reload on_disk")
    has(configuration["last_reload"], RELOAD_KEYS)
    has(configuration["on_disk"], "valid differs needs_restart diagnostics")
    has(first.json("reload"), ANSWER, RELOAD_KEYS)
    has(first.json("reload", "--plan"), ANSWER, "file applies changes diagnostics")
    has(first.json("config", "--diff"), ANSWER, "file diff diagnostics")
    has(first.json("log", "info"), ANSWER, "level")
    has(first.json("drain", "web/web1", "--for", "1h"), ANSWER, "drained kept")
    drain = next(one["drain"] for one in first.json("servers")["servers"] if one["drain"])
    has(drain, "since until by reason")
    has(first.json("status", check=False), KEYS["status"])
    has(first.json("undrain", "web/web1"), ANSWER, "undrained kept")
    refused = first.json("drain", "nowhere", check=False)
    has(refused, ANSWER, "error hint")
    for line in first.ctl("--json", "events").stdout.splitlines():
        has(json.loads(line), EVENT_KEYS)


def test_every_drop_reason_says_what_to_do(first):
    for drop in first.json("drops")["drops"]:
        assert drop["meaning"] and drop["advice"] and drop["packets_total"] >= 0


def test_connections_are_one_object_per_line_of_both_layers(site, first):
    fetch(site)
    site.client.run("/usr/bin/python3", "-c", f"""
import socket
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); one.settimeout(2); one.sendto(b"x", ("{site_lab.VIP}", {site_lab.ECHO_PORT})); one.recvfrom(9)
""")
    lines = [json.loads(line) for line in first.ctl("--json", "connections").stdout.splitlines()]
    flow = next(line for line in lines if line["layer"] == 4)
    assert flow["service"] == f"{site_lab.VIP}:{site_lab.ECHO_PORT}" and flow["server"] == f"192.0.2.23:{site_lab.ECHO_PORT}"
    assert any(line["layer"] == 7 for line in lines)
    for line in lines:
        has(line, CONNECTION_KEYS[line["layer"]])


def test_events_have_reasons_and_follow_shows_the_next_one(first):
    events = [json.loads(line) for line in first.ctl("--json", "events").stdout.splitlines()]
    assert any(one["kind"] == "vrrp" and one["to"] == "active" for one in events)
    assert [one["number"] for one in events] == sorted(one["number"] for one in events)
    with subprocess.Popen([lab.SLUICECTL, "--socket", first.socket, "--json", "events", "--follow"], stdout=subprocess.PIPE, text=True) as reader:
        for _ in events:
            reader.stdout.readline()
        first.ctl("drain", "web/web1", "--reason", "followed")
        try:
            found = json.loads(reader.stdout.readline())
        finally:
            first.ctl("undrain", "web/web1")
            reader.terminate()
    assert (found["kind"], found["subject"], found["to"]) == ("drain", "web/web1", "drained") and "followed" in found["reason"]


def test_exit_codes_are_those_of_the_contract(first):
    assert first.ctl("version").returncode == 0
    assert first.ctl("drain", "nowhere", check=False).returncode == 1
    assert first.ctl("drain", "web/nobody", check=False).returncode == 1
    assert first.ctl("undrain", "web/web1", check=False).returncode == 1
    assert first.ctl("handover", "--undo", check=False).returncode == 1
    for words in (["nonsense"], [], ["log", "loud"], ["drain"], ["drain", "web", "--for", "soon"], ["reload", "--plan", "--no-wait"]):
        assert first.ctl(*words, check=False).returncode == 64, words
    assert lab.run(lab.SLUICECTL, "--socket", first.socket + "x", "status", check=False).returncode == 2


def test_status_answers_within_100_ms_while_both_cores_are_saturated(site, first):
    burners = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(2)]
    worker = site.client.start("load", "sh", "-c", f"while :; do curl -s --noproxy '*' -o /dev/null http://{site_lab.VIP}/; done")
    times = []
    try:
        for _ in range(20):
            with socket.socket(socket.AF_UNIX) as one:
                one.connect(first.socket)
                start = time.monotonic()
                one.sendall(b'{"verb":"status"}\n')
                assert one.makefile().readline().startswith("{")
                times.append(time.monotonic() - start)
    finally:
        worker.kill()
        for burner in burners:
            burner.kill()
            burner.wait()
    assert sorted(times)[len(times) // 2] < 0.1, times


# ---- The socket


def test_one_client_too_many_is_told_so(first):
    with contextlib.ExitStack() as stack:
        for _ in range(64):
            one = stack.enter_context(socket.socket(socket.AF_UNIX))
            one.connect(first.socket)
        refused = lab.wait_until(lambda: (answer := first.ctl("version", check=False)).returncode != 0 and answer, 5, "a refusal")
    assert "64 clients are connected" in refused.stdout + refused.stderr, refused
    lab.wait_until(lambda: first.ctl("version", check=False).returncode == 0, 5, "the node to answer again")


def test_storm_of_hangups_is_few_reloads(first):
    def reloads():
        return first.process.output().count(" reload node: ")
    before = reloads()
    for _ in range(300):
        first.process.signal(signal.SIGHUP)
        time.sleep(0.001)
    lab.wait_until(lambda: reloads() > before, 5, "a reload")
    time.sleep(1)
    assert reloads() - before <= 60, "one for every tick at most"


def test_socket_refuses_nonsense_and_lives_on(first):
    for request in (b"\n", b"[]\n", b'{"verb":1}\n', b'{"verb":"nope"}\n', b"x" * 20000 + b"\n", b'{"verb":"log"}\n', b'{"verb":"events","follow":3}\n'):
        with socket.socket(socket.AF_UNIX) as one:
            one.settimeout(5)
            one.connect(first.socket)
            one.sendall(request)
            answer = json.loads(one.makefile().readline())
            assert answer["exit_code"] == 64 and answer["error"], request
    assert first.ctl("version").returncode == 0


def test_socket_is_for_root_alone_without_a_group(first):
    assert os.stat(first.socket).st_mode & 0o777 == 0o600


def test_second_node_with_the_same_socket_is_refused(first):
    result = lab.run(*first.host.command(lab.SLUICE, "run", "--config", first.path), check=False,
                     env={**os.environ, "RUNTIME_DIRECTORY": os.path.join(first.folder, "run"), "NOTIFY_SOCKET": ""})
    assert result.returncode == 4 and first.socket in result.stderr
    assert first.ctl("version").returncode == 0


# ---- Reload


def test_reload_of_an_invalid_file_is_refused_whole_and_reported_everywhere(first, file):
    before = first.json("status")["configuration"]["generation"]
    write(first, file + "\nbogus: 1\n")
    assert "file_invalid" in kinds(first)
    refused = first.ctl("reload", check=False)
    assert refused.returncode == 3 and "bogus" in refused.stdout + refused.stderr
    assert first.ctl("reload", "--plan", check=False).returncode == 3
    status = first.ctl("status", check=False)
    assert status.returncode == 1 and "bogus" in status.stdout
    assert "reload_failed" in kinds(first) and first.json("status", check=False)["configuration"]["generation"] == before
    assert "bogus" in first.process.output()
    write(first, file)
    assert first.ctl("reload").returncode == 0 and kinds(first) == []


def test_reload_of_what_needs_a_restart_is_refused_by_name(first, file):
    write(first, file.replace("size: 384MiB", "size: 400MiB"))
    refused = first.ctl("--json", "reload", check=False)
    assert refused.returncode == 1 and "memory" in json.loads(refused.stdout)["diagnostics"][0]["message"]
    assert first.ctl("reload", "--plan", check=False).returncode == 1


def test_plan_shows_what_would_change_and_touches_nothing(first, file):
    write(first, file.replace("name: web2}", "name: web2, weight: 7}").replace("pools:", "pools:\n  - {name: spare, servers: [{address: 192.0.2.99:80}]}", 1))
    plan = first.json("reload", "--plan")
    assert plan["applies"] and {(one["change"], one["what"], one["name"]) for one in plan["changes"]} == {
        ("added", "pool", "spare"), ("changed", "pool", "web")}
    assert any(line.startswith("+") and "weight: 7" in line for one in plan["changes"] for line in one["details"])
    assert "weight: 7" in first.ctl("config", "--diff").stdout and "weight: 7" not in first.ctl("config").stdout
    assert [one["weight"] for one in first.json("servers")["servers"] if one["server"] == "web2"] == [1]
    first.ctl("reload")
    assert [one["weight"] for one in first.json("servers")["servers"] if one["server"] == "web2"] == [7]


def test_reload_by_signal_and_without_waiting(first, file):
    before = first.json("status")["configuration"]["generation"]
    first.process.signal(signal.SIGHUP)
    lab.wait_until(lambda: first.json("status")["configuration"]["generation"] > before, 5, "the reload")
    assert first.ctl("reload", "--no-wait").returncode == 0


def counters(node):
    """Everything that counts, as (where, which): value."""
    found = {}
    for line in page(node, "/metrics")[1].splitlines():
        name, _, value = line.rpartition(" ")
        if not line.startswith("#") and name.split("{")[0].endswith(("_total", "_count", "_bucket", "_sum")):
            found[name] = float(value)
    for verb, key in (("servers", "server"), ("vrrp", "name"), ("ports", "name")):
        for one in node.json(verb)[verb]:
            found.update({f"{verb} {one[key]} {name}": value for name, value in one.items() if name.endswith("_total")})
    return found


def test_counters_survive_a_reload_that_changes_everything_about_them(site, first, file):
    fetch(site, count=4)
    before = counters(first)
    assert before['sluice_vrrp_adverts_sent_total{instance="public"}'] > 0 and before["servers web1 requests_total"] > 0
    write(first, file.replace("priority: 200", "priority: 201").replace("name: web1}", "name: web1, weight: 3}")
          .replace("interval: 200ms", "interval: 300ms").replace("routes: [{pool: web}]", "routes: [{match: {path: {exact: /no}}, respond: {}}, {pool: web}]"))
    changes = {(one["what"], one["name"]) for one in first.json("reload", "--plan")["changes"]}
    assert {("vrrp", "public"), ("pool", "web"), ("service", "site")} <= changes
    assert first.json("reload")["applied"]
    after = counters(first)
    assert before.keys() <= after.keys() and {name: (before[name], after[name]) for name in before if after[name] < before[name]} == {}


def test_certificate_that_was_replaced_is_served_after_a_reload_of_the_same_file(site, first):
    def served():
        pem = site.client.run("sh", "-c", f"echo | openssl s_client -connect {site_lab.VIP}:443 -servername site.example 2>/dev/null").stdout
        return pem[pem.index("-----BEGIN"):pem.index("-----END")]
    old = [site.files[name] for name in ("site.crt", "site.key")]
    before = served(), first.json("certificates")["certificates"][0]["fingerprint"]
    kept = site.client.connect(site_lab.VIP, 80)
    try:
        for name, text in zip(("site.crt", "site.key"), site.lab.certificate("site.example", "*.site.example")):
            first.write(name, text)
        assert served() == before[0], "not before the reload"
        first.ctl("reload")
        assert served() != before[0] and first.json("certificates")["certificates"][0]["fingerprint"] != before[1]
        kept.sendall(b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n")
        assert kept.recv(4096).startswith(b"HTTP/1.1 200 ")
        first.write("site.key", "no key at all")
        refused = first.json("reload", check=False)
        assert not refused["applied"] and "site.key" in refused["diagnostics"][0]["message"]
    finally:
        kept.close()
        for name, text in zip(("site.crt", "site.key"), old):
            first.write(name, text)
        first.ctl("reload")


# ---- Drain


def test_drained_server_gets_nothing_new_and_keeps_that_over_a_reload(site, first):
    first.ctl("drain", "web/web1", "--for", "2h", "--reason", "new kernel")
    try:
        assert set(fetch(site, count=6)) == {"web2\n"}
        first.ctl("reload")
        assert set(fetch(site, count=6)) == {"web2\n"}
        drained = next(one for one in first.json("servers")["servers"] if one["server"] == "web1")
        assert drained["drain"]["by"] == "root" and drained["drain"]["reason"] == "new kernel" and drained["drain"]["until"]
        assert "new kernel" in first.ctl("servers").stdout and first.json("status")["drains"] == 1
    finally:
        first.ctl("undrain", "web/web1")
    assert set(fetch(site, count=6)) == {"web1\n", "web2\n"}


def test_drain_ends_by_itself_after_its_time(site, first):
    first.ctl("drain", "web/web1", "--for", "1s")
    assert set(fetch(site, count=4)) == {"web2\n"}
    lab.wait_until(lambda: first.json("status")["drains"] == 0, 5, "the drain to end")
    assert set(fetch(site, count=4)) == {"web1\n", "web2\n"}


def test_drain_of_a_whole_pool_is_degraded_and_answers_503(site, first):
    first.ctl("drain", "web")
    try:
        assert "pool_without_server" in kinds(first)
        assert site.client.curl("-o", "/dev/null", "-w", "%{http_code}", f"http://{site_lab.VIP}/").stdout == "503"
    finally:
        first.ctl("undrain", "web")
    assert kinds(first) == []


def test_drain_survives_a_restart_of_the_node(site):
    second = site.nodes[1]
    second.ctl("drain", "echo", "--reason", "kept")
    assert second.stop() == 0
    second.start()
    servers = second.json("servers")["servers"]
    assert [one["drain"]["reason"] for one in servers if one["pool"] == "echo"] == ["kept"]
    second.ctl("undrain", "echo")
    lab.wait_until(lambda: second.ctl("status", check=False).returncode == 0, 5, "the second node to be well")


# ---- Health


def test_server_that_dies_is_down_with_a_reason(site, first):
    host, nginx = site.web[1]
    nginx.signal(signal.SIGSTOP)
    try:
        lab.wait_until(lambda: any(one["server"] == "web2" and one["status"] == "down" and one["reason"]
                                   for one in first.json("servers")["servers"]), 5, "web2 to be down")
        assert set(fetch(site, count=4)) == {"web1\n"}
    finally:
        nginx.signal(signal.SIGCONT)
    lab.wait_until(lambda: all(one["status"] != "down" for one in first.json("servers")["servers"]), 5, "web2 to be up")


def test_tracked_pool_without_a_server_makes_the_node_yield(site, first, file):
    second = site.nodes[1]
    write(first, file.replace("addresses: [192.0.2.100]}", "addresses: [192.0.2.100], track: [{pool: web}]}"))
    first.ctl("reload")
    assert state(first) == {"active"}
    first.ctl("drain", "web")
    try:
        lab.wait_until(lambda: state(second) == {"active"}, 5, "the second node to be active")
        assert {"pool_without_server", "tracked_failed", "vrrp_fault"} <= set(kinds(first)) and fetch(site)
    finally:
        first.ctl("undrain", "web")
    lab.wait_until(lambda: state(first) == {"active"} and state(second) == {"backup"}, 5, "the first node to be active again")
    assert kinds(first) == []


# ---- Handover


def test_handover_and_back(site, first):
    second = site.nodes[1]
    assert first.ctl("handover").returncode == 0
    assert state(second) == {"active"} and state(first) == {"backup"} and kinds(first) == ["standby"]
    assert fetch(site) and page(first, "/readyz")[0] == 503
    first.ctl("handover", "--undo")
    lab.wait_until(lambda: state(first) == {"active"} and state(second) == {"backup"}, 5, "the first node to be active again")
    assert fetch(site) and kinds(first) == []


def test_handover_of_a_backup_stands_by_at_once(site):
    second = site.nodes[1]
    assert state(second) == {"backup"} and second.ctl("handover").returncode == 0 and kinds(second) == ["standby"]
    second.ctl("handover", "--undo")
    assert kinds(second) == [] and fetch(site)


def test_handover_without_a_peer_changes_nothing(site, first):
    second = site.nodes[1]
    assert second.stop() == 0
    assert first.ctl("handover", "--timeout", "500ms", check=False).returncode == 1
    assert state(first) == {"active"} and kinds(first) == [] and fetch(site)
    second.start()
    lab.wait_until(lambda: state(second) == {"backup"}, 5, "the second node to be backup")


# ---- Admin page and logs


def test_metrics_are_well_formed_and_count_what_happened(site, first):
    fetch(site)
    status, body = page(first, "/metrics")
    assert status == 200
    families = {}
    for line in body.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name not in families, f"{name} comes twice"
            families[name] = kind
        elif not line.startswith("#"):
            match = re.fullmatch(r'([a-z_]+)(\{[^}]*\})? (\S+)', line)
            assert match, line
            float(match.group(3))
            base = re.sub(r"_(bucket|sum|count)$", "", match.group(1))
            assert match.group(1) in families or base in families, line
            if families.get(match.group(1)) == "counter":
                assert match.group(1).endswith("_total"), line
    value = dict(line.rsplit(" ", 1) for line in body.splitlines() if not line.startswith("#"))
    assert value["sluice_ready"] == "1" and value["sluice_degraded"] == "0"
    assert value['sluice_vrrp_active{instance="public"}'] == "1" and value['sluice_port_up{port="front"}'] == "1"
    assert int(value['sluice_requests_total{outcome="none",side="ours"}']) > 0


def test_documentation_names_every_metric_and_every_verb(first):
    first.ctl("reload")  # some metrics are about the last one
    with open(os.path.join(lab.ROOT, "docs", "metrics.md")) as metrics, open(os.path.join(lab.ROOT, "docs", "counters.md")) as counters:
        documented, counter_page = metrics.read(), counters.read()
    for line in page(first, "/metrics")[1].splitlines():
        if line.startswith("# TYPE "):
            name = line.split()[2]
            assert f"`{name}`" in documented or name.removeprefix("sluice_").removesuffix("_total") in counter_page, name
    exported = page(first, "/metrics")[1]
    for name in re.findall(r"^\| `(sluice_\w+)`", documented, re.M):
        assert f"# TYPE {name} " in exported, f"{name} is documented, and programs rely on it"
    with open(os.path.join(lab.ROOT, "docs", "sluicectl.md")) as text:
        verbs = text.read()
    for verb in re.findall(r"^  ([a-z]+) ", first.ctl("--help").stdout, re.M):
        assert f"`{verb}" in verbs, verb


def test_admin_page_is_read_only_and_has_three_pages(first):
    assert page(first, "/livez") == (200, "ok\n") and page(first, "/readyz") == (200, "ok\n")
    assert page(first, "/other")[0] == 404 and page(first, "/metrics", "-X", "POST")[0] == 405


def access_lines(node, name="access.log"):
    path = os.path.join(node.folder, name)
    with open(path) as file:
        return [json.loads(line) for line in file]


def test_access_log_has_a_line_per_request_and_is_reopened_by_usr1(site, first):
    fetch(site, "/?first")
    lab.wait_until(lambda: any("?first" in json.dumps(line) for line in access_lines(first)), 5, "the line")
    os.rename(os.path.join(first.folder, "access.log"), os.path.join(first.folder, "access.log.1"))
    first.process.signal(signal.SIGUSR1)
    fetch(site, "/?second")
    lab.wait_until(lambda: os.path.exists(os.path.join(first.folder, "access.log"))
                   and any("?second" in json.dumps(line) for line in access_lines(first)), 5, "the line in the new file")
    assert not any("?second" in json.dumps(line) for line in access_lines(first, "access.log.1"))


def test_refused_request_is_counted_and_logged_with_its_rule(site, first):
    def refusals():
        return int(re.search(r'^sluice_http_refusals_total\{rule="content_length_with_transfer_encoding"\} (\d+)$', page(first, "/metrics")[1], re.M).group(1))
    before = refusals()
    with site.client.connect(site_lab.VIP, 80) as one:
        one.sendall(b"POST /both HTTP/1.1\r\nHost: site.example\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        assert one.recv(4096).startswith(b"HTTP/1.1 400 ")
    assert refusals() == before + 1
    lab.wait_until(lambda: any(line.get("rule") == "content_length_with_transfer_encoding" for line in access_lines(first)), 5, "its line")


def test_log_level_changes_at_once(first, file):
    first.ctl("log", "error")
    size = len(first.process.output())
    first.ctl("drain", "web/web1")
    first.ctl("undrain", "web/web1")
    time.sleep(0.2)
    assert len(first.process.output()) == size
    first.ctl("reload")
    lab.wait_until(lambda: "reload node" in first.process.output()[size:], 5, "the file's level to hold again")
