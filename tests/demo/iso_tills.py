"""Tills that speak ISO 8583: packed digits behind a TPDU, an advice (0220) for each purchase, the same again as 0221 until it is answered 00."""
from __future__ import annotations

import datetime
import socket
import struct
import time

from tills import AGAIN_SECONDS, ANSWER_SECONDS, Till

TPDU = bytes.fromhex("6000108001")  # to the host 0010, from the terminals' network 8001
CURRENCY_NUMBERS = {"EUR": "978", "CHF": "756", "CZK": "203", "JPY": "392"}
SETTLE_SECONDS = 30.0
STATUS = {"00": 201, "96": 503, "91": 503}  # as the HTTP tills would see it


def packed(digits: str) -> bytes:
    return bytes.fromhex(digits if len(digits) % 2 == 0 else "0" + digits)


def card_number(number: str) -> bytes:
    filled = number if len(number) % 2 == 0 else number + "F"
    return packed(f"{len(number):02d}") + bytes.fromhex(filled)


def text(value: str, length: int) -> bytes:
    return value.encode("latin-1", "replace")[:length].ljust(length)


def encode(mti: str, fields: dict[int, bytes]) -> bytes:
    bits = sum(1 << (64 - number) for number in fields)
    return packed(mti) + struct.pack(">Q", bits) + b"".join(fields[number] for number in sorted(fields))


def response_code(message: bytes) -> str:
    """Field 39 of an answer; the fields before it that a host may give back have these lengths."""
    lengths = {3: 3, 4: 6, 7: 5, 11: 3, 12: 3, 13: 2, 24: 2, 37: 12, 38: 6}
    (bits,) = struct.unpack(">Q", message[2:10])
    at = 10
    for number in range(2, 39):
        if bits >> (64 - number) & 1:
            at += lengths[number]
    return message[at:at + 2].decode("ascii")


def advice(purchase: dict, repeat: bool) -> bytes:
    local = datetime.datetime.fromisoformat(purchase["occurred_at"])
    utc = local.astimezone(datetime.timezone.utc)
    reference = purchase["terminal_ref"]
    place = purchase["merchant_name"].ljust(23)[:23] + purchase["merchant_city"].ljust(13)[:13] + "  AT"
    fields = {
        2: card_number(purchase["card_number"]), 3: packed("200000" if purchase["type"] == "refund" else "000000"),
        4: packed(f"{purchase['amount_minor']:012d}"), 7: packed(f"{utc:%m%d%H%M%S}"), 11: packed(reference),
        12: packed(f"{local:%H%M%S}"), 13: packed(f"{local:%m%d}"), 18: packed(purchase["mcc"]), 22: packed("0071"), 24: packed("0010"),
        25: packed("00"), 37: text(f"{local:%y%j}{reference:0>7}", 12), 39: text(purchase["response_code"], 2),
        41: text(purchase["terminal_id"], 8), 42: text(purchase["merchant_id"], 15), 43: text(place, 40),
        49: packed("0" + CURRENCY_NUMBERS[purchase["currency"]]),
    }
    if "auth_code" in purchase:
        fields[38] = text(purchase["auth_code"], 6)
    return encode("0221" if repeat else "0220", fields)


def variable(value: str) -> bytes:
    return packed(f"{len(value):04d}") + value.encode("ascii")


class IsoTill(Till):
    """A Till on a kept-open line; what it hears is put into the HTTP tills' words. It counts what it has sold, and settles at the end."""

    _line: socket.socket | None = None
    _asked: str | None = None

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self._batch: dict[str, dict[str, tuple[int, int]]] = {}  # currency → sale or refund → how many, how much

    @property
    def batches(self) -> int:
        return len(self._batch)

    def settle(self) -> int:
        """Tells its totals, one settlement a currency, and returns how many were taken. Only when nobody is served any more."""
        return sum(self._settle(number, currency) for number, currency in enumerate(sorted(self._batch), 1))

    def _settle(self, number: int, currency: str) -> bool:
        now = datetime.datetime.now().astimezone()
        pairs = "".join(f"{count:03d}{minor:012d}" for count, minor in (self._batch[currency].get(kind, (0, 0)) for kind in ("sale", "refund")))
        fields = {3: packed("920000"), 11: packed(f"{900_000 + number:06d}"), 12: packed(f"{now:%H%M%S}"), 13: packed(f"{now:%m%d}"),
                  24: packed("0010"), 41: text(self.shop.terminal_id, 8), 42: text(self.shop.merchant_id, 15),
                  50: text(CURRENCY_NUMBERS[currency], 3), 63: variable(pairs)}
        deadline = time.monotonic() + SETTLE_SECONDS
        mti = "0500"
        while time.monotonic() < deadline:
            try:
                if response_code(self._exchange(encode(mti, fields))) == "00":
                    return True
            except OSError:  # the gateway was killed since: the line is a dead one
                self._hang_up()
            mti = "0501"
            time.sleep(AGAIN_SECONDS[0])
        return False

    def _count(self, body: dict) -> None:
        if body["outcome"] != "approved":
            return
        count, minor = self._batch.setdefault(body["currency"], {}).get(body["type"], (0, 0))
        self._batch[body["currency"]][body["type"]] = (count + 1, minor + body["amount_minor"])

    def _ask(self, body: dict) -> tuple[int, float, dict]:
        repeat, self._asked = self._asked == body["terminal_ref"], body["terminal_ref"]
        code = response_code(self._exchange(advice(body, repeat)))
        if code == "00":
            self._count(body)
        return STATUS.get(code, 400), AGAIN_SECONDS[1], {"seq": None, "duplicate": False, "error": {"code": code, "message": "by ISO 8583"}}

    def _exchange(self, message: bytes) -> bytes:
        if self._line is None:
            self._line = socket.create_connection(self._address, ANSWER_SECONDS)
        self._line.sendall(struct.pack(">H", len(TPDU) + len(message)) + TPDU + message)
        return self._receive(struct.unpack(">H", self._receive(2))[0])[len(TPDU):]

    def _receive(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self._line.recv(count - len(data))
            if not more:
                raise ConnectionError("the gateway closed the line")
            data += more
        return data

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None
