"""`manage.py read_plane ACTION`: writes, compares or removes what is needed for pulls while the hub is down."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError

from features.plane import documents, jobs, names
from features.plane.models import PlaneName
from registry.bytes import blobs
from registry.bytes.blobs import Keys

ENDLESS = 1e9  # seconds


class Command(BaseCommand):
    help = (
        "Write, compare or remove the read plane: signed documents in the store, from which pulls "
        "continue without the hub."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "action",
            choices=["open", "rebuild", "sweep", "status", "remove"],
            help="open: let anybody read `plane/` of the bucket; rebuild: write all of it again; sweep: write and "
            "remove what differs from the database; status: keys and numbers; remove: all of it, to turn it off",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        action: str = options["action"]
        if not settings.PLANE_URL and action != "remove":
            raise CommandError("The read plane is off: set DOVETAIL_PLANE_URL to the address at which readers find it.")
        getattr(self, action)()

    def open(self) -> None:
        """Set the policy of the bucket."""
        store = blobs.store()
        if not store.keeps_headers:
            raise CommandError("The store is a folder: let a web server serve its folder `plane` (docs/production.md).")
        self.stdout.write(store.let_anybody_read(Keys.PLANE))

    def rebuild(self) -> None:
        """Write every document again."""
        self.stdout.write(f"Wrote {jobs.rewrite_all()} repositories again.")

    def sweep(self) -> None:
        """Compare everything, and do at once what that requests."""
        found = names.sweep()
        jobs.work(ENDLESS)
        self.stdout.write(
            f"{found.missing} repositories were missing, {found.extra} were removed, and {found.dropped_bytes} files."
        )

    def status(self) -> None:
        """Print the keys and how far the documents are."""
        for key in documents.public_keys():
            self.stdout.write(f"public key {key}")
        waiting = names.waiting().number
        signed = PlaneName.objects.filter(signed_at__isnull=False).count()
        size = sum(entry.size for entry in blobs.store().list(Keys.PLANE + Keys.BLOBS))
        self.stdout.write(f"{signed} repositories are signed, {waiting} wait; {size:,} bytes of files can be read.")

    def remove(self) -> None:
        """Remove every object."""
        self.stdout.write(f"Removed {names.remove_all()} objects.")
