"""Each family of adapters: how its files are read, and which checks it is asked; what they say is elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from dovetail.adapters import foreign
from dovetail.adapters.checks import CHECKS as PEFT_CHECKS
from dovetail.adapters.description import describe
from dovetail.adapters.findings import Check, Result, run
from dovetail.adapters.folder import Folder
from dovetail.adapters.foreign import Foreign
from dovetail.adapters.header import Opener
from dovetail.adapters.library.checks import CHECKS as LIBRARY_CHECKS
from dovetail.adapters.library.contents import Library

Checks = tuple[Check[Any], ...]


def opened(
    files: Mapping[str, Opener], card: Mapping[str, object] | None = None, known_bases: Collection[str] | None = None
) -> Folder:
    """The files as their family reads them; files of no family are read as PEFT's, whose checks say what is missing."""
    found = describe(files)
    family = found.format if found else ""
    if family == "adapters":
        return Library(files, card, known_bases=known_bases)
    if family in foreign.TITLES:
        folder = Foreign(files, card, known_bases=known_bases)
        foreign.settle(folder, family)
        return folder
    return Folder(files, card, known_bases=known_bases)


def checks_of(folder: Folder) -> Checks:
    if isinstance(folder, Library):
        return LIBRARY_CHECKS
    return foreign.CHECKS if isinstance(folder, Foreign) else PEFT_CHECKS


def ask(folder: Folder) -> Iterator[Result]:
    """Asks every check that needs no torch, and yields each answer as it comes."""
    return run(checks_of(folder), folder)


IDS = frozenset(check.id for checks in (PEFT_CHECKS, LIBRARY_CHECKS, foreign.CHECKS) for check in checks)
