#!/usr/bin/env python3
"""Each test that tests/README.md names is there: `suite-free name` in backquotes in the column "Test" of a table of faults.

    fault_table.py ROOT

C++ tests are named by the text of their TEST_CASE, Python's by their function, programs of the simulator by themselves.
"""
import pathlib
import re
import sys

ROW = re.compile(r"^\| ([A-Z]\d+) \|")
CASE = re.compile(r'TEST_CASE(?:_TEMPLATE)?\(\s*"((?:[^"\\]|\\.)*)"((?:\s*"(?:[^"\\]|\\.)*")*)')
FUNCTION = re.compile(r"^def (test_\w+)", re.M)
ENTRY = re.compile(r"add_(?:test\(NAME|suite\()\s*(\w+)")
PROGRAMS = {"./dev model", "./dev sim", "./dev soak", "./dev mutants", "./dev fuzz"}


def names_in(root):
    names = set(PROGRAMS)
    for path in (root / "tests").rglob("*"):
        if path.suffix in (".cpp", ".hpp"):
            for first, more in CASE.findall(path.read_text(errors="replace")):
                names.add(first + "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', more)))
        elif path.suffix == ".py":
            names.update(FUNCTION.findall(path.read_text()))
        elif path.name == "CMakeLists.txt":
            names.update(ENTRY.findall(path.read_text()))
    return names


def main():
    root = pathlib.Path(sys.argv[1])
    known, missing, rows, seen = names_in(root), [], 0, set()
    for number, line in enumerate((root / "tests" / "README.md").read_text().splitlines(), 1):
        if not (row := ROW.match(line)):
            continue
        rows += 1
        if row[1] in seen:
            missing.append(f"tests/README.md:{number}: {row[1]} stands here a second time")
        seen.add(row[1])
        cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
        tests = re.findall(r"`([^`]+)`", cells[2])
        if not tests and not cells[2].startswith("not here"):
            missing.append(f"tests/README.md:{number}: {row[1]} names no test; allowed: tests in backquotes, or 'not here: …'")
        missing += [f"tests/README.md:{number}: {row[1]}: there is no test `{name}`" for name in tests if name not in known]
    print("\n".join(missing) or f"fault table: {rows} cases, every test is there")
    sys.exit(1 if missing or not rows else 0)


if __name__ == "__main__":
    main()
