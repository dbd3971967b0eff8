"""Restored disk images, swapped boxes, clones, lost and damaged journals."""
import json
import re
import shutil
import sqlite3
import subprocess

import pytest

import rig as r


def image(rig, name):
    """A copy of the state folder, taken while the gateway is down."""
    rig.gateway.kill9()
    copy = rig.folder / name
    shutil.copytree(rig.gateway.state_dir, copy)
    rig.begin(rig.gateway)
    return copy


def restore(rig, copy):
    rig.gateway.kill9()
    shutil.rmtree(rig.gateway.state_dir)
    shutil.copytree(copy, rig.gateway.state_dir)
    rig.begin(rig.gateway)


def pause(rig):
    """Every event in the stream, terminals silent."""
    rig.settle()
    r.wait_for("the gateway knows", lambda: rig.gateway.status()["pending_events"] == 0)


def test_an_old_image_is_restored_twice_and_neither_repeats_nor_loses_a_row(make_rig):
    rig = make_rig()
    rig.tap(2)
    rig.wait_told(200)
    pause(rig)
    old = image(rig, "image")
    rig.tap(2)
    rig.wait_told(200)
    pause(rig)
    for _ in range(2):
        restore(rig, old)
        rig.tap(2)
        rig.wait_told(200)
        pause(rig)
    epochs = {row["epoch"] for row in rig.stream.rows() if row["seq"] is not None}
    assert len(epochs) >= 2
    assert any(n["notice"] == "journal_epoch_started" for n in rig.stream.notices())


def test_a_restored_image_tells_which_repeats_it_cannot_recognise(make_rig):
    rig = make_rig()
    kept = [r.sale("T1", f"k{n:02}", 1000 + n) for n in range(10)]
    later = [r.sale("T1", f"l{n:02}", 2000 + n) for n in range(10)]
    assert all(rig.gateway.submit(event)[0] == 201 for event in kept)
    pause_until_sent(rig)
    old = image(rig, "image")
    assert not [n for n in rig.stream.notices() if n["notice"] == "duplicate_window_shrunk"]
    assert all(rig.gateway.submit(event)[0] == 201 for event in later)
    pause_until_sent(rig)
    lacking = [row for row in rig.stream.rows() if row["type"] != "notice" and json.loads(row["value"])["terminal_ref"] >= "l"]
    restore(rig, old)
    assert [rig.gateway.submit(event)[0] for event in kept] == [200] * 10
    r.wait_for("the notice", lambda: shrunk(rig))
    assert [rig.gateway.submit(event)[0] for event in later] == [201] * 10
    pause_until_sent(rig)
    (notice,) = shrunk(rig)
    assert notice["detail_reason"] == "journal_behind_stream" and notice["detail_window_seconds"] == "0"
    assert {row["epoch"] for row in lacking} == {notice["detail_epoch"]}
    seqs = [row["seq"] for row in lacking]
    assert (notice["detail_first_seq"], notice["detail_last_seq"]) == (str(min(seqs)), str(max(seqs)))
    # Once: a restart says nothing more.
    rig.gateway.kill9()
    rig.begin(rig.gateway)
    assert rig.gateway.submit(r.sale("T1", "m"))[0] == 201
    pause_until_sent(rig)
    assert shrunk(rig) == [notice]


def shrunk(rig):
    return [n for n in rig.stream.notices() if n["notice"] == "duplicate_window_shrunk"]


def test_rows_of_an_image_that_never_went_up_are_sent_in_a_new_epoch(make_rig):
    rig = make_rig()
    rig.tap(1)
    rig.wait_told(100)
    pause(rig)
    rig.relay.set("cut")
    rig.tap(1)
    rig.wait_told(100)
    rig.terminals[-1].stop()
    waiting = image(rig, "image")        # holds 100 rows and more that the stream has not
    rig.relay.set("pass")
    rig.settle()
    restore(rig, waiting)
    rig.tap(1)
    rig.wait_told(100)
    rig.settle()


def test_a_new_disk_goes_on_in_a_new_epoch_and_the_loss_is_reported(make_rig):
    rig = make_rig()
    rig.tap(2)
    rig.wait_told(200)
    pause(rig)
    rig.gateway.kill9()
    shutil.rmtree(rig.gateway.state_dir)
    rig.begin(rig.gateway)
    rig.tap(2)
    rig.wait_told(200)
    rig.settle()
    lost = [n for n in rig.stream.notices() if n["notice"] == "events_lost"]
    assert len(lost) == 1, rig.stream.notices()


def test_a_clone_beside_the_live_box_is_quarantined_and_both_go_on_storing(make_rig):
    rig = make_rig()
    rig.tap(1)
    rig.wait_told(100)
    pause(rig)
    copy = image(rig, "image")
    clone = r.Gateway(rig.folder, rig.broker.port, rig.gateway.gateway_id, name="clone", state_dir=copy)
    rig.others.append(clone)
    # One broker, one client id: brokers let the newer connection win, so each box has a broker of its own here.
    rig.begin(clone)
    rig.tap(1)
    rig.tap(1, gateway=clone)
    r.wait_for("the notice", lambda: any(n["notice"] == "gateway_cloned" for n in rig.stream.notices()), 120)
    rig.wait_told(100)
    for terminal in rig.terminals:
        terminal.stop()
    rows = [json.loads(row["value"]) for row in rig.stream.rows() if row["type"] != "notice"]
    keys = [(event["terminal_id"], event["terminal_ref"]) for event in rows if not event.get("possible_repeat")]
    assert len(keys) == len(set(keys)), "a row twice without possible_repeat"


def test_a_damaged_journal_is_set_aside_salvaged_and_reported(make_rig):
    rig = make_rig()
    rig.tap(2)
    rig.wait_told(300)
    pause(rig)
    rig.relay.set("cut")
    rig.tap(2)
    rig.wait_told(300)
    for terminal in rig.terminals:
        terminal.stop()
    rig.gateway.terminate()
    journal = next(path for path in rig.gateway.state_dir.iterdir() if path.name.endswith(".db"))
    size = journal.stat().st_size
    with open(journal, "r+b") as file:   # the middle of the file: pages of rows
        file.seek(size // 2 // 4096 * 4096)
        file.write(b"\xff" * 8192)
    rig.begin(rig.gateway)
    rig.relay.set("pass")
    rig.tap(1)
    rig.wait_told(100)
    rig.terminals[-1].stop()
    r.wait_for("the gateway knows", lambda: rig.gateway.status()["pending_events"] == 0, 60)
    seen = {}
    for row in rig.stream.rows():
        if row["type"] != "notice":
            event = json.loads(row["value"])
            seen[(event["terminal_id"], event["terminal_ref"])] = seen.get((event["terminal_id"], event["terminal_ref"]), 0) + 1
    assert max(seen.values()) == 1
    told = {(t.terminal_id, ref) for t in rig.terminals for ref in t.told}
    lost = told - seen.keys()
    notices = {n["notice"] for n in rig.stream.notices()}
    assert not lost or "events_lost" in notices, (len(lost), notices)
    assert len(lost) < 200, "a page's worth of rows is lost, not the journal"
    assert any("damaged" in path.name or "aside" in path.name for path in rig.gateway.state_dir.iterdir())


@pytest.mark.parametrize("damage", ["first page zeroed", "database gone, its log there"])
def test_of_a_damaged_first_page_nothing_is_told_as_lost_and_nothing_repeats(make_rig, damage):
    rig = make_rig()
    rig.tap(2)
    rig.wait_told(100)
    pause(rig)
    rig.relay.set("cut")
    rig.tap(2)
    rig.wait_told(200)
    for terminal in rig.terminals:
        terminal.stop()
    journal = rig.gateway.state_dir / "journal.db"
    if damage == "first page zeroed":
        rig.gateway.terminate()
        with open(journal, "r+b") as file:
            file.write(b"\0" * 100)
    else:
        rig.gateway.kill9()
        assert journal.with_name("journal.db-wal").stat().st_size > 0
        journal.unlink()
    rig.begin(rig.gateway)
    rig.relay.set("pass")
    rig.tap(1)
    rig.wait_told(50)
    rig.settle()                             # each event once, in order
    assert "damaged" in rig.gateway.log()
    assert not [n for n in rig.stream.notices() if n["notice"] == "events_lost"], rig.stream.notices()
    assert rig.stream.count("value LIKE '%possible_repeat%'") == 0


@pytest.mark.parametrize("pages, key_copy", [((2, 3), True), ((2, 3), False), ((3, 1), False), ((1, 1), True)])
def test_of_a_damaged_catalog_kept_events_are_known_again(make_rig, pages, key_copy):
    rig = make_rig()
    gateway = rig.gateway
    events = [r.sale("T1", f"k{n:04}", 1000 + n) for n in range(150)]
    told = [gateway.submit(event) for event in events]
    assert all(status == 201 for status, _ in told)
    pause_until_sent(rig)
    gateway.terminate()
    with open(gateway.state_dir / "journal.db", "r+b") as file:
        file.seek((pages[0] - 1) * 4096)
        file.write(bytes(pages[1] * 4096))
    if not key_copy:
        (gateway.state_dir / "journal.key").unlink()
    rig.begin(gateway)
    assert "damaged" in gateway.log()
    again = [gateway.submit(event) for event in events]
    pause_until_sent(rig)
    new = [event["terminal_ref"] for event, (status, _) in zip(events, again) if status != 200]
    for (_, first), (status, repeat) in zip(told, again):
        assert status == 201 or repeat["event_id"] == first["event_id"]
    notices = rig.stream.notices()
    # A page of rows at most is gone, and the stream is told.
    assert len(new) < 30, new
    assert not new or any(n["notice"] in ("events_lost", "duplicate_window_shrunk") for n in notices), notices
    ids = {}
    for row in rows_of(rig):
        ids.setdefault(row["terminal_ref"], set()).add(row["event_id"])
    assert sorted(ref for ref, found in ids.items() if len(found) > 1) == sorted(new)


def test_of_a_damaged_log_nothing_is_lost_silently(make_rig):
    rig = make_rig()
    gateway = rig.gateway
    rig.relay.set("cut")
    told = {f"k{n:04}" for n in range(300) if gateway.submit(r.sale("T1", f"k{n:04}"))[0] == 201}
    gateway.kill9()
    log = gateway.state_dir / "journal.db-wal"
    with open(log, "r+b") as file:
        file.seek(log.stat().st_size * 7 // 10)
        file.write(bytes(range(100)))
    rig.begin(gateway)
    rig.relay.set("pass")
    assert "damaged (the log" in gateway.log()
    r.wait_for("the end", lambda: any(event["terminal_ref"] == "k0299" for event in rows_of(rig)))
    pause_until_sent(rig)
    refs = [event["terminal_ref"] for event in rows_of(rig)]
    assert len(refs) == len(set(refs)) > 250 and set(refs) <= told
    assert any(n["notice"] == "events_lost" for n in rig.stream.notices())


@pytest.mark.parametrize("bytes_damaged", [range(32), range(13, 14)])
def test_of_a_damaged_header_of_the_log_nothing_is_lost_told_or_repeated(make_rig, bytes_damaged):
    rig = make_rig()
    rig.tap(2)
    rig.wait_told(100)
    pause(rig)
    rig.relay.set("cut")
    rig.tap(2)
    rig.wait_told(200)
    for terminal in rig.terminals:
        terminal.stop()
    rig.gateway.kill9()
    with open(rig.gateway.state_dir / "journal.db-wal", "r+b") as file:
        header = bytearray(file.read(32))
        for at in bytes_damaged:
            header[at] ^= 0x55
        file.seek(0)
        file.write(header)
    rig.begin(rig.gateway)
    rig.relay.set("pass")
    rig.tap(1)
    rig.wait_told(50)
    rig.settle()                             # each event once, in order
    assert "damaged (the log: its header is damaged)" in rig.gateway.log()
    assert not [n for n in rig.stream.notices() if n["notice"] == "events_lost"], rig.stream.notices()
    assert rig.stream.count("value LIKE '%possible_repeat%'") == 0


def test_a_damaged_row_found_in_use_is_told_as_what_was_seen(make_rig):
    rig = make_rig()
    gateway = rig.gateway
    # More than SQLite keeps in memory: the first rows are read from the file again.
    for first in range(0, 10_000, 1_000):
        lines = "\n".join(json.dumps(r.sale("T1", f"k{n:04}", attributes={"note": "x" * 100})) for n in range(first, first + 1_000))
        status, body = r.get(gateway.http_port, "/v1/events/batch", 30, "POST", lines, {"Content-Type": "application/x-ndjson"})
        assert status == 200 and {json.loads(line)["status"] for line in body.splitlines()} == {201}
    pause_until_sent(rig)
    gateway.terminate()
    rig.begin(gateway)
    with open(gateway.state_dir / "journal.db", "r+b") as file:
        file.seek(file.read().index(b"k0005"))
        file.write(b"k0!05")
    status, body = gateway.submit(r.sale("T1", "k0005"))
    assert (status, body["error"]["code"]) == (503, "storage")
    assert "disk" not in body["error"]["message"]
    r.wait_for("the salvage", lambda: "set aside" in gateway.log())
    assert re.search(r"journal: damaged \(row \d+: its CRC differs\); saving what can be read", gateway.log())
    assert "disk" not in gateway.log()
    r.wait_for("the journal is open", lambda: gateway.status()["journal"]["state"] == "open")
    assert gateway.submit(r.sale("T1", "k0006"))[0] == 200


def pause_until_sent(rig):
    r.wait_for("the gateway knows", lambda: rig.gateway.status()["pending_events"] == 0)


def test_a_journal_of_a_newer_schema_is_refused_untouched(make_rig):
    rig = make_rig()
    rig.gateway.submit(r.sale("T1", "1"))
    rig.gateway.terminate()
    journal = next(path for path in rig.gateway.state_dir.iterdir() if path.name.endswith(".db"))
    connection = sqlite3.connect(journal)
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    before = journal.read_bytes()
    done = subprocess.run(rig.gateway.argv, cwd=rig.folder, env=rig.gateway.env, capture_output=True, timeout=30, text=True)
    assert done.returncode in (1, 78) and "999" in done.stderr and "newer" in done.stderr, done
    assert journal.read_bytes() == before


def test_a_second_gateway_on_the_same_state_folder_is_refused(make_rig):
    rig = make_rig()
    second = r.Gateway(rig.folder, rig.relay.port, name="second", state_dir=rig.gateway.state_dir)
    done = subprocess.run(second.argv, cwd=rig.folder, env=second.env, capture_output=True, timeout=30, text=True)
    assert done.returncode in (1, 78) and str(rig.gateway.state_dir) in done.stderr, done
    assert rig.gateway.submit(r.sale("T1", "1"))[0] == 201


def rows_of(rig):
    return [json.loads(row["value"]) for row in rig.stream.rows() if row["type"] != "notice"]


def places(rig):
    return {(row["terminal_id"], row["terminal_ref"]) for row in rows_of(rig)}


def test_a_wiped_stream_is_filled_again_and_what_it_had_is_marked(make_rig):
    rig = make_rig()
    rig.tap(2)
    rig.wait_told(200)
    pause(rig)
    had = places(rig)
    rig.relay.set("cut")
    rig.tap(1)
    rig.wait_told(50)
    rig.terminals[-1].stop()
    rig.bridge.terminate()
    for path in rig.folder.glob("stream.db*"):
        path.unlink()
    rig.begin(rig.bridge)
    rig.relay.set("pass")
    rig.settle()
    for event in rows_of(rig):
        known = (event["terminal_id"], event["terminal_ref"]) in had
        assert event.get("possible_repeat", False) == known, event
    assert had <= places(rig)
    r.wait_for("the notice", lambda: any(n["notice"] == "journal_epoch_started" for n in rig.stream.notices()))


def test_a_stream_restored_from_a_backup_of_an_older_epoch_marks_what_it_had(make_rig):
    rig = make_rig()
    rig.tap(1)
    rig.wait_told(100)
    pause(rig)
    rig.bridge.terminate()
    backup = rig.folder / "backup"
    backup.mkdir()
    for path in rig.folder.glob("stream.db*"):
        shutil.copy(path, backup)
    in_backup = {event["event_id"] for event in rows_of(rig)}
    for path in rig.folder.glob("stream.db*"):       # wiped: the gateway goes on in an epoch that the backup does not know
        path.unlink()
    rig.begin(rig.bridge)
    rig.tap(1)
    rig.wait_told(100)
    pause(rig)
    had = {event["event_id"] for event in rows_of(rig)}
    rig.bridge.terminate()
    for path in rig.folder.glob("stream.db*"):
        path.unlink()
    for path in backup.iterdir():
        shutil.copy(path, rig.folder)
    rig.begin(rig.bridge)
    rig.tap(1)
    rig.wait_told(50)
    rig.settle()
    repeated = {event["event_id"] for event in rows_of(rig) if event.get("possible_repeat")}
    assert repeated == had - in_backup, (len(repeated), len(had), len(in_backup))
