"""A real schema registry (Apicurio) on loopback, in memory, with the API that Confluent's clients speak."""
from __future__ import annotations

import http.client
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from processes import Child, free_port

ROOT = Path(__file__).resolve().parent.parent.parent.parent
HOME = Path(os.environ.get("TILLSTREAM_REGISTRY", ROOT / "build/registry"))
API = "/apis/ccompat/v7"


class Registry(Child):
    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.port = port or free_port()
        jar = next(HOME.glob("apicurio-registry-app-*-runner.jar"))
        super().__init__("registry", ["java", "-Xmx256m", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
                                      f"-Dquarkus.http.port={self.port}", "-Dquarkus.http.host=127.0.0.1", "-jar", jar], folder)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{API}"

    def ask(self, method: str, path: str, body: dict | None = None) -> tuple[int, dict]:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            line.request(method, API + path, json.dumps(body) if body is not None else None,
                         {"Content-Type": "application/vnd.schemaregistry.v1+json"})
            answer = line.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else {}
        finally:
            line.close()

    def ready(self) -> bool:
        try:
            return self.ask("GET", "/subjects")[0] == 200
        except OSError:
            return False
