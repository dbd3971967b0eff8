"""The bridge's Kafka stream in the system tests: a real cluster, the bridge's topics, and what a consumer of committed data sees."""
import hashlib
import http.server
import itertools
import json
import pathlib
import socket
import struct
import subprocess
import sys
import threading
import uuid

import confluent_kafka
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from confluent_kafka.admin import AdminClient, ConfigResource

import rig as r

for support in ("kafka", "schema_registry"):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support" / support))

from cluster import JAVA, Cluster  # noqa: E402  (re-exported)
from registry import Registry  # noqa: E402  (re-exported)

EVENTS, GATEWAYS, PROGRESS, DEAD = ("tillstream.events", "tillstream.gateways", "tillstream.progress", "tillstream.dead-letter")
PROGRESS_PARTITIONS = 4


def start(folder, nodes=1, settings=None, relays=None, **how):
    cluster = Cluster(folder, nodes, settings, relays, **how)
    for node in cluster.processes:
        node.start()
    for node in cluster.processes:
        wait_ready(node)
    return cluster


def wait_ready(node):
    r.wait_for(f"{node.name} ready", lambda: alive(node) and node.ready(), 120)


def alive(node):
    assert node.alive, f"{node.name} ended: {node.log()[-2000:]}"
    return True


def overrides(cluster, **kafka):
    return {"stream": {"kind": "kafka"}, "stream.kafka": {"bootstrap_servers": cluster.bootstrap, "session_timeout": "1s", **kafka}}


def tillstream_bridge(*arguments, seconds=60):
    done = subprocess.run([r.BIN / "tillstream-bridge", *map(str, arguments)], capture_output=True, text=True, timeout=seconds,
                          check=False, env={**r.os.environ, **r.SANITIZER_ENV})
    return done.returncode, done.stdout, done.stderr


def tail(rig):
    """The stream as the bridge's own tail prints it."""
    status, out, err = tillstream_bridge("tail", "--config", rig.bridge.config)
    assert status == 0, err
    return [json.loads(line) for line in out.splitlines()]


def kcat(bootstrap, topic, isolation):
    return ["kcat", "-C", "-b", bootstrap, "-t", topic, "-o", "beginning", "-e", "-q", "-X", f"isolation.level={isolation}"]


def console_consumer(bootstrap, topic, isolation):
    return [*JAVA, "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", bootstrap, "--topic", topic,
            "--from-beginning", "--isolation-level", isolation, "--timeout-ms", "8000"]


def values(command):
    """What a reader prints: one value a line. It ends at the topic's end, by a code of its own."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    assert lines, done.stdout + done.stderr
    return [json.loads(line) for line in lines]


def create_topics(config, replication=1):
    status, out, err = tillstream_bridge("topics", "--create", "--config", config, "--replication", replication,
                                         "--partitions", PROGRESS_PARTITIONS, "--events-partitions", 3)
    assert status == 0, out + err


def alter_topic(bootstrap, name, settings):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for done in admin.alter_configs([ConfigResource(ConfigResource.Type.TOPIC, name, set_config=settings)]).values():
        done.result(30)


def rig_on(cluster, make_rig, tmp_path, replication=1, **kafka):
    """A rig whose bridge works on topics of the test's own; the topics are there, nothing runs yet."""
    prefix = tmp_path.name.replace("_", "-")[:60]
    names = {"events_topic": f"{prefix}.events", "gateways_topic": f"{prefix}.gateways",
             "progress_topic": f"{prefix}.progress", "dead_letter_topic": f"{prefix}.dead"}
    rig = make_rig(bridge=overrides(cluster, **{**names, **kafka}), start=False)
    rig.names = names
    rig.stream = KafkaStream(cluster)
    rig.stream.topic = Topic(cluster.bootstrap, names["events_topic"])
    rig.partition = partition_of(rig.gateway.gateway_id)
    create_topics(rig.bridge.config, replication)
    return rig


def another_bridge(rig, name):
    """One more bridge on the same topics; not started."""
    bridge = r.Bridge(rig.folder, rig.broker.port, name=name, overrides=rig.bridge.tables)
    bridge.tables["bridge"]["id"] = name
    bridge.tables["admin"]["listen"] = f"127.0.0.1:{bridge.admin_port}"
    bridge.config.write_text(r.toml(bridge.tables))
    rig.others.append(bridge)
    return bridge


def event_class():
    """tillstream.v1.Event, as a reader gets it who has nothing but the descriptor file."""
    files = descriptor_pb2.FileDescriptorSet.FromString((r.BIN.parent / "share/tillstream/event.desc").read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return message_factory.MessageFactory(pool).GetPrototype(pool.FindMessageTypeByName("tillstream.v1.Event"))


def partition_of(gateway_id):
    return hashlib.sha256(gateway_id.encode()).digest()[0] % PROGRESS_PARTITIONS


def gateway_id_in(partition, stem="shop"):
    return next(name for name in (f"{stem}-{n}" for n in itertools.count()) if partition_of(name) == partition)


class AnsweringServer:
    """An HTTP server that answers everything alike, for as long as it is entered."""

    def __init__(self, port, status, body):
        class Answer(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_):
                pass

        self._server = http.server.HTTPServer(("127.0.0.1", port), Answer)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def gateways_in_every_partition(rig, pause=0.0):
    """One terminal at a gateway of each partition; gateways by partition."""
    gateways = {}
    for partition in range(PROGRESS_PARTITIONS):
        gateway = rig.gateway
        if partition != rig.partition:
            gateway = r.Gateway(rig.folder, rig.relay.port, gateway_id=gateway_id_in(partition))
            rig.others.append(gateway)
            rig.begin(gateway)
        rig.tap(1, pause, gateway)
        gateways[partition] = gateway
    return gateways


def wait_committed(more, *bridges, seconds=60):
    """Until these bridges have committed so much more, together."""
    def committed():
        return sum(bridge.metric("tillstream_bridge_records_committed_total") for bridge in bridges)
    goal = r.wait_for("status", lambda: committed() + more)
    r.wait_for(f"{more} records committed", lambda: committed() >= goal, seconds)


def owned(bridge):
    return {row["partition"] for row in bridge.status()["partitions"] if row["owned"]}


# librdkafka goes on by itself after these.
PASSING = {confluent_kafka.KafkaError._TRANSPORT, confluent_kafka.KafkaError._ALL_BROKERS_DOWN, confluent_kafka.KafkaError._RESOLVE}


class Topic:
    """All committed records of a topic, read anew each time."""

    def __init__(self, bootstrap, name):
        self.bootstrap, self.name = bootstrap, name

    def messages(self, isolation="read_committed", seconds=30):
        consumer = confluent_kafka.Consumer({
            "bootstrap.servers": self.bootstrap, "group.id": f"judge-{uuid.uuid4()}", "isolation.level": isolation,
            "enable.partition.eof": True, "enable.auto.commit": False, "auto.offset.reset": "earliest"})
        try:
            partitions = consumer.list_topics(self.name, timeout=seconds).topics[self.name].partitions
            consumer.assign([confluent_kafka.TopicPartition(self.name, p, confluent_kafka.OFFSET_BEGINNING) for p in partitions])
            ended, found = set(), []
            while len(ended) < len(partitions):
                message = consumer.poll(seconds)
                assert message is not None, f"{self.name}: nothing within {seconds} s"
                if message.error() is None:
                    found.append(message)
                elif message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
                    ended.add(message.partition())
                elif message.error().code() not in PASSING:
                    raise AssertionError(str(message.error()))
            return found
        finally:
            consumer.close()


class KafkaStream:
    """As rig.Stream, for the judge: rows of an epoch by their seq, once it is shown that each partition has them in that order."""

    def __init__(self, cluster):
        self.topic = Topic(cluster.bootstrap, EVENTS)

    def rows(self):
        last, homes, epochs, rows = {}, {}, {}, []
        for message in self.topic.messages():
            event = json.loads(message.value())
            key = message.key().decode()
            assert homes.setdefault(key, message.partition()) == message.partition(), f"{key} is in two partitions"
            seq, epoch = event.get("seq"), (event["gateway_id"], event.get("epoch", ""))
            if seq is not None:
                place = (*epoch, message.partition())
                assert last.get(place, 0) < seq, f"{place}: seq {seq} after {last[place]}"
                last[place] = seq
            published = event["published_at"]
            epochs[epoch] = min(published, epochs.get(epoch, published))
            rows.append({"position": f"{message.partition()}:{message.offset()}", "event_id": event["event_id"], "key": key,
                         "gateway_id": epoch[0], "epoch": epoch[1], "seq": seq, "type": event["type"],
                         "value": message.value().decode(), "headers": message.headers()})
        rows.sort(key=lambda row: (epochs[row["gateway_id"], row["epoch"]], row["gateway_id"], row["epoch"], row["seq"] or 0))
        return rows

    def count(self):
        return sum(1 for row in self.rows() if row["type"] != "notice")

    def notices(self):
        return [json.loads(row["value"]) for row in self.rows() if row["type"] == "notice"]


def java_hash(text):
    """String.hashCode, without its sign as Kafka takes it."""
    value = 0
    for character in text:
        value = (31 * value + ord(character)) & 0xFFFFFFFF
    return value & 0x7FFFFFFF


class Layout:
    """Which broker does what at this moment, as the brokers say."""

    def __init__(self, cluster):
        self._cluster, self._admin = cluster, AdminClient({"bootstrap.servers": cluster.bootstrap})

    def partitions(self, topic):
        return self._admin.list_topics(topic, timeout=30).topics[topic].partitions

    def leader(self, topic, partition):
        number = self.partitions(topic)[partition].leader
        return next((node for node in self._cluster.nodes if node.number == number), None)

    def coordinator(self, transactional_id):
        """Of its transactions."""
        log = self.partitions("__transaction_state")
        return next((node for node in self._cluster.nodes if node.number == log[java_hash(transactional_id) % len(log)].leader), None)

    def in_sync(self, topics, replicas):
        """Whether all their partitions have so many replicas in sync, and a leader."""
        return all(partition.leader >= 0 and len(partition.isrs) >= replicas
                   for topic in topics for partition in self.partitions(topic).values())

    def wait_in_sync(self, rig, replicas=3):
        topics = [*rig.names.values(), "__transaction_state", "__consumer_offsets"]
        r.wait_for(f"{replicas} replicas in sync", lambda: self.in_sync(topics, replicas), 120)


class Right:
    """One thing that a user may do, on what bears this name or begins with it."""

    TOPIC, GROUP, TRANSACTIONAL_ID = 2, 3, 5
    READ, WRITE, DESCRIBE = 3, 4, 8
    _LITERAL, _PREFIXED, _ALLOW = 3, 4, 3
    _CREATE_ACLS, _DELETE_ACLS = 30, 31

    def __init__(self, user, kind, name, operation, prefix=False):
        pattern = self._PREFIXED if prefix else self._LITERAL
        self._entry = (struct.pack(">b", kind) + _text(name) + struct.pack(">b", pattern) + _text(f"User:{user}") + _text("*") +
                       struct.pack(">bb", operation, self._ALLOW))

    def give(self, cluster):
        _ask_broker(cluster, self._CREATE_ACLS, self._entry)

    def take(self, cluster):
        _ask_broker(cluster, self._DELETE_ACLS, self._entry)


def _text(text):
    return struct.pack(">h", len(text.encode())) + text.encode()


def _ask_broker(cluster, api, entry):
    """About rights, by requests of version 1 with one entry: the client's library cannot speak of them yet."""
    _, results, error = struct.unpack(">iih", _exchange(cluster, api, struct.pack(">i", 1) + entry)[:10])
    assert (results, error) == (1, 0), f"the broker says {results} results, error {error}"


def delete_records(cluster, topic, partition, before):
    """As retention does: what lies before this offset is gone."""
    asked = struct.pack(">i", 1) + _text(topic) + struct.pack(">iiqi", 1, partition, before, 30_000)
    answer = _exchange(cluster, 21, asked)
    first, error = struct.unpack(">qh", answer[-10:])
    assert (first, error) == (before, 0), f"the broker says offset {first}, error {error}"


def _exchange(cluster, api, body):
    """A request of version 1 and its answer's body, of the first broker."""
    request = struct.pack(">hhi", api, 1, 1) + _text("tests") + body
    with socket.create_connection(("127.0.0.1", cluster.nodes[0].port), timeout=30) as line, line.makefile("rb") as answers:
        line.sendall(struct.pack(">i", len(request)) + request)
        return answers.read(struct.unpack(">i", answers.read(4))[0])[4:]
