"""Reader: one independent consumer of the stream, with its own connection, position and pause switch.

  paused ◀──switch──▶ connecting ──200──▶ reading ──gone──▶ connecting

It keeps nothing but its position. Whatever ends a connection (a pause, a bridge that went away), the next one resumes behind
the last event that was taken, by Last-Event-ID; the other readers never notice.
"""
from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator

CONNECT_SECONDS = 5.0
AGAIN_SECONDS = 0.25
LINE_BYTES_MAX = 1024 * 1024

Take = Callable[[str, dict], None]  # position, event


def sse_messages(response) -> Iterator[tuple[str, str]]:
    """(id, data) of each server-sent message that has both. What an id says is the stream's own business."""
    identity, data = None, []
    while line := response.readline(LINE_BYTES_MAX):
        text = line.decode().rstrip("\r\n")
        name, _, value = text.partition(":")
        value = value.removeprefix(" ")
        if not text:
            if identity is not None and data:
                yield identity, "\n".join(data)
            identity, data = None, []
        elif name == "id":
            identity = value
        elif name == "data":
            data.append(value)


class Reader:
    def __init__(self, name: str, address: Callable[[], tuple[str, int]], take: Take) -> None:
        self.name = name
        self.position = ""
        self.taken = 0
        self._address = address
        self._take = take
        self._running = threading.Event()
        self._running.set()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def paused(self) -> bool:
        return not self._running.is_set()

    def pause(self) -> None:
        self._running.clear()
        self._hang_up()

    def resume(self) -> None:
        self._running.set()

    def close(self) -> None:
        self._closed.set()
        self._running.set()
        self._hang_up()
        self._thread.join(5)

    def _hang_up(self) -> None:
        with self._lock:
            if self._socket is not None:
                try:
                    self._socket.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _run(self) -> None:
        while not self._closed.is_set():
            self._running.wait()
            try:
                self._read()
            except (OSError, ValueError, http.client.HTTPException):
                pass  # the bridge is not there: it is asked again
            if not self.paused:
                self._closed.wait(AGAIN_SECONDS)

    def _read(self) -> None:
        connection = http.client.HTTPConnection(*self._address(), timeout=CONNECT_SECONDS)
        try:
            connection.connect()
            with self._lock:
                self._socket = connection.sock
            if self.paused or self._closed.is_set():
                return
            headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": self.position} if self.position else {})
            connection.request("GET", "/v1/events?from=0", headers=headers)
            response = connection.getresponse()
            if response.status != 200:
                return
            self._socket.settimeout(None)
            for position, data in sse_messages(response):
                event = json.loads(data)
                with self._lock:  # once pause() has returned, nothing is taken any more
                    if self.paused or self._closed.is_set():
                        return
                    self.position = position
                    self.taken += 1
                    self._take(position, event)
        finally:
            with self._lock:
                self._socket = None
            connection.close()


class Statement:
    """The bank's live statement: who paid what, the moment it is known."""
    title, subtitle = "Live statement", "the bank's app"

    def __init__(self) -> None:
        self.lines: list[dict] = []
        self.balance: dict[str, int] = {}

    def take(self, event: dict, person: str) -> None:
        effect, currency = event.get("effect_minor", 0), event.get("currency", "")
        if currency == "EUR":
            self.balance[person] = self.balance.get(person, 0) - effect
        self.lines = [{"left": person, "mid": event.get("merchant_name", ""), "minor": -effect, "currency": currency,
                       "exponent": event.get("currency_exponent", 2)}] + self.lines[:2]

    def view(self) -> list[dict]:
        return self.lines


class Crm:
    """The shop's customer book: who came, how often, where last."""
    title, subtitle = "CRM", "the shops' customer book"

    def __init__(self) -> None:
        self.visits: dict[str, int] = {}
        self.last: dict[str, str] = {}

    def take(self, event: dict, person: str) -> None:
        self.visits[person] = self.visits.pop(person, 0) + 1
        self.last[person] = event.get("merchant_name", "")

    def view(self) -> list[dict]:
        recent = list(self.visits.items())[::-1][:3]
        return [{"left": person, "mid": f"last at {self.last[person]}", "text": f"{count} visit{'s' * (count > 1)}"}
                for person, count in recent]


class Marketing:
    """Marketing: takings by merchant as they come in, to steer today's offers today."""
    title, subtitle = "Marketing", "today's takings, EUR"

    def __init__(self) -> None:
        self.takings: dict[str, int] = {}

    def take(self, event: dict, _person: str) -> None:
        if event.get("currency") == "EUR":
            merchant = event.get("merchant_name", "")
            self.takings[merchant] = self.takings.get(merchant, 0) + event.get("effect_minor", 0)

    def view(self) -> list[dict]:
        best = sorted(self.takings.items(), key=lambda item: -item[1])[:3]
        top = max((minor for _, minor in best), default=0)
        return [{"left": merchant, "minor": minor, "currency": "EUR", "exponent": 2,
                 "bar": round(max(0, minor) / top, 3) if top > 0 else 0} for merchant, minor in best]
