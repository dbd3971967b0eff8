"""Messages in any of the dialects that come with the program: written from the dialect's file, apart from the program's own codec."""
import pathlib
import re
import struct
import tomllib

DIALECTS = pathlib.Path(__file__).parents[2] / "firmware-gateway/terminal/iso8583/dialects"


def load(name):
    tables = tomllib.loads((DIALECTS / f"{name}.toml").read_text())
    if "extends" not in tables:
        return {"odd_fixed": "left:0", "odd_var": "right:0", **tables}
    dialect = load(tables["extends"])
    fields = {number: {**dialect["field"].get(number, {}), **keys} for number, keys in tables.get("field", {}).items()}
    return {**dialect, **tables, "field": {**dialect["field"], **fields}}


def characters(text, coding):
    return text.encode({"ascii": "ascii", "latin-1": "latin-1"}.get(coding, coding))


def packed(digits, pad):
    side, filler = pad.split()[0].rstrip("*").split(":")
    if len(digits) % 2:
        digits = filler + digits if side == "left" else digits + filler
    return bytes.fromhex(digits)


class Dialect:
    def __init__(self, name):
        self.name, self.tables = name, load(name)

    def message(self, mti, fields):
        """Binary fields (b) as hex."""
        wide = max(fields) > 64
        bits = sum(1 << (128 - number) for number in fields) | wide << 127
        bitmap = bits.to_bytes(16, "big")[:16 if wide else 8]
        if (coding := self.tables["bitmap"]) != "binary":
            bitmap = characters(bitmap.hex().upper(), coding)
        head = self._digits(mti, self.tables["mti"], "left:0") + bitmap
        return head + b"".join(self._field(number, fields[number]) for number in sorted(fields))

    def frame(self, message):
        """Behind its length, and a header where the dialect has one."""
        framing = self.tables["framing"]
        header = self._header(framing)
        return struct.pack(">H", len(header + message)) + bytes(framing.get("extra_bytes", 0)) + header + message

    def answered(self, frame):
        """The frame of a request as that of a response that says the same."""
        framing = self.tables["framing"]
        at = 2 + framing.get("extra_bytes", 0) + len(self._header(framing))
        at, step = (at + 1, 0x10) if self.tables["mti"] == "bcd" else (at + 2, 1)
        return frame[:at] + bytes([frame[at] + step & 0xFF]) + frame[at + 1:] if len(frame) > at else frame

    @staticmethod
    def _header(framing):
        return {"tpdu": bytes.fromhex("6000108001"), "visanet": bytes([22]) + bytes(21)}.get(framing.get("header"), b"")

    def _digits(self, digits, coding, pad):
        return packed(digits, pad) if coding == "bcd" else characters(digits, coding)

    def _field(self, number, value):
        keys = self.tables["field"][str(number)]
        kind, dots, length = re.fullmatch(r"([a-z+]+)(\.*)(\d+)", keys["fmt"]).groups()
        pad = keys.get("pad", self.tables["odd_var" if dots else "odd_fixed"])
        count = len(value)
        if kind == "b":
            raw = keys.get("data", self.tables["binary"]) == "raw"
            content = bytes.fromhex(value) if raw else characters(value, self.tables["mti"])
            count = len(content)
        elif kind == "z" and self.tables.get("track", self.tables["numeric"]) == "bcd":
            content = packed(value.replace("=", "D"), pad)
        elif kind == "z":
            content = characters(value, self.tables.get("track", self.tables["numeric"]))
        elif kind == "n":
            value = value if dots else value.zfill(int(length))
            content = self._digits(value, self.tables["numeric"], pad)
        else:
            content = characters(value, self.tables["text"])
        return content if not dots else self._length(count, len(dots)) + content

    def _length(self, count, digits):
        coding = self.tables["var_len"]
        if coding == "binary":
            return bytes([count])
        return self._digits(f"{count:0{digits}d}", coding, "left:0")
