"""config/sluice.service is what people run: the binary must start and serve with exactly its user, capabilities and limits."""

import os
import re
import resource

import pytest

from lab import ROOT, Lab, Node, run, wait_for_port, wait_until

USER = 65534  # nobody stands for the unit's user
GROUP = 65534

CONFIG = """
memory: {hugepages: off, size: 256MiB}
cpu: {forwarders: [0], workers: [0]}
ports: [{name: front, device: {interface: eth0, driver: %s}, addresses: [192.0.2.11/24]}]
services: [{name: site, listen: 192.0.2.11:80/tcp, proxy: {routes: [{pool: web}]}}]
pools: [{name: web, servers: [{address: 192.0.2.21:80}]}]
control: {socket: "{socket}"}
"""


def unit():
    """The settings of the unit; a key given several times has all its values."""
    settings = {}
    with open(os.path.join(ROOT, "config/sluice.service")) as file:
        for line in file.read().replace("\\\n", " ").splitlines():
            match = re.fullmatch(r"(\w+)=(.*)", line.strip())
            if match:
                settings.setdefault(match.group(1), []).append(match.group(2).strip())
    return settings


def capabilities(settings, key):
    return [word[4:].lower() for value in settings[key] for word in value.split()]


def within(value, kind):
    """The unit's limit, or what this machine lets anybody have."""
    hard = resource.getrlimit(kind)[1]
    if hard == resource.RLIM_INFINITY:
        return "unlimited" if value == "infinity" else value
    return str(hard if value == "infinity" else min(hard, int(value)))


def test_unit_has_what_a_supervised_service_needs():
    settings = unit()
    assert settings["Type"] == ["notify"]
    assert settings["WatchdogSec"] and settings["Restart"] == ["on-failure"]
    assert settings["NoNewPrivileges"] in (["yes"], ["true"])
    assert settings["RuntimeDirectory"] == ["sluice"]
    assert any("sluice run --config" in value for value in settings["ExecStart"])
    assert any("reload" in value for value in settings["ExecReload"])
    # The program needs up to stop.timeout (30 s unless configured); systemd must not kill it before.
    assert int(re.match(r"\d+", settings["TimeoutStopSec"][0]).group()) > 30
    assert settings["AmbientCapabilities"] == settings["CapabilityBoundingSet"]


@pytest.mark.parametrize("driver", ["af_packet", "af_xdp"])
def test_binary_serves_with_the_units_user_capabilities_and_limits(driver):
    settings = unit()
    caps = capabilities(settings, "AmbientCapabilities")
    with Lab() as lab:
        client = lab.host("client", "192.0.2.10/24")
        web = lab.host("web", "192.0.2.21/24")
        lab.nginx(web, 'server { listen 80; location / { return 200 "hello\\n"; } }')
        wait_for_port(web, "127.0.0.1", 80)
        node = Node(lab, "lb", CONFIG % driver)
        os.chmod(lab.folder, 0o755)
        for folder, _, files in os.walk(node.folder):
            os.chown(folder, USER, GROUP)
            for file in files:
                os.chown(os.path.join(folder, file), USER, GROUP)
        limits = [f"--nofile={within(settings['LimitNOFILE'][0], resource.RLIMIT_NOFILE)}",
                  f"--memlock={within(settings['LimitMEMLOCK'][0], resource.RLIMIT_MEMLOCK)}"]
        names = ",".join(f"+{cap}" for cap in caps)
        node.start(wrapper=["prlimit", *limits, "setpriv", f"--reuid={USER}", f"--regid={GROUP}", "--clear-groups", "--no-new-privs",
                            f"--bounding-set=-all,{names}", f"--inh-caps=-all,{names}", f"--ambient-caps=-all,{names}"])
        with open(f"/proc/{node.sluice_pid()}/status") as status:
            text = status.read()
        assert re.search(rf"^Uid:\s+{USER}\s+{USER}", text, re.M)
        assert bin(int(re.search(r"^CapEff:\s+(\w+)", text, re.M).group(1), 16)).count("1") == len(caps)
        wait_until(lambda: client.curl("-m", "2", "http://192.0.2.11/").stdout == "hello\n", 10, "an answer through the node", 0.2)
        assert node.stop() == 0, node.process.output()
