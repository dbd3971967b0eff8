#!/usr/bin/env python3
"""From exec to the first answer with many rows in the journal, beside the same rows read once by SQLite alone.

    start_row.py BUILD_FOLDER [--rounds N] [--pending ROWS] [--json FILE]

The journal's rows wait for a broker that is not there. The answer is that to an event submitted by HTTP, asked for again every few milliseconds until
the door opens. Both take turns in each round: once with the journal in the page cache, once without a page of it there (POSIX_FADV_DONTNEED).
"""
import argparse
import http.client
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from rows import spread

HERE = pathlib.Path(__file__).resolve().parent
PAUSE_SECONDS = 0.002


def filled_gateway(build, folder, pending):
    """A stopped gateway with so many rows."""
    import rig as r

    gateway = r.Gateway(folder, r.free_port(), overrides={"journal": {"quota": "4GiB"}})
    try:
        gateway.start()
        r.wait_for("the gateway to run", gateway.ready)
        subprocess.run([build / "bin" / "intake_load", "framed", str(gateway.framed_port), "64", "16", "1", "1"], check=True, capture_output=True)
        gateway.terminate()
    finally:
        gateway.kill9()
    subprocess.run([build / "bin" / "fill_journal", gateway.state_dir, gateway.gateway_id, str(pending)], check=True, capture_output=True)
    return gateway


def cached(journal, warm):
    """Nobody has it open."""
    descriptor = os.open(journal, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        if warm:
            while os.read(descriptor, 1 << 20):
                pass
        else:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def first_answer(gateway, number):
    """Seconds from exec."""
    import rig as r

    begun = time.monotonic()
    gateway.start()
    try:
        while True:
            try:
                status, _ = gateway.submit(r.sale("T1", f"start-{number}"))
                assert status == 201, status
                return time.monotonic() - begun
            except (OSError, http.client.HTTPException):
                assert gateway.alive, gateway.log()[-2000:]
                assert time.monotonic() - begun < 300, "no answer within 300 s"
                time.sleep(PAUSE_SECONDS)
    finally:
        gateway.terminate()


def bare_read(build, journal):
    begun = time.monotonic()
    done = subprocess.run([build / "bin" / "bare_read", journal], check=True, capture_output=True, text=True)
    return time.monotonic() - begun, json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pending", type=int, default=1_000_000)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    build = options.build.resolve()
    os.environ["TILLSTREAM_BIN"] = str(build / "bin")
    sys.path[:0] = [str(HERE.parent / "system"), str(HERE.parent / "support")]
    runs = {"warm": [], "cold": []}
    with tempfile.TemporaryDirectory(prefix="tillstream-bench-") as name:
        gateway = filled_gateway(build, pathlib.Path(name), options.pending)
        journal = gateway.state_dir / "journal.db"
        for number in range(options.rounds):
            for cache, seen in runs.items():
                cached(journal, cache == "warm")
                answer = first_answer(gateway, f"{cache}-{number}")
                cached(journal, cache == "warm")
                bare, read = bare_read(build, journal)
                seen.append({"answer": answer, "bare": bare} | read)
    result = {}
    for cache, seen in runs.items():
        row = {which: spread([one[which] for one in seen]) for which in ("answer", "bare")}
        row["of_bare"] = spread([one["answer"] / one["bare"] for one in seen])
        result[cache] = row | {"runs": seen}
        print(f"start  {seen[0]['rows']} rows of {seen[0]['bytes'] // seen[0]['rows']} bytes, {cache} cache   first answer {row['answer']['median']:.2f} s "
              f"({row['answer']['least']:.2f} … {row['answer']['most']:.2f})   SQLite alone {row['bare']['median']:.2f} s   "
              f"{row['of_bare']['median']:.2f} × ({row['of_bare']['least']:.2f} … {row['of_bare']['most']:.2f})")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
