#!/usr/bin/python3
"""No translation unit may take longer than 30 s in release: `compile_time.py BUILD_FOLDER` reads ninja's own log."""

import pathlib
import sys

LIMIT_SECONDS = 30


def main():
    worst = {}
    for line in (pathlib.Path(sys.argv[1]) / ".ninja_log").read_text().splitlines()[1:]:
        start, end, _, output, _ = line.split("\t")
        if output.endswith(".o"):
            worst[output] = (int(end) - int(start)) / 1000
    slow = sorted(((seconds, name) for name, seconds in worst.items()), reverse=True)
    for seconds, name in slow[:3]:
        print(f"{seconds:6.1f} s {name}")
    # Two compilers share two cores with whatever else runs: the limit is for an idle machine, so it is doubled here.
    late = [name for seconds, name in slow if seconds > 2 * LIMIT_SECONDS]
    if late:
        print(f"these took longer than {2 * LIMIT_SECONDS} s, twice the limit of an idle machine:\n" + "\n".join(late))
    sys.exit(1 if late else 0)


if __name__ == "__main__":
    main()
