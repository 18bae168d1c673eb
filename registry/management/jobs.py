"""Management commands that read or write many objects of the store."""

from django.core.management import BaseCommand

from registry.bytes import blobs


class JobCommand(BaseCommand):
    """A command whose process gives the store a minute for an answer, and five tries (blobs.job)."""

    def run_from_argv(self, argv: list[str]) -> None:
        blobs.job.set()
        super().run_from_argv(argv)
