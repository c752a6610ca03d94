"""`sluice check`: what people run before everything else. Every error at once with its place and a hint, and nothing of the machine is needed."""

import glob
import json
import os
import re

import pytest

from lab import ROOT, SLUICE, Lab, run

VALID = """node: lb1
ports:
  - name: front
    device: {interface: %s}
    addresses: [192.0.2.11/24, "2001:db8::11/64"]
    routes: [{to: 0.0.0.0/0, via: 192.0.2.1}]
vrrp:
  - {name: public, port: front, vrid: 51, priority: 200, advert_interval: 100ms, addresses: [192.0.2.100]}
defaults:
  timeouts: {connect: 700ms}
  health: {interval: 3s}
services:
  - name: site
    listen: 192.0.2.100:80/tcp
    proxy:
      routes:
        - {match: {host: "*.example.org", path: {prefix: /v1/}}, pool: web, headers: {request: {set: {X-Env: "010"}, remove: [X-Debug]}}}
        - {redirect: {scheme: https, status: 308}}
  - name: dns
    listen: ["192.0.2.100:53/udp", "192.0.2.100:53/tcp"]
    forward: {method: fullnat, pool: dns, no_server: drop}
pools:
  - {name: web, servers: [{address: 192.0.2.21:80, weight: 2}], health: {http: {path: /healthz, status: [200-204]}}}
  - {name: dns, balance: mh, servers: [{address: 192.0.2.53}]}
memory: {size: 64MiB, hugepages: off}
control: {socket: /tmp/sluice-check.sock}
"""

# An interface that every machine has, where nothing is said about the kernel's address on it.
CALM = "lo, driver: af_packet, kernel: ignore"

# The mistakes that people make, and where each must be reported: (line, column, words of the message and its hint).
INVALID = """node: lb1
ports:
  - name: front
    device: {interface: lo, driver: af_xpd}
    mtu: 01500
    addresses: [192.0.2.300/24]
vrrp:
  - {name: public, port: frnt, virtual_router_id: 51, vrid: 51, priority: 300, addresses: [192.0.2.100]}
services:
  - name: site
    listen: 192.0.2.11:80/tcp
    proxy: {routes: [{pool: nowhere}]}
    proxy: {routes: [{pool: web}]}
pools:
  - name: web
    servers: [{address: 192.0.2.21:80, weight: yes}]
    timeouts: {connect: 5}
    health: {interval: 1s}
"""
MISTAKES = [
    (4, 37, ["af_xpd", "af_xdp"]),
    (5, 10, ["01500", "1500"]),
    (6, 17, ["192.0.2.300/24"]),
    (8, 26, ["frnt"]),
    (8, 32, ["virtual_router_id", "`vrid`"]),
    (8, 75, ["300", "1.."]),
    (12, 29, ["nowhere"]),
    (13, 5, ["proxy", "twice"]),
    (16, 48, ["yes"]),
    (17, 25, ["no unit", "ms"]),
    (18, 13, ["http", "missing"]),
]
PLACE = re.compile(r"^(?P<file>[^:\n]+):(?P<line>\d+):(?P<column>\d+): (?P<severity>error|warning|note): ", re.M)


def check(*words, **options):
    return run(SLUICE, "check", *words, check=False, **options)


def places(text, severity="error"):
    return [(int(found["line"]), int(found["column"])) for found in PLACE.finditer(text) if found["severity"] == severity]


@pytest.fixture
def file(tmp_path):
    def write(text, name="sluice.yaml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)
    return write


def test_valid_file_exits_zero_and_says_so(file):
    result = check(file(VALID % CALM))
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert "valid" in result.stdout


def test_every_mistake_is_reported_at_once_with_place_and_hint(file):
    path = file(INVALID)
    result = check(path)
    assert result.returncode == 3
    assert result.stdout == ""
    assert places(result.stderr) == [(line, column) for line, column, _ in MISTAKES]
    reports = PLACE.split(result.stderr)[1:]  # file, line, column, severity, text; again and again
    errors = [text for severity, text in zip(reports[3::5], reports[4::5]) if severity == "error"]
    for (line, _, words), report in zip(MISTAKES, errors):
        assert all(word in report for word in words), report
        assert INVALID.splitlines()[line - 1] in report, "the line of the file is shown"
    assert set(reports[0::5]) == {path}


def test_no_file_is_an_error_that_names_it(file, tmp_path):
    for path in (str(tmp_path / "absent.yaml"), str(tmp_path)):
        result = check(path)
        assert result.returncode == 3
        assert path in result.stderr


@pytest.mark.parametrize("words", [[], ["check"], ["chekc", "x"], ["check", "--bogus", "x"], ["check", "a", "b"], ["run"], ["run", "--config"]])
def test_wrong_usage_exits_64(words):
    result = run(SLUICE, *words, check=False)
    assert result.returncode == 64
    assert result.stderr


def test_run_refuses_an_invalid_file_with_the_same_words(file):
    path = file(INVALID)
    result = run(SLUICE, "run", "--config", path, check=False)
    assert result.returncode == 3
    assert check(path).stderr in result.stderr


def test_what_only_this_machine_can_tell_is_a_warning_and_with_host_an_error(file):
    path = file(VALID % "absent7")
    lenient = check(path)
    assert lenient.returncode == 0
    assert places(lenient.stderr, "warning") == [(4, 25)] and places(lenient.stderr) == []
    strict = check("--host", path)
    assert strict.returncode == 3
    assert places(strict.stderr) == [(4, 25)]
    assert "absent7" in strict.stderr and "ip link show" in strict.stderr


def test_strict_makes_warnings_errors(file):
    path = file(VALID % "absent7")
    assert check("--strict", path).returncode == 3
    assert check("--strict", file(VALID % CALM)).returncode == 0


def test_host_names_the_command_that_frees_an_interface(file):
    with Lab() as lab:
        host = lab.host("busy", "192.0.2.10/24")
        result = host.run(SLUICE, "check", "--host", file(VALID % "eth0"), check=False)
        assert result.returncode == 3
        assert places(result.stderr) == [(4, 25)]
        assert "192.0.2.10" in result.stderr and "ip address flush dev eth0" in result.stderr
        host.run("ip", "address", "flush", "dev", "eth0")
        assert host.run(SLUICE, "check", "--host", file(VALID % "eth0")).stderr == ""


def test_neither_root_nor_a_machine_is_needed(file, tmp_path):
    path = file(VALID % "absent7")
    os.chmod(path, 0o644)
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        os.chmod(folder, os.stat(folder).st_mode | 0o055)
    result = run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all",
                 "prlimit", "--memlock=0", "--", SLUICE, "check", path, check=False)
    assert result.returncode == 0, result.stderr


def test_printed_file_has_every_default_and_means_the_same(file):
    printed = check("--print", file(VALID % "absent7"))
    assert printed.returncode == 0
    for line in ("kernel: refuse", "mtu: 1500", "preempt: true", "rise: 2", "idle: adaptive", "drain: 5s", "retries: 1", "handshake: 10s"):
        assert re.search(rf"^ *(- )?{line}$", printed.stdout, re.M), f"{line} in\n{printed.stdout}"
    # What `defaults` says is filled in where it applies, and a text that looks like a number stays a text.
    web = printed.stdout.split("pools:\n")[1].split("- name: dns")[0]
    assert "interval: 3s" in web and "connect: 700ms" in web and "timeout: 1s" in web
    assert re.search(r"""X-Env: ['"]?010['"]?$""", printed.stdout, re.M)
    again = check("--print", file(printed.stdout, "again.yaml"))
    assert again.returncode == 0, again.stderr
    assert again.stdout == printed.stdout


def test_examples_survive_print(file):
    for path in glob.glob(os.path.join(ROOT, "config/examples/*.yaml")):
        printed = check("--print", path)
        assert printed.returncode == 0, printed.stderr
        again = check("--print", file(printed.stdout, os.path.basename(path)))
        assert again.returncode == 0, again.stderr
        assert again.stdout == printed.stdout


def test_json_is_one_object_with_every_diagnostic(file):
    path = file(INVALID)
    result = check("--json", path)
    assert result.returncode == 3
    assert result.stderr == ""
    answer = json.loads(result.stdout)
    assert answer["schema"] == 1 and answer["valid"] is False and answer["file"] == path and {"node", "time"} <= set(answer)
    errors = [one for one in answer["diagnostics"] if one["severity"] == "error"]
    assert [(one["line"], one["column"]) for one in errors] == [(line, column) for line, column, _ in MISTAKES]
    for (_, _, words), one in zip(MISTAKES, errors):
        assert one["file"] == path
        assert all(word in one["message"] + one["hint"] for word in words), one


def test_json_of_a_valid_file_with_print_stays_one_object(file):
    path = file(VALID % CALM)
    answer = json.loads(check("--json", path).stdout)
    assert answer["valid"] is True and answer["diagnostics"] == [] and answer["node"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", answer["time"])
    with_text = json.loads(check("--json", "--print", path).stdout)
    assert with_text["printed"] == check("--print", path).stdout


def test_mistake_in_an_included_file_is_reported_there(file):
    part = file("pools:\n  - {name: web, servers: [{address: 192.0.2.21}], blance: rr}\n", "site/pools.yaml")
    path = file("include: [site/*.yaml]\n" + (VALID % CALM).replace("  - {name: web, servers", "  - {name: other, servers"))
    result = check(path)
    assert result.returncode == 3
    assert f"{part}:2:51: error: " in result.stderr
    assert "`balance`" in result.stderr


@pytest.mark.parametrize("text, line, words", [
    ("a: &x [*x]\n", 1, ["alias"]),
    ("node: lb1\n---\nnode: lb2\n", 2, ["document"]),
    ("node: 'lb1\nports: []\n", 1, ["quote"]),
    ("node: lb1\n\tports: []\n", 2, ["tab"]),
    ("services:\n  - {name: a, listen: [::]:443/tcp}\n", 2, ["quote"]),
    ("node: lb\xff1\n".encode("latin-1"), 1, ["UTF-8"]),
    ("node: yes: no\n", 1, []),
    ("[" * 3000, 1, []),
])
def test_broken_yaml_is_an_error_with_a_place_and_its_cause(file, tmp_path, text, line, words):
    path = tmp_path / "broken.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    result = check(str(path), timeout=5, errors="replace")
    assert result.returncode == 3
    assert line in [one for one, _ in places(result.stderr)], result.stderr
    for word in words:
        assert word in result.stderr


@pytest.mark.parametrize("path", [os.path.join(ROOT, "config/sluice.yaml"), *sorted(glob.glob(os.path.join(ROOT, "config/examples/*.yaml")))],
                         ids=os.path.basename)
def test_shipped_files_are_valid(path):
    result = check(path)
    assert result.returncode == 0, result.stderr
    assert places(result.stderr) == []


def yaml_blocks():
    """The YAML blocks of the documents in reading order: (document, number, text)."""
    for path in ["README.md", *sorted(os.path.relpath(one, ROOT) for one in glob.glob(os.path.join(ROOT, "docs/**/*.md"), recursive=True))]:
        with open(os.path.join(ROOT, path)) as document:
            for number, text in enumerate(re.findall(r"^```ya?ml\n(.*?)^```", document.read(), re.M | re.S)):
                yield path, number, text


def sections(text):
    """The top-level keys of a file, each with its text."""
    parts = re.split(r"^(?=[a-z_]+:)", text, flags=re.M)
    return {part.split(":", 1)[0]: part for part in parts if part.strip()}


def test_quick_start_has_a_file_to_check():
    assert any(path == "docs/quick-start.md" for path, _, _ in yaml_blocks())


def test_files_in_the_documents_are_valid(file):
    """A later block of a page changes the file that the first one showed: its sections take the place of those."""
    page, whole = None, {}
    for path, number, text in yaml_blocks():
        if path != page:
            page, whole = path, {}
        whole.update(sections(text))
        result = check(file("".join(whole.values())))
        assert result.returncode == 0, f"{path}, block {number + 1}:\n{result.stderr}"
