#!/usr/bin/env python3
"""Runs clang-tidy-19 over the sources of a compilation database, two runs at a time.

    tidy.py ROOT BUILD [FILE …]

Nearly all of its time goes into the headers of libraries, so the sources of one folder with the same flags are looked at as one
(a file that includes them); where two of them don't go together (the same name in both, or clang-tidy
itself breaks down), in halves, and at last alone.
A file that passed is not looked at again until it, a header of ours that it includes, its flags or .clang-tidy change: the stamp
is a hash of all of these.
"""
import collections
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
GROUP_MAX = 12
# In tests: their speed is nobody's concern, and JSON in a literal reads as it is written.
RELAXED = "-performance-*,-modernize-raw-string-literal,-modernize-use-emplace,-modernize-loop-convert"
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


def tidy(database, path, relaxed):
    argv = [TOOL, "-p", str(database), "--quiet", *([f"--checks={RELAXED}"] if relaxed else []), str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.returncode == 0 and "warning:" not in done.stdout, done.stdout or done.stderr


class Lint:
    """Runs of clang-tidy over groups of files; `found` is file → (words, folder)."""

    def __init__(self, root, build, found):
        self.root, self.found = root, found
        self.database = build / "lint"

    def groups(self, paths):
        """At most GROUP_MAX files of one folder and one set of flags each, the heaviest folders first."""
        alike = collections.defaultdict(list)
        for path in sorted(paths):
            alike[path.parent, self.flags(path)].append(path)
        return [group[i:i + GROUP_MAX] for group in sorted(alike.values(), key=len, reverse=True)
                for i in range(0, len(group), GROUP_MAX)]

    def flags(self, path):
        """The file's arguments without its own name and its object's."""
        words = self.found[path][0]
        return tuple(w for i, w in enumerate(words) if w != str(path) and (i == 0 or words[i - 1] not in ("-o", "-MF", "-MT"))
                     and w not in ("-o", "-MF", "-MT", "-c"))

    def together(self, group):
        """A folder with one source that includes all of the group, and the database that says how to read it."""
        key = hashlib.sha256("\0".join(map(str, group)).encode()).hexdigest()[:16]
        folder = self.database / "together" / key
        folder.mkdir(parents=True, exist_ok=True)
        source = folder / "together.cpp"
        source.write_text("".join(f'#include "{path}"  // NOLINT(bugprone-suspicious-include)\n' for path in group))
        self.write_database(folder, {source: (list(self.flags(group[0])) + ["-c", str(source)], self.found[group[0]][1])})
        return folder, source

    def write_database(self, folder, entries):
        (folder / "compile_commands.json").write_text(json.dumps(
            [{"file": str(p), "arguments": w, "directory": d} for p, (w, d) in entries.items()]))

    def relaxed(self, group):
        return group[0].is_relative_to(self.root / "tests")

    def run(self, group):
        """[(files, output)]: output is empty for files without a finding."""
        if len(group) == 1:
            good, output = tidy(self.database, group[0], self.relaxed(group))
            return [(group, "" if good else output or "failed without a word")]
        good, output = tidy(*self.together(group), self.relaxed(group))
        if good:
            return [(group, "")]
        if "clang-diagnostic-error" not in output and "Stack dump:" not in output:
            return [(group, output)]
        half = len(group) // 2
        return self.run(group[:half]) + self.run(group[half:])


def main():
    root, build = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    only = {pathlib.Path(f).resolve() for f in sys.argv[3:]}
    found = {path: (words, folder) for path, words, folder in commands(root, build)}
    if not found:
        sys.exit("tidy: no source in the compilation database")
    stamps = build / "lint" / "passed"
    stamps.mkdir(parents=True, exist_ok=True)
    lint = Lint(root, build, found)
    lint.write_database(lint.database, found)
    keys = {p: stamp(root, build, p, w) for p, (w, _) in found.items() if not only or p in only}
    todo = [p for p, key in keys.items() if not (stamps / key).exists()]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for done in concurrent.futures.as_completed([pool.submit(lint.run, group) for group in lint.groups(todo)]):
            for group, output in done.result():
                names = " ".join(str(path.relative_to(root)) for path in group)
                print(f"tidy: {names}{' FAILED' if output else ''}", flush=True)
                if output:
                    failed += len(group)
                    print(output, flush=True)
                else:
                    for path in group:
                        (stamps / keys[path]).touch()
    print(f"tidy: {len(keys)} files, {len(todo)} looked at, {failed} in runs with findings")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
