#!/usr/bin/env python3
"""A gateway that was long without a broker: how fast its events get into the stream, and what a live terminal notices of it.

    catchup_row.py BUILD_FOLDER [--rounds N] [--rows N] [--only sqlite|kafka] [--json FILE]

So many events wait in the journal when broker and bridge are there again. The time is from the gateway's connection until the bridge has committed the
last. Meanwhile a terminal submits 50 events a second by HTTP; it does so again, for as long, when nothing waits. The floor follows in the same round:
the same records, from memory, as many a transaction as the bridge reached on average, by the stream's own library. `CPU` is the bridge's for an event
(user and system, all threads), beside the floor's. Figures are medians over the rounds; a ratio is taken within its round.
"""
import argparse
import contextlib
import pathlib
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import rows

LIVE_PER_SECOND = 50
LIVE_SECONDS_OF_A_MILLION = 30.0  # inside the time of a catch-up
POLL_SECONDS = 0.05


def fill(build, gateway, count):
    import rig as r

    with rows.running(gateway):
        rows.answer_of(build / "bin" / "lone_load", gateway.http_port, 1, 100, 9999)
        gateway.terminate()
    return rows.answer_of(build / "bin" / "fill_journal", gateway.state_dir, gateway.gateway_id, count)


def wait_until(what, condition):
    import rig as r

    while not r.wait_for(what, lambda: (condition(),), 600)[0]:
        time.sleep(POLL_SECONDS)
    return time.monotonic()


def run_one(build, folder, stream, count):
    import rig as r
    import streams

    broker = r.Broker(folder, r.free_port(), "max_queued_messages 0")
    gateway = r.Gateway(folder, broker.port, overrides={"journal": {"quota": "4GiB"}})
    filled = fill(build, gateway, count)
    seconds = LIVE_SECONDS_OF_A_MILLION * count / 1e6
    live = [build / "bin" / "lone_load", gateway.http_port, seconds, LIVE_PER_SECOND]
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(1) as aside:
        stack.enter_context(rows.running(broker))
        bridge = stream.bridge(folder, broker.port)
        stack.enter_context(rows.running(bridge))
        r.wait_for("the bridge to own its partitions", lambda: streams.owns(bridge))
        cpu = rows.cpu_seconds(bridge.popen.pid)
        stack.enter_context(rows.running(gateway, lambda: gateway.status()["uplink"]["connected"]))
        begun = time.monotonic()
        during = aside.submit(rows.answer_of, *live, 1)
        ended = wait_until("the last event", lambda: bridge.metric("tillstream_bridge_records_committed_total") >= count)
        cpu = rows.cpu_seconds(bridge.popen.pid) - cpu
        group = count / bridge.metric("tillstream_bridge_transactions_total")
        one = {"per_second": count / (ended - begun), "group": group, "cpu_microseconds": cpu / count * 1e6, "filled": filled,
               "live": during.result()["answer"], "quiet": rows.answer_of(*live, 2)["answer"]}
        one["floor"] = stream.bare("bulk", max(1, round(group)), count)
    return one


def row_of(seen):
    return {"runs": seen, "per_second": rows.spread(one["per_second"] for one in seen), "group": rows.spread(one["group"] for one in seen),
            "of_floor": rows.spread(one["per_second"] / one["floor"]["per_second"] for one in seen),
            "a_core": rows.spread(1e6 / one["cpu_microseconds"] for one in seen),
            "a_core_of_floor": rows.spread(one["floor"]["cpu_microseconds"] / one["cpu_microseconds"] for one in seen),
            "live_p99": rows.spread(one["live"]["p99"] for one in seen), "quiet_p99": rows.spread(one["quiet"]["p99"] for one in seen),
            "live_of_quiet": rows.spread(one["live"]["p99"] / one["quiet"]["p99"] for one in seen)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", choices=("sqlite", "kafka"), default="")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    build, seen = options.build.resolve(), {}
    rows.use_build(build)
    import streams

    with tempfile.TemporaryDirectory(prefix="tillstream-bench-") as name, streams.both(build, name, options.only) as chosen:
        for _ in range(options.rounds):
            for stream in chosen:
                with tempfile.TemporaryDirectory(prefix="run-", dir=name) as folder:
                    seen.setdefault(stream.name, []).append(run_one(build, pathlib.Path(folder), stream, options.rows))
    result = {}
    for which, runs in seen.items():
        row = result[which] = row_of(runs)
        print(f"catchup  {which:7} {options.rows} events   {rows.told(row['per_second'], '.0f')}/s in groups of {row['group']['median']:.0f}   "
              f"{rows.told(row['of_floor'], '.2f')} of bare transactions")
        print(f"bridge   {which:7} {rows.told(row['a_core'], '.0f')} events/s a core   {rows.told(row['a_core_of_floor'], '.2f')} of bare transactions")
        print(f"live     {which:7} answer p99 {rows.told(row['live_p99'], '.0f')} µs, without a catch-up {rows.told(row['quiet_p99'], '.0f')} µs   "
              f"{rows.told(row['live_of_quiet'], '.2f')} ×", flush=True)
    rows.write_json(options.json, result)


if __name__ == "__main__":
    main()
