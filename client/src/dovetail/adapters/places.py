"""The places of adapters in a repository: all of them, and those that a verdict is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dovetail.adapters import formats
from dovetail.adapters.description import of_found
from dovetail.adapters.header import Opener

MAX_JUDGED = 8  # the check file.ambiguous says so where there are more


@dataclass(frozen=True, slots=True)
class Content:
    """One adapter in a repository. `path` is its folder, "" for the top; of a file without a config, the file."""

    path: str
    format: str
    kind: str
    folder: str


def contents(files: Mapping[str, Opener]) -> list[Content]:
    """Every adapter there is, those nearest to the top first, within the bounds of what is looked at."""
    found: dict[str, Content] = {}
    for hit in formats.detect(files):
        folder, _, name = hit[2].rpartition("/")
        path = folder if name in formats.CONFIGS else hit[2]
        if path not in found:
            found[path] = Content(path, hit[0], of_found(files, hit).kind or "", folder)
    return list(found.values())


def judged(found: Sequence[Content]) -> list[str]:
    """The folders that a verdict is about, all of which must pass; the others are listed and no more.

    An adapter at the top decides alone. Without one, the folders nearest to the top decide together; of the checkpoints
    of a training the last one, and none beside a finished adapter.
    """
    folders = list(dict.fromkeys(content.folder for content in found))
    if not folders or "" in folders:
        return [""]
    depth = min(folder.count("/") for folder in folders)
    near = [folder for folder in folders if folder.count("/") == depth]
    finished = [folder for folder in near if formats.steps_of(folder) == formats.MAX_STEPS]
    return finished[:MAX_JUDGED] or [max(near, key=formats.steps_of)]


def within(files: Mapping[str, Opener], folder: str) -> dict[str, Opener]:
    """The files as seen from a folder: its own by their path in it, all others where they are; "" is the top.

    Weights and configs of others are further up: what a loader would not find in the folder must not seem to be there.
    """
    if not folder:
        return dict(files)
    start, up = f"{folder}/", "../" * (folder.count("/") + 1)
    others = {path: opener for path, opener in files.items() if not path.startswith(start)}
    own = {path.removeprefix(start): opener for path, opener in files.items() if path.startswith(start)}
    return {**{up + path if formats.tells(path) else path: opener for path, opener in others.items()}, **own}
