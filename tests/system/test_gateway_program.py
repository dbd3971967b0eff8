"""The gateway as a program: its signals, its doors, its command line. Nothing here needs a broker, but for what says so."""
import http.client
import itertools
import json
import os
import re
import random
import select
import signal
import socket
import ssl
import string
import subprocess
import threading
import time

import pytest

import rig as r
import wire

PROGRAM = r.BIN / "tillstream-gateway"
HEADERS = {"Content-Type": "application/json"}


@pytest.fixture
def make_gateway(tmp_path):
    """A running gateway whose broker nobody runs."""
    made = []

    def make(start=True, name="shop-0001", state_dir=None, **overrides):
        tables = {key.replace("__", "."): value for key, value in overrides.items()}
        gateway = r.Gateway(tmp_path, r.free_port(), name=name, state_dir=state_dir, overrides=tables)
        made.append(gateway)
        return begin(gateway) if start else gateway

    yield make
    for gateway in made:
        gateway.kill9()
        print(f"--- {gateway.name}\n{gateway.log()[-4000:]}")
        for word in ("AddressSanitizer", "runtime error:", "assertion failed", "libprotobuf"):
            assert word not in gateway.log(), f"{gateway.name}: see its log above"


def begin(gateway):
    before = len(gateway.log())
    gateway.start()

    def up():
        assert gateway.alive, gateway.log()[-3000:]
        return "is ready" in gateway.log()[before:]

    r.wait_for(f"{gateway.name} ready", up, 30)
    return gateway


def call(gateway, *verb):
    return subprocess.run([PROGRAM, *verb, "--config", gateway.config], capture_output=True, text=True, timeout=60, env=gateway.env,
                          cwd=gateway.folder)


def framed(gateway, tls=None):
    sock = socket.create_connection(("127.0.0.1", gateway.framed_port), timeout=30)
    return wire.FramedLine(tls.wrap_socket(sock, server_hostname="127.0.0.1") if tls else sock)


def exported(gateway):
    """Every event of the journal, by `journal export`, and that it says it is whole."""
    done = call(gateway, "journal", "export")
    assert done.returncode == 0, done
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[-1] == {"complete": True, "rows": len(lines) - 1}
    return lines[:-1]


# --- SIGHUP ---


def test_sighup_takes_what_may_change_at_once(make_gateway):
    gateway = make_gateway()
    assert gateway.submit(r.sale("T1", "1"))[0] == 201
    gateway.tables["terminals.defaults"].update(merchant_name="Kiosk am Eck", unknown="refuse")
    gateway.tables["admin"]["unhealthy_after"] = "1s"
    gateway.write()
    gateway.config.write_text(gateway.config.read_text() + '[[terminal]]\nid = "T2"\n')
    assert "read again" in gateway.reload()
    assert gateway.submit(r.sale("T2", "1"))[0] == 201
    status, answer = gateway.submit(r.sale("T1", "2"))
    assert status == 403 and answer["error"]["code"] == "unknown_terminal"
    names = [line.get("merchant_name") for line in exported(gateway) if line["type"] == "sale"]
    assert names == ["Kiosk", "Kiosk am Eck"]
    r.wait_for("health by the new limit", lambda: r.get(gateway.admin_port, "/healthz")[0] == 503)


@pytest.mark.parametrize("table, key, value, named", [
    ("journal", "quota", "100MiB", "[journal]"),
    ("terminals", "max_connections", 7, "terminals.max_connections"),
    ("uplink", "window_events", 1000, "uplink.window_events"),
    ("gateway", "id", "shop-0002", "gateway.id"),
    ("terminals.http", "listen", "127.0.0.1:0", "[terminals.http]"),
])
def test_sighup_refuses_what_needs_a_restart_and_takes_nothing_of_it(make_gateway, table, key, value, named):
    gateway = make_gateway()
    gateway.tables.setdefault(table, {})[key] = value
    gateway.tables["terminals.defaults"]["unknown"] = "refuse"
    gateway.write()
    said = gateway.reload()
    assert f"{named}" in said and "needs a restart" in said and "the old one stays" in said
    assert gateway.submit(r.sale("T1", "1"))[0] == 201


@pytest.mark.parametrize("text", ["[uplink]\nwindw_events = 1\n", "no toml", None], ids=["unknown key", "no TOML", "no file"])
def test_sighup_with_a_bad_configuration_leaves_the_old_one_in_force(make_gateway, text):
    gateway = make_gateway(terminals__defaults={"merchant_name": "Alt"})
    if text is None:
        gateway.config.unlink()
    else:
        gateway.config.write_text(text)
    said = gateway.reload()
    assert str(gateway.config) in said and "the old one stays" in said
    assert gateway.submit(r.sale("T1", "1"))[0] == 201
    gateway.write()
    assert "read again" in gateway.reload()
    assert [line["merchant_name"] for line in exported(gateway) if line["type"] == "sale"] == ["Alt"]


# --- TLS ---


class Credentials:
    """Key and self-signed certificate; renewed in place."""

    def __init__(self, folder, name="door"):
        self.folder, self.name = folder, name
        self.certificate, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        self.renew()

    def renew(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "90",
                        "-subj", f"/CN={self.name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", self.key,
                        "-out", self.certificate], check=True, capture_output=True)
        os.chmod(self.key, 0o600)
        self.pem = self.certificate.read_text()

    @property
    def table(self):
        return {"certificate": str(self.certificate), "key": str(self.key)}

    def client(self, certificate=None):
        context = ssl.create_default_context(cadata=self.pem)
        if certificate:
            context.load_cert_chain(certificate.certificate, certificate.key)
        return context


def presented(port):
    return ssl.get_server_certificate(("127.0.0.1", port))


def https(port, context, path, method="GET", body=None, headers=None):
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


@pytest.fixture
def tls_gateway(make_gateway, tmp_path):
    door = Credentials(tmp_path)
    gateway = make_gateway(terminals__http__tls=door.table, terminals__framed__tls=door.table, admin__tls=door.table)
    return gateway, door


def test_tls_on_every_door(tls_gateway):
    gateway, door = tls_gateway
    context = door.client()
    assert https(gateway.http_port, context, "/v1/events", "POST", json.dumps(r.sale("T1", "1")), HEADERS)[0] == 201
    with framed(gateway, context) as line:
        line.send(wire.submit(r.sale("T2", "1", card_number="4111111111111111")))
        assert line.answer()["status"] == 201, "a card number may come by TLS"
    assert https(gateway.admin_port, context, "/readyz")[0] == 200
    # The command line finds its way, too.
    assert json.loads(call(gateway, "status").stdout)["next_seq"] == 3
    assert call(gateway, "journal", "verify").returncode == 0
    # Whoever speaks plainly gets nothing, and nothing is stored.
    for port in (gateway.http_port, gateway.admin_port, gateway.framed_port):
        with socket.create_connection(("127.0.0.1", port), timeout=15) as line:
            line.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
            line.shutdown(socket.SHUT_WR)
            try:
                assert b"HTTP" not in line.recv(4096)
            except ConnectionResetError:
                pass


def test_a_renewed_certificate_is_taken_on_sighup_and_a_bad_one_is_not(tls_gateway):
    gateway, door = tls_gateway
    ports = (gateway.http_port, gateway.framed_port, gateway.admin_port)
    old = door.pem
    assert all(presented(port) == old for port in ports)
    with framed(gateway, door.client()) as open_before:
        door.renew()
        assert door.pem != old
        assert all(presented(port) == old for port in ports), "not before it is told to"
        assert "read again" in gateway.reload()
        assert [presented(port) == door.pem for port in ports] == [True] * 3
        open_before.send(wire.submit(r.sale("T1", "1")))
        assert open_before.answer()["status"] == 201, "whoever is connected stays so"
    new = door.pem
    door.key.write_text(door.key.read_text()[:60])
    said = gateway.reload()
    assert str(door.key) in said and "the old one stays" in said
    assert all(presented(port) == new for port in ports)
    door.renew()
    os.chmod(door.key, 0o640)
    said = gateway.reload()
    assert "0640" in said and "chmod 0600" in said and "the old one stays" in said
    assert all(presented(port) == new for port in ports)


def test_a_door_with_client_ca_is_open_to_its_clients_only(make_gateway, tmp_path):
    door, client, stranger = (Credentials(tmp_path, name) for name in ("door", "client", "stranger"))
    tls = {**door.table, "client_ca": str(client.certificate)}
    gateway = make_gateway(terminals__http__tls=tls, terminals__framed__tls=tls)

    def served(certificate):
        try:
            with framed(gateway, door.client(certificate)) as line:
                line.send(wire.submit(r.sale("T1", "1")))
                return line.answer() is not None
        except (ssl.SSLError, OSError):
            return False

    def served_http(certificate):
        try:
            return https(gateway.http_port, door.client(certificate), "/v1/events", "POST", json.dumps(r.sale("T1", "1")), HEADERS)[0]
        except (ssl.SSLError, OSError):
            return None

    assert served(client) and served_http(client) == 200
    assert not served(None) and not served(stranger)
    assert served_http(None) is None and served_http(stranger) is None


@pytest.mark.parametrize("table", ["terminals.http", "terminals.framed", "admin"])
def test_plaintext_off_loopback_needs_the_word_for_it(make_gateway, tmp_path, table):
    token = tmp_path / "token"
    token.write_text("0123456789abcdef\n")
    os.chmod(token, 0o600)
    gateway = make_gateway(start=False, admin={"token_file": str(token)})
    gateway.tables[table]["listen"] = "0.0.0.0:0"
    gateway.write()
    for verb in ("check", "run"):
        done = call(gateway, verb)
        assert done.returncode == 78 and f"{table}.listen" in done.stderr and "allow_plaintext" in done.stderr, done
    gateway.tables[table]["allow_plaintext"] = True
    gateway.write()
    assert call(gateway, "check").returncode == 0
    if table == "admin":
        del gateway.tables["admin"]["token_file"]
        gateway.write()
        done = call(gateway, "check")
        assert done.returncode == 78 and "token_file" in done.stderr


# --- the framed protocol ---


def test_pipelined_answers_come_in_the_order_of_the_requests(make_gateway):
    gateway = make_gateway()
    # What is refused is known at once, what is stored only after the disk; and more than may be open at a time.
    events = [r.sale("T1", f"{n:04d}", amount_minor=n, **({"outcome": "perhaps"} if n % 3 == 1 else {})) for n in range(600)]
    events += [events[0]]
    with framed(gateway) as line:
        sender = threading.Thread(target=line.send, args=[wire.submit(event) for event in events])
        sender.start()
        answers = [line.answer() for _ in events]
        sender.join()
    first = answers[0]
    for n, answer in enumerate(answers[:600]):
        assert answer["status"] == (400 if n % 3 == 1 else 201), (n, answer)
        if n % 3 == 1:
            assert answer["error_field"] == "outcome"
    seqs = [answer["seq"] for answer in answers[:600] if answer["status"] == 201]
    assert seqs == list(range(1, 401))
    assert answers[600] == {**first, "status": 200, "duplicate": 1}
    amounts = {line["seq"]: line["amount_minor"] for line in exported(gateway)}
    assert [amounts[seq] for seq in seqs] == [n for n in range(600) if n % 3 != 1]


@pytest.mark.parametrize("tail, last", [
    (b"\x00\x01\x00\x01" + b"x" * 100, "too_large"), (b"\xff\xff\xff\xff", "too_large"), (b"\x00\x00\x00\x10half", None), (b"\x00\x00", None)],
    ids=["beyond 64 KiB", "2^32-1", "truncated", "half a length"])
def test_what_came_before_a_bad_frame_is_answered(make_gateway, tail, last):
    gateway = make_gateway()
    with framed(gateway) as line:
        line.sock.sendall(wire.frame(wire.submit(r.sale("T1", "1"))) + wire.frame(wire.submit(r.sale("T1", "2"))) + tail)
        if last is None:
            line.sock.shutdown(socket.SHUT_WR)
        assert [line.answer()["status"], line.answer()["status"]] == [201, 201]
        if last:
            answer = line.answer()
            assert answer["status"] == 413 and answer["error_code"] == last
        assert line.answer() is None, "then it is closed"
    assert len(exported(gateway)) == 2


def test_garbage_in_a_whole_frame_is_answered_and_the_line_goes_on(make_gateway):
    gateway = make_gateway()
    garbage = [b"\xff" * 50, b"", wire.submit(r.sale("T1", b"\xff\xfe")), wire.submit({"terminal_id": b"\xc3"}), b"\x0a\x05sale",
               bytes(range(256))]
    with framed(gateway) as line:
        line.send(*garbage, wire.submit(r.sale("T1", "1")))
        for what in garbage:
            answer = line.answer()
            assert answer["status"] == 400 and answer["error_message"], (what, answer)
        assert line.answer()["status"] == 201
    assert "libprotobuf" not in gateway.log()


def test_a_slow_writer_is_cut_after_ten_seconds_and_others_are_served(make_gateway):
    gateway = make_gateway()
    frame = wire.frame(wire.submit(r.sale("T1", "1", merchant_name="x" * 60)))
    with framed(gateway) as slow, framed(gateway) as other, framed(gateway) as idle:
        begun = time.monotonic()
        cut = None
        for n, byte in enumerate(frame):
            try:
                slow.sock.sendall(bytes([byte]))
                slow.sock.settimeout(0.5)
                if slow.sock.recv(1) == b"":
                    cut = time.monotonic() - begun
                    break
            except (TimeoutError, socket.timeout):
                pass
            except OSError:
                cut = time.monotonic() - begun
                break
            if n % 4 == 0:
                other.send(wire.submit(r.sale("T2", str(n))))
                assert other.answer()["status"] == 201
        assert cut is not None and 9.5 < cut < 14, cut
        idle.send(wire.submit(r.sale("T3", "1")))
        assert idle.answer()["status"] == 201, "who has begun nothing may wait"
    assert of_door(gateway, "requests_refused_total", "framed") == 1


def of_door(gateway, name, door):
    family = "tillstream_gateway_" + name
    return wire.parse_metrics(r.get(gateway.admin_port, "/metrics")[1])[family][1][(family, (("door", door),))]


REFERENCES = itertools.count(1)


def served(sock, door):
    """One event on this line: whether it is answered as stored."""
    event = r.sale("T1", str(next(REFERENCES)))
    try:
        if door == "framed":
            sock.sendall(wire.frame(wire.submit(event)))
            answer = wire.FramedLine(sock).answer()
            return answer is not None and answer["status"] == 201
        body = json.dumps(event)
        sock.sendall(f"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
                     .encode())
        return sock.recv(65536).startswith(b"HTTP/1.1 201")
    except OSError:
        return False


@pytest.mark.parametrize("door", ["http", "framed"])
def test_exactly_max_connections_are_served_and_one_more_takes_the_place_of_who_owes_most(make_gateway, door):
    gateway = make_gateway(terminals={"max_connections": 3})
    port = gateway.http_port if door == "http" else gateway.framed_port
    lines = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(3)]
    assert all(served(line, door) for line in lines)
    assert of_door(gateway, "connections", door) == 3 and of_door(gateway, "connections_displaced_total", door) == 0
    lines[0].sendall(b"\x00" if door == "framed" else b"POST /v1/ev")
    assert all(served(line, door) for line in lines[1:])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as fourth:
        assert served(fourth, door)
        assert of_door(gateway, "connections", door) == 3
        assert of_door(gateway, "connections_displaced_total", door) == 1
        assert of_door(gateway, "connections_refused_total", door) == 0
        # Nobody but the one that had begun and not finished: the others are served where they are.
        assert all(served(line, door) for line in lines[1:])
    for line in lines:
        line.close()


class Siege(threading.Thread):
    """Keeps as many connections as there are places, each with something begun, and opens each anew that is cut."""

    def __init__(self, port, source, count, begun):
        super().__init__(daemon=True)
        self.port, self.source, self.count, self.begun = port, source, count, begun
        self.opened, self.stopping = 0, threading.Event()

    def open(self):
        try:
            line = socket.create_connection(("127.0.0.1", self.port), timeout=10, source_address=(self.source, 0))
            line.sendall(self.begun)
        except OSError:
            return None
        line.setblocking(False)
        self.opened += 1
        return line

    def run(self):
        lines = []
        while not self.stopping.is_set():
            lines += [line for line in (self.open() for _ in range(self.count - len(lines))) if line]
            for line in select.select(lines, [], [], 0.05)[0]:
                line.close()
                lines.remove(line)
        for line in lines:
            line.close()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.join()


HALF_BODY = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
SIEGES = {
    "silent": ("http", b"", False), "a byte": ("http", b"P", False), "half a head": ("http", b"POST /v1/ev", False),
    "half a body": ("http", HALF_BODY, False), "framed, silent": ("framed", b"", False), "framed, a byte": ("framed", b"\x00", False),
    "half a frame": ("framed", b"\x00\x00\x01\x00half", False), "no handshake": ("http", b"", True),
    "half a handshake": ("http", b"\x16\x03\x01\x02\x00\x01", True), "framed, no handshake": ("framed", b"", True),
}


@pytest.mark.parametrize("source", ["127.0.0.2", "127.0.0.1"], ids=["from elsewhere", "from the same address"])
@pytest.mark.parametrize("what", SIEGES)
def test_a_terminal_comes_in_although_a_stranger_keeps_every_place_busy(make_gateway, tmp_path, what, source):
    door, begun, tls = SIEGES[what]
    credentials = Credentials(tmp_path)
    doors = {"terminals__http__tls": credentials.table, "terminals__framed__tls": credentials.table} if tls else {}
    places, tries = 32, 8
    gateway = make_gateway(terminals={"max_connections": places}, **doors)
    port = gateway.http_port if door == "http" else gateway.framed_port

    def attempt():
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
                if not tls:
                    return served(line, door)
                with credentials.client().wrap_socket(line, server_hostname="127.0.0.1") as secure:
                    return served(secure, door)
        except OSError:
            return False

    with Siege(port, source, places, begun) as siege:
        r.wait_for("every place is taken", lambda: of_door(gateway, "connections", door) == places)
        answers = [attempt() for _ in range(tries)]
        assert all(answers), answers
        assert siege.opened > places, "what is cut comes again"
    assert of_door(gateway, "connections_displaced_total", door) >= 1


# --- the command line ---


def test_status_and_check_and_their_exit_statuses(make_gateway):
    gateway = make_gateway(start=False)
    done = call(gateway, "check")
    assert (done.returncode, done.stdout) == (0, "ok\n")
    done = call(gateway, "status")
    assert done.returncode == 1 and "is the gateway running?" in done.stderr
    begin(gateway)
    done = call(gateway, "status")
    status = json.loads(done.stdout)
    assert done.returncode == 0 and status["gateway_id"] == "shop-0001" and status["listeners"]["http"].endswith(str(gateway.http_port))
    gateway.config.write_text("[gateway]\nid = 5\n")
    for verb in (["status"], ["check"], ["run"], ["journal", "verify"], ["journal", "salvage"], ["journal", "export"]):
        done = call(gateway, *verb)
        assert done.returncode == 78 and f"{gateway.config}:2: gateway.id" in done.stderr, done


@pytest.mark.parametrize("words, hint", [
    (["run", "--confg", "x"], "--config"), (["check", "--config", "x", "--verbose"], "did you mean '--help'"),
    (["status", "--cfg=x"], "did you mean '--config'"), (["journal", "verify", "--config", "x", "-z"], "did you mean '--"),
    (["journal", "verfy", "--config", "x"], "'verify'"), (["stats", "--config", "x"], "'status'"), ([], "--help"), (["run"], "--config"),
    (["journal"], "allowed: verify, salvage, export"), (["journal", "--config", "x"], "a command of journal is missing before '--config'"), ([], "allowed: run, check, status, journal, iso8583"),
    (["foo"], "'foo' is no command; allowed: run, check, status, journal, iso8583"),
    (["journal", "foo", "--config", "x"], "'foo' is no command of journal; allowed: verify, salvage, export"),
    (["run", "--json"], "'--json' is no option of run; did you mean '--"),
    (["iso8583", "decode", "--jsn"], "'--jsn' is no option of decode; did you mean '--json'"),
    (["--versoin"], "did you mean '--version'")])
def test_wrong_use_is_2_and_names_what_was_meant(words, hint):
    done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and hint in done.stderr and done.stdout == "", done


@pytest.mark.parametrize("program", ["tillstream-gateway", "tillstream-bridge"])
def test_a_program_says_its_version(program):
    done = subprocess.run([r.BIN / program, "--version"], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0 and re.fullmatch(r"\d+\.\d+\.\d+\n", done.stdout), done


def test_the_bridge_names_the_nearest_flag_too():
    for words, hint in ((["run", "--confg", "x"], "--config"), (["tail", "--config", "x", "--fellow"], "--follow"),
                        (["check", "--config", "x", "--zzzzzzzz"], "did you mean '--"),
                        (["run", "--follw"], "'--follw' is no option of run; did you mean '--help'"),
                        (["foo"], "'foo' is no command; allowed: run, check, tail, status, release, topics, token-key"),
                        (["chek", "--config", "x"], "did you mean 'check'"), (["token-key"], "a command of token-key is missing; allowed: derive")):
        done = subprocess.run([r.BIN / "tillstream-bridge", *words], capture_output=True, text=True, timeout=30)
        assert done.returncode == 2 and hint in done.stderr and done.stdout == "", done


@pytest.mark.parametrize("gateway_id", ["Bad Id", "../x", "all", "", "a" * 64, "shop-\x1b[31m"])
def test_the_bridge_releases_no_id_that_cannot_be(gateway_id):
    done = subprocess.run([r.BIN / "tillstream-bridge", "release", "--config", "none.toml", gateway_id], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and 'allowed: 1 to 63 of a-z, 0-9 and -, but not "all"' in done.stderr, done


@pytest.mark.parametrize("kind", ["sqlite", "kafka"])
def test_an_empty_position_is_none(tmp_path, kind):
    bridge = r.Bridge(tmp_path, 1, overrides={"stream": {"kind": kind}})
    done = subprocess.run([r.BIN / "tillstream-bridge", "tail", "--config", bridge.config, "--from", ""], capture_output=True, text=True,
                          timeout=30, cwd=tmp_path)
    assert done.returncode == 2 and "--from: an empty text is no position of this stream; allowed: " in done.stderr, done


def test_verify_and_export_say_the_same_of_a_running_gateway_and_of_a_stopped_one(make_gateway):
    gateway = make_gateway()
    body = "\n".join(json.dumps(r.sale("T1", f"{n:04d}", amount=n + 1)) for n in range(900))
    assert r.get(gateway.http_port, "/v1/events/batch", 30, "POST", body, {"Content-Type": "application/x-ndjson"})[0] == 200
    running = exported(gateway)
    assert [line["amount_minor"] for line in running] == list(range(1, 901))
    done = call(gateway, "journal", "verify")
    assert done.returncode == 0 and json.loads(done.stdout)["sound"] is True and json.loads(done.stdout)["rows"] == 900
    assert gateway.terminate()[0] == 0
    assert exported(gateway) == running
    done = call(gateway, "journal", "verify")
    assert done.returncode == 0 and json.loads(done.stdout)["sound"] is True and json.loads(done.stdout)["rows"] == 900


def test_salvage_makes_a_damaged_journal_sound_and_leaves_a_running_gateway_alone(make_gateway):
    gateway = make_gateway()
    for n in range(40):
        assert gateway.submit(r.sale("T1", str(n), merchant_name=f"find-me-{n:02d}"))[0] == 201
    done = call(gateway, "journal", "salvage")
    assert done.returncode == 1 and "is running" in done.stderr and "stop" in done.stderr
    assert gateway.terminate()[0] == 0
    journal = next(path for path in gateway.state_dir.rglob("*") if path.is_file() and path.read_bytes().startswith(b"SQLite format 3"))
    data = journal.read_bytes()
    assert b"find-me-20" in data
    journal.write_bytes(data.replace(b"find-me-20", b"lost-me-20"))
    done = call(gateway, "journal", "verify")
    assert done.returncode == 1 and json.loads(done.stdout)["sound"] is False, done
    done = call(gateway, "journal", "salvage")
    assert done.returncode == 0 and json.loads(done.stdout)["rows_kept"] >= 39, done
    assert call(gateway, "journal", "verify").returncode == 0
    lines = exported(gateway)
    assert sum(line["type"] == "sale" for line in lines) == 39
    assert [line["notice"] for line in lines if line["type"] == "notice"].count("events_lost") == 1
    begin(gateway)
    assert gateway.submit(r.sale("T1", "after"))[0] == 201


def test_without_a_journal_the_operators_commands_fail_and_make_none(make_gateway):
    gateway = make_gateway(start=False)
    for verb in ("verify", "export", "salvage"):
        done = call(gateway, "journal", verb)
        assert done.returncode == 1 and str(gateway.state_dir) in done.stderr, done
    assert not gateway.state_dir.exists()


def test_a_second_gateway_on_the_same_folder_ends_with_1_and_harms_nobody(make_gateway):
    gateway = make_gateway()
    assert gateway.submit(r.sale("T1", "1"))[0] == 201
    second = make_gateway(start=False, name="second", state_dir=gateway.state_dir)
    done = call(second, "run")
    assert done.returncode == 1 and str(gateway.state_dir) in done.stderr and "another" in done.stderr, done
    assert gateway.submit(r.sale("T1", "2"))[0] == 201
    assert len(exported(gateway)) == 2


def test_a_taken_port_is_named_with_1(make_gateway):
    gateway = make_gateway()
    second = make_gateway(start=False, name="second", terminals__framed={"listen": f"127.0.0.1:{gateway.framed_port}"})
    done = call(second, "run")
    assert done.returncode == 1 and f"127.0.0.1:{gateway.framed_port}" in done.stderr, done


def test_sigterm_under_load_ends_with_0_within_5_s_and_what_was_told_is_on_disk(make_gateway):
    gateway = make_gateway()
    terminals = [r.Terminal(gateway, f"T{n}") for n in range(6)]
    for terminal in terminals:
        terminal.start()
    idle = [framed(gateway) for _ in range(5)] + [socket.create_connection(("127.0.0.1", gateway.http_port)) for _ in range(5)]
    half = socket.create_connection(("127.0.0.1", gateway.http_port))
    half.sendall(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
    r.wait_for("load", lambda: sum(len(terminal.told) for terminal in terminals) > 200)
    status, took = gateway.terminate()
    for terminal in terminals:
        terminal.stop()
    for line in [*idle, half]:
        line.close()
    assert status == 0 and took < 5
    stored = {(line["terminal_id"], line["terminal_ref"]) for line in exported(gateway)}
    told = {(terminal.terminal_id, ref) for terminal in terminals for ref in terminal.told}
    assert told <= stored
    assert not [surprise for terminal in terminals for surprise in terminal.surprises]


# --- the admin port ---


def test_health_is_progress_and_readiness_is_room(make_rig):
    rig = make_rig(gateway={"admin": {"unhealthy_after": "1s"}}, start=False)
    rig.begin(rig.gateway)
    port = rig.gateway.admin_port
    assert r.get(port, "/healthz")[0] == 200, "nothing waits"
    assert rig.gateway.submit(r.sale("T1", "1"))[0] == 201
    status, body = r.wait_for("ill health", lambda: (answer := r.get(port, "/healthz"))[0] == 503 and answer)
    assert "has waited" in json.loads(body)["reasons"][0]
    assert r.get(port, "/readyz") == (200, '{"status":"ok","reasons":[]}\n')
    question = "/v1/events?terminal_id=T1&terminal_ref=1"
    event = json.loads(r.get(port, question)[1])["events"][0]
    assert event["seq"] == 1 and "committed_at" not in event
    rig.begin(rig.broker)
    rig.begin(rig.bridge)
    # The back-off may have grown: new certificates connect at once.
    rig.gateway.signal(signal.SIGHUP)
    r.wait_for("good health", lambda: r.get(port, "/healthz")[0] == 200)

    def committed():
        event = json.loads(r.get(port, question)[1])["events"][0]
        return event if "committed_at" in event and "sent_at" in event else None

    event = r.wait_for("the way of one event", committed)
    assert event["recorded_at"] <= event["sent_at"] <= event["committed_at"]
    assert event["event_id"] == rig.stream.rows()[-1]["event_id"]
    assert r.get(port, "/v1/events?terminal_id=T1&terminal_ref=2")[0] == 404
    for question in ("/v1/events", "/v1/events?terminal_id=T1", "/v1/events?terminal_id=&terminal_ref=1",
                     question + "&terminalref=1", "/v1/status?verbose=1"):
        assert r.get(port, question)[0] == 400
    assert r.get(port, "/v1/events?terminal_id=T1&terminal_ref=1", method="POST")[0] == 405
    assert r.get(port, "/v1/journal/verify")[0] == 405


def test_with_a_token_the_admin_port_is_for_who_knows_it_and_sighup_changes_it(make_gateway, tmp_path):
    token = tmp_path / "token"
    token.write_text("the-first-long-token\n")
    os.chmod(token, 0o600)
    gateway = make_gateway(start=False, admin={"token_file": str(token)})
    begin(gateway)

    def asked(word):
        return r.get(gateway.admin_port, "/v1/status", headers={"Authorization": f"Bearer {word}"})[0]

    assert asked("the-first-long-token") == 200 and asked("another-long-token") == 401
    assert r.get(gateway.admin_port, "/v1/status")[0] == 401
    assert call(gateway, "status").returncode == 0
    token.write_text("another-long-token\n")
    assert "read again" in gateway.reload()
    assert asked("another-long-token") == 200 and asked("the-first-long-token") == 401


# --- metrics ---


def test_metrics_are_prometheus_text_with_every_refusal_and_the_times_of_the_way(make_rig):
    rig = make_rig(gateway={"terminals.defaults": {"unknown": "accept"}, "card": {"accept_card_numbers": "never"}})
    gateway = rig.gateway
    post = lambda body, kind="application/json", path="/v1/events": r.get(gateway.http_port, path, 10, "POST", body, {"Content-Type": kind})
    assert gateway.submit(r.sale("T1", "1"))[0] == 201
    assert post("{")[0] == 400
    assert gateway.submit(r.sale("T1", "2", amount=-1))[0] == 400
    assert gateway.submit(r.sale("T1", "3", card_number="4111111111111111"))[0] == 403
    assert gateway.submit(r.sale("T1", "1", amount=99))[0] == 409
    assert post(json.dumps(r.sale("T1", "4")), "text/plain")[0] == 415
    assert post("{}", path="/nowhere")[0] == 404
    assert r.get(gateway.http_port, "/v1/events")[0] == 405
    ndjson = "\n".join(["{", json.dumps(r.sale("T1", "5")), json.dumps(r.sale("T1", "1", amount=98))])
    assert post(ndjson, "application/x-ndjson", "/v1/events/batch")[0] == 200
    with framed(gateway) as line:
        line.send(b"\xff", wire.submit(r.sale("T2", "1")))
        assert [line.answer()["status"], line.answer()["status"]] == [400, 201]
        line.sock.sendall(b"\xff\xff\xff\xff")
        assert line.answer()["status"] == 413
    expected = {"invalid_json": 2, "invalid_field": 1, "invalid_protobuf": 1, "card_number_refused": 1, "conflicting_duplicate": 2,
                "unsupported_media_type": 1, "not_found": 1, "method_not_allowed": 1, "too_large": 1, "busy": 0, "storage": 0,
                "unknown_terminal": 0, "invalid_message": 0}
    prefix = "tillstream_gateway_"
    families = wire.parse_metrics(r.get(gateway.admin_port, "/metrics")[1])
    assert all(family.startswith(prefix) for family in families)
    refusals = {dict(labels)["code"]: value for (_, labels), value in families[prefix + "refusals_total"][1].items()}
    assert refusals == expected
    assert families[prefix + "connections_max"][1][(prefix + "connections_max", ())] == 512
    for name in ("connections_refused_total", "connections_displaced_total", "requests_refused_total", "handshakes_failed_total", "accept_pauses_total", "connections"):
        assert {dict(labels)["door"] for _, labels in families[prefix + name][1]} == {"http", "framed", "admin"}, name
    for name in ("down_messages_dropped_total", "outbox_dropped_total", "publishes_refused_total"):
        assert prefix + name in families

    def count(name):
        families = wire.parse_metrics(r.get(gateway.admin_port, "/metrics")[1])
        kind, samples = families[prefix + name]
        assert kind == "histogram"
        return samples[(f"{prefix}{name}_count", ())]

    assert count("submit_answer_seconds") == 6, "every event that came as far as being looked at"
    assert 1 <= count("append_seconds") <= 6
    r.wait_for("acknowledgements are timed", lambda: count("send_ack_seconds") >= 1)


# --- a broker that takes small packets only ---


@pytest.mark.parametrize("option", ["max_packet_size 4096", "message_size_limit 4000"], ids=["announced", "unannounced"])
def test_batches_fit_what_the_broker_takes_and_a_larger_event_is_told_and_waits(make_rig, option):
    rig = make_rig(broker=option, gateway={"uplink": {"ack_timeout": "1s"}}, start=False)
    gateway = rig.gateway
    rig.begin(gateway)
    body = "\n".join(json.dumps(r.sale("T1", f"{n:04d}", amount=n + 1)) for n in range(300))
    assert r.get(gateway.http_port, "/v1/events/batch", 30, "POST", body, {"Content-Type": "application/x-ndjson"})[0] == 200
    rig.begin(rig.broker)
    rig.begin(rig.bridge)
    gateway.signal(signal.SIGHUP)
    r.wait_for("the backlog in small batches", lambda: rig.stream.count() == 300)
    assert r.get(gateway.admin_port, "/healthz")[0] == 200
    large = {f"note{n}": "".join(random.choices(string.ascii_letters, k=500)) for n in range(16)}  # hardly to be compressed
    assert gateway.submit(r.sale("T1", "0300", attributes=large))[0] == 201
    assert gateway.submit(r.sale("T1", "0301"))[0] == 201, "intake goes on"

    def ill():
        status, answer = r.get(gateway.admin_port, "/healthz")
        return status == 503 and "larger than the broker takes" in answer

    r.wait_for("ill health", ill)
    assert "larger than the broker takes" in gateway.status()["uplink"]["blocked"]
    assert gateway.metric("tillstream_gateway_uplink_blocked") == 1
    assert r.get(gateway.admin_port, "/readyz")[0] == 200
    assert rig.stream.count() == 300 and gateway.status()["pending_events"] >= 2, "nothing overtakes, nothing is dropped"
    rig.broker.kill9()
    rig.broker.write()
    rig.begin(rig.broker)
    gateway.signal(signal.SIGHUP)
    r.wait_for("everything in the stream", lambda: rig.stream.count() == 302)
    r.wait_for("good health", lambda: r.get(gateway.admin_port, "/healthz")[0] == 200)
    refs = [json.loads(row["value"])["terminal_ref"] for row in rig.stream.rows() if row["type"] == "sale"]
    assert refs == [f"{n:04d}" for n in range(302)]


def test_output_that_cannot_be_written_is_a_failure_and_a_reader_that_goes_is_none(make_gateway):
    gateway = make_gateway()
    assert gateway.submit(r.sale("T1", "1"))[0] == 201
    for verb in (["journal", "export"], ["status"], ["journal", "verify"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run([PROGRAM, *verb, "--config", gateway.config], stdout=full, stderr=subprocess.PIPE, text=True,
                                  timeout=60, env=gateway.env, check=False)
        assert done.returncode == 1 and "could not be written" in done.stderr, (verb, done)
    lines = subprocess.run(f"'{PROGRAM}' journal export --config '{gateway.config}' | true; echo ${{PIPESTATUS[0]}}", shell=True,
                           executable="/bin/bash", capture_output=True, text=True, timeout=60, env=gateway.env, check=False)
    # Done before it noticed, or ended by SIGPIPE as any filter.
    assert lines.stdout.strip() in ("0", "141") and "could not be written" not in lines.stderr, lines


def test_the_journals_files_are_private_whatever_the_folders_mode(make_gateway, tmp_path):
    folder = tmp_path / "open-folder"
    folder.mkdir(mode=0o755)
    gateway = make_gateway(state_dir=folder)
    assert gateway.submit(r.sale("T1", "1"))[0] == 201
    files = [file for file in folder.iterdir() if file.name.startswith("journal.")]
    assert {"journal.db", "journal.db-wal"} <= {file.name for file in files}
    assert all(file.stat().st_mode & 0o077 == 0 for file in files), [(file.name, oct(file.stat().st_mode)) for file in files]
    # Files of an earlier time, too.
    gateway.terminate()
    (folder / "journal.db").chmod(0o644)
    begin(gateway)
    assert (folder / "journal.db").stat().st_mode & 0o077 == 0


def test_a_state_folder_that_is_emptied_under_it_is_noticed_with_the_next_event(make_gateway):
    gateway = make_gateway()
    assert gateway.submit(r.sale("T1", "1"))[0] == 201
    for file in gateway.state_dir.iterdir():
        if file.name.startswith("journal.db"):
            file.unlink()
    status, body = gateway.submit(r.sale("T1", "2"))
    assert (status, body["error"]["code"]) == (503, "storage")
    r.wait_for("a new journal", lambda: gateway.submit(r.sale("T1", "2"))[0] == 201)
    assert (gateway.state_dir / "journal.db").exists()
    gateway.kill9()
    begin(gateway)
    status, body = gateway.submit(r.sale("T1", "2"))
    assert (status, body["duplicate"]) == (200, True)
