"""Taking a Kafka partition over: whoever had it writes nothing any more, and whoever has it knows all that was committed."""
import signal
import threading

import confluent_kafka
import pytest

import kafka as k
import rig as r

SESSION_SECONDS = 1
SIGTERM_SECONDS = 5  # cloud-bridge/README.md
LOSSES = "tillstream_bridge_partitions_lost_total"
# 90: PRODUCER_FENCED. Brokers of 4.2 have also been seen to refuse the EndTxn of an older epoch with UNKNOWN.
FENCED = {confluent_kafka.KafkaError._FENCED, confluent_kafka.KafkaError.INVALID_PRODUCER_EPOCH, 90, confluent_kafka.KafkaError.UNKNOWN}


@pytest.fixture(scope="module")
def line():
    """The bridge's line to Kafka in those tests that spoil it."""
    relay = r.Relay(r.free_port())
    yield relay
    relay.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, line):
    made = k.start(tmp_path_factory.mktemp("kafka"), relays=[(line.target_port, line.port)])
    yield made
    made.close()


@pytest.fixture
def rig(make_rig, tmp_path, cluster):
    """Broker and gateway run, the bridge does not."""
    made = k.rig_on(cluster, make_rig, tmp_path, transaction_timeout="2s")
    made.begin(made.broker)
    made.begin(made.gateway)
    yield made
    for process in [made.bridge, *made.others]:
        if process.alive:
            process.signal(signal.SIGCONT)


def wait_all_owned(bridge, seconds=60):
    r.wait_for(f"all partitions at {bridge.name}", lambda: len(k.owned(bridge)) == k.PROGRESS_PARTITIONS, seconds)


def transactional(cluster, rig, turn=None, name=None, seconds=60):
    """A producer of the test's own; with a turn, as an owner of the gateway's partition before us."""
    return confluent_kafka.Producer({
        "bootstrap.servers": cluster.bootstrap, "transaction.timeout.ms": seconds * 1000, "linger.ms": 0,
        "transactional.id": name or f"{rig.names['progress_topic']}-{rig.partition}-{turn}"})


def varint(number):
    out = b""
    while number > 0x7F:
        out, number = out + bytes([number & 0x7F | 0x80]), number >> 7
    return out + bytes([number])


def progress(gateway_id, seq):
    """tillstream.v1.Progress."""
    def field(number, data):
        return bytes([number << 3 | 2]) + varint(len(data)) + data
    return field(1, gateway_id.encode()) + field(2, b"e" * 16) + b"\x18" + varint(seq) + field(4, b"d" * 32)


def put_progress(producer, rig, gateway_id, seq):
    producer.produce(rig.names["progress_topic"], progress(gateway_id, seq), key=gateway_id, partition=rig.partition)


class OldOwner(threading.Thread):
    """Commits progress of one gateway with one turn's id, without a pause, until it is fenced."""

    def __init__(self, cluster, rig, turn):
        super().__init__(daemon=True)
        self.rig, self.gateway_id = rig, k.gateway_id_in(rig.partition, f"old-{turn}")
        self.committed, self.error = 0, None
        self.halt = threading.Event()
        self._producer = transactional(cluster, rig, turn)

    def run(self):
        try:
            self._producer.init_transactions(30)
            while not self.halt.is_set():
                self._producer.begin_transaction()
                put_progress(self._producer, self.rig, self.gateway_id, self.committed + 1)
                self._producer.commit_transaction(30)
                self.committed += 1
        except confluent_kafka.KafkaException as error:
            self.error = error.args[0]


def known_seq(bridge, gateway_id):
    rows = [row for row in bridge.status()["gateways"] if row["gateway_id"] == gateway_id]
    return rows[0]["committed_seq"] if rows else 0


def test_an_owner_that_still_commits_is_fenced_in_every_turn_before_its_progress_is_read(rig, cluster):
    for _ in range(3):
        owners = [OldOwner(cluster, rig, turn) for turn in (0, 1)]
        for owner in owners:
            owner.start()
        r.wait_for("the old owner at work", lambda: all(owner.committed > 3 or owner.error for owner in owners))
        rig.begin(rig.bridge)
        r.wait_for("the partition taken", lambda: rig.partition in k.owned(rig.bridge))
        for owner in owners:
            owner.join(10)
            alive = owner.is_alive()
            owner.halt.set()
            assert not alive, f"{owner.gateway_id}: commits on beside the new owner"
            assert owner.error.code() in FENCED, owner.error
            # The commit that was refused is not in, unless it is that last one whose answer does not say why.
            open_outcome = owner.error.code() == confluent_kafka.KafkaError.UNKNOWN
            assert owner.committed <= known_seq(rig.bridge, owner.gateway_id) <= owner.committed + open_outcome
        rig.bridge.kill9()


@pytest.mark.parametrize("turn", [0, 1])
def test_what_the_old_owner_left_open_is_aborted_and_cannot_be_committed_late(rig, cluster, turn):
    old = transactional(cluster, rig, turn)
    old.init_transactions(30)
    old.begin_transaction()
    ghost = k.gateway_id_in(rig.partition, "ghost")
    put_progress(old, rig, ghost, 7)
    old.produce(rig.names["events_topic"], b"{}", key="ghost")
    assert old.flush(30) == 0
    rig.begin(rig.bridge)
    r.wait_for("the partition taken", lambda: rig.partition in k.owned(rig.bridge))
    with pytest.raises(confluent_kafka.KafkaException) as refused:
        old.commit_transaction(30)
    assert refused.value.args[0].code() in FENCED
    assert known_seq(rig.bridge, ghost) == 0
    rig.tap(2)
    rig.wait_told(20)
    rig.settle()
    assert "ghost" not in [message.key().decode() for message in rig.stream.topic.messages()]


def test_progress_behind_a_strangers_open_transaction_is_waited_for_and_status_says_so(rig, cluster):
    rig.begin(rig.bridge)
    rig.tap(2)
    k.wait_committed(20, rig.bridge)
    stranger = transactional(cluster, rig, name=f"{rig.names['progress_topic']}-stranger")
    stranger.init_transactions(30)
    stranger.begin_transaction()
    stranger.produce(rig.names["progress_topic"], b"x", key="stranger", partition=rig.partition)
    assert stranger.flush(30) == 0
    # The commits go on, behind the last stable offset.
    k.wait_committed(60, rig.bridge)
    rig.bridge.kill9()
    rig.begin(rig.bridge)

    def row():
        return next((row for row in rig.bridge.status()["partitions"] if row["partition"] == rig.partition), {})

    r.wait_for("the reason", lambda: "open transaction" in row().get("lost_reason", ""))
    assert not row()["owned"]
    r.wait_for("the other partitions", lambda: len(k.owned(rig.bridge)) == k.PROGRESS_PARTITIONS - 1)
    assert rig.bridge.metric("tillstream_bridge_partitions_awaited") == 1
    assert "partition_not_owned" in r.get(rig.bridge.admin_port, "/healthz")[1]
    stranger.abort_transaction(30)
    r.wait_for("the partition taken", lambda: row()["owned"])
    rig.wait_told(20)
    rig.settle()


def wait_committed_twice(bridge, gateway_id):
    """Commits of a partition follow one another: the first one that is seen may have begun before this was called, the second not."""
    for _ in range(2):
        before = known_seq(bridge, gateway_id)
        r.wait_for(f"a commit of {gateway_id}", lambda: known_seq(bridge, gateway_id) > before)


class SlowMember:
    """A member of the bridges' group that takes its time: while it does not poll, the group shares nothing out anew."""

    def __init__(self, cluster, rig):
        self._assigned = None
        self._consumer = confluent_kafka.Consumer({
            "bootstrap.servers": cluster.bootstrap, "group.id": rig.names["progress_topic"], "enable.auto.commit": False,
            "partition.assignment.strategy": "range", "session.timeout.ms": 6000, "max.poll.interval.ms": 120_000})
        self._consumer.subscribe([rig.names["progress_topic"]], on_assign=lambda _, partitions: self._note(partitions))

    def _note(self, partitions):
        self._assigned = {partition.partition for partition in partitions}

    def joined(self):
        self._consumer.poll(0.1)
        return self._assigned

    def leave(self):
        self._consumer.close()


def fence_until_told(cluster, rig):
    """Takes the id of the partition's first turn, until the bridge is told so. Brokers of 4.2 may answer UNKNOWN to the EndTxn
    of who was fenced: that outcome is uncertain, which the bridge looks up by taking the partition again."""
    def lost_reason():
        return next(row["lost_reason"] for row in rig.bridge.status()["partitions"] if row["partition"] == rig.partition)
    for _ in range(10):
        losses = rig.bridge.metric(LOSSES)
        stranger = transactional(cluster, rig, turn=0)
        stranger.init_transactions(30)
        r.wait_for("the loss", lambda: rig.bridge.metric(LOSSES) > losses)
        if "fenced" in (reason := lost_reason()).lower():
            return stranger
        assert "UNKNOWN" in reason
        r.wait_for("the partition again", lambda: rig.partition in k.owned(rig.bridge))
    raise AssertionError("never told that it was fenced")


def slow_commits(bridge, seconds):
    """How many took longer, of all since the bridge began."""
    classes = {line.split('le="')[1].split('"')[0]: float(line.rpartition(" ")[2])
               for line in r.get(bridge.admin_port, "/metrics")[1].splitlines() if line.startswith("tillstream_bridge_commit_seconds_bucket")}
    return classes["+Inf"] - classes[seconds]


def test_the_first_transactions_after_a_taking_wait_for_nothing(rig):
    gateways = k.gateways_in_every_partition(rig)
    rig.begin(rig.bridge)
    wait_all_owned(rig.bridge)
    for gateway in gateways.values():
        wait_committed_twice(rig.bridge, gateway.gateway_id)
    # A producer that has to ask where the topics' partitions are waits for a second: each would be seen, two a partition.
    assert slow_commits(rig.bridge, "0.25") < k.PROGRESS_PARTITIONS, r.get(rig.bridge.admin_port, "/metrics")[1]


def test_who_is_fenced_leaves_the_partition_alone_until_the_group_says_that_it_is_his(rig, cluster):
    rig.begin(rig.bridge)
    gateways = k.gateways_in_every_partition(rig)
    wait_all_owned(rig.bridge)
    slow = SlowMember(cluster, rig)
    theirs = r.wait_for("two members", slow.joined)
    r.wait_for("what is left to the bridge", lambda: k.owned(rig.bridge) == set(range(k.PROGRESS_PARTITIONS)) - theirs)
    rig.partition = min(k.owned(rig.bridge))
    # An assignment that came after the bridge's last commit may be the group's answer to the fencing: it takes again then.
    wait_committed_twice(rig.bridge, gateways[rig.partition].gateway_id)
    stranger = fence_until_told(cluster, rig)
    # As long as the group has not spoken, nobody fences the stranger back.
    for seq in range(1, 4):
        stranger.begin_transaction()
        put_progress(stranger, rig, k.gateway_id_in(rig.partition, "stranger"), seq)
        stranger.commit_transaction(30)
        assert rig.partition not in k.owned(rig.bridge)
    slow.leave()
    wait_all_owned(rig.bridge)
    assert known_seq(rig.bridge, k.gateway_id_in(rig.partition, "stranger")) == 3
    rig.wait_told(20)
    rig.settle()


def test_a_bridge_that_wakes_up_late_writes_nothing_and_starts_no_war(rig, seed):
    zombie, heir = rig.bridge, k.another_bridge(rig, "bridge-2")
    rig.begin(zombie)
    k.gateways_in_every_partition(rig)
    for _ in range(2):
        wait_all_owned(zombie)
        k.wait_committed(100, zombie)
        r.time.sleep(seed.uniform(0, 0.1))
        zombie.signal(signal.SIGSTOP)
        rig.begin(heir)
        wait_all_owned(heir, SESSION_SECONDS + 10)
        k.wait_committed(100, heir)
        lost = heir.metric("tillstream_bridge_partitions_lost_total")
        zombie.signal(signal.SIGCONT)

        def shared_out():
            each = k.owned(zombie), k.owned(heir)
            return len(each[0]) == len(each[1]) == k.PROGRESS_PARTITIONS // 2 and not each[0] & each[1]

        r.wait_for("both at work", shared_out, 30)
        k.wait_committed(200, zombie, heir)
        assert heir.metric("tillstream_bridge_partitions_lost_total") == lost + k.PROGRESS_PARTITIONS // 2, heir.log()[-3000:]
        assert r.get(heir.admin_port, "/healthz")[0] == 200, r.get(heir.admin_port, "/healthz")
        heir.terminate(30)
    rig.settle(120)


def through(line, rig):
    rig.bridge.tables["stream.kafka"]["bootstrap_servers"] = f"127.0.0.1:{line.port}"
    rig.bridge.config.write_text(r.toml(rig.bridge.tables))


def shared_out(bridges):
    shares = [k.owned(bridge) for bridge in bridges]
    return all(shares) and sorted(sum(map(list, shares), [])) == list(range(k.PROGRESS_PARTITIONS))


@pytest.mark.parametrize("how", ["cut", "half_open"])
def test_a_bridge_that_is_cut_off_does_not_say_that_idle_partitions_are_its(rig, line, how):
    second = k.another_bridge(rig, "bridge-2")
    through(line, rig)
    bridges = (rig.bridge, second)
    for bridge in bridges:
        rig.begin(bridge)

    def all_well():
        return shared_out(bridges) and all(bridge.status()["healthy"] for bridge in bridges)

    r.wait_for("the work shared out", all_well)
    line.set(how)
    try:
        begun = r.time.monotonic()
        r.wait_for("nothing said to be owned", lambda: not k.owned(rig.bridge))
        print(f"{how}: told after {r.time.monotonic() - begun:.2f} s")
        assert r.time.monotonic() - begun < 2 * SESSION_SECONDS + 1
        wait_all_owned(second)
        for _ in range(3):
            status, health = r.get(rig.bridge.admin_port, "/healthz")
            assert status == 503 and "1000 ms" in health, health
            assert rig.bridge.metric("tillstream_bridge_partitions_owned") == rig.bridge.metric("tillstream_bridge_healthy") == 0
            r.time.sleep(SESSION_SECONDS)
    finally:
        line.set("pass")
    begun = r.time.monotonic()
    r.wait_for("the work shared out again", all_well)
    print(f"{how}: at work again after {r.time.monotonic() - begun:.2f} s")
    rig.tap(1)
    rig.wait_told(20)
    rig.settle(120)


@pytest.mark.parametrize("doing", ["nothing", "commits", "takings"])
def test_sigterm_ends_a_bridge_whose_line_to_kafka_is_half_open(rig, line, doing):
    # Within a shorter one the client gives its requests up by itself.
    rig.bridge.tables["stream.kafka"]["session_timeout"] = "6s"
    through(line, rig)
    rig.begin(rig.bridge)
    wait_all_owned(rig.bridge)
    if doing != "nothing":
        for gateway in k.gateways_in_every_partition(rig).values():
            wait_committed_twice(rig.bridge, gateway.gateway_id)
    line.set("half_open")
    try:
        if doing == "takings":
            r.wait_for("every commit given up", lambda: rig.bridge.metric(LOSSES) == k.PROGRESS_PARTITIONS)
        r.time.sleep(0.3)
        status, took = rig.bridge.terminate(30)
    finally:
        line.set("pass")
    print(f"{doing}: {took:.2f} s")
    assert status == 0
    assert took < SIGTERM_SECONDS
    rig.begin(rig.bridge)
    rig.tap(1)
    rig.wait_told(20)
    rig.settle(120)


def test_an_outcome_that_is_not_known_is_looked_up_and_never_guessed(rig, line, cluster, seed):
    through(line, rig)
    rig.begin(rig.bridge)
    k.gateways_in_every_partition(rig)
    wait_all_owned(rig.bridge)
    for mode, seconds in [("cut", 0.1), ("cut", 0.6), ("half_open", 2.5), ("cut", 0.0), ("half_open", 0.5), ("cut", 0.2)]:
        r.time.sleep(seed.uniform(0.1, 0.4))
        line.set(mode)
        r.time.sleep(seconds)
        line.set("pass")
        k.wait_committed(100, rig.bridge)
    assert rig.bridge.metric("tillstream_bridge_transactions_lost_total") > 0, "no outcome was uncertain: this run proves nothing"
    rig.settle(120)


def test_transactions_that_the_broker_times_out_are_begun_again(rig, cluster, seed):
    rig.begin(rig.bridge)
    k.gateways_in_every_partition(rig)
    wait_all_owned(rig.bridge)
    # Longer than a transaction may be open.
    for sleeper in (cluster.nodes[0].popen, rig.bridge.popen):
        k.wait_committed(100, rig.bridge)
        r.time.sleep(seed.uniform(0, 0.2))
        sleeper.send_signal(signal.SIGSTOP)
        r.time.sleep(3.5)
        sleeper.send_signal(signal.SIGCONT)
        k.wait_committed(100, rig.bridge)
    assert rig.bridge.metric("tillstream_bridge_transactions_lost_total") > 0, "no outcome was uncertain: this run proves nothing"
    rig.settle(120)


def largest_gaps(rig, gateways, since, until):
    """By gateway: the longest time within these two without a commit, and how long after `since` it began, in seconds."""
    times = {gateway: [] for gateway in gateways}
    for message in rig.stream.topic.messages():
        published = message.timestamp()[1] / 1000
        if since <= published <= until:
            times[message.key().decode().split("/")[0]].append(published)
    return {gateway: max((round(b - a, 3), round(a - since, 3)) for a, b in zip([since, *sorted(all_)], [*sorted(all_), until]))
            for gateway, all_ in times.items()}


def test_three_two_three_bridges_only_what_moves_pauses(rig):
    bridges = [rig.bridge, k.another_bridge(rig, "bridge-2"), k.another_bridge(rig, "bridge-3")]
    for bridge in bridges:
        rig.begin(bridge)
    gateways = {partition: gateway.gateway_id for partition, gateway in k.gateways_in_every_partition(rig).items()}

    def shared_out(among):
        sets = [k.owned(bridge) for bridge in among]
        return sum(map(len, sets)) == k.PROGRESS_PARTITIONS == len(set().union(*sets)) and all(sets)

    r.wait_for("three at work", lambda: shared_out(bridges), 30)
    for leaves in (True, False):
        for bridge in bridges if leaves else bridges[:2]:
            for partition in k.owned(bridge):
                wait_committed_twice(bridge, gateways[partition])
        before = {bridge.name: k.owned(bridge) for bridge in bridges[:2]}
        losses = {bridge.name: bridge.metric(LOSSES) for bridge in bridges[:2]}
        dies = bridges[2]
        begun = r.time.time()
        if leaves:
            dies.kill9()
            r.wait_for("two at work", lambda: shared_out(bridges[:2]), SESSION_SECONDS + 3)
        else:
            rig.begin(dies)
            r.wait_for("three at work", lambda: shared_out(bridges), 10)
        took = r.time.time() - begun
        k.wait_committed(300, *bridges[:2])
        r.time.sleep(0.5)
        stayed = {p for bridge in bridges[:2] for p in before[bridge.name] & k.owned(bridge)}
        gaps = largest_gaps(rig, gateways.values(), begun, r.time.time())
        kept = [gaps[gateways[p]][0] for p in stayed]
        moved = [gaps[gateways[p]][0] for p in gateways.keys() - stayed]
        print(f"{'three to two' if leaves else 'two to three'}: {took:.2f} s; largest gaps (length, begin): {gaps}; stayed: {stayed}")
        assert kept and moved
        # A machine that stands still holds up all of them.
        assert max(kept) < max(0.8, min(moved) / 2), gaps
        # What stays is never let go: each bridge loses just what the group has given to another one.
        for bridge in bridges[:2]:
            gave = len(before[bridge.name] - k.owned(bridge))
            assert bridge.metric(LOSSES) - losses[bridge.name] == gave, (bridge.name, before, k.owned(bridge))
    rig.settle(120)
