"""A consumer of server-sent events, as a browser is one: it reconnects by itself and says what it saw last."""
import contextlib
import http.client
import json
import socket
import threading
import time


class Follower(threading.Thread):
    """Everything that comes, until close(). One that starts with last_id goes on behind it."""

    def __init__(self, port, query="", last_id=None):
        super().__init__(daemon=True)
        self.port, self.query, self.last_id = port, query, last_id
        self.records, self.removed, self.comments, self.refusals, self.connects = [], [], [], [], 0
        self._halt, self._socket = threading.Event(), None
        self.start()

    def run(self):
        while not self._halt.is_set():
            try:
                self._follow()
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.05)

    def _follow(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
            connection.connect()
            self._socket = connection.sock
            connection.request("GET", "/v1/events" + self.query, headers=headers)
            response = connection.getresponse()
            if response.status != 200:
                self.refusals.append((response.status, response.read().decode()))
                return
            self.connects += 1
            block = []
            while not self._halt.is_set():
                line = response.readline()
                if not line.endswith(b"\n"):  # cut off: what is not whole does not count
                    return
                text = line.decode().rstrip("\n")
                if text:
                    block.append(text)
                    continue
                self._take(block)
                block = []
        finally:
            connection.close()

    def _take(self, block):
        fields = [line.partition(":")[::2] for line in block]
        values = {name: value.strip() for name, value in fields if name}
        self.comments += [value.strip() for name, value in fields if not name]
        if "data" in values:
            (self.removed if values.get("event") == "removed" else self.records).append(json.loads(values["data"]))
        self.last_id = values.get("id", self.last_id)

    def ids(self):
        return [record["event_id"] for record in self.records]

    def close(self):
        """At once, also while nothing comes."""
        self._halt.set()
        while self.is_alive():
            with contextlib.suppress(OSError, AttributeError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self.join(0.1)
