"""`manage.py remove_second_factors NAME`: lets a person in again who lost passkeys, app and recovery codes."""

from argparse import ArgumentParser
from typing import Any

from django.core.management import BaseCommand, CommandError

from registry.kernel.errors import RegistryError
from registry.people import accounts, sign_ins


class Command(BaseCommand):
    help = "Remove all second factors of a person: the password alone signs in afterwards."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the user name")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            count = sign_ins.remove_all(accounts.get_person(options["name"]), None, reason="the operator's command")
        except RegistryError as refusal:
            raise CommandError(f"{refusal.detail} {refusal.fix}".strip()) from None
        print(f"{options['name']}: {count} removed")
