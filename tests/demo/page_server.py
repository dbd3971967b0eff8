"""PageServer: the live page on loopback.

  GET /        the page            GET /state    the whole board as JSON
  GET /events  changes (SSE)       POST /switch  {"link":"cut"|"heal"} {"gateway":"kill"|"start"}
                                                 {"reader":NAME,"paused":BOOL} {"tap":true}

Only a page from this very server may throw a switch: the Host must be a loopback name, and a body that is not
application/json is refused, so that a foreign page's form or a rebound name gets nowhere.
"""
from __future__ import annotations

import errno
import json
import queue
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from board import Board

PAGE = Path(__file__).with_name("index.html")
BODY_BYTES_MAX = 4096
HEARTBEAT_SECONDS = 10.0
LOOPBACK_NAMES = {"127.0.0.1", "localhost", "[::1]"}

Switch = Callable[[dict], str | None]  # an error for people, or None when it was thrown


class CannotServe(Exception):
    """The page cannot be served; the text names the cause and the remedy."""


def _remedy(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (f"port {port} is taken (see who holds it: ss -ltnp 'sport = :{port}'); "
                f"end that, or take another: ./dev demo --port {port + 1 if port < 65535 else 8480}, or --port 0 for any free one")
    if error.errno == errno.EACCES:
        return f"no permission to listen on port {port}: ports below 1024 are root's; take another: ./dev demo --port 8480"
    return f"cannot listen on 127.0.0.1:{port}: {error.strerror or error}"


class PageServer:
    def __init__(self, board: Board, switch: Switch, port: int) -> None:
        handler = type("BoundRequests", (Requests,), {"board": board, "switch": staticmethod(switch)})
        try:
            self._server = _Server(("127.0.0.1", port), handler)
        except OSError as error:
            raise CannotServe(_remedy(error, port)) from error
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="page", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address) -> None:
        """A browser that leaves in the middle is no news."""


class Requests(BaseHTTPRequestHandler):
    board: Board
    switch: Switch
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 30

    def log_message(self, *_) -> None:
        pass

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if not self._from_here():
            self._answer(403, "text/plain", b"open this page by 127.0.0.1 or localhost\n")
        elif path == "/":
            self._answer(200, "text/html; charset=utf-8", PAGE.read_bytes())
        elif path == "/state":
            self._json(200, self.board.snapshot())
        elif path == "/events":
            self._follow()
        else:
            self._answer(404, "text/plain", b"not here\n")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > BODY_BYTES_MAX:
            self.close_connection = True
            self._json(413, {"error": f"a switch takes at most {BODY_BYTES_MAX} bytes, with a Content-Length"})
            return
        body = self.rfile.read(int(length))
        if not self._from_here():
            self._json(403, {"error": "only from 127.0.0.1 or localhost"})
        elif self.path != "/switch":
            self._json(404, {"error": "not here"})
        elif self.headers.get_content_type() != "application/json":
            self._json(415, {"error": "application/json, please"})
        else:
            self._throw(body)

    def _throw(self, body: bytes) -> None:
        try:
            wish = json.loads(body)
        except ValueError:
            wish = None
        error = self.switch(wish) if isinstance(wish, dict) else "a JSON object, please"
        self._json(400 if error else 200, {"error": error} if error else {"done": True})

    def _from_here(self) -> bool:
        return self.headers.get("Host", "").rpartition(":")[0] in LOOPBACK_NAMES or self.headers.get("Host") in LOOPBACK_NAMES

    def _json(self, status: int, value: dict) -> None:
        self._answer(status, "application/json", json.dumps(value, ensure_ascii=False).encode() + b"\n")

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
                         "connect-src 'self'; img-src data:; frame-ancestors 'none'")
        self.end_headers()
        self.wfile.write(body)

    def _follow(self) -> None:
        joined = self.board.join()
        if joined is None:
            self._answer(503, "text/plain", b"too many browsers are looking already\n")
            return
        viewer, whole = joined
        self.close_connection = True
        try:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(f"retry: 1000\ndata: {whole}\n\n".encode())
            while not viewer.lost and (change := self._next(viewer)) is not None:
                self.wfile.write(change)
        except OSError:
            pass  # the browser has gone
        finally:
            self.board.leave(viewer)

    @staticmethod
    def _next(viewer) -> bytes | None:
        try:
            change = viewer.changes.get(timeout=HEARTBEAT_SECONDS)
        except queue.Empty:
            return b": still here\n\n"
        return None if change is None else f"data: {change}\n\n".encode()
