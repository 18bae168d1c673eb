"""Runs several Celery workers as forks of one process, so that what all of them import is in memory once.

`python -m ops.forks APP NAME ARGUMENTS… -- NAME ARGUMENTS…`; all end when one of them ends, or this process is told to.
"""

import gc
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby
from types import FrameType

from celery import Celery
from celery.app.utils import find_app

from ops.supervisor import call_process, end_with_parent, how_it_ended

GRACE_SECONDS = 10  # for the others, once one has ended by itself


def run(app_name: str, words: Sequence[str]) -> int:
    """Fork the workers and wait for them; return 1 if one ended by itself."""
    app = find_app(app_name)
    app.loader.import_default_modules()
    gc.collect()
    gc.freeze()  # a collection would write to every page that they share
    parts = [list(part) for is_between, part in groupby(words, "--".__eq__) if not is_between]
    names = {_fork(app, app_name, name, arguments): name for name, *arguments in parts}
    is_ending, code = False, 0

    def end_all(number: int, frame: FrameType | None = None) -> None:
        nonlocal is_ending
        is_ending = True
        for pid in list(names):
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(pid, number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, end_all)
    signal.signal(signal.SIGALRM, lambda *_: end_all(signal.SIGKILL))
    while names:
        pid, status = os.wait()
        name = names.pop(pid)
        if not is_ending:
            print(f"The {name} {how_it_ended(os.waitstatus_to_exitcode(status))}.", flush=True)
            code = 1
            end_all(signal.SIGTERM)
            signal.alarm(GRACE_SECONDS)  # a validation may take minutes
    return code


def _fork(app: Celery, app_name: str, name: str, arguments: Sequence[str]) -> int:
    """Start a worker that ends with this process, called `name` in lists of processes; return its id."""
    parent = os.getpid()
    if pid := os.fork():
        return pid
    end_with_parent()
    if os.getppid() != parent:  # it ended before the line above took hold
        os._exit(1)
    call_process(name)
    sys.argv = ["celery", "-A", app_name, "worker", *arguments]  # as its own command line would be
    sys.exit(app.start(["-q", "worker", *arguments]))  # -q: no banner, logs are JSON


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], sys.argv[2:]))
