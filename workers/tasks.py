"""The Celery tasks, a few lines each: arguments are ids, results are rows."""

from contextlib import ExitStack
from smtplib import SMTPException
from typing import Any

from celery import shared_task
from django.utils import timezone

import features
from registry.bytes import garbage
from registry.kernel import idempotency, quotas, seams
from registry.moderation import suspension
from registry.proof import pickle_scans
from registry.proof.verdicts import sweeps
from registry.publish import open_pushes, retirement
from registry.repos import download_counts
from registry.repos.contents import rendered_cards
from registry.repos.lists import tallies
from registry.talk import dispatch as dispatching
from registry.talk import letters
from workers import base_measurements, pushed_files
from workers.loop import LOOP
from workers.validation import pipeline

JOBS = tuple(features.parts("JOBS", seams.Jobs, "jobs", "feature"))
LOOP.short = tuple(short for part in JOBS for short in part.short)
LOOP.later = tuple(work for part in JOBS for work in part.later)


@shared_task(bind=True)
def validate(self: Any, verdict: int = 0) -> None:
    """Do the jobs that wait for this worker; the id of the verdict is only a hint for the broker's log."""
    if LOOP.work():
        self.apply_async(args=(verdict,))


@shared_task
def dispatch() -> None:
    """Tell those who follow what happened."""
    dispatching.run()


@shared_task
def sweep() -> None:
    """End pushes that broke off, and recover from lost workers and lost messages."""
    open_pushes.sweep()
    sweeps.sweep()
    dispatching.sweep()
    suspension.end_due()
    tallies.fold_waiting()
    for feature in seams.joined():
        for work in feature.every_minute:
            work()


@shared_task
def fold_downloads() -> None:
    """Add what was counted to days and repositories, in bounded slices."""
    download_counts.fold()


@shared_task
def tidy() -> None:
    """Do the work of each hour in bounded slices: bin, garbage, alerts, cards, `verified`."""
    retirement.purge_expired()
    quotas.review()
    garbage.sweep(hour=timezone.now().hour)
    garbage.sweep_lost_objects(hour=timezone.now().hour)
    tallies.correct_due(hour=timezone.now().hour)
    rendered_cards.refresh()
    idempotency.sweep()
    sweeps.correct_verified()
    for feature in seams.joined():
        for work in feature.every_hour:
            work()
    pushed_files.write_facts()


@shared_task
def land() -> None:
    """Look for pickles, hash new files' tensors, and do what features do.

    All of these read files of strangers: one that fails, again and again, must not keep the others from their work.
    """
    with ExitStack() as works:  # which does the last one first, and goes on after an error
        for part in JOBS:
            for work in part.after_push:
                works.callback(work)
        works.callback(pushed_files.digest_files)
        works.callback(pushed_files.scan_revisions)
        works.callback(pickle_scans.sweep)


@shared_task
def scan() -> None:
    """Look for pickles in new revisions."""
    pushed_files.scan_revisions()


@shared_task
def read_upstream() -> None:
    """Fetch what is to be proven of other hubs: adapters that somebody read here, and bases that adapters wait for."""
    for part in JOBS:
        for work in part.reads:
            work()


@shared_task
def measure() -> None:
    """Measure the shapes of new bases, and what features want to know of them."""
    base_measurements.measure_missing_shapes()
    for part in JOBS:
        for work in part.measures:
            work()


@shared_task
def renew() -> None:
    """Queue verdicts again that features find out of date."""
    for feature in seams.joined():
        feature.renew(pipeline.proving_engines(), pipeline.current_provenances())


@shared_task(
    autoretry_for=(SMTPException, OSError), max_retries=6, retry_backoff=10, retry_backoff_max=900, ignore_result=True
)
def letter(to: str, subject: str, text: str) -> None:
    """Send one letter about an account; try again for about ten minutes while the mail server does not answer."""
    letters.deliver(to, subject, text)


@shared_task
def mail() -> None:
    """Send the e-mails that are due."""
    for part in JOBS:
        for work in part.mail:
            work()
