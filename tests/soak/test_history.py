"""The soak's judge, judged: each promise broken in a kept run is found under its name."""
import json

import pytest

import history as h

GATEWAY, EPOCH = "shop-1", "E"


def event(number, **more):
    return {"type": "sale", "gateway_id": GATEWAY, "epoch": EPOCH, "seq": number, "event_id": f"id-{number}", "terminal_id": "T1",
            "terminal_ref": f"{number:08d}", "amount_minor": 100 + number, **more}


def notice(seq, name):
    return {"type": "notice", "gateway_id": GATEWAY, "epoch": EPOCH, "seq": seq, "event_id": f"n-{seq}", "notice": name}


@pytest.fixture
def run(tmp_path):
    """Five sales, told and in the stream; returns (history, records) to be spoilt, and what judges them."""
    history, records = [], []
    for number in range(1, 6):
        sale = {"terminal": "T1", "ref": f"{number:08d}"}
        history.append({"what": "submits", **sale, "amount": 100 + number})
        history.append({"what": "told", **sale, "event_id": f"id-{number}", "epoch": EPOCH, "seq": number})
        records.append({"partition": 0, "value": event(number)})

    def judged():
        for name, lines in (("history", history), ("records", records)):
            (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return set(h.judge(tmp_path)[0].by_promise)

    return history, records, judged


def test_a_good_run_is_good_also_with_notices_and_the_bridges_own_records(run):
    _, records, judged = run
    records.append({"partition": 1, "value": notice(6, "conflict")})
    records.append({"partition": 1, "value": {**notice(7, "duplicate_window_shrunk"), "detail_window_seconds": "300"}})
    records.append({"partition": 1, "value": {"type": "notice", "gateway_id": GATEWAY, "event_id": "b", "notice": "epoch_switched"}})
    assert judged() == set()


def spoil_lost(history, records):
    del records[4]


def spoil_gap(history, records):
    del records[2], history[4:6]


def spoil_doubled(history, records):
    records.append({"partition": 0, "value": event(5, event_id="id-9", seq=6)})


def spoil_order(history, records):
    records[1], records[2] = records[2], records[1]


def spoil_content(history, records):
    records[3]["value"]["amount_minor"] += 1


def spoil_invented(history, records):
    records.append({"partition": 0, "value": event(6)})


def spoil_identity(history, records):
    records[3]["value"]["event_id"] = "another"


def spoil_seq_told(history, records):
    history[1]["seq"] = 2


def spoil_marked(history, records):
    records[0]["value"]["possible_repeat"] = True


def spoil_loss_told(history, records):
    records.append({"partition": 0, "value": notice(6, "events_lost")})


def spoil_answer(history, records):
    history.append({"what": "surprise", "terminal": "T1", "ref": "x", "status": 500, "answer": {}})


@pytest.mark.parametrize("spoil, promise", [
    (spoil_lost, "nothing lost"), (spoil_gap, "no gap"), (spoil_doubled, "once"), (spoil_order, "in order"), (spoil_content, "unchanged"),
    (spoil_invented, "nothing invented"), (spoil_identity, "as told"), (spoil_seq_told, "as told"), (spoil_marked, "once"),
    (spoil_loss_told, "nothing lost"), (spoil_answer, "answers")])
def test_each_broken_promise_is_found(run, spoil, promise):
    history, records, judged = run
    spoil(history, records)
    assert promise in judged()
