#!/usr/bin/env python3
"""Writes a dialect of Tillstream from a message description of pyiso8583 (https://pyiso8583.readthedocs.io).

    from_pyiso8583.py SPEC.json > dialect.toml
    from_pyiso8583.py --year 1993 - < SPEC.json

SPEC.json is one of
  - a description as pyiso8583 takes it: an object of rows by key, h, t, p, 1, 2 … 192, each with data_enc, len_enc, len_type,
    max_len and, where given, len_count, left_pad, right_pad, desc. To write one: json.dump(spec, file).
  - {"spec": {…}, "field_rows": {…}}: rows of the fields alone, and in words how MTI and bitmap are coded:
    "mti": "ascii" | "bcd" | "ebcdic", "bitmap": "hex" | "binary" | "hex in ebcdic", "year": 1987 | 1993. Where spec has a
    field_rows of its own, it names those of several rows that are meant. Further keys are passed over.

Fields get no class here: the dialect's reader gives each the class of its number in the standard, so that what must be masked
is. The name is the file's. Exit status 1, and why on stderr, for what is no description or what no dialect can say.
"""

import argparse
import codecs
import json
import sys

# Python's own names (codecs.lookup) of those charsets that are called otherwise in a dialect.
NAMES = {"iso8859-1": "latin-1"}
# All that a dialect can say.
CHARSETS = ("ascii latin-1 utf-8 iso8859-2 iso8859-5 iso8859-7 iso8859-9 iso8859-15 cp1250 cp1251 cp1252 cp1253 cp1254 cp437 cp850 cp852 cp857 cp858 "
            "cp866 koi8-r cp037 cp273 cp500 cp1026 cp1047 cp1140").split()
LENGTH_BYTES_MAX = 4
LENGTH_MAX = 131072
TERTIARY = 128
FIELDS = [str(number) for number in range(2, 193) if number != 65]


class NoDialect(Exception):
    """What cannot be written, and where."""


def charset(name, where):
    try:
        known = codecs.lookup(name).name
    except LookupError:
        raise NoDialect(f"{where}: {name!r} is no text encoding of Python; allowed: b, {', '.join(CHARSETS)}") from None
    known = NAMES.get(known, known)
    if known not in CHARSETS:
        raise NoDialect(f"{where}: {name!r} is no encoding that a dialect can say; allowed: b, {', '.join(CHARSETS)}")
    return known


def number(row, key, most, where):
    value = int(row[key])
    if not 0 <= value <= most:
        raise NoDialect(f"{where}: {key} is {value}; allowed: 0 to {most}")
    return value


def coding(name, binary, where):
    """The dialect's word for an encoding; `binary` is its word for pyiso8583's "b"."""
    return binary if name == "b" else charset(name, where)


def length(row, where):
    bytes_ = number(row, "len_type", LENGTH_BYTES_MAX, where)
    if bytes_ == 0:
        return {}
    words = {"b": "binary", "bcd": "bcd"}
    code = words.get(row["len_enc"]) or charset(row["len_enc"], f"{where}.len_enc")
    return {"length": code, "length_bytes": bytes_}


def padding(row):
    """Only a hex digit can stand for a nibble: pyiso8583 never finds another one."""
    sides = [(side, row.get(f"{side}_pad", "")[:1].upper()) for side in ("left", "right")]
    return " ".join(f"{side}:{pad}" for side, pad in sides if pad and pad in "0123456789ABCDEF") or "none"


def field(row, where):
    nibbles = row.get("len_count", "bytes") == "nibbles"
    keys = {"data": coding(row["data_enc"], "bcd" if nibbles else "raw", f"{where}.data_enc"), "max": number(row, "max_len", LENGTH_MAX, where)}
    if nibbles:
        keys["count"] = "nibbles"
        if row["data_enc"] == "b":
            keys["pad"] = padding(row)
    return keys | length(row, where)


def in_words(word, where):
    """mti and bitmap of the form with words."""
    known = {"ascii": "ascii", "hex": "ascii", "bcd": "b", "binary": "b", "ebcdic": "cp500", "hex in ebcdic": "cp500"}
    if word not in known:
        raise NoDialect(f"{where}: is {word!r}; known: {', '.join(known)}")
    return {"data_enc": known[word]}


def rows_of(description, year):
    """The rows, those of t and p among them, and the year."""
    if "field_rows" not in description:
        return description, year
    spec, rows = description.get("spec", {}), description["field_rows"]
    if isinstance(rows, dict) and isinstance(spec.get("field_rows"), str):
        rows = rows.get(spec["field_rows"], rows)
    if not isinstance(rows, dict):
        raise NoDialect("field_rows: is no object of rows")
    bitmap = in_words(spec.get("bitmap", "hex"), "spec.bitmap")
    rows = {"t": in_words(spec.get("mti", "ascii"), "spec.mti"), "p": bitmap, "1": bitmap} | rows
    return rows, year or spec.get("year")


def value(item):
    return str(item) if isinstance(item, int) else json.dumps(item)


def table(keys):
    return "{ " + ", ".join(f"{key} = {value(item)}" for key, item in keys.items()) + " }"


def dialect(description, year):
    rows, year = rows_of(description, year)
    try:
        yield f"year = {year or 1987}"
        yield f'mti = {value(coding(rows["t"]["data_enc"], "bcd", "t"))}'
        yield f'bitmap = {value(coding(rows["p"]["data_enc"], "binary", "p"))}'
        if "1" in rows:
            yield f'further_bitmap = {value(coding(rows["1"]["data_enc"], "binary", "1"))}'
        if any(int(key) > TERTIARY for key in rows if key.isdecimal()):
            yield "tertiary = true"
        if "h" in rows and int(rows["h"]["max_len"]) > 0:
            yield "\n[header]"
            yield from (f"{key} = {value(item)}" for key, item in field(rows["h"], "h").items())
        yield "\n[field]"
        for key in FIELDS:
            if key in rows:
                comment = f"  # {' '.join(str(rows[key]['desc']).split())}" if rows[key].get("desc") else ""
                yield f"{key} = {table(field(rows[key], key))}{comment}"
    except (KeyError, TypeError, ValueError, AttributeError) as wrong:
        raise NoDialect(f"no description of pyiso8583: {type(wrong).__name__}: {wrong}") from None


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("description", metavar="SPEC.json", help="the description; - for standard input")
    arguments.add_argument("--year", type=int, choices=(1987, 1993), help="what the fields mean (default: 1987)")
    asked = arguments.parse_args()
    try:
        with sys.stdin if asked.description == "-" else open(asked.description, encoding="utf-8") as file:
            description = json.load(file)
        if not isinstance(description, dict):
            raise NoDialect("is no JSON object")
        print("\n".join(dialect(description, asked.year)))
    except (OSError, ValueError, NoDialect) as wrong:
        sys.exit(f"from_pyiso8583.py: {asked.description}: {wrong}")


if __name__ == "__main__":
    main()
