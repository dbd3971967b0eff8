"""A real Apache Kafka on loopback: KRaft, one node or several, on free ports, in a folder of the caller's own."""
from __future__ import annotations

import base64
import os
import subprocess
import sys
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from processes import Child, accepts, free_port

ROOT = Path(__file__).resolve().parent.parent.parent.parent
LIBS = Path(os.environ.get("TILLSTREAM_KAFKA", ROOT / "build/kafka"))
HEAP = "-Xmx384m"
# Tests are short: what warms up longest is not worth it.
JAVA = ["java", HEAP, "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{LIBS}/*"]


def random_id() -> str:
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


class Node(Child):
    """One broker and controller in one process."""

    def __init__(self, folder: Path, number: int, name: str = "kafka", **how) -> None:
        self.number, self.port, self.controller_port = number, free_port(), free_port()
        self.home = folder / f"{name}-{number}"
        self.config = self.home / "server.properties"
        super().__init__(f"{name}-{number}", [*JAVA, "kafka.Kafka", self.config], folder, **how)

    def prepare(self, cluster_id: str, settings: dict[str, str]) -> None:
        self.home.mkdir(parents=True)
        self.config.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        done = subprocess.run([*JAVA, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(self.config)],
                              check=False, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr

    def ready(self) -> bool:
        return accepts(self.port)


class Cluster:
    def __init__(self, folder: Path, nodes: int = 1, settings: dict[str, str] | None = None,
                 relays: list[tuple[int, int]] | None = None, **how) -> None:
        """relays: for each node the port to listen on in addition, and the port of the relay before it, which is told to clients
        that come that way. how: for Popen, of each node."""
        self.nodes = [Node(folder, number, **how) for number in range(1, nodes + 1)]
        voters = ",".join(f"{node.number}@127.0.0.1:{node.controller_port}" for node in self.nodes)
        replicas = str(min(3, nodes))
        cluster_id = random_id()
        for index, node in enumerate(self.nodes):
            inner, outer = relays[index] if relays else (0, 0)
            relayed = (f",RELAYED://127.0.0.1:{inner}", f",RELAYED://127.0.0.1:{outer}") if relays else ("", "")
            node.prepare(cluster_id, {
                "process.roles": "broker,controller",
                "node.id": str(node.number),
                "controller.quorum.voters": voters,
                "listeners": f"PLAINTEXT://127.0.0.1:{node.port},CONTROLLER://127.0.0.1:{node.controller_port}{relayed[0]}",
                "advertised.listeners": f"PLAINTEXT://127.0.0.1:{node.port}{relayed[1]}",
                "controller.listener.names": "CONTROLLER",
                "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,RELAYED:PLAINTEXT",
                "log.dirs": str(node.home / "log"),
                "auto.create.topics.enable": "false",
                "offsets.topic.replication.factor": replicas,
                "offsets.topic.num.partitions": "4",
                "transaction.state.log.replication.factor": replicas,
                "transaction.state.log.min.isr": "1" if nodes < 3 else "2",
                "transaction.state.log.num.partitions": "4",
                "group.initial.rebalance.delay.ms": "0",
                "group.min.session.timeout.ms": "500",
                "log.flush.interval.messages": "9223372036854775807",
                **(settings or {}),
            })

    @property
    def bootstrap(self) -> str:
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def close(self) -> None:
        for node in self.nodes:
            node.kill9()
