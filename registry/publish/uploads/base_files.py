"""Stores the files of a base beside those of repositories, so that every web process can serve them."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from django.conf import settings
from django.db import transaction

from registry.bytes import blobs, intake
from registry.bytes.blobs import Hasher, Keys
from registry.kernel import audit
from registry.kernel.errors import BaseNotFound, StoreUnavailable, ValueInvalid
from registry.models import Base, BaseFile, Blob
from registry.repos import bases, manifest
from registry.repos.manifest import LFS_SUFFIXES


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
            raise StoreUnavailable(f"The bytes of {sha256} were swept while they were stored.")


def set_serve(name: str, serve: str) -> Base:
    """Say who may download a base by its name. Raises BaseNotFound and ValueInvalid."""
    base = bases.find_base(name)
    if base is None:
        raise BaseNotFound(f"{name} is not known here.")
    if serve not in Base.Serve.values:
        raise ValueInvalid(f"{serve!r} says not who may download a base.", fix=f"Use {', '.join(Base.Serve.values)}.")
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
    with file.open("rb") as reader:
        while piece := reader.read(blobs.PIECE):
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
