"""The till receipt that closes a run: 42 columns, as a till's printer has."""
from __future__ import annotations

from ledger import Audit, Verdict

WIDTH = 42


def _line(left: str, right: str = "") -> str:
    return left + right.rjust(WIDTH - len(left)) if right else left


def duration(seconds: float | None) -> str:
    """Milliseconds as long as they read well, then seconds."""
    if seconds is None:
        return "-"
    if seconds < 0.0995:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 9.9995:
        return f"{seconds * 1000:,.0f} ms"
    return f"{seconds:.1f} s"


def receipt(verdict: Verdict, audit: Audit | None, notes: list[str], good: bool, started: str, lasted: float) -> str:
    lines = [
        "TILLSTREAM".center(WIDTH).rstrip(), "from the tap to the stream".center(WIDTH).rstrip(), "=" * WIDTH,
        _line(started, f"{lasted:.0f} s"), "-" * WIDTH,
        _line("taps", f"{verdict.taps}"), _line("on the stream", f"{verdict.streamed}"),
        _line("lost", f"{verdict.lost}"), _line("doubled", f"{verdict.doubled}"),
    ]
    if verdict.unknown:
        lines.append(_line("on the stream, tapped by nobody", f"{verdict.unknown}"))
    if verdict.unanswered:
        lines.append(_line("taps without an answer", f"{verdict.unanswered}"))
    lines += ["-" * WIDTH, _line("longest queue", f"{verdict.longest_queue}"),
              _line("tap to stream  p50", duration(verdict.p50)), _line("tap to stream  p99", duration(verdict.p99))]
    if verdict.disturbed and verdict.calm_p50 is not None:
        lines += [_line(f"without the {verdict.disturbed} disturbed  p50", duration(verdict.calm_p50)),
                  _line(f"without the {verdict.disturbed} disturbed  p99", duration(verdict.calm_p99))]
    lines.append("-" * WIDTH)
    lines += _second_opinion(audit)
    lines += [part for note in notes for part in _wrapped(note)]
    lines += ["=" * WIDTH, ("EVERY TAP ARRIVED, ONCE" if good else "NOT IN ORDER: SEE ABOVE").center(WIDTH).rstrip()]
    return "\n".join(lines)


def _second_opinion(audit: Audit | None) -> list[str]:
    if audit is None:
        return ["stream.db could not be read"]
    if audit.good:
        return [_line("stream, read on its own", "agrees"), _line("order within each epoch", "no gap")]
    lines = [_line("stream, read on its own", "disagrees")]
    for name in ("missing", "doubled", "unknown"):
        keys = getattr(audit, name)
        if keys:
            lines.append(_line(f"  {name}", f"{len(keys)}"))
            lines += [f"    {terminal} {reference}" for terminal, reference in keys[:5]]
    lines += [part for gap in audit.gaps[:5] for part in _wrapped(f"  {gap}")]
    return lines


def _wrapped(text: str) -> list[str]:
    lines, line = [], ""
    for word in text.split(" "):
        if line and len(line) + 1 + len(word) > WIDTH:
            lines.append(line)
            line = "  " + word
        else:
            line = f"{line} {word}" if line else word
    return lines + [line]
