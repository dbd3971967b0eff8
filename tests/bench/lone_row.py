#!/usr/bin/env python3
"""A lone event, from the terminal's write until a consumer of the stream has it, beside the sum of its bare parts.

    lone_row.py BUILD_FOLDER [--rounds N] [--seconds S] [--only sqlite|kafka] [--json FILE]

20 events a second by HTTP. The floor follows in the same round at the same pace: the commit of one journal row by SQLite, a message from a
publisher to a subscriber at the same broker (MQTT, QoS 1), and a transaction with the same record by the stream's own library up to a consumer.
Percentiles of the parts are added: at p50 that is their sum, at p99 it is more than the sum's own. Figures are medians over the rounds.
"""
import argparse
import contextlib
import pathlib
import tempfile

import rows

PER_SECOND = 20


def floor_journal(build, folder):
    """A closed journal with such events."""
    import rig as r

    gateway = r.Gateway(folder, r.free_port(), name="floor")
    with rows.running(gateway):
        rows.answer_of(build / "bin" / "lone_load", gateway.http_port, 2, 100, 9999)
        gateway.terminate()
    return gateway.state_dir / "journal.db"


def run_rounds(build, folder, stream, rounds, seconds):
    import rig as r
    import streams

    journal, seen = floor_journal(build, folder), []
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(rows.running(r.Broker(folder, r.free_port())))
        bridge = stream.bridge(folder, broker.port)
        stack.enter_context(rows.running(bridge))
        r.wait_for("the bridge to own its partitions", lambda: streams.owns(bridge))
        gateway = stack.enter_context(rows.running(r.Gateway(folder, broker.port)))
        load = [build / "bin" / "lone_load", gateway.http_port]
        rows.answer_of(*load, 2, PER_SECOND, 0, *stream.reader(bridge))
        for number in range(1, rounds + 1):
            whole = rows.answer_of(*load, seconds, PER_SECOND, number, *stream.reader(bridge))
            seen.append({"read": whole["read"], "answer": whole["answer"],
                         "commit": rows.answer_of(build / "bin" / "bare_commit", journal, 1, seconds, PER_SECOND),
                         "hop": rows.answer_of(build / "bin" / "bare_hop", broker.port, seconds, PER_SECOND),
                         "transaction": stream.bare("lone", seconds, PER_SECOND)})
    return seen


def row_of(seen):
    row = {"runs": seen}
    for which in ("p50", "p99"):
        for part in ("answer", "commit", "hop", "transaction", "read"):
            row[f"{part}_{which}"] = rows.spread(one[part][which] for one in seen)
        floors = [sum(one[part][which] for part in ("commit", "hop", "transaction")) for one in seen]
        row[f"floor_{which}"] = rows.spread(floors)
        row[f"of_floor_{which}"] = rows.spread(one["read"][which] / floor for one, floor in zip(seen, floors))
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--only", choices=("sqlite", "kafka"), default="")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    build, result = options.build.resolve(), {}
    rows.use_build(build)
    import streams

    with tempfile.TemporaryDirectory(prefix="tillstream-bench-") as name, streams.both(build, name, options.only) as chosen:
        for stream in chosen:
            folder = pathlib.Path(name) / stream.name
            folder.mkdir()
            row = result[stream.name] = row_of(run_rounds(build, folder, stream, options.rounds, options.seconds))
            for which in ("p50", "p99"):
                parts = "   ".join(f"{part} {row[f'{part}_{which}']['median']:.0f}" for part in ("commit", "hop", "transaction"))
                print(f"lone  {stream.name:7} {which} {rows.told(row[f'read_{which}'], '.0f')} µs   floor {rows.told(row[f'floor_{which}'], '.0f')} µs: "
                      f"{parts}   {rows.told(row[f'of_floor_{which}'], '.2f')} ×", flush=True)
    rows.write_json(options.json, result)


if __name__ == "__main__":
    main()
