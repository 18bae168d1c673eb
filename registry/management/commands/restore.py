"""`manage.py restore DIR`: restores a backup's database into an empty hub and lists the missing blobs."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError, call_command

from registry.bytes import backup
from registry.kernel.errors import RegistryError


class Command(BaseCommand):
    help = "Restore a backup into an empty hub; exit with 1 and a list if the store lacks blobs that it names."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, metavar="DIR", help="a folder that `backup` wrote")

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["folder"]
        try:
            backup.restore_backup(folder)
        except RegistryError as refusal:
            raise CommandError(f"{refusal.detail} {refusal.fix}") from None
        call_command("migrate", verbosity=0)  # the backup may be older than this code
        missing = list(backup.missing_blobs(folder))
        for sha256 in missing:
            self.stdout.write(f"{sha256}: not in the blob store, or of another size")
        if missing:
            raise CommandError(f"The database is restored, but {len(missing)} blobs are missing from the store.")
        self.stdout.write("The hub is restored, and every blob is in the store.")
