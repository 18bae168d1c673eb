"""Puts the files of a manifest into a folder: every byte is hashed before it is moved into place, all files or none."""

import contextlib
import hashlib
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from dovetail.base import ids
from dovetail.base.locks import LockedFile, Source
from dovetail.base.problems import Problem, no_hub, offline, usage
from dovetail.base.transport import Transport
from dovetail.store import transfers
from dovetail.store.store import PIECE, Store, link, require_space
from dovetail.store.transfers import Progress, ignore

_SHAPE = {"path": str, "size": int, "sha256": str}


@dataclass(frozen=True)
class ManifestFile:
    """A file as the manifest states it; size in bytes."""

    path: PurePosixPath
    size: int
    sha256: str
    is_lfs: bool = False  # then its ETag on the Hub's routes is its sha256


def parse_files(files: Sequence[Any]) -> list[ManifestFile]:
    """Return the files of a manifest. Raises Problem for a path that must not be written."""
    if not all(isinstance(file, dict) and {key: type(file.get(key)) for key in _SHAPE} == _SHAPE for file in files):
        raise Problem(
            "The hub's manifest is malformed.", "Check --endpoint or DOVETAIL_ENDPOINT.", code="client-no-hub"
        )
    checked = ids.check_paths(file["path"] for file in files)
    return [
        ManifestFile(path, file["size"], file["sha256"], file.get("lfs") is True)
        for path, file in zip(checked, files, strict=True)
    ]


def select(
    files: Sequence[ManifestFile], include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> list[ManifestFile]:
    """Return the files that the patterns choose. Raises Problem where patterns leave none."""
    chosen = [file for file in files if ids.is_chosen(str(file.path), include, exclude)]
    if files and not chosen:
        raise usage("The patterns leave no file to pull.", "Change --include and --exclude.")
    return chosen


@dataclass(frozen=True)
class Origin:
    """The revision that files come from, and the hub that has it."""

    transport: Transport
    adapter: str
    revision: str

    def of(self, file: ManifestFile) -> Source:
        """Return where the bytes of one of its files are."""
        return Source(self.adapter, self.revision, LockedFile(str(file.path), file.sha256, file.size))


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
    origin: Origin, files: Sequence[ManifestFile], to: Path, store: Store, progress: Progress = ignore, *,
    is_linked: bool = False,
) -> Path:  # fmt: skip
    """Write the files below `to` and return it. A new folder appears at once; in an existing one each file is replaced.

    Nothing is moved before every file has arrived with its size and sha256. With `is_linked` the files are hard links
    to the store where the file system allows. Raises Problem.
    """
    if not ids.is_commit(origin.revision):  # it becomes part of a path
        raise no_hub(origin.transport.endpoint)
    needed = missing(files, to)
    if not needed:
        to.mkdir(parents=True, exist_ok=True)
        return to
    to.parent.mkdir(parents=True, exist_ok=True)
    wanted = {file.path: origin.of(file) for file in needed}
    _bring(origin, wanted, store, to.parent, progress, is_linked=is_linked)
    with tempfile.TemporaryDirectory(prefix=f".{to.name}-", dir=to.parent) as folder:
        stage = Path(folder) / "files"  # not the temporary folder itself, whose mode only lets this user in
        stage.mkdir()
        for path, place in wanted.items():
            _take(origin, place, store, stage / path, is_linked=is_linked)
        _share(needed, wanted, store)
        _move(stage, [file.path for file in needed], to)
    return to


def _bring(
    origin: Origin, wanted: Mapping[PurePosixPath, Source], store: Store, folder: Path,
    progress: Progress, *, is_linked: bool,
) -> None:  # fmt: skip
    """Bring what the store lacks, if there is room for it and for all copies."""
    from dovetail.store import hub_cache  # noqa: PLC0415  # imports huggingface_hub, which takes 0.3 s

    absent = transfers.missing(wanted.values(), store)
    if absent and hub_cache.is_offline():
        raise offline()
    size = _size(wanted.values())
    needs = [(store.folder, _size(absent))]
    needs += [(hub_cache.folder(), size)] if not store.is_beside(hub_cache.folder()) else []
    needs += [(folder, size)] if not (is_linked and store.is_beside(folder)) else []
    require_space(needs)
    transfers.bring(absent, lambda: origin.transport, store, progress)
    for place in wanted.values():
        progress(place.file.path, place.file.size or 0, place.file.size or 0)


def _size(sources: Iterable[Source]) -> int:
    return sum(source.file.size or 0 for source in sources)


def _share(files: Sequence[ManifestFile], wanted: Mapping[PurePosixPath, Source], store: Store) -> None:
    """Let `from_pretrained` find the files, too."""
    from dovetail.store import hub_cache  # noqa: PLC0415  # as in _bring

    for file in files:
        hub_cache.share(wanted[file.path], store, is_lfs=file.is_lfs)


def _take(origin: Origin, wanted: Source, store: Store, to: Path, *, is_linked: bool) -> None:
    """Put a file of the store at a place. One whose bytes are wrong is downloaded once more. Raises Problem."""
    to.parent.mkdir(parents=True, exist_ok=True)
    file = wanted.file
    for is_last in (False, True):
        size, digest = _copy(store.place(file.sha256), to, file, is_linked=is_linked)
        if (size, digest) == (file.size, file.sha256):
            return
        to.unlink(missing_ok=True)
        store.drop(file)
        if is_last:
            raise transfers.mismatch(file, size, digest)
        transfers.bring(transfers.missing([wanted], store), lambda: origin.transport, store)


def _copy(source: Path, to: Path, wanted: LockedFile, *, is_linked: bool) -> tuple[int, str]:
    """Copy a file, or link it; return its size (at most one byte more than is wanted) and its sha256."""
    digest, done = hashlib.sha256(), 0
    with source.open("rb") as file, to.open("xb") if not is_linked else contextlib.nullcontext() as out:
        while piece := file.read(min(PIECE, (wanted.size or 0) + 1 - done)):
            digest.update(piece)
            done += len(piece)
            if out:
                out.write(piece)
    if is_linked:
        link(source, to, wanted.sha256)
    return done, digest.hexdigest()


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
