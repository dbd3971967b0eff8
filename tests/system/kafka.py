"""The bridge's Kafka stream in the system tests: a real cluster, the bridge's topics, and what a consumer of committed data sees."""
import hashlib
import http.server
import itertools
import json
import pathlib
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


def start(folder, nodes=1, settings=None, relays=None):
    cluster = Cluster(folder, nodes, settings, relays)
    for node in cluster.nodes:
        node.start()
    for node in cluster.nodes:
        r.wait_for(f"{node.name} ready", lambda: alive(node) and node.ready(), 120)
    return cluster


def alive(node):
    assert node.alive, f"{node.name} ended: {node.log()[-2000:]}"
    return True


def overrides(cluster, **kafka):
    return {"stream": {"kind": "kafka"}, "stream.kafka": {"bootstrap_servers": cluster.bootstrap, "session_timeout": "1s", **kafka}}


def tillstream_bridge(*arguments, seconds=60):
    done = subprocess.run([r.BIN / "tillstream-bridge", *map(str, arguments)], capture_output=True, text=True, timeout=seconds,
                          check=False, env={**r.os.environ, **r.SANITIZER_ENV})
    return done.returncode, done.stdout, done.stderr


def create_topics(config, replication=1):
    status, out, err = tillstream_bridge("topics", "--create", "--config", config, "--replication", replication,
                                         "--partitions", PROGRESS_PARTITIONS, "--events-partitions", 3)
    assert status == 0, out + err


def alter_topic(bootstrap, name, settings):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for done in admin.alter_configs([ConfigResource(ConfigResource.Type.TOPIC, name, set_config=settings)]).values():
        done.result(30)


def rig_on(cluster, make_rig, tmp_path, **kafka):
    """A rig whose bridge works on topics of the test's own; the topics are there, nothing runs yet."""
    prefix = tmp_path.name.replace("_", "-")[:60]
    names = {"events_topic": f"{prefix}.events", "gateways_topic": f"{prefix}.gateways",
             "progress_topic": f"{prefix}.progress", "dead_letter_topic": f"{prefix}.dead"}
    rig = make_rig(bridge=overrides(cluster, **{**names, **kafka}), start=False)
    rig.names = names
    rig.stream = KafkaStream(cluster)
    rig.stream.topic = Topic(cluster.bootstrap, names["events_topic"])
    create_topics(rig.bridge.config)
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


def owned(bridge):
    return {row["partition"] for row in bridge.status()["partitions"] if row["owned"]}


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
                else:
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
