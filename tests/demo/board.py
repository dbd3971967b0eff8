"""Board: everything the page shows, as one JSON object, and who is looking at it.

A browser gets the whole board first and then each change at once; so a reload, or a second browser, sees the same.
A browser that is too slow to follow is dropped: it connects again by itself and starts from the whole board.
"""
from __future__ import annotations

import json
import queue
import threading
import time

WAITING_MAX = 1000   # changes that wait for one browser
BROWSERS_MAX = 32


class Viewer:
    def __init__(self) -> None:
        self.changes: queue.Queue[str | None] = queue.Queue(WAITING_MAX)
        self.lost = False


class Board:
    def __init__(self, **state) -> None:
        self._lock = threading.Lock()
        self._state = state
        self._viewers: set[Viewer] = set()

    def show(self, **changes) -> None:
        """Top-level keys replace their predecessors; `moment` is passed on and not kept."""
        with self._lock:
            self._state |= {key: value for key, value in changes.items() if key != "moment"}
            self._tell(json.dumps(changes, ensure_ascii=False, separators=(",", ":")))

    def _tell(self, message: str | None) -> None:
        for viewer in list(self._viewers):
            try:
                viewer.changes.put_nowait(message)
            except queue.Full:
                viewer.lost = True
                self._viewers.discard(viewer)

    def snapshot(self) -> dict:
        with self._lock:
            return self._state | {"now_ms": int(time.time() * 1000)}

    def join(self) -> tuple[Viewer, str] | None:
        """A new viewer with the whole board as of now, or None when too many are looking."""
        with self._lock:
            if len(self._viewers) >= BROWSERS_MAX:
                return None
            viewer = Viewer()
            self._viewers.add(viewer)
            whole = self._state | {"now_ms": int(time.time() * 1000), "whole": True}
            return viewer, json.dumps(whole, ensure_ascii=False, separators=(",", ":"))

    def leave(self, viewer: Viewer) -> None:
        with self._lock:
            self._viewers.discard(viewer)

    def close(self) -> None:
        """Ends every viewer's stream, after what is still waiting for it."""
        with self._lock:
            self._tell(None)
