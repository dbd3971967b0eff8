"""What a soak runs: two gateways behind bad lines, a broker with TLS, two bridges, Kafka; tills before each gateway.

Each gateway's state lies on a small disk of its own where mounting is allowed, and has a clock of its own where libfaketime is there.
"""
from __future__ import annotations

import json
import pathlib
import random
import shutil
import signal
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
for sibling in ("system", "support"):
    sys.path.insert(0, str(HERE.parent / sibling))

import kafka as k  # noqa: E402
import rig as r  # noqa: E402
from authority import Authority  # noqa: E402
from history import History  # noqa: E402
from tills import Till  # noqa: E402

DISK_MIB = 24
FAKETIME = pathlib.Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
TILLS_A_GATEWAY = 4
PAUSE_SECONDS = 0.02
KAFKA = {"session_timeout": "2s", "transaction_timeout": "5s"}


def give(source: pathlib.Path, target: pathlib.Path) -> None:
    shutil.copy(source, target)
    target.chmod(0o600)


class Disk:
    """A file system of its own at `place`, when it can be mounted; otherwise just a folder."""

    def __init__(self, place: pathlib.Path) -> None:
        self.place = place
        place.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", place], capture_output=True, check=False)
        self.is_small = mounted.returncode == 0

    def fill(self) -> None:
        with (self.place / "filler").open("ab", buffering=0) as file:
            for size in (65536, 4096, 1):
                try:
                    while file.write(b"x" * size):
                        pass
                except OSError:
                    pass

    def free(self) -> None:
        (self.place / "filler").unlink(missing_ok=True)

    def close(self) -> None:
        if self.is_small:
            subprocess.run(["umount", "-l", self.place], check=True)


class Clock:
    """The wall clock of one process, in seconds beside the true one."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self.step(0)

    def step(self, seconds: int) -> None:
        made = self._path.with_suffix(".new")
        made.write_text(f"{seconds:+d}\n")
        made.replace(self._path)

    def env(self) -> dict[str, str]:
        linked = subprocess.run(["ldd", r.BIN / "tillstream-gateway"], capture_output=True, text=True, check=True).stdout
        sanitizer = [line.split()[2] for line in linked.splitlines() if "libasan" in line]  # wants to be the first
        return {"LD_PRELOAD": " ".join([*sanitizer, str(FAKETIME)]), "FAKETIME_TIMESTAMP_FILE": str(self._path), "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}


class World:
    def __init__(self, folder: pathlib.Path, seed: int, history: History) -> None:
        self.folder, self.history = folder, history
        self._ends = []  # what close() has to undo, last first
        random.seed(seed)  # free_port
        self.authority = Authority(self._made("authority"))
        self.stranger = Authority(self._made("stranger"), "another")
        self._broker_with_tls()
        self._kafka()
        self._gateways()
        self._bridges()
        self.tills = [Till(gateway.http_port, f"{gateway.gateway_id}-T{number}", history, seed + 100 * at + number, PAUSE_SECONDS)
                      for at, gateway in enumerate(self.gateways) for number in range(TILLS_A_GATEWAY)]

    def _made(self, name: str) -> pathlib.Path:
        (self.folder / name).mkdir()
        return self.folder / name

    def _broker_with_tls(self) -> None:
        self.authority.issue("broker")
        self.put_certificate(self.authority, "broker")
        self.tls_port = r.free_port()
        self.broker = r.Broker(self.folder, r.free_port(),
                               f"user root\nlistener {self.tls_port} 127.0.0.1\ncertfile {self.folder}/broker.pem\nkeyfile {self.folder}/broker.key")

    def put_certificate(self, authority: Authority, name: str) -> None:
        for kind in ("pem", "key"):
            give(authority.folder / f"{name}.{kind}", self.folder / f"broker.{kind}")

    def _kafka(self) -> None:
        self.kafka_line = r.Relay(r.free_port())
        self._ends.append(self.kafka_line.close)
        self.kafka = k.Cluster(self._made("kafka"), relays=[(self.kafka_line.target_port, self.kafka_line.port)])
        self._ends.append(self.kafka.close)

    def _gateways(self) -> None:
        self.lines, self.disks, self.clocks, self.gateways = [], [], [], []
        for number in (1, 2):
            line = r.Relay(self.tls_port)
            disk = Disk(self.folder / f"disk-{number}")
            gateway = r.Gateway(self.folder, self.broker.port, gateway_id=f"shop-{number}", state_dir=disk.place / "state", overrides={
                "uplink": {"broker": f"mqtts://localhost:{line.port}", "ca": str(self.authority.folder / "ca.pem")},
                "journal": {"quota": "16MiB", "reserve": "1MiB"}})
            if FAKETIME.exists():
                clock = Clock(self.folder / f"clock-{number}")
                gateway.env |= clock.env()
                self.clocks.append(clock)
            self._ends += [line.close, disk.close, gateway.kill9]
            self.lines.append(line)
            self.disks.append(disk)
            self.gateways.append(gateway)

    def _bridges(self) -> None:
        names = {"events_topic": "soak.events", "gateways_topic": "soak.gateways", "progress_topic": "soak.progress",
                 "dead_letter_topic": "soak.dead"}
        self.bridges = []
        relayed = {"bootstrap_servers": f"127.0.0.1:{self.kafka_line.port}"}
        for number in (1, 2):
            self.bridges.append(r.Bridge(self.folder, self.broker.port, name=f"bridge-{number}",
                                         overrides=k.overrides(self.kafka, **names, **KAFKA, **relayed)))
            self._ends.append(self.bridges[-1].kill9)
        self.topic = k.Topic(self.kafka.bootstrap, names["events_topic"])

    @property
    def processes(self):
        return [self.broker, *self.kafka.processes, *self.bridges, *self.gateways]

    def start(self) -> None:
        for node in self.kafka.processes:
            node.start()
            k.wait_ready(node)
        k.create_topics(self.bridges[0].config)
        self._ends.append(self.broker.kill9)
        for process in (self.broker, *self.bridges, *self.gateways):
            process.start()
            self.wait_ready(process)
        for till in self.tills:
            till.start()

    def wait_ready(self, process, seconds: float = 120) -> None:
        def ready():
            if not process.alive:
                raise AssertionError(f"{process.name} ended with {process.exit_status}:\n{process.log()[-3000:]}")
            return process.ready()
        r.wait_for(f"{process.name} ready", ready, seconds)

    def told(self) -> int:
        return sum(till.told for till in self.tills)

    def settle(self, seconds: float) -> None:
        """Stops the tills; until no gateway has anything left that is not in the stream."""
        for till in self.tills:
            till.stop()
        for till in self.tills:
            till.join(30)
        for gateway in self.gateways:
            r.wait_for(f"{gateway.name} has nothing left", lambda gateway=gateway: gateway.status()["pending_events"] == 0, seconds)

    def records(self):
        """What a consumer of committed data sees, in the order of each partition."""
        for message in self.topic.messages():
            yield {"partition": message.partition(), "offset": message.offset(), "value": json.loads(message.value())}

    def close(self) -> None:
        for till in self.tills:
            till.stop()
        for process in self.processes:
            if process.alive:
                process.popen.send_signal(signal.SIGCONT)
        for end in reversed(self._ends):
            end()
