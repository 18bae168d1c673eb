"""`manage.py export_audit`: writes the audit log as JSON Lines or CSV."""

import csv
import json
import sys
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management import BaseCommand, CommandError
from django.utils import timezone

from features.audit_log.chain import exported
from features.audit_log.verbs import Filter
from registry.kernel import audit

COLUMNS = ("id", "at", *audit.FIELDS, "version", "mac", "sequence", "previous", "hash")


def moment(text: str) -> datetime:
    """Return the time of an ISO 8601 text, in UTC where it names no zone."""
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else timezone.make_aware(parsed)


class Command(BaseCommand):
    help = "Write the audit log to the standard output, oldest event first, with its place in the chain."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--format", choices=("jsonl", "csv"), default="jsonl", help="default: %(default)s")
        parser.add_argument("--actor", default="", help="the name of who acted")
        parser.add_argument("--object", default="", help="such as namespace/name")
        parser.add_argument("--action", default="", help="such as adapter:quarantine")
        parser.add_argument("--since", type=moment, metavar="TIME", help="ISO 8601, such as 2026-01-31")
        parser.add_argument("--until", type=moment, metavar="TIME", help="events before this time")

    def handle(self, *args: Any, **options: Any) -> None:
        names = ("actor", "object", "action", "since", "until")
        rows = exported(Filter(**{name: options[name] for name in names}))
        try:
            if options["format"] == "jsonl":
                for row in rows:
                    self.stdout.write(json.dumps(row, ensure_ascii=False))
                return
            writer = csv.DictWriter(self.stdout, COLUMNS, restval="")
            writer.writeheader()
            for row in rows:
                writer.writerow({name: _cell(value) for name, value in row.items()})
        except BrokenPipeError:
            sys.stdout = None  # the reader ended: nothing is to be flushed
            rows.close()  # its cursor ends before the connection
            raise CommandError("The reader of the export closed it too early.") from None


def _cell(value: object) -> str:
    """Return a value as text that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
