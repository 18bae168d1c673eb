"""`manage.py provision FILE.yml`: applies a file of people, organisations, tokens, bases and site settings."""

import re
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError, call_command
from django.db.models import Q

from registry.kernel.errors import RegistryError
from registry.models import Base
from registry.people.provision import Plan, RequestedBase


class Command(BaseCommand):
    help = "Create or change the people, organisations, tokens, bases and site settings that a file names; others stay."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE.yml", help="YAML or JSON, see docs/operate.md")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            plan = Plan(options["file"].read_text(encoding="utf-8"))
            missing = [base for base in plan.bases if not _is_there(base)]
            changes = plan.apply()
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{options['file']} cannot be read: {error}") from None
        except RegistryError as refusal:
            raise CommandError(f"Nothing was changed. {refusal.detail} {refusal.fix}".strip()) from None
        for change in changes:
            self.stdout.write(change)
        for base in missing:
            _add_to_base_cache(base, self.stdout)
        if not changes and not missing:
            self.stdout.write("Everything already matches the file.")


def _is_there(requested: RequestedBase) -> bool:
    if requested.config:  # a base with weights satisfies it too
        rows = Base.objects.filter(id__iexact=requested.id)
        return rows.filter(Q(has_weights=True) | Q(source=f"config {_config(requested)}"[:200])).exists()
    # The base cache writes `package NAME==VERSION`, with the name as the wheel spells it.
    package = "[-_.]+".join(map(re.escape, re.split(r"[-_.]+", requested.package)))
    source = f"package {package}(==.*)?" if package else re.escape(f"path {_folder(requested)}")
    return Base.objects.filter(id__iexact=requested.id, source__iregex=f"^{source}$").exists()


def _folder(requested: RequestedBase) -> Path:
    folder = Path(requested.path).resolve()
    if not folder.is_dir():
        raise CommandError(f"Nothing was changed. The base {requested.id} has no folder at {folder}.")
    return folder


def _config(requested: RequestedBase) -> Path:
    file = Path(requested.config).resolve()
    if not file.is_file():
        raise CommandError(f"Nothing was changed. The base {requested.id} has no config.json at {file}.")
    return file


def _add_to_base_cache(requested: RequestedBase, stdout: Any) -> None:
    source = ["--package", requested.package] if requested.package else ["--path", str(_folder(requested))]
    if requested.config:
        source = ["--config", str(_config(requested))]
    call_command("shelf", "add", requested.id, *source, stdout=stdout)
