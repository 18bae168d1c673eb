"""What the queue may ask for, in a few lines each; arguments are ids, results are rows."""

from celery import shared_task

from registry import leftovers, verdicts, webhooks
from workers import bench, postman, scratch, shapes


@shared_task
def validate(verdict: int) -> None:
    """Validate the revision of this verdict, if nobody did or does."""
    bench.validate(verdict)


@shared_task
def deliver(delivery: int) -> None:
    """Send this message to its webhook, if nobody did or does."""
    postman.deliver(delivery)


@shared_task
def sweep() -> None:
    """Put right what lost workers and lost messages left behind."""
    verdicts.sweep()
    webhooks.sweep()
    scratch.sweep()


@shared_task
def tidy() -> None:
    """Remove bytes that nobody refers to and uploads that never ended, and measure bases that nobody measured."""
    leftovers.sweep()
    shapes.measure_missing()
