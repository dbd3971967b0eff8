"""tillstream-tap between terminals and their host: every byte unchanged, every transaction once in the stream, whatever becomes of the gateway."""
import collections
import json
import os
import random
import socket
import ssl
import statistics
import struct
import subprocess
import threading
import time

import pytest

import rig as r
from authority import Authority
from iso8583_host import Host, approve, response_mti
from iso8583_terminal import Line, advice, decode, encode, settlement
from stalling_disk import StallingDisk

CARD = "4111111111111111"


@pytest.fixture
def bench(tmp_path, make_rig):
    made = Bench(tmp_path, make_rig)
    yield made
    made.close()


class Bench:
    def __init__(self, folder, make_rig, gateway=None):
        self.folder, self.socket = folder, folder / "tap.sock"
        self.rig = make_rig(gateway={"tap": {"socket": str(self.socket)}, **(gateway or {})})
        self.hosts = []

    def host(self, *script, **more):
        self.hosts.append(Host(*script, **more))
        return self.hosts[-1]

    def tap(self, host_port, **more):
        tap = r.Tap(self.folder, host_port, self.socket, **more)
        self.rig.others.append(tap)
        return self.rig.begin(tap)

    def events(self):
        return [json.loads(row["value"]) for row in self.rig.stream.rows() if row["type"] != "notice"]

    def rejected(self):
        return [notice for notice in self.rig.stream.notices() if notice["notice"] == "message_rejected"]

    def wait_events(self, count):
        r.wait_for(f"{count} events in the stream", lambda: self.rig.stream.count() >= count, 60)
        return self.events()

    def close(self):
        for host in self.hosts:
            host.close()


def sale(stan, terminal="TERM0001", amount=1250, **changed):
    fields = advice(stan, amount, terminal, **{"f2": CARD, **changed})
    return {number: value for number, value in fields.items() if number not in (38, 39)}


class RawHost:
    """Takes connections as they are."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def accept(self):
        self._listener.settimeout(10)
        connection, _ = self._listener.accept()
        connection.settimeout(10)
        return connection

    def close(self):
        self._listener.close()


def receive_all(connection):
    data = b""
    while piece := connection.recv(65536):
        data += piece
    return data


def send_in_pieces(connection, data, rng):
    at = 0
    while at < len(data):
        size = rng.choice((1, 2, 3, 17, 500, 4096, 20000))
        connection.sendall(data[at:at + size])
        at += size
        if rng.random() < 0.05:
            time.sleep(0.001)
    connection.shutdown(socket.SHUT_WR)


def test_every_byte_arrives_unchanged_both_ways_in_pieces_of_any_size(bench, seed):
    raw = RawHost()
    bench.hosts.append(raw)
    tap = bench.tap(raw.port)
    messages = b"".join(struct.pack(">H", len(m)) + m for m in (encode("0200", sale(stan)) for stan in range(200)))
    for data in (seed.randbytes(300_000), messages, b""):
        terminal = socket.create_connection(("127.0.0.1", tap.port), 10)
        host = raw.accept()
        back = seed.randbytes(200_000)
        threads = [threading.Thread(target=send_in_pieces, args=(terminal, data, random.Random(seed.random()))),
                   threading.Thread(target=send_in_pieces, args=(host, back, random.Random(seed.random())))]
        received = {}
        threads += [threading.Thread(target=lambda: received.update(there=receive_all(host))),
                    threading.Thread(target=lambda: received.update(here=receive_all(terminal)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert received == {"there": data, "here": back}
        terminal.close()
        host.close()
    r.wait_for("all connections ended", lambda: tap.line()["connections"] == 0, 10)


def test_a_half_closed_line_still_brings_the_answer_and_a_reset_arrives_as_one(bench):
    raw = RawHost()
    bench.hosts.append(raw)
    tap = bench.tap(raw.port)
    terminal = socket.create_connection(("127.0.0.1", tap.port), 10)
    host = raw.accept()
    terminal.sendall(b"ask")
    terminal.shutdown(socket.SHUT_WR)
    assert receive_all(host) == b"ask"
    host.sendall(b"answer")
    host.close()
    assert receive_all(terminal) == b"answer"
    for first, second in ((0, 1), (1, 0)):
        ends = [socket.create_connection(("127.0.0.1", tap.port), 10)]
        ends.append(raw.accept())
        ends[first].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        ends[first].close()
        with pytest.raises(ConnectionResetError):
            ends[second].recv(1)
        ends[second].close()


def test_a_side_that_reads_slowly_slows_the_other_and_nothing_grows(bench):
    raw = RawHost()
    bench.hosts.append(raw)
    tap = bench.tap(raw.port)
    terminal = socket.create_connection(("127.0.0.1", tap.port), 10)
    host = raw.accept()
    before = tap.rss_kib()
    terminal.setblocking(False)
    sent, quiet = 0, 0
    while quiet < 20:
        try:
            sent += terminal.send(b"x" * 65536)
            quiet = 0
        except BlockingIOError:
            quiet += 1
            time.sleep(0.02)
    assert tap.rss_kib() - before < 16 * 1024
    terminal.setblocking(True)
    terminal.shutdown(socket.SHUT_WR)
    assert len(receive_all(host)) == sent


def test_a_host_that_is_not_there_is_a_reset_for_the_terminal(bench):
    raw = RawHost()
    raw.close()
    tap = bench.tap(raw.port)
    # It may come before connect() has returned.
    with pytest.raises(ConnectionResetError):
        socket.create_connection(("127.0.0.1", tap.port), 10).recv(1)
    assert tap.line()["unreachable"] == 1
    r.wait_for("the log says so", lambda: "cannot be reached" in tap.log(), 10)


def test_requests_and_answers_become_events_once_each_without_any_card_number(bench):
    declined = {7: "51", 8: "05"}

    def script(mti, fields):
        stan = int(fields[11])
        answer_mti, answer = approve(mti, fields)
        return answer_mti, answer | {39: declined.get(stan % 10, "00")}

    tap = bench.tap(bench.host(script).port)

    def work(terminal):
        with Line(tap.port) as line:
            for stan in range(1, 26):
                mti, answer = line.ask("0200", sale(stan, terminal, f35=f"{CARD}=29122011234567890", f52="0123456789ABCDEF"))
                assert mti == "0210" and answer[11] == f"{stan:06d}"

    threads = [threading.Thread(target=work, args=(f"TERM{number:04d}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    tap.settled()
    events = bench.wait_events(100)
    assert len(events) == 100 and len({(event["terminal_id"], event["stan"]) for event in events}) == 100
    for event in events:
        expected = {7: "declined", 8: "declined"}.get(int(event["stan"]) % 10, "approved")
        assert (event["outcome"], event["source"], event["card_last4"], event["cvm"]) == (expected, "iso8583", "1111", "pin")
    for folder in (bench.rig.gateway.state_dir, bench.folder):
        for file in folder.iterdir():
            if file.is_file():
                assert CARD.encode() not in file.read_bytes(), file
    assert bench.rig.gateway.metric("tillstream_gateway_tap_copies_total") == 100


def test_many_terminals_share_a_line_and_answers_come_in_any_order(bench):
    held = []

    def script(mti, fields):
        held.append(approve(mti, fields))
        if len(held) < 8:
            return None
        answers = list(reversed(held))
        held.clear()
        return answers

    tap = bench.tap(bench.host(script).port)
    with Line(tap.port) as line:
        for number in range(8):
            line.send(encode("0200", sale(4711, f"TERM{number:04d}", 100 + number)))
        for _ in range(8):
            assert decode(line.receive())[1][39] == "00"
    events = bench.wait_events(8)
    assert {event["terminal_id"]: event["amount_minor"] for event in events} == {f"TERM{n:04d}": 100 + n for n in range(8)}
    assert {event["outcome"] for event in events} == {"approved"}


def test_network_management_and_what_cannot_be_read_make_nothing_and_are_relayed(bench):
    tap = bench.tap(bench.host().port)
    with Line(tap.port) as line:
        assert line.ask("0800", {7: "1123110000", 11: "000001", 70: "301"})[0] == "0810"
        assert line.ask("0200", sale(1))[1][39] == "00"
    assert [event["stan"] for event in bench.wait_events(1)] == ["000001"]


def test_a_payment_that_cannot_be_stored_as_it_is_is_kept_or_told(bench):
    tap = bench.tap(bench.host().port)
    with Line(tap.port) as line:
        assert line.ask("0200", sale(1, f49="191"))[1][39] == "00"
        assert line.ask("0200", sale(2, terminal="TE\x01M0001"))[1][39] == "00"
    tap.settled()
    event = bench.wait_events(1)[0]
    assert event["incomplete"] == ["currency", "amount_minor"] and event["attributes"]["unread_amount"] == "1250 191" and event["outcome"] == "approved"
    notice = r.wait_for("the notice", bench.rejected)[0]
    assert (notice["detail_field_41_hex"], notice["detail_stan"], notice["detail_amount_minor"]) == (b"TE\x01M0001".hex(), "000002", "1250")


def test_what_the_tap_cannot_read_is_relayed_and_told_in_the_stream_with_what_could_be_read(bench):
    """A request that ends too early is an event where it says enough, else a notice; each connection that is read no further is one, too."""
    host = RawHost()
    bench.hosts.append(host)
    tap = bench.tap(host.port)
    made_out, too_short = sale(1), sale(2)
    with Line(tap.port) as line, socket.create_connection(("127.0.0.1", tap.port)) as other:
        line.send(encode("0220", {**made_out, 39: "00"})[:-2])
        line.send(encode("0220", {**too_short, 39: "00"})[:80])
        line.send(encode("0220", {**sale(3), 39: "00"}))
        other.sendall(b"\xff" * 10)
        r.wait_for("all read", lambda: tap.line()["open_requests"] == 2 and tap.line()["framing_lost"] == 1, 10)
    host.close()
    events = {event["stan"]: event for event in bench.wait_events(2)}
    assert events["000001"]["incomplete"][0].endswith("and what follows") and events["000003"]["amount_minor"] == 1250
    tap.settled()
    notices = r.wait_for("the notices", lambda: bench.rejected() if len(bench.rejected()) == 2 else None)
    by_field = {notice.get("detail_field_11"): notice for notice in notices}
    assert by_field["000002"]["detail_mti"] == "0220" and by_field["000002"]["detail_field_4"] == "000000001250"
    assert "the message ends before" in by_field["000002"]["detail_reason"] and by_field["000002"]["detail_seen_at"]
    assert by_field[None]["detail_reason"].startswith("a frame is none of the dialect's")
    assert {notice["detail_line"] for notice in notices} == {"tills"}
    assert bench.rig.gateway.metric("tillstream_gateway_tap_unread_total") == 2


def test_a_settlement_is_told_three_ways_what_the_terminal_says_what_its_host_says_and_what_was_seen(bench):
    verdicts = iter(["00", "00", "95", "00"])

    def script(mti, fields):
        answer_mti, answer = approve(mti, fields)
        return answer_mti, answer | ({39: next(verdicts)} if mti == "0500" else {})

    tap = bench.tap(bench.host(script).port)
    stan = iter(range(1, 100))

    def pay(*amounts):
        with Line(tap.port) as line:
            for amount in amounts:
                assert line.ask("0200", sale(next(stan), amount=amount))[1][39] == "00"

    def settle(sales, expected):
        with Line(tap.port) as line:
            assert line.ask("0500", settlement(next(stan), sales=sales, f50="978"))[1][39] == expected
        tap.settled()

    settle((0, 0), "00")
    pay(1000, 250)
    settle((2, 1250), "00")
    pay(700)
    settle((2, 1950), "95")  # the terminal has one that went another way
    settle((1, 700), "00")
    pay(80)
    tap.settled()
    r.wait_for("four settlements", lambda: len([e for e in bench.events() if e["type"] == "batch_total"]) == 4)
    seen = [tuple(event.get(name) for name in ("sales_minor", "recorded_sales_minor", "difference_minor", "in_balance", "batch_closed"))
            + (event["attributes"]["host_response"],) for event in bench.events() if event["type"] == "batch_total"]
    assert seen == [(0, 0, 0, True, True, "00"), (1250, 1250, 0, True, True, "00"), (1950, 700, 1250, False, False, "95"),
                    (700, 700, 0, True, True, "00")]


def test_a_silent_host_leaves_an_unknown_event_and_the_repeat_that_is_answered_decides_it_without_an_alarm(bench):
    silent = [True]
    tap = bench.tap(bench.host(lambda mti, fields: None if silent[0] else approve(mti, fields)).port, line={"host_timeout": "1s"})
    with Line(tap.port) as line:
        line.send(encode("0200", sale(1)))
        assert bench.wait_events(1)[0]["outcome"] == "unknown"
        silent[0] = False
        assert line.ask("0201", sale(1))[1][39] == "00"
    first, second = bench.wait_events(2)
    assert (first["outcome"], first["effect_minor"], second["outcome"], second["effect_minor"]) == ("unknown", 0, "approved", 1250)
    assert second["conflict_with"] == first["event_id"]
    metrics = r.get(bench.rig.gateway.admin_port, "/metrics")[1]
    assert 'outcome="conflict_stored"} 0\n' in metrics


def test_a_hosts_late_answer_is_not_given_to_the_next_payment_of_that_stan(bench):
    late = []

    def script(mti, fields):
        if not late:
            late.append(approve(mti, fields))
            return None
        answer_mti, answer = approve(mti, fields)
        return [late[0], (answer_mti, answer | {39: "51"})]

    tap = bench.tap(bench.host(script).port, line={"host_timeout": "1s"})
    with Line(tap.port) as line:
        line.send(encode("0200", sale(5, amount=1000, f7="1130110000", f12="120000", f37="633400000005")))
        bench.wait_events(1)
        line.send(encode("0200", sale(5, amount=2000, f7="1130110130", f12="120130", f37="633400000777")))
        assert [decode(line.receive())[1][39] for _ in range(2)] == ["00", "51"]
    told = [(event["amount_minor"], event["outcome"], event["rrn"]) for event in bench.wait_events(2)]
    assert told == [(1000, "unknown", "633400000005"), (2000, "declined", "633400000777")]
    assert tap.line()["mismatched"] == 1 and "host_sets" in tap.log()
    assert 'tillstream_tap_mismatched_total{line="tills"} 1\n' in r.get(tap.admin_port, "/metrics")[1]


@pytest.mark.parametrize("host_timeout", ["1s", "60s"])
def test_the_reversal_of_a_payment_that_timed_out_takes_back_nothing_whoever_waits_longer(bench, host_timeout):
    tap = bench.tap(bench.host(lambda mti, fields: None if mti == "0200" else approve(mti, fields)).port,
                    line={"host_timeout": host_timeout})
    asked = {number: value for number, value in sale(7).items() if number != 37}
    with Line(tap.port) as line:
        line.send(encode("0200", asked))
        if host_timeout == "1s":
            bench.wait_events(1)
        # The terminal knows no more than it had sent: its STAN, no field 90, no RRN.
        assert line.ask("0400", asked | {12: "120931"})[1][39] == "00"
        assert line.ask("0401", asked | {12: "121001"})[1][39] == "00"
    tap.settled()
    first, reversal = bench.wait_events(2)
    assert (first["type"], first["outcome"], first["effect_minor"]) == ("sale", "unknown", 0)
    assert (reversal["type"], reversal["effect_minor"], reversal["original_event_id"]) == ("reversal", 0, first["event_id"])


def test_a_reversal_by_the_hosts_rrn_alone_takes_back_the_payment_once(bench):
    def script(mti, fields):
        answer_mti, answer = approve(mti, fields)
        return answer_mti, answer | ({37: "000000000104"} if mti == "0200" else {})

    tap = bench.tap(bench.host(script).port)
    asked = {number: value for number, value in sale(1).items() if number != 37}
    with Line(tap.port) as line:
        assert line.ask("0200", asked)[1][37] == "000000000104"
        for mti in ("0400", "0401"):
            assert line.ask(mti, asked | {37: "000000000104"})[1][39] == "00"
    tap.settled()
    paid, reversal = bench.wait_events(2)
    assert (reversal["original_event_id"], reversal["effect_minor"]) == (paid["event_id"], -1250)


def test_a_part_that_the_answer_does_not_name_is_told_as_unknown(bench):
    def script(mti, fields):
        answer_mti, answer = approve(mti, fields)
        return answer_mti, {number: value for number, value in answer.items() if number != 4} | {39: "10"}

    tap = bench.tap(bench.host(script).port)
    with Line(tap.port) as line:
        assert line.ask("0200", sale(1))[1][39] == "10"
    event = bench.wait_events(1)[0]
    assert (event["outcome"], event["requested_minor"], event["incomplete"]) == ("partial", 1250, ["amount_minor"])
    assert "amount_minor" not in event and "effect_minor" not in event


def test_a_host_that_sets_its_own_time_is_understood_once_that_is_said(bench):
    def script(mti, fields):
        answer_mti, answer = approve(mti, fields)
        return answer_mti, answer | {12: "120905", 13: "1124"}

    tap = bench.tap(bench.host(script).port, line={"host_sets": "12 13"})
    with Line(tap.port) as line:
        assert line.ask("0200", sale(1))[1][39] == "00"
    assert [event["outcome"] for event in bench.wait_events(1)] == ["approved"]
    assert tap.line()["mismatched"] == 0


def test_a_connection_that_ends_before_the_answer_leaves_an_unknown_event(bench):
    tap = bench.tap(bench.host(lambda mti, fields: None).port)
    with Line(tap.port) as line:
        line.send(encode("0200", sale(1)))
        r.wait_for("the request read along", lambda: tap.line()["open_requests"] == 1, 10)
    assert bench.wait_events(1)[0]["outcome"] == "unknown"


class Load(threading.Thread):
    """A terminal that asks for one sale after the other, whatever becomes of the gateway."""

    def __init__(self, tap, terminal, pause=0.002):
        super().__init__(daemon=True)
        self.tap, self.terminal, self.pause = tap, terminal, pause
        self.answered, self.times = 0, []
        self._halt = threading.Event()

    def run(self):
        with Line(self.tap.port) as line:
            while not self._halt.is_set():
                begun = time.perf_counter()
                mti, answer = line.ask("0200", sale(self.answered + 1, self.terminal))
                self.times.append(time.perf_counter() - begun)
                assert (mti, answer[39]) == ("0210", "00")
                self.answered += 1
                self._halt.wait(self.pause)

    def stop(self):
        self._halt.set()
        self.join(30)
        assert not self.is_alive()


def begin_load(tap, count, **more):
    loads = [Load(tap, f"TERM{number:04d}", **more) for number in range(count)]
    for load in loads:
        load.start()
    return loads


def judge_all(bench, loads):
    """Every answered sale is in the stream, once."""
    for load in loads:
        load.stop()
    expected = {(load.terminal, f"{stan:06d}") for load in loads for stan in range(1, load.answered + 1)}
    assert len(expected) > 50, "too little happened: this run proves nothing"
    bench.wait_events(len(expected))
    seen = collections.Counter((event["terminal_id"], event["stan"]) for event in bench.events())
    assert not expected - seen.keys(), f"lost: {sorted(expected - seen.keys())[:5]}"
    assert set(seen.values()) == {1}, f"doubled: {[key for key, times in seen.items() if times > 1][:5]}"
    return len(expected)


def test_the_gateway_is_killed_and_restarted_under_load_and_nothing_is_lost_or_doubled(bench, seed):
    tap = bench.tap(bench.host().port)
    loads = begin_load(tap, 4)
    for _ in range(4):
        time.sleep(seed.uniform(0.2, 1.0))
        bench.rig.gateway.kill9()
        time.sleep(seed.uniform(0.0, 0.8))
        bench.rig.begin(bench.rig.gateway)
    total = judge_all(bench, loads)
    tap.settled()
    delivery = tap.delivery()
    assert (delivery["copies"], delivery["copies_stored"], delivery["copies_lost"]) == (total, total, 0)
    print(f"{total} sales, {delivery['copies_repeated']} brought twice")


def test_a_gateway_that_hangs_or_is_away_stands_in_no_terminals_way(bench):
    tap = bench.tap(bench.host().port)
    loads = begin_load(tap, 2)
    r.wait_for("the first payments", lambda: all(load.answered > 0 for load in loads))
    bench.rig.gateway.signal(19)  # SIGSTOP
    before = [load.answered for load in loads]
    r.wait_for("payments that go on while the gateway hangs", lambda: all(load.answered > was + 50 for load, was in zip(loads, before)))
    bench.rig.gateway.signal(18)  # SIGCONT
    judge_all(bench, loads)


@pytest.fixture
def stalling_disk(tmp_path):
    disk = StallingDisk(tmp_path)
    yield disk
    disk.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a disk of its own")
def test_payments_do_not_wait_while_the_journals_disk_stalls_for_five_seconds(tmp_path, stalling_disk, make_rig):
    bench = Bench(tmp_path, make_rig, {"gateway": {"state_dir": str(stalling_disk.path / "state")}})
    try:
        tap = bench.tap(bench.host().port)
        loads = begin_load(tap, 2)
        r.wait_for("the first payments", lambda: all(load.answered > 20 for load in loads))
        with stalling_disk.stalled():
            begun, before = time.monotonic(), [load.answered for load in loads]
            stored = tap.delivery()["copies_stored"]
            r.wait_for("five seconds of payments", lambda: time.monotonic() - begun > 5 and all(
                load.answered > was + 100 for load, was in zip(loads, before)))
            slowest = max(max(load.times[was:]) for load, was in zip(loads, before))
            delivery = tap.delivery()
        assert delivery["copies_stored"] - stored < delivery["copies"] // 2, "the disk has not stalled: this run proves nothing"
        assert slowest < 2.5, "a payment has waited for the disk"
        total = judge_all(bench, loads)
        tap.settled()
        assert tap.delivery()["copies_lost"] == 0
        print(f"{total} sales, the slowest while the disk stalled took {slowest * 1000:.1f} ms")
    finally:
        bench.close()


def test_copies_without_room_are_told_in_the_stream_as_lost_with_their_number_and_time(bench):
    bench.rig.gateway.terminate()
    tap = bench.tap(bench.host().port, gateway={"memory": "64KiB"})
    with Line(tap.port) as line:
        for stan in range(1, 401):
            assert line.ask("0200", sale(stan))[1][39] == "00"
    r.wait_for("all read along", lambda: tap.delivery()["copies"] == 400, 30)
    lost = tap.delivery()["copies_lost"]
    assert 0 < lost < 400 and tap.delivery()["losses_untold"] == lost
    bench.rig.begin(bench.rig.gateway)
    tap.settled()
    with Line(tap.port) as line:
        assert line.ask("0200", sale(999))[1][39] == "00"
    bench.wait_events(400 - lost + 1)

    def told():
        return [notice for notice in bench.rig.stream.notices() if notice["notice"] == "tap_copies_lost"]

    notice = r.wait_for("the notice", told, 30)[0]
    assert notice["detail_count"] == str(lost) and notice["detail_first_at"] <= notice["detail_last_at"]
    # The oldest are kept, and nothing between them is missing.
    assert [int(event["stan"]) for event in bench.events()] == [*range(1, 400 - lost + 1), 999]
    assert len(told()) == 1 and tap.delivery()["losses_untold"] == 0
    assert bench.rig.gateway.metric("tillstream_gateway_tap_copies_lost_total") == lost


def test_a_tap_that_is_stopped_delivers_what_it_has_and_begins_anew(bench):
    tap = bench.tap(bench.host(lambda mti, fields: approve(mti, fields) if fields[11] != "000003" else None).port)
    line = Line(tap.port)
    for stan in (1, 2):
        assert line.ask("0200", sale(stan))[1][39] == "00"
    line.send(encode("0200", sale(3)))
    r.wait_for("the request read along", lambda: tap.line()["open_requests"] == 1, 10)
    status, seconds = tap.terminate()
    assert status == 0 and seconds < 7
    with line, pytest.raises(ConnectionResetError):
        line.receive()
    assert [event["outcome"] for event in bench.wait_events(3)] == ["approved", "approved", "unknown"]
    bench.rig.begin(tap)
    with Line(tap.port) as line:
        assert line.ask("0200", sale(4))[1][39] == "00"
    assert len(bench.wait_events(4)) == 4


def test_a_payment_under_way_is_answered_before_the_tap_stops(bench):
    def script(mti, fields):
        time.sleep(0.7)
        return approve(mti, fields)

    tap = bench.tap(bench.host(script).port)
    with Line(tap.port) as line:
        line.send(encode("0200", sale(1)))
        r.wait_for("the request read along", lambda: tap.line()["open_requests"] == 1, 10)
        tap.signal(15)
        assert decode(line.receive())[1][39] == "00"
    assert tap.popen.wait(10) == 0
    assert [event["outcome"] for event in bench.wait_events(1)] == ["approved"]


def test_a_tap_that_is_stopped_without_a_gateway_says_what_is_lost(bench):
    bench.rig.gateway.terminate()
    tap = bench.tap(bench.host().port)
    with Line(tap.port) as line:
        assert line.ask("0200", sale(1))[1][39] == "00"
    r.wait_for("read along", lambda: tap.delivery()["waiting"] == 1, 10)
    status, seconds = tap.terminate()
    assert status == 0 and 2 < seconds < 6
    assert "1 copies were not taken by the gateway" in tap.log()


@pytest.fixture
def certificates(tmp_path):
    """An authority, and what it signed for the tap and the host."""
    def openssl(*argv):
        subprocess.run(["openssl", *argv], cwd=tmp_path, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=ca")
    for name in ("tap", "host", "wrong"):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        address = "IP:127.0.0.1" if name != "wrong" else "DNS:elsewhere.example"
        (tmp_path / f"{name}.ext").write_text(f"subjectAltName={address}\n")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", f"{name}.pem",
                "-days", "2", "-extfile", f"{name}.ext")
        (tmp_path / f"{name}.key").chmod(0o600)
    return tmp_path


def tls_line(folder):
    return {"tls": {"certificate": str(folder / "tap.pem"), "key": str(folder / "tap.key")},
            "host_tls": {"ca": str(folder / "ca.pem")}}


def server_context(folder, name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return context


def secured(line, folder):
    line.socket = ssl.create_default_context(cafile=folder / "ca.pem").wrap_socket(line.socket, server_hostname="127.0.0.1")
    return line


def test_with_tls_on_both_sides_the_tap_has_its_own_and_reads_along(bench, certificates):
    host = bench.host(context=server_context(certificates, "host"))
    tap = bench.tap(host.port, line=tls_line(certificates))
    for stan in (1, 2):
        with secured(Line(tap.port), certificates) as line:
            assert line.ask("0200", sale(stan))[1][39] == "00"
            line.socket.unwrap()
    assert [event["outcome"] for event in bench.wait_events(2)] == ["approved", "approved"]
    # One connection, one key pair anew.
    tap.signal(1)  # SIGHUP
    r.wait_for("certificates read again", lambda: "certificates read again" in tap.log(), 10)
    with secured(Line(tap.port), certificates) as line:
        assert line.ask("0200", sale(3))[1][39] == "00"
    r.wait_for("all connections ended", lambda: tap.line()["connections"] == 0, 10)


def test_a_host_whose_certificate_is_anothers_gets_nothing(bench, certificates):
    host = bench.host(context=server_context(certificates, "wrong"))
    tap = bench.tap(host.port, line=tls_line(certificates))
    with pytest.raises(OSError):
        secured(Line(tap.port), certificates)
    assert host.asked == [] and tap.line()["host_handshakes_failed"] == 1


def test_a_host_that_says_nothing_to_tls_is_no_host_that_cannot_be_reached(bench, certificates):
    """As one that speaks without TLS does: it takes the first bytes for a length, and waits."""
    with socket.create_server(("127.0.0.1", 0)) as host:
        tap = bench.tap(host.getsockname()[1], line=tls_line(certificates))
        with socket.create_connection(("127.0.0.1", tap.port)):
            r.wait_for("given up", lambda: tap.line()["host_handshakes_failed"] == 1, 40)
    assert tap.line()["unreachable"] == 0
    r.wait_for("told", lambda: "TLS with the host" in tap.log(), 10)


def test_a_certificate_that_has_expired_is_told_when_sighup_brings_it(bench, certificates, tmp_path):
    (tmp_path / "old").mkdir()
    authority = Authority(tmp_path / "old")
    authority.issue("expired", -1)
    host = bench.host(context=server_context(certificates, "host"))
    tap = bench.tap(host.port, line=tls_line(certificates))
    for kind in ("pem", "key"):
        (certificates / f"tap.{kind}").write_bytes((tmp_path / "old" / f"expired.{kind}").read_bytes())
    tap.signal(1)  # SIGHUP
    r.wait_for("told", lambda: "certificates read again" in tap.log(), 10)
    assert f"{certificates}/tap.pem: the certificate has expired" in tap.log()


def test_tls_on_a_line_without_passes_through_unread_and_is_told(bench, certificates):
    host = bench.host(context=server_context(certificates, "host"))
    tap = bench.tap(host.port)
    with secured(Line(tap.port), certificates) as line:
        assert line.ask("0200", sale(1))[1][39] == "00"
    r.wait_for("told", lambda: tap.line()["unread"] == 1 and "relayed unread" in tap.log(), 10)
    assert bench.events() == []
    notice = r.wait_for("the notice", bench.rejected)[0]
    assert (notice["detail_line"], notice["detail_reason"].split(",")[0]) == ("tills", "the terminal speaks TLS")
    checked = subprocess.run([r.BIN / "tillstream-tap", "check", "--config", tap.config], capture_output=True, text=True)
    assert (checked.returncode, checked.stdout) == (0, "ok\n") and "unread" in checked.stderr


def test_only_the_sockets_owner_may_connect(bench):
    mode = bench.socket.stat().st_mode & 0o777
    assert mode == 0o600


@pytest.mark.parametrize("change, complaint", [
    ('host = "10.0.0.7"', 'line[0].host: is "10.0.0.7"; needed: an address or a name, and a port'),
    ('dialect = "iso99"', "line[0].dialect: "),
    ('listen = "127.0.0.1:8820"', "where line tills listens already"),
    ('tls = { certificate = "a", key = "b" }', "line[0].host_tls: is missing; needed: tls and host_tls, or neither"),
    ('host_timeout = "0s"', "line[0].host_timeout: "),
    ('speed = 5', "line[0].speed: "),
])
def test_a_wrong_configuration_is_named_by_file_line_and_key(tmp_path, change, complaint):
    lines = {"name": '"tills"', "listen": '"127.0.0.1:8583"', "host": '"10.0.0.7:5000"', "dialect": '"iso87-ascii"'}
    key, _, value = change.partition(" = ")
    lines[key] = value
    config = tmp_path / "tap.toml"
    config.write_text("[[line]]\n" + "".join(f"{name} = {text}\n" for name, text in lines.items()))
    checked = subprocess.run([r.BIN / "tillstream-tap", "check", "--config", config], capture_output=True, text=True)
    assert checked.returncode == 78 and checked.stderr.startswith(f"{config}:"), checked.stderr
    assert complaint in checked.stderr, checked.stderr


def quantiles(times):
    ordered = sorted(times)
    return statistics.median(ordered), ordered[int(len(ordered) * 0.999)]


def test_latency_beside_a_direct_line_while_the_gateway_works_hangs_and_dies(bench):
    host = bench.host()
    tap = bench.tap(host.port)

    class Direct:
        port = host.port

    def measure(target, seconds=3):
        loads = begin_load(target, 1, pause=0.001)
        time.sleep(seconds)
        for load in loads:
            load.stop()
        return loads[0].times[50:]

    results = {"direct": measure(Direct), "tap": measure(tap)}
    bench.rig.gateway.signal(19)
    results["tap, gateway stopped"] = measure(tap)
    bench.rig.gateway.signal(18)
    bench.rig.gateway.kill9()
    results["tap, gateway dead"] = measure(tap)
    for name, times in results.items():
        p50, p999 = quantiles(times)
        print(f"{name}: {len(times)} asked, p50 {p50 * 1000:.3f} ms, p99.9 {p999 * 1000:.3f} ms")
    direct, worst = quantiles(results["direct"])[0], max(quantiles(times)[0] for times in results.values())
    assert worst < 10 * direct + 0.01
