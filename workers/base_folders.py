"""Folders of the base cache: frozen base models on local disk, pinned by revision and sha256.

DOVETAIL_SHELF/<namespace>--<name>/<revision>/…      the model's files, read-only
DOVETAIL_SHELF/<namespace>--<name>/<revision>/LABEL  JSON: id, revision, source, path → sha256
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from django.conf import settings

from registry.kernel.errors import ShelfProblem
from registry.models import Base

LABEL = "shelf.json"


def path(base: Base) -> Path:
    """Return the folder of a base in this machine's cache. Raises ShelfProblem if it is not there."""
    folder = folder_of(base.id, base.revision)
    if not (folder / LABEL).exists():
        raise ShelfProblem(
            f"{base.id} is in the base cache according to the database, but not in {folder}.",
            fix="Give every worker the same DOVETAIL_SHELF, or add the base again here.",
        )
    return folder


def verify(base: Base) -> Path:
    """Hash every file of a base and return its folder. Raises ShelfProblem if one byte differs."""
    folder = path(base)
    if damaged := first_damaged(folder, base.files):
        raise ShelfProblem(f"{damaged} is not the file that was added to the base cache.", fix="Add the base again.")
    return folder


def digest(files: Mapping[str, str]) -> str:
    """Return the sha256 over the sorted lines `path NUL sha256 LF`: the identity of a base."""
    hasher = hashlib.sha256()
    for name, sha256 in sorted(files.items()):
        hasher.update(f"{name}\0{sha256}\n".encode())
    return hasher.hexdigest()


def folder_of(base_id: str, revision: str) -> Path:
    return Path(settings.SHELF) / base_id.replace("/", "--") / revision


def first_damaged(folder: Path, files: Mapping[str, str]) -> Path | None:
    """Return the first file of a folder that is not the one of this digest, None if all are."""
    paths = ((folder / name, sha256) for name, sha256 in files.items())
    return next((file for file, sha256 in paths if not file.is_file() or hash_of(file) != sha256), None)


def hash_of(file: Path) -> str:
    with file.open("rb") as reader:
        return hashlib.file_digest(reader, "sha256").hexdigest()
