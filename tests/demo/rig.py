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
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support" / "kafka"))

from cluster import LIBS, Cluster
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


def last_words(part: Child, lines: int = 12) -> str:
    return "\n".join(f"  {part.name}: {line}" for line in part.log().splitlines()[-lines:])


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

[admin]
listen = "127.0.0.1:{bridge}"
"""

EMBEDDED = """
[stream]
kind = "sqlite"

[stream.sqlite]
path = "{folder}/stream.db"
"""

KAFKA = """
[stream]
kind = "kafka"

[stream.kafka]
bootstrap_servers = "{kafka}"
session_timeout = "2s"
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

{iso8583_door}[card]
token_key_file = "{folder}/token.key"
accept_card_numbers = "loopback"

[uplink]
broker = "mqtt://127.0.0.1:{relay}"

[admin]
listen = "127.0.0.1:{admin}"
"""


ISO8583_DOOR = """\
[[terminals.iso8583]]
name = "tills"
listen = "127.0.0.1:{iso8583}"
role = "answer"
dialect = "pos-bcd-tpdu"

"""


NO_TAPS = ("notice", "batch_total")  # types of what nobody has tapped


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


def make_kafka(folder: Path) -> Cluster:
    if not shutil.which("java"):
        raise CannotStart("java is not installed: apt-get install default-jre-headless")
    if not LIBS.is_dir():
        raise CannotStart(f"Kafka is not in {LIBS}: ./dev demo --kafka fetches it")
    return Cluster(folder, start_new_session=True, preexec_fn=_die_with_parent)


class Rig:
    def __init__(self, binaries: Path, kafka: bool = False, iso8583: bool = False) -> None:
        self.folder = make_folder()
        self.kafka = make_kafka(self.folder) if kafka else None
        self.master_key = secrets.token_bytes(32)
        self._ports = {"broker": free_port(), "bridge": free_port(), "terminals": free_port(), "admin": free_port(),
                       "iso8583": free_port()}
        self._iso8583 = iso8583
        self.relay = Relay(free_port(), ("127.0.0.1", self._ports["broker"]))
        self._tool = str(binaries / "tillstream-bridge")
        self._write_files()
        self.broker = Part("mosquitto", [find_broker(), "-c", str(self.folder / "mosquitto.conf")], self.folder)
        self.bridge = Part("bridge", [str(binaries / "tillstream-bridge"), "run", "--config", str(self.folder / "bridge.toml")],
                           self.folder)
        self.gateway = Part("gateway", [str(binaries / "tillstream-gateway"), "run", "--config", str(self.folder / "gateway.toml")],
                            self.folder)
        self.parts = (self.broker, self.bridge, self.gateway)

    def _write_files(self) -> None:
        (self.folder / "gateway").mkdir(mode=0o700)
        master = self.folder / "master.key"
        master.touch(mode=0o600)
        master.write_bytes(self.master_key)
        subprocess.run([self._tool, "token-key", "derive", "--master", master, "--gateway", GATEWAY_ID, "--out", self.folder / "token.key"],
                       check=True, capture_output=True)
        values = self._ports | {"folder": self.folder, "relay": self.relay.port, "gateway_id": GATEWAY_ID,
                                "kafka": self.kafka.bootstrap if self.kafka else None,
                                "iso8583_door": ISO8583_DOOR.format(**self._ports) if self._iso8583 else ""}
        for name, text in (("mosquitto.conf", MOSQUITTO), ("bridge.toml", BRIDGE + (KAFKA if self.kafka else EMBEDDED)), ("gateway.toml", GATEWAY)):
            (self.folder / name).write_text(text.format(**values))

    def address(self, of: str) -> tuple[str, int]:
        return "127.0.0.1", self._ports[of]

    def start(self, told: Callable[[str], None], stopped: Callable[[], bool]) -> None:
        if self.kafka:
            self._start_kafka(told, stopped)
        for part, probe in ((self.broker, self._broker_up), (self.bridge, self._bridge_up), (self.gateway, self._gateway_up)):
            told(f"starting {part.name}")
            part.start()
            self._await(part, probe, stopped)

    def _start_kafka(self, told: Callable[[str], None], stopped: Callable[[], bool]) -> None:
        told("starting kafka")
        node = self.kafka.nodes[0]
        node.start()
        self._await(node, node.ready, stopped)
        told("making the topics")
        config = str(self.folder / "bridge.toml")
        made = None

        def make() -> bool:
            nonlocal made
            made = subprocess.run([self._tool, "topics", "--create", "--config", config, "--replication", "1", "--partitions", "4",
                                   "--events-partitions", "3"], capture_output=True, text=True, check=False)
            return made.returncode == 0

        if not until(lambda: make() or stopped(), START_SECONDS):
            raise CannotStart(f"kafka: the topics cannot be made:\n{made.stdout}{made.stderr}")

    def _await(self, part: Child, probe: Callable[[], bool], stopped: Callable[[], bool]) -> None:
        if not until(lambda: probe() or stopped() or not part.alive, START_SECONDS):
            raise CannotStart(f"{part.name} runs, but did not come up within {START_SECONDS:.0f} s:\n{last_words(part)}")
        if not part.alive and not stopped():
            raise CannotStart(f"{part.name} ended at once, status {part.exit_status}:\n{last_words(part)}")

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
        """The stream as others may read it while the bridge runs: any SQLite tool, read-only; or the topic's committed records."""
        if self.kafka:
            return self._topic_rows()
        connection = sqlite3.connect(f"file:{self.folder}/stream.db?mode=ro", uri=True, timeout=5)
        try:
            rows = connection.execute("SELECT gateway_id, epoch, seq, type, value FROM events ORDER BY position")
            return [(gateway, epoch, seq, None if kind in NO_TAPS else _key(value)) for gateway, epoch, seq, kind, value in rows]
        finally:
            connection.close()

    def _topic_rows(self) -> list[tuple[str, str, int | None, tuple[str, str] | None]]:
        done = subprocess.run([self._tool, "tail", "--config", str(self.folder / "bridge.toml")], capture_output=True, text=True,
                              timeout=60, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        events = [json.loads(line) for line in done.stdout.splitlines()]
        # Between partitions there is no order; within an epoch there is one to be shown for each terminal, and a gap is a gap.
        events.sort(key=lambda event: (event["gateway_id"], event.get("epoch", ""), event.get("seq") or 0))
        return [(event["gateway_id"], event.get("epoch", ""), event.get("seq"),
                 None if event["type"] in NO_TAPS else (event["terminal_id"], event["terminal_ref"])) for event in events]

    def stop(self) -> list[str]:
        """Ends every part; names those that did not heed SIGTERM."""
        stubborn = []
        for part in reversed(self.parts):
            part.ask_to_end()
            if not part.ended(END_SECONDS):
                stubborn.append(part.name)
        if self.kafka:
            self.kafka.close()
        self.relay.close()
        return stubborn

    def kill(self) -> None:
        for part in self.parts:
            part.kill9()
        if self.kafka:
            self.kafka.close()
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
