"""The demo on the real programs: its switches are thrown while people tap, and its receipt must say that every tap arrived once."""
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest

from rig import SANITIZER_ENV, BIN, wait_for

CONDUCTOR = pathlib.Path(__file__).resolve().parents[1] / "demo" / "conductor.py"
END_SECONDS = 240  # the drain may have to sit out a long back-off


class Demo:
    def __init__(self, folder, *arguments):
        self.folder = folder
        self.log = folder / "demo.out"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, CONDUCTOR, "--bin", BIN, "--port", "0", *arguments], stdout=log, stderr=log,
                env={**os.environ, **SANITIZER_ENV, "TMPDIR": str(folder)})
        self.port = int(wait_for("the page's address", lambda: re.search(r"http://127\.0\.0\.1:(\d+)/", self.log.read_text()))[1])

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def state(self):
        return self.ask("GET", "/state")[1]

    def switch(self, **wish):
        assert self.ask("POST", "/switch", wish) == (200, {"done": True})

    def reader(self, name):
        return next(reader for reader in self.state()["readers"] if reader["name"] == name)

    def taps_on_the_stream(self, count):
        wait_for(f"{count} taps on the stream", lambda: self.state()["totals"].get("streamed", 0) >= count, 120)

    def end(self):
        status = self.process.wait(END_SECONDS)
        words = [line.split() for line in self.log.read_text().splitlines()]
        figures = {" ".join(line[:-1]): line[-1] for line in words if len(line) > 1}
        return status, figures

    def close(self):
        if self.process.poll() is None:
            self.process.kill()  # the kernel then ends its parts
            self.process.wait()
        print(self.log.read_text()[-4000:])

    def left_behind(self):
        """What still runs with this demo's folder on its command line, and what still lies in it."""
        running = []
        for process in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                command = process.read_bytes()
            except OSError:
                continue
            if f"{self.folder}/tillstream-demo-".encode() in command:
                running.append(command)
        return running + list(self.folder.glob("tillstream-demo-*"))


@pytest.fixture
def demo(tmp_path):
    demos = []

    def start(*arguments):
        demos.append(Demo(tmp_path, *arguments))
        wait_for("the system to run", lambda: demos[-1].state()["phase"] == "running")
        return demos[-1]

    yield start
    for each in demos:
        each.close()


def test_demo_every_tap_arrives_once_through_a_cut_link_and_a_killed_gateway(demo):
    it = demo()
    it.taps_on_the_stream(3)

    it.switch(reader="crm", paused=True)
    paused_at = it.reader("crm")["position"]
    it.switch(link="cut")
    wait_for("a queue behind the cut link", lambda: it.state()["queue"]["length"] >= 4)
    it.switch(gateway="kill")
    wait_for("the gateway to be down", lambda: it.state()["switches"]["gateway"] == "down")
    wait_for("a till that repeats", lambda: any(receipt["state"] == "waiting" for receipt in it.state()["receipts"]))
    wait_for("the gateway to be back by itself", lambda: it.state()["queue"]["gateway"].get("up") is True)
    assert it.state()["queue"]["gateway"]["pending_events"] >= 4, "what was stored outlives kill -9"
    it.switch(link="heal")
    wait_for("the queue to drain", lambda: it.state()["queue"]["length"] == 0, 120)

    head = it.state()["head"]
    assert it.reader("crm")["position"] == paused_at < head
    wait_for("the other readers not to notice", lambda: min(it.reader(name)["position"] for name in ("statement", "marketing")) >= head)
    it.switch(reader="crm", paused=False)
    wait_for("the paused reader to catch up", lambda: it.reader("crm")["position"] >= head)
    wait_for("a phone that rings", lambda: it.state()["notices"])
    notice = it.state()["notices"][0]
    assert notice["found_by"] == "token" and re.fullmatch(r"\d{4}", notice["last4"])

    it.process.send_signal(signal.SIGINT)
    status, figures = it.end()
    assert status == 0
    assert int(figures["taps"]) == int(figures["on the stream"]) >= 8
    assert (figures["lost"], figures["doubled"]) == ("0", "0")
    assert int(figures["longest queue"]) >= 4
    assert figures["stream, read on its own"] == "agrees"
    assert it.left_behind() == []


@pytest.mark.parametrize("how", [[], ["--kafka"], ["--iso8583"]], ids=["embedded", "kafka", "iso8583"])
def test_demo_ends_by_itself_and_heals_what_a_switch_left_cut(demo, how):
    it = demo("--seconds", "6", *how)
    it.taps_on_the_stream(1)
    it.switch(link="cut")
    it.switch(gateway="kill")
    status, figures = it.end()
    assert status == 0
    assert int(figures["taps"]) >= 2 and (figures["lost"], figures["doubled"]) == ("0", "0")
    assert figures["stream, read on its own"] == "agrees"
    if how == ["--iso8583"]:
        settled, balanced = re.search(r"(\d+) batches settled, (\d+) in balance", it.log.read_text()).groups()
        assert int(settled) == int(balanced) >= 1
    assert it.left_behind() == []


def test_demo_leaves_nothing_behind_when_it_is_killed_itself(demo):
    it = demo()
    it.taps_on_the_stream(1)
    it.process.kill()
    it.process.wait()
    wait_for("its parts to end with it", lambda: not [left for left in it.left_behind() if isinstance(left, bytes)])


def test_demo_refuses_a_switch_that_it_does_not_know(demo):
    it = demo("--seconds", "3")
    for wish in ({"link": "melt"}, {"reader": "nobody", "paused": True}, {"gateway": "kill", "link": "cut"}, {}):
        status, answer = it.ask("POST", "/switch", wish)
        assert status == 400 and answer["error"]
    assert it.end()[0] == 0


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "1e9"])
def test_demo_refuses_a_time_that_it_could_not_keep(seconds):
    done = subprocess.run([sys.executable, CONDUCTOR, "--bin", BIN, "--port", "0", f"--seconds={seconds}"], capture_output=True, text=True,
                          timeout=30)
    assert done.returncode == 2 and "1 to 9999999" in done.stderr, done
