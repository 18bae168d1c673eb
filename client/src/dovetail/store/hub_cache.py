"""The cache of huggingface_hub, where `from_pretrained` looks: it shares its files with the store, by hard links."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from huggingface_hub import constants

from dovetail.locks import Source
from dovetail.store import store as stores
from dovetail.store.store import Store


def folder() -> Path:
    """Return the folder of the cache."""
    return Path(constants.HF_HUB_CACHE)


def places_of(source: Source) -> list[Path]:
    """Return where the cache may have a file: in the snapshot of its revision, or as a large file of another one."""
    home = _home(source)
    return [home / "snapshots" / source.revision / source.file.path, home / "blobs" / source.file.sha256]


def share(source: Source, store: Store, *, is_lfs: bool) -> None:
    """Put a file of the store into the snapshot of its commit, unless it has the same bytes. Raises OSError.

    The blob has the name that huggingface_hub gives it, so it is not downloaded again for another commit.
    """
    own, snapshot = store.place(source.file.sha256), places_of(source)[0]
    if _is_same(snapshot, own, source):
        return
    blob = _home(source) / "blobs" / (source.file.sha256 if is_lfs else _git_oid(own))
    blob.parent.mkdir(parents=True, exist_ok=True)
    if not _is_same(blob, own, source):
        with _replacing(blob) as fresh:
            store.link(source.file, fresh)
    snapshot.parent.mkdir(parents=True, exist_ok=True)
    with _replacing(snapshot) as fresh:
        try:
            fresh.symlink_to(os.path.relpath(blob, snapshot.parent))
        except OSError:  # Windows, where links need a right
            store.link(source.file, fresh)


def _home(source: Source) -> Path:
    return folder() / f"models--{source.repository.replace('/', '--')}"


def _is_same(place: Path, own: Path, source: Source) -> bool:
    """Return whether a place has the bytes of the store; a file that is no link to it may be spoilt, and is read."""
    try:
        there, here = place.stat(), own.stat()
    except OSError:
        return False
    if os.path.samestat(there, here):
        return True
    is_copy = there.st_dev != here.st_dev and stores.is_whole(there, source.file)
    return is_copy or (there.st_size == here.st_size and stores.digest(place) == source.file.sha256)


def _git_oid(place: Path) -> str:
    data = place.read_bytes()  # of a file that is no large one
    return hashlib.sha1(b"blob %d\0%b" % (len(data), data), usedforsecurity=False).hexdigest()


@contextlib.contextmanager
def _replacing(place: Path) -> Iterator[Path]:
    """Yield a free name beside a place; what is made there takes the place in one step."""
    fresh = place.with_name(f".{uuid4().hex}.dovetail")
    try:
        yield fresh
        fresh.replace(place)
    finally:
        fresh.unlink(missing_ok=True)
