#!/usr/bin/env python3
"""Durable intake through each door, beside the same rows committed by SQLite alone in the same run.

    intake_row.py BUILD_FOLDER [--rounds N] [--seconds S] [--json FILE]

Every contestant gets a gateway with an empty journal and no line to a broker, on the disk of the temp folder. The floor follows at once: the rows of
that very journal, as many a transaction as the gateway reached on average, one transaction after the other. Figures are medians over the rounds;
a ratio is taken within its round.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

from rows import spread

HERE = pathlib.Path(__file__).resolve().parent
# Name: door, connections, events in flight on each.
CONTESTANTS = {
    "framed, 64 × 16": ("framed", 64, 16),
    "HTTP keep-alive, 64 × 1": ("http", 64, 1),
    "NDJSON, 8 × 100 lines": ("ndjson", 8, 100),
    "ISO 8583, 64 × 16": ("iso8583", 64, 16),
    "ISO 8583, 64 × 1": ("iso8583", 64, 1),
    "framed, 64 × 1": ("framed", 64, 1),
    "lone framed": ("framed", 1, 1),
    "lone HTTP": ("http", 1, 1),
}


def run_one(build, folder, contestant, seconds, number):
    import rig as r

    door, connections, in_flight = contestant
    iso_port = r.free_port()
    gateway = r.Gateway(folder, r.free_port(), overrides={
        "[terminals.iso8583]": {"name": "tills", "listen": f"127.0.0.1:{iso_port}", "dialect": "iso87-ascii", "role": "answer"},
        "journal": {"quota": "4GiB"}})
    port = {"framed": gateway.framed_port, "iso8583": iso_port}.get(door, gateway.http_port)
    try:
        gateway.start()
        r.wait_for("the gateway to run", gateway.ready)
        load = json.loads(subprocess.run([build / "bin" / "intake_load", door, str(port), str(connections), str(in_flight), str(seconds), str(number)],
                                         check=True, capture_output=True, text=True).stdout)
        events = r.metric(gateway.admin_port, "tillstream_gateway_events_submitted_total")
        load["group"] = events / r.metric(gateway.admin_port, "tillstream_gateway_append_seconds_count")
        gateway.terminate()
    finally:
        gateway.kill9()
    load["floor"] = json.loads(subprocess.run([build / "bin" / "bare_commit", gateway.state_dir / "journal.db", str(max(1, round(load["group"]))), str(seconds)],
                                              check=True, capture_output=True, text=True).stdout)
    return load


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--only", help="contestants whose name matches this regular expression", default="")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    build = options.build.resolve()
    os.environ["TILLSTREAM_BIN"] = str(build / "bin")
    sys.path[:0] = [str(HERE.parent / "system"), str(HERE.parent / "support")]
    seen, number = {}, 0
    for _ in range(options.rounds):
        for name, contestant in CONTESTANTS.items():
            if not re.search(options.only, name):
                continue
            number += 1
            with tempfile.TemporaryDirectory(prefix="tillstream-bench-") as folder:
                seen.setdefault(name, []).append(run_one(build, pathlib.Path(folder), contestant, options.seconds, number))
    result = {}
    for name, runs in seen.items():
        row = {"runs": runs, "group": spread([one["group"] for one in runs]), "per_second": spread([one["per_second"] for one in runs]),
               "of_floor": spread([one["per_second"] / one["floor"]["per_second"] for one in runs])}
        for which in ("p50", "p99"):
            row[which] = spread([one[which] for one in runs])
            row[f"{which}_over_floor"] = spread([one[which] - one["floor"][which] for one in runs])
            row[f"{which}_of_floor"] = spread([one[which] / one["floor"][which] for one in runs])
        result[name] = row
        ratio = row["of_floor"]
        print(f"intake  {name:24} {row['per_second']['median']:8.0f}/s  groups of {row['group']['median']:5.1f}  {ratio['median']:.2f} of SQLite alone "
              f"({ratio['least']:.2f} … {ratio['most']:.2f})   p50 {row['p50']['median']:6.0f} µs ({row['p50_over_floor']['median']:+.0f})   "
              f"p99 {row['p99']['median']:6.0f} µs ({row['p99_of_floor']['median']:.2f} ×)")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
