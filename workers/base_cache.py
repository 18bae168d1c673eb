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
from django.db import transaction

from dovetail.adapters.files import pickles
from dovetail.adapters.formats.bases import stated_license
from registry.bytes import blobs, intake
from registry.bytes.blobs import Hasher, Keys
from registry.kernel import audit
from registry.kernel.errors import SHELF, BaseNotFound, ShelfProblem, StoreUnavailable, ValueInvalid
from registry.models import Base, BaseFile, Blob
from registry.proof.verdicts import sweeps
from registry.repos import bases, lookup, manifest
from registry.repos.contents import card
from registry.repos.manifest import LFS_SUFFIXES
from workers.base_folders import LABEL, digest, first_damaged, folder_of, hash_of


def store(base: Base, folder: Path, files: Mapping[str, str]) -> None:
    """Store the files of a base (path → sha256, hashed when they were copied into the folder). Raises StoreUnavailable.

    Rows come before the second look at the bytes: a sweep that removed an object meanwhile sees them and stops.
    """
    sizes = {path: (folder / path).stat().st_size for path in files}
    _store_bytes(folder, files)
    rows = [_row(base, folder, path, sha256, sizes[path]) for path, sha256 in files.items()]
    with transaction.atomic():
        digests = {sha256: sizes[path] for path, sha256 in files.items()}
        named = [Blob(sha256=sha256, size=size) for sha256, size in digests.items()]
        Blob.objects.bulk_create(named, ignore_conflicts=True)
        base.served_files.all().delete()
        BaseFile.objects.bulk_create(rows)
    _store_bytes(folder, files)
    for sha256 in digests:
        if not blobs.object_exists(Keys.blob(sha256)):
            raise StoreUnavailable(f"The bytes of {sha256} were removed by garbage collection while they were stored.")


def set_serve(name: str, serve: str) -> Base:
    """Say who may download a base by its name. Raises BaseNotFound and ValueInvalid."""
    base = bases.find_base(name)
    if base is None:
        raise BaseNotFound(f"Unknown base model {name}.")
    if serve not in Base.Serve.values:
        raise ValueInvalid(
            f"{serve!r} is not a valid value for who may download a base.", fix=f"Use {', '.join(Base.Serve.values)}."
        )
    with transaction.atomic():
        audit.record(None, "base:serve", base.id, before=base.serve, after=serve)
        Base.objects.filter(pk=base.pk).update(serve=serve)
    base.serve = serve
    return base


def _store_bytes(folder: Path, files: Mapping[str, str]) -> None:
    for path, sha256 in files.items():
        if not blobs.object_exists(Keys.blob(sha256)):
            intake.store_verified(sha256, _verified(folder / path, sha256))


def _verified(file: Path, sha256: str) -> Iterator[bytes]:
    """Yield the bytes of a file, and raise at its end unless they have this digest: nothing is stored then."""
    hasher = Hasher()
    for piece in blobs.pieces_of_file(file):
        hasher.update(piece)
        yield piece
    if hasher.digest().sha256 != sha256:
        raise StoreUnavailable(f"{file} changed while it was stored.")


def _row(base: Base, folder: Path, path: str, sha256: str, size: int) -> BaseFile:
    """Return the row of a file: weights travel as LFS objects as in a repository, the rest as git's blobs."""
    if size > settings.MAX_INLINE_BYTES or path.lower().endswith(LFS_SUFFIXES):
        entry = manifest.lfs_entry(path, sha256, size)
    else:
        oid = manifest.git_blob_oid((folder / path).read_bytes())
        entry = manifest.Entry(path, sha256, size, is_lfs=False, git_oid=oid)
    return BaseFile(base=base, path=path, blob_id=sha256, size=size, is_lfs=entry.is_lfs, git_oid=entry.git_oid)


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
        tell(f"Verdicts that it gave with its other files, to be proven again in time: {sweeps.doubt(base)}.")
    waiting = sweeps.base_arrived(base)  # after the row is there for every worker to see
    store(base, folder_of(base_id, revision), files)
    tell(
        f"{base_id} is in the base cache: revision {revision}, sha256 {sha256}. Verdicts that waited for it: {waiting}."
    )
    if lookup.named(base_id, "model").exists():
        tell(
            f"A repository of this hub is also called {base_id}, and clients that ask for that name get its "
            "files instead of the base's. Unless it is yours, have its owner rename it, or a moderator "
            "delete it."
        )
    return base


def add_config(base_id: str, config: Path, *, revision: str = "", license: str = "", tell: Tell = print) -> Base:
    """Make a base known by its config.json alone: adapters are fitted to it and never run. Raises ShelfProblem."""
    _check_id(base_id)
    file = config / "config.json" if config.is_dir() else config
    if not file.is_file():
        raise ShelfProblem(f"There is no {file}.", fix="Give the config.json of the base, or its folder.")
    existing = bases.find_base(base_id)
    if existing is not None and existing.has_weights:
        raise ShelfProblem(f"{existing.id} is already in the base cache with its weights.", fix="Remove it first.")
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
    base = bases.find_base(base_id)
    if base is None:
        raise BaseNotFound(f"{base_id} is not in the base cache.")
    folder = folder_of(base.id, base.revision).parent
    base.delete()  # the row first: a reader of the row must find the files
    shutil.rmtree(folder, ignore_errors=True)


def _check_id(base_id: str) -> None:
    if not bases.is_id(base_id):
        raise ShelfProblem(f"{base_id!r} is not a model ID.", fix="Write it as namespace/name.")
    row = bases.list_aliases().filter(folded=base_id.lower()).first()
    if row is not None:
        raise ShelfProblem(f"{base_id} is an alias of {row.base} here.", fix=f"Run `{SHELF} unalias {base_id}` first.")


def _license(folder: Path) -> str:
    """Return the license in the card beside a model, "" without one."""
    return stated_license(card.read_card(folder).data)


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
        raise ShelfProblem(f"{folder} is not a folder.", fix="Give the folder that contains config.json.")
    found = sorted(PurePosixPath(file.relative_to(folder).as_posix()) for file in folder.rglob("*") if file.is_file())
    paths = [file for file in found if is_data(str(file)) and not _is_pickle(folder / file)]
    if PurePosixPath("config.json") not in paths or not any(file.suffix == ".safetensors" for file in paths):
        raise ShelfProblem(
            f"{folder} does not contain a model: config.json and safetensors weights are required.",
            fix="Convert pickled weights to safetensors first; the base cache does not accept pickles.",
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
