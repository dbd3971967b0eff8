"""How a shop proves that nothing was lost: terminals settle by ISO 8583, and each settlement says what the gateway has recorded beside it."""
import json

import pytest

import rig as r
from iso8583_terminal import Line, advice, decode, encode, settlement

SALE, REFUND = "000000", "200000"


def make(folder, dialect='extends = "iso87-ascii"\n[answers]\nout_of_balance = "95"\n', **overrides):
    port, file = r.free_port(), folder / "till.toml"
    file.write_text(dialect)
    door = {"name": "tills", "listen": f"127.0.0.1:{port}", "role": "answer", "dialect": str(file)}
    made = r.Rig(folder, gateway={"[terminals.iso8583]": door, **overrides})
    made.iso_port = port
    return made


@pytest.fixture
def rig(tmp_path):
    made = make(tmp_path)
    yield made
    made.close()


def events(rig, kind):
    return [json.loads(row["value"]) for row in rig.stream.rows() if row["type"] == kind]


def batches(rig, count):
    r.wait_for(f"{count} settlements in the stream", lambda: len(events(rig, "batch_total")) >= count, 30)
    found = events(rig, "batch_total")
    assert len(found) == count
    return found


def original(stan):
    return f"0220{stan:06d}1123110901" + "0" * 22


class Till:
    """Sells, gives back and reverses, and counts as terminals do. Each advice is answered before the next is sent."""

    def __init__(self, rig, terminal="TERM0001", currency="978"):
        self.rig, self.terminal, self.currency, self.stan = rig, terminal, currency, 0
        self.begin()

    def begin(self):
        self.sales = self.refunds = self.reversals = (0, 0)
        self.told = []

    def _next(self):
        self.stan += 1
        return self.stan

    def _say(self, mti, fields):
        with Line(self.rig.iso_port) as line:
            answer = line.ask(mti, fields)
        assert answer[1][39] == "00", answer
        return answer

    def _tell(self, code, amount, heard=True):
        stan = self._next()
        fields = advice(stan, amount, self.terminal, f3=code, f49=self.currency)
        self.told.append(fields)
        if heard:
            self._say("0220", fields)
        return stan

    def sell(self, amount, heard=True):
        self.sales = (self.sales[0] + 1, self.sales[1] + amount)
        return self._tell(SALE, amount, heard)

    def give_back(self, amount):
        self.refunds = (self.refunds[0] + 1, self.refunds[1] + amount)
        return self._tell(REFUND, amount)

    def reverse(self, stan, amount):
        self.reversals = (self.reversals[0] + 1, self.reversals[1] + amount)
        self._say("0420", advice(self._next(), amount, self.terminal, f37=f"6327{stan:08d}", f49=self.currency, f90=original(stan)))

    def totals(self, **more):
        return settlement(self._next(), self.sales, self.refunds, self.reversals, self.terminal, f50=self.currency, **more)

    def settle(self, mti="0500", **more):
        """The answer: response code, and how the totals compare."""
        with Line(self.rig.iso_port) as line:
            _, answer = line.ask(mti, self.totals(**more))
        return answer[39], answer[66]

    def upload(self, named=lambda fields: {60: "0220" + fields[11] + fields[37]}):
        """Each transaction of the batch, whether it was told before or not."""
        for fields in self.told:
            self._say("0320", fields | {11: f"{self._next():06d}"} | named(fields))


def test_a_day_of_sales_refunds_and_reversals_with_kills_between_settles_in_balance(rig):
    till = Till(rig)
    for number in range(12):
        stan = till.sell(1000 + number)
        if number % 4 == 3:
            till.reverse(stan, 1000 + number)
        if number % 5 == 4:
            till.give_back(300)
            rig.restart(rig.gateway)
    assert till.settle() == ("00", "1")
    batch = batches(rig, 1)[0]
    expected = {"source": "iso8583", "currency": "EUR", "sales_count": 12, "sales_minor": 12066, "refunds_count": 2, "refunds_minor": 600,
                "reversals_count": 3, "reversals_minor": 3021, "recorded_sales_count": 12, "recorded_sales_minor": 12066,
                "recorded_refunds_count": 2, "recorded_refunds_minor": 600, "recorded_reversals_count": 3, "recorded_reversals_minor": 3021,
                "recorded_refund_reversals_count": 0, "difference_minor": 0, "in_balance": True, "batch_closed": True, "schema_version": 2}
    assert {name: batch.get(name) for name in expected} == expected
    till.begin()
    till.sell(77)
    assert till.settle() == ("00", "1")
    assert batches(rig, 2)[1]["recorded_sales_minor"] == 77


def test_a_sale_that_never_came_puts_it_out_of_balance_by_just_that_and_an_upload_mends_it(rig):
    till = Till(rig)
    # The gateway has been the host of the whole batch only from a first settlement on.
    till.sell(100, heard=False)
    assert till.settle() == ("00", "2")
    till.begin()
    till.sell(1000)
    till.sell(2345, heard=False)
    till.give_back(200)
    assert till.settle() == ("95", "2")
    till.upload()
    assert till.settle(f3="960000") == ("00", "1")
    first, asked, closed = batches(rig, 3)
    assert (first["difference_minor"], first["in_balance"], first["batch_closed"]) == (100, False, True)
    assert (asked["difference_minor"], asked["in_balance"], asked["batch_closed"]) == (2345, False, False)
    assert (closed["difference_minor"], closed["in_balance"], closed["batch_closed"]) == (0, True, True)
    # What was uploaded came once: the sale that had been missing is the only new event.
    assert [sale["amount_minor"] for sale in events(rig, "sale")] == [1000, 2345]
    assert len(events(rig, "refund")) == 1
    till.begin()
    assert till.settle() == ("00", "1")


@pytest.mark.parametrize("named", [
    lambda fields: {90: original(int(fields[11])), 37: f"6399{int(fields[11]):08d}"},
    lambda fields: {60: "0220" + fields[11], 37: f"6399{int(fields[11]):08d}"},
    lambda fields: {60: "0220" + fields[11] + " " * 12},
], ids=["90", "60", "60 filled"])
def test_an_upload_whose_messages_have_rrns_of_their_own_doubles_nothing_however_often_it_comes(rig, named):
    till = Till(rig)
    assert till.settle() == ("00", "1")
    till.sell(500)
    till.sell(400, heard=False)
    assert till.settle() == ("95", "2")
    till.upload(named)
    till.upload(named)
    assert till.settle(f3="960000") == ("00", "1")
    assert batches(rig, 3)[2]["in_balance"]
    assert [sale["amount_minor"] for sale in events(rig, "sale")] == [500, 400]


def test_a_repeat_gets_the_same_answer_also_after_a_restart_and_closes_nothing(rig):
    till = Till(rig)
    till.settle()
    till.begin()
    till.sell(500)
    till.sell(600, heard=False)
    asked = till.totals()
    with Line(rig.iso_port) as line:
        first = line.ask("0500", asked)
        assert first[1][39] == "95"
        assert line.ask("0501", asked) == first
    rig.restart(rig.gateway)
    till.sell(9)
    with Line(rig.iso_port) as line:
        assert line.ask("0500", asked) == first
    till.upload()
    last = till.totals(f3="960000")
    with Line(rig.iso_port) as line:
        closed = line.ask("0520", last)
        assert (closed[0], closed[1][39], closed[1][66]) == ("0530", "00", "1")
    till.begin()
    till.sell(70)
    rig.restart(rig.gateway)
    with Line(rig.iso_port) as line:
        assert line.ask("0521", last) == closed
    assert till.settle() == ("00", "1")
    assert len(batches(rig, 4)) == 4


def test_terminals_and_currencies_are_settled_each_by_itself(rig):
    one, francs, other = Till(rig), Till(rig, currency="756"), Till(rig, "TERM0002")
    francs.stan = 500
    one.sell(1000)
    francs.sell(2000)
    other.sell(4000)
    assert one.settle() == ("00", "1")
    one.begin()
    other.sell(1)
    one.sell(10)
    assert francs.settle() == ("00", "1")
    assert other.settle() == ("00", "1")
    assert one.settle() == ("00", "1")
    assert [(batch["terminal_id"], batch["currency"], batch["recorded_sales_minor"]) for batch in batches(rig, 4)] == [
        ("TERM0001", "EUR", 1000), ("TERM0001", "CHF", 2000), ("TERM0002", "EUR", 4001), ("TERM0001", "EUR", 10)]


def test_who_has_rejected_a_message_asks_for_nothing(rig):
    till = Till(rig)
    till.settle()
    till.begin()
    with Line(rig.iso_port) as line:
        # Neither amount nor code can be read: rejected, with a notice.
        broken = {number: value for number, value in advice(900).items() if number not in (3, 4)}
        line.send(encode("0220", broken)[:-1])
        assert decode(line.receive())[1][39] == "30"
    r.wait_for("the notice", lambda: any(n["notice"] == "message_rejected" for n in rig.stream.notices()))
    till.sell(100, heard=False)
    assert till.settle() == ("00", "2")
    till.begin()
    till.sell(100, heard=False)
    assert till.settle() == ("95", "2")


def test_a_pos_dialogue_in_bcd_with_its_totals_in_field_63(tmp_path):
    rig = make(tmp_path, 'extends = "pos-bcd-tpdu"\n[answers]\nout_of_balance = "95"\n')
    bcd, tpdu = bytes.fromhex, bytes.fromhex("6000108001")
    ids = b"60060060" + b"600600600600600"

    def ask(line, body):
        line.send(tpdu + body)
        return line.receive()[5:]

    def settle(line, stan, code, pairs):
        # 0500: 3 11 24 41 42 60 63.
        text = pairs.encode()
        return ask(line, bcd("0500" "2020010000C00012" + code + f"{stan:06d}" "0010") + ids + bcd("0006") + b"000001"
                   + bcd(f"{len(text):04d}") + text)

    def tell(line, mti, stan, amount, named=""):
        # 3 4 11 12 13 22 24 25 41 42, and 60 in an upload.
        bitmap = "3038058000C00010" if named else "3038058000C00000"
        tail = bcd(f"{len(named):04d}") + named.encode() if named else b""
        return ask(line, bcd(mti + bitmap + "000000" + f"{amount:012d}{stan:06d}" "120901" "1123" "0051" "0010" "00") + ids + tail)

    try:
        with Line(rig.iso_port) as line:
            # No second bitmap, of which such terminals know nothing.
            first = settle(line, 1, "920000", "000000000000000")
            assert first[:2] == bcd("0510") and b"00" + ids[:8] in first and not first[2] & 0x80
            assert b"00" + ids[:8] in tell(line, "0220", 2, 50000)
            assert b"95" + ids[:8] in settle(line, 3, "920000", "002000000060000000000000000000")
            assert b"00" + ids[:8] in tell(line, "0320", 4, 50000, "0220000002")
            assert b"00" + ids[:8] in tell(line, "0320", 5, 10000, "0220000009")
            assert b"00" + ids[:8] in settle(line, 6, "960000", "002000000060000000000000000000")
        opened, asked, closed = batches(rig, 3)
        assert opened["in_balance"] and opened["batch_no"] == "000001"
        assert (asked["sales_minor"], asked["recorded_sales_minor"], asked["difference_minor"], asked["batch_closed"]) == (60000, 50000, 10000, False)
        assert (closed["recorded_sales_count"], closed["in_balance"], closed["batch_closed"]) == (2, True, True)
        assert len(events(rig, "sale")) == 2
    finally:
        rig.close()
