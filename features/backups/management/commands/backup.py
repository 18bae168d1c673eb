"""`manage.py backup DIR`: a dump of the database, the list of blobs it needs, and with --blobs a copy of these."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management import BaseCommand, CommandError

from features.backups import verbs
from registry.bytes import blobs, object_copies
from registry.kernel.errors import RegistryError


class Command(BaseCommand):
    help = (
        "Write the database and the list of blobs into DIR, and copy the blobs that STORE lacks. "
        "Without --blobs, copy the blob store yourself within a day."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, metavar="DIR", help="a new folder")
        parser.add_argument("--blobs", metavar="STORE", help="file://DIR or s3://bucket?endpoint=URL")
        parser.add_argument("--verify", action="store_true", help="hash every blob of this backup in STORE again")

    def handle(self, *args: Any, **options: Any) -> None:
        folder, address = options["folder"], options["blobs"]
        if options["verify"] and not address:
            raise CommandError("--verify needs --blobs: it hashes the copies there.")
        try:
            with verbs.new_backup(folder):
                count = sum(1 for _ in verbs.listed(folder))
                if address:
                    self._copy(folder, address, verify=options["verify"])
        except RegistryError as refusal:
            raise CommandError(f"{refusal.detail} {refusal.fix}") from None
        except ImproperlyConfigured:
            raise CommandError("--blobs must be file://DIR or s3://bucket?endpoint=URL.") from None
        except OSError as error:
            raise CommandError(f"{folder} cannot be written: {error.strerror or error}.") from None
        verbs.record(folder, count)
        rest = f"{address} holds their bytes." if address else "Now copy the blob store."
        self.stdout.write(f"{folder} contains the database and the names of {count} blobs. {rest}")

    def _copy(self, folder: Path, address: str, *, verify: bool) -> None:
        source, target = blobs.store(), blobs.store_at(address)
        problems = list(verbs.copy(verbs.listed(folder), source, target))
        verbs.copy_audit_heads(source, target)
        if verify and not problems:
            problems = list(object_copies.different(verbs.listed(folder), target))
        for sha256, problem in problems:
            self.stdout.write(f"{sha256}: {problem}")
        if problems:
            raise CommandError(f"{len(problems)} blobs in {address} are damaged or missing; {folder} was removed.")
