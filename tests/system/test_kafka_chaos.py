"""Everything that can die dies at random while three bridges share the work; a consumer that shares no code with ours is the judge."""
import os
import signal

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
    k.wait_ready(node)


def sleep_and_wake(process, seconds):
    process.popen.send_signal(signal.SIGSTOP)
    r.time.sleep(seconds)
    process.popen.send_signal(signal.SIGCONT)


def test_every_event_told_arrives_once_whoever_dies_or_sleeps(make_rig, tmp_path, cluster, seed):
    rig = k.rig_on(cluster, make_rig, tmp_path, transaction_timeout="3s")
    bridges = [rig.bridge, k.another_bridge(rig, "bridge-2"), k.another_bridge(rig, "bridge-3")]
    for process in (rig.broker, *bridges, rig.gateway):
        rig.begin(process)
    gateways = list(k.gateways_in_every_partition(rig, pause=0.01).values())
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
    seen = k.values(k.console_consumer(cluster.bootstrap, rig.names["events_topic"], "read_committed"))
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
