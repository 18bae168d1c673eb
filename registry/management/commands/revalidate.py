"""`manage.py revalidate`: queues validations again, because a library or a base moved."""

from argparse import ArgumentParser
from typing import Any

from django.core.management import BaseCommand, CommandError

from registry import refs, verdicts
from registry.models import Revision, Verdict

REFS = [refs.MAIN, refs.VERIFIED]


class Command(BaseCommand):
    help = "Queue validations of what main and `verified` point at again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--base", metavar="ID", help="those that name this base model")
        parser.add_argument("--failed", action="store_true", help="those whose verdict is failed or errored")
        parser.add_argument("--all", action="store_true", help="all of them")

    def handle(self, *args: Any, **options: Any) -> None:
        base, failed = options["base"], options["failed"]
        if not (base or failed or options["all"]):
            raise CommandError("Say which ones: --base ID, --failed (together: both must hold) or --all.")
        queued = 0
        judged = Revision.objects.filter(refs__name__in=REFS, verdicts__isnull=False).distinct()
        for revision in judged.select_related("adapter__namespace").iterator():
            if _is_meant(verdicts.current(revision), base, failed):
                queued += verdicts.again(revision, by=None)[1]
        self.stdout.write(f"Queued {queued} validations.")


def _is_meant(verdict: Verdict, base: str | None, failed: bool) -> bool:
    if base and verdict.base.lower() != base.lower():
        return False
    return not failed or verdict.state in {Verdict.State.FAILED, Verdict.State.ERRORED}
