"""The demo's own parts: the count that it stakes its exit status on, the scissors, the page's doors."""
import http.client
import io
import json
import random
import socket
import sys
import threading
import types
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

from board import WAITING_MAX, Board
from card_resolver import derive_key, key_name, token_of
from conductor import Conductor
from ledger import Ledger, Tap, audit, percentile
from page_server import CannotServe, PageServer
from readers import sse_messages
from receipt import WIDTH, duration, receipt
from relay import Relay
from rig import free_port
from tills import CARDS, SHOPS, Cardholders, Checkout


def tap(ledger, reference, at=0.0):
    ledger.tapped(Tap(("t", reference), 1, at, 0, {}))
    return ("t", reference)


def stored_and_streamed(ledger, reference, seq, position, at=0.0, took=0.005):
    key = tap(ledger, reference, at)
    ledger.answered(key, seq, False, at + took / 2)
    ledger.streamed(key, position, at + took)
    return key


def test_ledger_finds_nothing_wrong_when_every_tap_is_there_once():
    ledger = Ledger()
    for number in range(1, 6):
        stored_and_streamed(ledger, str(number), number, number)
    assert ledger.verdict().good and ledger.settled()
    assert (ledger.verdict().taps, ledger.verdict().streamed) == (5, 5)


def test_ledger_calls_a_tap_lost_that_the_stream_lacks():
    ledger = Ledger()
    ledger.answered(tap(ledger, "1"), 1, False, 1.0)
    assert ledger.verdict().lost == 1 and not ledger.verdict().good and not ledger.settled()


def test_ledger_calls_a_second_position_of_a_tap_doubled_and_the_same_position_again_nothing():
    ledger = Ledger()
    key = stored_and_streamed(ledger, "1", 1, 1)
    ledger.streamed(key, 1, 9.0)
    assert ledger.verdict().good
    ledger.streamed(key, 2, 9.0)
    assert ledger.verdict().doubled == 1 and not ledger.verdict().good


def test_ledger_minds_an_event_that_nobody_tapped():
    ledger = Ledger()
    ledger.streamed(("t", "ghost"), 1, 1.0)
    assert ledger.verdict().unknown == 1 and not ledger.verdict().good


def test_ledger_waits_for_the_answer_of_a_tap_that_reached_the_stream_without_one():
    ledger = Ledger()
    key = tap(ledger, "1")
    ledger.streamed(key, 1, 1.0)
    assert ledger.verdict().good and not ledger.settled()
    ledger.answered(key, 1, True, 2.0)
    assert ledger.settled() and ledger.queue() == []


def test_ledger_keeps_the_queue_in_the_gateways_order_and_remembers_its_longest():
    ledger = Ledger()
    for reference, seq in (("a", 2), ("b", 1), ("c", 3)):
        ledger.answered(tap(ledger, reference), seq, False, 1.0)
    assert [entry.seq for entry in ledger.queue()] == [1, 2, 3]
    ledger.streamed(("t", "b"), 1, 2.0)
    assert [entry.seq for entry in ledger.queue()] == [2, 3] and ledger.longest_queue == 3


def test_ledger_refuses_a_reference_that_a_till_uses_twice():
    ledger = Ledger()
    tap(ledger, "1")
    with pytest.raises(ValueError):
        tap(ledger, "1")


def test_ledger_keeps_disturbed_taps_apart():
    ledger = Ledger()
    stored_and_streamed(ledger, "calm", 1, 1, took=0.004)
    key = tap(ledger, "held")
    ledger.disturb()
    ledger.answered(key, 2, False, 0.1)
    ledger.streamed(key, 2, 20.0)
    verdict = ledger.verdict()
    assert verdict.p99 == 20.0 and verdict.calm_p99 == pytest.approx(0.004) and verdict.disturbed == 1


@pytest.mark.parametrize("share, expected", [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_percentile_is_a_value_that_occurred(share, expected):
    values = list(range(1, 101))
    random.Random(1).shuffle(values)
    assert percentile(values, share) == expected
    assert percentile([], share) is None


def row(seq, reference, epoch="e1"):
    return ("g", epoch, seq, ("t", reference) if reference else None)


def test_audit_agrees_with_a_stream_in_order_notices_and_new_epochs_included():
    rows = [row(1, None), row(2, "1"), row(3, "2"), ("g", "", None, None), row(1, "3", "e2")]
    assert audit({("t", "1"), ("t", "2"), ("t", "3")}, rows).good


@pytest.mark.parametrize("rows, what", [
    ([row(1, "1")], "missing"), ([row(1, "1"), row(2, "2"), row(3, "1")], "doubled"),
    ([row(1, "1"), row(2, "2"), row(3, "x")], "unknown"), ([row(1, "1"), row(3, "2")], "gaps"), ([row(2, "1"), row(1, "2")], "gaps"),
])
def test_audit_names_what_is_wrong(rows, what):
    found = audit({("t", "1"), ("t", "2")}, rows)
    assert getattr(found, what) and not found.good


def test_receipt_fits_its_paper_and_says_what_was_counted():
    ledger = Ledger()
    stored_and_streamed(ledger, "1", 1, 1)
    ledger.answered(tap(ledger, "2"), 2, False, 1.0)
    text = receipt(ledger.verdict(), audit({("t", "1"), ("t", "2")}, [row(1, "1"), row(3, "1")]),
                   ["gateway ended by itself, status -11, and other words that do not fit on one line"], False, "2026-11-24 22:00", 30)
    assert all(len(line) <= WIDTH for line in text.splitlines())
    words = [line.split() for line in text.splitlines()]
    assert ["taps", "2"] in words and ["lost", "1"] in words and ["doubled", "0"] in words and ["missing", "1"] in words
    assert "NOT IN ORDER" in text


@pytest.mark.parametrize("seconds, text", [(None, "-"), (0.00512, "5.1 ms"), (0.25, "250 ms"), (9.2, "9,200 ms"), (31.26, "31.3 s")])
def test_durations_read_well(seconds, text):
    assert duration(seconds) == text


def test_sse_messages_are_read_as_the_standard_writes_them():
    stream = io.BytesIO(b": hello\n\nid: 7\nevent: x\ndata: {\"a\":\ndata: 1}\n\nid:8\r\ndata:two\r\n\r\ndata: no id\n\nid: 9\ndata: cut")
    assert list(sse_messages(stream)) == [("7", '{"a":\n1}'), ("8", "two")]


def echo_server():
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=lambda c=client: [c.sendall(data) for data in iter(lambda: c.recv(4096), b"")], daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return listener


def test_relay_carries_cuts_refuses_and_heals_on_the_same_port():
    target = echo_server()
    relay = Relay(free_port(), target.getsockname())
    client = socket.create_connection(("127.0.0.1", relay.port), timeout=5)
    client.sendall(b"ping")
    assert client.recv(4) == b"ping"
    relay.cut()
    assert client.recv(4) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", relay.port), timeout=5)
    relay.heal()
    again = socket.create_connection(("127.0.0.1", relay.port), timeout=5)
    again.sendall(b"pong")
    assert again.recv(4) == b"pong"
    relay.close()
    target.close()


@pytest.fixture
def page():
    wishes = []
    board = Board(phase="running")
    server = PageServer(board, lambda wish: wishes.append(wish) or (None if wish.get("link") else "what?"), 0)
    yield server, board, wishes
    board.close()
    server.close()


def ask(server, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    return response, connection


def test_page_is_self_contained(page):
    response, _ = ask(page[0], "GET", "/")
    text = response.read().decode()
    assert response.status == 200 and "<title>Tillstream" in text
    assert "src=\"http" not in text and "href=\"http" not in text and "@import" not in text


def test_page_throws_a_switch_and_says_why_not(page):
    server, _, wishes = page
    assert ask(server, "POST", "/switch", b'{"link":"cut"}', **{"Content-Type": "application/json"})[0].status == 200
    assert ask(server, "POST", "/switch", b'{"x":1}', **{"Content-Type": "application/json"})[0].status == 400
    assert ask(server, "POST", "/switch", b'[', **{"Content-Type": "application/json"})[0].status == 400
    assert wishes == [{"link": "cut"}, {"x": 1}]


@pytest.mark.parametrize("headers, status", [
    ({"Content-Type": "text/plain"}, 415), ({"Content-Type": "application/json", "Host": "evil.example:80"}, 403)])
def test_page_obeys_no_foreign_page(page, headers, status):
    server, _, wishes = page
    assert ask(server, "POST", "/switch", b'{"link":"cut"}', **headers)[0].status == status
    assert wishes == []


def test_page_refuses_an_oversized_switch(page):
    assert ask(page[0], "POST", "/switch", b"x" * 5000, **{"Content-Type": "application/json"})[0].status == 413


def test_page_shows_the_whole_board_first_and_then_each_change(page):
    server, board, _ = page
    response, connection = ask(server, "GET", "/events")
    lines = (line for line in iter(response.readline, b"") if line.startswith(b"data: "))
    first = json.loads(next(lines)[6:])
    assert first["whole"] and first["phase"] == "running"
    board.show(phase="ended")
    assert json.loads(next(lines)[6:]) == {"phase": "ended"}
    connection.close()


def test_board_drops_a_browser_that_does_not_follow():
    board = Board()
    viewer, _ = board.join()
    for number in range(WAITING_MAX + 1):
        board.show(number=number)
    assert viewer.lost


def test_a_taken_port_is_named_with_its_remedy(page):
    with pytest.raises(CannotServe, match=rf"port {page[0].port} is taken.*--port"):
        PageServer(Board(), lambda wish: None, page[0].port)


def test_card_resolver_knows_whose_token_it_is_and_falls_back_to_the_last_four():
    master = bytes(range(32))
    key = derive_key(master, "shop-1", 1)
    cardholders = Cardholders(master)
    for card in CARDS:
        event = {"gateway_id": "shop-1", "card_last4": card.last4, "card_token": token_of(key, card.number), "card_token_key": key_name(key)}
        assert cardholders.holder(event) == (card.holder, "token")
        assert cardholders.holder(event | {"card_token_key": "foreign"}) == (card.holder, "last four")
        assert cardholders.holder(event | {"gateway_id": "shop-2"}) == (card.holder, "last four")
    assert cardholders.holder({}) == ("somebody", "nothing")


@pytest.mark.parametrize("shop", SHOPS, ids=lambda shop: shop.name)
def test_a_till_never_uses_a_reference_twice_and_rings_up_what_it_shows(shop):
    checkout = Checkout(shop, random.Random(7))
    purchases = [checkout.next() for _ in range(300)]
    assert len({purchase.body["terminal_ref"] for purchase in purchases}) == 300
    for purchase in purchases:
        assert sum(price for _, price in purchase.shown["lines"]) == purchase.body["amount_minor"] > 0
        assert purchase.body["type"] != "refund" or purchase.body["original_ref"] < purchase.body["terminal_ref"]
    assert {purchase.body["type"] for purchase in purchases} == {"sale", "refund"}
    euros = sum(purchase.body["currency"] == "EUR" for purchase in purchases)
    assert 200 < euros < 300


def test_conductor_waits_for_the_customer_who_stepped_up_before_the_doors_closed():
    conductor = Conductor.__new__(Conductor)
    conductor._scene = types.SimpleNamespace(settled=lambda: True)
    till = types.SimpleNamespace(busy=True)
    conductor._tills = [types.SimpleNamespace(busy=False), till]
    assert not conductor._settled(), "rung for, but not told of yet"
    till.busy = False
    assert conductor._settled()
