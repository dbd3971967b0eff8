"""Scene: what happens, turned into what the page shows. Hears the tills, the ledger's own reader and the gateway's gauge."""
from __future__ import annotations

import threading
import time
from collections import deque

from board import Board
from ledger import Key, Ledger, Tap, Verdict
from tills import Cardholders

RECEIPTS_SHOWN = 6
QUEUE_SHOWN = 9
EVENTS_SHOWN = 12
NOTICES_SHOWN = 24
CALM_QUEUE = 2  # a longer queue disturbs whoever taps behind it


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


class Scene:
    def __init__(self, board: Board, resolver: Cardholders) -> None:
        self._board = board
        self._resolver = resolver
        self._lock = threading.RLock()
        self._ledger = Ledger()
        self._receipts: deque[dict] = deque(maxlen=RECEIPTS_SHOWN)
        self._events: deque[dict] = deque(maxlen=EVENTS_SHOWN)
        self._head = 0  # events that the stream has shown
        self._notices: deque[dict] = deque(maxlen=NOTICES_SHOWN)
        self._gateway: dict = {}
        self._calm = True
        self.refusals: list[str] = []
        self.batches: list[dict] = []  # settlements, as the stream shows them

    # ---- the tills ----

    def on_tap(self, key: Key, shown: dict) -> None:
        with self._lock:
            now = time.monotonic()
            number = len(self._ledger.taps) + 1
            tap = Tap(key, number, now, int(time.time() * 1000), shown)
            tap.disturbed = not self._calm or len(self._ledger.queue()) > CALM_QUEUE
            self._ledger.tapped(tap)
            self._receipts.appendleft(shown | {"id": number, "wall_ms": tap.wall_ms, "state": "tapped"})
            self._board.show(receipts=list(self._receipts), totals=self._totals(), moment={"kind": "tapped", "id": number})

    def on_retry(self, key: Key, why: str) -> None:
        with self._lock:
            tap = self._ledger.taps[key]
            tap.attempts += 1
            tap.disturbed = True
            self._mark(tap, state="waiting", why=why, attempts=tap.attempts + 1)
            self._board.show(receipts=list(self._receipts))

    def on_answer(self, key: Key, seq: int, duplicate: bool) -> None:
        with self._lock:
            tap = self._ledger.answered(key, seq, duplicate, time.monotonic())
            self._mark(tap, state="stored", seq=seq, duplicate=duplicate, stored_ms=_ms(tap.answered_at - tap.tapped_at))
            self._board.show(receipts=list(self._receipts), queue=self._queue(), totals=self._totals(),
                             moment={"kind": "stored", "id": tap.number})

    def on_refused(self, key: Key, status: int, answer: dict) -> None:
        with self._lock:
            error = answer.get("error", {})
            self.refusals.append(f"{key[0]} {key[1]}: {status} {error.get('code')} {error.get('message')}")
            self._mark(self._ledger.taps[key], state="refused", why=f"{status} {error.get('code')}")
            self._board.show(receipts=list(self._receipts))

    def _mark(self, tap: Tap, **changes) -> None:
        for receipt in self._receipts:
            if receipt["id"] == tap.number:
                receipt |= changes

    # ---- the stream, as the ledger's own reader sees it ----

    def on_event(self, position: str, event: dict) -> None:
        with self._lock:
            now = time.monotonic()
            self._head += 1
            tap = None
            if event.get("type") == "batch_total":
                self.batches.append(event)
            elif event.get("type") != "notice":
                tap = self._ledger.streamed((event["terminal_id"], event["terminal_ref"]), position, now)
            self._events.appendleft(self._row(self._head, event, tap))
            changes = {"events": list(self._events), "head": self._head, "queue": self._queue(), "totals": self._totals()}
            if tap:
                self._notices.appendleft(self._notice(tap, event))
                changes |= {"notices": list(self._notices), "moment": {"kind": "streamed", "id": tap.number}}
            self._board.show(**changes)

    @staticmethod
    def _row(number: int, event: dict, tap: Tap | None) -> dict:
        return {"position": number, "type": event.get("type"), "what": event.get("merchant_name") or event.get("notice", ""),
                "terminal": event.get("terminal_id", ""), "seq": event.get("seq"), "minor": event.get("amount_minor"),
                "currency": event.get("currency"), "exponent": event.get("currency_exponent", 2),
                "outcome": event.get("outcome"), "ms": _ms(tap.took) if tap else None}

    def _notice(self, tap: Tap, event: dict) -> dict:
        """The phone shows what came out of the stream; only the milliseconds are this page's own."""
        holder, found_by = self._resolver.holder(event)
        return {"id": tap.number, "holder": holder, "found_by": found_by, "type": event["type"],
                "shop": event.get("merchant_name", ""), "minor": event.get("amount_minor", 0),
                "currency": event.get("currency", ""), "exponent": event.get("currency_exponent", 2),
                "outcome": event.get("outcome"), "brand": tap.purchase["brand"], "last4": event.get("card_last4", ""),
                "terminal": event["terminal_id"], "ref": event["terminal_ref"], "ms": _ms(tap.took), "wall_ms": tap.wall_ms}

    # ---- the gateway's own figures, and the switches ----

    def on_gauge(self, gateway: dict) -> None:
        with self._lock:
            if gateway == self._gateway:
                return
            self._gateway = gateway
            self._ledger.saw_queue(gateway.get("pending_events") or 0)
            self._board.show(queue=self._queue(), totals=self._totals())

    def on_disturbance(self, calm: bool) -> None:
        with self._lock:
            self._calm = calm
            self._ledger.disturb()

    # ---- what is shown of it ----

    def _queue(self) -> dict:
        waiting = self._ledger.queue()
        shown = [{"id": tap.number, "seq": tap.seq, "shop": tap.purchase["shop"], "minor": tap.purchase["minor"],
                  "currency": tap.purchase["currency"], "exponent": tap.purchase["exponent"], "type": tap.purchase["type"]}
                 for tap in waiting[:QUEUE_SHOWN]]
        return {"length": len(waiting), "shown": shown, "gateway": self._gateway}

    def _totals(self) -> dict:
        verdict = self._ledger.verdict()
        return {"taps": verdict.taps, "streamed": verdict.streamed, "under_way": verdict.lost, "doubled": verdict.doubled + verdict.unknown,
                "longest_queue": verdict.longest_queue, "p50": _ms(verdict.p50), "p99": _ms(verdict.p99),
                "disturbed": verdict.disturbed, "calm_p50": _ms(verdict.calm_p50), "calm_p99": _ms(verdict.calm_p99)}

    # ---- the end ----

    def settled(self) -> bool:
        with self._lock:
            return self._ledger.settled()

    def open_taps(self) -> int:
        with self._lock:
            return self._ledger.open_taps()

    def verdict(self) -> Verdict:
        with self._lock:
            return self._ledger.verdict()

    def keys(self) -> set[Key]:
        with self._lock:
            return set(self._ledger.taps)
