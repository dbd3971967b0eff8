"""Ledger: what was tapped, what the gateway said, what the stream holds. Pure: times come from the caller.

  tapped ──answered──▶ stored ──streamed──▶ on the stream
     └─────────────────streamed──────────────▲    (the gateway died between its fsync and its answer)

Invariants:
  (1) A tap is known by (terminal_id, terminal_ref), whatever number of times its terminal repeats it.
  (2) lost    = taps that the stream does not hold.
      doubled = copies on the stream beyond the first one of each tap.
      unknown = events on the stream that nobody tapped.
  (3) The queue is what the gateway said it stored and the stream does not hold yet.

Times are seconds of one monotonic clock. Not safe for threads: the Scene holds a lock around it.
"""
from __future__ import annotations

import math
from dataclasses import dataclass, field

Key = tuple[str, str]  # terminal_id, terminal_ref


@dataclass
class Tap:
    key: Key
    number: int
    tapped_at: float
    wall_ms: int
    purchase: dict  # what the page shows of it: merchant, lines, amount, card
    attempts: int = 0
    answered_at: float | None = None
    seq: int | None = None
    duplicate: bool = False
    streamed_at: float | None = None
    position: str | None = None
    disturbed: bool = False  # a switch was thrown, or a queue stood, while it was on its way

    @property
    def took(self) -> float | None:
        """Seconds from the tap to the stream."""
        return None if self.streamed_at is None else self.streamed_at - self.tapped_at


@dataclass(frozen=True)
class Verdict:
    taps: int
    streamed: int
    lost: int
    doubled: int
    unknown: int
    unanswered: int
    longest_queue: int
    p50: float | None  # seconds, all taps
    p99: float | None
    calm_p50: float | None  # seconds, taps that no switch disturbed
    calm_p99: float | None
    disturbed: int

    @property
    def good(self) -> bool:
        return self.lost == self.doubled == self.unknown == 0


def percentile(values: list[float], share: float) -> float | None:
    """Nearest rank: a value that really occurred."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass
class Ledger:
    taps: dict[Key, Tap] = field(default_factory=dict)
    longest_queue: int = 0
    doubled: int = 0
    unknown: int = 0
    _queue: dict[Key, Tap] = field(default_factory=dict)
    _positions: dict[str, Key] = field(default_factory=dict)

    def tapped(self, tap: Tap) -> None:
        if tap.key in self.taps:
            raise ValueError(f"terminal reference used twice: {tap.key}")
        self.taps[tap.key] = tap

    def answered(self, key: Key, seq: int, duplicate: bool, now: float) -> Tap:
        tap = self.taps[key]
        tap.answered_at, tap.seq, tap.duplicate = now, seq, duplicate
        if tap.streamed_at is None:
            self._queue[key] = tap
            self.saw_queue(len(self._queue))
        return tap

    def saw_queue(self, length: int) -> None:
        self.longest_queue = max(self.longest_queue, length)

    def streamed(self, key: Key, position: str, now: float) -> Tap | None:
        """The tap when the stream shows it for the first time, else None. Reading a position again changes nothing."""
        if position in self._positions:
            return None
        self._positions[position] = key
        tap = self.taps.get(key)
        if tap is None:
            self.unknown += 1
            return None
        if tap.streamed_at is not None:
            self.doubled += 1
            return None
        tap.streamed_at, tap.position = now, position
        self._queue.pop(key, None)
        return tap

    def disturb(self) -> None:
        for tap in self.taps.values():
            if tap.streamed_at is None:
                tap.disturbed = True

    def queue(self) -> list[Tap]:
        """What stands in the gateway, in its order."""
        return sorted(self._queue.values(), key=lambda tap: tap.seq or 0)

    def open_taps(self) -> int:
        return len(self.taps) - sum(1 for tap in self.taps.values() if tap.streamed_at is not None)

    def settled(self) -> bool:
        return all(tap.streamed_at is not None and tap.answered_at is not None for tap in self.taps.values())

    def verdict(self) -> Verdict:
        streamed = [tap for tap in self.taps.values() if tap.streamed_at is not None]
        took = [tap.took for tap in streamed]
        calm = [tap.took for tap in streamed if not tap.disturbed]
        return Verdict(
            taps=len(self.taps), streamed=len(streamed), lost=len(self.taps) - len(streamed), doubled=self.doubled,
            unknown=self.unknown, unanswered=sum(1 for tap in self.taps.values() if tap.answered_at is None),
            longest_queue=self.longest_queue, p50=percentile(took, 0.50), p99=percentile(took, 0.99),
            calm_p50=percentile(calm, 0.50), calm_p99=percentile(calm, 0.99), disturbed=len(took) - len(calm))


@dataclass(frozen=True)
class Audit:
    """The stream's own file, read row by row: the second opinion on the Ledger."""
    rows: int
    missing: list[Key]
    doubled: list[Key]
    unknown: list[Key]
    gaps: list[str]  # places where seq does not follow on its predecessor of the same gateway and epoch

    @property
    def good(self) -> bool:
        return not (self.missing or self.doubled or self.unknown or self.gaps)


def audit(taps: set[Key], rows: list[tuple[str, str, int | None, Key | None]]) -> Audit:
    """rows: (gateway_id, epoch, seq, key) by position; key is None for a notice, seq is None for a bridge's own."""
    seen: dict[Key, int] = {}
    last: dict[tuple[str, str], int] = {}
    gaps: list[str] = []
    for gateway, epoch, seq, key in rows:
        if key is not None:
            seen[key] = seen.get(key, 0) + 1
        if seq is None:
            continue
        expected = last.get((gateway, epoch), 0) + 1
        if seq != expected:
            gaps.append(f"{gateway} epoch {epoch[:8]}: seq {seq} where {expected} was due")
        last[(gateway, epoch)] = seq
    return Audit(rows=len(rows), missing=sorted(taps - seen.keys()),
                 doubled=sorted(key for key, count in seen.items() if count > 1),
                 unknown=sorted(seen.keys() - taps), gaps=gaps)
