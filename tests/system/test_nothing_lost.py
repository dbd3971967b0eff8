"""Nothing that a terminal was told is stored is ever lost, doubled or out of order: kill -9, bad brokers, bad lines, full disks."""
import json
import os
import signal
import subprocess
import time

import pytest

import rig as r

# 600 rounds make a soak; CI's share is small enough to run often.
ROUNDS = int(os.environ.get("TILLSTREAM_ROUNDS", "12"))


def test_kill_9_of_gateway_bridge_and_broker_at_random_moments(make_rig, seed):
    rig = make_rig()
    rig.tap(4)
    for _ in range(ROUNDS):
        rig.wait_told(seed.randint(1, 150))
        for process in seed.sample([rig.gateway, rig.bridge, rig.broker], seed.randint(1, 2)):
            process.kill9()
            if seed.random() < 0.5:
                time.sleep(seed.random() * 0.3)  # how long it stays away is part of the fault
            rig.begin(process)
    rig.settle()


def test_a_broker_that_acknowledges_and_drops(make_rig):
    rig = make_rig(broker="max_queued_messages 5\nmax_inflight_messages 2\n", gateway={"uplink": {"batch_events": 2}})
    rig.tap(4)
    rig.wait_told(2000)
    rig.settle()


def test_a_line_that_is_cut_flaps_and_heals(make_rig, seed):
    rig = make_rig()
    rig.tap(2)
    for _ in range(6):
        rig.relay.set("cut")
        rig.wait_told(seed.randint(10, 100))
        rig.relay.set("pass")
        rig.wait_told(seed.randint(10, 100))
    rig.settle()


def test_a_half_open_line_is_noticed_and_left(make_rig):
    rig = make_rig()
    rig.tap(2)
    rig.wait_told(100)
    rig.relay.set("half_open")
    rig.wait_told(500)
    before = rig.stream.count()
    rig.wait_told(100)
    assert rig.stream.count() <= before + 1000
    rig.relay.set("pass")
    rig.settle()


def test_a_slow_line_delays_and_loses_nothing(make_rig):
    rig = make_rig()
    rig.relay.set("slow", bytes_per_second=20_000)
    rig.tap(1, pause=0.01)
    rig.wait_told(150)
    rig.settle()


def test_the_gateway_drains_in_order_what_it_took_while_the_bridge_was_down(make_rig):
    rig = make_rig()
    rig.bridge.kill9()
    rig.tap(4)
    rig.wait_told(3000)
    memory = rig.gateway.rss_kib()
    rig.begin(rig.bridge)
    rig.settle()
    assert rig.gateway.rss_kib() < memory + 64 * 1024


def test_a_reader_of_the_stream_survives_the_bridges_kill_9(make_rig):
    import sqlite3
    rig = make_rig()
    rig.tap(2)
    rig.wait_told(200)
    reader = sqlite3.connect(f"file:{rig.bridge.stream}?mode=ro", uri=True)
    assert reader.execute("SELECT count(*) FROM events").fetchone()[0] >= 0
    for _ in range(3):
        rig.restart(rig.bridge)
        rig.wait_told(200)
    told = rig.settle()
    assert reader.execute("SELECT count(*) FROM events WHERE type <> 'notice'").fetchone()[0] >= told
    reader.close()


def test_sigterm_under_load_ends_cleanly_within_5_seconds(make_rig):
    rig = make_rig()
    rig.tap(4)
    for process in (rig.gateway, rig.bridge, rig.gateway, rig.bridge):
        rig.wait_told(300)
        status, seconds = process.terminate()
        assert status == 0, process.log()[-2000:]
        assert seconds < 5
        rig.begin(process)
    rig.settle()


def test_a_bridge_stopped_for_a_while_goes_on(make_rig):
    rig = make_rig()
    rig.tap(2)
    rig.wait_told(200)
    rig.bridge.signal(signal.SIGSTOP)
    rig.wait_told(500)
    rig.bridge.signal(signal.SIGCONT)
    rig.settle()


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "small-disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", place], capture_output=True).returncode != 0:
        pytest.skip("no right to mount a tmpfs here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill_disk(filler):
    """Appends until there is no room for another byte."""
    with open(filler, "ab", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                pass


def test_a_full_disk_refuses_forwards_and_recovers(make_rig, small_disk):
    rig = make_rig(gateway={"gateway": {"state_dir": str(small_disk / "state")},
                            "journal": {"quota": "64MiB", "reserve": "1MiB"}})
    rig.tap(2)
    rig.wait_told(200)
    filler = small_disk / "filler"
    fill_disk(filler)
    busy = rig.terminals[0].busy
    r.wait_for("terminals hear busy", lambda: rig.terminals[0].busy > busy + 3)
    assert rig.gateway.alive
    r.wait_for("what was stored is forwarded", lambda: rig.gateway.status()["pending_events"] == 0)
    filler.unlink()
    rig.wait_told(300)
    rig.settle()


def busy(rig, ref):
    status, answer = rig.gateway.submit(r.sale("T9", ref))
    assert status == 503, answer
    return answer["error"]["code"] == "busy"


def test_a_gateway_started_on_a_full_disk_answers_busy_forwards_and_recovers(make_rig, small_disk):
    rig = make_rig(gateway={"gateway": {"state_dir": str(small_disk / "state")},
                            "journal": {"quota": "64MiB", "reserve": "1MiB"}})
    rig.relay.set("cut")
    rig.tap(2)
    rig.wait_told(200)                       # waits in the journal, most of it in the log that a start has to settle
    filler = small_disk / "filler"
    fill_disk(filler)
    r.wait_for("the ballast is given up", lambda: not (small_disk / "state" / "journal.ballast").exists())
    rig.gateway.kill9()
    fill_disk(filler)                        # its room is taken, too
    rig.begin(rig.gateway)
    r.wait_for("busy", lambda: busy(rig, "x1"))
    status, health = r.get(rig.gateway.admin_port, "/healthz")
    assert status == 503 and "disk" in health, health
    rig.relay.set("pass")
    r.wait_for("what was stored is forwarded", lambda: rig.stream.count() >= rig.told())
    assert busy(rig, "x1")
    rig.gateway.kill9()                      # the marks could not be written: nothing may go up twice for that
    rig.begin(rig.gateway)
    r.wait_for("busy again", lambda: busy(rig, "x1"))
    filler.unlink()
    rig.wait_told(300)
    rig.settle()


def test_a_gateway_first_started_on_a_full_disk_waits_for_room_and_says_so(make_rig, small_disk):
    rig = make_rig(gateway={"gateway": {"state_dir": str(small_disk / "state")},
                            "journal": {"quota": "64MiB", "reserve": "1MiB"}}, start=False)
    filler = small_disk / "filler"
    fill_disk(filler)
    for process in (rig.broker, rig.bridge, rig.gateway):
        rig.begin(process)
    assert busy(rig, "x1")
    status, health = r.get(rig.gateway.admin_port, "/healthz")
    assert status == 503 and "full" in health, health
    assert rig.gateway.status()["journal"]["state"] == "opening"
    filler.unlink()
    rig.tap(2)
    rig.wait_told(100)
    assert rig.gateway.alive
    rig.settle()


def test_a_full_journal_refuses_with_busy_and_accepts_again(make_rig):
    rig = make_rig(gateway={"journal": {"quota": "4MiB", "reserve": "512KiB"}})
    rig.relay.set("cut")
    rig.tap(1)
    filler = r.Terminal(rig.gateway, "B1")
    fill(rig, filler)
    r.wait_for("terminals hear busy", lambda: rig.terminals[0].busy > 3)
    rig.relay.set("pass")
    rig.wait_told(100, 120)
    rig.terminals[0].stop()
    r.wait_drained(rig.stream, [*rig.terminals, filler])
    r.judge(rig.stream, [*rig.terminals, filler])


def fill(rig, filler):
    """Batches of 1,000 lines, until the journal takes no more."""
    for batch in range(100):
        refs = [f"{batch:04d}-{line:04d}" for line in range(1000)]
        filler.submitted += refs
        lines = "\n".join(json.dumps(r.sale("B1", ref)) for ref in refs)
        status, body = r.get(rig.gateway.http_port, "/v1/events/batch", 60, "POST", lines, {"Content-Type": "application/x-ndjson"})
        answers = [json.loads(line) for line in body.splitlines()] if status == 200 else []
        for ref, answer in zip(refs, answers):
            if answer["status"] == 201:
                filler.told[ref] = answer
        if status == 503 or any(answer["status"] == 503 for answer in answers):
            return
        assert status == 200, body
    raise AssertionError("the journal never got full")
