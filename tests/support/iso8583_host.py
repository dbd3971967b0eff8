"""An acquirer's host, scripted: answers requests in ISO 8583:1987 in ASCII behind a two-byte length, as iso8583_terminal speaks it."""
import socket
import struct
import threading

from iso8583_terminal import decode, encode

ECHOED = (3, 4, 7, 11, 12, 13, 37, 41, 42, 49, 70)


def response_mti(mti):
    return mti[:2] + str(int(mti[2]) + 1) + "0"


def approve(mti, fields):
    """The usual answer; a script may give another one, None for silence, or a list of messages."""
    return response_mti(mti), {number: fields[number] for number in ECHOED if number in fields} | {38: "A1B2C3", 39: "00"}


class Listener:
    """Takes connections until it is closed, each in a thread of its own."""

    def __init__(self, serve):
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()


class Host:
    def __init__(self, script=approve, context=None):
        self.script, self.context = script, context
        self.asked = []
        self._open = []
        self._listener = Listener(self._serve)
        self.port = self._listener.port

    def close(self):
        self._listener.close()
        for line in list(self._open):
            line.close()

    def _serve(self, line):
        try:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.context:
                line = self.context.wrap_socket(line, server_side=True)
            self._open.append(line)
            data = b""
            while True:
                more = line.recv(65536)
                if not more:
                    break
                data += more
                while len(data) >= 2 and len(data) >= 2 + struct.unpack(">H", data[:2])[0]:
                    length = struct.unpack(">H", data[:2])[0]
                    message, data = data[2:2 + length], data[2 + length:]
                    self._answer(line, message)
        except (OSError, ValueError):
            pass
        line.close()

    def _answer(self, line, message):
        mti, fields = decode(message)
        self.asked.append((mti, fields))
        answers = self.script(mti, fields)
        for answer in answers if isinstance(answers, list) else [answers] if answers else []:
            encoded = encode(*answer)
            line.sendall(struct.pack(">H", len(encoded)) + encoded)
