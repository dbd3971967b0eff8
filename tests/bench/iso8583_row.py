#!/usr/bin/env python3
"""ISO 8583 on one core, beside jPOS on the same messages in the same run.

    iso8583_row.py BENCH_PROGRAM JPOS_FOLDER [--rounds N] [--seconds S] [--json FILE]

The messages are those of tests/vectors/iso8583 that jPOS's own packagers read and write back to the same bytes. The two take turns, so
that whatever else the machine does falls on both; the JVM warms up as long as it is measured. Times are CPU times, medians of the rounds.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
VECTORS = HERE.parent / "vectors" / "iso8583" / "vectors.json"
NAMES = {"iso87-ascii-hexbitmap": "iso87-ascii", "iso87-ascii-binbitmap": "iso87-ascii-binary-bitmap", "iso87-bcd-binbitmap": "iso87-bcd",
         "iso93-ascii-hexbitmap": "iso93-ascii", "iso93-bcd-binbitmap": "iso93-bcd"}


def messages():
    for vector in json.loads(VECTORS.read_text())["vectors"]:
        if vector["dialect"] in NAMES:
            yield f"{NAMES[vector['dialect']]}\t{vector['iso_body_hex']}\n"


def spread(values):
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("program")
    parser.add_argument("jpos")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    core = str(max(os.sched_getaffinity(0)))

    def on_one_core(argv, lines):
        return subprocess.run(["taskset", "-c", core, *argv], input=lines, capture_output=True, text=True, check=True).stdout

    with tempfile.TemporaryDirectory(prefix="tillstream-bench-") as folder:
        classes = f"{folder}{os.pathsep}{options.jpos}/*"
        subprocess.run(["javac", "-cp", classes, "-d", folder, HERE / "iso8583" / "JposBench.java"], check=True)
        java = ["java", "-XX:+UseSerialGC", "-cp", classes, "JposBench"]
        lines = on_one_core([*java, "--able"], "".join(messages()))
        if not lines:
            sys.exit("iso8583_row: jPOS reads none of the messages")
        seen = {"ours": [], "jpos": []}
        for _ in range(options.rounds):
            seen["ours"].append(json.loads(on_one_core([options.program, str(options.seconds)], lines)))
            seen["jpos"].append(json.loads(on_one_core([*java, str(options.seconds)], lines)))
    count = seen["ours"][0]["messages"]
    result = {"messages": count, "bytes": sum(len(line.split("\t")[1]) // 2 for line in lines.splitlines()) // count}
    for name, of in (("decode", lambda r: r["decode_ns"]), ("encode", lambda r: r["encode_ns"]), ("both", lambda r: r["decode_ns"] + r["encode_ns"])):
        ours, jpos = ([of(one) for one in seen[whose]] for whose in ("ours", "jpos"))
        result[name] = {"ours_ns": spread(ours), "jpos_ns": spread(jpos), "times": spread([theirs / our for our, theirs in zip(ours, jpos)])}
        print(f"iso8583 {name:6}  ours {statistics.median(ours):7.0f} ns   jPOS {statistics.median(jpos):7.0f} ns   "
              f"{result[name]['times']['median']:.1f} × ({result[name]['times']['least']:.1f} … {result[name]['times']['most']:.1f})")
    print(f"iso8583         {count} messages of {result['bytes']} bytes on average, {options.rounds} rounds")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
