"""Puts the files of a revision into a folder: every byte is hashed before it is moved into place, all files or none."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dovetail.manifests import ManifestFile
from dovetail.problems import Problem, usage
from dovetail.transport import Transport

PIECE = 1 << 20
Progress = Callable[[str, int, int], None]  # path, bytes done, bytes in all


def ignore(path: str, done: int, size: int) -> None:
    """Ignore the progress of a download (the default)."""


@dataclass(frozen=True)
class Source:
    """The revision that files come from, and the hub that has it."""

    transport: Transport
    adapter: str
    revision: str


def missing(files: Sequence[ManifestFile], to: Path) -> list[ManifestFile]:
    """Return the files that are not in a folder with their bytes. Raises Problem if it is no folder."""
    if to.exists() and not to.is_dir():
        raise usage(f"{to} is a file.", "Name a folder with --to.")
    return [file for file in files if digest_of(to / file.path, file.size) != file.sha256]


def digest_of(place: Path, size: int) -> str | None:
    """Return the sha256 of a file of this size; None where there is none, or it is a link."""
    if place.is_symlink() or not place.is_file() or place.stat().st_size != size:
        return None
    with place.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fetch(
    source: Source, files: Sequence[ManifestFile], to: Path, progress: Progress = ignore, *, is_linked: bool = False
) -> Path:
    """Write the files below `to` and return it. A new folder appears at once; in an existing one each file is replaced.

    Nothing is moved before every file has arrived with its size and sha256. With `is_linked` the files are hard links
    to the cache where the file system allows. Raises Problem.
    """
    from dovetail import hub_cache  # noqa: PLC0415  # imports huggingface_hub, which takes 0.3 s

    needed = missing(files, to)
    to.parent.mkdir(parents=True, exist_ok=True)
    _require_space(source, needed, to.parent, is_linked=is_linked)
    places = hub_cache.bring(source.transport, source.adapter, source.revision, needed, progress) if needed else {}
    with tempfile.TemporaryDirectory(prefix=f".{to.name}-", dir=to.parent) as folder:
        stage = Path(folder) / "files"  # not the temporary folder itself, whose mode only lets this user in
        stage.mkdir()
        for file in needed:
            _take(source, file, places, stage / file.path, is_linked=is_linked)
        _move(stage, [file.path for file in needed], to)
    return to


def _require_space(source: Source, files: Sequence[ManifestFile], folder: Path, *, is_linked: bool) -> None:
    """Raise Problem where the copies, or what the cache does not have yet, find no room."""
    from huggingface_hub import constants  # noqa: PLC0415  # as in fetch

    from dovetail import hub_cache  # noqa: PLC0415  # as in fetch

    cache = Path(constants.HF_HUB_CACHE)
    cache.mkdir(parents=True, exist_ok=True)
    arriving = [file for file in files if not hub_cache.cached(source.adapter, source.revision, str(file.path))]
    needed_by_place = {cache: sum(file.size for file in arriving)}
    if not is_linked:
        same = next((place for place in needed_by_place if place.stat().st_dev == folder.stat().st_dev), folder)
        needed_by_place[same] = needed_by_place.get(same, 0) + sum(file.size for file in files)
    for place, needed in needed_by_place.items():
        if needed > (free := shutil.disk_usage(place).free):
            raise Problem(
                f"{needed:,} bytes are needed, and {free:,} are free in {place}.",
                "Make room (`dovetail cache prune`), use --to, or set HF_HOME to a folder on another disk.",
                code="client-disk-full",
            )


def _take(source: Source, file: ManifestFile, places: Mapping[str, Path], to: Path, *, is_linked: bool) -> None:
    """Put a file of the cache at a place. One whose bytes are wrong is downloaded once more. Raises Problem."""
    from dovetail import hub_cache  # noqa: PLC0415  # as in fetch

    to.parent.mkdir(parents=True, exist_ok=True)
    place = places[str(file.path)]
    for is_last in (False, True):
        size, digest = _copy(place, to, file.size, is_linked=is_linked)
        if (size, digest) == (file.size, file.sha256):
            return
        to.unlink(missing_ok=True)
        hub_cache.drop(place)
        if is_last:
            raise hub_cache.mismatch(file, size, digest)
        again = hub_cache.bring(source.transport, source.adapter, source.revision, [file], ignore, again=True)
        place = again[str(file.path)]


def _copy(source: Path, to: Path, size: int, *, is_linked: bool) -> tuple[int, str]:
    """Copy a file, or link it; return its size (at most one byte more than `size`) and its sha256."""
    digest, done = hashlib.sha256(), 0
    with source.open("rb") as file, to.open("xb") if not is_linked else contextlib.nullcontext() as out:
        while piece := file.read(min(PIECE, size + 1 - done)):
            digest.update(piece)
            done += len(piece)
            if out:
                out.write(piece)
    if is_linked:
        _link(source.resolve(), to)
    return done, digest.hexdigest()


def _link(source: Path, to: Path) -> None:
    try:
        os.link(source, to)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, to)


def _move(stage: Path, files: Sequence[PurePosixPath], to: Path) -> None:
    if not to.exists():
        stage.rename(to)
        return
    home = to.resolve()
    for file in files:
        place = to / file
        place.parent.mkdir(parents=True, exist_ok=True)
        # A link inside the folder could lead the write anywhere.
        if not place.parent.resolve().is_relative_to(home):
            raise usage(f"{place.parent} is a link out of {to}.", "Pull into another folder with --to.")
        (stage / file).replace(place)
