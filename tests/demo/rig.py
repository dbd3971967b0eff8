"""Rig: the real parts of the demo: broker, relay, bridge, gateway, in one temporary folder, on loopback, on free ports.

Every part is a child process in a session of its own, so that Ctrl-C reaches the conductor alone; each is ended by its pid, and
the kernel ends it should the conductor itself be killed (which is why only the main thread starts parts: Linux ties that to the
starting thread).
"""
from __future__ import annotations

import ctypes
import http.client
import json
import os
import random
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from relay import Relay

START_SECONDS = 30.0
END_SECONDS = 6.0  # a part has 5 s from SIGTERM
GATEWAY_ID = "market-hall"

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


class CannotStart(Exception):
    """A part does not come up; the text names it, the cause and the remedy."""


def free_port() -> int:
    """Below the range from which the kernel takes ports for outgoing connections: it stays free while a part restarts."""
    for _ in range(1000):
        port = random.randint(12000, 32000)
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise CannotStart("no free port on 127.0.0.1 between 12000 and 32000: end what holds them (ss -ltn)")


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Part:
    """One child process and its log."""

    def __init__(self, name: str, argv: list[str], folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._argv = argv
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            try:
                self._process = subprocess.Popen(self._argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.log.parent,
                                                 start_new_session=True, preexec_fn=_die_with_parent)
            except PermissionError as error:
                raise CannotStart(f"{self.name}: {self._argv[0]} may not be executed ({error.strerror}): chmod +x it, "
                                  "or see whether its file system is mounted noexec") from error
            except OSError as error:
                raise CannotStart(f"{self.name}: {self._argv[0]}: {error.strerror}; ./dev build makes it") from error

    @property
    def exit_status(self) -> int | None:
        return self._process.poll() if self._process else None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        if self.alive:
            self._process.kill()
            self._process.wait()

    def ask_to_end(self) -> None:
        if self.alive:
            self._process.terminate()

    def ended(self, seconds: float) -> bool:
        """False when it had to be killed."""
        if self._process is None:
            return True
        try:
            self._process.wait(seconds)
            return True
        except subprocess.TimeoutExpired:
            self.kill()
            return False

    def last_words(self, lines: int = 12) -> str:
        try:
            return "\n".join(f"  {self.name}: {line}" for line in self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""


MOSQUITTO = """\
listener {broker} 127.0.0.1
allow_anonymous true
persistence false
# Started as root, mosquitto would become another user, and Linux then forgets that it is to end with the conductor.
user root
# Without it an acknowledgement may wait 25 ms for Nagle.
set_tcp_nodelay true
"""

BRIDGE = """\
[bridge]
id = "bridge-1"

[broker]
url = "mqtt://127.0.0.1:{broker}"

[stream]
kind = "sqlite"

[stream.sqlite]
path = "{folder}/stream.db"

[admin]
listen = "127.0.0.1:{bridge}"
"""

GATEWAY = """\
[gateway]
id = "{gateway_id}"
state_dir = "{folder}/gateway"

[journal]
quota = "64MiB"
reserve = "4MiB"

[terminals.defaults]
currency = "EUR"
time_zone = "Europe/Vienna"

[terminals.http]
listen = "127.0.0.1:{terminals}"

[terminals.framed]
listen = "127.0.0.1:0"

[card]
token_key_file = "{folder}/token.key"
accept_card_numbers = "loopback"

[uplink]
broker = "mqtt://127.0.0.1:{relay}"

[admin]
listen = "127.0.0.1:{admin}"
"""


def find_broker() -> str:
    found = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if not found:
        raise CannotStart("mosquitto is not installed: apt-get install mosquitto")
    return found


def make_folder() -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix="tillstream-demo-"))
    except OSError as error:
        raise CannotStart(f"no temporary folder ({error}): free some space, or set TMPDIR to a folder you may write in") from error


class Rig:
    def __init__(self, binaries: Path) -> None:
        self.folder = make_folder()
        self.token_key = secrets.token_bytes(32)
        self._ports = {"broker": free_port(), "bridge": free_port(), "terminals": free_port(), "admin": free_port()}
        self.relay = Relay(free_port(), ("127.0.0.1", self._ports["broker"]))
        self._write_files()
        self.broker = Part("mosquitto", [find_broker(), "-c", str(self.folder / "mosquitto.conf")], self.folder)
        self.bridge = Part("bridge", [str(binaries / "tillstream-bridge"), "run", "--config", str(self.folder / "bridge.toml")],
                           self.folder)
        self.gateway = Part("gateway", [str(binaries / "tillstream-gateway"), "run", "--config", str(self.folder / "gateway.toml")],
                            self.folder)
        self.parts = (self.broker, self.bridge, self.gateway)

    def _write_files(self) -> None:
        (self.folder / "gateway").mkdir(mode=0o700)
        key = self.folder / "token.key"
        key.touch(mode=0o600)
        key.write_bytes(self.token_key)
        values = self._ports | {"folder": self.folder, "relay": self.relay.port, "gateway_id": GATEWAY_ID}
        for name, text in (("mosquitto.conf", MOSQUITTO), ("bridge.toml", BRIDGE), ("gateway.toml", GATEWAY)):
            (self.folder / name).write_text(text.format(**values))

    def address(self, of: str) -> tuple[str, int]:
        return "127.0.0.1", self._ports[of]

    def start(self, told: Callable[[str], None], stopped: Callable[[], bool]) -> None:
        for part, probe in ((self.broker, self._broker_up), (self.bridge, self._bridge_up), (self.gateway, self._gateway_up)):
            told(f"starting {part.name}")
            part.start()
            self._await(part, probe, stopped)

    def _await(self, part: Part, probe: Callable[[], bool], stopped: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not probe():
            if stopped():
                return
            if not part.alive:
                raise CannotStart(f"{part.name} ended at once, status {part.exit_status}:\n{part.last_words()}")
            if time.monotonic() > deadline:
                raise CannotStart(f"{part.name} runs, but did not come up within {START_SECONDS:.0f} s:\n{part.last_words()}")
            time.sleep(0.03)

    def _broker_up(self) -> bool:
        try:
            socket.create_connection(self.address("broker"), timeout=1).close()
            return True
        except OSError:
            return False

    def _bridge_up(self) -> bool:
        return get_json(self.address("bridge"), "/v1/status") is not None

    def _gateway_up(self) -> bool:
        """The whole way is open: the bridge has answered the gateway."""
        return ((self.gateway_status() or {}).get("uplink") or {}).get("handoff") == "streaming"

    def gateway_status(self) -> dict | None:
        return get_json(self.address("admin"), "/v1/status")

    def stream_rows(self) -> list[tuple[str, str, int | None, tuple[str, str] | None]]:
        """The stream as any SQLite tool may read it while the bridge runs: read-only."""
        connection = sqlite3.connect(f"file:{self.folder}/stream.db?mode=ro", uri=True, timeout=5)
        try:
            rows = connection.execute("SELECT gateway_id, epoch, seq, type, value FROM events ORDER BY position")
            return [(gateway, epoch, seq, None if kind == "notice" else _key(value)) for gateway, epoch, seq, kind, value in rows]
        finally:
            connection.close()

    def stop(self) -> list[str]:
        """Ends every part; names those that did not heed SIGTERM."""
        stubborn = []
        for part in reversed(self.parts):
            part.ask_to_end()
            if not part.ended(END_SECONDS):
                stubborn.append(part.name)
        self.relay.close()
        return stubborn

    def kill(self) -> None:
        for part in self.parts:
            part.kill()
        self.relay.close()

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def _key(value: str) -> tuple[str, str]:
    event = json.loads(value)
    return event["terminal_id"], event["terminal_ref"]


def get_json(address: tuple[str, int], path: str) -> dict | None:
    connection = http.client.HTTPConnection(*address, timeout=2)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read(1024 * 1024)
        return json.loads(body) if response.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
