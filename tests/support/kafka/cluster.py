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
HEAP = "384m"


def java(heap: str = HEAP) -> list[str]:
    # Tests are short: what warms up longest is not worth it.
    return ["java", f"-Xmx{heap}", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{LIBS}/*"]


JAVA = java()


def random_id() -> str:
    """As Kafka's own Uuid.randomUuid: never with a dash first, which its tools take for an option."""
    while (made := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return made


class Node(Child):
    """A broker, a controller, or both in one process."""

    def __init__(self, folder: Path, number: int, name: str = "kafka", heap: str = HEAP, roles: str = "broker,controller",
                 **how) -> None:
        self.number, self.roles, self._heap = number, roles, heap
        self.port, self.controller_port = free_port(), free_port()
        self.listeners: dict[str, int] = {}  # of the broker beside the plain one, with their ports
        self.home = folder / f"{name}-{number}"
        self.log_dir = self.home / "log"
        self.config = self.home / "server.properties"
        super().__init__(f"{name}-{number}", [*java(heap), "kafka.Kafka", self.config], folder, **how)

    def prepare(self, cluster_id: str, settings: dict[str, str]) -> subprocess.Popen:
        """Begins to format the folder for logs."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.config.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        return subprocess.Popen([*java(self._heap), "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(self.config)],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def ready(self) -> bool:
        return accepts(self.port if "broker" in self.roles else self.controller_port)


class Cluster:
    def __init__(self, folder: Path, nodes: int = 1, settings: dict[str, str] | None = None,
                 relays: list[tuple[int, int]] | None = None, *, heap: str = HEAP, controller_apart: bool = False,
                 listeners: dict[str, str] | None = None, log_dirs: dict[int, Path] | None = None, **how) -> None:
        """relays: for each node the port to listen on in addition, and the port of the relay before it, which is told to clients
        that come that way. controller_apart: the brokers are brokers only, so that any of them may be down. listeners: more of them
        at each broker, with their security protocol. log_dirs: of brokers, by number, that keep their logs elsewhere. how: for Popen, of each
        node."""
        roles = "broker" if controller_apart else "broker,controller"
        self.nodes = [Node(folder, number, heap=heap, roles=roles, **how) for number in range(1, nodes + 1)]
        self.controller = Node(folder, nodes + 1, "controller", heap, "controller", **how) if controller_apart else None
        controllers = [self.controller] if self.controller else self.nodes
        common = self._common(nodes, controllers, listeners or {}) | (settings or {})
        cluster_id = random_id()
        formatting = []
        for index, node in enumerate(self.nodes):
            node.listeners = {name: free_port() for name in listeners or {}}
            node.log_dir = (log_dirs or {}).get(node.number, node.log_dir)
            own = self._listeners(node, *(relays[index] if relays else (0, 0)))
            formatting.append(node.prepare(cluster_id, {**common, "process.roles": node.roles, "node.id": str(node.number),
                                                        "log.dirs": str(node.log_dir), **own}))
        if self.controller:
            formatting.append(self.controller.prepare(cluster_id, {
                **common, "process.roles": "controller", "node.id": str(self.controller.number), "log.dirs": str(self.controller.log_dir),
                "listeners": f"CONTROLLER://127.0.0.1:{self.controller.controller_port}"}))
        for process in formatting:
            said, _ = process.communicate(timeout=120)
            assert process.returncode == 0, f"the folder for logs could not be formatted:\n{said}"

    @staticmethod
    def _common(nodes: int, controllers: list[Node], listeners: dict[str, str]) -> dict[str, str]:
        replicas = str(min(3, nodes))
        protocols = {"CONTROLLER": "PLAINTEXT", "PLAINTEXT": "PLAINTEXT", "RELAYED": "PLAINTEXT", **listeners}
        return {
            "controller.quorum.voters": ",".join(f"{node.number}@127.0.0.1:{node.controller_port}" for node in controllers),
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in protocols.items()),
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": replicas,
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": "1" if nodes < 3 else "2",
            "transaction.state.log.num.partitions": "4",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "500",
            "log.flush.interval.messages": "9223372036854775807",
        }

    @staticmethod
    def _listeners(node: Node, inner: int, outer: int) -> dict[str, str]:
        named = {"PLAINTEXT": node.port, **node.listeners}
        told = [f"{name}://127.0.0.1:{port}" for name, port in (named | ({"RELAYED": outer} if outer else {})).items()]
        heard = [f"{name}://127.0.0.1:{port}" for name, port in (named | ({"RELAYED": inner} if inner else {})).items()]
        if "controller" in node.roles:
            heard.append(f"CONTROLLER://127.0.0.1:{node.controller_port}")
        return {"listeners": ",".join(heard), "advertised.listeners": ",".join(told)}

    @property
    def processes(self) -> list[Node]:
        return [*self.nodes, *([self.controller] if self.controller else [])]

    def bootstrap_of(self, listener: str) -> str:
        return ",".join(f"127.0.0.1:{node.listeners[listener]}" for node in self.nodes)

    @property
    def bootstrap(self) -> str:
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def close(self) -> None:
        for node in self.processes:
            node.kill9()
