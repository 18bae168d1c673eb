"""`manage.py block_files`: puts the digests of a file on the blocklist."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError

from features.blocklist import verbs
from registry.kernel.errors import RegistryError


class Command(BaseCommand):
    help = "Block files by sha256; the hub holds back revisions that contain one within a minute."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="one sha256 per line, other words after it are ignored; - is standard input")
        parser.add_argument("--reason", required=True, help="a sentence for people who push such a file")
        parser.add_argument("--note", default="", help="for moderators, such as where the list is from")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            text = sys.stdin.read() if options["file"] == "-" else Path(options["file"]).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{options['file']} cannot be read: {error}.") from None
        digests = [line.split()[0] for line in text.splitlines() if line.strip() and not line.startswith("#")]
        try:
            new = verbs.block(digests, None, reason=options["reason"], note=options["note"])
        except RegistryError as refusal:
            raise CommandError(f"{refusal.detail} {refusal.fix}") from None
        self.stdout.write(f"Blocked {len(new)} files; {len(set(digests)) - len(new)} were blocked before.")
