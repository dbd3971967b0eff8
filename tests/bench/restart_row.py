#!/usr/bin/env python3
"""A bridge on Kafka is started with the progress of many gateways: from exec to its first commit, beside the progress topic read by librdkafka alone.

    restart_row.py BUILD_FOLDER [--rounds N] [--gateways N] [--json FILE]

One Kafka on this machine; the progress topic holds one record a gateway, in four partitions, all of which this bridge takes. Eight gateways wait with an
event each; they say Hello within a second after the bridge's Owner (handoff::SenderSettings::owner_jitter_max), and whoever is first makes the first
commit: so the time until the bridge is ready stands beside it. It was ended by SIGTERM before. Environment TILLSTREAM_KAFKA: Kafka's folder.
"""
import argparse
import hashlib
import http.client
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

from rows import spread

HERE = pathlib.Path(__file__).resolve().parent
WAITING, RUNS = 8, 3
PREFIX = "bench"
PAUSE_SECONDS = 0.005


def progress(gateway_id):
    """tillstream.v1.Progress as the bridge stores it: an epoch, and the last few runs."""
    import wire

    def text(number, value):
        return wire.varint(number << 3 | 2) + wire.varint(len(value)) + value

    def whole(number, value):
        return wire.varint(number << 3) + wire.varint(value)

    seed = hashlib.sha256(gateway_id.encode()).digest()
    out = text(1, gateway_id.encode()) + text(2, seed[:16]) + whole(3, 3_000) + text(4, seed)
    for run in range(RUNS):
        out += text(5, text(1, bytes([run]) + seed[1:16]) + whole(2, 1_000) + text(3, seed))
    return out


def fill(bootstrap, topic, count):
    import confluent_kafka
    import kafka as k

    producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "linger.ms": 20, "queue.buffering.max.messages": 2 * count})
    for number in range(count):
        gateway_id = f"fleet-{number:06}"
        producer.produce(topic, key=gateway_id, value=progress(gateway_id), partition=k.partition_of(gateway_id))
    assert producer.flush(120) == 0, "the progress topic is not filled"


class FirstRecord:
    """When the first record becomes readable in a topic, from now on, for readers of committed data."""

    def __init__(self, bootstrap, topic):
        import confluent_kafka

        self.at = None
        self._consumer = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": "bench-first", "isolation.level": "read_committed",
                                                   "enable.auto.commit": False})
        partitions = self._consumer.list_topics(topic, 10).topics[topic].partitions
        ends = [confluent_kafka.TopicPartition(topic, number) for number in partitions]
        for end in ends:
            end.offset = self._consumer.get_watermark_offsets(end, 10)[1]
        self._consumer.assign(ends)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while self.at is None:
            message = self._consumer.poll(0.5)
            if message is not None and message.error() is None:
                self.at = time.monotonic()
        self._consumer.close()

    def wait(self):
        self._thread.join(120)
        assert self.at is not None, "no commit within 120 s"
        return self.at


def ready(bridge):
    """Until it says so: all partitions are its own, and the broker is connected."""
    import rig as r

    while True:
        try:
            if r.get(bridge.admin_port, "/readyz")[0] == 200:
                return time.monotonic()
        except (OSError, http.client.HTTPException):
            assert bridge.alive, bridge.log()[-2000:]
        time.sleep(PAUSE_SECONDS)


def restart(rig, cluster, gateways):
    import rig as r

    for gateway in gateways:
        assert gateway.submit(r.sale("T1", f"restart-{time.monotonic_ns()}"))[0] == 201
    first = FirstRecord(cluster.bootstrap, rig.names["events_topic"])
    begun = time.monotonic()
    rig.bridge.start()
    result = {"ready": ready(rig.bridge) - begun, "commit": first.wait() - begun, "rss_kib": rig.bridge.rss_kib()}
    for gateway in gateways:
        r.wait_for("every event committed", lambda one=gateway: one.status()["pending_events"] == 0)
    rig.bridge.terminate()
    return result


def bare(build, rig, cluster):
    import kafka as k

    begun = time.monotonic()
    done = subprocess.run([build / "bin" / "bare_progress", cluster.bootstrap, rig.names["progress_topic"], str(k.PROGRESS_PARTITIONS)],
                          check=True, capture_output=True, text=True)
    return time.monotonic() - begun, json.loads(done.stdout)


def run(build, folder, rounds, count):
    import kafka as k
    import rig as r

    cluster = k.start(folder)
    made = []

    def make_rig(**options):
        made.append(r.Rig(folder, **options))
        return made[-1]

    try:
        rig = k.rig_on(cluster, make_rig, folder)
        fill(cluster.bootstrap, rig.names["progress_topic"], count)
        rig.begin(rig.broker)
        gateways = [rig.gateway] + [r.Gateway(folder, rig.relay.port, gateway_id=f"shop-{number:04}") for number in range(2, WAITING + 1)]
        rig.others += gateways[1:]
        for gateway in gateways:
            rig.begin(gateway)
        runs = []
        for _ in range(rounds + 1):
            one = restart(rig, cluster, gateways)
            one["bare"], read = bare(build, rig, cluster)
            runs.append(one | read)
        return runs[1:]  # the first warms Kafka up
    finally:
        for rig in made:
            rig.close()
        cluster.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gateways", type=int, default=100_000)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    build = options.build.resolve()
    os.environ["TILLSTREAM_BIN"] = str(build / "bin")
    sys.path[:0] = [str(HERE.parent / "system"), str(HERE.parent / "support")]
    with tempfile.TemporaryDirectory(prefix=f"tillstream-{PREFIX}-") as folder:
        runs = run(build, pathlib.Path(folder), options.rounds, options.gateways)
    result = {which: spread([one[which] for one in runs]) for which in ("ready", "commit", "bare", "rss_kib")}
    for which in ("ready", "commit"):
        result[f"{which}_of_bare"] = spread([one[which] / one["bare"] for one in runs])
        row, ratio = result[which], result[f"{which}_of_bare"]
        print(f"restart  {options.gateways} gateways, {'first commit' if which == 'commit' else which:12} {row['median']:.2f} s "
              f"({row['least']:.2f} … {row['most']:.2f})   progress read alone {result['bare']['median']:.2f} s   {ratio['median']:.2f} × "
              f"({ratio['least']:.2f} … {ratio['most']:.2f})")
    print(f"restart  resident then {result['rss_kib']['median'] / 1024:.0f} MiB; {runs[-1]['records']} records, {runs[-1]['bytes'] / 1e6:.0f} MB")
    if options.json:
        options.json.write_text(json.dumps(result | {"runs": runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
