"""What happened, kept line by line, and the judgement of it.

    history.py FOLDER     judges a kept run once more

It shares no code with the product nor with the judge of the system tests: it knows what tills were told, and what a reader of committed data sees.
"""
from __future__ import annotations

import collections
import json
import pathlib
import sys
import threading
import time

NAMED_MAX = 5


class History:
    """FOLDER/history.jsonl: one object a line, `t` in seconds since the beginning. Thread-safe."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._file = (folder / "history.jsonl").open("w", buffering=1 << 16)
        self._lock, self._begun = threading.Lock(), time.monotonic()

    def add(self, what: str, **more) -> None:
        with self._lock:
            self._file.write(json.dumps({"t": round(time.monotonic() - self._begun, 4), "what": what, **more}) + "\n")

    def close(self) -> None:
        with self._lock:
            self._file.close()


def lines_of(path: pathlib.Path):
    with path.open() as file:
        for line in file:
            yield json.loads(line)


class Findings:
    def __init__(self) -> None:
        self.by_promise: dict[str, list[str]] = collections.defaultdict(list)

    def add(self, promise: str, text: str) -> None:
        self.by_promise[promise].append(text)

    def lines(self) -> list[str]:
        shown = []
        for promise, texts in self.by_promise.items():
            shown += [f"[{promise}] {text}" for text in texts[:NAMED_MAX]]
            if len(texts) > NAMED_MAX:
                shown.append(f"[{promise}] … and {len(texts) - NAMED_MAX} more")
        return shown


def judge(folder: pathlib.Path) -> tuple[Findings, dict[str, int]]:
    findings, submitted, told = Findings(), {}, {}
    for line in lines_of(folder / "history.jsonl"):
        sale = (line.get("terminal"), line.get("ref"))
        if line["what"] == "submits":
            submitted[sale] = line["amount"]
        elif line["what"] == "told":
            told[sale] = line
        elif line["what"] == "surprise":
            findings.add("answers", f"{sale} heard {line['status']}: {line['answer']}")
    seen: dict[tuple, dict] = {}
    places: dict[tuple, set[int]] = collections.defaultdict(set)
    last_in_partition: dict[tuple, int] = {}
    last_ref: dict[str, str] = {}
    records = 0
    for record in lines_of(folder / "records.jsonl"):
        records += 1
        event = record["value"]
        judge_place(findings, record, event, places, last_in_partition)
        if event["type"] == "notice":
            if tells_a_loss(event):
                findings.add("nothing lost", f"a notice says {event['notice']}: {event}")
            continue
        sale = (event["terminal_id"], event["terminal_ref"])
        if sale in seen:
            findings.add("once", f"{sale} is there as {seen[sale]['event_id']} and {event['event_id']}")
        if event.get("possible_repeat"):
            findings.add("once", f"{sale} is marked possible_repeat without need")
        if sale not in submitted:
            findings.add("nothing invented", f"{sale} was submitted by nobody")
        elif event["amount_minor"] != submitted[sale]:
            findings.add("unchanged", f"{sale} has {event['amount_minor']} instead of {submitted[sale]}")
        if last_ref.get(sale[0], "") >= sale[1]:
            findings.add("in order", f"{sale[0]}: {sale[1]} follows {last_ref[sale[0]]}")
        last_ref[sale[0]] = sale[1]
        seen[sale] = event
    judge_epochs(findings, places)
    judge_told(findings, told, seen)
    return findings, {"submitted": len(submitted), "told": len(told), "records": records, "events": len(seen)}


def tells_a_loss(notice) -> bool:
    """No fault of a soak takes a disk away, so nothing is lost, nor what repeats are known by. A small quota does make the time shorter for
    which they are known, and the notice of that says so in seconds."""
    if notice["notice"] == "duplicate_window_shrunk":
        return "detail_window_seconds" not in notice
    return notice["notice"] == "events_lost"


def judge_place(findings, record, event, places, last_in_partition) -> None:
    if "seq" not in event:
        return  # the bridge's own
    epoch = (event["gateway_id"], event["epoch"])
    if event["seq"] in places[epoch]:
        findings.add("once", f"{epoch}: seq {event['seq']} twice")
    places[epoch].add(event["seq"])
    here = (*epoch, record["partition"])
    if last_in_partition.get(here, 0) > event["seq"]:
        findings.add("in order", f"{here}: seq {event['seq']} after {last_in_partition[here]}")
    last_in_partition[here] = event["seq"]


def judge_epochs(findings, places) -> None:
    for epoch, seqs in places.items():
        if seqs != set(range(1, len(seqs) + 1)):
            findings.add("no gap", f"{epoch}: {len(seqs)} events up to seq {max(seqs)}")


def judge_told(findings, told, seen) -> None:
    for sale, answer in told.items():
        event = seen.get(sale)
        if event is None:
            findings.add("nothing lost", f"{sale} was told to be stored as {answer['event_id']}")
        elif event["event_id"] != answer["event_id"]:
            findings.add("as told", f"{sale} was told {answer['event_id']} and is {event['event_id']}")
        elif event["epoch"] == answer["epoch"] and event["seq"] != answer["seq"]:
            findings.add("as told", f"{sale} was told seq {answer['seq']} and has {event['seq']}")


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    findings, counts = judge(pathlib.Path(sys.argv[1]))
    for line in findings.lines():
        print(line)
    print(f"{counts['told']} told, {counts['events']} events in {counts['records']} records: {'bad' if findings.by_promise else 'good'}")
    return 1 if findings.by_promise else 0


if __name__ == "__main__":
    sys.exit(main())
