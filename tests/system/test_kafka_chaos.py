"""Everything that can die dies at random while three bridges share the work; a consumer that shares no code with ours is the judge."""
import json
import os
import signal
import subprocess

import pytest

import kafka as k
import rig as r

ROUNDS = int(os.environ.get("TILLSTREAM_ROUNDS", 8))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    made = k.start(tmp_path_factory.mktemp("kafka"))
    yield made
    made.close()


def restart_kafka(cluster):
    node = cluster.nodes[0]
    node.kill9()
    node.start()
    r.wait_for("kafka ready", lambda: k.alive(node) and node.ready(), 120)


def sleep_and_wake(process, seconds):
    process.popen.send_signal(signal.SIGSTOP)
    r.time.sleep(seconds)
    process.popen.send_signal(signal.SIGCONT)


def by_apaches_own_consumer(rig, cluster):
    """event_id and place of every committed event, in the order of each partition, as Apache's console consumer prints them."""
    done = subprocess.run(
        [*k.JAVA, "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", cluster.bootstrap, "--topic",
         rig.names["events_topic"], "--from-beginning", "--isolation-level", "read_committed", "--timeout-ms", "10000"],
        capture_output=True, text=True, timeout=180, check=False)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def test_every_event_told_arrives_once_whoever_dies_or_sleeps(make_rig, tmp_path, cluster, seed):
    rig = k.rig_on(cluster, make_rig, tmp_path, transaction_timeout="3s")
    bridges = [rig.bridge, k.another_bridge(rig, "bridge-2"), k.another_bridge(rig, "bridge-3")]
    for process in (rig.broker, *bridges, rig.gateway):
        rig.begin(process)
    gateways = [rig.gateway]
    for partition in set(range(k.PROGRESS_PARTITIONS)) - {k.partition_of(rig.gateway.gateway_id)}:
        gateways.append(r.Gateway(rig.folder, rig.relay.port, gateway_id=k.gateway_id_in(partition)))
        rig.others.append(gateways[-1])
        rig.begin(gateways[-1])
    for gateway in gateways:
        rig.tap(1, pause=0.01, gateway=gateway)
    # Each at least once, in any order; the first ones once more.
    blows = [lambda: rig.restart(seed.choice(bridges)),
             lambda: rig.restart(seed.choice(gateways)),
             lambda: rig.restart(rig.broker),
             lambda: restart_kafka(cluster),
             lambda: sleep_and_wake(seed.choice(bridges), seed.uniform(0.2, 4)),
             lambda: sleep_and_wake(cluster.nodes[0], seed.uniform(0.2, 4)),
             lambda: sleep_and_wake(seed.choice(gateways), seed.uniform(0.2, 2))]
    seed.shuffle(blows)
    for round_ in range(ROUNDS):
        rig.wait_told(40)
        r.time.sleep(seed.uniform(0, 0.8))
        blows[round_ % len(blows)]()
    rig.wait_told(40)
    told = rig.settle(180)
    seen = by_apaches_own_consumer(rig, cluster)
    ids = [event["event_id"] for event in seen]
    assert len(ids) == len(set(ids))
    assert {answer["event_id"] for terminal in rig.terminals for answer in terminal.told.values()} <= set(ids)
    last = {}
    for event in seen:
        if "seq" in event:
            place = (event["gateway_id"], event["epoch"], event.get("terminal_id", ""))
            assert last.get(place, 0) < event["seq"], f"{place}: seq {event['seq']} after {last[place]}"
            last[place] = event["seq"]
    print(f"{told} told, {len(seen)} on the stream, {ROUNDS} blows")
