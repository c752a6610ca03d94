"""What the machine must have: every lack is exit code 4 with the command that mends it, found before anything is disturbed; a killed node is silent."""

import os
import re
import signal

import pytest

from lab import SLUICE, Lab, Node, run, wait_for_port, wait_until

OWN = "192.0.2.11"
VIRTUAL = "192.0.2.100"
CLIENT = "192.0.2.10"
DRIVERS = ["af_packet", "af_xdp"]
LACKS = 4

CONFIG = """
memory: {hugepages: %(hugepages)s, size: %(size)s}
cpu: {forwarders: [0], workers: [0]}
ports: [{name: front, device: {interface: %(interface)s, driver: %(driver)s}, addresses: [%(own)s/24]}]
vrrp: [{name: public, port: front, vrid: %(vrid)s, priority: 200, advert_interval: 100ms, addresses: [%(virtual)s]}]
services:
  - {name: site, listen: ["%(own)s:80/tcp", "%(virtual)s:80/tcp"], proxy: {routes: [{respond: {body: "%(answer)s\\n"}}]}}
pools: []
control: {socket: "{socket}"}
"""
PAGES = re.compile(r"(\d+) MiB of (hugepages|4 KiB pages) \((.*?)\)")


def config(driver="af_packet", **changes):
    return CONFIG % {"hugepages": "off", "size": "128MiB", "interface": "eth0", "own": OWN, "virtual": VIRTUAL, "vrid": 51, "answer": "well",
                     "driver": driver, **changes}


@pytest.fixture
def place():
    """A client and a node that was not started; the client's kernel knows every neighbour afresh."""
    with Lab() as lab:
        client = lab.host("client", f"{CLIENT}/24")
        yield lab, client, Node(lab, "lb", config())


def refusal(node, *wrapper):
    """Starts the node, which must refuse to; what it said."""
    node.start(wait=False, wrapper=wrapper)
    assert node.process.wait(20) == LACKS, node.process.output()
    return node.process.output()


def hints(text):
    """The commands that the messages name, without the alternative in prose."""
    return [hint.split(", or ")[0] for hint in re.findall(r"^sluice: error: .*\n    hint: (.*)$", text, re.M)]


def serves(client, address=OWN, answer="well"):
    client.run("ip", "neigh", "flush", "dev", "eth0")
    return client.curl("-m", "2", f"http://{address}/").stdout == f"{answer}\n"


def silent(client, address):
    """Neither ARP nor anything else answers."""
    client.run("ip", "neigh", "flush", "dev", "eth0")
    return client.run("ping", "-c", "1", "-w", "1", address, check=False).returncode != 0


def mended(node, client, text):
    """What the hint says lets the node start."""
    for command in hints(text):
        node.host.run("bash", "-ec", command)
    node.start()
    wait_until(lambda: serves(client), 10, f"the node to serve after {hints(text)}", 0.1)
    assert node.stop() == 0


@pytest.mark.parametrize("driver", DRIVERS)
def test_missing_interface_is_named_with_those_that_exist(place, driver):
    _, _, node = place
    node.configure(config(driver, interface="eth9"))
    said = refusal(node)
    assert "there is no interface eth9" in said and "eth0" in said
    assert "ip link show" in hints(said)


@pytest.mark.parametrize("driver", DRIVERS)
def test_interface_with_kernel_address_keeps_it_and_goes_on_serving_the_kernel(place, driver):
    _, client, node = place
    node.configure(config(driver))
    node.host.ip("addr", "add", "192.0.2.77/24", "dev", "eth0")
    before = node.host.ip("addr", "show", "dev", "eth0")
    said = refusal(node)
    assert "192.0.2.77/24" in said
    assert node.host.ip("addr", "show", "dev", "eth0") == before
    assert not silent(client, "192.0.2.77")
    mended(node, client, said)


def test_interface_with_default_route_keeps_it(place):
    _, client, node = place
    node.host.ip("route", "add", "default", "dev", "eth0")
    said = refusal(node)
    assert "default route" in said
    assert "default dev eth0" in node.host.ip("route", "show")
    mended(node, client, said)


def test_member_of_a_bridge_stays_one(place):
    _, client, node = place
    node.host.ip("link", "add", "br7", "type", "bridge")
    node.host.ip("link", "set", "eth0", "master", "br7")
    said = refusal(node)
    assert "br7" in said
    assert "master br7" in node.host.ip("link", "show", "dev", "eth0")
    mended(node, client, said)


def test_kernel_ignore_starts_beside_a_kernel_address(place):
    _, client, node = place
    node.host.ip("addr", "add", "192.0.2.77/24", "dev", "eth0")
    node.configure(config().replace("driver: af_packet", "driver: af_packet, kernel: ignore"))
    node.start()
    assert "192.0.2.77/24" in node.process.output() and "warning" in node.process.output()
    wait_until(lambda: serves(client, VIRTUAL), 10, "the node to serve", 0.1)


FOREIGN = """
import ctypes, os, struct, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
PROG_LOAD, LINK_CREATE, PROG_TYPE_XDP, ATTACH_XDP, BPF = 5, 28, 6, 37, 321 if os.uname().machine == "x86_64" else 280
code = ctypes.create_string_buffer(struct.pack("<BBhi", 0xb7, 0, 0, 2) + struct.pack("<BBhi", 0x95, 0, 0, 0))  # return XDP_PASS
text = ctypes.create_string_buffer(b"GPL")
def bpf(command, attributes):
    attributes = ctypes.create_string_buffer(attributes, 128)
    result = libc.syscall(BPF, command, attributes, 128)
    if result < 0:
        raise OSError(ctypes.get_errno(), "bpf")
    return result
program = bpf(PROG_LOAD, struct.pack("<IIQQIIQII16s", PROG_TYPE_XDP, 2, ctypes.addressof(code), ctypes.addressof(text), 0, 0, 0, 0, 0, b"firewall"))
link = bpf(LINK_CREATE, struct.pack("<IIII", program, socket.if_nametoindex("eth0"), ATTACH_XDP, 0))
print("attached", flush=True)
time.sleep(600)
"""


def xdp_program(host):
    found = re.search(r"prog/xdp id (\d+)", host.ip("-d", "link", "show", "dev", "eth0"))
    return found and found.group(1)


def test_xdp_program_of_somebody_else_stays(place):
    lab, client, node = place
    node.configure(config("af_xdp"))
    firewall = lab.start("firewall", node.host.command("/usr/bin/python3", "-c", FOREIGN))
    wait_until(lambda: "attached" in firewall.output() or not firewall.running(), 10, "the firewall")
    assert firewall.running(), firewall.output()
    program = xdp_program(node.host)
    said = refusal(node)
    assert "`firewall`" in said and program in said
    assert any("stop what put it there" in hint for hint in hints(said))
    assert xdp_program(node.host) == program
    firewall.kill()
    node.start()
    wait_until(lambda: serves(client), 10, "the node to serve once the other is gone", 0.1)


@pytest.mark.parametrize("driver, needed", [("af_packet", ["CAP_NET_ADMIN", "CAP_NET_RAW"]),
                                            ("af_xdp", ["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_ADMIN"])])
def test_missing_capabilities_are_named_all_at_once(place, driver, needed):
    lab, _, node = place
    node.configure(config(driver))
    os.chmod(lab.folder, 0o755)
    for folder, _, files in os.walk(node.folder):
        os.chown(folder, 65534, 65534)
        for file in files:
            os.chown(os.path.join(folder, file), 65534, 65534)
    said = refusal(node, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all")
    assert all(name in said for name in needed)
    assert ("CAP_SYS_ADMIN" in said) == ("CAP_SYS_ADMIN" in needed)
    assert "AmbientCapabilities=" in said
    assert xdp_program(node.host) is None


def test_more_memory_than_there_is(place):
    _, _, node = place
    node.configure(config(size="1TiB"))
    said = refusal(node)
    assert re.search(r"`memory: size` is \d+ MiB, but only \d+ MiB are available", said)
    assert re.search(r"lower `memory: size` to at most \d+ MiB", said)


def test_less_memory_than_a_node_needs(place):
    _, client, node = place
    many_queues = config(size="64MiB").replace("driver: af_packet", "driver: af_packet, queues: 8")
    node.configure(many_queues)
    said = refusal(node)
    least = re.search(r"need at least (\d+) MiB", said).group(1)
    assert f"size: {least}MiB" in said
    node.configure(many_queues.replace("64MiB", f"{least}MiB"))
    node.start()
    wait_until(lambda: serves(client), 10, "a node with the least memory to serve", 0.1)


# --- hugepages


@pytest.fixture
def hugepages():
    """Reserves pages of 2 MiB; what was reserved before comes back."""
    path = "/proc/sys/vm/nr_hugepages"

    def reserved():
        with open(path) as file:
            return int(file.read())

    before = reserved()

    def reserve(count):
        with open(path, "w") as file:
            file.write(str(before + count))
        if reserved() < before + count:
            pytest.skip("this machine has no hugepages to give")
    yield reserve
    with open(path, "w") as file:
        file.write(str(before))


def free_hugepages():
    with open("/proc/meminfo") as file:
        return int(re.search(r"^HugePages_Free:\s+(\d+)", file.read(), re.M).group(1))


def pages_said(node):
    lines = [line for line in node.process.output().splitlines() if PAGES.search(line)]
    assert len(lines) == 1, node.process.output()
    return PAGES.search(lines[0]).groups()


@pytest.mark.parametrize("driver", DRIVERS)
def test_free_hugepages_are_used_and_one_line_says_so(place, hugepages, driver):
    _, client, node = place
    hugepages(256)
    node.configure(config(driver, hugepages="auto"))
    free = free_hugepages()
    node.start()
    size, kind, why = pages_said(node)
    assert kind == "hugepages" and "free" in why
    assert free - free_hugepages() >= int(size) // 4, "they are really used"
    wait_until(lambda: serves(client), 10, "the node on hugepages to serve", 0.1)
    assert node.stop() == 0
    wait_until(lambda: free_hugepages() >= free, 10, "the hugepages to be given back", 0.1)


def test_without_hugepages_it_starts_on_small_pages_and_says_why(place):
    _, client, node = place
    if free_hugepages() != 0:
        pytest.skip("somebody has reserved hugepages")
    node.configure(config(hugepages="auto"))
    node.start()
    _, kind, why = pages_said(node)
    assert kind == "4 KiB pages" and why == "no hugepages are free"
    wait_until(lambda: serves(client), 10, "the node on small pages to serve", 0.1)


def test_required_hugepages_that_are_missing_are_asked_for(place):
    _, _, node = place
    node.configure(config(hugepages="required", size="32GiB"))
    said = refusal(node)
    assert re.search(r"32768 MiB of hugepages are required, \d+ are free|32768 MiB of hugepages are required, \d+ MiB are free", said)
    assert "sysctl -w vm.nr_hugepages=" in said


# --- beside another


@pytest.mark.parametrize("driver", DRIVERS)
def test_two_instances_on_one_machine_both_serve(driver):
    with Lab() as lab:
        client = lab.host("client", f"{CLIENT}/24")
        first = Node(lab, "lb1", config(driver), interfaces=("eth0", "eth1"))
        second = Node(lab, "lb2", config(driver, interface="eth1", own="192.0.2.12", virtual="192.0.2.101", vrid=52, answer="second"))
        second.host = first.host  # the same namespace, and the same place for their records
        for node in (first, second):
            # The kernel driver names its groups of sockets by process and interface; neighbours in both could share a name.
            for _ in range(16):
                run("true")
            node.process = lab.start(f"{node.name}-1", node.host.command(SLUICE, "run", "--config", node.path),
                                     environment={"RUNTIME_DIRECTORY": os.path.join(first.folder, "run"), "NOTIFY_SOCKET": ""})
        for node in (first, second):
            node.wait_ready()
        wait_until(lambda: serves(client) and serves(client, VIRTUAL), 10, "the first to serve", 0.1)
        wait_until(lambda: serves(client, "192.0.2.12", "second") and serves(client, "192.0.2.101", "second"), 10, "the second to serve", 0.1)
        assert first.stop() == 0
        assert serves(client, "192.0.2.101", "second"), "the second does not notice that the first has left"


def test_interface_of_a_running_instance_is_refused_with_its_process(place):
    lab, client, node = place
    node.configure(config("af_xdp"))
    node.start()
    intruder = lab.start("lb-intruder", node.host.command(SLUICE, "run", "--config", node.path),
                         environment={"RUNTIME_DIRECTORY": os.path.join(node.folder, "run"), "NOTIFY_SOCKET": ""})
    assert intruder.wait(20) == LACKS, intruder.output()
    assert f"process {node.sluice_pid()}" in intruder.output()
    wait_until(lambda: serves(client), 10, "the first to go on", 0.1)


# --- killed


@pytest.mark.parametrize("driver", DRIVERS)
def test_killed_node_is_silent_and_a_restart_serves(place, driver):
    _, client, node = place
    node.configure(config(driver))
    for _ in range(2):  # what a killed node leaves behind must not add up
        node.start()
        for address in (OWN, VIRTUAL):
            wait_until(lambda: serves(client, address), 10, f"{address} to serve", 0.1)
        node.process.signal(signal.SIGKILL)
        node.process.wait(10)
        for address in (OWN, VIRTUAL):
            assert silent(client, address)
        assert client.curl("-m", "1", f"http://{VIRTUAL}/").returncode != 0
    node.start()
    wait_until(lambda: serves(client, VIRTUAL), 10, "the restarted node to serve", 0.1)
    assert node.stop() == 0
    assert xdp_program(node.host) is None, "a stop leaves no program"
