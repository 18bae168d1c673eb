"""`manage.py restore DIR`: restores a backup's database into an empty hub and lists the missing blobs."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management import BaseCommand, CommandError, call_command

from features.backups import verbs
from registry.bytes import blobs
from registry.kernel import seams
from registry.kernel.errors import RegistryError


class Command(BaseCommand):
    help = "Restore a backup into an empty hub; exit with 1 and a list if the store lacks blobs that it names."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, metavar="DIR", help="a folder that `backup` wrote")
        parser.add_argument("--blobs", metavar="STORE", help="copy the blobs that this hub's store lacks from there")

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["folder"]
        try:
            verbs.restore_backup(folder)
            call_command("migrate", verbosity=0)  # the backup may be older than this code
            missing = self._bring_blobs(folder, options["blobs"])
            for feature in seams.joined():
                feature.restored()
        except RegistryError as refusal:
            raise CommandError(f"{refusal.detail} {refusal.fix}") from None
        except ImproperlyConfigured:
            raise CommandError("--blobs must be file://DIR or s3://bucket?endpoint=URL.") from None
        for sha256, problem in missing:
            self.stdout.write(f"{sha256}: {problem}")
        if missing:
            raise CommandError(f"The database is restored, but {len(missing)} blobs are missing from the store.")
        self.stdout.write("The hub is restored, and every blob is in the store.")

    def _bring_blobs(self, folder: Path, address: str | None) -> list[tuple[str, str]]:
        """Return the blobs that the store does not hold afterwards, with the reason."""
        target = blobs.store()
        if not address:
            return list(verbs.missing(verbs.listed(folder), target))
        source = blobs.store_at(address)
        verbs.copy_audit_heads(source, target)
        return list(verbs.copy(verbs.listed(folder), source, target))
