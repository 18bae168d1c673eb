"""`manage.py revalidate`: queues validations again after a library, a check, a rule or a base has changed."""

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.core.management import BaseCommand, CommandError

from registry.models import Revision, Verdict
from registry.proof.verdicts import requests
from registry.repos import bases, refs
from workers.validation import pipeline


class Command(BaseCommand):
    help = "Queue validations of the versions that main and `verified` point at; with several options, all must match."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--base", metavar="ID", help="those of this base model, by any of its names")
        parser.add_argument("--failed", action="store_true", help="those whose verdict is failed or errored")
        parser.add_argument(
            "--outdated",
            action="store_true",
            help="those validated with other libraries, checks or rules than today's; the hub also does that by "
            "itself over time",
        )
        parser.add_argument("--all", action="store_true", help="all of them")
        parser.add_argument("--dry-run", action="store_true", help="only print how many")

    def handle(self, *args: Any, **options: Any) -> None:
        if not (options["base"] or options["failed"] or options["outdated"] or options["all"]):
            raise CommandError("Choose versions: --base ID, --failed, --outdated (together: all must match) or --all.")
        selected = [revision for revision in self._judged() if self._is_selected(requests.current(revision), options)]
        if options["dry_run"]:
            self.stdout.write(f"{len(selected)} validations would be queued.")
            return
        queued = sum(requests.again(revision, by=None)[1] for revision in selected)
        self.stdout.write(f"Queued {queued} validations.")

    def _judged(self) -> list[Revision]:
        rows = Revision.objects.filter(refs__name__in=[refs.MAIN, refs.VERIFIED], verdicts__isnull=False).distinct()
        return list(rows.select_related("repository__namespace"))

    def _is_selected(self, verdict: Verdict, options: Mapping[str, Any]) -> bool:
        if options["base"] and verdict.base.lower() != bases.canonical_name(options["base"]).lower():
            return False
        if options["outdated"] and (not verdict.is_final or verdict.proven_with in pipeline.current_provenances()):
            return False
        return not options["failed"] or verdict.state in {Verdict.State.FAILED, Verdict.State.ERRORED}
