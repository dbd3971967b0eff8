"""The framed terminal protocol by hand: 4 bytes of length, then protobuf; and Prometheus' text format, read strictly."""
import re
import struct


def varint(number):
    out = bytearray()
    while True:
        out.append(number & 0x7F | (0x80 if number > 0x7F else 0))
        number >>= 7
        if not number:
            return bytes(out)


SUBMIT = {"type": 1, "terminal_id": 2, "terminal_ref": 3, "occurred_at": 4, "merchant_name": 6, "merchant_city": 7, "batch_no": 11, "amount_minor": 12, "currency": 13,
          "outcome": 18, "card_number": 20, "card_token": 23, "auth_code": 31, "rrn": 32, "original_ref": 34, "reason": 37, "attributes": 38}
ANSWER = {1: "status", 2: "event_id", 3: "epoch", 4: "seq", 5: "duplicate", 6: "error_code", 7: "error_field", 8: "error_message",
          9: "retry_after_seconds"}


def submit(event):
    """An event as the payload of a frame. Texts may be bytes, so that they can be wrong."""
    out = b""
    for name, value in event.items():
        if isinstance(value, dict):
            for pair in value.items():
                entry = b"".join(varint(number << 3 | 2) + varint(len(text.encode())) + text.encode() for number, text in enumerate(pair, 1))
                out += varint(SUBMIT[name] << 3 | 2) + varint(len(entry)) + entry
        elif isinstance(value, int):
            out += varint(SUBMIT[name] << 3) + varint(value)
        else:
            text = value if isinstance(value, bytes) else value.encode()
            out += varint(SUBMIT[name] << 3 | 2) + varint(len(text)) + text
    return out


def frame(payload):
    return struct.pack(">I", len(payload)) + payload


def _read_varint(data, at):
    number, shift = 0, 0
    while True:
        number |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not data[at - 1] & 0x80:
            return number, at


def answer(payload):
    out, at = {}, 0
    while at < len(payload):
        tag, at = _read_varint(payload, at)
        if tag & 7 == 0:
            value, at = _read_varint(payload, at)
        else:
            assert tag & 7 == 2, payload
            length, at = _read_varint(payload, at)
            value, at = payload[at:at + length].decode(), at + length
        out[ANSWER[tag >> 3]] = value
    return out


class FramedLine:
    """One connection of a framed terminal."""

    def __init__(self, sock):
        self.sock, self.buffer = sock, b""

    def send(self, *payloads):
        self.sock.sendall(b"".join(frame(payload) for payload in payloads))

    def answer(self):
        """The next answer; None when the gateway has closed the connection."""
        while len(self.buffer) < 4 or len(self.buffer) < 4 + struct.unpack(">I", self.buffer[:4])[0]:
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                assert self.buffer == b"", "closed in the middle of an answer"
                return None
            self.buffer += data
        end = 4 + struct.unpack(">I", self.buffer[:4])[0]
        payload, self.buffer = self.buffer[4:end], self.buffer[end:]
        return answer(payload)

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


_SAMPLE = re.compile(r'^([a-z_][a-z0-9_]*)(?:\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)*)\})? (\S+)$')
_LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


def parse_metrics(text):
    """{family: (type, {(name, labels): value})}. Fails at whatever Prometheus, or a person who reads HELP, would stumble over."""
    families, family, kind = {}, None, None
    helped = None
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            helped, words = line.split(" ", 3)[2:]
            assert words.strip(), f"{helped}: HELP says nothing"
        elif line.startswith("# TYPE "):
            family, kind = line.split(" ")[2:]
            assert family == helped, f"TYPE {family} does not follow its HELP"
            assert family not in families, f"{family} is announced twice"
            assert kind in ("counter", "gauge", "histogram"), line
            assert (kind == "counter") == family.endswith("_total"), f"{family} is a {kind}"
            families[family] = (kind, {})
        else:
            match = _SAMPLE.match(line)
            assert match, f"no sample: {line!r}"
            name, labels, value = match[1], tuple(_LABEL.findall(match[2] or "")), float(match[3])
            allowed = {family} if kind != "histogram" else {family + "_bucket", family + "_sum", family + "_count"}
            assert name in allowed, f"{name} stands under {family}"
            samples = families[family][1]
            assert (name, labels) not in samples, f"{name}{labels} twice"
            samples[(name, labels)] = value
    for family, (kind, samples) in families.items():
        assert samples, f"{family} has no sample"
        if kind == "histogram":
            _check_histogram(family, samples)
    return families


def _check_histogram(family, samples):
    buckets = [(dict(labels)["le"], value) for (name, labels), value in samples.items() if name == family + "_bucket"]
    bounds = [float(bound) for bound, _ in buckets]
    counts = [count for _, count in buckets]
    assert bounds == sorted(bounds) and bounds[-1] == float("inf"), bounds
    assert counts == sorted(counts), f"{family}: buckets are cumulative"
    assert counts[-1] == samples[(family + "_count", ())], family
    assert samples[(family + "_sum", ())] >= 0
