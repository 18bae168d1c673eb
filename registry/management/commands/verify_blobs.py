"""`manage.py verify_blobs`: hashes stored bytes again and compares them with the rows."""

from argparse import ArgumentParser
from collections.abc import Iterator
from itertools import starmap
from typing import Any

from django.core.management import BaseCommand, CommandError

from registry.bytes import blobs, object_copies
from registry.models import Blob


def find_differences(sample: int | None = None) -> Iterator[tuple[str, str]]:
    """Hash the stored bytes of every blob, or of a random sample of them; yield (sha256, what is wrong)."""
    rows = Blob.objects.order_by("?")[:sample] if sample is not None else Blob.objects.order_by("sha256")
    digests = starmap(blobs.Digest, rows.values_list("sha256", "size").iterator())
    return object_copies.different(digests, blobs.store())


class Command(BaseCommand):
    help = "Hash the stored bytes again; exit with 1 and a list if anything differs from the rows."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--sample", type=int, metavar="N", help="only N blobs, chosen at random")

    def handle(self, *args: Any, **options: Any) -> None:
        sample: int | None = options["sample"]
        if sample is not None and sample < 1:
            raise CommandError("--sample needs a number from 1.")
        wrong = 0
        for sha256, problem in find_differences(sample):
            wrong += 1
            self.stdout.write(f"{sha256}: {problem}")
        total = Blob.objects.count()
        looked_at = total if sample is None else min(sample, total)
        if wrong:
            raise CommandError(f"{wrong} of {looked_at} blobs are damaged. Restore their objects from a backup.")
        self.stdout.write(f"{looked_at} of {total} blobs match their rows.")
