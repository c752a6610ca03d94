#!/usr/bin/python3
"""Holds the includes of every module to the table of docs/architecture.md, "Modules".

A module may include what its row names, what those may include in turn, and `telemetry`. What is not the data plane's
business (yaml-cpp, logs, the command line, configuration) stays out of it; rte_* headers stay in `port` and `app`.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]')
DATA_PLANE = {"wire", "packet", "port", "handoff", "neigh", "flow", "l4", "tcp", "tls", "http", "health", "proxy", "probe", "vrrp"}
FOREIGN = {  # header prefix: modules that may include it
    "rte_": {"port", "app"},
    "yaml-cpp/": {"config"},
    "spdlog/": {"app", "control"},
    "CLI/": {"app", "ctl"},
    "nghttp2/": {"http"},
    "re2/": {"proxy"},
}


def table():
    """The rows of the module table: {module: set of modules it names}."""
    rows = {}
    for line in (ROOT / "docs/architecture.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 3 and re.fullmatch(r"`\w+`", cells[0]):
            names = cells[2]
            rows[cells[0].strip("`")] = None if names == "all" else set(re.findall(r"\w+", names.replace("–", "")))
    return rows


def closure(rows, module):
    if rows[module] is None:
        return set(rows)
    seen, queue = {module, "telemetry", "base"}, list(rows[module])
    while queue:
        one = queue.pop()
        if one not in rows:
            sys.exit(f"docs/architecture.md: the row of `{module}` names `{one}`, which has no row")
        if one not in seen:
            seen.add(one)
            queue.extend(rows[one] or [])
    return seen


def main():
    rows = table()
    problems = []
    folders = {path.name for path in (ROOT / "src").iterdir() if path.is_dir()}
    problems += [f"docs/architecture.md has no row for module `{name}`" for name in sorted(folders - set(rows))]
    problems += [f"docs/architecture.md has a row for `{name}`, src/ has no such folder" for name in sorted(set(rows) - folders)]
    for module in sorted(folders & set(rows)):
        allowed = closure(rows, module)
        for base in (ROOT / "src" / module, ROOT / "include/sluice" / module):
            for path in sorted(base.rglob("*")):
                if path.suffix not in (".hpp", ".cpp", ".def"):
                    continue
                for number, line in enumerate(path.read_text().splitlines(), 1):
                    match = INCLUDE.match(line)
                    if not match:
                        continue
                    header, where = match.group(1), f"{path.relative_to(ROOT)}:{number}"
                    if header.startswith("sluice/"):
                        other = header.split("/")[1]
                        if other not in allowed:
                            problems.append(f"{where}: `{module}` must not include `{other}`")
                        if module in DATA_PLANE and other in ("config", "control"):
                            problems.append(f"{where}: the data plane includes `{other}`")
                    for prefix, modules in FOREIGN.items():
                        if header.startswith(prefix) and module not in modules:
                            problems.append(f"{where}: only {', '.join(sorted(modules))} may include {prefix}*")
    print("\n".join(problems) if problems else f"{len(folders)} modules hold to the table")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
