"""`manage.py name_rules`: imports reserved and prohibited names from a file."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError

from registry.kernel.errors import RegistryError
from registry.models import NameRule
from registry.people import name_rules


class Command(BaseCommand):
    help = "Reserve or prohibit names: one pattern a line, or `kind,scope,pattern,reason`."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="- is standard input; lines that begin with # are ignored")
        parser.add_argument("--kind", choices=NameRule.Kind.values, default="reserved", help="default: %(default)s")
        parser.add_argument("--scope", choices=NameRule.Scope.values, default="namespace", help="default: %(default)s")
        parser.add_argument("--reason", default="", help="for moderators")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            text = sys.stdin.read() if options["file"] == "-" else Path(options["file"]).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{options['file']} cannot be read: {error}.") from None
        chosen = {name: options[name] for name in ("kind", "scope", "reason")}
        try:
            new = name_rules.add_all(text.splitlines(), None, **chosen)
        except RegistryError as refusal:
            raise CommandError(f"{refusal.detail} {refusal.fix}") from None
        self.stdout.write(f"Added {new} rules.")
