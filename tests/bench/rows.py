"""What the rows have in common."""
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def spread(values):
    values = list(values)
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def told(values, form):
    """A spread as the rows print it."""
    return f"{format(values['median'], form)} ({format(values['least'], form)} … {format(values['most'], form)})"


def use_build(build):
    """Before the system tests' modules are imported."""
    os.environ["TILLSTREAM_BIN"] = str(build / "bin")
    sys.path[:0] = [str(HERE.parent / "system"), str(HERE.parent / "support")]


def answer_of(program, *arguments):
    """The one line of JSON that a load or a floor prints."""
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{program} ended with {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def cpu_seconds(pid):
    """User and system, all threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


@contextlib.contextmanager
def running(process, ready=None):
    import rig as r

    try:
        process.start()
        r.wait_for(f"{process.name} to run", ready or process.ready)
        yield process
    finally:
        process.kill9()


def write_json(file, result):
    if file:
        file.write_text(json.dumps(result, indent=1) + "\n")
