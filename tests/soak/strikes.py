"""The faults of a soak. Each is a generator: what is before its `yield` strikes, what is after it heals."""
from __future__ import annotations

import signal

from world import World

HOUR, YEAR = 3_600, 365 * 86_400


class Strikes:
    def __init__(self, world: World, random) -> None:
        self.world, self.random = world, random
        world.authority.issue("renewed")
        world.authority.issue("expired", -1)
        world.stranger.issue("broker")
        self.all = [self.kill_gateway, self.kill_bridge, self.kill_broker, self.kill_kafka, self.end_gateway, self.end_bridge,
                    self.stop_gateway, self.stop_bridge, self.stop_kafka, self.cut_line, self.half_open_line, self.slow_line,
                    self.cut_kafka, self.half_open_kafka, self.swap_certificate, self.expired_certificate, self.unknown_authority]
        if all(disk.is_small for disk in world.disks):
            self.all.append(self.fill_disk)
        if world.clocks:
            self.all.append(self.step_clock)

    # Each says whom it struck.

    def _restarted(self, process, after: float, gently: bool = False):
        if gently:
            status, _ = process.terminate(30)
            assert status == 0, f"{process.name} ended with {status} on SIGTERM:\n{process.log()[-2000:]}"
        else:
            process.kill9()
        yield process.name, after
        process.start()
        self.world.wait_ready(process)

    def kill_gateway(self):
        yield from self._restarted(self.random.choice(self.world.gateways), self.random.uniform(0, 3))

    def kill_bridge(self):
        yield from self._restarted(self.random.choice(self.world.bridges), self.random.uniform(0, 5))

    def kill_broker(self):
        yield from self._restarted(self.world.broker, self.random.uniform(0, 5))

    def kill_kafka(self):
        yield from self._restarted(self.world.kafka.nodes[0], self.random.uniform(0, 5))

    def end_gateway(self):
        yield from self._restarted(self.random.choice(self.world.gateways), self.random.uniform(0, 2), gently=True)

    def end_bridge(self):
        yield from self._restarted(self.random.choice(self.world.bridges), self.random.uniform(0, 3), gently=True)

    def _stopped(self, process, seconds: float):
        process.popen.send_signal(signal.SIGSTOP)
        yield process.name, seconds
        process.popen.send_signal(signal.SIGCONT)

    def stop_gateway(self):
        yield from self._stopped(self.random.choice(self.world.gateways), self.random.uniform(0.2, 8))

    def stop_bridge(self):
        yield from self._stopped(self.random.choice(self.world.bridges), self.random.uniform(0.2, 15))

    def stop_kafka(self):
        yield from self._stopped(self.world.kafka.nodes[0], self.random.uniform(0.2, 8))

    def _bad(self, line, name: str, mode: str, seconds: float, bytes_per_second: int | None = None):
        line.set(mode, bytes_per_second)
        yield name, seconds
        line.set("pass")

    def _line(self):
        at = self.random.randrange(len(self.world.lines))
        return self.world.lines[at], f"line of {self.world.gateways[at].name}"

    def cut_line(self):
        yield from self._bad(*self._line(), "cut", self.random.uniform(0.2, 10))

    def half_open_line(self):
        yield from self._bad(*self._line(), "half_open", self.random.uniform(1, 12))

    def slow_line(self):
        yield from self._bad(*self._line(), "slow", self.random.uniform(1, 8), self.random.choice((4_000, 40_000)))

    def cut_kafka(self):
        yield from self._bad(self.world.kafka_line, "line to Kafka", "cut", self.random.uniform(0.2, 6))

    def half_open_kafka(self):
        yield from self._bad(self.world.kafka_line, "line to Kafka", "half_open", self.random.uniform(1, 10))

    def _certificate(self, authority, name: str, seconds: float):
        """As an operator exchanges it: the broker takes the new files, and everybody has to connect anew."""
        self._show(authority, name)
        yield f"the broker shows {name} of {authority.folder.name}", seconds
        self._show(self.world.authority, "renewed")

    def _show(self, authority, name: str) -> None:
        self.world.put_certificate(authority, name)
        self.world.broker.signal(signal.SIGHUP)
        for line in self.world.lines:
            line.set("cut")
            line.set("pass")

    def swap_certificate(self):
        yield from self._certificate(self.world.authority, "broker", self.random.uniform(0.2, 3))

    def expired_certificate(self):
        yield from self._certificate(self.world.authority, "expired", self.random.uniform(1, 8))

    def unknown_authority(self):
        yield from self._certificate(self.world.stranger, "broker", self.random.uniform(1, 8))

    def fill_disk(self):
        at = self.random.randrange(len(self.world.disks))
        self.world.disks[at].fill()
        yield f"disk of {self.world.gateways[at].name}", self.random.uniform(1, 8)
        self.world.disks[at].free()

    def step_clock(self):
        at = self.random.randrange(len(self.world.clocks))
        seconds = self.random.choice((-HOUR, HOUR, -2 * YEAR, 2 * YEAR, -1_700_000_000))
        self.world.clocks[at].step(seconds)
        yield f"clock of {self.world.gateways[at].name} by {seconds:+,} s", self.random.uniform(0.5, 8)
        self.world.clocks[at].step(0)
