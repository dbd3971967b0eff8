#!/usr/bin/env python3
"""Bytes an event: on MQTT, and on the gateway's disk (root), beside the bytes of its record and a bare append.

    bytes_row.py BUILD_FOLDER [--rounds N] [--seconds S] [--json FILE]

MQTT: whole PUBLISH packets as the broker gets them, header and topic included: of events that travel alone, and of a backlog that goes up in batches. All
events have a card token. Disk: an ext4 of its own on a loop device; sectors that the device was given, and what the process wrote (/proc/PID/io), both
up to a sync. Lone events by HTTP, one after the other, and at load by the framed door, forwarded, acked and trimmed until the journal is empty. The
floor is a program that appends the same number of bytes and syncs (fdatasync), as often as the gateway committed.
"""
import argparse
import contextlib
import itertools
import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import tempfile

from rows import spread

HERE = pathlib.Path(__file__).resolve().parent
SECTOR_BYTES = 512
NUMBERS = itertools.count(1)
LONE, BACKLOG = 500, 51_200
# The journal's, and twice as many events, each of which takes a page of the log: two checkpoints and what they write.
CHECKPOINT_PAGES, LONE_ON_DISK = 1_000, 2_000


class Publishes:
    """Bytes and numbers of the PUBLISH packets in what a client sends, by kind of handoff message."""

    KINDS = {0x12: "hello", 0x1A: "batch", 0x22: "heartbeat"}

    def __init__(self):
        self._rest, self.bytes, self.count = b"", {}, {}

    def __call__(self, data):
        self._rest += data
        while (packet := self._take()) is not None:
            if packet[0] >> 4 == 3:
                kind = self._kind(packet)
                self.bytes[kind] = self.bytes.get(kind, 0) + len(packet)
                self.count[kind] = self.count.get(kind, 0) + 1

    @staticmethod
    def _remaining(packet):
        """The remaining length, and where it ends; None while it is not whole."""
        length = 0
        for at in range(1, min(5, len(packet))):
            length |= (packet[at] & 0x7F) << 7 * (at - 1)
            if not packet[at] & 0x80:
                return length, at + 1
        return None

    def _take(self):
        head = self._remaining(self._rest)
        if head is None or len(self._rest) < sum(head):
            return None
        packet, self._rest = self._rest[:sum(head)], self._rest[sum(head):]
        return packet

    def _kind(self, packet):
        _, at = self._remaining(packet)
        at += 2 + int.from_bytes(packet[at:at + 2], "big")  # topic
        at += 2 if packet[0] & 0x06 else 0  # packet identifier
        assert packet[at] < 0x80
        at += 1 + packet[at]  # properties
        assert packet[at] == 0x0A, "Up begins with the gateway's id"
        return self.KINDS[packet[at + 2 + packet[at + 1]]]


def event(number):
    import rig as r

    return r.sale("T0010001", f"lone-{number:06}", card_number="4111111111111111", entry_mode="contactless", auth_code="123456",
                  rrn=f"6327{number:08}", till_id="till-03", operator_id="0042")


def token_key(build, folder):
    """The gateway's, derived as an operator does it."""
    master, out = folder / "master.key", folder / "token.key"
    master.touch(mode=0o600)
    master.write_bytes(bytes(range(32)))
    subprocess.run([build / "bin" / "tillstream-bridge", "token-key", "derive", "--master", master, "--gateway", "shop-0001", "--out", out],
                   check=True, capture_output=True)
    return {"card": {"token_key_file": str(out)}}


def record_bytes(gateway):
    """On average; the gateway is stopped."""
    journal = sqlite3.connect(gateway.state_dir / "journal.db")
    try:
        return journal.execute("SELECT avg(length(record)) FROM rows").fetchone()[0]
    finally:
        journal.close()


def load(build, door, port, connections, in_flight, seconds, number):
    subprocess.run([build / "bin" / "intake_load", door, str(port), str(connections), str(in_flight), str(seconds), str(number)],
                   check=True, capture_output=True)


def lone(gateway, count, after=lambda: None):
    """One event after the other by HTTP."""
    for _ in range(count):
        assert gateway.submit(event(next(NUMBERS)))[0] == 201
        after()


def submitted(gateway):
    return gateway.metric("tillstream_gateway_events_submitted_total")


def drained(gateway):
    import rig as r

    r.wait_for("all in the stream", lambda: gateway.status()["pending_events"] == 0, 120)


def on_mqtt(build, folder, number):
    import rig as r

    rig = r.Rig(folder, gateway=token_key(build, folder) | {"journal": {"quota": "4GiB"}}, start=False)
    rig.relay.close()
    heard = Publishes()
    rig.relay = r.Relay(rig.broker.port, heard)
    rig.gateway.tables["uplink"]["broker"] = f"mqtt://127.0.0.1:{rig.relay.port}"
    rig.gateway.write()
    try:
        for process in (rig.broker, rig.bridge, rig.gateway):
            rig.begin(process)
        drained(rig.gateway)
        lone(rig.gateway, LONE, lambda: drained(rig.gateway))
        alone = {"bytes": heard.bytes["batch"] / LONE, "batches": heard.count["batch"], "events": LONE}
        rig.relay.set("cut")
        heard.bytes["batch"] = heard.count["batch"] = 0
        before = submitted(rig.gateway)
        while submitted(rig.gateway) - before < BACKLOG:
            number += 1
            load(build, "framed", rig.gateway.framed_port, 64, 16, 1, number)
        events = submitted(rig.gateway) - before
        rig.relay.set("pass")
        drained(rig.gateway)
        loaded = {"bytes": heard.bytes["batch"] / events, "batches": heard.count["batch"], "events": events}
        rig.gateway.terminate()
        return {"lone": alone, "backlog": loaded, "record": record_bytes(rig.gateway)}
    finally:
        rig.close()


class Disk:
    """A disk of its own, and what has been written to it."""

    def __init__(self, folder):
        from stalling_disk import StallingDisk

        self._disk = StallingDisk(folder)
        self.path = self._disk.path
        device = next(line.split()[0] for line in pathlib.Path("/proc/mounts").read_text().splitlines() if line.split()[1] == str(self.path))
        self._stat = pathlib.Path("/sys/block") / pathlib.Path(device).name / "stat"

    def written(self):
        subprocess.run(["sync", "-f", self.path], check=True)
        return int(self._stat.read_text().split()[6]) * SECTOR_BYTES

    def close(self):
        self._disk.close()


def process_written(process):
    for line in pathlib.Path(f"/proc/{process.popen.pid}/io").read_text().splitlines():
        if line.startswith("write_bytes:"):
            return int(line.split()[1])
    raise AssertionError(f"{process.name} has no write_bytes")


def bare_append(build, disk, bytes_, count):
    """Bytes at the device for each append."""
    before = disk.written()
    subprocess.run([build / "bin" / "bare_append", disk.path / "bare", str(round(bytes_)), str(count)], check=True)
    written = disk.written() - before
    (disk.path / "bare").unlink()
    return written / count


def on_disk(build, folder, seconds, number, record, loaded):
    import rig as r

    with contextlib.ExitStack() as stack:
        disk = Disk(folder)
        stack.callback(disk.close)
        rig = r.Rig(folder, gateway=token_key(build, folder) | {"gateway": {"state_dir": str(disk.path / "state")}, "journal": {"retention": "1min"}},
                    start=False)
        rig.gateway.state_dir = disk.path / "state"
        stack.callback(rig.close)
        for process in (rig.broker, rig.bridge, rig.gateway) if loaded else (rig.gateway,):
            rig.begin(process)
        lone(rig.gateway, CHECKPOINT_PAGES)  # the log has its size, and holds no pages of anything else: from now on it is written over
        begun = {"events": submitted(rig.gateway), "disk": disk.written(), "process": process_written(rig.gateway),
                 "commits": rig.gateway.metric("tillstream_gateway_append_seconds_count")}
        if loaded:
            load(build, "framed", rig.gateway.framed_port, 64, 16, seconds, number + 1)
            drained(rig.gateway)
            r.wait_for("all rows trimmed", lambda: rig.gateway.metric("tillstream_gateway_journal_rows") == 0, 180)
        else:
            lone(rig.gateway, LONE_ON_DISK)
        events = submitted(rig.gateway) - begun["events"]
        group = events / (rig.gateway.metric("tillstream_gateway_append_seconds_count") - begun["commits"])
        result = {"events": events, "group": group, "disk": (disk.written() - begun["disk"]) / events,
                  "process": (process_written(rig.gateway) - begun["process"]) / events}
        rig.gateway.terminate()
        result["record"] = record
        result["bare"] = bare_append(build, disk, result["record"] * group, min(2_000, round(events / group))) / group
        return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    build = options.build.resolve()
    os.environ["TILLSTREAM_BIN"] = str(build / "bin")
    sys.path[:0] = [str(HERE.parent / "system"), str(HERE.parent / "support")]
    runs = []
    for number in range(options.rounds):
        run = {}
        with tempfile.TemporaryDirectory(prefix="tillstream-bench-") as folder:
            run["mqtt"] = on_mqtt(build, pathlib.Path(folder), 1000 * number)
        for name, loaded in (("lone", False), ("loaded", True)) if os.geteuid() == 0 else ():
            with tempfile.TemporaryDirectory(prefix="tillstream-bench-") as folder:
                run[name] = on_disk(build, pathlib.Path(folder), options.seconds, 1000 * number + 500, run["mqtt"]["record"], loaded)
        runs.append(run)
    result = {"record": spread([run["mqtt"]["record"] for run in runs])}
    record = result["record"]["median"]
    for name in ("lone", "backlog"):
        seen = [run["mqtt"][name] for run in runs]
        row = result[f"mqtt {name}"] = {"bytes": spread([one["bytes"] for one in seen]),
                                        "batch": spread([one["events"] / one["batches"] for one in seen])}
        print(f"bytes  MQTT, {name:8} {row['bytes']['median']:6.0f} bytes an event ({row['bytes']['least']:.0f} … {row['bytes']['most']:.0f})   "
              f"{row['bytes']['median'] / record:.2f} of its record's {record:.0f}   {row['batch']['median']:.0f} events a batch")
    for name in ("lone", "loaded"):
        seen = [run[name] for run in runs if name in run]
        if not seen:
            print(f"bytes  disk, {name}: needs root")
            continue
        row = result[f"disk {name}"] = {which: spread([one[which] for one in seen]) for which in ("disk", "process", "bare", "group")}
        row["of_bare"], row["of_record"] = (spread([one["disk"] / one[which] for one in seen]) for which in ("bare", "record"))
        print(f"bytes  disk, {name:8} {row['disk']['median']:6.0f} bytes an event ({row['disk']['least']:.0f} … {row['disk']['most']:.0f})   "
              f"{row['of_bare']['median']:.2f} of the bare append's {row['bare']['median']:.0f}   {row['of_record']['median']:.1f} of its record   "
              f"{row['process']['median']:.0f} by the process   {row['group']['median']:.0f} events a commit")
    if options.json:
        options.json.write_text(json.dumps(result | {"runs": runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
