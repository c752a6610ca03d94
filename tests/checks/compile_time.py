#!/usr/bin/python3
"""No translation unit may take longer than 30 s in release: `compile_time.py BUILD_FOLDER`.

Ninja's log says how long each took beside whatever else ran. Only processor time is a property of the source, so the slowest of
those that took longer than the limit are compiled once more, to nowhere, and measured.
"""

import pathlib
import resource
import shlex
import subprocess
import sys

LIMIT_SECONDS = 30
MEASURED = 3


def slowest(folder):
    """(seconds, object file), the slowest first."""
    worst = {}
    for line in (folder / ".ninja_log").read_text().splitlines()[1:]:
        start, end, _, output, _ = line.split("\t")
        if output.endswith(".o"):
            worst[output] = (int(end) - int(start)) / 1000
    return sorted(((seconds, name) for name, seconds in worst.items()), reverse=True)


def processor_seconds(folder, output):
    """Of compiling it alone, without the cache."""
    listed = subprocess.run(["ninja", "-t", "commands", output], cwd=folder, capture_output=True, text=True, check=True).stdout
    words = shlex.split(listed.splitlines()[-1])
    words = words[1:] if words[0].endswith("ccache") else words
    for option, instead in (("-o", "/dev/null"), ("-MF", "/dev/null")):
        words[words.index(option) + 1] = instead
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, cwd=folder, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main():
    folder = pathlib.Path(sys.argv[1])
    late = []
    for seconds, name in slowest(folder)[:MEASURED]:
        own = processor_seconds(folder, name) if seconds > LIMIT_SECONDS else None
        print(f"{seconds:6.1f} s {name}" + (f" ({own:.1f} s of processor time)" if own is not None else ""))
        if own is not None and own > LIMIT_SECONDS:
            late.append(name)
    if late:
        print(f"these need more than {LIMIT_SECONDS} s:\n" + "\n".join(late))
    sys.exit(1 if late else 0)


if __name__ == "__main__":
    main()
