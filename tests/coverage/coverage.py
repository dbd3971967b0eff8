#!/usr/bin/env python3
"""Which lines of the pure rooms no test reaches, and why.

    coverage.py BUILD      a build folder of the preset `coverage`; its suites are run

For each room: lines, and those that no suite reached. Each of these needs a reason in reasons.txt (FILE | the line | why); one without, or a reason
whose line is reached or is not there any more, fails the command.
"""
import collections
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ROOMS = ("proto/handoff", "firmware-gateway/journal", "firmware-gateway/ingest", "cloud-bridge/intake")
# What reaches them: their own suites, and those that drive them.
SUITES = ("unit_proto_handoff", "sim_handoff_suite", "unit_gateway_journal", "unit_gateway_ingest", "unit_gateway_gateway", "unit_bridge_intake",
          "unit_bridge_bridge", "unit_bridge_status", "contract_journal_sqlite", "sim_suite")


def measured(build):
    """file → line → times, over all suites."""
    profiles = build / "profiles"
    profiles.mkdir(exist_ok=True)
    for suite in SUITES:
        print(f"coverage: {suite}", file=sys.stderr, flush=True)
        done = subprocess.run(["ctest", "--test-dir", build, "-R", f"^{suite}$", "--output-on-failure"], capture_output=True, text=True,
                              check=False, env={**os.environ, "LLVM_PROFILE_FILE": str(profiles / f"{suite}-%p.profraw")})
        if done.returncode or "No tests were found" in done.stdout + done.stderr:
            sys.exit(f"coverage: {suite}: {done.stdout[-1500:]}{done.stderr[-500:]}")
    merged = build / "all.profdata"
    subprocess.run(["llvm-profdata-19", "merge", "-sparse", *map(str, profiles.glob("*.profraw")), "-o", merged], check=True)
    programs = [word for suite in SUITES for word in ("-object", str(build / "bin" / suite))]
    exported = subprocess.run(["llvm-cov-19", "export", "-format=lcov", f"-instr-profile={merged}", *programs[1:],
                               *(str(ROOT / room) for room in ROOMS)], capture_output=True, text=True, check=True).stdout
    times = collections.defaultdict(dict)
    for line in exported.splitlines():
        kind, _, rest = line.partition(":")
        if kind == "SF":
            current = pathlib.Path(rest).relative_to(ROOT)
        elif kind == "DA":
            number, count = map(int, rest.split(",")[:2])
            times[current][number] = max(count, times[current].get(number, 0))
    return times


def reasons():
    """(file, line's text) → why"""
    found = {}
    for line in (HERE / "reasons.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            file, text, why = line.split(" | ")
            found[file.strip(), text.strip()] = why.strip()
    return found


def main():
    times, known, used, missing = measured(pathlib.Path(sys.argv[1]).resolve()), reasons(), set(), []
    print("| room | lines | reached | not, with a reason |\n|---|---|---|---|")
    for room in ROOMS:
        lines = reached = excused = 0
        for file in sorted(file for file in times if file.is_relative_to(room)):
            source = (ROOT / file).read_text().splitlines()
            for number, count in sorted(times[file].items()):
                lines += 1
                reached += count > 0
                if count:
                    continue
                key = (str(file), source[number - 1].strip())
                if key in known:
                    used.add(key)
                    excused += 1
                else:
                    missing.append(f"{file}:{number}: {source[number - 1].strip()}")
        print(f"| `{room}` | {lines} | {reached} ({100 * reached / lines:.1f} %) | {excused} |")
    stale = [f"reasons.txt: {file} | {text}" for file, text in known if (file, text) not in used]
    for title, found in (("reached by no test", missing), ("a reason for what is reached, or is not there", stale)):
        if found:
            print(f"\n{title}:\n" + "\n".join(found))
    sys.exit(1 if missing or stale else 0)


if __name__ == "__main__":
    main()
