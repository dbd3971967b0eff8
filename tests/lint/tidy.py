#!/usr/bin/env python3
"""Runs clang-tidy-19 over the sources of a compilation database, two at a time.

    tidy.py ROOT BUILD [FILE …]

A file that passed is not looked at again until it, a header of ours that it includes, its flags or .clang-tidy change: the stamp
is a hash of all of these.
"""
import concurrent.futures
import functools
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

TOOL = "clang-tidy-19"
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
# What g++ knows and clang does not; sanitizers change no finding; warnings are the compiler's business.
NOT_FOR_CLANG = re.compile(r"^(-Wno-restrict|-Werror|-fsanitize.*|-fno-sanitize.*|-W.*)$")


def commands(root, build):
    """File → arguments, for our own sources only."""
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["file"]).resolve()
        if not path.is_relative_to(root) or path.is_relative_to(build):
            continue
        words = shlex.split(entry["command"])
        if words[0].endswith("ccache"):
            words = words[1:]
        yield path, [w for w in words if not NOT_FOR_CLANG.match(w)], entry["directory"]


@functools.cache
def text_of(path):
    return path.read_text(errors="replace") if path.is_file() else ""


def closure(root, build, path):
    """The file and every header of ours that it includes, directly or not."""
    seen, waiting = set(), [path]
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        for name in INCLUDE.findall(text_of(current)):
            header = root / name
            waiting.append(header if header.is_file() else build / "gen" / name)
    return sorted(seen)


def stamp(root, build, path, words):
    parts = [text_of(root / ".clang-tidy"), " ".join(words)]
    parts += [text_of(f) for f in closure(root, build, path)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def lint(database, path):
    done = subprocess.run([TOOL, "-p", str(database), "--quiet", str(path)], capture_output=True, text=True, check=False)
    return done.returncode == 0 and "warning:" not in done.stdout, done.stdout or done.stderr


def main():
    root, build = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    only = {pathlib.Path(f).resolve() for f in sys.argv[3:]}
    found = {path: (words, folder) for path, words, folder in commands(root, build)}
    if not found:
        sys.exit("tidy: no source in the compilation database")
    database, stamps = build / "lint", build / "lint" / "passed"
    stamps.mkdir(parents=True, exist_ok=True)
    (database / "compile_commands.json").write_text(json.dumps(
        [{"file": str(p), "arguments": w, "directory": d} for p, (w, d) in found.items()]))
    keys = {p: stamp(root, build, p, w) for p, (w, _) in found.items() if not only or p in only}
    todo = sorted(p for p, key in keys.items() if not (stamps / key).exists())
    failed = []
    with concurrent.futures.ThreadPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as pool:
        for path, (good, output) in zip(todo, pool.map(lambda p: lint(database, p), todo)):
            name = path.relative_to(root)
            print(f"tidy: {name}{'' if good else ' FAILED'}", flush=True)
            if good:
                (stamps / keys[path]).touch()
            else:
                failed.append(name)
                print(output, flush=True)
    print(f"tidy: {len(keys)} files, {len(todo)} looked at, {len(failed)} with findings")
    sys.exit(1 if failed else 0)


main()
