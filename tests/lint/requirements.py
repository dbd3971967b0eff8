#!/usr/bin/env python3
"""Every requirement [H-n] of proto/handoff/README.md is cited by a test, and no test cites one that does not exist."""
import pathlib
import re
import sys

DEFINED = re.compile(r"^- \[(H-\d+)\]", re.M)
CITED = re.compile(r"\[(H-\d+)\]")
TESTS = ("tests/unit/proto/handoff", "tests/unit/proto/wire", "tests/sim")
CODE = ("proto/handoff", "proto/wire", "firmware-gateway", "cloud-bridge")
SOURCES = {".cpp", ".hpp"}


def citations(root: pathlib.Path, folders) -> dict:
    found = {}
    for folder in folders:
        for file in sorted((root / folder).rglob("*")):
            if file.suffix in SOURCES:
                for name in CITED.findall(file.read_text()):
                    found.setdefault(name, file.relative_to(root).as_posix())
    return found


def problems(defined, tests: dict, code: dict):
    yield from (f"[{name}] is defined twice" for name in sorted({n for n in defined if defined.count(n) > 1}))
    yield from (f"[{name}] is cited by no test" for name in defined if name not in tests)
    for where in (tests, code):
        yield from (f"{file} cites [{name}], which is no requirement" for name, file in where.items() if name not in defined)


def self_test():
    """A lint that cannot fail guards nothing."""
    if not list(problems(["H-1"], {}, {})) or not list(problems([], {"H-1": "a.cpp"}, {})):
        sys.exit("requirements.py: finds nothing")
    if list(problems(["H-1"], {"H-1": "a.cpp"}, {"H-1": "b.cpp"})):
        sys.exit("requirements.py: refuses what is right")


def main():
    root = pathlib.Path(sys.argv[1])
    self_test()
    defined = DEFINED.findall((root / "proto/handoff/README.md").read_text())
    found = list(problems(defined, citations(root, TESTS), citations(root, CODE)))
    print("\n".join(found))
    if not defined:
        sys.exit("requirements.py: no requirement found")
    if found:
        sys.exit(1)
    print(f"requirements: {len(defined)}, each cited by a test")


main()
