#!/usr/bin/env python3
"""Real processes at load, a fault every few seconds, and a judge at the end.

    soak.py MINUTES [--seed N] [--folder DIR] [--only FAULT …]

The folder keeps configurations, logs, what every till was told (history.jsonl) and what a reader of committed data saw (records.jsonl);
`history.py FOLDER` judges it once more. The seed decides which faults come, in which order, for how long; not what the processes make of it.
"""
from __future__ import annotations

import argparse
import collections
import datetime
import json
import pathlib
import random
import sys
import threading
import time

import history as h
from strikes import Strikes
from world import World

BETWEEN_SECONDS = (0.5, 4)
AT_ONCE_PROBABILITY = 0.3
SETTLE_SECONDS = 180
STALL_SECONDS = 120
# A gateway: what its unit allows. A bridge: its budget (config/README.md) and librdkafka's buffers.
MEMORY_MAX_MIB = {"shop": 256, "bridge": 512}


class Watch(threading.Thread):
    """The largest memory of each of our processes, once a second."""

    def __init__(self, processes) -> None:
        super().__init__(daemon=True)
        self.processes, self.kib, self._halt = processes, collections.Counter(), threading.Event()

    def run(self) -> None:
        while not self._halt.wait(1):
            for process in self.processes:
                try:
                    self.kib[process.name] = max(self.kib[process.name], process.rss_kib())
                except (OSError, AssertionError):
                    pass  # between two lives

    def stop(self) -> None:
        self._halt.set()
        self.join()


def strike_for(seconds: float, strikes, history: h.History, chance: random.Random, world: World) -> collections.Counter:
    """Blows until the time is over; all of it is healed at the end."""
    struck, end = collections.Counter(), time.monotonic() + seconds
    told, told_at = 0, time.monotonic()
    while time.monotonic() < end:
        time.sleep(chance.uniform(*BETWEEN_SECONDS))
        under_way = []
        for _ in range(2 if chance.random() < AT_ONCE_PROBABILITY else 1):
            strike = chance.choice([one for one in strikes if one.__name__ not in {name for name, *_ in under_way}])
            if under_way and {strike.__name__, under_way[0][0]} in EXCLUDING:
                continue
            blow = strike()
            whom, lasts = next(blow)
            struck[strike.__name__] += 1
            history.add("strikes", fault=strike.__name__, whom=whom, seconds=round(lasts, 3))
            under_way.append((strike.__name__, blow, time.monotonic() + lasts, whom))
        for name, blow, until, whom in sorted(under_way, key=lambda one: one[2]):
            time.sleep(max(0.0, until - time.monotonic()))
            next(blow, None)
            history.add("heals", fault=name, whom=whom)
        if world.told() > told:
            told, told_at = world.told(), time.monotonic()
        elif time.monotonic() > told_at + STALL_SECONDS:
            raise AssertionError(f"no till was told anything for {STALL_SECONDS} s")
    return struck


# Two that would undo each other's process or file.
def _pairs(*groups):
    return [{a, b} for group in groups for a in group for b in group if a != b]


EXCLUDING = _pairs(("kill_gateway", "end_gateway", "stop_gateway", "fill_disk"), ("kill_bridge", "end_bridge", "stop_bridge"),
                   ("kill_kafka", "stop_kafka"), ("cut_kafka", "half_open_kafka"), ("cut_line", "half_open_line", "slow_line"),
                   ("swap_certificate", "expired_certificate", "unknown_authority", "kill_broker", "cut_line", "half_open_line", "slow_line"))


def soak(options, folder: pathlib.Path) -> int:
    history = h.History(folder)
    chance = random.Random(options.seed)
    world = World(folder, options.seed, history)
    failure, struck = "", collections.Counter()
    try:
        world.start()
        watch = Watch([*world.gateways, *world.bridges])
        watch.start()
        strikes = Strikes(world, chance)
        chosen = [one for one in strikes.all if not options.only or one.__name__ in options.only]
        try:
            struck = strike_for(options.minutes * 60, chosen, history, chance, world)
            world.settle(SETTLE_SECONDS)
        except AssertionError as error:
            failure = str(error)
        watch.stop()
        with (folder / "records.jsonl").open("w") as file:
            for record in world.records():
                file.write(json.dumps(record) + "\n")
    finally:
        world.close()
        history.close()
    findings, counts = h.judge(folder)
    for process in [*world.gateways, *world.bridges]:
        for word in ("AddressSanitizer", "runtime error:", "assertion failed"):
            if word in process.log():
                findings.add("sound", f"{word} in {process.log_path}")
    if failure:
        findings.add("goes on", failure)
    for name, kib in watch.kib.items():
        if kib > MEMORY_MAX_MIB[name.split("-")[0]] * 1024:
            findings.add("memory", f"{name} took {kib} KiB")
    if not counts["told"]:
        findings.add("load", "no event was stored: this run proves nothing")
    for line in findings.lines():
        print(line)
    memory = ", ".join(f"{name} {kib / 1024:.0f} MiB" for name, kib in sorted(watch.kib.items()))
    missing = sorted({one.__name__ for one in strikes.all} - set(struck)) if not options.only else []
    print(f"faults: {', '.join(f'{name} {times}' for name, times in struck.most_common())}" + (f"; never: {', '.join(missing)}" if missing else ""))
    print(f"soak: seed {options.seed}, {options.minutes:g} min, {sum(struck.values())} faults, {counts['told']} told, "
          f"{counts['events']} on the stream; at most {memory}: {'BAD, see ' + str(folder) if findings.by_promise else 'good'}")
    return 1 if findings.by_promise else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("minutes", type=float)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("build/soak"))
    parser.add_argument("--only", nargs="*", default=[], metavar="FAULT")
    options = parser.parse_args()
    folder = (options.folder / f"{datetime.datetime.now():%Y%m%d-%H%M%S}-{options.seed}").resolve()
    folder.mkdir(parents=True)
    print(f"soak: seed {options.seed}, history in {folder}", flush=True)
    return soak(options, folder)


if __name__ == "__main__":
    sys.exit(main())
