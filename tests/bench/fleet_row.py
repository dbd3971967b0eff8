#!/usr/bin/env python3
"""Thousands of gateways on one bridge, one event each ten seconds, beside the same messages through the broker alone.

    fleet_row.py BUILD_FOLDER [--rounds N] [--seconds S] [--gateways N …] [--json FILE]

Each gateway is a real handoff::Sender; all share a few connections to the broker (tests/bench/fleet). The bridge has the embedded stream. Its resident
memory is what the gateways add to it, its CPU time that of the measured seconds; an event's time runs from its append to the ack. The floor is the
broker's way there and back, without heartbeats and without a commit. Generator, broker and bridge share the machine.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from rows import spread

HERE = pathlib.Path(__file__).resolve().parent
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
# Else the broker drops what a subscriber has not taken.
BROKER = "max_queued_messages 0\nmax_queued_bytes 0\nmax_inflight_messages 0"


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


def fleet(build, how, port, gateways, seconds, at_start, at_end):
    """at_start and at_end are called when the measured time begins and when it is over."""
    with subprocess.Popen([build / "bin" / "fleet_load", how, str(port), str(gateways), str(seconds)], stdout=subprocess.PIPE, text=True) as load:
        assert load.stdout.readline() == "measuring\n", f"fleet_load ended with {load.wait()}"
        at_start()
        result = json.loads(load.stdout.readline())
        at_end()
    assert load.returncode == 0, load.returncode
    return result


def run_one(build, folder, gateways, seconds):
    import rig as r

    rig = r.Rig(folder, broker=BROKER, start=False)
    seen = {}

    def note(name):
        seen[name] = {"cpu": cpu_seconds(rig.bridge.popen.pid), "rss_kib": rig.bridge.rss_kib(), "at": r.time.monotonic()}

    try:
        rig.begin(rig.broker)
        rig.begin(rig.bridge)
        note("empty")
        result = fleet(build, "handoff", rig.broker.port, gateways, seconds, lambda: note("start"), lambda: note("end"))
        known = rig.bridge.metric("tillstream_bridge_gateways")
    finally:
        rig.close()
    result["gateways"] = known
    result["bytes_a_gateway"] = (seen["end"]["rss_kib"] - seen["empty"]["rss_kib"]) * 1024 / gateways
    result["cpu"] = (seen["end"]["cpu"] - seen["start"]["cpu"]) / (seen["end"]["at"] - seen["start"]["at"])
    with tempfile.TemporaryDirectory(prefix="tillstream-bench-") as name:
        broker = r.Broker(pathlib.Path(name), r.free_port(), BROKER)
        try:
            broker.start()
            r.wait_for("the broker", broker.ready)
            result["floor"] = fleet(build, "bare", broker.port, gateways, seconds, lambda: None, lambda: None)
        finally:
            broker.kill9()
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--gateways", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    build = options.build.resolve()
    os.environ["TILLSTREAM_BIN"] = str(build / "bin")
    sys.path[:0] = [str(HERE.parent / "system"), str(HERE.parent / "support")]
    runs = {count: [] for count in options.gateways}
    for _ in range(options.rounds):
        for count, seen in runs.items():
            with tempfile.TemporaryDirectory(prefix="tillstream-bench-") as folder:
                seen.append(run_one(build, pathlib.Path(folder), count, options.seconds))
    result = {}
    for count, seen in runs.items():
        row = {which: spread([one[which] for one in seen]) for which in ("bytes_a_gateway", "cpu", "p50", "p99")}
        row["floor_p50"], row["floor_p99"] = (spread([one["floor"][which] for one in seen]) for which in ("p50", "p99"))
        result[count] = row | {"runs": seen}
        unacked = sum(one["events"] - one["acked"] for one in seen)
        print(f"fleet  {count:6} gateways   {row['bytes_a_gateway']['median']:5.0f} bytes a gateway   {row['cpu']['median'] * 100:5.1f} % of a core   "
              f"p50 {row['p50']['median']:7.2f} ms ({row['floor_p50']['median']:.2f})   p99 {row['p99']['median']:7.2f} ms "
              f"({row['p99']['least']:.2f} … {row['p99']['most']:.2f}; broker alone {row['floor_p99']['median']:.2f})   "
              f"{sum(one['retransmissions'] for one in seen)} sent again, {unacked} without an ack at the end")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
