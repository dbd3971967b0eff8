"""What the demo and the system tests stand on alike: free ports, child processes ended by their own pid, waiting with a deadline.

Only loopback, only what was started here.
"""
from __future__ import annotations

import http.client
import os
import random
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PAUSE_SECONDS = 0.02


def free_port() -> int:
    """Below the range from which the kernel takes ports for outgoing connections: it stays free while a process restarts. Suites that run at the same time
    and restart processes take their ports from ranges of their own (TILLSTREAM_PORTS), so that none takes what another has just let go of."""
    first, last = (int(port) for port in os.environ.get("TILLSTREAM_PORTS", "12000-29999").split("-"))
    for _ in range(1000):
        port = random.randint(first, last)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise OSError(f"no free port on 127.0.0.1 between {first} and {last}: end what holds them (ss -ltn)")


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


def until(condition: Callable[[], object], seconds: float):
    """Asks again and again; what the condition gave last, true or not."""
    deadline = time.monotonic() + seconds
    while not (seen := condition()) and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)
    return seen


def ask(port: int, path: str, seconds: float, method: str = "GET", body=None, headers: dict | None = None,
        bytes_max: int | None = None) -> tuple[int, bytes]:
    """One HTTP request on loopback: status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.read(bytes_max)
    finally:
        connection.close()


class Child:
    """One program and its log, which every start of it goes on with."""

    def __init__(self, name: str, argv: list, folder: Path, env: dict | None = None, **how) -> None:
        self.name, self.argv, self.folder = name, [str(arg) for arg in argv], folder
        self.env = {**os.environ, **(env or {})}
        self.log_path = folder / f"{name}.log"
        self.popen: subprocess.Popen | None = None
        self._how = how  # for Popen

    def start(self):
        assert not self.alive, f"{self.name} runs already"
        with self.log_path.open("ab") as log:
            self.popen = subprocess.Popen(self.argv, cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          **self._how)
        return self

    @property
    def alive(self) -> bool:
        return self.popen is not None and self.popen.poll() is None

    @property
    def exit_status(self) -> int | None:
        return self.popen.poll() if self.popen else None

    def ask_to_end(self) -> None:
        if self.alive:
            self.popen.terminate()

    def kill9(self) -> None:
        if self.alive:
            self.popen.kill()
            self.popen.wait()

    def ended(self, seconds: float) -> bool:
        """False when it had to be killed."""
        if self.popen is None:
            return True
        try:
            self.popen.wait(seconds)
            return True
        except subprocess.TimeoutExpired:
            self.kill9()
            return False

    def log(self) -> str:
        try:
            return self.log_path.read_text(errors="replace")
        except OSError:
            return ""
