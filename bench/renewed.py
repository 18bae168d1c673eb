"""Renewals in a large catalogue: run by `python -m bench.renewed SECONDS` in the environment of a hub.

It says that a worker with many processes has the common bases, then lets one run renew verdicts as if a new engine
outdated all of them. Prints the seconds until the oldest of them is found, the seconds to queue one, and how many are
queued in a second on average: a run stops after a part of the time until the next one.
"""

import os
import sys
import time

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
django.setup()

from django.utils import timezone

from bench.seeded import BASES
from features.renewal import verbs as renewal
from registry.models import Base, WorkerHeartbeat

PROCESSES = 1_000  # never the limit
ENGINE = "5"


def main(seconds: float) -> None:
    """Queue again what was proven with an older engine, for that long."""
    Base.objects.bulk_create(
        [Base(id=name, revision="0" * 40, sha256="0" * 64) for name in BASES], ignore_conflicts=True
    )
    offers = {"door": "bench", "slots": PROCESSES, "bases": dict.fromkeys(BASES, "0" * 64), "engines": [ENGINE]}
    WorkerHeartbeat.objects.update_or_create(worker="bench", defaults={"beat_at": timezone.now(), "offers": offers})
    share, renewal.SECONDS = renewal.SECONDS / renewal.EVERY_SECONDS, seconds
    began = time.monotonic()
    renewal.outdated(["newer"]).order_by("finished_at").values_list("pk", flat=True).first()
    found = time.monotonic() - began
    began = time.monotonic()
    queued = renewal.renew(["newer"], [ENGINE], an_hour=1_000)
    each = (time.monotonic() - began) / queued
    print(found, each, share / each)


if __name__ == "__main__":
    main(float(sys.argv[1]))
