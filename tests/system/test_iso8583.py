"""Terminals that report by ISO 8583 to a gateway that is their host: answered 00 only for what is on disk, and in the stream once."""
import json
import socket
import threading
import time

import pytest

import rig as r
from iso8583_terminal import Line, advice, decode, encode


@pytest.fixture
def rig(tmp_path):
    made = make(tmp_path)
    yield made
    made.close()


def make(folder, dialect="iso87-ascii", **overrides):
    port = r.free_port()
    door = {"name": "tills", "listen": f"127.0.0.1:{port}", "role": "answer", "dialect": dialect}
    made = r.Rig(folder, gateway={"[terminals.iso8583]": door, **overrides})
    made.iso_port = port
    return made


def events(rig):
    return [json.loads(row["value"]) for row in rig.stream.rows() if row["type"] != "notice"]


def wait_events(rig, count, seconds=30):
    r.wait_for(f"{count} events in the stream", lambda: rig.stream.count() >= count, seconds)
    return events(rig)


def original(mti, stan, time_sent="1123110901"):
    return f"{mti}{stan:06d}{time_sent}" + "0" * 22


def test_an_advice_is_answered_00_and_arrives_with_all_it_said(rig):
    with Line(rig.iso_port) as line:
        mti, answer = line.ask("0220", advice(4711, f2="4111111111111111", f43="CORNER SHOP 12         VIENNA       VIAT", f54="0044978D000000000150"))
    assert (mti, answer[39], answer[11], answer[41]) == ("0230", "00", "004711", "TERM0001")
    assert not {2, 14, 35, 36, 45, 52, 55} & answer.keys()
    event = wait_events(rig, 1)[0]
    expected = {"type": "sale", "source": "iso8583", "terminal_id": "TERM0001", "terminal_ref": "004711", "stan": "004711", "rrn": "632700004711",
                "auth_code": "A1B2C3", "response_code": "00", "outcome": "approved", "amount_minor": 1250, "tip_minor": 150, "currency": "EUR",
                "effect_minor": 1250, "entry_mode": "chip", "merchant_id": "MERCHANT0000001", "merchant_name": "CORNER SHOP 12",
                "merchant_city": "VIENNA", "card_last4": "1111", "card_brand": "visa"}
    assert {name: event.get(name) for name in expected} == expected
    assert event["occurred_at"].endswith("-11-23T11:09:01.000Z") and event["utc_offset_minutes"] == 60
    assert "card_number" not in event and "4111111111111111" not in json.dumps(event)


def test_a_repeat_gets_the_same_answer_and_makes_no_second_event_also_after_a_restart(rig):
    with Line(rig.iso_port) as line:
        first = line.ask("0220", advice(1))
        assert line.ask("0221", advice(1)) == first
        assert line.ask("0221", advice(1, f7="1123111500"))[1][39] == "00"
    rig.restart(rig.gateway)
    with Line(rig.iso_port) as line:
        assert line.ask("0221", advice(1)) == first
        assert line.ask("0220", advice(2))[1][39] == "00"
    assert [event["terminal_ref"] for event in wait_events(rig, 2)] == ["000001", "000002"]


def test_other_content_under_the_same_key_is_kept_and_says_so(rig):
    with Line(rig.iso_port) as line:
        assert line.ask("0220", advice(1, amount=1000))[1][39] == "00"
        assert line.ask("0221", advice(1, amount=2000))[1][39] == "00"
    first, second = wait_events(rig, 2)
    assert "conflict_with" not in first and second["conflict_with"] == first["event_id"]


def test_a_reversal_finds_its_original_and_takes_back_what_it_says(rig):
    with Line(rig.iso_port) as line:
        assert line.ask("0220", advice(1))[1][39] == "00"
        assert line.ask("0220", advice(2))[1][39] == "00"
        assert line.ask("0420", advice(3, f37=f"6327{1:08d}", f39="68", f90=original("0220", 1)))[1][39] == "00"
        partial = advice(4, f37=f"6327{2:08d}", f90=original("0220", 2), f95="000000000500" + "0" * 12 + "C00000000C00000000")
        assert line.ask("0420", partial)[1][39] == "00"
        # Its repeat has a STAN and an RRN of its own.
        assert line.ask("0421", {**partial, 11: "000005", 37: f"6327{5:08d}"})[1][39] == "00"
        assert line.ask("0420", advice(6, f37=f"6327{99:08d}", f90=original("0220", 99)))[1][39] == "00"
    sale_1, sale_2, whole, partial, orphan = wait_events(rig, 5)
    assert (whole["type"], whole["original_event_id"], whole["effect_minor"], whole["reason"]) == ("reversal", sale_1["event_id"], -1250, "timeout")
    assert (partial["original_event_id"], partial["amount_minor"], partial["effect_minor"]) == (sale_2["event_id"], 750, -750)
    assert orphan["original_ref"] == "000099" and "original_event_id" not in orphan


def test_a_batch_upload_brings_only_what_was_missing_each_once(rig):
    with Line(rig.iso_port) as line:
        for stan in (1, 2):
            assert line.ask("0220", advice(stan))[1][39] == "00"
        for upload in range(2):
            for stan in (1, 2, 3):
                fields = advice(100 + 10 * upload + stan, f37=f"6327{stan:08d}", f60=f"0220{stan:06d}6327{stan:08d}")
                assert line.ask("0320", fields)[1][39] == "00"
        assert line.ask("0220", advice(9))[1][39] == "00"
    assert [event["terminal_ref"] for event in wait_events(rig, 4)] == ["000001", "000002", "000003", "000009"]


def test_network_management_and_requests_for_approval_make_no_event(rig):
    with Line(rig.iso_port) as line:
        assert line.ask("0800", {7: "1123110000", 11: "000001", 70: "301"}) == ("0810", {7: "1123110000", 11: "000001", 39: "00", 70: "301"})
        assert line.ask("0800", {7: "1123110000", 11: "000002", 70: "101"})[1][39] == "40"
        assert line.ask("0200", advice(3))[1][39] == "40"
        assert line.ask("0220", advice(4))[1][39] == "00"
    assert [event["terminal_ref"] for event in wait_events(rig, 1)] == ["000004"]


def test_what_breaks_off_is_kept_or_rejected_with_a_notice_and_never_swallowed(rig):
    whole = encode("0220", advice(1, f2="4111111111111111"))
    with Line(rig.iso_port) as line:
        line.send(whole[:-1])
        assert decode(line.receive())[1][39] == "00"
        no_code = {number: value for number, value in advice(2).items() if number != 3}
        line.send(encode("0220", no_code)[:-1])
        assert decode(line.receive())[1][39] == "30"
        # Again: it is told once.
        line.send(encode("0221", no_code)[:-1])
        assert decode(line.receive())[1][39] == "30"
        line.send(b"this is no message at all")
        assert line.receive() is None
    event = wait_events(rig, 1)[0]
    assert event["incomplete"] == ["iso8583 field 49 and what follows"] and event["card_last4"] == "1111"
    r.wait_for("the notices", lambda: len([n for n in rig.stream.notices() if n["notice"] == "message_rejected"]) >= 1)
    notice = next(n for n in rig.stream.notices() if n["notice"] == "message_rejected")
    assert (notice["detail_mti"], notice["detail_field_11"], notice["detail_field_4"]) == ("0220", "000002", "000000001250")
    assert rig.gateway.metric("tillstream_gateway_iso8583_hung_up_total") == 1


def test_a_message_cut_anywhere_behind_its_terminal_and_then_repeated_whole_is_one_sale(rig):
    fields = {"f2": "4111111111111111", "f43": "CORNER SHOP 12         VIENNA       VIAT", "f54": "0044978D000000000150"}
    first = encode("0220", advice(1, terminal="T0000000", **fields))
    begin = first.index(b"T0000000") + 8
    for cut in range(begin, len(first)):
        terminal = f"T{cut:07d}"
        with Line(rig.iso_port) as line:
            line.send(encode("0220", advice(1, terminal=terminal, **fields))[:cut])
            assert decode(line.receive())[1][39] == "00"
            assert line.ask("0221", advice(1, terminal=terminal, **fields))[1][39] == "00"
    sales = wait_events(rig, len(first) - begin)
    assert len(sales) == len(first) - begin and len({sale["terminal_id"] for sale in sales}) == len(sales)
    assert all(sale["effect_minor"] == 1250 and sale["incomplete"] for sale in sales)


def test_a_date_that_is_none_is_told(rig):
    with Line(rig.iso_port) as line:
        assert line.ask("0220", {number: value for number, value in advice(1, f13="0431").items() if number != 7})[1][39] == "00"
        assert line.ask("0220", advice(2, f13="0431"))[1][39] == "00"
    without, sent = wait_events(rig, 2)
    assert without["incomplete"] == ["occurred_at"] and "incomplete" not in sent and sent["occurred_at"].endswith("-11-23T11:09:01.000Z")


def test_what_has_happened_and_cannot_be_stored_as_it_is_is_kept_or_told_and_nothing_is_asked_for_again(tmp_path):
    (tmp_path / "host.toml").write_text('extends = "iso87-ascii"\n[answers]\nout_of_balance = "95"\n')
    rig = make(tmp_path, str(tmp_path / "host.toml"))
    settlement = {3: "920000", 7: "1123220000", 11: "000090", 41: "TERM0001", 50: "978", 76: "0000000000", 88: "0" * 16}
    try:
        with Line(rig.iso_port) as line:
            assert line.ask("0500", settlement)[1][39] == "00"
            for stan, code in ((1, "191"), (2, "999"), (3, "XYZ")):
                assert line.ask("0220", advice(stan, f49=code))[1][39] == "00"
            assert line.ask("0220", advice(4, f11="12\x0156\x7f"))[1][39] == "30"
            assert line.ask("0220", advice(5, terminal="TE\x01M0001"))[1][39] == "30"
            # What the terminal has, and only we could not read.
            assert line.ask("0500", {**settlement, 11: "000091", 76: "0000000004", 88: f"{5000:016d}"})[1][39] == "00"
        kept = [event for event in wait_events(rig, 5) if event["type"] == "sale"]
        assert [(e["stan"], e["incomplete"], e["attributes"]["unread_amount"], e["outcome"]) for e in kept] == [
            ("000001", ["currency", "amount_minor"], "1250 191", "approved"), ("000002", ["currency", "amount_minor"], "1250 999", "approved"),
            ("000003", ["currency", "amount_minor"], "1250 XYZ", "approved")]
        assert not any("effect_minor" in event or "amount_minor" in event for event in kept)
        r.wait_for("the notices", lambda: sum(n["notice"] == "message_rejected" for n in rig.stream.notices()) == 2)
        stan, terminal = (n for n in rig.stream.notices() if n["notice"] == "message_rejected")
        assert (stan["detail_field_41"], stan["detail_stan_hex"], stan["detail_rrn"], stan["detail_amount_minor"]) == (
            "TERM0001", "31320135367f", "632700000004", "1250")
        assert (terminal["detail_field_41_hex"], terminal["detail_stan"], terminal["detail_amount_minor"]) == (b"TE\x01M0001".hex(), "000005", "1250")
    finally:
        rig.close()


def test_answers_come_in_the_order_of_their_requests_and_the_line_is_closed_when_they_are_out(rig):
    with Line(rig.iso_port) as line:
        for stan in range(1, 201):
            line.send(encode("0220" if stan % 5 else "0800", advice(stan) if stan % 5 else {7: "1123110000", 11: f"{stan:06d}", 70: "301"}))
        line.socket.shutdown(socket.SHUT_WR)
        assert [int(decode(line.receive())[1][11]) for _ in range(200)] == list(range(1, 201))
        assert line.receive() is None


def test_a_keep_alive_is_given_back_and_a_frame_too_large_ends_the_line(rig):
    with Line(rig.iso_port) as line:
        line.send(b"")
        assert line.receive() == b""
        assert line.ask("0220", advice(1))[1][39] == "00"
        line.socket.sendall(b"\xff\xff" + b"x" * 100)
        assert line.receive() is None


def test_a_till_in_bcd_behind_a_tpdu_is_answered_with_the_niis_exchanged(tmp_path):
    rig = make(tmp_path, dialect="pos-bcd-tpdu")
    try:
        bcd = bytes.fromhex
        # 0220, fields 3 4 11 12 13 22 24 25 41 42; TPDU 60 0010 8001.
        message = bcd("0220" "30380580" "00C00000" "000000" "000000001250" "000007" "120901" "1123" "0051" "0010" "00") + b"TERM0001" + b"MERCHANT0000001"
        frame = bcd("6000108001") + message
        with Line(rig.iso_port) as line:
            line.send(frame)
            answer = line.receive()
        assert answer[:5] == bcd("6080010010")
        assert answer[5:7] == bcd("0230") and b"00TERM0001" in answer
        event = wait_events(rig, 1)[0]
        assert (event["terminal_ref"], event["amount_minor"], event["entry_mode"], event["currency"]) == ("000007", 1250, "chip", "EUR")
    finally:
        rig.close()


class Till(threading.Thread):
    """Sells, and repeats each advice until it is answered 00, over as many lines as that takes."""

    def __init__(self, port, number):
        super().__init__(daemon=True)
        self.port, self.terminal, self.told, self.stopping, self.surprises = port, f"TILL{number:04d}", [], False, []

    def run(self):
        stan, line, mti = 1, None, "0220"
        while not self.stopping:
            try:
                line = line or Line(self.port, 5)
                answer = line.ask(mti, advice(stan, terminal=self.terminal))
                if answer is None:
                    raise ConnectionError
            except (OSError, ConnectionError):
                line, mti = None, "0221"
                time.sleep(0.02)
                continue
            if answer[1][39] == "00":
                self.told.append(f"{stan:06d}")
                stan, mti = stan + 1, "0220"
            elif answer[1][39] != "96":
                self.surprises.append(answer)
            else:
                mti = "0221"


def test_kill_9_at_any_moment_loses_and_doubles_nothing(rig):
    tills = [Till(rig.iso_port, number) for number in range(1, 5)]
    for till in tills:
        till.start()
    for _ in range(4):
        goal = sum(len(till.told) for till in tills) + 200
        r.wait_for("more advices told", lambda: sum(len(till.told) for till in tills) >= goal, 60)
        rig.restart(rig.gateway)
    goal = sum(len(till.told) for till in tills) + 100
    r.wait_for("more advices told", lambda: sum(len(till.told) for till in tills) >= goal, 60)
    for till in tills:
        till.stopping = True
    for till in tills:
        till.join(20)
    told = sum(len(till.told) for till in tills)
    r.wait_for("all of them in the stream", lambda: rig.stream.count() >= told, 60)
    seen = {}
    for event in events(rig):
        seen.setdefault(event["terminal_id"], []).append(event["terminal_ref"])
    for till in tills:
        refs = seen[till.terminal]
        # One more may be stored whose answer the till did not live to see.
        assert refs[: len(till.told)] == till.told and len(refs) <= len(till.told) + 1 and not till.surprises


def test_a_full_journal_answers_96_and_never_00_for_what_it_did_not_take(tmp_path):
    rig = make(tmp_path, journal={"quota": "4MiB", "reserve": "0MiB"})
    try:
        rig.relay.set("cut")
        told, full = [], False
        with Line(rig.iso_port) as line:
            for stan in range(1, 40_000):
                code = line.ask("0220", advice(stan))[1][39]
                assert code in ("00", "96")
                if code == "96":
                    full = True
                    break
                told.append(f"{stan:06d}")
        assert full
        rig.relay.set("pass")
        # The line was cut for as long as filling took: the gateway's back-off may have grown to two minutes.
        wait_events(rig, len(told), 180)
        with Line(rig.iso_port) as line:
            r.wait_for("room again", lambda: line.ask("0221", advice(len(told) + 1))[1][39] == "00", 30)
        refs = [event["terminal_ref"] for event in wait_events(rig, len(told) + 1)]
        assert refs == [*told, f"{len(told) + 1:06d}"]
    finally:
        rig.close()
