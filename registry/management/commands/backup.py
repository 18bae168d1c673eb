"""`manage.py backup DIR`: a dump of the database and the list of blobs it needs."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError

from registry.bytes import backup
from registry.kernel.errors import RegistryError


class Command(BaseCommand):
    help = "Write the database and the list of blobs into DIR; copy the blob store besides, at any time afterwards."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, metavar="DIR", help="a new folder")

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["folder"]
        try:
            count = backup.write_backup(folder)
        except RegistryError as refusal:
            raise CommandError(f"{refusal.detail} {refusal.fix}") from None
        except OSError as error:
            raise CommandError(f"{folder} cannot be written: {error.strerror or error}.") from None
        self.stdout.write(f"{folder} holds the database and the names of {count} blobs. Now copy the blob store.")
