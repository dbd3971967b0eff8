"""Card data never lands and never stays: hundreds of known card numbers, tracks, PIN blocks and verification values through every door, whole,
cut and malformed, then a search of all that was written, said, sent and kept in memory.

The doors are sown once; each test then searches one place. What a search finds is real: the first test plants what it must find.
"""
import base64
import collections
import copy
import http.client
import json
import os
import pathlib
import random
import socket
import ssl
import struct
import subprocess

import paho.mqtt.client as mqtt
import pytest

import rig as r
import wire
from canaries import BRANDS, Canaries, memory_of
from iso8583_dialect import Dialect
from iso8583_host import Listener
from iso8583_terminal import advice

JSON = {"Content-Type": "application/json"}
NDJSON = {"Content-Type": "application/x-ndjson"}
DIALECTS = ["iso87-ascii", "pos-bcd-tpdu", "iso87-bcd", "bcd-ebcdic", "visa-base1", "mastercard-ebcdic", "iso93-ascii", "iso93-bcd", "iso93-ebcdic"]
TEXTS = ["merchant_name", "merchant_city", "till_id", "operator_id", "rrn", "stan", "auth_code", "reason", "terminal_id", "terminal_ref", "batch_no",
         "merchant_id", "original_ref", "original_terminal_id", "card_token", "card_par", "emv_aid", "type", "outcome", "currency", "occurred_at",
         "card_last4", "card_brand", "entry_mode", "cvm", "mcc", "response_code", "authorized_by", "original_type"]
SENSITIVE = ["cvv", "CVC2", "cardSecurityCode", "Kartenprüfnummer", "pin", "PIN block", "DE 52"]


def grouped(pan, by=" "):
    return by.join(pan[at:at + 4] for at in range(0, len(pan), 4))


class EchoHost:
    """An acquirer's host that gives back all that it gets, as a response; silent to every seventh."""

    def __init__(self, dialect, context):
        self.dialect, self.context, self.taken, self.silent = dialect, context, 0, False
        self._listener = Listener(self._serve)
        self.port = self._listener.port

    def close(self):
        self._listener.close()

    def _serve(self, line):
        try:
            line = self.context.wrap_socket(line, server_side=True) if self.context else line
            while frame := receive_frame(line, self.dialect):
                self.taken += 1
                if self.taken % 7 and not self.silent:
                    line.sendall(self.dialect.answered(frame))
        except OSError:
            pass
        line.close()


def receive_frame(line, dialect):
    """The next frame; nothing when the line has been closed."""
    before = 2 + dialect.tables["framing"].get("extra_bytes", 0)
    data = b""
    while len(data) < before or len(data) < before + struct.unpack(">H", data[:2])[0]:
        wanted = (before if len(data) < before else before + struct.unpack(">H", data[:2])[0]) - len(data)
        more = line.recv(wanted)
        if not more:
            return b""
        data += more
    return data


class Field:
    """Gateway, tap and bridge with all their doors; what was sent to them, and all they have said."""

    def __init__(self, folder):
        seed = int(os.environ.get("TILLSTREAM_SEED", random.SystemRandom().randrange(1 << 32)))
        print(f"TILLSTREAM_SEED={seed}")
        self.folder, self.rng = folder, random.Random(seed)
        self.canaries = Canaries(self.rng)
        self.answers, self.pages, self.on_the_wire = [], [], []
        self.ref = 0
        self.lines = []  # stay open
        self._certificate()
        self._start()

    # --- processes ---

    def _certificate(self):
        self.pem, self.key = self.folder / "own.pem", self.folder / "own.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", self.key, "-out", self.pem], check=True, capture_output=True)
        self.key.chmod(0o600)
        self.tls = {"certificate": str(self.pem), "key": str(self.key)}
        token_key = self.folder / "card.key"
        token_key.write_bytes(random.Random(1).randbytes(32))
        token_key.chmod(0o600)
        self.token_key = token_key

    def _start(self):
        self.rig = r.Rig(self.folder, start=False, gateway={
            "tap": {"socket": str(self.folder / "tap.sock")}, "log": {"level": "debug"}, "card": {"token_key_file": str(self.token_key)},
            "terminals.framed.tls": self.tls}, bridge={"log": {"level": "debug"}})
        gateway = self.rig.gateway
        self.doors = [(Dialect(name), r.free_port(), False) for name in DIALECTS] + [(Dialect("pos-bcd"), r.free_port(), True)]
        text = "".join(r.toml({"[terminals.iso8583]": {"name": f"door-{port}", "listen": f"127.0.0.1:{port}", "role": "answer",
                                                       "dialect": dialect.name}, **({"terminals.iso8583.tls": self.tls} if tls else {})})
                       for dialect, port, tls in self.doors)
        gateway.config.write_text(gateway.config.read_text() + text)
        for process in (self.rig.broker, self.rig.bridge):
            self.rig.begin(process)
        self._listen_to_broker()
        self.rig.begin(gateway)
        # A second one for HTTP over TLS: a gateway's HTTP is the one or the other.
        self.tls_gateway = r.Gateway(self.folder, self.rig.broker.port, "shop-0002", overrides={
            "log": {"level": "debug"}, "card": {"token_key_file": str(self.token_key)}, "terminals.http.tls": self.tls})
        self.rig.others.append(self.tls_gateway)
        self.rig.begin(self.tls_gateway)
        self._start_tap()

    def _start_tap(self):
        self.hosts = []
        self.tap_lines = []
        lines = ""
        for name, tls, timeout in (("iso87-ascii", False, "2s"), ("pos-bcd-tpdu", False, "2s"), ("mastercard-ebcdic", True, "2s"), ("iso87-bcd", False, "60s")):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.pem, self.key)
            host = EchoHost(Dialect(name), context if tls else None)
            self.hosts.append(host)
            port = r.free_port()
            self.tap_lines.append((host.dialect, port, tls))
            lines += r.toml({"[line]": {"name": f"tills-{port}", "listen": f"127.0.0.1:{port}", "host": f"127.0.0.1:{host.port}", "dialect": name,
                                        "host_timeout": timeout},
                             **({"line.tls": self.tls, "line.host_tls": {"ca": str(self.pem)}} if tls else {})})
        # Its host says nothing.
        self.hosts[-1].silent = True
        self.silent_line = self.tap_lines.pop()[:2]
        tap = self.tap = r.Program.__new__(r.Program)
        tap.admin_port = r.free_port()
        config = self.folder / "tap.toml"
        config.write_text(lines + r.toml({"gateway": {"socket": str(self.folder / "tap.sock")}, "admin": {"listen": f"127.0.0.1:{tap.admin_port}"},
                                          "log": {"level": "debug"}}))
        r.Process.__init__(tap, "tap", [r.BIN / "tillstream-tap", "run", "--config", config], self.folder)
        self.rig.others.append(tap)
        self.rig.begin(tap)

    def _listen_to_broker(self):
        self.client = mqtt.Client(client_id="sniffer", protocol=mqtt.MQTTv5)
        self.client.on_message = lambda _client, _data, message: self.on_the_wire.append(message.topic.encode() + b" " + message.payload)
        self.client.connect("127.0.0.1", self.rig.broker.port)
        self.client.subscribe("#", qos=1)
        self.client.loop_start()

    def close(self):
        self.client.loop_stop()
        for line in self.lines:
            line.close()
        for host in self.hosts:
            host.close()
        self.rig.close()

    # --- what is sent ---

    def sow(self):
        for gateway, tls in ((self.rig.gateway, False), (self.tls_gateway, True)):
            self.sow_http(gateway.http_port, tls)
            self.sow_nexo(gateway.http_port, tls)
        self.sow_framed()
        for dialect, port, tls in self.doors:
            self.sow_iso8583(dialect, port, tls)
        for dialect, port, tls in self.tap_lines:
            self.sow_iso8583(dialect, port, tls, of_tap=True)
        self.ask_pages()

    def sale(self, **more):
        self.ref += 1
        return r.sale("T1", f"{self.ref:08d}", **more)

    def events(self):
        """Card data in every field, and where no field is."""
        c = self.canaries
        for by in ("", " ", "-"):
            yield self.sale(card_number=grouped(c.pan(), by))
        yield self.sale(card_number=c.pan(luhn=False))
        yield self.sale(card_number=c.pan() + "x")
        yield self.sale(card_number=int(c.pan(length=19)))
        for field in TEXTS:
            yield {**self.sale(), field: c.pan()}
            yield {**self.sale(), field: f"card {grouped(c.pan(), self.rng.choice(' -'))} please"}
            yield {**self.sale(), field: f";{c.track2()}?"}
        yield self.sale(merchant_city=f"%{c.track1()}?", attributes={"note": f"%{c.track1()}?"})
        for name in SENSITIVE:
            yield self.sale(attributes={name: c.cvv() if name != "PIN block" else c.pin_block()})
        yield self.sale(attributes={c.pan(): "1", "note": c.pan(), "deep": f"x{c.pan()}x {c.pan()}"})
        yield self.sale(**{c.pan(): "1"})
        yield self.sale(**{"card_numbr": c.pan()})
        yield self.sale(attributes={"nested": {"pan": c.pan()}})
        yield self.sale(amount=c.pan())
        yield [self.sale(card_number=c.pan())]
        yield c.pan()

    def sow_http(self, port, tls):
        bodies = [json.dumps(event).encode() for event in self.events()]
        for event in list(self.events())[:3]:
            # The digits as escapes of JSON.
            bodies.append(json.dumps({**event, "card_number": "CARD"}).replace("CARD", "".join(f"\\u00{ord(d):02x}" for d in self.canaries.pan())).encode())
        whole = [json.dumps(self.sale(card_number=self.canaries.pan(), merchant_city=f"paid by {self.canaries.pan()}")).encode() for _ in range(40)]
        bodies += [body[:self.rng.randrange(1, len(body))] for body in whole]
        bodies += [whole[0][:end] for end in range(len(whole[0]))]
        bodies += [self.spoilt(body, len(body)) for body in whole[:20]]
        line = self.http_line(port, tls)
        for body in bodies:
            self.post(line, "/v1/events", body, JSON)
        batch = b"\n".join(bodies)
        self.post(line, "/v1/events/batch", batch, NDJSON)
        self.post(line, "/v1/events/batch", batch[:len(batch) // 2], NDJSON)
        self.post(line, "/v1/events", b'{"reason":"' + b"x" * 17000 + self.canaries.pan().encode() + b'"}', JSON)

        def raw(data, close=False):
            self.raw_http(port, tls, data, close)

        # In the wrong places of a request.
        for _ in range(3):
            pan = self.canaries.pan
            self.post(line, f"/v1/events/{pan()}", b"{}", JSON)
            self.post(line, f"/v1/events?card={pan()}", b"{}", JSON)
            self.post(line, "/v1/events", b"{}", {"Content-Type": pan(), "X-Card": pan(), "Cookie": f"card={pan()}"})
            raw(f"{pan()} / HTTP/1.1\r\nHost: {pan()}\r\n\r\n".encode())
            raw(f"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: {pan(length=19)}\r\n\r\n".encode())
            raw(f"POST /v1/events HTTP/1.1\r\nHost: x\r\n{pan()}\r\n\r\n".encode())
            raw(f"POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{pan()};{pan()}\r\n".encode())
            chunk = json.dumps(self.sale(card_number=pan())).encode()
            raw(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" +
                          f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n0\r\n\r\n")
        # Cut off.
        head = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n"
        for body in whole[:20]:
            raw((head + body)[:self.rng.randrange(len(head), len(head) + len(body))], close=True)
        # Stays open, the last thing said on it a card number.
        self.post(line, "/v1/events", whole[-1], JSON)
        self.lines.append(line)

    def spoilt(self, data, end):
        """One byte is another; but no digit of a card number in text, which would be none any more."""
        while chr(data[at := self.rng.randrange(4, end)]).isdigit():
            pass
        return data[:at] + bytes([self.rng.randrange(256)]) + data[at + 1:]

    def post(self, line, path, body, headers):
        line.request("POST", path, body, headers)
        response = line.getresponse()
        self.answers.append(str(response.headers).encode() + response.read())

    def http_line(self, port, tls):
        if tls:
            return http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=ssl.create_default_context(cafile=self.pem))
        return http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def raw_http(self, port, tls, data, close):
        with self.connect(port, tls) as line:
            line.sendall(data)
            if close:
                return
            if tls:  # has no half-closed lines
                self.answers.append(line.recv(65536))
            else:
                line.shutdown(socket.SHUT_WR)
                self.answers.append(self.receive_all(line))

    @staticmethod
    def receive_all(line):
        data = b""
        try:
            while more := line.recv(65536):
                data += more
        except ConnectionResetError:
            pass
        return data

    def sow_nexo(self, port, tls):
        vectors = pathlib.Path(__file__).parents[1] / "unit/firmware-gateway/terminal/nexo/vectors"
        hostile = json.loads((vectors / "payment_response_HOSTILE_clear_pan.json").read_text())
        line = self.http_line(port, tls)
        for number in range(12):
            c, message = self.canaries, copy.deepcopy(hostile)
            message["SaleToPOIResponse"]["MessageHeader"]["ServiceID"] = f"{number:010d}"
            payment = message["SaleToPOIResponse"]["PaymentResponse"]
            extra = {"note": f"Karte {grouped(c.pan())}", "cardNumber": c.pan(), "cvv": c.cvv(), "cardHolderName": f"{c.cvv()}"}
            payment["Response"]["AdditionalResponse"] = base64.b64encode(json.dumps({"additionalData": extra}).encode()).decode() if number % 2 else \
                "&".join(f"{name}={value.replace(' ', '%20')}" for name, value in extra.items())
            payment["SaleData"]["SaleTransactionID"]["TransactionID"] = c.pan()
            payment["PaymentReceipt"] = [{"OutputContent": {"OutputText": [{"Text": f"name=pan&value={grouped(c.pan())}"}]}}]
            card = payment["PaymentResult"]["PaymentInstrumentData"]["CardData"]
            card["MaskedPan"] = c.pan()
            card["SensitiveCardData"] = {"PAN": c.pan(), "ExpiryDate": "0330", "TrackData": [{"TrackNumb": 2, "Value": c.track2()}, {"TrackNumb": 1, "Value": c.track1()}]}
            card["PaymentToken"] = {"TokenRequestedType": "Customer", "TokenValue": c.pan()}
            text = json.dumps(message).encode()
            self.post(line, "/v1/nexo", text, JSON)
            self.post(line, "/v1/nexo", text[:self.rng.randrange(1, len(text))], JSON)
        self.lines.append(line)

    def sow_framed(self):
        c = self.canaries
        payloads = []
        for _ in range(10):
            payloads += [wire.submit(self.sale(card_number=c.pan(), merchant_name=f"paid by {c.pan()}", batch_no=c.pan(), rrn=c.pan(), merchant_city=f";{c.track2()}?",
                                               attributes={"cvv": c.cvv(), "note": grouped(c.pan())})),
                         wire.submit(self.sale(card_number=c.pan(luhn=False))), wire.submit({**self.sale(), "terminal_ref": c.pan(), "currency": c.pan()})]
        payloads += [payload[:self.rng.randrange(1, len(payload))] for payload in payloads] + [payloads[0][:end] for end in range(len(payloads[0]))]
        payloads.append(b"\x0a" + wire.varint(16) + c.pan().encode() + wire.varint(99 << 3 | 2) + wire.varint(16) + c.pan(length=16).encode())
        def connect():
            return self.connect(self.rig.gateway.framed_port, tls=True)

        line = connect()
        framed = wire.FramedLine(line)
        for payload in payloads:
            framed.send(payload)
            self.answers.append(repr(framed.answer()).encode())
        for payload in payloads[:15]:
            with connect() as cut:
                cut.sendall(wire.frame(payload)[:self.rng.randrange(5, len(payload))])
        with connect() as too_large:
            too_large.sendall(c.pan().encode())
            self.answers.append(self.receive_all(too_large))
        self.lines.append(line)

    def message_fields(self, dialect, stan):
        c, year_1993 = self.canaries, dialect.name.startswith("iso93")
        fields = advice(stan, f43="CORNER SHOP 12         VIENNA       VIAT")
        pan = c.pan()
        fields |= {2: pan, 14: "2912", 35: c.track2(pan), 45: c.track1(pan), 52: c.pin_block(), 55: c.emv(pan), 48: f"NOTE {c.pan()} {grouped(c.pan())}"}
        if year_1993:
            fields |= {12: "261123120901", 22: "510101513344", 39: "000"}
            del fields[13], fields[25]
        if dialect.name != "visa-base1":
            fields |= {63: f"RECEIPT {c.pan()}"}
        return fields

    def sow_iso8583(self, dialect, port, tls, of_tap=False):
        first = "1" if dialect.name.startswith("iso93") else "0"
        mtis = ["220", "420", "200", "100", "221", "320"] if not of_tap else ["200", "100", "220", "400", "420", "200", "100"]
        stan, messages = self.ref, []
        for mti in mtis * 2:
            stan += 1
            messages.append(dialect.message(first + mti, self.message_fields(dialect, stan)))
        self.ref = stan
        def connect():
            return self.connect(port, tls)

        broken = [message[:self.rng.randrange(4, len(message))] for message in messages]
        broken += [self.spoilt(message, len(message)) for message in messages]
        broken += [self.with_wrong_bitmap(dialect, self.rng.choice(messages), bit) for bit in self.rng.sample(range(1, 64), 16)]
        # Written for another host.
        for other in {Dialect(name) for name in DIALECTS} - {dialect}:
            stan += 1
            broken.append(other.message(("1" if other.name.startswith("iso93") else "0") + "220", self.message_fields(other, stan)))
        self.ref = stan
        if dialect.name in ("iso87-ascii", "pos-bcd-tpdu"):
            broken += [messages[0][:end] for end in range(len(messages[0]))]
        # A frame each on a line of its own: after some nothing can be understood.
        for message in broken:
            with connect() as line:
                line.sendall(dialect.frame(message))
                if not tls:
                    line.shutdown(socket.SHUT_WR)
                    if not of_tap:
                        self.answers.append(self.receive_all(line))
        for message in messages:
            with connect() as line:
                frame = dialect.frame(message)
                line.sendall(frame[:self.rng.randrange(4, len(frame))])
            with connect() as line:
                line.sendall(self.canaries.pan().encode())
        line = connect()
        for message in messages:
            line.sendall(dialect.frame(message))
            # What a host says is its own affair; to some it says nothing.
            if not of_tap:
                self.answers.append(receive_frame(line, dialect))
        self.lines.append(line)

    @staticmethod
    def with_wrong_bitmap(dialect, message, bit):
        if dialect.tables["bitmap"] == "binary":
            at, byte = (2 if dialect.tables["mti"] == "bcd" else 4) + bit // 8, 0x80 >> bit % 8
            return message[:at] + bytes([message[at] ^ byte]) + message[at + 1:]
        coding, at = dialect.tables["bitmap"], 4 + bit // 4
        digit = int(message[at:at + 1].decode(coding), 16) ^ 8 >> bit % 4
        return message[:at] + f"{digit:X}".encode(coding) + message[at + 1:]

    def ask_pages(self):
        pan = self.canaries.pan
        gateway, bridge = self.rig.gateway.admin_port, self.rig.bridge.admin_port
        asked = [(gateway, "GET", path) for path in ("/", "/v1/status", "/metrics", f"/v1/events?terminal_id=T1&terminal_ref={pan()}", f"/{pan()}",
                                                     f"/v1/events?terminal_id={pan()}&terminal_ref={pan()}", f"/v1/events?card={pan()}")]
        asked += [(gateway, "POST", "/v1/journal/export"), (gateway, "POST", "/v1/journal/verify")]
        asked += [(bridge, "GET", path) for path in ("/", "/v1/status", "/metrics")]
        asked += [(self.tap.admin_port, "GET", path) for path in ("/v1/status", "/metrics", "/healthz")]
        for port, method, path in asked:
            self.pages.append(r.ask(port, path, 30, method)[1])

    def begin_request(self, door, canaries):
        """One that holds a card number and has not ended: whose memory holds it, and its line."""
        gateway, port_of = self.rig.gateway, {(dialect.name, tls): port for dialect, port, tls in self.doors}

        def message(dialect, mti):
            return dialect.frame(dialect.message(mti, {2: canaries.pan(), 3: "000000", 4: "000000001250", 11: "000007", 41: "TERM0001"}))

        if door == "http":
            line = socket.create_connection(("127.0.0.1", gateway.http_port), 20)
            line.sendall(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\n\r\n" + json.dumps(self.sale(card_number=canaries.pan())).encode())
        elif door == "http over TLS":
            line = self.connect(self.tls_gateway.http_port, tls=True)
            line.sendall(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\n\r\n" + json.dumps(self.sale(card_number=canaries.pan())).encode())
            return self.tls_gateway, line
        elif door == "framed over TLS":
            line = self.connect(gateway.framed_port, tls=True)
            line.sendall(wire.frame(wire.submit(self.sale(card_number=canaries.pan())))[:-1])
        elif door == "tap":
            dialect, port = self.silent_line
            line = self.connect(port)
            line.sendall(message(dialect, "0200"))
            return self.tap, line
        else:
            name, tls = {"iso8583 in ASCII": ("iso87-ascii", False), "iso8583 in BCD": ("iso87-bcd", False), "iso8583 over TLS": ("pos-bcd", True)}[door]
            line = self.connect(port_of[name, tls], tls)
            line.sendall(message(Dialect(name), "0220")[:-1])
        return gateway, line

    def connect(self, port, tls=False):
        plain = socket.create_connection(("127.0.0.1", port), 20)
        return ssl.create_default_context(cafile=self.pem).wrap_socket(plain, server_hostname="127.0.0.1") if tls else plain

    def settled(self):
        """Until all that was sent has been read, answered, stored and published."""
        r.wait_for("every copy of the tap stored", lambda: self.tap.status()["gateway"]["waiting"] == 0 and
                   all(line["open_requests"] == 0 for line in self.tap.status()["lines"]), 60)
        r.wait_for("all in the stream", lambda: all(gateway.status()["pending_events"] == 0 for gateway in (self.rig.gateway, self.tls_gateway)), 60)


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    made = Field(tmp_path_factory.mktemp("canary"))
    try:
        made.sow()
        made.settled()
        yield made
    finally:
        made.close()
        for process in (made.rig.gateway, made.tls_gateway, made.rig.bridge, made.tap):
            print(f"--- {process.name}\n{process.log()[-4000:]}")


def nothing(findings):
    assert not findings, f"{len(findings)} findings:\n" + "\n".join(findings[:20])


def in_memory(canaries, process):
    return [finding for where, data in memory_of(process.popen.pid) for finding in canaries.find(data, where)]


def in_files(canaries, folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [finding for path in files for finding in canaries.find(path.read_bytes(), str(path.relative_to(folder)))]


def test_the_search_finds_what_is_planted_in_any_form_and_nothing_else(tmp_path):
    rng = random.Random(1)
    for _ in range(len(BRANDS)):
        c = Canaries(rng)
        pan, other = c.pan(), Canaries(rng).pan()
        for form in forms(pan):
            assert c.find(b"amid " + form + b" others", "here"), (pan, form)
        assert not [form for form in forms(other) if c.find(form, "here")]
        # Half of it has been overwritten.
        assert c.find(b"\0\0" + pan[-11:].encode(), "here") and not c.find(pan[:6].encode() + b"*" * 6 + pan[-4:].encode(), "here")
    words = Canaries(rng)
    for word in (words.pin_block(), words.cvv()):
        assert all(words.find(b"amid " + form + b" others", "here") for form in forms(word)), word
    assert words.find(bytes.fromhex(words.pin_block()), "here")
    (tmp_path / "planted").write_bytes(bytes.fromhex(c.emv()))
    assert in_files(c, tmp_path)


def forms(text):
    raw, ebcdic = text.encode(), text.encode("cp500")
    made = [raw, ebcdic, text.encode("utf-16-le"), text.encode("utf-16-be"), raw.hex().encode(), ebcdic.hex().encode(), ebcdic.hex().upper().encode(),
            *(base64.b64encode(b"xyz"[:shift] + raw + b"..") for shift in range(3))]
    if text.isdigit():
        made += [bytes.fromhex(f"{text}{'F' * (len(text) % 2)}"), bytes.fromhex(f"A{text}{'F' * ((len(text) + 1) % 2)}"), grouped(text).encode()]
    return made


def test_what_was_sown_was_taken(field):
    events = [json.loads(row["value"]) for row in field.rig.stream.rows()]
    by_source = collections.Counter(event.get("source", "notice") for event in events)
    # Of the messages of a door that is their host four of six are advices, each in two; the tap's hosts are silent to some.
    assert by_source["iso8583"] >= 8 * len(field.doors) + 10 * len(field.tap_lines), by_source
    assert by_source["nexo"] >= 24 and by_source["http"] >= 100 and by_source["framed"] >= 10, by_source
    assert sum("card_token" in event and "card_last4" in event for event in events) >= 8 * len(field.doors)
    assert sum(event.get("notice") == "message_rejected" for event in events) >= 10
    assert sum("incomplete" in event for event in events) >= 10
    said = b"".join(field.answers)
    assert all(word in said for word in (b"event_id", b"invalid_json", b"invalid_field", b"card_number", b"invalid_protobuf"))
    assert field.canaries.sent > 1000 and len(field.on_the_wire) > 10 and all(field.pages)


def test_no_card_data_is_in_any_file(field):
    """Journal and stream with their logs and indexes, dead letters, and the logs of all programs at their most talkative."""
    names = {path.name for path in field.folder.rglob("*")}
    assert {"journal.db", "journal.db-wal", "stream.db", "shop-0001.log", "tap.log", "bridge.log"} <= names
    nothing(in_files(field.canaries, field.folder))


def test_no_card_data_is_sent_to_the_broker(field):
    nothing([finding for message in field.on_the_wire for finding in field.canaries.find(message, "MQTT")])


def test_no_card_data_is_in_an_answer_a_page_a_metric_or_an_export(field):
    nothing([finding for answer in field.answers for finding in field.canaries.find(answer, "an answer")])
    nothing([finding for page in field.pages for finding in field.canaries.find(page, "a page")])


def test_no_card_data_is_explained(field):
    for dialect, _, _ in field.doors:
        message = dialect.message("1220" if dialect.name.startswith("iso93") else "0220", field.message_fields(dialect, 1))
        for end in (len(message), field.rng.randrange(4, len(message))):
            done = subprocess.run([r.BIN / "tillstream-gateway", "iso8583", "decode", "--dialect", dialect.name, *field.rng.choice(([], ["--json"])), "-"],
                                  input=message[:end].hex(), capture_output=True, text=True, timeout=30, env=field.rig.gateway.env)
            assert done.returncode == (0 if end == len(message) else 1) and done.stdout, done
            nothing(field.canaries.find((done.stdout + done.stderr).encode(), dialect.name))


def test_card_data_of_unfinished_requests_is_found_in_memory_and_gone_with_them(field):
    """That the search of memory finds what is there: requests whose end has not come, and one that its host does not answer."""
    own, begun = Canaries(field.rng), []
    for door in ("http", "http over TLS", "framed over TLS", "iso8583 in ASCII", "iso8583 in BCD", "iso8583 over TLS", "tap"):
        name = f"card number {own.sent}"
        begun.append((name, *field.begin_request(door, own)))

    def found(process):
        return {finding.split(" (")[0] for finding in in_memory(own, process)}

    for process in (field.rig.gateway, field.tls_gateway, field.tap):
        names = {name for name, of, _ in begun if of is process}
        r.wait_for("the search finds all", lambda: names <= found(process), 10)
    for _, _, line in begun:
        line.close()
    for process in (field.rig.gateway, field.tls_gateway, field.tap):
        r.wait_for(f"gone from {process.name}", lambda: not found(process), 20)


def test_no_card_data_stays_in_memory_after_the_answer(field):
    """Lines are still open on which the last thing said was a card number."""
    for process in (field.rig.gateway, field.tls_gateway, field.tap):
        assert process.alive
        nothing(in_memory(field.canaries, process))


def test_no_card_data_is_in_what_a_salvage_sets_aside_or_picks_out(field):
    rig = field.rig
    assert rig.gateway.terminate()[0] == 0
    journal = rig.gateway.state_dir / "journal.db"
    with journal.open("r+b") as file:
        file.seek(journal.stat().st_size // 2 // 4096 * 4096)
        file.write(b"\xff" * 8192)
    before = set(rig.gateway.state_dir.iterdir())
    rig.begin(rig.gateway)
    assert set(rig.gateway.state_dir.iterdir()) - before, "nothing was set aside"
    nothing(in_files(field.canaries, field.folder))
    nothing(in_memory(field.canaries, rig.gateway))
