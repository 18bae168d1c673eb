"""The base cache: bases are put into it, and removed; base_folders.py says how they lie on the disk.

A base is copied completely before its folder gets its name, and its row comes last: a base that has a row is complete.
Operators download bases by the command SHELF.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from django.conf import settings

from dovetail.adapters.files import pickles
from dovetail.adapters.formats.bases import stated_license
from registry.kernel.errors import SHELF, BaseNotFound, ShelfProblem
from registry.models import Base
from registry.proof import renewal
from registry.proof.verdicts import requests, sweeps
from registry.publish.uploads import base_files
from registry.repos import bases, lookup
from registry.repos.contents import card
from workers.base_folders import LABEL, digest, first_damaged, folder_of, hash_of

_DATA = """
*.safetensors *.json *.jsonl *.jinja *.yaml *.yml *.txt *.tsv *.model *.model.v[0-9]* *.tiktoken *.spm *.bpe *.codes
*.vocab *.merges
"""
DATA = tuple(_DATA.split())
DEEPEST = 3  # parts of a path: additional_chat_templates/NAME.jinja, 1_Pooling/config.json
PIECE = 1 << 20
Tell = Callable[[str], None]


def add_folder(
    base_id: str, folder: Path, *, source: str, revision: str = "", license: str = "", tell: Tell = print
) -> Base:
    """Copy a model from a folder into the cache and return its row; the verdicts that waited for it go on.

    The revision defaults to the digest of its files, the license to the one in its card. The same content again changes
    nothing; after other content, the verdicts that the base gave are renewed in time. Raises ShelfProblem.
    """
    _check_id(base_id)
    license = license or _license(folder)
    paths = _model_files(folder)
    size = sum((folder / path).stat().st_size for path in paths)
    tell(f"Copying {len(paths)} files, {size:,} bytes …")
    with _incoming() as incoming:
        files = {str(path): _copy(folder / path, incoming / path) for path in paths}
        sha256 = digest(files)
        revision = revision or sha256[:40]
        pin = {"revision": revision, "sha256": sha256}
        (incoming / LABEL).write_text(json.dumps({"id": base_id, **pin, "source": source, "files": files}, indent=1))
        config = _config(incoming)
        _put_in_place(incoming, folder_of(base_id, revision), files)
    before = Base.objects.filter(id=base_id, has_weights=True).values_list("sha256", flat=True).first()
    base, _ = Base.objects.update_or_create(
        id=base_id,
        defaults=pin
        | {
            "files": files,
            "config": config,
            "size": size,
            "source": source[:200],
            "has_weights": True,
            **({"license": license} if license else {}),
        },
    )
    if before not in (None, sha256):
        tell(f"Verdicts that it gave with its other files, to be proven again in time: {renewal.doubt(base)}.")
    waiting = sweeps.base_arrived(base)  # after the row is there for every worker to see
    base_files.store(base, folder_of(base_id, revision), files)
    tell(
        f"{base_id} is in the base cache: revision {revision}, sha256 {sha256}. Verdicts that waited for it: {waiting}."
    )
    if lookup.named(base_id, "model").exists():
        tell(
            f"A repository of this hub is called {base_id} too, and who asks for that name gets its files, not the "
            "base's. Unless it is yours, have its owner rename it, or a moderator delete it."
        )
    return base


def add_config(base_id: str, config: Path, *, revision: str = "", license: str = "", tell: Tell = print) -> Base:
    """Make a base known by its config.json alone: adapters are fitted to it and never run. Raises ShelfProblem."""
    _check_id(base_id)
    file = config / "config.json" if config.is_dir() else config
    if not file.is_file():
        raise ShelfProblem(f"There is no {file}.", fix="Name the config.json of the base, or its folder.")
    existing = requests.base_for(base_id)
    if existing is not None and existing.has_weights:
        raise ShelfProblem(f"{existing.id} is in the base cache with its weights already.", fix="Remove it first.")
    license = license or _license(file.parent)
    sha256 = digest({"config.json": hash_of(file)})
    base, _ = Base.objects.update_or_create(
        id=existing.id if existing else base_id,
        defaults={
            "revision": revision or sha256[:40],
            "sha256": sha256,
            "files": {},
            "size": 0,
            "config": _config(file.parent, file.name),
            "source": f"config {file.resolve()}"[:200],
            "has_weights": False,
            **({"license": license} if license else {}),
        },
    )
    tell(f"{base_id} is known by its config: sha256 {sha256}.")
    return base


def remove(base_id: str) -> None:
    """Remove a base from the cache; later validations that need it wait. Raises BaseNotFound."""
    base = requests.base_for(base_id)
    if base is None:
        raise BaseNotFound(f"{base_id} is not in the base cache.")
    folder = folder_of(base.id, base.revision).parent
    base.delete()  # the row first: a reader of the row must find the files
    shutil.rmtree(folder, ignore_errors=True)


def _check_id(base_id: str) -> None:
    if not bases.is_id(base_id):
        raise ShelfProblem(f"{base_id!r} is no model id.", fix="Write it as adapters do: namespace/name.")
    row = bases.list_aliases().filter(folded=base_id.lower()).first()
    if row is not None:
        raise ShelfProblem(
            f"{base_id} is another name of {row.base} here.", fix=f"Say `{SHELF} unalias {base_id}` first."
        )


def _license(folder: Path) -> str:
    """Return the license in the card beside a model, "" without one."""
    readme = folder / "README.md"
    if not readme.is_file() or readme.stat().st_size > card.MAX_CARD_BYTES:
        return ""
    return stated_license(card.parse_card(readme.read_text(errors="replace")).data)


def is_data(path: str) -> bool:
    """Return whether a file is data of a model, as transformers and sentence-transformers save it.

    Code, pickles, and weights of other libraries are none, nor is what lies deeper than these save anything.
    """
    parts = PurePosixPath(path).parts
    is_inside = 0 < len(parts) <= DEEPEST and not any(part.startswith(".") for part in parts)
    return is_inside and parts[-1] != LABEL and any(fnmatchcase(parts[-1], pattern) for pattern in DATA)


def _is_pickle(file: Path) -> bool:
    """Return whether a file that is named like data runs code in who opens it as a pickle."""
    with file.open("rb") as opened:
        found = pickles.read(file.name, opened)
    return found is not None and not found.is_data


# --- on disk ---------------------------------------------------------------------------------------------------------
def _model_files(folder: Path) -> list[PurePosixPath]:
    if not folder.is_dir():
        raise ShelfProblem(f"{folder} is not a folder.", fix="Name the folder that holds config.json.")
    found = sorted(PurePosixPath(file.relative_to(folder).as_posix()) for file in folder.rglob("*") if file.is_file())
    paths = [file for file in found if is_data(str(file)) and not _is_pickle(folder / file)]
    if PurePosixPath("config.json") not in paths or not any(file.suffix == ".safetensors" for file in paths):
        raise ShelfProblem(
            f"{folder} holds no model: it takes config.json and weights as safetensors.",
            fix="Convert pickled weights with safetensors first: the base cache takes none.",
        )
    return paths


@contextmanager
def _incoming() -> Iterator[Path]:
    """Lend a folder on the cache's file system, so that moving it into place is atomic."""
    try:
        Path(settings.SHELF).mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".incoming-", dir=settings.SHELF))
    except OSError as problem:
        raise ShelfProblem(f"The base cache {settings.SHELF} cannot be written: {problem.strerror}.") from problem
    try:
        folder.chmod(0o755)
        yield folder
    except OSError as problem:
        raise ShelfProblem(f"The base could not be copied: {problem}.", fix="Check the disk.") from problem
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy(source: Path, target: Path) -> str:
    """Copy a file and return the sha256 of what was written."""
    target.parent.mkdir(parents=True, exist_ok=True)
    hasher = hashlib.sha256()
    with source.open("rb") as reader, target.open("xb") as writer:
        while piece := reader.read(PIECE):
            hasher.update(piece)
            writer.write(piece)
        writer.flush()
        os.fsync(writer.fileno())
    target.chmod(0o444)
    return hasher.hexdigest()


def _config(folder: Path, name: str = "config.json") -> dict[str, object]:
    try:
        config = json.loads((folder / name).read_bytes())
    except ValueError as problem:
        raise ShelfProblem(f"config.json of the base is not JSON: {problem}.") from problem
    if not isinstance(config, dict):
        raise ShelfProblem("config.json of the base is not a JSON object.")
    return config


def _put_in_place(incoming: Path, folder: Path, files: Mapping[str, str]) -> None:
    folder.parent.mkdir(exist_ok=True)
    if (folder / LABEL).exists():
        if (folder / LABEL).read_text() == (incoming / LABEL).read_text() and not first_damaged(folder, files):
            return
        # A damaged or different copy of the same revision: replace it.
        folder.rename(incoming.with_name(f"{incoming.name}.old"))
        shutil.rmtree(incoming.with_name(f"{incoming.name}.old"))
    incoming.rename(folder)
