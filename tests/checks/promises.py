#!/usr/bin/python3
"""Every promise of docs/promises.md and docs/tcp.md names what shows it; this fails when a named test or benchmark does not exist.

A row's last cell, in tables whose last column is "shown by", holds names in backquotes: `suite.case` of GoogleTest, `file.py::test` of the labs, a path, or a fuzz target.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def known_names():
    names = set()
    for path in (ROOT / "tests").rglob("*.cpp"):
        for suite, case in re.findall(r"\bTEST(?:_F|_P)?\s*\(\s*(\w+)\s*,\s*(\w+)\s*\)", path.read_text()):
            names.add(f"{suite}.{case}")
        for benchmark in re.findall(r"\bBENCHMARK\s*\(\s*(\w+)\s*\)", path.read_text()):
            names.add(benchmark)
    for path in (ROOT / "tests").rglob("*.py"):
        for test in re.findall(r"^\s*def (test_\w+)", path.read_text(), re.M):
            names.add(f"{path.name}::{test}")
    return names


def lines(*pages):
    """The rows of all tables whose last column is "shown by"."""
    for page in pages:
        inside = False
        for number, line in enumerate((ROOT / page).read_text().splitlines(), 1):
            if not line.startswith("|"):
                inside = False
            elif line.rstrip(" |").lower().endswith("shown by"):
                inside = True
            elif inside:
                yield page, number, line


def main():
    names, problems, rows = known_names(), [], 0
    for page, number, line in lines("docs/promises.md", "docs/tcp.md"):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) < 2 or set(cells[0]) <= set("- :"):
            continue
        rows += 1
        evidence = re.findall(r"`([^`]+)`", cells[-1])
        if not evidence and not cells[-1].startswith("open:"):
            problems.append(f"{page}:{number}: nothing shows this, and it is not marked `open:`")
        for name in evidence:
            if name not in names and not (ROOT / name).exists() and not cells[-1].startswith("open:"):
                problems.append(f"{page}:{number}: there is no `{name}`")
    print("\n".join(problems) if problems else f"{rows} promises, each with its evidence or marked open")
    sys.exit(1 if problems or rows == 0 else 0)


if __name__ == "__main__":
    main()
