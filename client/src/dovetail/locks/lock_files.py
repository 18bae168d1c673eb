"""The file adapters.lock: found, read without trust, written in one step; no path in it leaves its folder."""

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dovetail.base import locks, paths
from dovetail.base.locks import Lock, LockedFile
from dovetail.base.problems import Problem, usage

NAME, OTHER_NAME = "adapters.lock", "dovetail.lock"
MAX_BYTES = 256 << 20


def find(given: Path | None = None) -> Path:
    """Return the lock file to read: the given one, adapters.lock or dovetail.lock. Raises Problem if there is none."""
    for place in [given] if given else [Path(NAME), Path(OTHER_NAME)]:
        if place.is_file():
            return place
    raise usage(f"There is no lock file {given or NAME}.", "Write one: dovetail lock NS/NAME@ALIAS")


def read(place: Path) -> Lock:
    """Return the lock that a file holds. Raises Problem for a malformed one, and for paths that lead out of it."""
    with place.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    try:
        if len(data) > MAX_BYTES:
            raise ValueError(f"it is longer than {MAX_BYTES:,} bytes")
        lock = locks.parse(json.loads(data))
    except (ValueError, RecursionError) as error:
        raise _broken(str(place), str(error)) from None
    check_places(lock, str(place))
    return lock


def write(lock: Lock, place: Path) -> None:
    """Write a lock file in one step: a reader sees the old one or the new one."""
    check_places(lock, "The hub")
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=place.parent, prefix=f".{place.name}-", delete=False
    ) as out:
        try:
            out.write(lock.text())
            out.flush()
            os.fsync(out.fileno())
            Path(out.name).chmod(0o666 & ~_umask())
            Path(out.name).replace(place)
        finally:
            Path(out.name).unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


# --- places ----------------------------------------------------------------------------------------------------------
def adapter_places(lock: Lock) -> Iterator[tuple[str, LockedFile]]:
    """Yield each file of each adapter with its place below the synced folder."""
    for entry in lock.adapters:
        for file in entry.files:
            yield f"{entry.folder}/{file.path}", file


def check_places(lock: Lock, source: str) -> None:
    """Raise Problem for a folder or path that must not be written, and for two that collide."""
    folders = [str(path) for path in paths.check((entry.folder for entry in lock.adapters), source)]
    for base in lock.bases:
        paths.check((base.id, *(f"{base.id}/{file.path}" for file in base.files)), source)
    checked = [str(path) for path in paths.check((place for place, _ in adapter_places(lock)), source)]
    above = {str(folder).casefold() for path in checked for folder in _folders(path)}
    for path in checked:
        if path.casefold() in above:
            raise paths.unsafe(path, "it is a file and a folder", source)
    for folder in folders:
        if folder.startswith("."):
            raise paths.unsafe(folder, "a folder that begins with a dot is ours", source)
        inside = {other.casefold() for other in folders if other != folder}
        if any(above_it.casefold() in inside for above_it in _folders(folder)):
            raise paths.unsafe(folder, "it lies in the folder of another adapter", source)


def _folders(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _broken(place: str, why: str) -> Problem:
    return Problem(
        f"{place} is not a lock file of this version: {why}.",
        "Write it again: dovetail lock NS/NAME@ALIAS …",
        code="client-lock-broken",
    )
