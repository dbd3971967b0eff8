#!/usr/bin/env python3
"""Nothing opens the live journal except through SQLite: closing any other descriptor of it would drop SQLite's locks, and a
foreign tool could then unlink the WAL under a running gateway. See firmware-gateway/adapters/sqlite/README.md."""
import pathlib
import re
import sys

OPENS = re.compile(r"(?<![A-Za-z_])::open\(|\bopenat\(|\bfopen\(|\b[io]?fstream\b|\bcopy_file\(|\bfs::copy\(|\bmmap\(")
# state_folder opens its lock, ballast and marker; page_carver what was set aside,
# log_file a log before SQLite does.
MAY_OPEN = {"state_folder.cpp": 4, "page_carver.cpp": 2, "log_file.cpp": 1}
NAMES_IT = re.compile(r'"journal\.db|\bjournal\.db"')
# inspection.cpp asks only whether it exists.
MAY_NAME = {"state_folder.hpp", "inspection.cpp"}
# Who may look at a set-aside file's pages.
CARVES = re.compile(r"\bDamagedFile\s+\w+\(")
MAY_CARVE = {"salvage.cpp"}


def breaches(path: str, text: str):
    name = path.rsplit("/", 1)[-1]
    code = re.sub(r"//[^\n]*", "", text)
    if "/adapters/sqlite/" in path:
        opens = len(OPENS.findall(code))
        if opens > MAY_OPEN.get(name, 0):
            yield f"opens files in {opens} places, allowed: {MAY_OPEN.get(name, 0)}"
    if NAMES_IT.search(code) and name not in MAY_NAME:
        yield "names the journal's file"
    if CARVES.search(code) and name not in MAY_CARVE:
        yield "looks at pages outside of a salvage"


def self_test():
    for path, text in [
        ("firmware-gateway/adapters/sqlite/a.cpp", "std::ifstream in(path);"),
        ("firmware-gateway/adapters/sqlite/a.cpp", "int fd = ::open(path, 0);"),
        ("firmware-gateway/app/a.cpp", 'auto p = dir / "journal.db";'),
        ("firmware-gateway/adapters/sqlite/a.cpp", "DamagedFile file(live, vfs);"),
    ]:
        if not list(breaches(path, text)):
            sys.exit(f"live_journal.py: does not refuse {text!r}")
    if list(breaches("firmware-gateway/adapters/sqlite/a.cpp", "int x = database.open(path, 0, vfs);")):
        sys.exit("live_journal.py: refuses what is allowed")


def main():
    root = pathlib.Path(sys.argv[1])
    self_test()
    found, files = [], 0
    for file in sorted((root / "firmware-gateway").rglob("*.?pp")):
        files += 1
        path = file.relative_to(root).as_posix()
        found += [f"{path}: {breach}" for breach in breaches(path, file.read_text())]
    print("\n".join(found) or f"live journal: {files} files leave it to SQLite")
    if found or files == 0:
        sys.exit(1)


main()
