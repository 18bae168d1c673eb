"""A worker that dies at one step of its work: `python -m tests.workers.doomed STEP`; without a step it lives.

It is a worker without Celery: one work loop, on real rows, with real engines. A step is a function that is wrapped
here, so nothing in the worker knows of it. `clock HOURS` runs the loop on a clock that is wrong.
"""

import os
import pkgutil
import signal
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest import mock

import django

django.setup()

from django.conf import settings  # noqa: E402  # after the settings
from django.utils import timezone  # noqa: E402  # after the settings

from registry.models import Comparison  # noqa: E402  # after django.setup
from workers.engines import warm_engines  # noqa: E402  # after django.setup
from workers.loop import WorkLoop  # noqa: E402  # after django.setup

BEFORE, AFTER = "before", "after"
# What is wrapped, and whether death comes before or after it.
STEPS = {
    "claiming": ("registry.proof.verdicts.queue.whole", BEFORE),  # in the transaction
    "claimed": ("workers.validation.pipeline.validate", BEFORE),
    "laying out": ("shutil.copyfileobj", AFTER),
    "starting the engine": ("workers.engines.sandbox.Engine.serve", AFTER),
    "the first check": ("workers.validation.claims.Progress.__call__", BEFORE),
    "the verdict is there": ("workers.engines.capabilities.engine_row", BEFORE),
    "recording": ("registry.proof.verdicts.queue.show_and_move", AFTER),  # in the transaction
    "recorded": ("registry.proof.verdicts.jobs.record", AFTER),
    "comparing": ("workers.validation.claims.ignore_check", BEFORE),
    "recording a comparison": ("registry.proof.verdicts.comparisons._add", AFTER),  # in the transaction
}


def doomed(step: str) -> Any:
    """Return the patch that kills this process at a step, as -9 does."""
    name, when = STEPS[step]
    module, _, attribute = name.rpartition(".")
    original: Callable[..., Any] = pkgutil.resolve_name(name)

    def die(*arguments: Any, **more: Any) -> None:
        if when == AFTER:
            original(*arguments, **more)
        os.kill(os.getpid(), signal.SIGKILL)

    return mock.patch(f"{module}.{attribute}", die)


def work() -> None:
    """Do all there is, comparisons too: they wait for an engine that is being started."""
    loop, deadline = WorkLoop(), time.monotonic() + 180
    while time.monotonic() < deadline and (loop.step() or Comparison.objects.exists()):
        time.sleep(0.01)


def main() -> None:
    match sys.argv[1:]:
        case ["clock", hours]:
            settings.LEASE_SECONDS = 600  # far from the hours, and from what a busy machine takes
            wrong, now, seconds = timedelta(hours=float(hours)), timezone.now, time.time
            mock.patch("django.utils.timezone.now", side_effect=lambda: now() + wrong).start()
            mock.patch("time.time", side_effect=lambda: seconds() + wrong.total_seconds()).start()
        case [step]:
            doomed(step).start()
    print("at work", flush=True)
    work()
    warm_engines.ENGINES.stop()


if __name__ == "__main__":
    main()
