#!/usr/bin/env python3
"""The demo's conductor: shows the page, builds, starts the parts, lets people tap, throws the switches, and counts at the end.

  building ──▶ starting ──▶ running ──Ctrl-C, --seconds──▶ draining ──▶ ended
      └────────────┴───────────┴── failed: says why, keeps the folder ──▶ exit 1

Exit status: 0 every tap arrived once; 1 something was lost or doubled, or a part failed; 2 wrong use; 130 interrupted before
there was anything to count.
"""
from __future__ import annotations

import argparse
import difflib
import getpass
import os
import queue
import random
import signal
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from board import Board
from ledger import audit
from page_server import CannotServe, PageServer
from readers import Crm, Marketing, Reader, Statement
from receipt import receipt
from rig import NO_TAPS, CannotStart, Rig, last_words
from scene import Scene
from iso_tills import IsoTill
from tills import SHOPS, Cardholders, Customers, Till
from workshop import Workshop

ROOT = Path(__file__).resolve().parents[2]
PORT = 8480
PACE_SECONDS = (0.8, 1.8)
GAUGE_SECONDS = 0.15
RESTART_SECONDS = 4.0   # after kill -9, a supervisor's patience
DRAIN_SECONDS = 180.0   # the gateway's back-off may be at its cap of 120 s
TICK_SECONDS = 0.05
CRASHES_MAX = 5
LAST_LOOK_SECONDS = 1.0  # for browsers to take the receipt


def say(text: str = "") -> None:
    try:
        print(text, flush=True)
    except OSError:
        # The terminal has gone (SIGHUP, a closed pipe); the run still ends in order, and its status still counts.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Failed(Exception):
    """The demo cannot go on; the text is for people."""


class Interrupted(Exception):
    """Ctrl-C before there was anything to count, or a second one while counting."""


class Conductor:
    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._wishes: queue.Queue[dict] = queue.Queue(100)
        self._signals = 0
        self._started_ms = int(time.time() * 1000)
        self._began = time.monotonic()
        self._board = Board(phase="building", started_ms=self._started_ms, build={"step": "preparing", "done": 0, "total": 0, "line": ""},
                            switches={"link": "up", "gateway": "up", "restart_ms": None}, receipts=[], events=[], notices=[],
                            readers=[], head=0, queue={"length": 0, "shown": [], "gateway": {}}, totals={"taps": 0})
        self._page = PageServer(self._board, self._on_switch, options.port)
        self._rig: Rig | None = None
        self._scene: Scene | None = None
        self._readers: dict[str, Reader] = {}
        self._restart_at: float | None = None
        self._notes: list[str] = []
        self._crashes = 0
        self._drawn_at = 0.0

    # ---- from start to end ----

    def run(self) -> int:
        for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(sign, self._on_signal)
        self._announce()
        keep = True
        try:
            if not self._options.bin:
                self._build()
            self._start()
            self._play()
            good = self._finish()
            keep = not good
            return 0 if good else 1
        except Interrupted:
            keep = False
            self._board.show(phase="failed", why="interrupted")
            say("\ninterrupted: everything is ended")
            return 130
        except (Failed, CannotStart) as error:
            self._board.show(phase="failed", why=str(error))
            say(f"\ndemo: {error}")
            return 1
        finally:
            self._leave(keep)

    def _announce(self) -> None:
        port = self._page.port
        say(f"Tillstream, live: http://127.0.0.1:{port}/")
        connection = os.environ.get("SSH_CONNECTION", "").split()
        if len(connection) == 4:
            sshd = "" if connection[3] == "22" else f" -p {connection[3]}"
            say(f"  on your own machine: ssh{sshd} -L {port}:127.0.0.1:{port} {_user()}@{connection[2]}")
            say(f"  then open            http://localhost:{port}/")

    def _build(self) -> None:
        for folder in (ROOT, ROOT / "build"):
            if folder.exists() and not os.access(folder, os.W_OK):
                raise Failed(f"no permission to write in {folder}: become its owner (sudo chown -R \"$USER\" {folder}), "
                             "or clone the repository to a folder of your own")
        workshop = Workshop(ROOT, self._on_progress, self._options.kafka)
        workshop.start()
        try:
            while (status := workshop.status()) is None:
                self._tick()
        finally:
            workshop.end()
        if sys.stdout.isatty():
            say("\r\x1b[K" + f"built in {time.monotonic() - self._began:.0f} s")
        if status != 0:
            raise Failed("installing or building failed:\n" + "\n".join(f"  {line}" for line in workshop.last_lines))

    def _on_progress(self, progress: dict) -> None:
        self._board.show(build=progress)
        now = time.monotonic()
        count = f"[{progress['done']}/{progress['total']}] " if progress["total"] else ""
        text = f"{progress['step']} {count}{progress['line']}"
        if sys.stdout.isatty():
            print(f"\r\x1b[K{text[:100]}", end="", flush=True)
        elif now - self._drawn_at > 5:
            self._drawn_at = now
            say(f"  {text[:140]}")

    def _start(self) -> None:
        self._board.show(phase="starting")
        folder = Path(self._options.bin or ROOT / "build/release/bin").resolve()
        self._rig = rig = Rig(folder, self._options.kafka, self._options.iso8583)
        rig.start(lambda line: self._board.show(build={"step": "starting", "done": 0, "total": 0, "line": line}),
                  lambda: self._signals > 0)
        if self._signals:
            raise Interrupted
        self._resolver = Cardholders(rig.master_key)
        self._scene = Scene(self._board, self._resolver)
        self._stopping = threading.Event()
        threading.Thread(target=self._gauge, name="gauge", daemon=True).start()
        self._start_readers()
        self._start_tills()
        self._board.show(phase="running", running_ms=int(time.time() * 1000))
        say("running: switches are on the page; Ctrl-C ends it" if not self._options.seconds else
            f"running for {self._options.seconds:g} s; switches are on the page")

    def _start_readers(self) -> None:
        address = lambda: self._rig.address("bridge")
        self._watch = Reader("watch", address, self._scene.on_event)
        self._watch.start()
        self._views = {"statement": Statement(), "crm": Crm(), "marketing": Marketing()}
        for name in self._views:
            self._readers[name] = Reader(name, address, lambda position, event, name=name: self._on_read(name, event))
        for reader in self._readers.values():
            reader.start()
        self._show_readers()

    def _start_tills(self) -> None:
        seed = random.Random(self._options.seed)
        kind, door = (IsoTill, "iso8583") if self._options.iso8583 else (Till, "terminals")
        self._tills = [kind(shop, self._rig.address(door), self._scene, random.Random(seed.random())) for shop in SHOPS]
        for till in self._tills:
            till.start()
        self._customers = Customers(self._tills, PACE_SECONDS, random.Random(seed.random()))
        self._customers.start()

    def _play(self) -> None:
        self._running_since = time.monotonic()
        until = self._running_since + self._options.seconds if self._options.seconds else float("inf")
        while time.monotonic() < until and not self._signals:
            self._tick()
            self._look_after_parts()

    def _finish(self) -> bool:
        lasted = time.monotonic() - self._running_since
        self._signals = 0
        self._board.show(phase="draining")
        self._customers.close()
        self._heal()
        self._drain()
        settled = self._settle() if self._options.iso8583 else True
        looked = self._audit()
        verdict = self._scene.verdict()
        self._end_parts()
        for refusal in self._scene.refusals[:5]:
            self._notes.append(f"refused: {refusal}")
        good = (verdict.good and verdict.taps > 0 and looked is not None and looked.good and self._crashes == 0 and settled
                and not self._scene.refusals)
        started = time.strftime("%Y-%m-%d %H:%M", time.localtime(self._started_ms / 1000))
        text = receipt(verdict, looked, self._notes, good, started, lasted)
        self._board.show(phase="ended", receipt=text, good=good)
        say()
        say(text)
        return good

    def _heal(self) -> None:
        if not self._rig.relay.connected:
            say("\nthe link was cut: healed for the count")
            self._throw({"link": "heal"})
        if not self._rig.gateway.alive:
            say("\nthe gateway was down: started for the count")
            self._throw({"gateway": "start"})

    def _settled(self) -> bool:
        # The tills first: whoever stepped up to one before the doors closed is a tap only once that till has told of it.
        return not any(till.busy for till in self._tills) and self._scene.settled()

    def _drain(self) -> None:
        deadline = time.monotonic() + DRAIN_SECONDS
        told_at = time.monotonic()
        while not self._settled():
            now = time.monotonic()
            if self._signals:
                raise Interrupted
            if now > deadline:
                self._notes.append(f"waited {DRAIN_SECONDS:.0f} s for the queue to drain, in vain")
                return
            if now - told_at > 5:
                told_at = now
                say(f"waiting for {self._scene.open_taps()} taps to reach the stream")
            self._tick()
            self._look_after_parts()

    def _settle(self) -> bool:
        """The tills tell their totals; the stream says beside each what the gateway has recorded."""
        told = sum(till.settle() for till in self._tills)
        deadline = time.monotonic() + DRAIN_SECONDS
        while len(self._scene.batches) < told and time.monotonic() < deadline:
            self._tick()
        balanced = sum(1 for batch in self._scene.batches if batch.get("in_balance"))
        self._notes.append(f"{told} batches settled, {balanced} in balance")
        return balanced == told == len(self._scene.batches) == sum(till.batches for till in self._tills)

    def _audit(self):
        try:
            return audit(self._scene.keys(), self._rig.stream_rows())
        except Exception as error:  # noqa: BLE001: whatever ails it, the receipt must say it
            self._notes.append(f"the stream: {error}")
            return None

    def _end_parts(self) -> None:
        self._stopping.set()
        for till in self._tills:
            till.close()
        for reader in (self._watch, *self._readers.values()):
            reader.close()
        for name in self._rig.stop():
            self._notes.append(f"{name} did not end within 6 s of SIGTERM and was killed")

    def _leave(self, keep: bool) -> None:
        if self._rig:
            self._rig.kill()
            if keep:
                say(f"kept for a look: {self._rig.folder}")
            else:
                self._rig.remove()
        self._board.close()
        time.sleep(LAST_LOOK_SECONDS if self._scene else 0.2)
        self._page.close()

    # ---- signals, switches, parts: all on the main thread ----

    def _on_signal(self, *_) -> None:
        self._signals += 1

    def _tick(self) -> None:
        """Waits a moment for a switch and throws it."""
        try:
            wish = self._wishes.get(timeout=TICK_SECONDS)
        except queue.Empty:
            if self._scene is None and self._signals:
                raise Interrupted from None
            return
        self._throw(wish)

    def _on_switch(self, wish: dict) -> str | None:
        """From the page server's threads: checks the wish and hands it to the main thread."""
        if self._scene is None or self._board.snapshot()["phase"] != "running":
            return "nothing to switch: the system is not running"
        error = _wish_error(wish, self._readers)
        if error:
            return error
        if "tap" in wish:
            return None if self._customers.wish() else "enough people are waiting already"
        if "reader" in wish:
            self._pause(wish["reader"], wish["paused"])
            return None
        try:
            self._wishes.put_nowait(wish)
        except queue.Full:
            return "too many switches at once"
        return None

    def _pause(self, name: str, paused: bool) -> None:
        reader = self._readers[name]
        if paused:
            reader.pause()
        else:
            reader.resume()
        self._show_readers()

    def _throw(self, wish: dict) -> None:
        rig = self._rig
        match wish:
            case {"link": "cut"}:
                rig.relay.cut()
            case {"link": "heal"}:
                rig.relay.heal()
            case {"gateway": "kill"} if rig.gateway.alive:
                rig.gateway.kill9()
                self._restart_at = time.monotonic() + RESTART_SECONDS
            case {"gateway": "start"} if not rig.gateway.alive:
                self._restart_at = None
                rig.gateway.start()
        self._show_switches()

    def _show_switches(self) -> None:
        rig = self._rig
        calm = rig.relay.connected and rig.gateway.alive
        restart_ms = None if self._restart_at is None else int((time.time() + self._restart_at - time.monotonic()) * 1000)
        self._scene.on_disturbance(calm)
        self._board.show(switches={"link": "up" if rig.relay.connected else "cut", "gateway": "up" if rig.gateway.alive else "down",
                                   "restart_ms": restart_ms})

    def _look_after_parts(self) -> None:
        if self._restart_at is not None and time.monotonic() >= self._restart_at:
            self._throw({"gateway": "start"})
        for part in self._rig.parts:
            if part.alive or (part is self._rig.gateway and self._restart_at is not None):
                continue
            self._revive(part)

    def _revive(self, part) -> None:
        """Nobody asked this part to end: that is a defect, so the run fails; it goes on all the same, to show whether any tap is lost."""
        self._crashes += 1
        note = f"{part.name} ended by itself, status {part.exit_status}"
        self._notes.append(note)
        say(f"\n{note}; started again\n{last_words(part)}")
        if self._crashes > CRASHES_MAX:
            raise Failed(f"parts ended by themselves {self._crashes} times; the last one: {note}")
        self._scene.on_disturbance(False)
        part.start()
        self._show_switches()

    # ---- what the threads tell ----

    def _on_read(self, name: str, event: dict) -> None:
        if event.get("type") not in NO_TAPS:
            self._views[name].take(event, self._resolver.holder(event)[0])
        self._show_readers()

    def _show_readers(self) -> None:
        self._board.show(readers=[
            {"name": name, "title": self._views[name].title, "subtitle": self._views[name].subtitle, "paused": reader.paused,
             "position": reader.taken, "taken": reader.taken, "view": self._views[name].view()}
            for name, reader in self._readers.items()])

    def _gauge(self) -> None:
        while not self._stopping.wait(GAUGE_SECONDS):
            status = self._rig.gateway_status()
            uplink = (status or {}).get("uplink", {})
            self._scene.on_gauge({"up": False} if status is None else {
                "up": True, "pending_events": status.get("pending_events"), "committed_seq": status.get("committed_seq"),
                "next_seq": status.get("next_seq"), "epoch": (status.get("epoch") or "")[:8], "connected": uplink.get("connected"),
                "pending_amounts": status.get("pending_amounts") or []})


def _wish_error(wish: dict, readers) -> str | None:
    known = {"link": ("cut", "heal"), "gateway": ("kill", "start"), "tap": (True,)}
    if set(wish) == {"reader", "paused"}:
        if wish["reader"] not in readers or not isinstance(wish["paused"], bool):
            return f"reader: one of {', '.join(readers)}; paused: true or false"
        return None
    if len(wish) != 1 or (name := next(iter(wish))) not in known:
        return "one of link, gateway, tap, or reader with paused"
    if wish[name] not in known[name]:
        return f"{name}: {' or '.join(map(str, known[name]))}".lower()
    return None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "you"


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev demo", description="Builds Tillstream and shows it at work on a live page.",
                                     allow_abbrev=False)
    parser.add_argument("--seconds", type=float, default=None, metavar="N", help="run N seconds, count, and end (default: until Ctrl-C)")
    parser.add_argument("--port", type=int, default=PORT, metavar="P", help=f"the page's port on 127.0.0.1 (default {PORT}; 0: any free one)")
    parser.add_argument("--kafka", action="store_true", help="a real Apache Kafka as the stream, instead of the embedded one")
    parser.add_argument("--iso8583", action="store_true", help="tills that speak ISO 8583 (packed digits, TPDU) instead of JSON over HTTP")
    parser.add_argument("--bin", default=os.environ.get("TILLSTREAM_BIN"), metavar="DIR",
                        help="run these binaries and build nothing (default: $TILLSTREAM_BIN)")
    parser.add_argument("--seed", type=int, default=None, metavar="N", help="repeat a run's purchases")
    options, strange = parser.parse_known_args(arguments)
    if strange:
        near = difflib.get_close_matches(strange[0].partition("=")[0], ("--seconds", "--port", "--kafka", "--iso8583", "--bin", "--seed", "--help"), 1, 0)
        parser.error(f"unknown: {strange[0]}; the nearest known one is {near[0]}")
    if not 0 <= options.port <= 65535:
        parser.error("--port: 0 to 65535")
    if options.seconds is not None and not 1 <= options.seconds < 1e7:
        parser.error("--seconds: 1 to 9999999; without it the demo runs until Ctrl-C")
    return options


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    try:
        conductor = Conductor(options)
    except CannotServe as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return conductor.run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
