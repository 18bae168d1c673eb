"""`manage.py sign_in_link NAME`: a link that signs an administrator in once, when nothing else does."""

from argparse import ArgumentParser
from typing import Any

from django.core.management import BaseCommand, CommandError

from registry.kernel.errors import RegistryError
from registry.people import accounts, sign_ins


class Command(BaseCommand):
    help = "Print a link that signs an administrator in, once, within ten minutes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME", help="the user name of the administrator")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.stdout.write(sign_ins.make(accounts.get_person(options["name"])))
        except RegistryError as refusal:
            raise CommandError(f"{refusal.detail} {refusal.fix}".strip()) from None
