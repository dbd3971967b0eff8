"""The Kafka stream on a real Kafka: exactly once, in order, whoever dies."""
import json
from concurrent.futures import ThreadPoolExecutor

import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient, NewTopic

import kafka as k
import rig as r
import sse


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
    assert answer["event_id"] in [line["event_id"] for line in k.tail(rig)]


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

    def shares():
        answers = [bridge.status() for bridge in (rig.bridge, second)]
        # Unknown until the bridge has seen the topic.
        assert all(answer.get("partitions_total", k.PROGRESS_PARTITIONS) == k.PROGRESS_PARTITIONS for answer in answers), answers
        return [{row["partition"] for row in answer["partitions"]} for answer in answers]

    # What the second one has been given the first one does not list any more.
    def apart():
        given = shares()
        return all(given) and sorted(sum(map(list, given), [])) == list(range(k.PROGRESS_PARTITIONS))

    r.wait_for("shares that are apart", apart)
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


def delete_topic(cluster, name):
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    admin.delete_topics([name])[name].result(30)
    r.wait_for("the topic gone", lambda: name not in admin.list_topics(timeout=30).topics)


def test_a_progress_topic_that_is_gone_is_made_anew_beside_events_only_when_their_repeats_are_accepted(kafka_rig, cluster):
    rig = kafka_rig()
    progress, events = rig.names["progress_topic"], rig.names["events_topic"]
    told = {rig.gateway.submit(r.sale("T1", str(number), 100 + number))[1]["event_id"] for number in range(20)}
    r.wait_for("the acks at the gateway", lambda: rig.gateway.status()["pending_events"] == 0)
    rig.bridge.terminate()
    delete_topic(cluster, progress)
    reason = f"topic {events} holds records, or has held some: on a new one the gateways publish again all that they still keep"

    status, _, err = k.tillstream_bridge("run", "--config", rig.bridge.config)
    assert status == 78 and f"topic {progress} is missing, and {reason}" in err, err
    create = ["topics", "--create", "--config", rig.bridge.config, "--replication", 1, "--partitions", k.PROGRESS_PARTITIONS]
    status, _, err = k.tillstream_bridge(*create)
    assert status == 1 and f"topic {progress} is missing, and {reason}" in err and "--accept-repeats" in err, err
    # Made by somebody else's hand it is no better.
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    admin.create_topics([NewTopic(progress, k.PROGRESS_PARTITIONS, 1, config={"cleanup.policy": "compact"})])[progress].result(30)
    status, _, err = k.tillstream_bridge(*create)
    assert status == 1 and f"topic {progress} was never written to, and {reason}" in err, err

    status, out, err = k.tillstream_bridge(*create, "--accept-repeats")
    assert status == 0, out + err
    rig.begin(rig.bridge)

    def times():
        rows = [json.loads(row["value"]) for row in rig.stream.rows() if row["event_id"] in told]
        return [sum(bool(row.get("possible_repeat")) == repeat for row in rows) for repeat in (False, True)]

    r.wait_for("the repeats", lambda: times() == [len(told), len(told)])


def test_a_progress_topic_that_is_gone_is_made_anew_without_a_word_where_no_event_was_ever_committed(cluster, make_rig, tmp_path):
    rig = k.rig_on(cluster, make_rig, tmp_path)
    # Leaves an aborted record in the events topic, as each bridge does that starts.
    assert k.tillstream_bridge("topics", "--check", "--config", rig.bridge.config)[0] == 0
    delete_topic(cluster, rig.names["progress_topic"])
    k.create_topics(rig.bridge.config)


def test_the_gateways_topic_deleted_is_named_and_when_it_is_made_anew_everything_arrives(kafka_rig, cluster):
    rig = kafka_rig()
    rig.tap(1, 0.02)
    k.wait_committed(4, rig.bridge)  # the topic's end is never reached while the terminal taps
    delete_topic(cluster, rig.names["gateways_topic"])
    says = f"topic {rig.names['gateways_topic']} is missing; tillstream-bridge topics --create makes it"

    def reason():
        return {row["partition"]: row.get("lost_reason", "") for row in rig.bridge.status()["partitions"] if not row["owned"]}.get(rig.partition, "")

    r.wait_for("the reason", lambda: says in reason(), 60)
    # Once: what is taken and cannot be written to would be healthy for a moment, again and again.
    assert reason().count(says) == 1, reason()
    lost = rig.bridge.metric("tillstream_bridge_partitions_lost_total")
    status, text = r.get(rig.bridge.admin_port, "/healthz")[:2]
    assert status == 503 and says in text, text
    r.time.sleep(12)
    assert says in reason() and rig.bridge.metric("tillstream_bridge_partitions_lost_total") == lost
    k.create_topics(rig.bridge.config)
    rig.settle(120)


def test_topics_that_cannot_all_be_made_are_told_apart_and_the_next_run_goes_on(cluster, make_rig, tmp_path):
    rig = k.rig_on(cluster, make_rig, tmp_path)
    kafka = rig.bridge.tables["stream.kafka"]
    kafka.update({name: f"{topic}.again" for name, topic in rig.names.items()})
    # A name that Kafka takes for another topic's: it tells points and underlines not apart.
    good, kafka["progress_topic"] = kafka["progress_topic"], kafka["events_topic"].replace(".", "_")
    create = ["topics", "--create", "--config", rig.bridge.config, "--replication", 1, "--partitions", k.PROGRESS_PARTITIONS]
    rig.bridge.config.write_text(r.toml(rig.bridge.tables))
    status, out, err = k.tillstream_bridge(*create)
    assert status == 1 and [line.split()[1] for line in out.splitlines()] == [f"{kafka['events_topic']}:", f"{kafka['gateways_topic']}:"], out + err
    assert f"creating topic {kafka['progress_topic']}: TOPIC_EXCEPTION" in err, err
    assert f"not made: {kafka['progress_topic']}, {kafka['dead_letter_topic']}; the same command goes on from here" in err, err
    kafka["progress_topic"] = good
    rig.bridge.config.write_text(r.toml(rig.bridge.tables))
    status, out, err = k.tillstream_bridge(*create)
    assert status == 0 and "the topics are fine" in out, out + err
    assert [line.split(":")[1].split(",")[0] for line in out.splitlines()[:4]] == [" is there and left as it is"] * 2 + [" made"] * 2, out


def test_topics_made_by_several_at_the_same_moment_are_made_by_all_of_them(cluster, make_rig, tmp_path):
    rig = k.rig_on(cluster, make_rig, tmp_path)
    for round_ in range(3):
        rig.bridge.tables["stream.kafka"].update({name: f"{topic}.{round_}" for name, topic in rig.names.items()})
        rig.bridge.config.write_text(r.toml(rig.bridge.tables))
        with ThreadPoolExecutor() as pool:
            makers = [pool.submit(k.create_topics, rig.bridge.config) for _ in range(3)]
        for maker in makers:
            maker.result()
    create = ["topics", "--create", "--config", rig.bridge.config, "--replication", 1, "--partitions", 8, "--events-partitions", 3]
    status, out, err = k.tillstream_bridge(*create)
    assert status == 0 and f"topic {rig.names['progress_topic']}.2: is there and left as it is, {k.PROGRESS_PARTITIONS} partitions, not 8" in out, out + err
    assert f"topic {rig.names['events_topic']}.2: is there and left as it is, 3 partitions\n" in out, out


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


# --- readers that know nothing of us ---

@pytest.mark.parametrize("reader", [k.kcat, k.console_consumer])
def test_tools_of_others_read_the_topic_also_where_transactions_were_aborted(kafka_rig, cluster, reader):
    rig = kafka_rig()
    ghosts = confluent_kafka.Producer({"bootstrap.servers": cluster.bootstrap, "transactional.id": rig.names["events_topic"]})
    ghosts.init_transactions(30)
    for number in range(10):
        assert rig.gateway.submit(r.sale("T1", str(number), 100))[0] == 201
        ghosts.begin_transaction()
        ghosts.produce(rig.names["events_topic"], b'{"event_id":"ghost"}', key="shop-0001/T1")
        assert ghosts.flush(30) == 0
        ghosts.abort_transaction(30)
    r.wait_for("the acks at the gateway", lambda: rig.gateway.status()["pending_events"] == 0)
    seen = k.values(reader(cluster.bootstrap, rig.names["events_topic"], "read_committed"))
    assert [event["terminal_ref"] for event in seen if event["type"] == "sale"] == [str(number) for number in range(10)]
    assert sorted(event["event_id"] for event in seen) == sorted(row["event_id"] for row in rig.stream.rows())
    # Whoever does not ask for committed data is shown what never was: the setting matters.
    everything = k.values(reader(cluster.bootstrap, rig.names["events_topic"], "read_uncommitted"))
    assert sum(event["event_id"] == "ghost" for event in everything) == 10


# --- values as protobuf ---

@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    made = k.Registry(tmp_path_factory.mktemp("registry"))
    made.start()
    r.wait_for("the registry", made.ready, 120)
    yield made
    made.kill9()


def same_event(message, line):
    """The protobuf event, and the JSON that tail shows of it."""
    assert (message.event_id.hex(), message.type) == (line["event_id"].replace("-", ""), line["type"])
    assert (message.gateway_id, message.epoch, message.seq) == (line["gateway_id"], line["epoch"], line["seq"])
    assert (message.amount_minor, message.currency) == (line.get("amount_minor", 0), line.get("currency", ""))
    assert message.published_at_ms > 0 and line["published_at"].endswith("Z")


def read_back(rig, cluster, framing=b""):
    """All events of the topic, read with the descriptor file alone, and as tail prints them."""
    event_class, events = k.event_class(), {}
    for message in k.Topic(cluster.bootstrap, rig.names["events_topic"]).messages():
        assert dict(message.headers())["content-type"] == b"application/protobuf"
        assert message.value().startswith(framing)
        event = event_class.FromString(message.value()[len(framing):])
        events[event.event_id.hex()] = event
    lines = {line["event_id"].replace("-", ""): line for line in k.tail(rig)}
    assert set(lines) == set(events)
    for event_id, event in events.items():
        same_event(event, lines[event_id])
    return events


def test_values_as_protobuf_are_read_with_the_descriptor_file_alone(kafka_rig, cluster):
    rig = kafka_rig(format="protobuf")
    status, answer = rig.gateway.submit(r.sale("T1", "1", 1250, merchant_name="Bäckerei"))
    assert status == 201
    r.wait_for("the ack at the gateway", lambda: rig.gateway.status()["pending_events"] == 0)
    event = read_back(rig, cluster)[answer["event_id"].replace("-", "")]
    assert (event.merchant_name, event.seq, event.terminal_id) == ("Bäckerei", answer["seq"], "T1")


def with_registry(rig, url):
    """The configuration of a bridge that has not been started yet."""
    rig.bridge.tables["stream.kafka"]["format"] = "protobuf"
    rig.bridge.tables["stream.kafka.registry"] = {"url": url}
    rig.bridge.config.write_text(r.toml(rig.bridge.tables))


def test_a_schema_registry_is_told_the_schema_and_its_id_stands_before_each_value(cluster, registry, make_rig, tmp_path):
    rig = k.rig_on(cluster, make_rig, tmp_path)
    with_registry(rig, registry.url)
    for process in (rig.broker, rig.bridge, rig.gateway):
        rig.begin(process)
    for number in range(3):
        assert rig.gateway.submit(r.sale("T1", str(number), 1250))[0] == 201
    r.wait_for("the ack at the gateway", lambda: rig.gateway.status()["pending_events"] == 0)
    status, version = registry.ask("GET", f"/subjects/{rig.names['events_topic']}-value/versions/latest")
    assert status == 200 and version["schemaType"] == "PROTOBUF" and "message Event" in version["schema"], version
    # As Confluent's serializers write it: a zero byte, the id, and the file's first message.
    assert len(read_back(rig, cluster, b"\0" + version["id"].to_bytes(4, "big") + b"\0")) >= 3
    rig.restart(rig.bridge)
    assert rig.gateway.submit(r.sale("T1", "again", 1250))[0] == 201
    r.wait_for("the ack at the gateway", lambda: rig.gateway.status()["pending_events"] == 0)
    assert registry.ask("GET", f"/subjects/{rig.names['events_topic']}-value/versions")[1] == [1]


def test_a_registry_that_holds_another_schema_or_is_none_is_named_and_the_bridge_does_not_run(cluster, registry, make_rig, tmp_path):
    rig = k.rig_on(cluster, make_rig, tmp_path)
    subject = f"{rig.names['events_topic']}-value"
    other = 'syntax = "proto3"; package tillstream.v1; message Event { map<string, int32> event_id = 2; string schema_version = 1; }'
    assert registry.ask("POST", f"/subjects/{subject}/versions", {"schemaType": "PROTOBUF", "schema": other})[0] == 200
    assert registry.ask("PUT", f"/config/{subject}", {"compatibility": "BACKWARD"})[0] == 200
    for url, says in [(registry.url, ["409", subject]), (registry.url.replace("ccompat", "nothing"), ["404", "registry.url"])]:
        with_registry(rig, url)
        status, _, err = k.tillstream_bridge("run", "--config", rig.bridge.config)
        assert status == 78 and all(word in err for word in says), err


def test_a_registry_that_is_down_at_start_is_waited_for(cluster, make_rig, tmp_path):
    """Any HTTP server that answers as one does: what is tested is the waiting."""
    rig = k.rig_on(cluster, make_rig, tmp_path)
    port = r.free_port()
    with_registry(rig, f"http://127.0.0.1:{port}")
    for process in (rig.broker, rig.bridge, rig.gateway):
        rig.begin(process)
    assert rig.gateway.submit(r.sale("T1", "1", 1250))[0] == 201
    r.wait_for("the reason", lambda: "schema registry" in rig.bridge.status()["stream"].get("last_error", ""))
    assert r.get(rig.bridge.admin_port, "/healthz")[0] == 503
    with k.AnsweringServer(port, 200, {"id": 77}):
        r.wait_for("the ack at the gateway", lambda: rig.gateway.status()["pending_events"] == 0)
    assert read_back(rig, cluster, b"\0\0\0\0\x4d\0")


# --- server-sent events ---

@pytest.fixture
def follow():
    """Followers of a bridge's server-sent events, ended with the test."""
    made = []

    def begin(bridge, query="", last_id=None):
        made.append(sse.Follower(bridge.admin_port, query, last_id))
        return made[-1]

    yield begin
    for follower in made:
        follower.close()


def await_placed(follower):
    """From the first comment on nothing is missed."""
    r.wait_for("the follower placed", lambda: "" in follower.comments)


def test_a_follower_sees_every_event_once_though_the_bridge_is_killed_again_and_again(kafka_rig, follow, seed):
    rig = kafka_rig()
    follower = follow(rig.bridge, "?from=0")
    rig.tap(3)
    for _ in range(3):
        rig.wait_told(40)
        r.time.sleep(seed.uniform(0, 0.4))
        rig.restart(rig.bridge)
    rig.wait_told(40)
    rig.settle(120)
    expected = sorted(row["event_id"] for row in rig.stream.rows())
    r.wait_for("every event at the follower", lambda: len(follower.records) >= len(expected))
    assert sorted(follower.ids()) == expected
    assert follower.connects >= 4 and not follower.removed and not follower.refusals
    last = {}
    for record in follower.records:
        if "seq" in record:
            place = (record["gateway_id"], record["epoch"], record["terminal_id"])
            assert last.get(place, 0) < record["seq"], f"{place}: {record['seq']} after {last[place]}"
            last[place] = record["seq"]


def test_an_id_goes_on_at_another_bridge_and_every_bridge_shows_what_all_have_published(kafka_rig, follow):
    rig = kafka_rig()
    second = k.another_bridge(rig, "bridge-2")
    rig.begin(second)
    first_follower = follow(rig.bridge, "?from=0")
    rig.tap(3)
    rig.wait_told(60)
    r.wait_for("some events at the first", lambda: len(first_follower.records) >= 20)
    first_follower.close()
    follower = follow(second, "", first_follower.last_id)
    rig.wait_told(60)
    rig.settle(120)
    expected = sorted(row["event_id"] for row in rig.stream.rows())
    r.wait_for("the rest at the second", lambda: len(first_follower.records) + len(follower.records) >= len(expected))
    assert sorted(first_follower.ids() + follower.ids()) == expected


@pytest.mark.parametrize("with_a_registry", [False, True])
def test_server_sent_events_and_tail_show_json_of_a_topic_that_holds_both_formats(cluster, registry, make_rig, tmp_path, follow, with_a_registry):
    rig = k.rig_on(cluster, make_rig, tmp_path)
    for process in (rig.broker, rig.bridge, rig.gateway):
        rig.begin(process)

    def sell(ref, bridge_began):
        sale = r.sale("T1", ref, 1250, merchant_name="Bäckerei", attributes={"lane": "3", "a": "b"}, card_number="4111 1111 1111 1111")
        event_id = rig.gateway.submit(sale)[1]["event_id"]
        r.wait_for(f"the ack, {bridge_began}", lambda: rig.gateway.status()["pending_events"] == 0)
        return event_id

    as_json = sell("1", "JSON")
    rig.bridge.terminate()
    if with_a_registry:
        with_registry(rig, registry.url)
    else:
        rig.bridge.tables["stream.kafka"]["format"] = "protobuf"
        rig.bridge.config.write_text(r.toml(rig.bridge.tables))
    rig.begin(rig.bridge)
    whole, live = follow(rig.bridge, "?from=0"), follow(rig.bridge)
    await_placed(live)
    as_protobuf = sell("2", "protobuf")
    for follower in (whole, live):
        r.wait_for("the event", lambda: as_protobuf in follower.ids())
    assert as_json in whole.ids() and as_json not in live.ids()
    # What differs between the two sales, and nothing else.
    own = {"event_id", "seq", "terminal_ref", "business_key", "received_at", "published_at"}
    shown = {record["event_id"]: record for record in whole.records}
    for field in shown[as_json].keys() | shown[as_protobuf].keys():
        assert field in shown[as_protobuf] and field in shown[as_json], field
        assert field in own or shown[as_protobuf][field] == shown[as_json][field], field
    assert shown[as_protobuf]["terminal_ref"] == "2" and shown[as_protobuf]["amount_minor"] == 1250
    tailed = {record["event_id"]: {name: value for name, value in record.items() if name != "position"} for record in k.tail(rig)}
    assert tailed == shown and live.records[-1] == shown[as_protobuf]


def test_the_live_page_gets_the_last_events_and_then_each_new_one_at_once(kafka_rig, follow):
    rig = kafka_rig()
    told = [rig.gateway.submit(r.sale("T1", str(number), 100 + number))[1]["event_id"] for number in range(60)]
    r.wait_for("the acks at the gateway", lambda: rig.gateway.status()["pending_events"] == 0)
    assert all(r.get(rig.bridge.admin_port, path)[0] == 200 for path in ("/", "/page.js", "/page.css", "/v1/status"))
    page = follow(rig.bridge, "?last=30")
    live = follow(rig.bridge)
    await_placed(page)
    await_placed(live)
    fresh = rig.gateway.submit(r.sale("T1", "fresh", 5000))[1]["event_id"]
    for follower in (page, live):
        r.wait_for("the new event", lambda: fresh in follower.ids())
    assert live.ids() == [fresh]
    before = page.ids()[:-1]
    sales = [row["event_id"] for row in rig.stream.rows() if row["event_id"] in told]
    assert 10 <= len(before) <= 60 and told[-1] in before, before
    assert [event for event in page.ids() if event in told] == sales[-len([e for e in before if e in told]):]


@pytest.mark.parametrize("query, header, says", [
    ("?from=x", {}, "PARTITION:OFFSET"), ("?from=17", {}, "PARTITION:OFFSET"), ("?from=0:1,0:2", {}, "PARTITION:OFFSET"),
    ("", {"Last-Event-ID": "17"}, "Last-Event-ID is no position"), ("?last=many", {}, "from 0 to 1000"),
])
def test_what_is_no_position_is_refused_with_what_is_allowed(kafka_rig, query, header, says):
    rig = kafka_rig()
    status, text = r.get(rig.bridge.admin_port, "/v1/events" + query, headers=header)
    assert status == 400 and says in text, text


def test_a_partition_that_is_not_there_is_refused_with_those_that_are(kafka_rig):
    rig = kafka_rig()
    for query, header in (("?from=0:1,7:0", {}), ("", {"Last-Event-ID": "7:0"})):
        status, text = r.get(rig.bridge.admin_port, "/v1/events" + query, headers=header, seconds=20)
        assert status == 400 and "partition 7 is not there: the topic has 3, 0 to 2" in text, text
    status, _, err = k.tillstream_bridge("tail", "--config", rig.bridge.config, "--from", "9:1")
    assert status == 2 and "--from: 9:1" in err and "the topic has 3, 0 to 2" in err, err


def publish(cluster, rig, event_id):
    """As another program would: whoever reads is not to wait for a gateway and its bridge."""
    producer = confluent_kafka.Producer({"bootstrap.servers": cluster.bootstrap})
    producer.produce(rig.names["events_topic"], json.dumps({"event_id": event_id}), "elsewhere/",
                     headers={"content-type": "application/json"})
    assert producer.flush(60) == 0


def test_foreign_records_are_shown_with_the_reason_why_they_cannot_be(cluster, make_rig, tmp_path):
    rig = k.rig_on(cluster, make_rig, tmp_path)
    producer = confluent_kafka.Producer({"bootstrap.servers": cluster.bootstrap})
    readable = "; readable: application/json, application/protobuf"
    foreign = [(None, "x", "has no header content-type" + readable), ("text/csv", "a,b", "is text/csv" + readable),
               ("application/json", "[1]", "is application/json, and no object"),
               ("application/protobuf", "\x07", "is application/protobuf, and no tillstream.v1.Event")]
    for content_type, value, _ in foreign:
        headers = {"content-type": content_type} if content_type else {}
        producer.produce(rig.names["events_topic"], value, "elsewhere/", 0, headers=headers)
    assert producer.flush(60) == 0
    assert [(line["unreadable"], line["bytes"]) for line in k.tail(rig)] == [(why, len(value)) for _, value, why in foreign]


def test_tail_waits_beyond_the_end_and_goes_on_behind_what_was_removed(cluster, make_rig, tmp_path):
    rig = k.rig_on(cluster, make_rig, tmp_path)
    topic, partition, producer = rig.names["events_topic"], 2, confluent_kafka.Producer({"bootstrap.servers": cluster.bootstrap})

    def publish_numbers(numbers, to=partition):
        for number in numbers:
            producer.produce(topic, json.dumps({"number": number}), "elsewhere/", to, headers={"content-type": "application/json"})
        assert producer.flush(60) == 0

    def numbers_in(text):
        return [json.loads(line)["number"] for line in text.splitlines()]

    def tailed(place):
        status, out, err = k.tillstream_bridge("tail", "--config", rig.bridge.config, "--from", place)
        return status, numbers_in(out), err

    publish_numbers(range(12))
    assert tailed(f"{partition}:999999") == (0, [], "")
    assert tailed(f"{partition}:10,1:5") == (0, [10, 11], "")
    seen = tmp_path / "seen"
    with seen.open("w") as out, k.subprocess.Popen(
            [r.BIN / "tillstream-bridge", "tail", "--config", rig.bridge.config, "--from", f"{partition}:14,1:5", "--follow"],
            stdout=out, env={**r.os.environ, **r.SANITIZER_ENV}) as follower:
        try:
            publish_numbers([100], 0)
            r.wait_for("the reading begun", lambda: numbers_in(seen.read_text()) == [100])
            publish_numbers(range(12, 16))
            r.wait_for("what was waited for", lambda: numbers_in(seen.read_text()) == [100, 14, 15])
            publish_numbers([16])
            r.wait_for("what came afterwards", lambda: numbers_in(seen.read_text()) == [100, 14, 15, 16])
        finally:
            follower.terminate()
            assert follower.wait(30) == 0
    k.delete_records(cluster, topic, partition, 8)
    status, numbers, err = tailed(f"{partition}:5,1:5,0:1000")
    assert (status, numbers) == (0, list(range(8, 17))), err
    assert f"from {partition}:5 on are removed" in err and f"goes on at {partition}:8" in err, err
    status, numbers, err = tailed("0")
    assert (status, sorted(numbers), err) == (0, [*range(8, 17), 100], "")


def test_a_follower_hears_that_kafka_is_away_and_misses_nothing_when_it_is_back(kafka_rig, cluster, follow):
    rig = kafka_rig()
    live, old = follow(rig.bridge), follow(rig.bridge, "?from=0")
    await_placed(live)
    publish(cluster, rig, "before")
    for follower in (live, old):
        r.wait_for("the first event", lambda: "before" in follower.ids())
    node = cluster.nodes[0]
    node.kill9()
    for follower in (live, old):
        r.wait_for("a reason", lambda: any(follower.comments), 60)
    late = follow(rig.bridge)
    r.wait_for("a reason for who comes now", lambda: any(late.comments), 60)
    assert "" not in late.comments
    late_from_a_place = follow(rig.bridge, "?from=0")
    r.wait_for("a reason for who comes from a place", lambda: any(late_from_a_place.comments), 60)
    node.start()
    r.wait_for("Kafka back", lambda: k.alive(node) and node.ready(), 120)
    publish(cluster, rig, "back")
    for follower in (live, old):
        r.wait_for("the second event", lambda: "back" in follower.ids(), 60)
    await_placed(late)
    publish(cluster, rig, "after")
    for follower in (live, old, late, late_from_a_place):
        r.wait_for("the third event", lambda: "after" in follower.ids(), 60)
        assert follower.connects == 1
    assert live.ids() == old.ids() == late_from_a_place.ids() == ["before", "back", "after"]
