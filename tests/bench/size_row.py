#!/usr/bin/env python3
"""How big a gateway is, beside a program that opens the same libraries and does nothing else.

    size_row.py BUILD_FOLDER [--rounds N] [--seconds S] [--pending ROWS] [--json FILE]

The binary as it is shipped (stripped), resident memory with an empty journal and with ROWS events that no broker has taken (what a row takes: ROWS
beside 20,000, with which SQLite's cache and the window of the handoff are full, too), and CPU time (user and
system, all threads) for 1,000 events by the framed door and by HTTP, each commit included: without a broker, and with a broker and a bridge that take
them at once (broker and bridge not counted).
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from rows import cpu_seconds, running, spread

HERE = pathlib.Path(__file__).resolve().parent
DOORS = {"framed": ("framed", 64, 16), "HTTP keep-alive": ("http", 64, 1)}
FEW = 20_000


def stripped_bytes(program, folder):
    copy = folder / "stripped"
    subprocess.run(["strip", "-o", copy, program], check=True)
    return copy.stat().st_size


def load(build, door, gateway, seconds, number):
    name, connections, in_flight = DOORS[door]
    port = gateway.framed_port if name == "framed" else gateway.http_port
    return json.loads(subprocess.run([build / "bin" / "intake_load", name, str(port), str(connections), str(in_flight), str(seconds), str(number)],
                                     check=True, capture_output=True, text=True).stdout)


def skeleton_kib(build, folder):
    import rig as r

    skeleton = r.Process("skeleton", [build / "bin" / "skeleton", folder], folder)
    with running(skeleton, lambda: "open\n" in skeleton.log()):
        return skeleton.rss_kib()


def memory(build, folder, pending):
    """KiB with an empty journal, with FEW and with `pending` rows, and bytes of a record."""
    import rig as r

    def filled(rows):
        done = json.loads(subprocess.run([build / "bin" / "fill_journal", gateway.state_dir, gateway.gateway_id, str(rows)],
                                         check=True, capture_output=True, text=True).stdout)
        with running(gateway, lambda: gateway.ready() and gateway.status()["pending_events"] >= rows):
            kib = gateway.rss_kib()
            gateway.terminate()
        return kib, done["record_bytes"]

    gateway = r.Gateway(folder, r.free_port(), overrides={"journal": {"quota": "4GiB"}})
    with running(gateway, gateway.ready):
        empty = gateway.rss_kib()
        for number in range(4):
            gateway.submit(r.sale("T1", f"size-{number}", merchant_city="Vienna", card_number="4111111111111111", entry_mode="contactless",
                                  auth_code="123456", rrn="632700000001", till_id="till-03", operator_id="0042"))
        gateway.terminate()
    few, _ = filled(FEW)
    full, record = filled(pending)
    return {"empty": empty, "few": few, "full": full, "record_bytes": record}


def cpu(build, folder, door, seconds, number, forwards):
    """CPU milliseconds of the gateway for 1,000 events; until all are in the stream when it forwards them."""
    import rig as r

    rig = r.Rig(folder, start=False, gateway={"journal": {"quota": "4GiB"}})
    try:
        for process in (rig.broker, rig.bridge, rig.gateway) if forwards else (rig.gateway,):
            rig.begin(process)
        before = cpu_seconds(rig.gateway.popen.pid)
        load(build, door, rig.gateway, seconds, number)
        if forwards:
            r.wait_for("all in the stream", lambda: rig.gateway.status()["pending_events"] == 0)
        spent = cpu_seconds(rig.gateway.popen.pid) - before
        return spent / r.metric(rig.gateway.admin_port, "tillstream_gateway_events_submitted_total") * 1e6
    finally:
        rig.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--pending", type=int, default=1_000_000)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    build = options.build.resolve()
    os.environ["TILLSTREAM_BIN"] = str(build / "bin")
    sys.path[:0] = [str(HERE.parent / "system"), str(HERE.parent / "support")]
    runs, number = [], 0
    for _ in range(options.rounds):
        run = {}
        with tempfile.TemporaryDirectory(prefix="tillstream-bench-") as name:
            folder = pathlib.Path(name)
            run["binary"] = {each: stripped_bytes(build / "bin" / each, folder) for each in ("tillstream-gateway", "skeleton")}
            run["skeleton_kib"] = skeleton_kib(build, folder)
            run |= {f"{what}_kib" if what != "record_bytes" else what: value for what, value in memory(build, folder, options.pending).items()}
        for door in DOORS:
            for forwards in (False, True):
                number += 1
                with tempfile.TemporaryDirectory(prefix="tillstream-bench-") as name:
                    run[f"{door}{', forwarded' if forwards else ''}"] = cpu(build, pathlib.Path(name), door, options.seconds, number, forwards)
        runs.append(run)
    binary = runs[0]["binary"]
    memories = {which: spread([run[f"{which}_kib"] / 1024 for run in runs]) for which in ("skeleton", "empty", "few", "full")}
    a_row = spread([(run["full_kib"] - run["few_kib"]) * 1024 / (options.pending - FEW) for run in runs])
    cpus = {name: spread([run[name] for run in runs]) for name in runs[0] if name.startswith(tuple(DOORS))}
    print(f"size  stripped binary       {binary['tillstream-gateway'] / 1024:7.0f} KiB   skeleton {binary['skeleton'] / 1024:.0f} KiB")
    for which, words in {"skeleton": "skeleton", "empty": "empty journal", "few": f"{FEW} pending", "full": f"{options.pending} pending"}.items():
        one = memories[which]
        more = f"   {a_row['median']:.1f} bytes a row ({a_row['least']:.1f} … {a_row['most']:.1f})" if which == "full" else ""
        print(f"size  resident, {words:17} {one['median']:6.1f} MiB ({one['least']:.1f} … {one['most']:.1f}){more}")
    for name, one in cpus.items():
        print(f"size  CPU a 1,000 events, {name:26} {one['median']:5.1f} ms ({one['least']:.1f} … {one['most']:.1f})")
    if options.json:
        options.json.write_text(json.dumps({"memory_mib": memories, "bytes_a_row": a_row, "cpu_ms": cpus, "binary": binary, "runs": runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
