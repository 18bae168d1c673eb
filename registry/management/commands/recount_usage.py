"""`manage.py recount_usage`: counts again how many bytes each repository holds, and says which counts were wrong."""

from argparse import ArgumentParser
from typing import Any

from django.core.management import BaseCommand

from registry.kernel import stored_bytes


class Command(BaseCommand):
    help = "Count the bytes of every repository from its revisions, and correct and list the counts that differ."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="list the differences, change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        wrong = 0
        for repository, difference in stored_bytes.recount_all(dry_run=options["dry_run"]):
            wrong += 1
            self.stdout.write(f"{repository.type} {repository.full_name}: {difference:+,} bytes")
        verb = "would be corrected" if options["dry_run"] else "corrected"
        self.stdout.write(f"{wrong} counts {verb}." if wrong else "Every count was right.")
