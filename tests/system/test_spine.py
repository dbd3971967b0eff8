"""From the tap to the stream on real processes, nothing failing."""
import json
import socket
import struct
import subprocess

import rig as r


def test_a_tap_reaches_the_stream_and_the_journal_hears_of_it(make_rig):
    rig = make_rig()
    status, answer = rig.gateway.submit(r.sale("T1", "1", 1250, card_number="4111 1111 1111 1111"))
    assert status == 201 and answer["duplicate"] is False and answer["seq"] == 1
    r.wait_for("the event in the stream", lambda: rig.stream.count() == 1)
    row = [row for row in rig.stream.rows() if row["type"] == "sale"][0]
    event = json.loads(row["value"])
    assert row["event_id"] == event["event_id"] == answer["event_id"]
    assert event["card_last4"] == "1111" and event["card_brand"] == "visa"
    assert event["amount_minor"] == 1250 and event["effect_minor"] == 1250 and event["currency_exponent"] == 2
    assert row["key"] == "shop-0001/T1"
    r.wait_for("the ack at the gateway", lambda: rig.gateway.status()["pending_events"] == 0)


def test_nothing_is_committed_and_pending_at_a_time_in_the_table_of_gateways_also_after_a_bridge_was_killed(make_rig):
    rig = make_rig()

    def row():
        rows = rig.stream.gateways()
        return rows.get("shop-0001", {})

    rig.gateway.submit(r.sale("T1", "0"))
    r.wait_for("the gateway's row", lambda: "pending_events" in row())
    rig.bridge.kill9()
    for number in range(1, 41):
        last = rig.gateway.submit(r.sale("T1", str(number)))[1]["seq"]
    rig.begin(rig.bridge)

    def known():
        """The row, once it says what is pending: a bridge that has just begun does not know before the gateway has spoken to it."""
        now = row()
        if "pending_events" not in now:
            return None
        assert now["committed_seq"] + now["pending_events"] <= last, now
        return now

    r.wait_for("the events in the stream", lambda: rig.stream.count() == 41)
    r.wait_for("the row of all that is committed", lambda: (now := known()) and now["committed_seq"] == last)
    # Rows follow their events within a second; the gateway speaks again after five.
    r.wait_for("nothing pending", lambda: (now := known()) and now["pending_events"] == 0 and now["pending_amounts"] == [], 3)


def test_a_repeat_is_answered_alike_also_after_a_restart(make_rig):
    rig = make_rig()
    first = rig.gateway.submit(r.sale("T1", "1"))[1]
    again = rig.gateway.submit(r.sale("T1", "1", occurred_at="2026-11-24T10:00:09+01:00"))
    assert again == (200, {**first, "duplicate": True})
    rig.restart(rig.gateway)
    assert rig.gateway.submit(r.sale("T1", "1")) == (200, {**first, "duplicate": True})
    status, body = rig.gateway.submit(r.sale("T1", "1", 9999))
    assert status == 409 and body["error"]["code"] == "conflicting_duplicate"
    r.wait_for("one event in the stream", lambda: rig.stream.count() == 1)


def test_a_reference_that_comes_round_with_very_many_batches_is_known_in_each(make_rig):
    rig = make_rig()
    lines = "\n".join(json.dumps(r.sale("T1", "0001", batch_no=str(n))) for n in range(200))
    for status in (201, 200):
        code, body = r.get(rig.gateway.http_port, "/v1/events/batch", 30, "POST", lines, {"Content-Type": "application/x-ndjson"})
        assert code == 200 and {json.loads(line)["status"] for line in body.splitlines()} == {status}
    r.wait_for("200 events in the stream", lambda: rig.stream.count() == 200)
    assert rig.gateway.submit(r.sale("T1", "0001", 77, batch_no="3"))[0] == 409


def test_a_batch_gets_one_answer_a_line_in_order(make_rig):
    rig = make_rig()
    lines = [json.dumps(r.sale("T1", str(n))) for n in range(50)]
    lines[7] = '{"type": "sale"}'
    lines[9] = lines[8]
    status, body = r.get(rig.gateway.http_port, "/v1/events/batch", 10, "POST", "\n".join(lines) + "\n",
                         {"Content-Type": "application/x-ndjson"})
    answers = [json.loads(line) for line in body.splitlines()]
    assert status == 200 and len(answers) == 50
    assert [a["status"] for a in answers] == [201] * 7 + [400, 201, 200] + [201] * 40
    assert answers[9]["event_id"] == answers[8]["event_id"]
    r.wait_for("48 events in the stream", lambda: rig.stream.count() == 48)


def test_framed_answers_come_in_the_order_of_the_requests(make_rig, tmp_path):
    rig = make_rig()
    framed = framed_messages(tmp_path)
    with socket.create_connection(("127.0.0.1", rig.gateway.framed_port), timeout=10) as line:
        requests = b""
        for number in range(100):
            submit = framed.Submit(type="sale", terminal_id="F1", terminal_ref=str(number), outcome="approved",
                                   occurred_at="2026-11-24T10:00:00Z", amount_minor=100 + number, currency="978")
            if number == 50:
                submit.outcome = "maybe"
            payload = submit.SerializeToString()
            requests += struct.pack(">I", len(payload)) + payload
        line.sendall(requests)
        answers = [read_frame(line, framed.Answer) for _ in range(100)]
    assert answers[50].status == 400 and answers[50].error_field == "outcome"
    stored = [a for a in answers if a.status == 201]
    assert len(stored) == 99 and [a.seq for a in stored] == sorted(a.seq for a in stored)
    r.wait_for("99 events in the stream", lambda: rig.stream.count() == 99)


def test_a_kafkaless_reader_follows_by_tail_and_by_server_sent_events(make_rig):
    rig = make_rig()
    rig.tap(2)
    rig.wait_told(100)
    told = rig.settle()
    out = subprocess.run([r.BIN / "tillstream-bridge", "tail", "--config", rig.bridge.config], capture_output=True, timeout=30,
                         check=True, env=rig.bridge.env)
    events = [json.loads(line) for line in out.stdout.splitlines()]
    assert sum(event["type"] == "sale" for event in events) >= told
    with socket.create_connection(("127.0.0.1", rig.bridge.admin_port), timeout=10) as reader:
        reader.sendall(b"GET /v1/events?from=0 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        seen = b""
        while seen.count(b"\ndata:") < told:
            chunk = reader.recv(65536)
            assert chunk, seen[-500:]
            seen += chunk


def framed_messages(tmp_path):
    import importlib
    import pathlib
    import sys
    root = pathlib.Path(__file__).resolve().parents[2]
    subprocess.run(["protoc", f"--python_out={tmp_path}", "-I", root, "proto/wire/framed.proto"], check=True)
    sys.path.insert(0, str(tmp_path / "proto/wire"))
    return importlib.import_module("framed_pb2")


def read_frame(line, message):
    header = read_exactly(line, 4)
    return message.FromString(read_exactly(line, struct.unpack(">I", header)[0]))


def read_exactly(line, count):
    data = b""
    while len(data) < count:
        chunk = line.recv(count - len(data))
        assert chunk, "closed"
        data += chunk
    return data
