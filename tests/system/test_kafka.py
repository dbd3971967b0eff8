"""The Kafka stream on a real Kafka: exactly once, in order, whoever dies."""
import json

import pytest

import kafka as k
import rig as r


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    made = k.start(tmp_path_factory.mktemp("kafka"))
    yield made
    made.close()


@pytest.fixture
def kafka_rig(make_rig, tmp_path, request):
    """A rig on topics of the test's own in the module's cluster."""
    cluster = request.getfixturevalue("cluster")

    def make(**kafka):
        rig = k.rig_on(cluster, make_rig, tmp_path, **kafka)
        for process in (rig.broker, rig.bridge, rig.gateway):
            rig.begin(process)
        return rig

    return make


def test_a_tap_reaches_the_topic_with_its_headers_and_the_journal_hears_of_it(kafka_rig):
    rig = kafka_rig()
    status, answer = rig.gateway.submit(r.sale("T1", "1", 1250))
    assert status == 201
    r.wait_for("the event in the topic", lambda: rig.stream.count() == 1)
    row = [row for row in rig.stream.rows() if row["type"] == "sale"][0]
    event = json.loads(row["value"])
    headers = {name: value.decode() for name, value in row["headers"]}
    assert row["event_id"] == answer["event_id"] and row["key"] == "shop-0001/T1"
    assert headers["ce_id"] == answer["event_id"] and headers["ce_type"] == "tillstream.sale"
    assert headers["ce_sequence"] == f"{answer['seq']:020d}" and headers["ce_partitionkey"] == row["key"]
    assert headers["content-type"] == "application/json" and event["amount_minor"] == 1250
    r.wait_for("the ack at the gateway", lambda: rig.gateway.status()["pending_events"] == 0)
    status, out, err = k.tillstream_bridge("tail", "--config", rig.bridge.config)
    assert status == 0, err
    assert answer["event_id"] in [json.loads(line)["event_id"] for line in out.splitlines()]


def test_nothing_is_lost_or_doubled_when_the_bridge_is_killed_again_and_again(kafka_rig, seed):
    rig = kafka_rig()
    rig.tap(3)
    for _ in range(4):
        rig.wait_told(40)
        r.time.sleep(seed.uniform(0, 0.4))
        rig.restart(rig.bridge)
    rig.wait_told(40)
    rig.settle(120)


def test_two_bridges_share_the_work_and_one_takes_over_when_the_other_is_killed(kafka_rig):
    rig = kafka_rig()
    second = k.another_bridge(rig, "bridge-2")
    rig.begin(second)
    rig.tap(3)
    rig.wait_told(60)
    rig.bridge.kill9()
    rig.wait_told(60)
    rig.settle(120)


@pytest.mark.parametrize("spoil, says", [
    (lambda rig, cluster: rig.bridge.tables["stream.kafka"].update(events_topic="not-there"), "topic not-there is missing"),
    (lambda rig, cluster: rig.bridge.tables["stream.kafka"].update(progress_topic=rig.names["gateways_topic"] + ".x"), "is missing"),
])
def test_topics_that_are_wrong_are_named_and_the_bridge_does_not_run(kafka_rig, cluster, spoil, says):
    rig = kafka_rig()
    rig.bridge.kill9()
    spoil(rig, cluster)
    rig.bridge.config.write_text(r.toml(rig.bridge.tables))
    status, _, err = k.tillstream_bridge("run", "--config", rig.bridge.config)
    assert status == 78 and says in err, err


def test_records_larger_than_the_topic_takes_become_dead_letters_and_the_line_goes_on(kafka_rig, cluster):
    """One that is too large leaves a notice in its place; many that fit one by one and not in one batch all arrive."""
    rig = kafka_rig()
    k.alter_topic(cluster.bootstrap, rig.names["events_topic"], {"max.message.bytes": "8192"})
    rig.bridge.kill9()
    notes = lambda count: {f"note{i}": "x" * 500 for i in range(count)}  # noqa: E731
    for number in range(40):
        status, answer = rig.gateway.submit(r.sale("T1", f"fits-{number}", 100, attributes=notes(5)))
        assert status == 201, answer
    status, large = rig.gateway.submit(r.sale("T1", "large", 100, attributes=notes(16)))
    assert status == 201, large
    status, after = rig.gateway.submit(r.sale("T1", "after", 100))
    assert status == 201, after
    rig.begin(rig.bridge)
    r.wait_for("the acks at the gateway", lambda: rig.gateway.status()["pending_events"] == 0, 60)
    rows = [row for row in rig.stream.rows() if row["seq"] is not None]
    assert [row["seq"] for row in rows] == list(range(1, after["seq"] + 1))
    notice = json.loads(rows[large["seq"] - 1]["value"])
    assert (notice["notice"], notice["detail_reason"]) == ("event_unreadable", "too_large")
    letters = k.Topic(cluster.bootstrap, rig.names["dead_letter_topic"]).messages()
    assert [dict(letter.headers())["digest"].decode() for letter in letters] == [notice["detail_digest"]]
    assert dict(letters[0].headers())["reason"] == b"too_large" and len(letters[0].value()) == int(notice["detail_bytes"])
