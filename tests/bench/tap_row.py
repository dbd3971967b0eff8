#!/usr/bin/env python3
"""What tillstream-tap adds to a payment, beside a bare relay in the same run.

    tap_row.py BUILD_FOLDER [--rounds N] [--seconds S] [--json FILE]

Terminals (8 connections, 100 payments a second each) pay at a host through a bare relay, and through the tap while its gateway works, is stopped
(SIGSTOP), is dead (kill -9), and, for root, while its journal's disk holds every write back. All take turns in each round; figures are
medians over the rounds, in microseconds, of p50 and p99.9, and their distance from the bare relay's of the same round.
"""
import argparse
import contextlib
import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CONNECTIONS, PER_SECOND = 8, 100


def run(build, folder, rounds, seconds):
    os.environ["TILLSTREAM_BIN"] = str(build / "bin")
    sys.path[:0] = [str(HERE.parent / "system"), str(HERE.parent / "support")]
    import rig as r
    from stalling_disk import StallingDisk

    disk = StallingDisk(folder) if os.geteuid() == 0 else None
    host_port, relay_port, runs = r.free_port(), r.free_port(), itertools.count(1)
    socket = folder / "tap.sock"
    state = {"gateway": {"state_dir": str(disk.path / "state")}} if disk else {}
    gateway = r.Gateway(folder, r.free_port(), overrides={"tap": {"socket": str(socket)}, **state})
    tap = r.Tap(folder, host_port, socket)
    relay = r.Process("relay", [build / "bin" / "bare_relay", str(relay_port), str(host_port)], folder)

    def begin(process):
        process.start()
        r.wait_for(f"{process.name} to run", process.ready)

    def measure(port):
        printed = subprocess.run([build / "bin" / "tap_load", str(host_port), str(port), str(seconds), str(CONNECTIONS), str(PER_SECOND),
                                  str(next(runs))], check=True, capture_output=True, text=True).stdout
        return json.loads(printed)

    with contextlib.ExitStack() as stack:
        if disk:
            stack.callback(disk.close)
        for process in (gateway, tap):
            stack.callback(process.kill9)
            begin(process)
        stack.callback(relay.kill9)
        relay.start()
        r.wait_for("the relay", lambda: r.accepts(relay_port))
        seen = {}

        def note(name, port):
            seen.setdefault(name, []).append(measure(port))

        for _ in range(rounds):
            note("bare relay", relay_port)
            note("tap", tap.port)
            gateway.signal(19)
            note("tap, gateway stopped", tap.port)
            gateway.signal(18)
            if disk:
                with disk.stalled():
                    note("tap, disk stalled", tap.port)
            gateway.kill9()
            note("tap, gateway dead", tap.port)
            begin(gateway)
    return seen


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tillstream-bench-") as folder:
        seen = run(options.build.resolve(), pathlib.Path(folder), options.rounds, options.seconds)
    bare = seen["bare relay"]
    result = {}
    for name, runs in seen.items():
        row = {}
        for which in ("p50", "p999"):
            row[which] = statistics.median(one[which] for one in runs)
            row[f"{which}_over_bare"] = statistics.median(one[which] - floor[which] for one, floor in zip(runs, bare))
        result[name] = row | {"runs": runs}
        print(f"tap  {name:22} p50 {row['p50']:7.0f} µs ({row['p50_over_bare']:+.0f})   p99.9 {row['p999']:7.0f} µs ({row['p999_over_bare']:+.0f})")
    print(f"tap  {sum(one['payments'] for one in bare)} payments through each, {options.rounds} rounds")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
