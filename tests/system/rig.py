"""What the system tests stand on: real processes on loopback, terminals that behave as terminals do, and one judge.

Everything runs in a temp folder of the test's own, on free ports; processes are ended by their own ids only.
"""
import http.client
import json
import os
import pathlib
import select
import signal
import socket
import sqlite3
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))

from processes import Child, accepts, ask, free_port, until

BIN = pathlib.Path(os.environ.get("TILLSTREAM_BIN", "build/dev/bin")).resolve()
MOSQUITTO = "/usr/sbin/mosquitto"
# ASan's quarantine of freed memory would hide what is really used.
SANITIZER_ENV = {"ASAN_OPTIONS": "quarantine_size_mb=4:detect_leaks=0:abort_on_error=1", "UBSAN_OPTIONS": "print_stacktrace=1"}


def wait_for(what, condition, seconds=60.0):
    """Waits until condition() is true (and returns it); fails with what was awaited, and what was seen last."""
    seen = None

    def holds():
        nonlocal seen
        try:
            seen = condition()
            return seen
        except (OSError, http.client.HTTPException, sqlite3.Error, json.JSONDecodeError) as error:
            seen = error
            return None

    if not until(holds, seconds):
        raise AssertionError(f"not within {seconds} s: {what} (last seen: {seen!r})")
    return seen


class Process(Child):
    def __init__(self, name, argv, folder, env=None):
        super().__init__(name, argv, folder, {**SANITIZER_ENV, **(env or {})})

    def signal(self, number):
        self.popen.send_signal(number)

    def terminate(self, seconds=10):
        """SIGTERM; returns (exit status, seconds it took)."""
        begun = time.monotonic()
        self.popen.terminate()
        return self.popen.wait(seconds), time.monotonic() - begun

    def rss_kib(self):
        for line in pathlib.Path(f"/proc/{self.popen.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise AssertionError(f"{self.name} has no VmRSS")


def get(port, path, seconds=5, method="GET", body=None, headers=None):
    status, text = ask(port, path, seconds, method, body, headers)
    return status, text.decode()


class Broker(Process):
    def __init__(self, folder, port, extra=""):
        self.port = port
        self.config = folder / "mosquitto.conf"
        self.write(extra)
        super().__init__("mosquitto", [MOSQUITTO, "-c", self.config], folder)

    def write(self, extra=""):
        self.config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\npersistence false\n{extra}\n")

    def ready(self):
        return accepts(self.port)


def toml(tables):
    """A dict of tables as TOML; JSON's strings, numbers and arrays are TOML's too."""
    lines = []
    for table, keys in tables.items():
        lines.append(f"[{table}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
    return "\n".join(lines) + "\n"


def merged(defaults, overrides):
    tables = {name: dict(keys) for name, keys in defaults.items()}
    for name, keys in (overrides or {}).items():
        tables.setdefault(name, {}).update(keys)
    return tables


class Program(Process):
    """One of ours: it has an admin port."""

    def ready(self):
        return get(self.admin_port, "/v1/status")[0] == 200

    def status(self):
        return json.loads(get(self.admin_port, "/v1/status")[1])

    def metric(self, name):
        return metric(self.admin_port, name)

    def reload(self):
        """SIGHUP; returns what the program logged about it."""
        before = len(self.log())
        self.signal(signal.SIGHUP)
        said = ("configuration and certificates read again", "the old one stays")
        wait_for("SIGHUP heard", lambda: any(word in self.log()[before:] for word in said))
        return self.log()[before:]


class Gateway(Program):
    def __init__(self, folder, broker_port, gateway_id="shop-0001", name=None, state_dir=None, overrides=None):
        name = name or gateway_id
        self.gateway_id, self.http_port, self.framed_port, self.admin_port = gateway_id, free_port(), free_port(), free_port()
        self.state_dir = state_dir or folder / f"{name}-state"
        self.config = folder / f"{name}.toml"
        self.tables = merged({
            "gateway": {"id": gateway_id, "state_dir": str(self.state_dir)},
            "terminals.defaults": {"currency": "EUR", "time_zone": "Europe/Vienna", "merchant_id": "M-1", "merchant_name": "Kiosk"},
            "terminals.http": {"listen": f"127.0.0.1:{self.http_port}"},
            "terminals.framed": {"listen": f"127.0.0.1:{self.framed_port}"},
            "uplink": {"broker": f"mqtt://127.0.0.1:{broker_port}", "ack_timeout": "3s"},
            "admin": {"listen": f"127.0.0.1:{self.admin_port}"},
        }, overrides)
        self.write()
        super().__init__(name, [BIN / "tillstream-gateway", "run", "--config", self.config], folder)

    def write(self):
        self.config.write_text(toml(self.tables))

    def submit(self, event, seconds=10):
        status, body = get(self.http_port, "/v1/events", seconds, "POST", json.dumps(event),
                           {"Content-Type": "application/json"})
        return status, json.loads(body)


class Bridge(Program):
    def __init__(self, folder, broker_port, name="bridge", overrides=None):
        self.admin_port = free_port()
        self.config = folder / f"{name}.toml"
        self.stream = folder / "stream.db"
        self.tables = merged({
            "bridge": {"id": name},
            "broker": {"url": f"mqtt://127.0.0.1:{broker_port}"},
            "stream": {"kind": "sqlite"},
            "stream.sqlite": {"path": str(self.stream)},
            "admin": {"listen": f"127.0.0.1:{self.admin_port}"},
        }, overrides)
        self.config.write_text(toml(self.tables))
        super().__init__(name, [BIN / "tillstream-bridge", "run", "--config", self.config], folder)


class Tap(Program):
    def __init__(self, folder, host_port, socket_path, line=None, gateway=None, name="tap"):
        self.port, self.admin_port = free_port(), free_port()
        self.config = folder / f"{name}.toml"
        keys = {"name": "tills", "listen": f"127.0.0.1:{self.port}", "host": f"127.0.0.1:{host_port}", "dialect": "iso87-ascii",
                **(line or {})}
        tls = {name: keys.pop(name) for name in ("tls", "host_tls") if name in keys}
        text = toml({"[line]": keys, **{f"line.{name}": value for name, value in tls.items()}})
        self.config.write_text(text + toml({"gateway": {"socket": str(socket_path), **(gateway or {})},
                                              "admin": {"listen": f"127.0.0.1:{self.admin_port}"}}))
        super().__init__(name, [BIN / "tillstream-tap", "run", "--config", self.config], folder)

    def delivery(self):
        return self.status()["gateway"]

    def line(self):
        return self.status()["lines"][0]

    def settled(self):
        """Until the gateway has all that went through."""
        wait_for("every copy stored", lambda: self.delivery()["waiting"] == 0 and self.line()["open_requests"] == 0, 60)


def metric(port, name):
    """The sum over all label sets of one metric; None when it is not there."""
    total = None
    for line in get(port, "/metrics")[1].splitlines():
        key, _, value = line.rpartition(" ")
        if key.split("{")[0] == name:
            total = (total or 0.0) + float(value)
    return total


class Relay:
    """A TCP relay that can be a bad line: cut (closes and refuses), half_open (keeps what is there, moves nothing), slow.

    `hear` gets what clients have sent, before it goes on.
    """

    def __init__(self, target_port, hear=None):
        self.port, self.target_port = free_port(), target_port
        self.mode, self.bytes_per_second, self._hear = "pass", None, hear
        self._lock, self._pairs, self._stopping = threading.Lock(), [], threading.Event()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def set(self, mode, bytes_per_second=None):
        self.mode, self.bytes_per_second = mode, bytes_per_second
        if mode == "cut":
            with self._lock:
                for pair in self._pairs:
                    for end in pair:
                        _close(end)
                self._pairs.clear()

    def close(self):
        self._stopping.set()
        _close(self._listener)
        self.set("cut")

    def _accept(self):
        while not self._stopping.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.mode == "cut":
                _close(client)
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self.target_port), timeout=2)
            except OSError:
                _close(client)
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                was_cut = self.mode == "cut"  # meanwhile: then nobody else closes it
                if not was_cut:
                    self._pairs.append((client, server))
            if was_cut:
                _close(client)
                _close(server)
                continue
            for source, sink, hear in ((client, server, self._hear), (server, client, None)):
                threading.Thread(target=self._pump, args=(source, sink, hear), daemon=True).start()

    def _pump(self, source, sink, hear):
        try:
            while True:
                ready, _, _ = select.select([source], [], [], 0.5)
                if self._stopping.is_set():
                    break
                if not ready or self.mode == "half_open":
                    if self.mode == "half_open":
                        self._stopping.wait(0.05)
                    continue
                data = source.recv(16384)
                if not data:
                    break
                if self.mode == "slow":
                    self._stopping.wait(len(data) / self.bytes_per_second)
                if hear:
                    hear(data)
                sink.sendall(data)
        except (OSError, ValueError):
            pass
        _close(source)
        _close(sink)


def _close(end):
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    end.close()


def sale(terminal_id, ref, amount=1250, **more):
    return {"type": "sale", "terminal_id": terminal_id, "terminal_ref": ref, "occurred_at": "2026-11-24T10:00:00+01:00",
            "amount_minor": amount, "currency": "EUR", "outcome": "approved", **more}


class Terminal(threading.Thread):
    """Submits one event after the other; repeats one with the same reference until it has a definite answer."""

    def __init__(self, gateway, terminal_id, pause=0.0):
        super().__init__(daemon=True)
        self.gateway, self.terminal_id, self.pause = gateway, terminal_id, pause
        self.told = {}           # reference → the answer that said it is stored
        self.submitted = []      # every reference ever sent
        self.surprises = []      # answers that a terminal must never get here
        self.busy = 0
        self._halt = threading.Event()

    def stop(self):
        self._halt.set()
        self.join(30)
        assert not self.is_alive(), f"terminal {self.terminal_id} hangs"

    def run(self):
        connection, number = None, 0
        while not self._halt.is_set():
            number += 1
            ref = f"{number:08d}"
            body = json.dumps(sale(self.terminal_id, ref, 100 + number % 9000))
            self.submitted.append(ref)
            while not self._halt.is_set():
                try:
                    if connection is None:
                        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.http_port, timeout=10)
                    connection.request("POST", "/v1/events", body, {"Content-Type": "application/json"})
                    response = connection.getresponse()
                    answer = json.loads(response.read())
                    if response.status in (200, 201):
                        self.told[ref] = answer
                        break
                    if response.status != 503:
                        self.surprises.append((ref, response.status, answer))
                        break
                    self.busy += 1
                    self._halt.wait(0.05)
                except (OSError, http.client.HTTPException, json.JSONDecodeError):
                    if connection is not None:
                        connection.close()
                    connection = None
                    self._halt.wait(0.02)
            if self.pause:
                self._halt.wait(self.pause)
        if connection is not None:
            connection.close()


class Stream:
    """The embedded stream as any consumer sees it: a read-only SQLite connection."""

    def __init__(self, path):
        self.path = path

    def rows(self):
        connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=10)
        try:
            connection.row_factory = sqlite3.Row
            return connection.execute(
                "SELECT position, event_id, gateway_id, epoch, seq, key, type, value FROM events ORDER BY position").fetchall()
        finally:
            connection.close()

    def count(self, where="type <> 'notice'"):
        connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=10)
        try:
            return connection.execute(f"SELECT count(*) FROM events WHERE {where}").fetchone()[0]
        finally:
            connection.close()

    def notices(self):
        return [json.loads(row["value"]) for row in self.rows() if row["type"] == "notice"]

    def gateways(self):
        """The public table, by gateway."""
        connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=10)
        try:
            return {gateway: json.loads(value) for gateway, value in connection.execute("SELECT gateway_id, value FROM gateways")}
        finally:
            connection.close()


def wait_drained(stream, terminals, seconds=90):
    """Until everything that a terminal was told is stored is in the stream."""
    told = sum(len(terminal.told) for terminal in terminals)
    wait_for(f"{told} events in the stream", lambda: stream.count() >= told, seconds)


def judge(stream, terminals, repeats_allowed=False):
    """The one judge: told means once, in order; per epoch 1, 2, 3 … without a gap; nothing that nobody submitted."""
    seqs, seen, last_ref, ids = {}, {}, {}, set()
    for row in stream.rows():
        if row["seq"] is not None:
            place = (row["gateway_id"], row["epoch"])
            expected = seqs.get(place, 0) + 1
            assert row["seq"] == expected, f"epoch {place}: seq {row['seq']} follows {expected - 1}"
            seqs[place] = row["seq"]
        if row["type"] == "notice":
            continue
        event = json.loads(row["value"])
        terminal, ref = event["terminal_id"], event["terminal_ref"]
        seen[(terminal, ref)] = seen.get((terminal, ref), 0) + 1
        if not repeats_allowed:
            assert row["event_id"] not in ids, f"event_id {row['event_id']} twice"
            assert last_ref.get(terminal, "") < ref, f"{terminal}: {ref} after {last_ref[terminal]}"
        ids.add(row["event_id"])
        last_ref[terminal] = max(ref, last_ref.get(terminal, ""))
    told = {(t.terminal_id, ref) for t in terminals for ref in t.told}
    submitted = {(t.terminal_id, ref) for t in terminals for ref in t.submitted}
    lost = told - seen.keys()
    doubled = [key for key, times in seen.items() if times > 1]
    invented = seen.keys() - submitted
    surprises = [surprise for t in terminals for surprise in t.surprises]
    assert not lost, f"{len(lost)} told and lost, e.g. {sorted(lost)[:5]}"
    assert repeats_allowed or not doubled, f"{len(doubled)} doubled, e.g. {doubled[:5]}"
    assert not invented, f"{len(invented)} that nobody submitted, e.g. {sorted(invented)[:5]}"
    assert not surprises, f"unexpected answers: {surprises[:5]}"
    assert told, "no event was stored: this run proves nothing"
    return len(told)


class Rig:
    """Broker, gateway and bridge, with the gateway's line to the broker through a relay."""

    def __init__(self, folder, gateway=None, bridge=None, broker="", start=True):
        self.folder = folder
        self.broker = Broker(folder, free_port(), broker)
        self.relay = Relay(self.broker.port)
        self.gateway = Gateway(folder, self.relay.port, overrides=gateway)
        self.bridge = Bridge(folder, self.broker.port, overrides=bridge)
        self.stream = Stream(self.bridge.stream)
        self.terminals = []
        self.others = []
        if start:
            for process in (self.broker, self.bridge, self.gateway):
                self.begin(process)

    def begin(self, process, seconds=30):
        process.start()
        wait_for(f"{process.name} ready", lambda: self._died(process) or process.ready(), seconds)
        return process

    @staticmethod
    def _died(process):
        assert process.alive, f"{process.name} ended with {process.popen.returncode}:\n{process.log()[-3000:]}"
        return False

    def restart(self, process):
        process.kill9()
        return self.begin(process)

    def tap(self, count=4, pause=0.0, gateway=None):
        for _ in range(count):
            terminal = Terminal(gateway or self.gateway, f"T{len(self.terminals) + 1:02d}", pause)
            self.terminals.append(terminal)
            terminal.start()

    def told(self):
        return sum(len(terminal.told) for terminal in self.terminals)

    def wait_told(self, more, seconds=60):
        """Until `more` further events have been stored."""
        goal = self.told() + more
        wait_for(f"{goal} events told", lambda: self.told() >= goal, seconds)

    def settle(self, seconds=90):
        """Stops the terminals, waits for the stream, judges."""
        for terminal in self.terminals:
            terminal.stop()
        wait_drained(self.stream, self.terminals, seconds)
        return judge(self.stream, self.terminals)

    def close(self):
        for terminal in self.terminals:
            terminal._halt.set()
        self.relay.close()
        for process in [self.gateway, self.bridge, self.broker, *self.others]:
            if process.popen is not None and process.alive:
                process.signal(signal.SIGCONT)
                process.kill9()
        for terminal in self.terminals:
            terminal.join(15)
