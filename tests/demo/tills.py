"""Tills and the people who pay at them.

A Till is a card terminal: it submits one event at a time over a kept-alive HTTP connection and repeats it, with the same
terminal_ref, until it has an answer; a 503 is obeyed for as long as its Retry-After says. Customers come at a human pace and
take whichever till is free.
"""
from __future__ import annotations

import datetime
import http.client
import json
import queue
import random
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

from card_resolver import CardResolver, read_cards

ANSWER_SECONDS = 10.0
AGAIN_SECONDS = (0.2, 1.0)  # between two tries without an answer: first, most
RETRY_AFTER_SECONDS_MAX = 30.0
WAITING_CUSTOMERS_MAX = 20  # taps wished for on the page and not served yet


@dataclass(frozen=True)
class Shop:
    merchant_id: str
    name: str
    mcc: str
    terminal_id: str
    first_ref: int
    goods: tuple[tuple[str, int], ...]  # name, EUR cents


SHOPS = (
    Shop("M-1001", "Bäckerei Morgenrot", "5462", "T-0017-1", 4711,
         (("Semmel", 65), ("Kornspitz", 120), ("Topfengolatsche", 290), ("Butterkipferl", 210), ("Bauernbrot 1 kg", 540))),
    Shop("M-1002", "Café Lindenhof", "5814", "T-0017-2", 812,
         (("Melange", 480), ("Espresso", 310), ("Apfelstrudel", 560), ("Soda Zitron", 390), ("Frühstück für zwei", 2190))),
    Shop("M-1003", "Blumen Veronika", "5992", "T-0017-3", 90,
         (("Tulpen, Bund", 890), ("Rosmarin im Topf", 450), ("Rosenstrauß", 3490), ("Grußkarte", 290))),
    Shop("M-1004", "Buchhandlung am Eck", "5942", "T-0017-4", 2305,
         (("Taschenbuch", 1299), ("Stadtplan", 890), ("Notizheft", 650), ("Bildband", 4990), ("Lesezeichen", 195))),
)
CARDS = tuple(read_cards()[:5])
# What a purchase is paid in: nearly always euros; the rates are for the demo's prices only.
CURRENCIES = (("EUR", 2, 1.0),) * 17 + (("CHF", 2, 0.95), ("CZK", 2, 25.0), ("JPY", 0, 160.0))


class Cardholders:
    """The issuer's part in the play: it alone knows the cards and the master key."""

    def __init__(self, master: bytes) -> None:
        self._resolver = CardResolver(list(CARDS), master)

    def holder(self, event: dict) -> tuple[str, str]:
        """The holder's name and how it was found out."""
        if card := self._resolver.card(event):
            return card.holder, "token"
        by_last4 = [card.holder for card in CARDS if card.last4 == event.get("card_last4")]
        return (by_last4[0], "last four") if len(by_last4) == 1 else ("somebody", "nothing")


@dataclass(frozen=True)
class Purchase:
    """What is submitted, and what the till's display and the page show of it."""
    body: dict
    shown: dict


class Checkout:
    """Makes up purchases: goods, a card, now and then a refund of an earlier one or a declined card."""

    def __init__(self, shop: Shop, chance: random.Random) -> None:
        self._shop = shop
        self._chance = chance
        self._reference = shop.first_ref
        self._refundable: list[tuple[str, int, str, int, Card]] = []

    def next(self) -> Purchase:
        self._reference += 1
        reference = f"{self._reference:06d}"
        if len(self._refundable) > 3 and self._chance.random() < 0.05:
            return self._refund(reference)
        return self._sale(reference)

    def _sale(self, reference: str) -> Purchase:
        code, exponent, rate = self._chance.choice(CURRENCIES)
        basket = self._chance.sample(self._shop.goods, self._chance.choice((1, 1, 2, 2, 3)))
        scale = rate * 10 ** exponent / 100
        lines = [(name, round(cents * scale)) for name, cents in basket]
        card = self._chance.choice(CARDS)
        amount = sum(price for _, price in lines)
        outcome = "declined" if self._chance.random() < 0.04 else "approved"
        if outcome == "approved":
            self._refundable = self._refundable[-20:] + [(reference, amount, code, exponent, card)]
        return self._purchase("sale", reference, lines, amount, code, exponent, card, outcome, {})

    def _refund(self, reference: str) -> Purchase:
        original, amount, code, exponent, card = self._refundable.pop(self._chance.randrange(len(self._refundable)))
        return self._purchase("refund", reference, [(f"Refund of {original}", amount)], amount, code, exponent, card, "approved",
                              {"original_ref": original})

    def _purchase(self, kind: str, reference: str, lines: list, amount: int, code: str, exponent: int, card: Card, outcome: str,
                  more: dict) -> Purchase:
        now = datetime.datetime.now().astimezone()
        approved = outcome == "approved"
        body = {
            "type": kind, "terminal_id": self._shop.terminal_id, "terminal_ref": reference,
            "occurred_at": now.isoformat(timespec="milliseconds"), "amount_minor": amount, "currency": code, "outcome": outcome,
            "merchant_id": self._shop.merchant_id, "merchant_name": self._shop.name, "merchant_city": "Wien",
            "mcc": self._shop.mcc, "till_id": "1", "authorized_by": "online", "card_number": card.number,
            "entry_mode": "contactless", "cvm": "none" if amount < 5000 * 10 ** (exponent - 2) else "pin",
            "response_code": "00" if approved else "51", "stan": f"{self._chance.randrange(1, 10**6):06d}",
        } | ({"auth_code": f"{self._chance.randrange(10**6):06d}"} if approved else {}) | more
        shown = {
            "type": kind, "shop": self._shop.name, "terminal": self._shop.terminal_id, "ref": reference, "lines": lines,
            "minor": amount, "currency": code, "exponent": exponent, "outcome": outcome, "brand": card.brand.capitalize(), "last4": card.last4,
        }
        return Purchase(body, shown)


class Refused(Exception):
    """The gateway refused an event for good: a defect of this demo or of the gateway, never of the moment."""


class Till:
    """One terminal on one thread. `told` hears: on_tap, on_retry, on_answer, on_refused (the Scene)."""

    def __init__(self, shop: Shop, address: tuple[str, int], told, chance: random.Random) -> None:
        self.shop = shop
        self._address = address
        self._told = told
        self._checkout = Checkout(shop, chance)
        self._bell: queue.Queue[bool] = queue.Queue(1)
        self._connection: http.client.HTTPConnection | None = None
        self._given_up = threading.Event()
        self.busy = False
        self._thread = threading.Thread(target=self._run, name=shop.terminal_id, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def serve(self) -> None:
        """A customer steps up; only when not busy."""
        self.busy = True
        self._bell.put(True)

    def close(self) -> None:
        self._given_up.set()
        self._bell.put(False)
        self._thread.join(ANSWER_SECONDS + 1)

    def _run(self) -> None:
        while self._bell.get():
            self._submit(self._checkout.next())
            self.busy = False

    def _submit(self, purchase: Purchase) -> None:
        key = (self.shop.terminal_id, purchase.body["terminal_ref"])
        self._told.on_tap(key, purchase.shown)
        pause = AGAIN_SECONDS[0]
        while not self._given_up.is_set():
            wait, why = pause, "no answer"
            try:
                status, retry_after, answer = self._ask(purchase.body)
                if status in (200, 201):
                    self._told.on_answer(key, answer["seq"], answer["duplicate"])
                    return
                if status != 503:
                    self._told.on_refused(key, status, answer)
                    return
                wait, why = retry_after, "busy"
            except (OSError, http.client.HTTPException, ValueError, KeyError):
                self._hang_up()
                pause = min(AGAIN_SECONDS[1], pause * 1.6)
            self._told.on_retry(key, why)
            self._given_up.wait(wait)

    def _ask(self, body: dict) -> tuple[int, float, dict]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(*self._address, timeout=ANSWER_SECONDS)
        self._connection.request("POST", "/v1/events", json.dumps(body), {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        answer = json.loads(response.read(64 * 1024))
        asked = response.headers.get("Retry-After", "")
        retry_after = float(asked) if asked.isdecimal() else AGAIN_SECONDS[1]
        return response.status, min(RETRY_AFTER_SECONDS_MAX, max(AGAIN_SECONDS[0], retry_after)), answer

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Customers:
    """Sends somebody to a free till each second or two, and at once whoever the page asks for."""

    def __init__(self, tills: list[Till], pace: tuple[float, float], chance: random.Random) -> None:
        self._tills = tills
        self._pace = pace
        self._chance = chance
        self._wishes: queue.Queue[bool] = queue.Queue(WAITING_CUSTOMERS_MAX)
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="customers", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wish(self) -> bool:
        """One more customer, now; False when enough are waiting already."""
        try:
            self._wishes.put_nowait(True)
            return True
        except queue.Full:
            return False

    def close(self) -> None:
        self._closed = True
        self._thread.join(5)

    def _run(self) -> None:
        due = time.monotonic() + 0.3
        while not self._closed:
            wished = self._next_wish(min(0.1, max(0.0, due - time.monotonic())))
            if not wished and time.monotonic() < due:
                continue
            free = [till for till in self._tills if not till.busy]
            if free:
                self._chance.choice(free).serve()
            if not wished or not free:
                due = time.monotonic() + self._chance.uniform(*self._pace)

    def _next_wish(self, seconds: float) -> bool:
        try:
            return self._wishes.get(timeout=seconds) if seconds > 0 else self._wishes.get_nowait()
        except queue.Empty:
            return False
