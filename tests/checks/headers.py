#!/usr/bin/python3
"""Compiles every public header alone, so that including one never depends on what was included before it."""

import concurrent.futures
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLAGS = ["-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-DBOOST_ASIO_SEPARATE_COMPILATION", "-DBOOST_ASIO_NO_DEPRECATED",
         f"-I{ROOT}/include", "-x", "c++", "-"]


def check(header):
    name = header.relative_to(ROOT / "include")
    result = subprocess.run(["g++", *FLAGS], input=f"#include <{name}>\n", capture_output=True, text=True)
    return None if result.returncode == 0 else f"{name} does not compile alone:\n{result.stderr.splitlines()[0] if result.stderr else ''}"


def main():
    headers = sorted((ROOT / "include").rglob("*.hpp"))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        problems = [problem for problem in pool.map(check, headers) if problem]
    print("\n".join(problems) if problems else f"{len(headers)} headers compile alone")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
