"""The families of formats: the reader of each family's files, and the checks that it answers.

A family answers every check of the list (`dovetail.adapters.checks`) that it does not decline, and says why it declines
one: by the id of the check, or by its area. The table in docs/formats.md shows this, and a test keeps the two equal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from dovetail.adapters.checks import ADAPTERS, CHECKS, COMPOSITIONS, NOT_RUN, PEFT, Entry, ids, ordered
from dovetail.adapters.files.header import Opener
from dovetail.adapters.formats import twins
from dovetail.adapters.formats.description import contents, describe, judged, within
from dovetail.adapters.formats.images import ROWS
from dovetail.adapters.readers import foreign
from dovetail.adapters.readers.folder import Folder
from dovetail.adapters.readers.foreign import Foreign
from dovetail.adapters.readers.library.composition import Composition
from dovetail.adapters.readers.library.contents import Library
from dovetail.adapters.results.findings import Check, run
from dovetail.adapters.results.report import CheckResult

Checks = tuple[Check[Any], ...]
COMPOSED = ("composition", "fusion")  # the kinds of the adapters library that are made of several adapters
CLEAN = "a config of the library reaches no loader: a new one is written from an allow-list"
OF_PEFT = "only PEFT selects modules by names and patterns"
IN_FILE = "the head is a file of its own, which `file.missing` asks for"
TOLD = "what decides the shapes is in the config, and `fit.shape` compares every tensor"


@dataclass(frozen=True, slots=True)
class Family:
    """Formats with one reader. `declines` is the reason for each check, or area of checks, that it does not answer."""

    name: str
    title: str
    reader: type[Folder]
    declines: Mapping[str, str]

    def why_not(self, entry: Entry) -> str:
        """Return the reason why this family does not answer a check, or ""."""
        if entry.stage == "told" or entry.id == "run.not-here":  # an engine answers the other checks of the area
            return self.declines.get(entry.id, "")
        return self.declines.get(entry.id) or self.declines.get(entry.area, "")


_OF_LIBRARY = {
    "config.missing": "its config is what tells the family",
    "config.code": CLEAN,
    "config.fetch": CLEAN,
    "config.changes-base": CLEAN,
    "config.pattern": OF_PEFT,
    "config.rank": TOLD,
    "tensors.pair": TOLD,
    "tensors.targets": OF_PEFT,
    "tensors.layers": OF_PEFT,
    "base.unpinned": "its config has no field for a revision",
    "base.vocabulary": "embeddings are not loaded with the adapter, as `config.kind` says",
    "eval.random-head": IN_FILE,
    "run.not-here": "an engine runs it",
}
_ENGINE = "no engine here runs it"
OTHER_BASES = (
    "base.unnamed",
    "base.local-path",
    "base.unknown",
    "base.unpinned",
    "base.vocabulary",
    "base.chat-template",
)
FAMILIES = (
    Family(PEFT, "PEFT", Folder, {"run.not-here": "an engine runs it"}),
    Family(ADAPTERS, "adapters library", Library, _OF_LIBRARY),
    Family(
        COMPOSITIONS,
        "compositions",
        Composition,
        _OF_LIBRARY | {"file.ambiguous": "the set-up names every file that is meant"},
    ),
    Family(NOT_RUN, "formats that no engine runs", Foreign, {
        "file.twins-differ": "no loader of these formats chooses between a pickle and its safetensors file",
        "file.size": "an adapter for images may hold whole matrices",
        "config.missing": "most of these formats have no config",
        "config.code": "its loaders import nothing that a config names",
        "config.fetch": "its loaders open nothing that a config names",
        "config.changes-base": "its loaders leave the base as it is",
        "config.pattern": OF_PEFT,
        "tensors.dtype": "its loaders convert every dtype",
        "tensors.replaces-base": "its loaders load no weight of a base from it",
        "tensors.targets": OF_PEFT, "tensors.layers": OF_PEFT,
        **dict.fromkeys(OTHER_BASES, "few of these formats name a base, and none is loaded"),
        "fit.missing": "only modules that it has are compared",
        "card.base": "few of these formats are for a base that hubs know",
        "card.task": "the task is that of its trainer",
        "load": _ENGINE, "run": _ENGINE, "eval": _ENGINE,
    }),
)  # fmt: skip
BY_NAME = {family.name: family for family in FAMILIES}
# The checks that run on the files of each family, in their order.
ASKED: Mapping[str, Checks] = {
    family.name: ordered(
        [entry.of(family.name) for entry in CHECKS if entry.stage == "files" and not family.why_not(entry)]
    )
    for family in FAMILIES
}


def family_of(format: str, kind: str = "") -> Family:
    """Return the family of a format; unknown files are read as PEFT's, whose checks report the missing files."""
    if format in ROWS:
        return BY_NAME[NOT_RUN]
    if format == "adapters":
        return BY_NAME[COMPOSITIONS if kind in COMPOSED else ADAPTERS]
    return BY_NAME[PEFT]


def opened(
    files: Mapping[str, Opener],
    card: Mapping[str, object] | None = None,
    known_bases: Collection[str] | None = None,
    place: str = "",
) -> Folder:
    """Return the reader of files that belongs to their family.

    `place` is the folder of the adapter, "" for the top.
    """
    joined = twins.join(within(files, place))  # from here on pickles are read as safetensors
    description = describe(joined.files)
    format, kind = (description.format, description.kind or "") if description else ("", "")
    folder = family_of(format, kind).reader(joined.files, card, known_bases=known_bases)
    folder.joined, folder.place = joined, place
    if isinstance(folder, Foreign):
        foreign.settle(folder, format)
    return folder


def checks_of(folder: Folder) -> Checks:
    """Return the checks that run on an adapter's files."""
    return next(ASKED[family.name] for family in FAMILIES if family.reader is type(folder))


def ids_of(format: str, kind: str) -> list[str]:
    """Return the ids of the checks that run on files of a format."""
    return [check.id for check in ASKED[family_of(format, kind).name]]


def ask_all(files: Mapping[str, Opener], card: Mapping[str, object] | None = None) -> Iterator[CheckResult]:
    """Run every check on every adapter that a verdict on the files covers; each result states the adapter's folder."""
    for place in judged(contents(files)):
        for result in ask(opened(files, card, place=place)):
            yield replace(result, where={**result.where, "path": place}) if place else result


def ask(folder: Folder) -> Iterator[CheckResult]:
    """Run every check that needs no torch, and yield each result as it comes."""
    return run(checks_of(folder), folder)


IDS = frozenset(ids("files"))
