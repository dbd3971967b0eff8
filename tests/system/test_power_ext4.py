"""Power cuts under a real ext4: gateway and bridge at work on a disk that writes down what it is told (tests/support/logged_disk.py), and what any cut leaves."""
import collections
import json
import os
import sqlite3
import subprocess
import threading

import pytest

import rig as r
from logged_disk import LoggedDisk, PowerCuts, is_possible

CUTS = int(os.environ.get("TILLSTREAM_CUTS", "40"))
RESTARTS = 2


@pytest.fixture
def disk(tmp_path):
    if not is_possible():
        pytest.skip("mounting needs root, /dev/fuse and a loop device")
    made = LoggedDisk(tmp_path)
    yield made
    made.close()


class Told(dict):
    """A terminal's answers, and where the disk stood when each one came."""

    def __init__(self, disk):
        super().__init__()
        self.disk, self.at = disk, {}

    def __setitem__(self, ref, answer):
        super().__setitem__(ref, answer)
        self.at[ref] = self.disk.position()


class Reader(threading.Thread):
    """A consumer of the stream: how many records it was shown, and where the disk stood afterwards."""

    def __init__(self, disk, stream):
        super().__init__(daemon=True)
        self.disk, self.stream, self.seen, self._halt = disk, stream, [], threading.Event()

    def run(self):
        while not self._halt.wait(0.02):
            try:
                count = self.stream.count("true")
            except sqlite3.Error:
                continue  # no stream yet
            self.seen.append((self.disk.position(), count))

    def stop(self):
        self._halt.set()
        self.join(30)


def exported(gateway):
    """The journal's events, as the program itself reads them without a gateway running."""
    done = subprocess.run([r.BIN / "tillstream-gateway", "journal", "export", "--config", gateway.config], capture_output=True, text=True, check=False,
                          env={**os.environ, **r.SANITIZER_ENV})
    assert done.returncode == 0, f"journal export: {done.stdout[-500:]} {done.stderr[-2000:]}"
    *events, end = [json.loads(line) for line in done.stdout.splitlines()]
    assert end == {"complete": True, "rows": len(events)}, end
    return events


def judge_journal(events, terminals, position):
    """Every event that was answered before the cut, once, as it was answered; and none that nobody submitted."""
    counts = collections.Counter((event["terminal_id"], event["terminal_ref"]) for event in events)
    doubled = [place for place, count in counts.items() if count > 1]
    assert not doubled, f"twice in the journal: {doubled[:5]}"
    ids = {(event["terminal_id"], event["terminal_ref"]): event["event_id"] for event in events}
    answered = 0
    for terminal in terminals:
        for ref, at in terminal.told.at.items():
            if at <= position:
                answered += 1
                assert ids.get((terminal.terminal_id, ref)) == terminal.told[ref]["event_id"], f"{terminal.terminal_id} {ref}: answered, and not there"
    invented = ids.keys() - {(terminal.terminal_id, ref) for terminal in terminals for ref in terminal.submitted}
    assert not invented, f"nobody submitted {sorted(invented)[:5]}"
    return answered


def judge_stream(path, events, shown):
    """What a reader was shown is there; events and progress fit together; and nothing that the journal has not."""
    if shown == 0 and not path.exists():
        return
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        tables = {name for name, in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if shown == 0 and "events" not in tables:
            return
        rows = connection.execute("SELECT position, gateway_id, epoch, seq, event_id FROM events ORDER BY position").fetchall()
        progress = {(gateway, epoch): seq for gateway, epoch, seq in connection.execute("SELECT gateway_id, epoch, seq FROM progress") if seq > 0}
    finally:
        connection.close()
    assert len(rows) >= shown, f"a reader was shown {shown} records, {len(rows)} are there"
    assert [row[0] for row in rows] == list(range(1, len(rows) + 1)), "positions have gaps"
    last = {}
    for _, gateway, epoch, seq, _ in rows:
        assert seq == last.get((gateway, epoch), 0) + 1, f"seq {seq} follows {last.get((gateway, epoch), 0)}"
        last[(gateway, epoch)] = seq
    assert last == progress, "events and progress are of different moments"
    unknown = {row[4] for row in rows} - {event["event_id"] for event in events}
    assert not unknown, f"in the stream and not in the journal: {sorted(unknown)[:5]}"


def test_whenever_the_power_goes_ext4_has_what_was_answered_and_what_readers_were_shown(disk, make_rig, seed):
    path = disk.path / "stream.db"
    rig = make_rig(gateway={"gateway": {"state_dir": str(disk.path / "gateway" / "state")}}, bridge={"stream.sqlite": {"path": str(path)}}, start=False)
    rig.bridge.stream, rig.stream = path, r.Stream(path)
    begin = disk.position()
    for process in (rig.broker, rig.bridge, rig.gateway):
        rig.begin(process)
    reader = Reader(disk, rig.stream)
    reader.start()
    for number in range(3):
        terminal = r.Terminal(rig.gateway, f"T{number}", 0.01)
        terminal.told = Told(disk)
        rig.terminals.append(terminal)
        terminal.start()
    for victim in (rig.gateway, rig.bridge):
        rig.wait_told(seed.randint(60, 150))
        rig.restart(victim)
    rig.wait_told(100)
    for terminal in rig.terminals:
        terminal.stop()
    reader.stop()
    rig.gateway.kill9()
    rig.bridge.kill9()
    end = disk.position()

    cuts = PowerCuts(disk)
    # As often behind a flush as in the midst of writes.
    places = [[at for at, is_flush in cuts.ends() if is_flush is kind and begin < at <= end] for kind in (False, True)]
    chosen = sorted(seed.sample(places[0], CUTS // 2) + seed.sample(places[1], CUTS - CUTS // 2))
    restarted = set(seed.sample(range(CUTS), RESTARTS))
    answered = 0
    for number, position in enumerate(chosen):
        cuts.go_to(position)
        disk.mount_left(cuts.left(seed))
        shown = max((count for at, count in reader.seen if at <= position), default=0)
        told = sum(at <= position for terminal in rig.terminals for at in terminal.told.at.values())
        if told == 0 and not (disk.path / "gateway" / "state" / "journal.db").exists():
            events = []
        else:
            events = exported(rig.gateway)
            answered = judge_journal(events, rig.terminals, position)
        judge_stream(path, events, shown)
        if number in restarted and told > 0:
            go_on(rig, seed, position)
    writes, flushes = cuts.writes, cuts.flushes
    print(f"ext4: {CUTS} cuts among {writes} writes and {flushes} flushes; {answered} events answered before the last one")
    assert answered > 0, "no event was answered before the last cut: this run proves nothing"


def go_on(rig, seed, position):
    """Gateway and bridge start on what is left: a repeat gets its answer, a new event is taken, all of it comes to the stream."""
    terminal = seed.choice([one for one in rig.terminals if any(at <= position for at in one.told.at.values())])
    ref = seed.choice([ref for ref, at in terminal.told.at.items() if at <= position])
    for process in (rig.bridge, rig.gateway):
        rig.begin(process)
    status, answer = rig.gateway.submit(r.sale(terminal.terminal_id, ref, 100 + int(ref) % 9000))
    assert (status, answer["event_id"]) == (200, terminal.told[ref]["event_id"]), f"{status} {answer}"
    status, answer = rig.gateway.submit(r.sale("T9", "1"))
    assert status == 201, f"{status} {answer}"
    r.wait_for("the new event in the stream", lambda: rig.stream.count(f"event_id = '{answer['event_id']}'") == 1)
    for process in (rig.gateway, rig.bridge):
        process.kill9()
