"""Ends that nobody asked for: memory that runs out, a process that dies again and again while it starts."""
import pathlib
import resource
import shutil
import subprocess

import pytest

import rig as r

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize("program", ["gateway", "bridge"])
def test_a_program_that_runs_out_of_memory_dies_and_what_was_told_is_there(make_rig, program):
    rig = make_rig()
    rig.tap(4)
    rig.wait_told(100)
    victim = getattr(rig, program)
    # From now on the kernel gives it nothing more; load makes it ask.
    soft = 1 << 20
    resource.prlimit(victim.popen.pid, resource.RLIMIT_AS, (soft, soft))
    rig.tap(24)
    with_batches(rig, victim)
    assert victim.popen.returncode != 0
    victim.log_path = victim.log_path.with_suffix(".second.log")  # in the first one the sanitizer names the memory it did not get
    rig.begin(victim)
    rig.wait_told(100)
    rig.settle()


def with_batches(rig, victim):
    """Bodies that need memory, until the program has died of one."""
    lines = "\n".join(r.json.dumps(r.sale("BIG", f"{n:04d}", note="x" * 60)) for n in range(1000))

    def died():
        if victim.alive:
            try:
                r.get(rig.gateway.http_port, "/v1/events/batch", 5, "POST", lines, {"Content-Type": "application/x-ndjson"})
                r.get(victim.admin_port, "/metrics", 5)
            except OSError:
                pass
        return not victim.alive

    r.wait_for(f"{victim.name} dies", died, 60)


def test_a_crash_loop_harms_no_journal(make_rig, seed):
    """Twenty lives of a moment each, most of them over before it is ready."""
    rig = make_rig()
    rig.tap(4)
    rig.wait_told(100)
    for _ in range(20):
        rig.gateway.kill9()
        rig.gateway.start()
        r.time.sleep(seed.uniform(0, 0.4))
    rig.gateway.kill9()
    done = subprocess.run([r.BIN / "tillstream-gateway", "journal", "verify", "--config", rig.gateway.config], capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rig.begin(rig.gateway)
    rig.wait_told(100)
    rig.settle()


@pytest.mark.parametrize("unit", ["firmware-gateway/tillstream-gateway.service", "firmware-gateway/tillstream-tap.service",
                                  "cloud-bridge/tillstream-bridge.service"])
def test_the_units_leave_a_process_little_to_do_harm_with(unit):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here (Debian's package systemd)")
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", ROOT / unit], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
