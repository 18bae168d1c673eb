"""`manage.py provision FILE.yml`: makes people, organisations, tokens, bases and settings what the file says."""

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
    help = "Make people, organisations, tokens, bases and site settings what a file says; what it does not name stays."

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
            _put_on_shelf(base, self.stdout)
        if not changes and not missing:
            self.stdout.write("Everything is as the file says.")


def _is_there(wanted: RequestedBase) -> bool:
    if wanted.config:  # with its weights, a base is more than was asked for
        known = Base.objects.filter(id__iexact=wanted.id)
        return known.filter(Q(has_weights=True) | Q(source=f"config {_config(wanted)}"[:200])).exists()
    # The shelf writes `package NAME==VERSION`, with the name as the wheel spells it.
    package = "[-_.]+".join(map(re.escape, re.split(r"[-_.]+", wanted.package)))
    source = f"package {package}(==.*)?" if package else re.escape(f"path {_folder(wanted)}")
    return Base.objects.filter(id__iexact=wanted.id, source__iregex=f"^{source}$").exists()


def _folder(wanted: RequestedBase) -> Path:
    folder = Path(wanted.path).resolve()
    if not folder.is_dir():
        raise CommandError(f"Nothing was changed. The base {wanted.id} has no folder at {folder}.")
    return folder


def _config(wanted: RequestedBase) -> Path:
    file = Path(wanted.config).resolve()
    if not file.is_file():
        raise CommandError(f"Nothing was changed. The base {wanted.id} has no config.json at {file}.")
    return file


def _put_on_shelf(wanted: RequestedBase, stdout: Any) -> None:
    source = ["--package", wanted.package] if wanted.package else ["--path", str(_folder(wanted))]
    if wanted.config:
        source = ["--config", str(_config(wanted))]
    call_command("shelf", "add", wanted.id, *source, stdout=stdout)
