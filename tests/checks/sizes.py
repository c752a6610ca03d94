#!/usr/bin/python3
"""Holds files to their limits: headers 300 lines, sources 500. Exceptions are listed in tests/checks/sizes.txt with a reason."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMITS = {".hpp": 300, ".cpp": 500}


def main():
    exceptions = {}
    for line in (ROOT / "tests/checks/sizes.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            path, reason = line.split(None, 1)
            exceptions[path] = reason
    problems = []
    for base in ("src", "include"):
        for path in sorted((ROOT / base).rglob("*")):
            limit = LIMITS.get(path.suffix)
            name = str(path.relative_to(ROOT))
            if limit is None:
                continue
            lines = path.read_text().count("\n")
            if lines > limit and name not in exceptions:
                problems.append(f"{name}: {lines} lines, the limit is {limit}")
            if lines <= limit and name in exceptions:
                problems.append(f"{name}: has shrunk to {lines} lines; take it off tests/checks/sizes.txt")
    problems += [f"{name}: listed in sizes.txt, but there is no such file" for name in exceptions if not (ROOT / name).exists()]
    print("\n".join(problems) if problems else "every file is within its limit")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
