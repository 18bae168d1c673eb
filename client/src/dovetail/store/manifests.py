"""The files of a manifest: read from the hub's answer, and chosen by patterns."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from dovetail.base import paths
from dovetail.base.problems import Problem, usage

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
    checked = paths.check(file["path"] for file in files)
    return [
        ManifestFile(path, file["size"], file["sha256"], file.get("lfs") is True)
        for path, file in zip(checked, files, strict=True)
    ]


def select(
    files: Sequence[ManifestFile], include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> list[ManifestFile]:
    """Return the files that the patterns choose. Raises Problem where patterns leave none."""
    chosen = [file for file in files if paths.is_chosen(str(file.path), include, exclude)]
    if files and not chosen:
        raise usage("The patterns leave no file to pull.", "Change --include and --exclude.")
    return chosen
