"""Tills at load: each sells, and repeats a sale with the same reference until it has a definite answer. Now and then one goes away before it has heard."""
from __future__ import annotations

import http.client
import json
import random
import threading

from history import History

RETRY_SECONDS = 0.05
ANSWER_SECONDS = 10


class Till(threading.Thread):
    def __init__(self, port: int, terminal_id: str, history: History, seed: int, pause: float) -> None:
        super().__init__(daemon=True)
        self.port, self.terminal_id, self.history, self.pause = port, terminal_id, history, pause
        self.told = 0
        self._random, self._halt = random.Random(seed), threading.Event()
        self._connection: http.client.HTTPConnection | None = None

    def stop(self) -> None:
        self._halt.set()

    def run(self) -> None:
        number = 0
        while not self._halt.is_set():
            number += 1
            self._sell(f"{number:08d}", self._random.randrange(1, 100_000))
            self._halt.wait(self.pause)
        self._hang_up()

    def _sell(self, ref: str, amount: int) -> None:
        body = json.dumps({"type": "sale", "terminal_id": self.terminal_id, "terminal_ref": ref, "occurred_at": "2026-11-24T10:00:00+01:00",
                           "amount_minor": amount, "currency": "EUR", "outcome": "approved"})
        self.history.add("submits", terminal=self.terminal_id, ref=ref, amount=amount)
        while not self._halt.is_set():
            try:
                if self._connection is None:
                    self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
                self._connection.request("POST", "/v1/events", body, {"Content-Type": "application/json"})
                if self._random.random() < 0.005:
                    self._hang_up()
                    continue
                response = self._connection.getresponse()
                answer = json.loads(response.read())
            except (OSError, http.client.HTTPException, json.JSONDecodeError):
                self._hang_up()
                self._halt.wait(RETRY_SECONDS)
                continue
            if response.status in (200, 201):
                self.told += 1
                self.history.add("told", terminal=self.terminal_id, ref=ref, status=response.status,
                                 **{key: answer[key] for key in ("event_id", "epoch", "seq")})
                return
            if response.status != 503:
                self.history.add("surprise", terminal=self.terminal_id, ref=ref, status=response.status, answer=answer)
                return
            self._halt.wait(RETRY_SECONDS)

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
