"""What strangers send: a clear answer or a closed connection, a metric, and nobody else notices."""
import hashlib
import http.client
import json
import socket
import sqlite3
import struct
import subprocess

import paho.mqtt.client as mqtt
import pytest

import rig as r
from authority import Authority

HEADERS = {"Content-Type": "application/json"}
SHARD = hashlib.sha256(b"shop-0001").hexdigest()[:2]


@pytest.fixture
def rig(make_rig):
    made = make_rig(gateway={"terminals": {"max_connections": 64}})
    yield made
    assert made.gateway.alive and made.bridge.alive
    assert made.gateway.submit(r.sale("T9", "after"))[0] == 201
    r.wait_for("the event in the stream", lambda: made.stream.count() >= 1)


BODIES = {
    "empty": ("", "invalid_json"),
    "truncated": ('{"type": "sa', "invalid_json"),
    "not an object": ("[1]", "invalid_json"),
    "two objects": (json.dumps(r.sale("T1", "1")) * 2, "invalid_json"),
    "deeply nested": ('{"attributes":' + "[" * 5000 + "]" * 5000 + "}", None),
    "not UTF-8": (json.dumps(r.sale("T1", "X")).replace("X", "\udcff"), "invalid_json"),
    "unknown field": (json.dumps(r.sale("T1", "1", amount_minr=1)), "unknown_field"),
    "wrong type": (json.dumps(r.sale("T1", "1", till_id=5)), "invalid_field"),
    "amount as text": (json.dumps(r.sale("T1", "1", amount="12")), "invalid_field"),
    "amount as float": (json.dumps(r.sale("T1", "1", amount=12.5)), "invalid_field"),
    "amount beyond": (json.dumps(r.sale("T1", "1", amount=10**15)), "invalid_field"),
    "negative amount": (json.dumps(r.sale("T1", "1", amount=-1)), "invalid_field"),
    "bad currency": (json.dumps(r.sale("T1", "1", currency="EURO")), "invalid_field"),
    "duplicate key": ('{"type":"sale",' + json.dumps(r.sale("T1", "1"))[1:], None),
}


@pytest.mark.parametrize("what", BODIES)
def test_a_bad_body_gets_400_and_says_why(rig, what):
    body, code = BODIES[what]
    status, answer = r.get(rig.gateway.http_port, "/v1/events", 10, "POST", body.encode("utf-8", "surrogateescape"), HEADERS)
    error = json.loads(answer)["error"]
    assert status == 400 and error["message"], answer
    if code == "invalid_json":
        assert error["code"] == code
    if what in ("unknown field",):
        assert "amount_minor" in error["message"], "names the nearest known field"
    r.wait_for("nothing is stored", lambda: rig.gateway.status()["next_seq"] == 1)


def test_too_large_is_413_and_the_wrong_media_type_415_and_method_405_and_path_404(rig):
    port = rig.gateway.http_port
    assert r.get(port, "/v1/events", 10, "POST", json.dumps(r.sale("T1", "1", reason="x" * 20000)), HEADERS)[0] == 413
    assert r.get(port, "/v1/events", 10, "POST", json.dumps(r.sale("T1", "1")), {"Content-Type": "text/plain"})[0] == 415
    assert r.get(port, "/v1/events", 10, "DELETE")[0] == 405
    assert r.get(port, "/v1/nothing", 10)[0] == 404
    lines = "\n".join(json.dumps(r.sale("T1", str(n))) for n in range(1001))
    assert r.get(port, "/v1/events/batch", 10, "POST", lines, {"Content-Type": "application/x-ndjson"})[0] == 413
    assert rig.gateway.status()["next_seq"] == 1


def test_slow_writers_and_too_many_connections_leave_others_alone(rig):
    slow = [socket.create_connection(("127.0.0.1", rig.gateway.http_port), timeout=30) for _ in range(20)]
    for line in slow:
        line.sendall(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
    assert rig.gateway.submit(r.sale("T1", "1"))[0] == 201
    more = []
    for _ in range(300):
        try:
            more.append(socket.create_connection(("127.0.0.1", rig.gateway.http_port), timeout=5))
        except OSError:
            pass
    assert rig.gateway.alive
    for line in more:
        line.close()
    # A slow read has 10 s: then each is answered 408 or closed.
    for line in slow:
        assert b"200" not in line.recv(4096)[:20]
        line.close()
    r.wait_for("a connection is free", lambda: rig.gateway.submit(r.sale("T1", "2"))[0] == 201)


@pytest.mark.parametrize("frame", [
    b"\xff\xff\xff\xff", b"\x00\x01\x00\x01" + b"x" * 10, b"\x00\x00\x00\x05" + b"\xff" * 5, b"\x00\x00\x00\x00", b"\x00\x00\x00\x10abc"],
    ids=["2^32-1", "beyond 64 KiB", "no protobuf", "empty", "truncated"])
def test_a_bad_frame_is_answered_or_closed(rig, frame):
    with socket.create_connection(("127.0.0.1", rig.gateway.framed_port), timeout=30) as line:
        line.sendall(frame)
        line.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := line.recv(4096):
            answer += chunk
        assert len(answer) < 4096
        assert answer == b"" or struct.unpack(">I", answer[:4])[0] + 4 <= len(answer)


def test_foreign_and_malformed_mqtt_messages_are_counted_and_the_line_goes_on(rig):
    r.wait_for("the bridge listens", lambda: rig.bridge.status()["broker"]["connected"])
    client = mqtt.Client(client_id="stranger", protocol=mqtt.MQTTv5)
    client.connect("127.0.0.1", rig.broker.port)
    client.loop_start()
    for topic, payload in [("tillstream/v1/up/00/shop-0001", b"\xff" * 100), ("tillstream/v1/up/zz/shop-0001", b""),
                           ("tillstream/v1/up/00/" + "x" * 200, b"\x00"), ("tillstream/v1/up/00/shop-0001/more", b"\x0a"),
                           ("tillstream/v1/up/00/SHOP", b"\x0a\x04shop")]:
        client.publish(topic, payload, qos=1).wait_for_publish(10)
    client.loop_stop()
    client.disconnect()
    rig.tap(2)
    rig.wait_told(100)
    rig.settle()
    import sqlite3
    connection = sqlite3.connect(f"file:{rig.bridge.stream}?mode=ro", uri=True)
    reasons = [row[0] for row in connection.execute("SELECT reason FROM dead_letters")]
    connection.close()
    assert reasons, "a malformed message leaves a dead letter"


BAD_CONFIGS = {
    "unknown key": ({"uplink": {"windw_events": 5}}, "windw_events", "window_events"),
    "wrong type": ({"uplink": {"window_events": "many"}}, "window_events", "integer"),
    "bad size": ({"journal": {"quota": "512 bananas"}}, "quota", "MiB"),
    "missing file": ({"card": {"token_key_file": "/nonexistent/key"}}, "token_key_file", "/nonexistent/key"),
    "bad id": ({"gateway": {"id": "Shop 1"}}, "id", "a-z"),
    "plaintext off loopback": ({"uplink": {"broker": "mqtt://broker.example:1883"}}, "broker", "allow_plaintext"),
}


@pytest.mark.parametrize("what", BAD_CONFIGS)
def test_a_bad_configuration_is_78_and_a_line_to_act_on(tmp_path, what):
    overrides, key, hint = BAD_CONFIGS[what]
    gateway = r.Gateway(tmp_path, 1, overrides=overrides)
    for verb in ("check", "run"):
        done = subprocess.run([r.BIN / "tillstream-gateway", verb, "--config", gateway.config], capture_output=True, text=True,
                              timeout=30, env=gateway.env, cwd=tmp_path)
        assert done.returncode == 78, done
        line = next(line for line in done.stderr.splitlines() if key in line)
        assert str(gateway.config) in line and hint in done.stderr, done.stderr
        number = int(line.split(str(gateway.config) + ":")[1].split(":")[0])
        assert number > 0
    assert not gateway.state_dir.exists()


@pytest.mark.parametrize("method, path, allowed", [("GET", "/v1/gateways/shop-0001/release", "POST"), ("POST", "/v1/status", "GET"),
                                                   ("DELETE", "/healthz", "GET")])
def test_a_wrong_method_is_told_the_right_one(rig, method, path, allowed):
    connection = http.client.HTTPConnection("127.0.0.1", rig.bridge.admin_port, timeout=15)
    connection.request(method, path)
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Allow"]) == (405, allowed), answer.read()
    connection.close()


def test_topics_of_a_stream_that_has_none_are_78_with_the_line_that_chose_it(tmp_path):
    bridge = r.Bridge(tmp_path, 1)
    for option in ("--check", "--create"):
        done = subprocess.run([r.BIN / "tillstream-bridge", "topics", option, "--config", bridge.config], capture_output=True, text=True,
                              timeout=30, check=False, env={**r.os.environ, **r.SANITIZER_ENV})
        assert done.returncode == 78 and done.stderr.startswith(f"{bridge.config}:"), done
        assert 'stream.kind: is "sqlite", which has no topics; needed here: "kafka"' in done.stderr, done


@pytest.mark.parametrize("program", ["tillstream-gateway", "tillstream-bridge"])
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_key_a_password_and_a_token_that_others_may_read_are_78(tmp_path, program, mode):
    def private(name, text):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(mode)
        return str(path)

    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=shop-0001",
                    "-keyout", tmp_path / "made.key", "-out", tmp_path / "made.pem"], check=True, capture_output=True)
    pair = {"certificate": str(tmp_path / "made.pem"), "key": private("own.key", (tmp_path / "made.key").read_text())}
    login = {"username": "u", "password_file": private("password", "secret-secret-secret\n")}
    token = {"token_file": private("token", "secret-secret-secret\n")}
    if program == "tillstream-gateway":
        uplink = {"broker": "mqtts://127.0.0.1:8883", **pair, **login}
        process = r.Gateway(tmp_path, 1, overrides={
            "uplink": uplink, "admin": token, "terminals.http.tls": pair, "terminals.framed.tls": pair, "admin.tls": pair,
            "card": {"token_key_file": private("card.key", "k" * 32)}})
        keys = ["uplink.key", "uplink.password_file", "admin.token_file", "terminals.http.tls.key", "terminals.framed.tls.key",
                "admin.tls.key", "card.token_key_file"]
    else:
        process = r.Bridge(tmp_path, 1, overrides={
            "broker": {"url": "mqtts://127.0.0.1:8883", **pair, **login}, "admin": token, "admin.tls": pair})
        keys = ["broker.key", "broker.password_file", "admin.token_file", "admin.tls.key"]
    for verb in ("check", "run"):
        done = subprocess.run([r.BIN / program, verb, "--config", process.config], capture_output=True, text=True, timeout=30, cwd=tmp_path)
        assert done.returncode == 78, done
        lines = done.stderr.splitlines()
        assert len(lines) == len(keys), done.stderr
        for key in keys:
            line = next(line for line in lines if f": {key}: " in line)
            assert int(line.split(f"{process.config}:")[1].split(":")[0]) > 0
            assert f"{mode:04o}" in line and "chmod 0600 " + str(tmp_path) in line and "secret" not in done.stderr
    for name in ("own.key", "password", "token", "card.key"):
        if (tmp_path / name).exists():
            (tmp_path / name).chmod(0o600)
    assert subprocess.run([r.BIN / program, "check", "--config", process.config], timeout=30, cwd=tmp_path).returncode == 0


def test_a_bad_sighup_leaves_the_bridge_on_its_broker_and_names_the_file(tmp_path):
    authority = Authority(tmp_path)
    for name in ("broker", "bridge", "other"):
        authority.issue(name)
    authority.issue("expired", -1)
    files = {name: str(tmp_path / f"{name}.pem") for name in ("ca", "broker", "bridge")}
    port = r.free_port()
    broker = r.Broker(tmp_path, r.free_port(), f"listener {port} 127.0.0.1\ncafile {files['ca']}\ncertfile {files['broker']}\n"
                      f"keyfile {tmp_path}/broker.key\nrequire_certificate true\nuser root")
    for name in ("ca.pem", "bridge.pem", "bridge.key"):
        (tmp_path / f"my-{name}").write_bytes((tmp_path / name).read_bytes())
        (tmp_path / f"my-{name}").chmod(0o600)
    mine = {"ca": "my-ca.pem", "certificate": "my-bridge.pem", "key": "my-bridge.key"}
    bridge = r.Bridge(tmp_path, broker.port, overrides={
        "broker": {"url": f"mqtts://localhost:{port}", **{key: str(tmp_path / name) for key, name in mine.items()}}})
    lines = bridge.config.read_text().splitlines()
    line_of = {key: next(n for n, line in enumerate(lines, 1) if line.startswith(f"{key} = ")) for key in mine}

    def connected():
        return bridge.status()["broker"]["connected"]

    def check():
        done = subprocess.run([r.BIN / "tillstream-bridge", "check", "--config", bridge.config], capture_output=True, text=True, timeout=30)
        return done.returncode, done.stderr

    try:
        broker.start()
        r.wait_for("broker", lambda: r.accepts(port))
        bridge.start()
        r.wait_for("bridge", bridge.ready)
        r.wait_for("connected", connected)
        assert check() == (0, "")
        for key, put, at, why in (("key", "other.key", "certificate", "do not belong together; needed: the key"),
                                  ("ca", None, "ca", "holds no certificate in PEM; needed: "),
                                  ("ca", "ca.key", "ca", "holds no certificate in PEM; needed: "),
                                  ("certificate", None, "certificate", "holds no certificate in PEM; needed: "),
                                  ("key", None, "certificate", "holds no private key that can be read; needed: ")):
            file = tmp_path / mine[key]
            before = file.read_bytes()
            file.write_bytes((tmp_path / put).read_bytes() if put else b"junk\n")
            said = bridge.reload()
            refusal = f"{bridge.config}:{line_of[at]}: broker.{at}: "
            assert refusal in said and why in said and "the old one stays" in said and "read again" not in said, said
            status, told = check()
            assert status == 78 and refusal in told and why in told, told
            assert connected() and "no connection to the broker" not in bridge.log()
            file.write_bytes(before)
        for name in ("pem", "key"):
            (tmp_path / f"my-bridge.{name}").write_bytes((tmp_path / f"expired.{name}").read_bytes())
        warning = f"{tmp_path}/my-bridge.pem: the certificate has expired"
        assert check() == (0, f"warning: {warning}\n")
        said = bridge.reload()
        assert f"warn  {warning}" in said and "read again" in said, said
        r.wait_for("the reason", lambda: "certificate expired" in (bridge.status()["broker"].get("last_error") or ""))
        for name in ("pem", "key"):
            (tmp_path / f"my-bridge.{name}").write_bytes((tmp_path / f"bridge.{name}").read_bytes())
        bridge.reload()
        r.wait_for("connected again", connected)
    finally:
        bridge.kill9()
        broker.kill9()
        print(bridge.log()[-4000:])


@pytest.mark.parametrize("path, why", [
    (":memory:", "which SQLite takes for more than a file's name"), ("file:x?mode=memory", "which SQLite takes for more than a file's name"),
    ("bridge.toml", "which holds something else than an SQLite database")])
def test_a_stream_that_is_no_file_of_its_own_is_78(tmp_path, path, why):
    bridge = r.Bridge(tmp_path, 1, overrides={"stream.sqlite": {"path": path}})
    for verb in ("check", "run", "tail"):
        done = subprocess.run([r.BIN / "tillstream-bridge", verb, "--config", "bridge.toml"], capture_output=True, text=True, timeout=30, cwd=tmp_path)
        assert done.returncode == 78 and f': stream.sqlite.path: is "{path}", {why}' in done.stderr, done
    assert [entry.name for entry in tmp_path.iterdir()] == [bridge.config.name]


@pytest.mark.parametrize("table, key", [("terminals.defaults", "merchant_id"), ("terminals.defaults", "merchant_name"),
                                        ("terminals.defaults", "merchant_city"), ("gateway", "id"), ("terminals.defaults", "currency"),
                                        ("uplink", "username"), ("terminals.defaults", "4111111111111111")])
def test_a_card_number_in_the_configuration_is_never_repeated_and_78_where_events_would_carry_it(tmp_path, table, key):
    gateway = r.Gateway(tmp_path, 1, overrides={table: {key: "4111111111111111"}})
    no_business_of_events = key == "username"
    for verb in ("check",) if no_business_of_events else ("check", "run"):
        done = subprocess.run([r.BIN / "tillstream-gateway", verb, "--config", gateway.config], capture_output=True, text=True,
                              timeout=30, cwd=tmp_path)
        assert "4111111111111111" not in done.stderr + done.stdout
        if not no_business_of_events:
            assert done.returncode == 78 and (key.startswith("4") or f"{table}.{key}" in done.stderr), done


def test_a_card_number_as_a_terminal_of_the_configuration_is_78(tmp_path):
    gateway = r.Gateway(tmp_path, 1)
    for lines, key in (('id = "4111 1111 1111 1111"', "id"), ('id = "T1"\nmerchant_name = "Kiosk 4111111111111111"', "merchant_name")):
        gateway.write()
        gateway.config.write_text(gateway.config.read_text() + f"[[terminal]]\n{lines}\n")
        done = subprocess.run([r.BIN / "tillstream-gateway", "check", "--config", gateway.config], capture_output=True, text=True, timeout=30)
        assert done.returncode == 78 and f"terminal[0].{key}" in done.stderr and "1111" not in done.stderr, done


def test_bytes_that_are_no_utf8_leave_no_line_of_a_library_in_either_log(rig):
    r.wait_for("the bridge listens", lambda: rig.bridge.status()["broker"]["connected"])
    client = mqtt.Client(client_id="stranger", protocol=mqtt.MQTTv5)
    client.connect("127.0.0.1", rig.broker.port)
    client.loop_start()
    client.publish("tillstream/v1/up/00/shop-0001", b"\x0a\x04\xff\xfe\xfd\xfc", qos=1).wait_for_publish(10)
    client.publish(f"tillstream/v1/down/{SHARD}/shop-0001", b"\x0a\x04\xff\xfe\xfd\xfc", qos=1).wait_for_publish(10)
    client.loop_stop()
    client.disconnect()
    with socket.create_connection(("127.0.0.1", rig.gateway.framed_port), timeout=30) as line:
        line.sendall(b"\x00\x00\x00\x04\x12\x02\xff\xfe")
        assert line.recv(4096)
    dead = "SELECT count(*) FROM dead_letters"
    r.wait_for("the bridge has seen it", lambda: sqlite3.connect(f"file:{rig.bridge.stream}?mode=ro", uri=True).execute(dead).fetchone()[0])
    for process in (rig.gateway, rig.bridge):
        assert "protobuf" not in process.log().replace("invalid_protobuf", ""), process.name


def test_a_missing_configuration_and_wrong_use_say_so(tmp_path):
    for program in ("tillstream-gateway", "tillstream-bridge"):
        done = subprocess.run([r.BIN / program, "run", "--config", tmp_path / "none.toml"], capture_output=True, text=True, timeout=30)
        assert done.returncode == 78 and "none.toml" in done.stderr
        done = subprocess.run([r.BIN / program, "rnu"], capture_output=True, text=True, timeout=30)
        assert done.returncode == 2 and "run" in done.stderr
