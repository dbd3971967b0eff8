"""Card data that is known, so that it can be searched for: card numbers that pass Luhn, tracks, PIN blocks, verification values.

Everything is made up. Digits are found as text (also in groups), EBCDIC, UTF-16, hex of either, packed BCD and base64; eleven
of them in a row are a finding (first six and last four may be shown: PCI DSS 3.4.1), so that a number which is half overwritten is found, too.
"""
import base64
import ctypes
import os
import pathlib
import platform
import re

# Leading digits and lengths, as terminals see them.
BRANDS = [("4", 16), ("51", 16), ("2221", 16), ("37", 15), ("6011", 16), ("3528", 16), ("36", 14), ("62", 16), ("5018", 19), ("4", 19), ("6304", 18)]
DIGITS_MIN = 11
# How every PIN block begins; and every verification value and cardholder.
PIN_BLOCK, WORD = "C5A7E93D1B", "KANARIENVOGEL"


def luhn_digit(digits):
    doubled = [int(d) for d in reversed(digits)]
    return -sum(d if i % 2 else sum(divmod(2 * d, 10)) for i, d in enumerate(doubled)) % 10


class Canaries:
    def __init__(self, rng):
        self.rng, self.sent, self._windows = rng, 0, {}

    def pan(self, length=None, luhn=True):
        """A new one, of a brand in turn; without zeros, which memory is full of."""
        begin, usual = BRANDS[self.sent % len(BRANDS)]
        rest = (length or usual) - len(begin) - 1
        body = begin + "".join(self.rng.choice("123456789") for _ in range(rest))
        pan = body + str((luhn_digit(body) + (0 if luhn else 5)) % 10)
        return self._know(pan, f"card number {self.sent}")

    def track2(self, pan=None, separator="="):
        data = "".join(self.rng.choice("123456789") for _ in range(12))
        pan = pan or self.pan()
        self._know(data, f"track data {self.sent}")
        return f"{pan}{separator}2912201{data}"[:37]

    def track1(self, pan=None):
        data = "".join(self.rng.choice("123456789") for _ in range(12))
        return f"B{pan or self.pan()}^{WORD}/{self.sent}^2912201{self._know(data, f'track data {self.sent}')}"

    def pin_block(self):
        self.sent += 1
        return f"{PIN_BLOCK}{self.sent:06X}"

    def cvv(self):
        self.sent += 1
        return f"{WORD}{self.sent}"

    def emv(self, pan=None):
        """Tags 5A, 57 and 5F20 among harmless ones, as hex."""
        pan = pan or self.pan()
        track = self.track2(pan, "D")
        packed = [digits + "F" * (len(digits) % 2) for digits in (pan, track)]
        name = f"{WORD}/{self.sent}".encode().hex().upper()
        tags = ("9C", "00"), ("5A", packed[0]), ("57", packed[1]), ("5F20", name), ("9F02", "000000001250"), ("5F2A", "0978")
        return "".join(f"{tag}{len(value) // 2:02X}{value}" for tag, value in tags)

    def _know(self, digits, name):
        self.sent += 1
        for at in range(len(digits) - DIGITS_MIN + 1):
            self._windows[digits[at:at + DIGITS_MIN].encode()] = name
        return digits

    def find(self, data, where):
        """What of it is in the bytes: at most a few findings a form, each saying what, in which form, and where."""
        findings = []
        for form, at, digits in digit_runs(data):
            found = [self._windows.get(digits[i:i + DIGITS_MIN]) for i in range(len(digits) - DIGITS_MIN + 1)]
            if form == "BCD":
                # Any bytes can be packed digits: one more of them, for chance to be out of the question.
                found = [name for name, after in zip(found, found[1:]) if after]
            findings += [f"{name} ({form}) in {where} at {at}: {around(data, at)}" for name in sorted(set(found) - {None})]
        for what, forms in MARKS:
            findings += [f"{what} in {where} at {at}: {around(data, at)}" for form in sorted(forms) if (at := data.find(form)) >= 0]
        return findings


def around(data, at):
    return bytes(data[max(0, at - 48):at + 64])


def b64_inner(text):
    """What stands in base64 of any text with these bytes in it: one a position."""
    coded = [(shift, base64.b64encode(bytes(shift) + text + bytes(2))) for shift in range(3)]
    return [code[-(-8 * shift // 6):8 * (shift + len(text)) // 6] for shift, code in coded]


def written(word):
    """A word in all its forms; UTF-16 in either order."""
    raw, ebcdic = word.encode(), word.encode("cp500")
    hexes = {text.hex().encode() for text in (raw, ebcdic)}
    return {raw, raw.lower(), ebcdic, word.encode("utf-16-le")[:-1], *hexes, *(text.upper() for text in hexes), *b64_inner(raw)}


# (what, its forms)
MARKS = [("PIN block", written(PIN_BLOCK) | {bytes.fromhex(PIN_BLOCK), *b64_inner(bytes.fromhex(PIN_BLOCK))}), ("CVV or cardholder", written(WORD))]


def table(**classes):
    """For bytes.translate: each byte as the letter of its class; those of none as a point."""
    letters = bytearray(b"." * 256)
    for letter, members in classes.items():
        for member in members:
            letters[member] = ord(letter)
    return bytes(letters)


# Searching what translate() made is quick, searching with an expression is not.
_TEXT = table(d=b"0123456789", f=b"Ff", z=b"\0", s=b" -", e=range(0xF0, 0xFA))
# Bytes of two digits; 00 is none of them: memory is full of it, and no canary holds it.
_PACKED = table(p=[16 * a + b for a in range(10) for b in range(10) if a or b])
# Three digits are four characters: 0011xxxx 0011xxxx 0011xxxx.
_BASE64 = table(q=b"MNODTjzAEIQUYcgkwxy012345")
_THREE_DIGITS = re.compile(rb"(?:[MNO][DTjz][AEIMQUYcgk][w-z0-5]){4,}")

# (form, table, what it looks like, all of it from there, its digits)
_RUNS = [
    ("text", _TEXT, b"d" * 11, re.compile(rb"[0-9]+"), bytes),
    ("groups", _TEXT, b"dddsdddd", re.compile(rb"(?:[0-9]+[ -])+[0-9]+"), lambda run: run.replace(b" ", b"").replace(b"-", b"")),
    ("EBCDIC", _TEXT, b"e" * 11, re.compile(rb"[\xf0-\xf9]+"), lambda run: bytes(c & 0x3F for c in run)),
    ("UTF-16", _TEXT, b"dz" * 10 + b"d", re.compile(rb"(?:[0-9]\0)+[0-9]"), lambda run: run[::2]),
    ("hex of text", _TEXT, b"d" * 22, re.compile(rb"(?:3[0-9])+"), lambda run: run[1::2]),
    ("hex of text", _TEXT, b"d" * 22, re.compile(rb"[0-9](?:3[0-9])+"), lambda run: run[2::2]),
    ("hex of EBCDIC", _TEXT, b"fd" * 11, re.compile(rb"(?:[Ff][0-9])+"), lambda run: run[1::2]),
    ("BCD", _PACKED, b"p" * 6, re.compile(rb"[^\0]+"), lambda run: re.match(rb"[0-9]*", run.hex().encode())[0]),
    ("base64", _BASE64, b"q" * 16, re.compile(rb"[A-Za-z0-5]+"), lambda run: b" ".join(base64.b64decode(found) for found in _THREE_DIGITS.findall(run))),
]


def digit_runs(data):
    translated = {}
    for form, by, look, whole, digits_of in _RUNS:
        letters = translated.setdefault(by, data.translate(by))
        at = letters.find(look)
        while at >= 0:
            match = whole.match(data, at)
            if match:
                yield form, at, digits_of(match[0])
            at = letters.find(look, match.end() if match and match.end() > at else at + 1)


def registers_of(pid):
    """All that a process' threads hold in registers while they wait, as a debugger reads it."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = (ctypes.c_long,) * 4

    def ask(request, thread, address=0, data=0):
        if libc.ptrace(request, thread, address, data) != 0:
            raise OSError(ctypes.get_errno(), f"ptrace {request:x} of {thread}")

    seize, interrupt, get_register_set, detach, any_child = 0x4206, 0x4207, 0x4204, 17, 0x40000000
    general, vector = 1, 0x202 if platform.machine() == "x86_64" else 2
    for thread in map(int, os.listdir(f"/proc/{pid}/task")):
        ask(seize, thread)
        ask(interrupt, thread)
        os.waitpid(thread, any_child)
        for kind in (general, vector):
            held = ctypes.create_string_buffer(1 << 14)
            place = (ctypes.c_size_t * 2)(ctypes.addressof(held), len(held))
            ask(get_register_set, thread, kind, ctypes.addressof(place))
            yield f"registers of thread {thread}", held.raw[:place[1]]
        ask(detach, thread)


PAGE = 4096
# What is larger is a sanitizer's shadow: an eighth of the address space, and none of it data.
MAPPING_MAX = 1 << 36


def memory_of(pid):
    """The pages that a process can write and that are there, pages in a row together, and its registers: (where, bytes)."""
    yield from registers_of(pid)
    maps = pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines()
    with open(f"/proc/{pid}/mem", "rb", 0) as memory, open(f"/proc/{pid}/pagemap", "rb", 0) as pagemap:
        for line in maps:
            span, rights, *_, name = line.split(maxsplit=5) if line.count(" ") > 5 else [*line.split(), ""]
            begin, end = (int(address, 16) for address in span.split("-"))
            if not rights.startswith("rw") or end - begin > MAPPING_MAX:
                continue
            for first, count in present(pagemap, begin // PAGE, end // PAGE):
                memory.seek(first * PAGE)
                yield f"{name or 'memory'} {first * PAGE:x}", memory.read(count * PAGE)


def present(pagemap, first, last, pages_max=4096):
    """Runs of pages that are in memory or in swap: (first page, count)."""
    pagemap.seek(8 * first)
    for page in range(first, last, 1 << 16):
        flags = pagemap.read(8 * min(1 << 16, last - page))[7::8]
        for match in re.finditer(rb"[\x40-\xff]{1,%d}" % pages_max, flags, re.DOTALL):
            yield page + match.start(), match.end() - match.start()
