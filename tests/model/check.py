#!/usr/bin/env python3
"""Walks through every state of handoff.pml with SPIN: whole, then with one rule broken at a time.

    check.py [--jobs N] [--only REGEX] [--quick] [--story]

The model as it is must hold in every configuration; each mutant must break the property that it is listed with. A story (--story) is what
happened on the way to a violation. SPIN makes a C program of the model: cc is needed, too.
"""
import argparse
import concurrent.futures
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

MODEL = pathlib.Path(__file__).resolve().parent / "handoff.pml"
# What may happen at most; see the head of handoff.pml.
QUIET = {"LOSSES": 0, "DOUBLES": 0, "EARLY": 0, "UNCERTAIN": 0, "IMAGES": 0, "TAKEOVERS": 1, "STALE": 1, "ROWS": 2, "CONTENTS": 2}
WHOLE = {
    "a line that loses and doubles": {"LOSSES": 1, "DOUBLES": 1, "EARLY": 1, "ROWS": 3, "CONTENTS": 3},
    "takeovers, zombies and uncertain commits": {"TAKEOVERS": 2, "UNCERTAIN": 1},
    "a takeover on a line that doubles": {"TAKEOVERS": 2, "DOUBLES": 1},
    "a restored image": {"IMAGES": 1, "CONTENTS": 3},
    "a restored image on a line that doubles": {"IMAGES": 1, "CONTENTS": 3, "DOUBLES": 1},
    "a restored image and an uncertain commit": {"IMAGES": 1, "CONTENTS": 3, "UNCERTAIN": 1},
    "a takeover and a restored image": {"TAKEOVERS": 2, "IMAGES": 1, "CONTENTS": 3},
}
# Minutes and gigabytes.
LARGE = {"a takeover and a restored image"}
# Macro: its configuration, the property that fails, what the rule is.
MUTANTS = {
    "NO_FENCE": ({"TAKEOVERS": 2}, "(1)|(2)|(4)|(5)", "an older turn is not refused"),
    "READ_BEFORE_FENCE": ({"TAKEOVERS": 2, "UNCERTAIN": 1}, "(1)|(2)|(4)", "progress is read before the older turns are fenced"),
    "KEEP_PRODUCER": ({"UNCERTAIN": 1}, "(1)|(2)", "after an uncertain commit the producer is kept"),
    "NO_COMPARE_AND_SET": ({"TAKEOVERS": 2}, "(4)", "a Hello of a new epoch is taken whatever it supersedes [H-60]"),
    "RUNS_FROM_HELLOS": ({"IMAGES": 1, "ROWS": 3, "CONTENTS": 4}, "(3)", "a run's rows count when a Hello names them [H-57]"),
    "OVERLAP_UNCHECKED": ({"IMAGES": 1, "ROWS": 3, "CONTENTS": 4, "DOUBLES": 1}, "(2)|(3)", "rows behind others that differ from the stream's are taken [H-56]"),
    "REWIND_ON_ANY_ACK": ({"DOUBLES": 2, "ROWS": 3, "CONTENTS": 3}, "(4)", "any lower Ack moves acked back [H-13]"),
    "ACK_BEFORE_COMMIT": ({"UNCERTAIN": 1}, "(3)", "an Ack names what is not committed [H-51]"),
}


def look(name, settings, mutant=None, story=False):
    """Returns (states, depth, seconds, property that fails or None, story)."""
    defines = [f"-D{key}={value}" for key, value in {**QUIET, **settings}.items()] + ([f"-D{mutant}"] if mutant else [])
    with tempfile.TemporaryDirectory(prefix="tillstream-model-") as folder:
        def run(*argv):
            return subprocess.run(argv, cwd=folder, check=False, capture_output=True, text=True)

        made = run("spin", "-a", *defines, MODEL)
        if made.returncode or "Error" in made.stdout:
            sys.exit(f"{name}: spin: {made.stdout}{made.stderr}")
        built = run("cc", "-O2", "-w", "-DCOLLAPSE", "-DSAFETY", "-DVECTORSZ=4096", "-o", "pan", "pan.c")
        if built.returncode:
            sys.exit(f"{name}: cc: {built.stderr}")
        begun = time.monotonic()
        out = run("./pan", "-m100000", "-n").stdout
        seconds = time.monotonic() - begun
        states = re.search(r"(\d+) states, stored", out)
        depth = re.search(r"depth reached (\d+), errors: (\d+)", out)
        if states is None or depth is None or "max search depth too small" in out or "Search not completed" in out and depth[2] == "0":
            sys.exit(f"{name}: the search did not end:\n{out[-2000:]}")
        failed = None
        if depth[2] != "0":
            trail = run("./pan", "-r", next(pathlib.Path(folder).glob("*.trail")).name)
            text = trail.stdout + trail.stderr
            failed = property_of(out)
            if not story:
                text = ""
            else:
                text = "\n".join(line.strip() for line in text.splitlines() if re.match(r" *(gateway|bridge|terminal|stream)[ :]", line))
        else:
            text = ""
        return int(states[1]), int(depth[1]), seconds, failed, text


def property_of(out):
    """The number that stands beside the assertion in the model."""
    said = re.search(r"assertion violated (.*?) \(at depth", out)
    if said is None:
        return "invalid end state" if "invalid end state" in out else "?"
    def squeezed(text):
        return re.sub(r"[\s()]", "", text)

    for line in MODEL.read_text().splitlines():
        number = re.search(r"/\* (\(\d\))", line)
        if number and "assert" in line and squeezed(said[1]) in squeezed(line):
            return number[1]
    return said[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="configurations and mutants whose name matches")
    parser.add_argument("--quick", action="store_true", help="without those that take minutes")
    parser.add_argument("--story", action="store_true")
    options = parser.parse_args()
    jobs = [(name, settings, None) for name, settings in WHOLE.items()] + [(name, settings, name) for name, (settings, _, _) in MUTANTS.items()]
    jobs = [job for job in jobs if re.search(options.only, job[0]) and not (options.quick and job[0] in LARGE)]
    if not shutil.which("spin"):
        print("model: spin is not installed (./dev model installs it)")
        sys.exit(77)
    wrong = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for (name, _, mutant), result in zip(jobs, pool.map(lambda job: look(*job, story=options.story), jobs)):
            states, depth, seconds, failed, story = result
            expected = MUTANTS[mutant][1].split("|") if mutant else [None]
            right = failed in expected
            wrong += not right
            verdict = f"breaks {failed}" if failed else "holds"
            print(f"model  {name:45} {states:>11,} states, depth {depth:>6}, {seconds:6.1f} s: {verdict}{'' if right else '  <- WRONG'}", flush=True)
            if story:
                print(story)
    if wrong:
        sys.exit(f"model: {wrong} of {len(jobs)} are not as they should be")
    print(f"model: {len(jobs)} as they should be")


if __name__ == "__main__":
    main()
