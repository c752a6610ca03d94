"""A scenario that waits to be ended. Not collected by itself: test_lab.py runs it and ends it."""

import time

from lab import Lab


def test_that_is_ended(lab):
    lab.host("client", "192.0.2.10/24").start("sleeper", "sleep", "1000")
    with Lab() as another:
        another.host("server")
        print("made", flush=True)
        time.sleep(60)
