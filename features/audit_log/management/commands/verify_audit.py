"""`manage.py verify_audit`: follows the chain of the audit log and compares it with the heads kept elsewhere."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError

from features.audit_log import chain


class Command(BaseCommand):
    help = "Verify the audit log: exit with 1, and name the first bad row, if any row was changed, removed or inserted."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--head",
            action="append",
            default=[],
            metavar="FILE",
            help="a head that you kept elsewhere (a file from audit/ in the blob store, or audit_head of the log)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            kept = [(name, chain.parse(Path(name).read_bytes())) for name in options["head"]]
        except OSError as error:
            raise CommandError(f"{error.filename} cannot be read: {error.strerror}.") from None
        outcome = chain.verify(kept)
        for problem in outcome.problems:
            self.stdout.write(problem)
        if outcome.problems:
            raise CommandError(f"The audit log is damaged: {outcome.problems[0]}")
        self.stdout.write(
            f"{outcome.events} events ({outcome.first} to {outcome.last}) are unchanged; {outcome.heads} heads agree."
        )
