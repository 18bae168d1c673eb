"""Tries a serving engine that misbehaves, and prints what its parent made of it; of its own, since it forks."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

os.environ["OMP_NUM_THREADS"] = "1"  # as for every engine: numpy starts threads, and a process with two must not fork

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "client" / "src")]

from features.measured.engine import measure
from workers.engine.job import Job


def spins(trial):
    while True:
        pass


def sleeps(trial):
    time.sleep(60)


def crashes(trial):
    os.kill(os.getpid(), signal.SIGSEGV)


def reads_the_hub(trial):
    """Read a file of the hub that no engine needs."""
    (ROOT / "hub" / "settings.py").read_text()


def main():
    body, seconds, idle_seconds = sys.argv[1], *map(float, sys.argv[2:])
    engine = SimpleNamespace(ENGINE="vllm 0.32.0", measure=globals()[body])
    told = {"config": {}, "runs": False}
    job = Job("1", Path(__file__).parent, seconds=seconds, idle_seconds=idle_seconds, more=told)
    with mock.patch.multiple(measure, NAME="vllm", subject_of=lambda files: SimpleNamespace(modules={})):
        print(json.dumps(measure._measure(engine, job)))


if __name__ == "__main__":
    main()
