"""scripts/demo, from the outside: it shows everything, it ends as it should, and it leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time

import pytest

from lab import heed_interrupts, run

DEMO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "demo.py")
STATE = "/run/sluice-demo.json"


@pytest.fixture(autouse=True)
def alone():
    """Nothing is left when a test failed half way."""
    yield
    subprocess.run([sys.executable, DEMO, "--down"], capture_output=True, timeout=60)


def demo(*words):
    return subprocess.Popen([sys.executable, "-u", DEMO, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            preexec_fn=heed_interrupts)


def left_behind(process):
    namespaces = [line for line in run("ip", "netns", "list").stdout.splitlines() if line.startswith(f"sl{process.pid}x")]
    return namespaces + ([STATE] if os.path.exists(STATE) else [])


def test_demo_runs_every_step_and_leaves_nothing(driver):
    process = demo("--driver", driver)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    assert "✗" not in output
    for words in ("HTTP/2 over TLS", "UDP, full NAT", "sluice check", "a broken file", "a good file", "drain web/web1", "lb1 to lb2",
                  "lb2 to lb1", "node lb2: running, well", "SIGKILL, link down", "lb1 comes back"):
        assert words in output, output
    assert left_behind(process) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_demo_that_is_interrupted_cleans_up(number):
    process = demo()
    for line in process.stdout:
        if "HTTP over IPv6" in line:
            break
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1, output
    assert left_behind(process) == []


def test_demo_that_is_killed_is_removed_by_down():
    process = demo()
    for line in process.stdout:
        if "HTTP over IPv6" in line:
            break
    process.kill()
    process.communicate(timeout=60)
    assert left_behind(process) != []
    second = demo()
    output, _ = second.communicate(timeout=60)
    assert second.returncode == 1 and "--down" in output, output
    down = demo("--down")
    assert "The lab is gone" in down.communicate(timeout=60)[0]
    assert left_behind(process) == []


def test_demo_kept_serves_until_down():
    process = demo("--keep", "--driver", "af_packet")
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    command = next(line.strip() for line in output.splitlines() if " curl http://" in line and "netns exec" in line)
    time.sleep(1)
    assert run(*command.split(), timeout=20).stdout in ("web1\n", "web2\n")
    down = demo("--down")
    assert "The lab is gone" in down.communicate(timeout=60)[0]
    assert left_behind(process) == []
