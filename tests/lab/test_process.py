"""The process as systemd and an operator's shell meet it: signals, notifications, readiness, what a restart remembers."""

import ctypes
import json
import os
import signal
import socket
import threading
import time

import pytest

from lab import LIBC, Node, run, wait_until

OWN = "192.0.2.11"
VIP = "192.0.2.100"
SOURCE = "192.0.2.110"
CONFIG = f"""
node: lb
memory: {{hugepages: off, size: 160MiB}}
cpu: {{forwarders: [0], workers: [0, 1]}}
ports: [{{name: front, device: {{interface: eth0, driver: af_packet}}, addresses: [{OWN}/24]}}]
vrrp: [{{name: public, port: front, vrid: 51, advert_interval: 100ms, addresses: [{VIP}, {SOURCE}]}}]
services:
  - {{name: site, listen: "{OWN}:80-82/tcp", proxy: {{routes: [{{respond: {{body: "one\\n"}}}}]}}}}
stop: {{drain: 1s, timeout: 10s}}
control: {{socket: "{{socket}}"}}
"""
HALF_A_REQUEST = b"GET / HTTP/1.1\r\nHost: a.example\r\nX: "


@pytest.fixture(scope="module")
def client(lab):
    return lab.host("client", "192.0.2.10/24")


@pytest.fixture
def node(lab, client):
    """A node of the test's own, not started; it is killed behind the test."""
    one = Node(lab, f"lb{len(lab.namespaces)}", CONFIG)
    yield one
    if one.process and one.process.running():
        one.process.kill()
    one.host.ip("link", "set", "eth0", "down")


class Listener:
    """The socket at which systemd would listen."""

    def __init__(self, node):
        self.path = os.path.join(node.folder, "notify.sock")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.messages = []
        # As systemd does it, all the time: who sends to a full socket waits.
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while True:
            text = self.socket.recv(4096).decode()
            self.messages.append((time.monotonic(), text))

    def environment(self, **more):
        return ["env", f"NOTIFY_SOCKET={self.path}", *(f"{key}={value}" for key, value in more.items())]

    def heard(self, *words):
        """The first message that has all of the words, if it has come."""
        return next((text for _, text in self.messages if all(word in text for word in words)), None)

    def wait(self, *words, timeout=5):
        return wait_until(lambda: self.heard(*words), timeout, f"{words}, heard {self.messages}")

    def forget(self):
        self.messages = []


def ends(node, within):
    """The exit code; fails when the process takes longer."""
    begin = time.monotonic()
    code = node.process.wait(20)
    assert time.monotonic() - begin < within, node.process.output()
    return code


# ---- Signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_signal_stops_in_order(node, number):
    node.start()
    node.process.signal(number)
    assert ends(node, 5) == 0
    assert "node node: running -> stopping (told to stop)" in node.process.output() and node.process.output().endswith(" stopped\n")


def test_open_requests_may_finish_then_they_are_reset_before_the_process_ends(node, client):
    node.start()
    lasting, finishing = client.connect(OWN, 80), client.connect(OWN, 80)
    lasting.sendall(HALF_A_REQUEST)
    finishing.sendall(HALF_A_REQUEST)
    time.sleep(0.1)
    begin = time.monotonic()
    node.process.signal(signal.SIGTERM)
    time.sleep(0.4)
    finishing.sendall(b"y\r\n\r\n")
    answer = finishing.recv(4096)
    assert answer.startswith(b"HTTP/1.1 200 ") and b"connection: close" in answer.lower()
    with pytest.raises(ConnectionResetError):
        lasting.recv(4096)
    assert 0.8 < time.monotonic() - begin < 2.5, "the drain is one second"
    assert node.process.running() or node.process.popen.returncode == 0
    assert ends(node, 5) == 0


def test_second_signal_stops_at_once(node, client):
    node.configure(CONFIG.replace("drain: 1s", "drain: 9s"))
    node.start()
    one = client.connect(OWN, 80)
    one.sendall(HALF_A_REQUEST)
    time.sleep(0.1)
    node.process.signal(signal.SIGTERM)
    time.sleep(1)
    assert node.process.running(), "it drains"
    node.process.signal(signal.SIGINT)
    assert ends(node, 2) == 0
    with pytest.raises(ConnectionResetError):
        one.recv(4096)


def test_stop_takes_no_longer_than_its_timeout(node):
    """Nobody takes over, which would be waited for: three intervals of a second."""
    node.configure(CONFIG.replace("drain: 1s, timeout: 10s", "drain: 0s, timeout: 1s").replace("advert_interval: 100ms", "advert_interval: 1s"))
    node.start()
    wait_until(lambda: node.vrrp_state() == "active", 10, "the node to be active")
    node.process.signal(signal.SIGTERM)
    assert ends(node, 2) == 0
    assert "took longer than stop.timeout" in node.process.output()


def test_usr2_is_ignored(node, client):
    node.start()
    node.process.signal(signal.SIGUSR2)
    time.sleep(0.3)
    assert node.process.running() and client.curl(f"http://{OWN}/").stdout == "one\n"


def test_usr1_reopens_the_main_log(node):
    path = os.path.join(node.folder, "main.log")
    node.configure(CONFIG + f'log: {{to: "{path}"}}\n')
    node.start(wait=False)
    wait_until(lambda: os.path.exists(path) and "ready" in open(path).read(), 10, "the node to be ready")
    os.rename(path, path + ".1")
    node.process.signal(signal.SIGUSR1)
    node.ctl("reload")
    wait_until(lambda: os.path.exists(path) and "reload" in open(path).read(), 5, "a line in the new file")
    assert "reload" not in open(path + ".1").read()


# ---- Notifications


def test_systemd_is_told_of_the_start_reloads_and_the_stop(node):
    listener = Listener(node)
    node.start(wrapper=listener.environment(WATCHDOG_USEC=2_000_000))
    assert "STATUS=running" in listener.wait("READY=1")
    listener.forget()
    time.sleep(2.2)
    fed = [at for at, text in listener.messages if text == "WATCHDOG=1"]
    assert 3 <= len(fed) <= 6 and len(fed) == len(listener.messages), "every half second, and nothing else is said"

    begin = time.monotonic_ns() // 1000
    node.ctl("reload")
    told = listener.wait("RELOADING=1")
    assert begin <= int(told.split("MONOTONIC_USEC=")[1]) <= time.monotonic_ns() // 1000
    assert "STATUS=running" == listener.wait("READY=1").splitlines()[1]
    listener.forget()
    node.configure(CONFIG + "bogus: 1\n")
    node.ctl("reload", check=False)
    assert listener.wait("RELOADING=1") and "the last reload was refused" in listener.wait("READY=1")
    node.process.signal(signal.SIGTERM)
    assert listener.wait("STOPPING=1")
    assert ends(node, 5) == 0


SEIZE, INTERRUPT, DETACH, ALL_THREADS = 0x4206, 0x4207, 17, 0x40000000


class Stalled:
    """Stops one thread of a process, as a debugger does it: its core finishes no turn."""

    def __init__(self, pid, cpu):
        self.thread = next(int(thread) for thread in os.listdir(f"/proc/{pid}/task")
                           if f"Cpus_allowed_list:\t{cpu}\n" in open(f"/proc/{pid}/task/{thread}/status").read())

    def trace(self, request):
        LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
        LIBC.ptrace.restype = ctypes.c_long
        if LIBC.ptrace(request, self.thread, None, None) != 0:
            raise OSError(ctypes.get_errno(), "ptrace")

    def __enter__(self):
        self.trace(SEIZE)
        self.trace(INTERRUPT)
        os.waitpid(self.thread, ALL_THREADS)

    def __exit__(self, *_):
        self.trace(DETACH)


def test_core_that_stalls_starves_the_watchdog_and_gives_the_addresses_up(node):
    listener = Listener(node)
    node.configure(CONFIG + "admin: {listen: 127.0.0.1:9180}\n")
    node.start(wrapper=listener.environment(WATCHDOG_USEC=400_000))
    wait_until(lambda: node.vrrp_state() == "active", 10, "the node to be active")

    def alive():
        return node.host.run("curl", "-s", "--noproxy", "*", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:9180/livez").stdout
    assert alive() == "200"
    with Stalled(node.sluice_pid(), 1):
        wait_until(lambda: node.vrrp_state() == "init", 3, "the node to yield")
        listener.forget()
        assert alive() == "503"
        assert "core_stalled" in [one["kind"] for one in node.json("status", check=False)["degraded"]]
        time.sleep(0.5)
        assert not listener.heard("WATCHDOG=1")
    wait_until(lambda: node.vrrp_state() == "active", 5, "the node to be active again")
    assert listener.wait("WATCHDOG=1") and alive() == "200"


# ---- Readiness


def test_node_takes_no_address_before_every_health_check_has_decided(node, client):
    node.configure(CONFIG + """
pools: [{name: dark, servers: [{address: 192.0.2.99:80}], health: {tcp: {}, interval: 3s, timeout: 2s, fall: 3}}]
""")
    listener = Listener(node)
    node.start(wait=False, wrapper=listener.environment())
    wait_until(lambda: os.path.exists(node.socket), 10, "the control socket")
    begin = time.monotonic()
    while time.monotonic() - begin < 1:
        assert [one["state"] for one in node.json("vrrp")["vrrp"]] == ["init"]
        assert "not_ready" in [one["kind"] for one in node.json("status", check=False)["degraded"]]
        time.sleep(0.1)
    assert not listener.heard("READY=1")
    node.wait_ready()
    assert time.monotonic() - begin < 4, "the first result decides alone, whatever `fall` says"
    assert listener.wait("READY=1")
    assert [one["status"] for one in node.json("servers")["servers"]] == ["down"]
    wait_until(lambda: node.vrrp_state() == "active", 5, "the node to be active")


def test_node_without_a_link_is_started_but_takes_no_address(node, lab):
    """A service that waits for a cable is not restarted for it."""
    hub = f"{lab.prefix}-hub"
    run("ip", "-n", hub, "link", "set", node.host.links["eth0"], "down")
    listener = Listener(node)
    node.start(wait=False, wrapper=listener.environment())
    told = listener.wait("READY=1", timeout=25)
    assert "not ready: waits for the link of a port" in told
    degraded = [one["kind"] for one in node.json("status", check=False)["degraded"]]
    assert {"not_ready", "port_down"} <= set(degraded) and node.vrrp_state() != "active"
    listener.forget()
    run("ip", "-n", hub, "link", "set", node.host.links["eth0"], "up")
    assert "STATUS=running" in listener.wait("READY=1", timeout=10)
    wait_until(lambda: node.vrrp_state() == "active", 5, "the node to be active")


# ---- What a restart and a reload read


def test_drains_are_kept_in_the_services_own_folder(node):
    state = os.path.join(node.folder, "state")
    os.mkdir(state)
    node.configure(CONFIG + "pools: [{name: web, servers: [{address: 192.0.2.21:80}, {address: 192.0.2.22:80}]}]\n")
    node.start(wrapper=["env", f"STATE_DIRECTORY={state}"])
    node.ctl("drain", "web/192.0.2.21:80", "--reason", "kept")
    assert node.stop() == 0
    assert os.listdir(state) == ["drains"] and not os.path.exists(node.socket + ".drains")
    node.start(wrapper=["env", f"STATE_DIRECTORY={state}"])
    assert [one["drain"] and one["drain"]["reason"] for one in node.json("servers")["servers"]] == ["kept", None]


def test_included_file_that_changed_is_read_again(node, client):
    node.write("part.yaml", 'services: [{name: part, listen: 192.0.2.11:90/tcp, proxy: {routes: [{respond: {body: "first"}}]}}]\n')
    node.configure("include: [part.yaml]\n" + CONFIG)
    node.start()
    assert client.curl(f"http://{OWN}:90/").stdout == "first"
    node.write("part.yaml", 'services: [{name: part, listen: 192.0.2.11:90/tcp, proxy: {routes: [{respond: {body: "second"}}]}}]\n')
    node.process.signal(signal.SIGHUP)
    wait_until(lambda: client.curl(f"http://{OWN}:90/").stdout == "second", 5, "the reload")


def test_reload_that_is_refused_late_leaves_the_servers_as_they_were(node, client, lab):
    """The admin page's address is taken: that is known only after everything else was compiled."""
    pools = "pools: [{name: web, servers: [{address: 192.0.2.21:80}]}]\n"
    node.configure(CONFIG + pools)
    node.start()
    taken = node.host.socket()
    taken.bind(("127.0.0.1", 9180))
    taken.listen()
    node.configure(CONFIG + pools.replace("]}]", "], health: {tcp: {}}}]") + "admin: {listen: 127.0.0.1:9180}\n")
    answer = node.json("reload", check=False)
    errors = [one["message"] for one in answer["diagnostics"] if one["severity"] == "error"]
    assert not answer["applied"] and len(errors) == 1 and "127.0.0.1:9180" in errors[0]
    assert [(one["status"], one["accepts_new"]) for one in node.json("servers")["servers"]] == [("unchecked", True)]
    taken.close()
    assert node.json("reload")["applied"]
    assert [one["status"] for one in node.json("servers")["servers"]] != ["unchecked"]


# ---- Listeners and sources


def test_proxy_listens_on_every_port_of_a_range(node, client):
    node.start()
    for port in (80, 81, 82):
        assert client.curl(f"http://{OWN}:{port}/").stdout == "one\n"
    with pytest.raises(ConnectionRefusedError):
        client.connect(OWN, 83)


def test_fullnat_speaks_from_the_source_that_the_file_names(node, client, lab):
    server = lab.host("server", "192.0.2.21/24")
    one = server.socket(kind=socket.SOCK_DGRAM)
    one.bind(("192.0.2.21", 7))
    node.configure(CONFIG.replace("stop:", f"""  - {{name: echo, listen: {VIP}:7/udp, forward: {{pool: echo, source: [{SOURCE}]}}}}
pools: [{{name: echo, servers: [{{address: 192.0.2.21:7}}]}}]
stop:"""))
    node.start()
    wait_until(lambda: node.vrrp_state() == "active", 10, "the node to be active")
    asker = client.socket(kind=socket.SOCK_DGRAM)
    asker.sendto(b"hello", (VIP, 7))
    data, seen = one.recvfrom(100)
    assert data == b"hello" and seen[0] == SOURCE
    one.sendto(b"back", seen)
    assert asker.recvfrom(100) == (b"back", (VIP, 7))


def test_without_the_virtual_mac_neighbours_learn_the_ports_own(node, client):
    node.configure(CONFIG.replace("vrid: 51,", "vrid: 51, virtual_mac: false,"))
    node.start()
    wait_until(lambda: node.vrrp_state() == "active", 10, "the node to be active")
    client.ip("neigh", "replace", VIP, "lladdr", "02:00:00:00:00:99", "dev", "eth0", "nud", "stale")
    assert " 0 received" not in client.run("ping", "-c5", "-i0.2", "-W1", VIP, check=False).stdout
    assert node.stop() == 0
    node.start()  # five announcements, to a neighbour that has an entry
    wait_until(lambda: node.vrrp_state() == "active", 10, "the node to be active")
    time.sleep(0.3)
    own = json.loads(node.host.ip("-j", "link", "show", "eth0"))[0]["address"]
    assert [one["lladdr"] for one in json.loads(client.ip("-j", "neigh", "show", VIP))] == [own]
    assert " 0% packet loss" in client.run("ping", "-c2", "-i0.2", "-W1", VIP, check=False).stdout


def test_program_that_cannot_go_on_says_why_and_exits_with_1(node):
    """What is neither in the file nor lacking of what Sluice needs: here, a shell that allows hardly any open files."""
    node.start(wait=False, wrapper=["prlimit", "--nofile=4:4"])
    assert node.process.wait(20) == 1, node.process.output()
    assert "Too many open files" in node.process.output()
