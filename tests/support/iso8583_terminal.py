"""A terminal that speaks ISO 8583:1987 in ASCII with a hex bitmap behind a two-byte length, written apart from the program's own codec."""
import socket
import struct

# Fields of fixed length; those with a negative one have so many digits of length before them.
LENGTHS = {2: -2, 3: 6, 4: 12, 7: 10, 11: 6, 12: 6, 13: 4, 14: 4, 18: 4, 22: 3, 24: 3, 25: 2, 32: -2, 35: -2, 37: 12, 38: 6, 39: 2, 41: 8,
           42: 15, 43: 40, 45: -2, 48: -3, 49: 3, 50: 3, 52: 16, 54: -3, 55: -3, 60: -3, 62: -3, 63: -3, 66: 1, 70: 3, 74: 10, 75: 10, 76: 10, 77: 10,
           86: 16, 87: 16, 88: 16, 89: 16, 90: 42, 95: 42, 97: 17}


def encode(mti: str, fields: dict[int, str]) -> bytes:
    bits = 0
    for number in fields:
        bits |= 1 << (128 - number)
    wide = any(number > 64 for number in fields)
    if wide:
        bits |= 1 << 127
    text = mti + f"{bits:032X}"[: 32 if wide else 16]
    for number in sorted(fields):
        value, length = fields[number], LENGTHS[number]
        if length > 0:
            assert len(value) == length, (number, value)
            text += value
        else:
            # Binary fields count bytes and are written in hex.
            count = len(value) // 2 if number == 55 else len(value)
            text += f"{count:0{-length}d}" + value
    return text.encode("latin-1")


def decode(message: bytes) -> tuple[str, dict[int, str]]:
    text = message.decode("latin-1")
    bits, at = int(text[4:20], 16) << 64, 20
    if bits >> 127:
        bits, at = bits | int(text[20:36], 16), 36
    fields = {}
    for number in range(2, 129):
        if not bits >> (128 - number) & 1:
            continue
        length = LENGTHS[number]
        if length < 0:
            digits = -length
            length, at = int(text[at:at + digits]), at + digits
        fields[number] = text[at:at + length]
        at += length
    assert at == len(text), "bytes behind the last field"
    return text[:4], fields


class Line:
    """One connection to the gateway; closed by leaving a with-statement."""

    def __init__(self, port: int, seconds: float = 10):
        self.socket = socket.create_connection(("127.0.0.1", port), seconds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, message: bytes) -> None:
        self.socket.sendall(struct.pack(">H", len(message)) + message)

    def receive(self) -> bytes | None:
        """The next message; None: the gateway has closed the line."""
        head = self._exactly(2)
        return None if head is None else self._exactly(struct.unpack(">H", head)[0])

    def ask(self, mti: str, fields: dict[int, str]) -> tuple[str, dict[int, str]] | None:
        self.send(encode(mti, fields))
        answer = self.receive()
        return None if answer is None else decode(answer)

    def _exactly(self, count: int) -> bytes | None:
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                return None
            data += more
        return data


def advice(stan: int, amount: int = 1250, terminal: str = "TERM0001", **changed: str) -> dict[int, str]:
    """A sale that has happened; fields as f37="…"."""
    fields = {3: "000000", 4: f"{amount:012d}", 7: "1123110901", 11: f"{stan:06d}", 12: "120901", 13: "1123", 22: "051", 25: "00",
              37: f"6327{stan:08d}", 38: "A1B2C3", 39: "00", 41: terminal, 42: "MERCHANT0000001", 49: "978"}
    return fields | {int(name[1:]): value for name, value in changed.items()}


def settlement(stan: int, sales=(0, 0), refunds=(0, 0), reversals=(0, 0), terminal: str = "TERM0001", **changed: str) -> dict[int, str]:
    """A terminal's totals, each as (count, amount)."""
    fields = {3: "920000", 7: f"1123{stan % 1000000:06d}", 11: f"{stan:06d}", 41: terminal, 42: "MERCHANT0000001",
              76: f"{sales[0]:010d}", 88: f"{sales[1]:016d}", 74: f"{refunds[0]:010d}", 86: f"{refunds[1]:016d}",
              77: f"{reversals[0]:010d}", 89: f"{reversals[1]:016d}"}
    return fields | {int(name[1:]): value for name, value in changed.items()}
