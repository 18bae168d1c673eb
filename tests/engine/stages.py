"""Runs one stage whose body misbehaves, and prints what the parent made of it; a process of its own, since it forks."""

import dataclasses
import json
import os
import signal
import stat
import sys
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # as for every engine: numpy starts threads, and a process with two must not fork

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "client" / "src")]

from dovetail.adapters import checks
from workers.engine.job import Job
from workers.engine.processes import child, stage
from workers.engine.processes.validation import Validation


def shout(data):
    """Past the protocol, straight into the pipe."""
    writer = next(number for number in range(3, 64) if is_pipe(number))
    while data:
        data = data[os.write(writer, data) :]


def is_pipe(number):
    try:
        return stat.S_ISFIFO(os.fstat(number).st_mode)
    except OSError:
        return False


def check(name, outcome="passed", message="All is well."):
    return {"check": {"id": name, "outcome": outcome, "message": message, "fix": "", "where": {}, "duration_ms": 1}}


def honest(say):
    say(check("file.header"))


def speaks_for_another(say):
    say(check("load.error"))


def says_a_state(say):
    say({"verdict": {"state": "passed"}})


def says_no_json(say):
    shout(b"x" * 100 + b"\n")
    say(check("file.header"))


def says_nan(say):
    shout(b'{"eval": {"base": NaN}}\n')


def floods(say):
    while True:
        say(check("file.header", message="x" * 1000))


def never_ends_a_line(say):
    while True:
        shout(b"x" * 65536)


def sleeps(say):
    say(check("file.header"))
    time.sleep(60)


def spins(say):
    while True:
        pass


def works(say):
    """Takes 0.5 seconds of processor time."""
    while time.process_time() < 0.5:
        pass
    say(check("file.header"))


def is_stopped(say):
    """Stands still until somebody wakes it, as in a container that is frozen."""
    os.kill(os.getpid(), signal.SIGSTOP)
    say(check("file.header"))


def speaks_slowly(say):
    for _ in range(5):
        time.sleep(0.5)
        say(check("file.header"))


def eats_memory(say):
    bytearray(1 << 34)


def crashes(say):
    os.kill(os.getpid(), signal.SIGSEGV)


def raises(say):
    raise ValueError("nobody catches this")


def forks(say):
    os.fork()


def reads_the_system(say):
    Path("/etc/passwd").read_text()


def says_nothing(job, frozen, say):
    say({"facts": {}})


def raises_in_a_validation(job, frozen, say):
    frozen.config  # noqa: B018 - there is no base


def says_all(job, frozen, say):
    for asked in checks.ids_of("None", "None"):  # of files that are of no family
        say(check(asked))
    say({"serving": []})


def says_it_has_no_jail(job, frozen, say):
    say({"jail": "no user namespaces"})


def validate(body):
    child.static = body
    return Validation(Job("1", Path(__file__).parent), None, lambda said: None).run()


def main():
    if sys.argv[1] == "validation":
        print(json.dumps(validate(globals()[sys.argv[2]]).as_json()))
        return
    began = time.monotonic()
    limits = {"seconds": 1.0, "idle_seconds": 1.0, "wall_seconds": 60.0} | json.loads((sys.argv[2:] or ["{}"])[0])
    walls = stage.Walls(None, [], memory_bytes=1 << 28, **limits)
    frames = list(stage.run(walls, globals()[sys.argv[1]], ("file.header",)))
    ending = dataclasses.asdict(frames.pop())
    crash = next((frame["crash"] for frame in frames if "crash" in frame), "")
    took = time.monotonic() - began
    print(json.dumps({"frames": len(frames), "ending": ending, "crash": crash, "took": took}))


if __name__ == "__main__":
    main()
