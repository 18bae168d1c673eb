"""What the queue may ask for, in a few lines each; arguments are ids, results are rows."""

from typing import Any

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from registry.bytes import garbage
from registry.proof import renewal, verdicts
from registry.talk import alert_mail, deliveries
from registry.talk import dispatch as dispatching
from workers import landing, postman, provenance, shapes
from workers.shift import SHIFT


@shared_task(bind=True)
def validate(self: Any, verdict: int = 0) -> None:
    """Do what waits and can be done here; which verdict rang is only for the log of the broker."""
    if SHIFT.work():
        self.apply_async(args=(verdict,))


@shared_task
def deliver(delivery: int) -> None:
    """Send this message to its webhook, if nobody did or does."""
    postman.deliver(delivery)


@shared_task
def dispatch() -> None:
    """Tell those who follow what happened."""
    dispatching.run()


@shared_task
def sweep() -> None:
    """Put right what lost workers and lost messages left behind."""
    verdicts.sweep()
    dispatching.sweep()
    deliveries.sweep()


@shared_task
def tidy() -> None:
    """Remove bytes that nobody refers to and uploads that never ended; of what is kept, a part each hour."""
    garbage.sweep(hour=timezone.now().hour)


@shared_task
def land() -> None:
    """Cut large files that came whole into chunks, for readers by Xet."""
    landing.work()


@shared_task
def measure() -> None:
    """Measure bases that nobody measured."""
    shapes.measure_missing()


@shared_task
def renew() -> None:
    """Queue again, a few at a time, what was proven with libraries, checks or rules that are others now."""
    renewal.renew(provenance.current(), provenance.engines(), settings.RENEWALS_AN_HOUR)


@shared_task
def mail() -> None:
    """Send the letters that are due."""
    alert_mail.send_due()
