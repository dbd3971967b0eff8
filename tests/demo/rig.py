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
import secrets
import shutil
import signal
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

from processes import Child, accepts, ask, free_port, until
from relay import Relay

START_SECONDS = 30.0
END_SECONDS = 6.0  # a part has 5 s from SIGTERM
GATEWAY_ID = "market-hall"

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


class CannotStart(Exception):
    """A part does not come up; the text names it, the cause and the remedy."""


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Part(Child):
    """A child that ends with the conductor, and whose failure to start names the remedy."""

    def __init__(self, name: str, argv: list[str], folder: Path) -> None:
        super().__init__(name, argv, folder, start_new_session=True, preexec_fn=_die_with_parent)

    def start(self) -> Part:
        try:
            return super().start()
        except PermissionError as error:
            raise CannotStart(f"{self.name}: {self.argv[0]} may not be executed ({error.strerror}): chmod +x it, "
                              "or see whether its file system is mounted noexec") from error
        except OSError as error:
            raise CannotStart(f"{self.name}: {self.argv[0]}: {error.strerror}; ./dev build makes it") from error

    def last_words(self, lines: int = 12) -> str:
        return "\n".join(f"  {self.name}: {line}" for line in self.log().splitlines()[-lines:])


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
        if not until(lambda: probe() or stopped() or not part.alive, START_SECONDS):
            raise CannotStart(f"{part.name} runs, but did not come up within {START_SECONDS:.0f} s:\n{part.last_words()}")
        if not part.alive and not stopped():
            raise CannotStart(f"{part.name} ended at once, status {part.exit_status}:\n{part.last_words()}")

    def _broker_up(self) -> bool:
        return accepts(self._ports["broker"])

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
            part.kill9()
        self.relay.close()

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def _key(value: str) -> tuple[str, str]:
    event = json.loads(value)
    return event["terminal_id"], event["terminal_ref"]


def get_json(address: tuple[str, int], path: str) -> dict | None:
    try:
        status, body = ask(address[1], path, 2, bytes_max=1024 * 1024)
        return json.loads(body) if status == 200 else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
