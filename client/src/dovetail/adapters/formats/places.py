"""Finds the adapters in a repository, and chooses those that a verdict covers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dovetail.adapters.files.header import Opener
from dovetail.adapters.formats import formats
from dovetail.adapters.formats.description import of_found

MAX_JUDGED = 8  # the check file.ambiguous reports more


@dataclass(frozen=True, slots=True)
class Content:
    """One adapter in a repository. `path` is its folder, "" for the top; of a file without a config, the file."""

    path: str
    format: str
    kind: str
    folder: str


def contents(files: Mapping[str, Opener]) -> list[Content]:
    """Return every adapter in the files that are looked at, nearest to the top first."""
    by_path: dict[str, Content] = {}
    for hit in formats.detect(files):
        folder, _, name = hit[2].rpartition("/")
        path = folder if name in formats.CONFIGS else hit[2]
        if path not in by_path:
            by_path[path] = Content(path, hit[0], of_found(files, hit).kind or "", folder)
    return list(by_path.values())


def judged(all_contents: Sequence[Content]) -> list[str]:
    """Return the folders that a verdict covers, all of which must pass; the others are only listed.

    An adapter at the top decides alone. Without one, the folders nearest to the top decide together. Checkpoints of a
    training only count without a finished adapter beside them, and then the last one decides.
    """
    folders = list(dict.fromkeys(content.folder for content in all_contents))
    if not folders or "" in folders:
        return [""]
    depth = min(folder.count("/") for folder in folders)
    near = [folder for folder in folders if folder.count("/") == depth]
    finished = [folder for folder in near if formats.steps_of(folder) == formats.MAX_STEPS]
    return finished[:MAX_JUDGED] or [max(near, key=formats.steps_of)]


def within(files: Mapping[str, Opener], folder: str) -> dict[str, Opener]:
    """Return the files with paths relative to a folder, "" for the top; other files keep their paths.

    Weights and configs outside the folder get a path with "..": a loader would not find them in the folder.
    """
    if not folder:
        return dict(files)
    start, up = f"{folder}/", "../" * (folder.count("/") + 1)
    outside = {path: opener for path, opener in files.items() if not path.startswith(start)}
    own = {path.removeprefix(start): opener for path, opener in files.items() if path.startswith(start)}
    return {**{up + path if formats.tells(path) else path: opener for path, opener in outside.items()}, **own}
