#!/usr/bin/env python3
"""Makes pyiso8583_cases.json: random message descriptions, messages that pyiso8583 writes for them, and the same messages damaged,
with what pyiso8583 reads from them (null: it refuses).

    pip install --target /tmp/py pyiso8583==4.0.1
    PYTHONPATH=/tmp/py ./make_pyiso8583_cases.py > pyiso8583_cases.json

Left out are damaged messages that pyiso8583 takes and no other library would: an MTI that is not four digits, a length that Python's
int() reads but that is not digits alone, a bitmap with blanks among its digits.
"""
import importlib.util
import json
import pathlib
import random

import iso8583

SEED = 8583
SPECS = 80
MESSAGES = 2
MUTANTS = 6
CHARSETS = ["ascii", "latin-1", "cp500", "cp037", "cp1140", "cp273", "utf-8", "cp1252", "iso8859-15", "cp850", "cp1251"]
CONVERTER = pathlib.Path(__file__).parents[3] / "firmware-gateway/terminal/iso8583/dialects/from_pyiso8583.py"


def converter():
    spec = importlib.util.spec_from_file_location("from_pyiso8583", CONVERTER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def characters(charset):
    if charset == "utf-8":
        return [chr(c) for c in list(range(0x20, 0x7F)) + [0xE9, 0x20AC, 0x1F4B3]]
    found = []
    for byte in range(256):
        try:
            found.append(bytes([byte]).decode(charset))
        except UnicodeDecodeError:
            pass
    return found


def random_row(rng, charsets):
    data_enc = rng.choice(["b", rng.choice(charsets)])
    len_type = rng.choice([0, 0, 1, 2, 3, 4])
    row = {"data_enc": data_enc, "len_enc": rng.choice(["b", "bcd", rng.choice(charsets)]), "len_type": len_type,
           "max_len": rng.choice([1, 2, 3, 7, 8, 12, 19, 37, 60])}
    if rng.random() < 0.6:
        row["len_count"] = rng.choice(["bytes", "nibbles"])
    if rng.random() < 0.6:
        row["left_pad"] = rng.choice(["0", "F", "", "5", "*"])
    if rng.random() < 0.6:
        row["right_pad"] = rng.choice(["0", "F", "", "A"])
    return row


def random_spec(rng):
    charsets = rng.sample(CHARSETS, 3)
    code = lambda: rng.choice(["b", rng.choice(charsets)])
    spec = {"h": random_row(rng, charsets) | {"max_len": rng.choice([0, 0, 3, 9])},
            "t": {"data_enc": code(), "len_enc": "ascii", "len_type": 0, "max_len": 4},
            "p": {"data_enc": code(), "len_enc": "ascii", "len_type": 0, "max_len": 8},
            "1": {"data_enc": code(), "len_enc": "ascii", "len_type": 0, "max_len": 8}}
    top = rng.choice([64, 128, 192])
    for number in sorted(rng.sample([n for n in range(2, top + 1) if n != 65], 9)):
        spec[str(number)] = random_row(rng, charsets)
    return spec


def random_value(rng, row):
    """A value that the row may be able to say; the caller tries again when it cannot."""
    nibbles = row.get("len_count") == "nibbles"
    length = row["max_len"]
    if row["len_type"] != 0:
        length = rng.choice([0, 1, length, rng.randint(0, length)])
    if row["data_enc"] == "b":
        return "".join(rng.choice("0123456789" + rng.choice(["", "ABCDEF"])) for _ in range(length if nibbles else 2 * length))
    count = length // 2 if nibbles else length
    return "".join(rng.choice(characters(row["data_enc"])) for _ in range(count))


def random_message(rng, spec):
    numbers = [key for key in spec if key.isdecimal() and key != "1"]
    fields = {"t": f"{rng.randrange(10000):04}"}
    if spec["h"]["max_len"] > 0:
        fields["h"] = random_value(rng, spec["h"])
    for number in rng.sample(numbers, rng.randint(0, len(numbers))):
        value = random_value(rng, spec[number])
        try:
            iso8583.encode({"t": "0200", "h": fields.get("h", "")} | {number: value}, spec)
        except iso8583.EncodeError:
            continue
        fields[number] = value
    return fields


def fields_of(decoded):
    return {key: value for key, value in decoded.items() if key not in ("p", "1")}


def is_plain(decoded, encoded, spec):
    """Whether MTI and all lengths are digits alone, and bitmaps hex digits."""
    if not (decoded["t"].isascii() and decoded["t"].isdigit()):
        return False
    if any(character.isspace() for bitmap in ("p", "1") for character in decoded.get(bitmap, "")):
        return False
    for key, parts in encoded.items():
        code = spec[key]["len_enc"]
        if parts["len"] and code not in ("b", "bcd"):
            text = parts["len"].decode(code)
            if not (text.isascii() and text.isdigit()):
                return False
    return True


def mutant(rng, message, spec):
    data = bytearray(message)
    for _ in range(rng.choice([1, 1, 2])):
        what = rng.randrange(4)
        at = rng.randrange(len(data)) if data else 0
        if what == 0 and data:
            data[at] ^= 1 << rng.randrange(8)
        elif what == 1 and data:
            data[at] = rng.randrange(256)
        elif what == 2 and data:
            del data[at]
        else:
            data.insert(at, rng.randrange(256))
    try:
        decoded, encoded = iso8583.decode(bytes(data), spec)
    except (iso8583.DecodeError, KeyError):  # KeyError: a field that the description does not have
        return {"hex": data.hex(), "fields": None}
    return {"hex": data.hex(), "fields": fields_of(decoded)} if is_plain(decoded, encoded, spec) else None


def cases(rng):
    to_toml = converter().dialect
    while True:
        spec = random_spec(rng)
        messages = []
        for _ in range(MESSAGES):
            fields = random_message(rng, spec)
            try:
                data, _ = iso8583.encode(dict(fields), spec)
                # What was written cannot always be read: a text of an odd number of nibbles.
                decoded, encoded = iso8583.decode(data, spec)
            except (iso8583.EncodeError, iso8583.DecodeError):
                continue
            if fields_of(decoded) != fields or not is_plain(decoded, encoded, spec):
                continue
            mutants = [mutant(rng, data, spec) for _ in range(MUTANTS)]
            messages.append({"hex": data.hex(), "fields": fields, "mutants": [m for m in mutants if m]})
        if messages:
            yield {"spec": spec, "toml": "\n".join(to_toml(spec, None)) + "\n", "messages": messages}


def main():
    rng = random.Random(SEED)
    source = cases(rng)
    print("[\n" + ",\n".join(json.dumps(next(source)) for _ in range(SPECS)) + "\n]")


main()
