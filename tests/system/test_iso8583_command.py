"""`tillstream-gateway iso8583 …`: messages explained, dialects listed and checked, dialects made from pyiso8583's descriptions."""
import encodings.aliases
import json
import pathlib
import subprocess
import sys

import pytest

import rig as r

PROGRAM = r.BIN / "tillstream-gateway"
ROOT = pathlib.Path(__file__).parents[2]
DIALECTS = ROOT / "firmware-gateway/terminal/iso8583/dialects"
VECTORS = json.loads((ROOT / "tests/vectors/iso8583/vectors.json").read_text())
CASES = json.loads((ROOT / "tests/vectors/iso8583/pyiso8583_cases.json").read_text())
PAN, SAD, CHD, TLV, TEXT = {2, 34, 102, 103}, {35, 36, 45, 52, 53, 96}, {14}, {55}, {*range(44, 45), *range(46, 49), *range(56, 64)}
ROWS = [v for v in VECTORS["vectors"] if VECTORS["field_rows"][v["spec"]["field_rows"]]]
# The name of a vector's dialect in the program.
SHIPPED = {"iso87-ascii-hexbitmap": "iso87-ascii", "iso87-ascii-binbitmap": "iso87-ascii-binary-bitmap",
           "iso87-bcd-binbitmap": "iso87-bcd", "pos-bcd": "pos-bcd", "pos-bcd-tpdu": "pos-bcd-tpdu", "visa-base1": "visa-base1",
           "mastercard-ebcdic": "mastercard-ebcdic"}


def call(*arguments, stdin=None, status=0):
    done = subprocess.run([PROGRAM, "iso8583", *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=60)
    assert done.returncode == status, done.stdout + done.stderr
    return done


def decode(dialect, hexes, *flags, **options):
    return json.loads(call("decode", "--dialect", dialect, "--json", *flags, "-", stdin=hexes, **options).stdout)


def convert(description, tmp_path):
    done = subprocess.run([sys.executable, DIALECTS / "from_pyiso8583.py", "-"], input=json.dumps(description), capture_output=True,
                          text=True, check=True, timeout=60)
    path = tmp_path / "converted.toml"
    path.write_text(done.stdout)
    return path


def check_value(number, value, shown):
    """What the command may say of a field."""
    if number in PAN:
        assert len(shown) == len(value.encode())
        assert shown[:-4].strip("*") == "" and (shown[-4:] == value[-4:] or set(shown) <= {"*"})
    elif number in SAD | CHD:
        assert shown == "*" * len(value.encode())
    elif number not in TLV:  # those of text hold no card data here
        assert shown == value, number


def check_fields(expected, got):
    assert sorted(got, key=int) == sorted(expected, key=int)
    for number, value in expected.items():
        check_value(int(number), value, got[number])


def rows_of(vector):
    """As the collection pairs them, and as the converter takes them."""
    return {"spec": vector["spec"], "field_rows": VECTORS["field_rows"][vector["spec"]["field_rows"]]}


@pytest.mark.parametrize("vector", ROWS, ids=lambda v: v["name"])
def test_each_vector_is_read_by_a_dialect_made_from_its_rows(vector, tmp_path):
    told = decode(convert(rows_of(vector), tmp_path), vector["iso_body_hex"])
    assert told["mti"] == vector["mti"]
    check_fields(vector["fields"], told["fields"])


def test_dialects_made_from_any_description_are_those_that_the_unit_tests_judge(tmp_path):
    for case in CASES:
        path = convert(case["spec"], tmp_path)
        assert path.read_text() == case["toml"]
    told = decode(path, CASES[-1]["messages"][0]["hex"])
    assert told["mti"] == CASES[-1]["messages"][0]["fields"]["t"]


@pytest.mark.parametrize("vector", [v for v in VECTORS["vectors"] if v["dialect"] in SHIPPED], ids=lambda v: v["name"])
def test_each_vector_is_read_framed_or_not(vector, tmp_path):
    dialect = SHIPPED[vector["dialect"]]
    if vector["name"] == "bim-iso8583-0800-f48-f70":  # widens field 70
        dialect = tmp_path / "own.toml"
        dialect.write_text('extends = "iso87-bcd"\n[field]\n70 = { fmt = "n4" }\n')
    told = decode(dialect, vector["iso_body_hex"])
    assert told == decode(dialect, vector["raw_hex"])
    assert told["mti"] == vector["mti"]
    check_fields(vector["fields"], told["fields"])


TRACK2 = next(v for v in VECTORS["vectors"] if v["name"] == "jposgen-0100-track2-pin-ascii")
UPLOAD = next(v for v in VECTORS["vectors"] if v["name"] == "hpdh-req-batch_upload")


def test_a_message_is_explained_line_by_line_and_its_card_data_masked():
    text = call("decode", "--dialect", "iso87-ascii", TRACK2["raw_hex"]).stdout
    lines = [line.split() for line in text.splitlines()]
    assert lines[0] == ["MTI", "0100", "authorization", "request", "(1987)"]
    assert ["4", "Amount,", "transaction", "000000009999"] in lines
    assert "4111111111111111" not in text and "2912" not in text and "0123456789ABCDEF" not in text


def test_a_message_of_another_dialect_is_explained_without_any_value_and_says_why():
    # Of iso87-ascii and with a damaged bitmap; iso93-ascii reads it whole, with the card number in field 42.
    hexes = ("0320723CD28020C8100016467170862828773000000000000000435711231109012985491209011123281200344671708628287730=28129"
             "042772237657L6942682MERCHANT000000147B4671708628287730^DOE/JOHN^2812101904277223765739A699FD23B4DD21").encode().hex()
    done = call("decode", "--dialect", "iso93-ascii", "-", stdin=hexes)
    lines = [line.rsplit(None, 1) for line in done.stdout.splitlines()]
    assert lines[0][0].startswith("MTI    0320") and len(lines) > 10
    assert all(set(value) == {"*"} for _, value in lines[1:])
    assert "another dialect's" in done.stderr
    told = decode("iso93-ascii", hexes)
    assert told["mti"] == "0320" and all(set(value) == {"*"} for value in told["fields"].values()) and "another dialect's" in told["warning"]


def test_emv_data_is_explained_by_tag():
    told = call("decode", "--dialect", "iso87-ascii-binary-bitmap",
                next(v for v in VECTORS["vectors"] if v["name"] == "jposgen-0220-asciibb")["raw_hex"]).stdout
    assert "9F26    ****************" in told


def test_what_cannot_be_read_is_told_with_where_and_why_and_what_was_read():
    whole = UPLOAD["iso_body_hex"]
    told = call("decode", "--dialect", "pos-bcd", whole[:60], status=1)
    assert "the message ends before it does" in told.stderr and "at byte" in told.stderr
    assert "************4444" in told.stdout
    error = decode("pos-bcd", whole[:60], status=1)["error"]
    assert error["part"] == "field" and error["reason"] == "the message ends before it does"
    assert error["position"] <= 30
    told = call("decode", "--dialect", "pos-bcd", "--framed", whole, status=1)
    assert "frame" in told.stderr


def test_no_beginning_of_a_message_says_more_than_the_whole_one():
    for vector, dialect, secrets in ((TRACK2, "iso87-ascii", ["4111111111111111", "0123456789ABCDEF"]),
                                     (UPLOAD, "pos-bcd", ["5555555555554444", "555555555555"])):
        whole = vector["iso_body_hex"]
        for end in range(0, len(whole), 26):
            done = subprocess.run([PROGRAM, "iso8583", "decode", "--dialect", dialect, "-"], input=whole[:end], capture_output=True,
                                  text=True, timeout=60, check=False)
            assert done.returncode == 1
            assert not any(secret in done.stdout + done.stderr for secret in secrets)


def test_a_dialect_that_is_not_there_is_told_those_that_are():
    told = call("decode", "--dialect", "pos-bdc", "0800", status=78)
    assert "iso87-ascii" in told.stderr and 'did you mean "pos-bcd"?' in told.stderr
    assert "cannot be opened" in call("decode", "--dialect", "./none.toml", "0800", status=78).stderr
    assert "is no hex" in call("decode", "--dialect", "pos-bcd", "080", status=2).stderr


def test_every_dialect_is_listed_and_whole():
    listed = call("dialects").stdout
    names = {line.split()[0] for line in listed.splitlines()}
    assert names == {path.stem for path in DIALECTS.glob("*.toml")}
    for path in DIALECTS.glob("*.toml"):
        assert call("check", path).stdout == "ok\n"


def test_a_dialect_of_ones_own_is_checked_with_line_key_and_what_is_allowed(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text('extends = "pos-bcd"\nnumeric = "bcdd"\n[field]\n2 = { class = "open" }\n3 = { fmt = "q6" }\n5 = { pda = "left:0" }\n'
                    '700 = { fmt = "n3" }\n[framing]\nlength = "u16"\n')
    told = call("check", path, status=78).stderr.splitlines()
    assert [line.split(": ")[:2] for line in told] == [
        [f"{path}:2", "numeric"], [f"{path}:4", "field.2.class"], [f"{path}:5", "field.3.fmt"], [f"{path}:6", "field.5.pda"],
        [f"{path}:7", "field.700"], [f"{path}:9", "framing.length"]]
    assert 'did you mean "bcd"?' in told[0] and "allowed for field 2: pan, sad" in told[1] and 'did you mean "pad"?' in told[3]
    assert "allowed: 2 to 192" in told[4]


def test_the_converter_says_what_it_cannot_convert(tmp_path):
    for description, told in (({"t": {"data_enc": "ascii"}}, "no description"), ([1], "no JSON object"),
                              ({"spec": {"mti": "morse"}, "field_rows": {}}, "morse"),
                              ({"t": {"data_enc": "nonsense"}, "p": {"data_enc": "b"}}, "nonsense"),
                              (description_with(data_enc="gbk"), "43.data_enc: 'gbk' is no encoding that a dialect can say; allowed: b, ascii, latin-1"),
                              (description_with(len_enc="utf-16"), "43.len_enc: 'utf-16' is no encoding"), (description_with(len_type=5), "43: len_type is 5; allowed: 0 to 4"),
                              (description_with(max_len=131073), "43: max_len is 131073; allowed: 0 to 131072")):
        done = subprocess.run([sys.executable, DIALECTS / "from_pyiso8583.py", "-"], input=json.dumps(description), capture_output=True,
                              text=True, check=False, timeout=60)
        assert done.returncode == 1 and told in done.stderr and not done.stdout


def description_with(**changed):
    code = {"data_enc": "ascii", "len_enc": "ascii", "len_type": 0, "max_len": 4}
    return {"h": {**code, "max_len": 0}, "t": code, "p": {**code, "data_enc": "b", "max_len": 8}, "1": {**code, "data_enc": "b", "max_len": 8},
            "43": {"data_enc": "ascii", "len_enc": "ascii", "len_type": 2, "max_len": 20, **changed}}


def test_whatever_the_converter_writes_in_any_encoding_of_python_is_a_dialect(tmp_path):
    told = call("check", "/dev/stdin", stdin='text = "gbk"\n', status=78).stderr
    charsets = told.rsplit("allowed: ", 1)[1].strip().split(", ")
    written = 0
    for name in sorted({*encodings.aliases.aliases.values(), *charsets}):
        done = subprocess.run([sys.executable, DIALECTS / "from_pyiso8583.py", "-"], input=json.dumps(description_with(data_enc=name)), capture_output=True,
                              text=True, check=False, timeout=60)
        if done.returncode == 0:
            (tmp_path / "made.toml").write_text(done.stdout)
            assert call("check", tmp_path / "made.toml").stdout == "ok\n"
            written += 1
        else:
            assert done.returncode == 1 and "allowed: b, " + ", ".join(charsets) in done.stderr, done.stderr
    # Those that this Python knows.
    assert written >= len(charsets) - 2
