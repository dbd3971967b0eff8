#!/usr/bin/env python3
"""Breaks the program on purpose, one rule at a time, and sees whether a suite notices.

    check.py [--only REGEX] [--every] [--apply-only] [--table FILE]

Each patch in patches/ says what it breaks and which suites should notice, in that order; the first that fails has killed it. All happens in a copy of the
sources under build/mutants; suites must pass there before anything is broken. A mutant that survives, or a patch that does not apply, fails the command.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TREE, BUILD = ROOT / "build" / "mutants" / "tree", ROOT / "build" / "mutants" / "build"
SUITE_SECONDS_MAX = 600
# A broken rule often leaves a name unused.
FLAGS = "-Wno-unused-variable -Wno-unused-parameter -Wno-unused-function -Wno-unused-but-set-variable"


class Mutant:
    def __init__(self, path):
        text = path.read_text()
        self.path, self.name = path, path.stem
        self.what = re.search(r"^What: (.+)$", text, re.M)[1]
        self.suites = re.search(r"^Killed by: (.+)$", text, re.M)[1].split(", ")


def run(*argv, **more):
    return subprocess.run(argv, check=False, capture_output=True, text=True, errors="replace", **more)


def apply(mutant, *options):
    return run("git", "apply", "-C1", "--directory", str(TREE.relative_to(ROOT)), *options, mutant.path, cwd=ROOT)


def copy_tree():
    """Only what differs is written, so that little is built anew."""
    names = set(run("git", "ls-files", "-z", cwd=ROOT).stdout.split("\0")) - {""}
    for name in names:
        here, there = ROOT / name, TREE / name
        if not there.is_file() or here.read_bytes() != there.read_bytes():
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(here, there)
    for path in [path for path in TREE.rglob("*") if path.is_file() and str(path.relative_to(TREE)) not in names]:
        path.unlink()


def build(suites):
    """A suite's program, or the programs that a suite of real processes starts."""
    programs = {"tillstream-gateway", "tillstream-bridge", "tillstream-tap"}
    targets = set().union(*(programs if suite.startswith("system_") else {suite} for suite in suites))
    return run("ninja", "-C", BUILD, *sorted(targets))


def verdict(suite):
    """What a suite says of the tree as it is built: None when it passes."""
    began = time.monotonic()
    try:
        done = run("ctest", "--test-dir", BUILD, "-R", f"^{suite}$", "--output-on-failure", timeout=SUITE_SECONDS_MAX,
                   env={**os.environ, "TILLSTREAM_KAFKA": str(ROOT / "build" / "kafka")})
    except subprocess.TimeoutExpired:
        return f"hangs for {SUITE_SECONDS_MAX} s"
    if done.returncode == 0 and "100% tests passed" in done.stdout:
        return None
    seeds = re.search(r"replay with: .*--seed (\d+)", done.stdout)  # a simulator begins with seed 1
    return f"{seeds[1]} seeds" if seeds else f"{time.monotonic() - began:.0f} s"


def verdicts(suites, every):
    """(suite, how it noticed) of the first that does, or of every one."""
    for suite in suites:
        if how := verdict(suite):
            yield suite, how
            if not every:
                return


def kill(mutant, every):
    """(who noticed, how); (None, why) when nobody did."""
    applied = apply(mutant)
    if applied.returncode:
        return None, f"does not apply: {applied.stderr.strip()}"
    try:
        built = build(mutant.suites)
        if built.returncode:
            return None, f"does not build: {built.stdout[-600:]}"
        noticed = list(verdicts(mutant.suites, every))
        if not noticed:
            return None, "survives"
        return " ".join(f"`{suite}`" for suite, _ in noticed), ", ".join(how for _, how in noticed)
    finally:
        undone = apply(mutant, "-R")
        assert undone.returncode == 0, undone.stderr


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--only", default="", help="mutants whose name matches")
    parser.add_argument("--every", action="store_true", help="run every suite that a mutant names, also after one has noticed")
    parser.add_argument("--apply-only", action="store_true", help="only whether every patch applies")
    parser.add_argument("--table", type=pathlib.Path, help="writes the table there")
    options = parser.parse_args()
    mutants = [m for m in map(Mutant, sorted((HERE / "patches").glob("*.patch"))) if re.search(options.only, m.name)]
    if options.apply_only:
        wrong = [m.name for m in mutants if run("git", "apply", "-C1", "--check", m.path, cwd=ROOT).returncode]
        print(f"mutants: {len(mutants)} patches, {len(wrong)} do not apply {' '.join(wrong)}")
        sys.exit(1 if wrong else 0)
    copy_tree()
    configured = run("cmake", "-S", TREE, "-B", BUILD, "-G", "Ninja", "-D", "CMAKE_BUILD_TYPE=None", "-D", f"CMAKE_CXX_FLAGS=-O1 {FLAGS}", "-D", "TILLSTREAM_TESTS=ON")
    if configured.returncode:
        sys.exit(configured.stdout + configured.stderr)
    suites = sorted({suite for m in mutants for suite in m.suites})
    built = build(suites)
    if built.returncode:
        sys.exit(built.stdout[-2000:])
    for suite in suites:
        if how := verdict(suite):
            sys.exit(f"mutants: {suite} fails before anything is broken ({how})")
    lines, survivors = [], 0
    for mutant in mutants:
        suites, how = kill(mutant, options.every)
        survivors += suites is None
        lines.append(f"| `{mutant.name}` | {mutant.what} | {suites or '**none**'} | {how} |")
        print(lines[-1], flush=True)
    if options.table:
        options.table.write_text("\n".join(lines) + "\n")
    print(f"mutants: {len(mutants) - survivors} of {len(mutants)} killed")
    sys.exit(1 if survivors else 0)


if __name__ == "__main__":
    main()
