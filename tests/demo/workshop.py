"""Workshop: installs and builds what the demo runs, and tells how far it is: ninja's [n/m], the last line, the time so far."""
from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

LAST_LINES = 40
NINJA = re.compile(r"^\[(\d+)/(\d+)\] (.*)")
APT = re.compile(r"^(Get:\d+|Selecting|Preparing|Unpacking|Setting up|Processing|installing) ?(.*)")

Told = Callable[[dict], None]


class Workshop:
    def __init__(self, root: Path, told: Told, kafka: bool) -> None:
        self._root = root
        self._told = told
        self._words = ["demo_parts", *(["kafka"] if kafka else [])]
        self._step = "preparing"
        self._done, self._total = 0, 0
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._process: subprocess.Popen | None = None
        self._reader: threading.Thread | None = None

    def start(self) -> None:
        # A process group of its own, so that all of it can be ended; the same session, so that sudo knows its terminal.
        self._process = subprocess.Popen(["bash", str(self._root / "dev"), *self._words], stdin=subprocess.DEVNULL,
                                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self._root, process_group=0,
                                         text=True, errors="replace", env=os.environ | {"NINJA_STATUS": "[%f/%t] "})
        self._reader = threading.Thread(target=self._read, name="workshop", daemon=True)
        self._reader.start()

    def status(self) -> int | None:
        """The exit status, once it has ended and everything it said was read."""
        if self._process is None or self._process.poll() is None or self._reader.is_alive():
            return None
        return self._process.returncode

    def end(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        for sign in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, sign)
                self._process.wait(5)
                return
            except (subprocess.TimeoutExpired, ProcessLookupError, PermissionError):
                continue  # PermissionError: apt-get under sudo, which finishes what it does

    def _read(self) -> None:
        for line in self._process.stdout:
            text = re.sub(r"\x1b\[[0-9;]*m", "", line).strip()
            if text:
                if not NINJA.match(text):  # what went well explains no failure
                    self.last_lines.append(text)
                self._told(self._progress(text))

    def _progress(self, text: str) -> dict:
        if found := NINJA.match(text):
            self._step, self._done, self._total, text = "building", int(found[1]), int(found[2]), found[3]
        elif APT.match(text):
            self._step, text = "installing", text.removeprefix("installing ")
        return {"step": self._step, "done": self._done, "total": self._total, "line": text[:200]}
