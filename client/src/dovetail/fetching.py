"""Downloads the files of a revision: every byte is hashed before it is moved into place, all files or none."""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path, PurePosixPath
from typing import Any

from dovetail import paths
from dovetail.problems import Problem, unreachable, usage
from dovetail.transport import Transport

PIECE = 1 << 20
_SHAPE = {"path": str, "size": int, "sha256": str}
Progress = Callable[[str, int, int], None]  # path, bytes done, bytes in all


def ignore(path: str, done: int, size: int) -> None:
    """Ignore the progress of a download (the default)."""


@dataclass(frozen=True)
class ManifestFile:
    """A file as the manifest states it; size in bytes."""

    path: PurePosixPath
    size: int
    sha256: str


def parse_files(files: Sequence[Any]) -> list[ManifestFile]:
    """Return the files of a manifest. Raises Problem for a path that must not be written."""
    if not all(isinstance(file, dict) and {key: type(file.get(key)) for key in _SHAPE} == _SHAPE for file in files):
        raise Problem(
            "The hub's manifest is malformed.", "Check --endpoint or DOVETAIL_ENDPOINT.", code="client-no-hub"
        )
    checked = paths.check(file["path"] for file in files)
    return [ManifestFile(path, file["size"], file["sha256"]) for path, file in zip(checked, files, strict=True)]


def fetch(
    transport: Transport,
    url_of: Callable[[PurePosixPath], str],
    files: Sequence[ManifestFile],
    to: Path,
    progress: Progress,
) -> Path:
    """Write the files below `to` and return it. A new folder appears at once; in an existing one each file is replaced.

    Nothing is moved before every file has arrived with its size and sha256. Raises Problem.
    """
    if to.exists() and not to.is_dir():
        raise usage(f"{to} is a file.", "Name a folder with --to.")
    to.parent.mkdir(parents=True, exist_ok=True)
    missing = [file for file in files if not _is_here(file, to)]
    _require_space(missing, to.parent)
    with tempfile.TemporaryDirectory(prefix=f".{to.name}-", dir=to.parent) as folder:
        stage = Path(folder) / "files"  # not the temporary folder itself, whose mode only lets this user in
        stage.mkdir()
        for file in missing:
            _download(transport, url_of(file.path), file, stage / file.path, progress)
        _move(stage, [file.path for file in missing], to)
    return to


def _is_here(file: ManifestFile, to: Path) -> bool:
    place = to / file.path
    if place.is_symlink() or not place.is_file() or place.stat().st_size != file.size:
        return False
    with place.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256


def _require_space(files: Sequence[ManifestFile], folder: Path) -> None:
    needed, free = sum(file.size for file in files), shutil.disk_usage(folder).free
    if needed > free:
        raise Problem(
            f"{needed:,} bytes are needed, and {free:,} are free in {folder}.",
            "Make room, or use --to.",
            code="client-disk-full",
        )


def _download(transport: Transport, url: str, file: ManifestFile, place: Path, progress: Progress) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    digest, done = hashlib.sha256(), 0
    progress(str(file.path), 0, file.size)
    with transport.open(url) as answer, place.open("xb") as out:
        # Read at most one byte more than the manifest states: that is enough to see that the file is too long.
        while piece := _next_piece(transport, answer, min(PIECE, file.size + 1 - done)):
            digest.update(piece)
            out.write(piece)
            done += len(piece)
            progress(str(file.path), min(done, file.size), file.size)
    if done != file.size or digest.hexdigest() != file.sha256:
        arrived = f"{done:,} bytes" if done != file.size else f"bytes with the sha256 {digest.hexdigest()[:12]}…"
        raise Problem(
            f"{file.path} arrived as {arrived}, not as the manifest states ({file.size:,} bytes, {file.sha256[:12]}…).",
            "Nothing was written. Pull again; if it happens again, tell the hub's administrator.",
            code="client-digest-mismatch",
        )


def _next_piece(transport: Transport, answer: HTTPResponse, size: int) -> bytes:
    try:
        return answer.read(size)
    except (OSError, HTTPException) as error:
        raise unreachable(
            transport.endpoint, f"the download broke off ({str(error) or type(error).__name__})"
        ) from None


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
