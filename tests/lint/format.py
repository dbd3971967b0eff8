#!/usr/bin/env python3
"""Checks (or with --fix, sets) the formatting of every source. Exit 77, "skipped", when clang-format-19 is not installed."""
import pathlib
import shutil
import subprocess
import sys

ROOMS = ("proto", "firmware-gateway", "cloud-bridge", "tests")
SUFFIXES = {".hpp", ".cpp"}
TOOL = "clang-format-19"  # another version formats otherwise


def sources(root: pathlib.Path):
    for room in ROOMS:
        yield from sorted(f for f in (root / room).rglob("*") if f.suffix in SUFFIXES)


def main():
    root = pathlib.Path(sys.argv[1])
    if shutil.which(TOOL) is None:
        print(f"format: {TOOL} is not installed, nothing checked")
        sys.exit(77)
    files = [str(f) for f in sources(root)]
    if not files:
        sys.exit("format.py: no source found")
    mode = ["-i"] if "--fix" in sys.argv[2:] else ["--dry-run", "-Werror"]
    if subprocess.run([TOOL, *mode, *files], check=False).returncode != 0:
        sys.exit("format: run ./dev format")
    print(f"format: {len(files)} files are as {TOOL} would have them")


main()
