#!/usr/bin/env python3
"""Whom a card token belongs to: the issuer's part, which runs where its cards are.

    tillstream-bridge tail --config bridge.toml | card_resolver.py --master master.key --cards cards.csv

A token cannot be turned back. Whoever knows the cards tries: of those with the event's last four and brand each, by the key of
the event's gateway, which comes from the master key as `tillstream-bridge token-key derive` makes it. Keys never leave this process.
cards.csv: card schemes' published test numbers, never anybody's cards.
"""
from __future__ import annotations

import argparse
import base64
import collections
import csv
import functools
import hashlib
import hmac
import json
import pathlib
import sys
from dataclasses import dataclass

TEST_CARDS = pathlib.Path(__file__).with_name("cards.csv")


@dataclass(frozen=True)
class Card:
    number: str
    brand: str
    holder: str

    @property
    def last4(self) -> str:
        return self.number[-4:]


def read_cards(path: pathlib.Path = TEST_CARDS) -> list[Card]:
    with path.open(newline="", encoding="utf-8") as file:
        return [Card(**row) for row in csv.DictReader(file)]


def token_of(key: bytes, number: str) -> str:
    digest = hmac.new(key, number.encode(), hashlib.sha256).digest()[:16]
    return base64.b32encode(digest).decode().rstrip("=").lower()


def derive_key(master: bytes, gateway_id: str, version: int) -> bytes:
    """HKDF-SHA-256 (RFC 5869), one block; proto/base/token_key.hpp says with what."""
    extracted = hmac.new(b"tillstream card token key 1", master, hashlib.sha256).digest()
    return hmac.new(extracted, f"{gateway_id}\n{version}\x01".encode(), hashlib.sha256).digest()


def key_name(key: bytes) -> str:
    return hashlib.sha256(b"tillstream token key name 1" + key).hexdigest()[:8]


class CardResolver:
    def __init__(self, cards: list[Card], master: bytes, versions: range = range(1, 10)) -> None:
        """`versions`: of keys that any gateway may still use."""
        self._by_last4 = collections.defaultdict(list)
        for card in cards:
            self._by_last4[card.last4].append(card)
        self._keys = functools.cache(
            lambda gateway: {key_name(key): key for key in (derive_key(master, gateway, version) for version in versions)})

    def card(self, event: dict) -> Card | None:
        """None: no token, none of our cards, or a key that is not of our master."""
        for suffix in ("", "_previous"):
            token, name = event.get(f"card_token{suffix}"), event.get(f"card_token{suffix}_key")
            key = self._keys(event["gateway_id"]).get(name) if token else None
            if key is None:
                continue
            for card in self._by_last4[event.get("card_last4")]:
                if event.get("card_brand") in (None, card.brand) and hmac.compare_digest(token_of(key, card.number), token):
                    return card
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--master", type=pathlib.Path, required=True)
    parser.add_argument("--cards", type=pathlib.Path, default=TEST_CARDS)
    options = parser.parse_args()
    resolver = CardResolver(read_cards(options.cards), options.master.read_bytes())
    for line in sys.stdin:
        event = json.loads(line)
        card = resolver.card(event)
        print(json.dumps({"event_id": event["event_id"], "holder": card.holder if card else None}, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
