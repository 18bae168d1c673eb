"""Each family of adapters: how its files are read, and which checks it is asked; what they say is elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from dovetail.adapters import foreign, twins
from dovetail.adapters.checks import CHECKS as PEFT_CHECKS
from dovetail.adapters.checks.foreign import CHECKS as FOREIGN_CHECKS
from dovetail.adapters.description import describe
from dovetail.adapters.findings import Check, Result, run
from dovetail.adapters.folder import Folder
from dovetail.adapters.foreign import Foreign
from dovetail.adapters.header import Opener
from dovetail.adapters.library.checks import CHECKS as LIBRARY_CHECKS
from dovetail.adapters.library.composed import CHECKS as COMPOSED_CHECKS
from dovetail.adapters.library.composition import Composition
from dovetail.adapters.library.contents import Library
from dovetail.adapters.places import contents, judged, within

Checks = tuple[Check[Any], ...]
COMPOSED = ("composition", "fusion")


def opened(
    files: Mapping[str, Opener],
    card: Mapping[str, object] | None = None,
    known_bases: Collection[str] | None = None,
    place: str = "",
) -> Folder:
    """The files as their family reads them; files of no family are read as PEFT's, whose checks say what is missing.

    `place` is the folder of the adapter that is meant, where it is not the one at the top.
    """
    joined = twins.join(within(files, place))  # from here on everybody sees the twin of a pickle in its place
    found = describe(joined.files)
    family = found.format if found else ""
    kind: type[Folder] = Foreign if family in foreign.TITLES else Folder
    if family == "adapters":
        kind = Composition if found and found.kind in COMPOSED else Library
    folder = kind(joined.files, card, known_bases=known_bases)
    folder.joined, folder.place = joined, place
    if isinstance(folder, Foreign):
        foreign.settle(folder, family)
    return folder


def checks_of(folder: Folder) -> Checks:
    if isinstance(folder, Composition):
        return COMPOSED_CHECKS
    if isinstance(folder, Library):
        return LIBRARY_CHECKS
    return FOREIGN_CHECKS if isinstance(folder, Foreign) else PEFT_CHECKS


def ids_of(family: str, kind: str) -> list[str]:
    """The checks that are asked of files of a family, in their order; known without the files."""
    asked: Checks = PEFT_CHECKS
    if family in foreign.TITLES:
        asked = FOREIGN_CHECKS
    elif family == "adapters":
        asked = COMPOSED_CHECKS if kind in COMPOSED else LIBRARY_CHECKS
    return [check.id for check in asked]


def ask_all(files: Mapping[str, Opener], card: Mapping[str, object] | None = None) -> Iterator[Result]:
    """Asks every check of every adapter that a verdict on the files would be about, each with its folder beside it."""
    for place in judged(contents(files)):
        for result in ask(opened(files, card, place=place)):
            yield replace(result, where={**result.where, "path": place}) if place else result


def ask(folder: Folder) -> Iterator[Result]:
    """Asks every check that needs no torch, and yields each answer as it comes."""
    return run(checks_of(folder), folder)


IDS = frozenset(
    check.id for checks in (PEFT_CHECKS, LIBRARY_CHECKS, COMPOSED_CHECKS, FOREIGN_CHECKS) for check in checks
)
