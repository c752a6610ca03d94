"""A laboratory of network namespaces: hosts joined by a bridge, real peers, Sluice nodes.

Everything is named uniquely per process and removed by close(); only processes that were started here are ended, by id.
The demo and the end-to-end tests use the same laboratory.
"""

import atexit
import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("SLUICE_BUILD", os.path.join(ROOT, "build", "release"))
SLUICE = os.path.join(BUILD, "sluice")
SLUICECTL = os.path.join(BUILD, "sluicectl")
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


def heed_interrupts():
    """For `preexec_fn`: who was started in the background by a script ignores SIGINT, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class LabError(Exception):
    """Something in the laboratory itself failed."""


def run(*command, check=True, timeout=60, **options):
    """Runs a command to its end; its output as text."""
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=timeout, **options)
    if check and result.returncode != 0:
        raise LabError(f"{' '.join(map(str, command))}: exit {result.returncode}\n{result.stdout}{result.stderr}")
    return result


def wait_until(condition, timeout, what, interval=0.02):
    """Waits until condition() is true; raises LabError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise LabError(f"waited {timeout} s for {what}")
        time.sleep(interval)


@contextlib.contextmanager
def inside(namespace):
    """What this thread opens meanwhile belongs to the namespace; a socket stays there for its life."""
    with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{namespace}") as there:
        if LIBC.setns(there.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        try:
            yield
        finally:
            if LIBC.setns(home.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns back")


class Process:
    """A process in a host's namespace, with its output in a file of the laboratory."""

    def __init__(self, lab, name, command, environment=None, cwd=None):
        self.name = name
        self.log_path = os.path.join(lab.folder, f"{name}.log")
        self.log = open(self.log_path, "ab")
        self.popen = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                      env={**os.environ, **(environment or {})}, cwd=cwd, start_new_session=True)

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def signal(self, number):
        if self.running():
            os.kill(self.popen.pid, number)

    def kill(self):
        """SIGKILL to the process and what it started."""
        if self.running():
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()

    def stop(self, timeout=15):
        """SIGTERM, then SIGKILL; the exit code."""
        self.signal(signal.SIGTERM)
        try:
            self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
        return self.popen.returncode

    def wait(self, timeout):
        return self.popen.wait(timeout)

    def output(self):
        self.log.flush()
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def close(self):
        if self.running():
            self.kill()
        self.log.close()


class Host:
    """One network namespace with an interface eth0 on the bridge."""

    def __init__(self, lab, name, addresses=(), hub="hub"):
        self.lab = lab
        self.name = name
        self.namespace = f"{lab.prefix}-{name}"
        lab.make_namespace(self.namespace)
        self.link = lab.join(self.namespace, "eth0", hub, name)
        # Packets of a kernel peer carry partial checksums and super-frames unless told otherwise; no real wire does that.
        run("ip", "netns", "exec", self.namespace, "ethtool", "-K", "eth0", "tx", "off", "tso", "off", "gso", "off", "gro", "off")
        self.ip("link", "set", "lo", "up")
        run("ip", "netns", "exec", self.namespace, "sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0",
            "net.ipv6.conf.eth0.accept_dad=0", "net.ipv4.ip_local_port_range=10000 60999")
        for address in addresses:
            self.ip("addr", "add", address, "dev", "eth0", *(["nodad"] if ":" in address else []))
        self.ip("link", "set", "eth0", "up")

    def ip(self, *words):
        return run("ip", "-n", self.namespace, *words).stdout

    def command(self, *words):
        return ["ip", "netns", "exec", self.namespace, *words]

    def run(self, *words, **options):
        return run(*self.command(*words), **options)

    def start(self, name, *words, **options):
        return self.lab.start(f"{self.name}-{name}", self.command(*words), **options)

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, timeout=10):
        """A socket of this host, to use from the test itself."""
        with inside(self.namespace):
            one = socket.socket(family, kind)
        one.settimeout(timeout)
        return one

    def connect(self, address, port, timeout=10):
        one = self.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, timeout=timeout)
        one.connect((address, port))
        return one

    def load(self, kind, address, port, *words):
        """Starts load.py here; `.result()` ends it and says what it saw."""
        return Load(self, kind, address, port, *words)

    def curl(self, *words, check=False, timeout=60):
        """curl that prints `status bytes seconds` behind the body when asked to by the caller's -w; never a progress bar."""
        return self.run("curl", "-sS", "--noproxy", "*", *words, check=check, timeout=timeout)

    def mac(self):
        return json.loads(self.ip("-j", "link", "show", "eth0"))[0]["address"]


class Router:
    """A Linux host with a second interface and forwarding; what it sends on over eth1 to `narrow` is limited to `mtu` bytes.

    Addresses are given by family, and in networks of /24 and /64."""

    BITS = {4: 24, 6: 64}

    def __init__(self, lab, name, near, near_hub, far, far_hub, narrow, mtu):
        self.host = lab.host(name, *(f"{near[family]}/{bits}" for family, bits in self.BITS.items()), hub=near_hub)
        lab.join(self.host.namespace, "eth1", far_hub, f"{name}1")
        self.host.run("ethtool", "-K", "eth1", "tx", "off", "tso", "off", "gso", "off", "gro", "off")
        self.host.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.icmp_ratelimit=0")
        for family, bits in self.BITS.items():
            self.host.ip("addr", "add", f"{far[family]}/{bits}", "dev", "eth1", *(["nodad"] if family == 6 else []))
        self.host.ip("link", "set", "eth1", "up")
        for family in self.BITS:
            self.host.ip(f"-{family}", "route", "add", narrow[family], "dev", "eth1", "mtu", "lock", mtu)


class Load:
    """A running load.py."""

    count = 0

    def __init__(self, host, *words):
        Load.count += 1
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "load.py")
        self.ends = "--seconds" in words
        self.process = host.start(f"load{Load.count}", "/usr/bin/python3", "-u", program, *words)
        wait_until(lambda: "started" in self.process.output() or not self.process.running(), 20, "load.py to start")

    def result(self, timeout=30):
        """Ends the load (or waits for its end, when it has one) and returns its figures."""
        if not self.ends:
            self.process.signal(signal.SIGTERM)
        self.process.wait(timeout)
        lines = self.process.output().splitlines()
        try:
            return json.loads(lines[-1])
        except (IndexError, ValueError) as error:
            raise LabError("load.py failed:\n" + "\n".join(lines)) from error


class Bare(Host):
    """A namespace whose interface belongs to Sluice: up, without addresses, without IPv6 of the kernel's own."""

    def __init__(self, lab, name, hub="hub", interfaces=("eth0",), queues=1):
        self.lab = lab
        self.name = name
        self.namespace = f"{lab.prefix}-{name}"
        lab.make_namespace(self.namespace)
        run("ip", "netns", "exec", self.namespace, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
        self.ip("link", "set", "lo", "up")
        self.links = {}
        hubs = [hub] * len(interfaces) if isinstance(hub, str) else hub
        for interface, one in zip(interfaces, hubs):
            self.links[interface] = lab.join(self.namespace, interface, one, f"{name}{interface[-1]}", queues)
            run("ip", "netns", "exec", self.namespace, "ethtool", "-K", interface, "tx", "off", "tso", "off", "gso", "off", "gro", "off",
                check=False)
            self.ip("link", "set", interface, "up")


class Node:
    """A Sluice process in a namespace of its own. `config` is the text of its file."""

    def __init__(self, lab, name, config, hub="hub", interfaces=("eth0",), files=None, queues=1):
        self.lab = lab
        self.name = name
        self.host = Bare(lab, name, hub, interfaces, queues)
        self.folder = os.path.join(lab.folder, name)
        os.makedirs(os.path.join(self.folder, "run"))
        self.socket = os.path.join(self.folder, "control.sock")
        self.path = os.path.join(self.folder, "sluice.yaml")
        for file, text in (files or {}).items():
            self.write(file, text)
        self.configure(config)
        self.process = None
        self.starts = 0

    def write(self, file, text, mode=0o600):
        path = os.path.join(self.folder, file)
        with open(path, "w" if isinstance(text, str) else "wb") as out:
            out.write(text)
        os.chmod(path, mode)
        return path

    def configure(self, config):
        """Writes the file; `{socket}` and `{folder}` in it are this node's."""
        self.write("sluice.yaml", config.replace("{socket}", self.socket).replace("{folder}", self.folder))

    def start(self, wait=True, timeout=20, wrapper=()):
        self.starts += 1
        self.process = self.lab.start(f"{self.name}-{self.starts}", self.host.command(*wrapper, SLUICE, "run", "--config", self.path),
                                      environment={"RUNTIME_DIRECTORY": os.path.join(self.folder, "run"), "NOTIFY_SOCKET": ""})
        if wait:
            self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout=20):
        def ready():
            if not self.process.running():
                raise LabError(f"{self.name} ended with {self.process.popen.returncode}:\n{self.process.output()}")
            return " ready" in self.process.output()
        wait_until(ready, timeout, f"{self.name} to be ready:\n{self.process.output()}")

    def vrrp_state(self, instance="public"):
        """The last state that this run logged: init, backup, active or None."""
        state = None
        for line in self.process.output().splitlines():
            _, found, change = line.partition(f" vrrp {instance}: ")
            words = change.split()
            if found and len(words) > 2 and words[1] == "->" and words[2] in ("init", "backup", "active"):
                state = words[2]
        return state

    def wait_vrrp(self, state, timeout=15):
        wait_until(lambda: self.vrrp_state() == state and self.vrrp_state("public6") == state, timeout, f"{self.name} to be {state}")
        return self

    def ctl(self, *words, check=True, timeout=20):
        return run(SLUICECTL, "--socket", self.socket, *words, check=check, timeout=timeout)

    def json(self, *words, check=True):
        return json.loads(self.ctl("--json", *words, check=check).stdout)

    def kill(self):
        """A power cut: the process dies and its link goes down in the same moment."""
        for interface in self.host.links:
            self.host.ip("link", "set", interface, "down")
        self.process.kill()

    def plug(self):
        for interface in self.host.links:
            self.host.ip("link", "set", interface, "up")

    def stop(self, timeout=40):
        return self.process.stop(timeout)

    def resident_bytes(self):
        with open(f"/proc/{self.sluice_pid()}/status") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        raise LabError("no VmRSS")

    def sluice_pid(self):
        """`ip netns exec` and wrappers exec their command, so the id is the process's own."""
        return self.process.pid


class Lab:
    def __init__(self, keep=False):
        self.prefix = f"sl{os.getpid()}x{Lab.count}"
        Lab.count += 1
        self.keep = keep
        self.on_namespace = lambda: None  # told after every change to `namespaces`
        self.folder = tempfile.mkdtemp(prefix="sluice-lab-")
        self.namespaces = []
        self.processes = []
        self.hosts = {}
        atexit.register(self.close)
        self.make_hub("hub")

    count = 0

    def make_namespace(self, name):
        run("ip", "netns", "add", name)
        self.namespaces.append(name)
        self.on_namespace()

    def make_hub(self, name):
        """A switch: a bridge in a namespace of its own."""
        namespace = f"{self.prefix}-{name}"
        self.make_namespace(namespace)
        run("ip", "netns", "exec", namespace, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
        # A switch asks no firewall, even where the machine's bridges do.
        run("ip", "netns", "exec", namespace, "sh", "-c",
            "for file in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -w $file ] || echo 0 > $file; done")
        run("ip", "-n", namespace, "link", "add", "br0", "type", "bridge", "mcast_snooping", "0", "forward_delay", "0")
        run("ip", "-n", namespace, "link", "set", "br0", "up")

    def join(self, namespace, interface, hub, port, queues=1):
        """A cable from an interface of a namespace to a switch; returns the name of the switch's end."""
        hub_namespace = f"{self.prefix}-{hub}"
        run("ip", "link", "add", interface, "netns", namespace, "numrxqueues", queues, "numtxqueues", queues, "type", "veth", "peer", "name",
            port, "netns", hub_namespace, "numrxqueues", queues, "numtxqueues", queues)
        run("ip", "netns", "exec", hub_namespace, "ethtool", "-K", port, "tx", "off", "tso", "off", "gso", "off", "gro", "off")
        run("ip", "-n", hub_namespace, "link", "set", port, "master", "br0")
        run("ip", "-n", hub_namespace, "link", "set", port, "up")
        return port

    def host(self, name, *addresses, hub="hub"):
        self.hosts[name] = Host(self, name, addresses, hub)
        return self.hosts[name]

    def start(self, name, command, **options):
        process = Process(self, name, command, **options)
        self.processes.append(process)
        return process

    def nginx(self, host, text, name="nginx"):
        """An Nginx with the given `server` blocks. It serves files from the folder `www` of its prefix."""
        prefix = os.path.join(self.folder, f"{host.name}-{name}")
        os.makedirs(os.path.join(prefix, "www"), exist_ok=True)
        os.makedirs(os.path.join(prefix, "tmp"), exist_ok=True)
        os.chmod(self.folder, 0o755)
        path = os.path.join(prefix, "nginx.conf")
        with open(path, "w") as file:
            file.write(f"""daemon off; master_process off; worker_processes 1; pid {prefix}/pid; error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_max_body_size 0; keepalive_timeout 75s; keepalive_requests 1000000; root {prefix}/www; default_type text/plain;
  client_body_temp_path {prefix}/tmp/body; proxy_temp_path {prefix}/tmp/proxy; fastcgi_temp_path {prefix}/tmp/f;
  uwsgi_temp_path {prefix}/tmp/u; scgi_temp_path {prefix}/tmp/s;
  {text}
}}
""")
        process = host.start(name, "nginx", "-p", prefix, "-c", path, "-e", "stderr")
        process.www = os.path.join(prefix, "www")
        return process

    def certificate(self, *names, days=365, key="ec"):
        """A self-signed certificate for these names: (certificate, key) as text."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            kind = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if key == "ec" else [key]
            run("openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-keyout", f"{folder}/key", "-out", f"{folder}/crt", "-days", days,
                "-subj", f"/CN={names[0]}", "-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in names))
            with open(f"{folder}/crt") as crt, open(f"{folder}/key") as key_file:
                return crt.read(), key_file.read()

    def close(self):
        """Ends every process, removes every namespace and file. Idempotent."""
        if self.keep:
            return
        for process in reversed(self.processes):
            process.close()
        self.processes = []
        for namespace in reversed(self.namespaces):
            subprocess.run(["ip", "netns", "delete", namespace], capture_output=True)
        self.namespaces = []
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def wait_for_port(host, address, port, timeout=10):
    """Waits until something on `host` accepts TCP connections."""
    family = "6" if ":" in address else "4"
    wait_until(lambda: host.run("bash", "-c", f"exec 3<>/dev/tcp/{address}/{port}", check=False, timeout=5).returncode == 0, timeout,
               f"TCP {address} port {port} (IPv{family})", 0.1)
