"""The Kafka stream's bad days on a cluster of three brokers: no acks, no growth, a clear reason, and all goes on by itself."""
import contextlib
import signal
import socket
import subprocess

import pytest
from confluent_kafka.admin import NewTopic

import kafka as k
import rig as r

PASSWORD = "not-for-the-log"
SMALL_DISK = 3  # the broker that has one
DISK_MIB = 512
MEMORY_KIB = 64 * 1024  # by how much a bridge that waits may grow
LOST = "tillstream_bridge_transactions_lost_total"
COMMITTED = "tillstream_bridge_records_committed_total"


@contextlib.contextmanager
def small_disk(folder):
    """None where nothing may be mounted."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tillstream-test", folder], check=False,
                             capture_output=True).returncode == 0
    try:
        yield folder if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", folder], check=True)


def certificate(folder, name):
    """A key and a certificate that vouches for itself, in one file and the certificate alone."""
    key, crt, pem = folder / f"{name}.key", folder / f"{name}.crt", folder / f"{name}.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", crt], check=True, capture_output=True)
    pem.write_text(key.read_text() + crt.read_text())
    return pem, crt


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Everything threefold; users with rights at one listener, TLS at another; one broker keeps its logs on a small disk."""
    folder = tmp_path_factory.mktemp("cluster")
    pem, trusted = certificate(folder, "broker")
    with small_disk(folder / "disk") as disk:
        made = k.start(folder, 3, {
            "min.insync.replicas": "2",
            "broker.session.timeout.ms": "2000", "broker.heartbeat.interval.ms": "200",
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
            "num.network.threads": "2", "num.io.threads": "4", "background.threads": "2",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer", "super.users": "User:ANONYMOUS",
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.users.plain.sasl.jaas.config":
                f'org.apache.kafka.common.security.plain.PlainLoginModule required user_bridge="{PASSWORD}";',
            "listener.name.tls.ssl.keystore.type": "PEM", "listener.name.tls.ssl.keystore.location": str(pem),
        }, heap="256m", controller_apart=True, listeners={"USERS": "SASL_PLAINTEXT", "TLS": "SSL"},
            log_dirs={SMALL_DISK: disk / "log"} if disk else None)
        made.disk, made.trusted = disk, trusted
        try:
            yield made
        finally:
            made.close()


@pytest.fixture
def rig(make_rig, tmp_path, cluster):
    """Broker and gateway run, the bridge does not. All of Kafka is back afterwards."""
    made = k.rig_on(cluster, make_rig, tmp_path, replication=3, transaction_timeout="2s")
    made.begin(made.broker)
    made.begin(made.gateway)
    yield made
    bring_back(cluster)


def bring_back(cluster):
    for node in cluster.nodes:
        if node.alive:
            node.popen.send_signal(signal.SIGCONT)
        else:
            node.start()
    for node in cluster.nodes:
        k.wait_ready(node)


def said(bridge):
    """What people and machines are told about a bridge that does not work."""
    status, health = r.get(bridge.admin_port, "/healthz")
    return health if status == 503 else ""


def wait_said(bridge, *words, seconds=90):
    return r.wait_for(f"health says {words}", lambda: (text := said(bridge)) and all(word in text for word in words) and text, seconds)


def wait_all_move(rig, gateways, more=20, seconds=120):
    """Until more of every gateway has been committed."""
    def committed():
        return {row["gateway_id"]: row["committed_seq"] for row in rig.bridge.status()["gateways"]}
    goals = r.wait_for("status", lambda: {gateway.gateway_id: committed().get(gateway.gateway_id, 0) + more for gateway in gateways})
    r.wait_for(f"{more} more of each gateway", lambda: all(committed().get(name, 0) >= goal for name, goal in goals.items()), seconds)


def show_that_nothing_moves(rig, gateways, more=400):
    """The gateways take events and keep them; the bridge takes none, and does not grow."""
    committed, memory = rig.bridge.metric(COMMITTED), rig.bridge.rss_kib()
    kept = {gateway: gateway.status()["pending_events"] for gateway in gateways}
    rig.wait_told(more)
    for gateway, before in kept.items():
        r.wait_for(f"{gateway.gateway_id} keeps its events", lambda g=gateway, b=before: g.status()["pending_events"] > b)
    # A partition may be taken for a moment, until its next transaction fails as well.
    r.wait_for("no credit", lambda: rig.bridge.status()["budget"]["credit_bytes"] == 0)
    r.wait_for("no health", lambda: rig.bridge.metric("tillstream_bridge_healthy") == 0)
    assert rig.bridge.metric(COMMITTED) == committed
    assert rig.bridge.rss_kib() < memory + MEMORY_KIB


def test_whichever_broker_dies_in_the_midst_of_a_transaction_all_goes_on_by_itself(rig, cluster, seed):
    rig.begin(rig.bridge)
    gateways = k.gateways_in_every_partition(rig).values()
    layout = k.Layout(cluster)
    progress = rig.names["progress_topic"]

    def coordinator():
        return layout.coordinator(f"{progress}-{seed.randrange(k.PROGRESS_PARTITIONS)}-{seed.randrange(2)}")

    for find in (lambda: layout.leader(rig.names["events_topic"], seed.randrange(3)), coordinator,
                 lambda: layout.leader(progress, seed.randrange(k.PROGRESS_PARTITIONS))):
        layout.wait_in_sync(rig)
        wait_all_move(rig, gateways)
        victim = find()
        r.time.sleep(seed.uniform(0, 0.3))
        victim.kill9()
        wait_all_move(rig, gateways)
        victim.start()
        k.wait_ready(victim)
    assert rig.bridge.metric(LOST) > 0, "no outcome was uncertain: this run proves nothing"
    rig.settle(120)


def test_with_two_of_three_brokers_gone_nothing_is_acked_and_the_reason_is_told(rig, cluster):
    rig.begin(rig.bridge)
    gateways = k.gateways_in_every_partition(rig).values()
    k.Layout(cluster).wait_in_sync(rig)
    wait_all_move(rig, gateways)
    cluster.nodes[0].kill9()
    cluster.nodes[1].popen.send_signal(signal.SIGSTOP)
    wait_said(rig.bridge, "not enough replicas in sync", "stream_down")
    r.wait_for("nothing owned", lambda: not k.owned(rig.bridge))
    show_that_nothing_moves(rig, gateways)
    bring_back(cluster)
    wait_all_move(rig, gateways)
    rig.settle(120)


def test_all_of_kafka_gone_for_long_costs_neither_memory_nor_events(rig, cluster):
    rig.begin(rig.bridge)
    gateways = k.gateways_in_every_partition(rig).values()
    wait_all_move(rig, gateways)
    for node in cluster.nodes:
        node.kill9()
    wait_said(rig.bridge, "Connection refused", "stream_down")
    r.wait_for("nothing owned", lambda: not k.owned(rig.bridge))
    show_that_nothing_moves(rig, gateways, more=1500)
    bring_back(cluster)
    wait_all_move(rig, gateways)
    rig.settle(120)


def as_user(rig, cluster, password=PASSWORD):
    rig.bridge.tables["stream.kafka"]["bootstrap_servers"] = cluster.bootstrap_of("USERS")
    set_properties(rig, {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": "bridge",
                         "sasl.password": password})


def set_properties(rig, properties):
    rig.bridge.tables["stream.kafka.properties"] = {f'"{name}"': value for name, value in properties.items()}
    rig.bridge.config.write_text(r.toml(rig.bridge.tables))


def test_an_events_topic_without_a_leader_is_no_reason_to_accept_repeats(rig, cluster):
    """Nobody sees whether it holds records, and that passes."""
    victim, fresh = cluster.nodes[-1], {name: f"{topic}.fresh" for name, topic in rig.names.items()}
    admin = k.AdminClient({"bootstrap.servers": cluster.bootstrap})
    events = NewTopic(fresh["events_topic"], 1, replica_assignment=[[victim.number]], config={"min.insync.replicas": "1"})
    admin.create_topics([events])[events.topic].result(30)
    rig.bridge.tables["stream.kafka"].update(fresh)
    rig.bridge.config.write_text(r.toml(rig.bridge.tables))
    create = ["topics", "--create", "--config", rig.bridge.config, "--replication", 3, "--partitions", 2, "--events-partitions", 8]
    victim.kill9()
    layout = k.Layout(cluster)
    r.wait_for("no leader", lambda: layout.partitions(events.topic)[0].leader < 0, 60)
    status, out, err = k.tillstream_bridge(*create)
    assert status == 1 and "cannot be seen at this moment" in err and "try again" in err and "--accept-repeats" not in err, out + err
    assert fresh["progress_topic"] not in admin.list_topics(timeout=30).topics
    bring_back(cluster)
    r.wait_for("a leader", lambda: layout.partitions(events.topic)[0].leader >= 0, 60)
    status, out, err = k.tillstream_bridge(*create)
    assert status == 0 and f"topic {events.topic}: is there and left as it is, 1 partitions, not 8" in out, out + err


def rights(rig):
    """All that a bridge needs, by what it is for."""
    progress = rig.names["progress_topic"]
    needed = {f"write {name}": k.Right("bridge", k.Right.TOPIC, rig.names[name], k.Right.WRITE) for name in rig.names}
    needed["transactions"] = k.Right("bridge", k.Right.TRANSACTIONAL_ID, f"{progress}-", k.Right.WRITE, prefix=True)
    needed["read progress"] = k.Right("bridge", k.Right.TOPIC, progress, k.Right.READ)
    needed["group"] = k.Right("bridge", k.Right.GROUP, progress, k.Right.READ)
    return needed


def test_a_right_that_is_missing_is_named_and_the_bridge_does_not_run(rig, cluster):
    as_user(rig, cluster)
    needed = rights(rig)
    names = rig.names
    status, _, err = k.tillstream_bridge("run", "--config", rig.bridge.config)
    assert status == 78 and "TOPIC_AUTHORIZATION_FAILED" in err, err
    for right in needed.values():
        right.give(cluster)
    for missing, words in [("write events_topic", f"topic {names['events_topic']}: cannot be described"),
                           ("write progress_topic", f"no right to write to topic {names['progress_topic']}: grant Write"),
                           ("transactions", f"transactional ids that begin with {names['progress_topic']}-: grant Write"),
                           ("read progress", f"topic {names['progress_topic']}: no right to read it: grant Read"),
                           ("group", f"no right to be in group {names['progress_topic']}: grant Read")]:
        needed[missing].take(cluster)
        status, _, err = k.tillstream_bridge("run", "--config", rig.bridge.config)
        assert status == 78 and words in err, f"{missing}: {status}: {err}"
        needed[missing].give(cluster)


def begin_as_user(rig, cluster):
    """A bridge with just the rights that it needs, and gateways at work."""
    as_user(rig, cluster)
    needed = rights(rig)
    for right in needed.values():
        right.give(cluster)
    rig.begin(rig.bridge)
    return needed, k.gateways_in_every_partition(rig).values()


def test_a_right_that_is_taken_away_stops_the_acks_until_it_is_given_back(rig, cluster):
    needed, gateways = begin_as_user(rig, cluster)
    for taken, words in [("write events_topic", "TOPIC_AUTHORIZATION_FAILED"), ("transactions", "TRANSACTIONAL_ID_AUTHORIZATION_FAILED")]:
        wait_all_move(rig, gateways)
        needed[taken].take(cluster)
        wait_said(rig.bridge, words)
        r.wait_for(f"nothing owned without {taken}", lambda: not k.owned(rig.bridge))
        show_that_nothing_moves(rig, gateways)
        needed[taken].give(cluster)
    wait_all_move(rig, gateways)
    rig.settle(120)


def test_without_the_right_to_be_in_the_group_what_is_owned_goes_on_and_the_log_says_so(rig, cluster):
    needed, gateways = begin_as_user(rig, cluster)
    wait_all_move(rig, gateways)
    needed["group"].take(cluster)
    r.wait_for("the log", lambda: "GROUP_AUTHORIZATION_FAILED" in rig.bridge.log())
    assert "GROUP_AUTHORIZATION_FAILED" in rig.bridge.status()["stream"]["last_error"]
    wait_all_move(rig, gateways)
    needed["group"].give(cluster)
    wait_all_move(rig, gateways)
    second = k.another_bridge(rig, "bridge-2")
    second.tables["stream.kafka.properties"] = rig.bridge.tables["stream.kafka.properties"]
    rig.begin(second)
    r.wait_for("two at work", lambda: k.owned(rig.bridge) and k.owned(second), 90)
    rig.settle(120)


@pytest.mark.parametrize("properties, says", [
    ({"no.such.property": "1"}, "no.such.property"),
    ({"socket.timeout.ms": "soon"}, "socket.timeout.ms"),
    ({"security.protocol": "SSL", "ssl.ca.location": "/nowhere/ca.crt"}, "ssl.ca.location"),
])
def test_a_property_that_the_client_does_not_take_is_a_wrong_configuration(make_rig, tmp_path, properties, says):
    rig = make_rig(bridge={"stream": {"kind": "kafka"}}, start=False)
    set_properties(rig, properties)
    line = next(number for number, text in enumerate(rig.bridge.config.read_text().splitlines(), 1) if says in text)
    for command in ("check", "run", "topics", "tail", "status"):
        status, out, err = k.tillstream_bridge(command, "--config", rig.bridge.config)
        assert status == 78 and f"{rig.bridge.config}:{line}: stream.kafka.properties.{says}: " in err, f"{command}: {status}: {out}{err}"


def test_check_looks_at_the_configuration_and_asks_nobody(make_rig):
    rig = make_rig(bridge={"stream": {"kind": "kafka"}}, start=False)
    with socket.create_server(("127.0.0.1", 0)) as brokers:
        rig.bridge.tables["stream.kafka"] = {"bootstrap_servers": f"127.0.0.1:{brokers.getsockname()[1]}"}
        rig.bridge.config.write_text(r.toml(rig.bridge.tables))
        status, out, err = k.tillstream_bridge("check", "--config", rig.bridge.config)
        assert status == 0, out + err
        brokers.setblocking(False)
        with pytest.raises(BlockingIOError):
            brokers.accept()


def test_all_that_is_wrong_in_a_configuration_for_kafka_is_told_at_once(make_rig, tmp_path):
    token = tmp_path / "token"
    token.write_text("short\n")
    token.chmod(0o600)
    rig = make_rig(bridge={"stream": {"kind": "kafka"}, "stream.kafka": {"bootstrap_servers": "127.0.0.1:70000"},
                           "admin": {"token_file": str(token)}}, start=False)
    set_properties(rig, {"socket.timout.ms": "1000", "socket.timeout.ms": "1", "ssl.ca.location": "/nowhere/ca.crt",
                         "security.protocol": "SSL"})
    status, _, err = k.tillstream_bridge("check", "--config", rig.bridge.config)
    told = err.splitlines()
    assert status == 78 and all(line.startswith(f"{rig.bridge.config}:") for line in told), err
    for says in ('"127.0.0.1:70000", which has no port from 1 to 65535', 'did you mean "socket.timeout.ms"?', "outside allowed range",
                 "properties.ssl.ca.location: ", "whose first line has 5 characters; needed: at least 16"):
        assert len([line for line in told if says in line]) == 1, err


def test_a_property_that_a_sighup_brings_is_refused_with_its_line_and_the_bridge_goes_on(make_rig):
    rig = make_rig(bridge={"stream": {"kind": "kafka"}, "stream.kafka": {"bootstrap_servers": "127.0.0.1:1"}}, start=False)
    rig.begin(rig.bridge)
    set_properties(rig, {"no.such.property": "1"})
    rig.bridge.signal(signal.SIGHUP)
    r.wait_for("the refusal", lambda: "the configuration is refused; the old one stays" in rig.bridge.log())
    assert f"{rig.bridge.config}:" in rig.bridge.log() and "stream.kafka.properties.no.such.property: is no property" in rig.bridge.log()
    assert rig.bridge.alive


@pytest.mark.parametrize("address, says", [("127.0.0.1:1", "Connection refused"), ("no-such-host.invalid:9092", "Failed to resolve")])
def test_a_wrong_address_is_told_while_it_keeps_trying(make_rig, address, says):
    rig = make_rig(bridge={"stream": {"kind": "kafka"}, "stream.kafka": {"bootstrap_servers": address}}, start=False)
    rig.begin(rig.broker)
    rig.begin(rig.bridge)
    wait_said(rig.bridge, "stream_down", says)


def test_a_wrong_password_and_a_broker_that_is_not_trusted_are_told_while_it_keeps_trying(rig, cluster, tmp_path):
    as_user(rig, cluster, password="guessed-it")
    rig.begin(rig.bridge)
    wait_said(rig.bridge, "Authentication failed")
    r.wait_for("the log", lambda: "Authentication failed" in rig.bridge.log())
    assert "guessed-it" not in rig.bridge.log()
    rig.bridge.terminate()

    _, stranger = certificate(tmp_path, "stranger")
    rig.bridge.tables["stream.kafka"]["bootstrap_servers"] = cluster.bootstrap_of("TLS")
    set_properties(rig, {"security.protocol": "SSL", "ssl.ca.location": str(stranger)})
    rig.begin(rig.bridge)
    wait_said(rig.bridge, "certificate verify failed")
    rig.bridge.terminate()

    set_properties(rig, {"security.protocol": "SSL", "ssl.ca.location": str(cluster.trusted)})
    rig.begin(rig.bridge)
    rig.tap(1)
    wait_all_move(rig, [rig.gateway])
    rig.settle(120)


def test_a_disk_that_is_full_stops_the_acks_until_there_is_room_again(rig, cluster):
    if not cluster.disk:
        pytest.skip("no right to mount a small disk")
    rig.begin(rig.bridge)
    gateways = k.gateways_in_every_partition(rig).values()
    k.Layout(cluster).wait_in_sync(rig)
    # Without this the other two would do.
    for topic in rig.names.values():
        k.alter_topic(cluster.bootstrap, topic, {"min.insync.replicas": "3"})
    wait_all_move(rig, gateways)
    broker = cluster.nodes[SMALL_DISK - 1]
    filler = cluster.disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    r.wait_for("the broker ends", lambda: not broker.alive, 90)
    wait_said(rig.bridge, "not enough replicas in sync")
    r.wait_for("nothing owned", lambda: not k.owned(rig.bridge))
    show_that_nothing_moves(rig, gateways)
    filler.unlink()
    bring_back(cluster)
    wait_all_move(rig, gateways)
    rig.settle(120)
