"""An engine that says what it is told to, honest or not: it stands for one that a stranger's weights took over."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from workers.engine.processes import sessions  # after the path: -I puts no folder there

CHECK = {"id": "file.header", "outcome": "passed", "message": "fine", "fix": "", "where": {}, "duration_ms": 1.5}
FAILED = CHECK | {"id": "tensors.not-finite", "outcome": "failed", "message": "2 values are NaN", "fix": "Train again."}
CRASHED = CHECK | {"id": "engine.check-crashed", "outcome": "failed", "message": "boom"}
LIMIT = CHECK | {"id": "limits.time", "outcome": "failed", "message": "more than 120 s"}


def say(**what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def verdict(job: dict, state: str, *checks: dict, **more: object) -> None:
    for check in checks:
        say(event="check", check=check)
    say(event="verdict", job=job["id"], verdict={"state": state, "checks": list(checks), "kind": "lora", **more})


def hang(words: str) -> None:
    """Do nothing for a minute, and say so on stderr."""
    for _ in range(6000):
        sys.stderr.write(words)
        sys.stderr.flush()
        time.sleep(0.01)


def answer(mode: str, job: dict) -> None:
    """Play one part of the cast of liars."""
    match mode:
        case "passes" | "ready after work":
            known = {"engine": {"name": "e5", "torch": "2"}, "base": {"id": "forged"}}
            verdict(job, "passed", CHECK, depth="run", format="peft", **known)
        case "fails":
            verdict(job, "failed", CHECK, FAILED)
        case "crashes":
            verdict(job, "errored", CHECK, CRASHED)
        case "limits":
            verdict(job, "failed", LIMIT)
        case "claims to pass":
            verdict(job, "passed", CHECK, FAILED)
        case "passes unchecked":
            verdict(job, "passed")
        case "answers another job":
            verdict({"id": "7"}, "passed", CHECK)
        case "floods":
            while True:
                say(event="check", check=CHECK)
        case "never ends a line":
            while True:
                sys.stdout.write("x" * 65536)
        case "says NaN":
            sys.stdout.write('{"event": "check", "check": {"id": "a.b", "outcome": "passed", "duration_ms": NaN}}\n')
            sys.stdout.flush()
        case "nests":
            sys.stdout.write("[" * 100_000 + "\n")
            sys.stdout.flush()
        case "dies":
            sys.stderr.write("out of cheese\n")
            os.kill(os.getpid(), signal.SIGKILL)
        case "hangs" | "mutters":
            hang("still here\n" if mode == "mutters" else "")
        case "forks and hangs":
            if os.fork() == 0:
                time.sleep(60)
            time.sleep(60)
        case "slow":
            say(event="check", check=CHECK)
            time.sleep(float(os.environ.get("SLOW", "1.5")))
            verdict(job, "passed", CHECK)
        case "shows its environment":
            seen = {
                "environ": dict(os.environ),
                "cwd": list(map(str, Path().iterdir())),
                "fds": len(list(Path("/proc/self/fd").iterdir())),
                "sid": os.getsid(0),
            }
            verdict(job, "passed", CHECK | {"where": seen})


def main(play: Callable[[str, dict], None] = answer) -> None:
    """Begin as this mode does, and let `play` answer each job."""
    mode = sys.argv[1]
    if mode == "never ready":
        time.sleep(60)
    while mode == "never ends its start" or (mode == "ready after work" and time.process_time() < 1):
        pass
    if mode == "ends at once":
        raise SystemExit("no such base")
    sessions.fork_sessions(lambda: serve(mode, play))


def serve(mode: str, play: Callable[[str, dict], None]) -> None:
    """Speak for one session, as it is told to."""
    holes = ["A file outside can be read."] if mode == "leaks" else []
    say(event="ready", engine={"name": "e5"}, base={}, jail={"holes": holes})
    for line in sys.stdin:
        play(mode, json.loads(line)["job"])


if __name__ == "__main__":
    main()
