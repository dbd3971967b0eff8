#!/usr/bin/env python3
"""Runs a program beside a Kafka of its own: with_kafka.py PROGRAM [ARGUMENT …]. Its environment names the brokers in TILLSTREAM_KAFKA_BOOTSTRAP,
and in TILLSTREAM_KAFKA_PID the process to stop for who wants to see it hang."""
from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from cluster import Cluster

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from processes import until

READY_SECONDS = 120


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="tillstream-kafka-") as folder:
        cluster = Cluster(Path(folder))
        node = cluster.nodes[0].start()
        try:
            if not until(lambda: not node.alive or node.ready(), READY_SECONDS) or not node.alive:
                print(f"Kafka does not start:\n{node.log()[-4000:]}", file=sys.stderr)
                return 1
            return subprocess.run(sys.argv[1:], check=False, env={
                **os.environ, "TILLSTREAM_KAFKA_BOOTSTRAP": cluster.bootstrap, "TILLSTREAM_KAFKA_PID": str(node.popen.pid),
            }).returncode
        finally:
            cluster.close()


if __name__ == "__main__":
    sys.exit(main())
