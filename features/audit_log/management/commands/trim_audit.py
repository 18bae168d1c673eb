"""`manage.py trim_audit`: removes the oldest events of the audit log, with a signed checkpoint in their place."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management import BaseCommand, CommandError
from django.utils import timezone

from features.audit_log.chain import trim
from registry.kernel.errors import RegistryError

LEAST_DAYS = 30


class Command(BaseCommand):
    help = "Remove events older than some days; export them first. The rest of the log can still be verified."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=int, required=True, metavar="N", help="how many days are kept, at least 30")

    def handle(self, *args: Any, **options: Any) -> None:
        days: int = options["days"]
        if days < LEAST_DAYS:
            raise CommandError(f"--days is at least {LEAST_DAYS}.")
        try:
            removed = trim(timezone.now() - timedelta(days=days))
        except RegistryError as refusal:
            raise CommandError(f"{refusal.detail} {refusal.fix}") from None
        self.stdout.write(f"Removed {removed} events older than {days} days.")
