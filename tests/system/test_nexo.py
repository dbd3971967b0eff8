"""nexo messages, as a till or Adyen's webhook sends them, from the door to the stream on real processes."""
import http.client
import json
import pathlib
import threading
import time

import rig as r

VECTORS = pathlib.Path(__file__).parents[1] / "unit/firmware-gateway/terminal/nexo/vectors"


def vector(name):
    return (VECTORS / f"{name}.json").read_text()


def send(gateway, text):
    return r.get(gateway.http_port, "/v1/nexo", 10, "POST", text, {"Content-Type": "application/json"})


def events(rig):
    return [json.loads(row["value"]) for row in rig.stream.rows() if row["type"] != "notice"]


def test_a_payment_is_in_the_stream_once_also_when_it_is_repeated_and_after_kill_9(make_rig):
    rig = make_rig()
    payment = vector("payment_response_success_contactless")
    status, body = send(rig.gateway, payment)
    first = json.loads(body)
    assert status == 200 and first["answer"] == "[accepted]" and first["events"][0]["duplicate"] is False
    rig.restart(rig.gateway)
    for _ in range(2):
        status, body = send(rig.gateway, payment)
        assert (status, json.loads(body)["events"]) == (200, [{**first["events"][0], "duplicate": True}])
    # The last one to come closes the list.
    assert send(rig.gateway, vector("refund_response_success"))[0] == 200
    r.wait_for("both events in the stream", lambda: rig.stream.count("type = 'refund'") == 1)
    sale, refund = events(rig)
    assert sale["event_id"] == first["events"][0]["event_id"]
    assert sale["source"] == "nexo" and sale["terminal_id"] == "V400m-346403161"
    assert sale["amount_minor"] == 1250 and sale["effect_minor"] == 1250 and sale["card_last4"] == "1111"
    assert refund["effect_minor"] == -1250


class Till(threading.Thread):
    """Sends one payment after the other, each until it hears 200."""

    def __init__(self, gateway, count):
        super().__init__(daemon=True)
        self.gateway, self.told, self.unanswered = gateway, [], 0
        self.numbers = [f"{number:010d}" for number in range(1, count + 1)]

    def run(self):
        payment = vector("payment_response_success_contactless")
        for number in self.numbers:
            message = payment.replace("0000004711", number).replace("BV0q001669201741000", f"BV{number}")
            while not self.heard(message):
                self.unanswered += 1
                time.sleep(0.02)
            self.told.append(number)

    def heard(self, message):
        try:
            return send(self.gateway, message)[0] == 200
        except (OSError, http.client.HTTPException):
            return False


def test_a_till_that_repeats_until_it_is_told_has_each_payment_once_through_kill_9(make_rig):
    rig = make_rig()
    till = Till(rig.gateway, 400)
    till.start()
    for told in (50, 150, 250):
        r.wait_for(f"{told} payments told", lambda: len(till.told) >= told)
        rig.restart(rig.gateway)
    till.join(60)
    assert not till.is_alive() and till.unanswered > 0
    r.wait_for("all payments in the stream", lambda: rig.stream.count("type = 'sale'") >= len(till.numbers))
    # The last one to come closes the list.
    assert send(rig.gateway, vector("refund_response_success"))[0] == 200
    r.wait_for("the refund in the stream", lambda: rig.stream.count("type = 'refund'") == 1)
    assert [event["attributes"]["message_ref"] for event in events(rig)[:-1]] == till.numbers


def test_every_vector_reaches_the_stream_and_no_card_number_anywhere(make_rig):
    rig = make_rig()
    texts = [path.read_text() for path in sorted(VECTORS.glob("*.json"))]
    assert len(texts) == 12
    answers = [send(rig.gateway, text) for text in texts]
    assert {status for status, _ in answers} == {200}
    r.wait_for("twelve events in the stream", lambda: rig.stream.count() == 12)
    by_type = {}
    for event in events(rig):
        by_type.setdefault(event["type"], []).append(event)
    assert {kind: len(found) for kind, found in by_type.items()} == \
        {"sale": 6, "refund": 1, "reversal": 1, "batch_total": 2, "terminal_status": 2}
    for total in by_type["batch_total"]:
        assert total["schema_version"] == 2
        assert (total["sales_count"], total["sales_minor"], total["refunds_minor"], total["reversals_minor"], total["declined_count"]) == \
            (59, 164456, 1250, 3000, 3)
    hidden = [b"4111111111111111", b"4111-1111-1111-1111", b"30032010000", b"Kunde"]
    assert rig.gateway.terminate()[0] == 0
    files = [path for path in rig.folder.rglob("*") if path.is_file()]
    assert any("journal" in path.name for path in files)
    for path in files:
        content = path.read_bytes()
        for secret in hidden:
            assert secret not in content, f"{secret} is in {path}"
    assert not any("4111" in body for _, body in answers)


def test_what_cannot_be_read_is_400_and_what_is_not_for_us_is_counted(make_rig):
    rig = make_rig()
    status, body = send(rig.gateway, '{"SaleToPOIResponse": {}}')
    assert status == 400 and "SaleToPOIResponse.MessageHeader is required" in body
    request = {"SaleToPOIRequest": {"MessageHeader": {"MessageCategory": "Payment", "MessageType": "Request", "POIID": "P"},
                                    "PaymentRequest": {}}}
    status, body = send(rig.gateway, json.dumps(request))
    assert status == 200 and json.loads(body)["events"] == []
    assert rig.gateway.metric("tillstream_gateway_messages_ignored_total") == 1
    assert send(rig.gateway, vector("event_notification_reject")) == (200, "[accepted]")
