"""`manage.py sweep`: runs beat's clean-up now: stuck validations, orphan blobs, expired uploads and sessions."""

from argparse import ArgumentParser
from typing import Any

from django.core.management import BaseCommand, CommandError, call_command
from django.db.models.functions import Now

from registry.bytes import garbage
from registry.models import Verdict
from registry.proof.verdicts import sweeps


class Command(BaseCommand):
    help = "Recover from dead workers and lost messages, and remove bytes that nobody refers to."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--grace",
            type=int,
            default=garbage.GRACE_SECONDS,
            metavar="SECONDS",
            help="how long bytes may wait for the push that names them (default: %(default)s, a day)",
        )
        parser.add_argument("--dry-run", action="store_true", help="show what would happen, change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        grace: int = options["grace"]
        if grace < 0:
            raise CommandError("--grace cannot be negative.")
        if options["dry_run"]:
            stuck = Verdict.objects.filter(state=Verdict.State.RUNNING, lease_until__lt=Now()).count()
            self.stdout.write(f"Would take {stuck} validations from lost workers.")
            self._report("Would remove", garbage.count_garbage(grace))
            return
        swept = sweeps.sweep()
        self.stdout.write(
            f"Validations: {swept.lost} taken from lost workers, {swept.released} whose base arrived, "
            f"{swept.nudged} announced again, {swept.given_up} given up."
        )
        self._report("Removed", garbage.sweep(grace))
        self.stdout.write(f"Removed {garbage.sweep_lost_objects(grace)} stored objects without a row.")
        call_command("clearsessions")

    def _report(self, verb: str, swept: garbage.Swept) -> None:
        counts = {"blobs": swept.blobs, "uploads": swept.uploads} | swept.of_features
        self.stdout.write(f"{verb} {', '.join(f'{number} {name}' for name, number in counts.items())}.")
