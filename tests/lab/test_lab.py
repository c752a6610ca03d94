"""The laboratory itself: whoever ends a run, nothing of it is left."""

import os
import signal
import subprocess
import sys

import pytest

from lab import heed_interrupts, run

HERE = os.path.dirname(os.path.abspath(__file__))
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_run_that_is_ended_removes_its_namespaces(number):
    process = subprocess.Popen([sys.executable, "-u", "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", os.path.join(HERE, "sleepy.py")],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=heed_interrupts)
    for line in process.stdout:
        if "made" in line:
            break
    prefix = f"sl{process.pid}x"
    assert prefix in run("ip", "netns", "list").stdout
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2, output  # pytest: interrupted
    assert prefix not in run("ip", "netns", "list").stdout
    assert not [line for line in run("ps", "-eo", "args").stdout.splitlines() if f"ip netns exec {prefix}" in line]
