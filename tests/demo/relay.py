"""Relay: the wire between gateway and broker, with a pair of scissors.

Cut: every connection is closed, and a new one is refused, as when a router is unplugged. The port stays ours: a socket that is
bound and does not listen refuses, so healing never finds the port taken.
"""
from __future__ import annotations

import socket
import threading

CHUNK_BYTES = 64 * 1024
CONNECTIONS_MAX = 64


def _quietly_close(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)  # wakes a thread that waits in recv or accept
    except OSError:
        pass
    sock.close()


class Relay:
    def __init__(self, port: int, target: tuple[str, int]) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._listener = self._bound(port)
        self.port: int = self._listener.getsockname()[1]
        self.connected = True
        self._listen()

    @staticmethod
    def _bound(port: int) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
        return sock

    def _listen(self) -> None:
        self._listener.listen(16)
        threading.Thread(target=self._accept, args=(self._listener,), name="relay", daemon=True).start()

    def cut(self) -> None:
        with self._lock:
            if not self.connected:
                return
            self.connected = False
            _quietly_close(self._listener)
            self._listener = self._bound(self.port)
            sockets, self._sockets = self._sockets, set()
        for sock in sockets:
            _quietly_close(sock)

    def heal(self) -> None:
        with self._lock:
            if self.connected:
                return
            self.connected = True
            self._listen()

    def close(self) -> None:
        self.cut()
        self._listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._join, args=(client,), name="relay", daemon=True).start()

    def _join(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target, timeout=5)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        for sock in (client, server):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            admitted = self.connected and len(self._sockets) < 2 * CONNECTIONS_MAX
            if admitted:
                self._sockets |= {client, server}
        if not admitted:
            client.close()
            server.close()
            return
        threading.Thread(target=self._pump, args=(server, client), name="relay", daemon=True).start()
        self._pump(client, server)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while chunk := source.recv(CHUNK_BYTES):
                sink.sendall(chunk)
        except OSError:
            pass
        with self._lock:
            self._sockets -= {source, sink}
        _quietly_close(source)
        _quietly_close(sink)
