"""Garbage collection and the cooling of xorbs without pause and almost without grace: what the clock does within a day.

Run inside a deployment's environment. A xorb that nobody used for QUIET_SECONDS counts as one of yesterday. It prints
a line as each step begins and ends.
"""

import os
import time
from datetime import timedelta

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")

import django

django.setup()

from django.db import close_old_connections  # noqa: E402  # models need the applications
from django.utils import timezone  # noqa: E402  # as above

from features.xet import xet_files  # noqa: E402  # as above
from features.xet.models import Xorb  # noqa: E402  # as above
from registry.bytes import garbage  # noqa: E402  # as above

GRACE_SECONDS = 2  # between the delivery of a file and the commit that names it; a day in real life
QUIET_SECONDS = 15  # longer than one read of the load takes, as the hub's hour between two bounds is for real ones
PAUSE_SECONDS = 1.0


def step(name: str) -> None:
    print(f"begin {name}", flush=True)
    try:
        if name == "cooling":
            now = timezone.now()
            quiet = Xorb.objects.filter(is_cold=False, last_used_at__lt=now - timedelta(seconds=QUIET_SECONDS))
            quiet.update(last_used_at=now - timedelta(days=4))
            print(f"cooled {xet_files.cool_idle(('0', 'g'))}", flush=True)
        else:
            swept = garbage.sweep(GRACE_SECONDS)
            print(f"swept {swept.blobs} {swept.uploads} {garbage.sweep_lost_objects(GRACE_SECONDS)}", flush=True)
    except Exception as problem:  # noqa: BLE001  # the clock logs it and runs the task again
        words = " ".join(str(problem).split())  # PostgreSQL says some things in several lines
        print(f"failed {name}: {type(problem).__name__}: {words}"[:200], flush=True)
    print(f"end {name}", flush=True)


if __name__ == "__main__":
    while True:
        for name in ("cooling", "sweep"):
            close_old_connections()
            step(name)
            time.sleep(PAUSE_SECONDS)
