"""Fixtures of the end-to-end scenarios. Run as root: /usr/bin/python3 -m pytest -q tests/lab"""

import os
import signal
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lab import SLUICE, Lab  # noqa: E402

DRIVER = os.environ.get("SLUICE_LAB_DRIVER", "af_xdp")
open_labs = []


def interrupt(number, _frame):
    """As Ctrl-C does it: fixtures and `with` blocks remove what they made. The next one would interrupt that."""
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt(signal.Signals(number).name)


def pytest_sessionstart(session):
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, interrupt)
    if os.geteuid() != 0:
        pytest.exit("the laboratory makes network namespaces: run this as root", 1)
    if not os.access(SLUICE, os.X_OK):
        pytest.exit(f"there is no {SLUICE}: build first (scripts/build), or name a build with SLUICE_BUILD", 1)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure comes with what the nodes logged."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for lab in open_labs:
            for process in lab.processes:
                if "-lb" in process.name or process.name.startswith("lb"):
                    report.sections.append((f"log of {process.name}", process.output()[-6000:]))


@pytest.fixture(scope="session")
def driver():
    return DRIVER


@pytest.fixture(scope="module")
def lab():
    """One laboratory a module, removed behind it."""
    with Lab() as one:
        open_labs.append(one)
        yield one
        open_labs.remove(one)


@pytest.fixture(scope="module")
def stage(driver):
    """The laboratory of raw frames with both its subjects."""
    from raw_subjects import Stage
    with Lab() as lab:
        open_labs.append(lab)
        stage = Stage(lab, driver)
        yield stage
        stage.close()
        open_labs.remove(lab)


@pytest.fixture(params=["linux", "sluice"])
def subject(stage, request):
    """Every test of raw frames is put to Linux and to Sluice."""
    return stage.subjects[request.param]
