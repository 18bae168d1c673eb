"""The list of all checks, in the order in which they run, and the families of formats, each with its reader.

A new check is a function and a line here. The function is in the file of its area if the rule holds for every family of
formats, else in the file of the family that has its own rule (`library`, `foreign`). Checks of the stage "engine" need
the base in memory: their functions are in `workers/engine/checks`, under the same names.

A family answers every check of the list that it does not decline, and says why it declines one: by the id of the check,
or by its area. The table in docs/formats.md shows this, and a test keeps the two equal.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from dovetail.adapters.checks import base, config, files, fit, foreign, library, privacy, tensors
from dovetail.adapters.checks.library import each
from dovetail.adapters.files.header import Opener
from dovetail.adapters.formats import twins
from dovetail.adapters.formats.description import contents, describe, judged, within
from dovetail.adapters.formats.images import ROWS
from dovetail.adapters.readers.composition import Composition
from dovetail.adapters.readers.folder import Folder
from dovetail.adapters.readers.foreign import Foreign, settle
from dovetail.adapters.readers.library import Library
from dovetail.adapters.results.findings import Check, Finding, run
from dovetail.adapters.results.report import CheckResult

# The families of formats; each has its own reader.
PEFT, ADAPTERS, COMPOSITIONS, NOT_RUN = "peft", "adapters", "compositions", "not-run"

Ask = Callable[[Any], str | Finding]
# "files": runs on the files; "engine": runs on a loaded adapter; "told": reported by the validator itself;
# "hub": reported by the registry, which knows the other versions.
Stage = Literal["files", "engine", "told", "hub"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One check of the list.

    `ask` is one function for every family that answers the check, or a function for each family if their rules differ.
    `needs` are the checks and areas that must not have failed before it; `after` are additional ones by family.
    """

    id: str
    ask: Ask | Mapping[str, Ask] | None = None
    needs: Sequence[str] = ()
    after: Mapping[str, Sequence[str]] = field(default_factory=dict)
    stage: Stage = "files"

    @property
    def area(self) -> str:
        return self.id.partition(".")[0]

    def of(self, family: str) -> Check[Any]:
        """Return the check for one family. Raises `KeyError` if the list has no function for it."""
        ask = self.ask[family] if isinstance(self.ask, Mapping) else self.ask
        if ask is None:
            raise KeyError(f"{self.id} does not run on files")
        return Check(self.id, ask, (*self.needs, *self.after.get(family, ())))


def ordered(checks: Sequence[Check[Any]]) -> tuple[Check[Any], ...]:
    """Return checks in the order of the list, but each after the checks that it needs by their full ids."""
    waiting, done = list(checks), list[Check[Any]]()
    while waiting:
        ids = {check.id for check in waiting}
        ready = next(check for check in waiting if not ids.intersection(check.needs))
        waiting.remove(ready)
        done.append(ready)
    return tuple(done)


HELD = ("file.missing", "file.pickle")
READ = ("config.missing", "config.invalid")
SOUND = ("file", *READ, "config.fetch", "config.code", "config.kind", "config.pattern")
WHOLE = (
    *SOUND,
    "config.changes-base",
    "config.rank",
    "tensors.unused",
    "tensors.pair",
    "tensors.targets",
    "tensors.replaces-base",
    "base.mismatch",
)
NAMED = (*READ, "config.kind", "base")
RAN = ("load", "run.not-finite")
LIBRARY = (ADAPTERS, COMPOSITIONS)
# The adapters library tells by its configs which files belong to an adapter.
BY_CONFIG = dict.fromkeys(LIBRARY, ("config.invalid", "config.kind"))
WITH_FILES = dict.fromkeys(LIBRARY, ("file",))
WITH_NAME = dict.fromkeys(LIBRARY, ("base.local-path", "base.unnamed"))

CHECKS: tuple[Entry, ...] = (
    Entry("file.pickle", files.pickle),
    Entry("file.missing", {PEFT: files.missing, ADAPTERS: files.missing, NOT_RUN: files.missing,
                           COMPOSITIONS: library.missing},
          ("file.pickle",), BY_CONFIG | {COMPOSITIONS: ("config.invalid",)}),
    Entry("file.ambiguous", {PEFT: files.ambiguous, ADAPTERS: files.ambiguous, NOT_RUN: foreign.ambiguous},
          HELD, BY_CONFIG),
    Entry("file.twins-differ", files.twins_differ, HELD, BY_CONFIG),
    Entry("file.header", files.header, HELD, BY_CONFIG),
    Entry("file.size", files.size, HELD, BY_CONFIG),
    Entry("config.missing", config.missing),
    Entry("config.invalid", {PEFT: config.invalid, ADAPTERS: library.invalid, COMPOSITIONS: library.invalid_composition,
                             NOT_RUN: foreign.invalid},
          ("config.missing",)),
    Entry("config.code", config.code, READ),
    Entry("config.fetch", config.fetch, READ),
    Entry("config.changes-base", config.changes_base, READ),
    Entry("config.kind", {PEFT: config.kind, ADAPTERS: library.kind, COMPOSITIONS: library.kind_of_composition,
                          NOT_RUN: foreign.kind},
          (*READ, "config.fetch"), {COMPOSITIONS: ("file.missing",)}),
    Entry("config.pattern", config.pattern, ("file", *READ)),
    Entry("config.rank", {PEFT: fit.rank, NOT_RUN: foreign.rank}, SOUND),
    Entry("tensors.dtype", tensors.dtype, ("file",), BY_CONFIG),
    Entry("tensors.not-finite", tensors.not_finite, ("file",), BY_CONFIG),
    Entry("tensors.unused", {PEFT: tensors.unused, ADAPTERS: library.unused,
                             COMPOSITIONS: library.unused_in_composition, NOT_RUN: foreign.unused},
          SOUND),
    Entry("tensors.replaces-base", {PEFT: tensors.replaces_base, ADAPTERS: library.replaces_base,
                                    COMPOSITIONS: library.composition_replaces_base},
          SOUND),
    Entry("tensors.pair", {PEFT: tensors.pair, NOT_RUN: foreign.pair}, (*SOUND, "config.rank")),
    Entry("tensors.targets", tensors.targets, (*SOUND, "tensors.unused", "tensors.replaces-base")),
    Entry("tensors.layers", tensors.layers, SOUND),
    Entry("tensors.all-zero", tensors.all_zero, SOUND),
    Entry("tensors.scale", tensors.scale, (*SOUND, "config.rank", "tensors.not-finite"), {NOT_RUN: ("tensors.pair",)}),
    Entry("base.unnamed", {PEFT: base.unnamed, ADAPTERS: base.unnamed, COMPOSITIONS: each(base.unnamed)},
          (*READ, "config.kind"), WITH_FILES),
    Entry("base.local-path", {PEFT: base.local_path, ADAPTERS: base.local_path, COMPOSITIONS: each(base.local_path)},
          NAMED, WITH_FILES),
    Entry("base.unknown", base.unknown, NAMED, WITH_FILES),
    Entry("base.mismatch", {PEFT: base.mismatch, ADAPTERS: library.mismatch, COMPOSITIONS: each(library.mismatch),
                            NOT_RUN: foreign.mismatch},
          NAMED, WITH_FILES | {NOT_RUN: ("file",)}),
    Entry("base.quantised", {PEFT: base.quantised, ADAPTERS: base.quantised, COMPOSITIONS: each(base.quantised),
                             NOT_RUN: foreign.quantised},
          NAMED, WITH_FILES),
    Entry("base.unpinned", base.unpinned, (*READ, "config.kind")),
    Entry("base.vocabulary", base.vocabulary, SOUND),
    Entry("base.chat-template", base.chat_template, READ, WITH_FILES),
    Entry("eval.random-head", fit.random_head, (*SOUND, "tensors.unused")),
    Entry("fit.missing", fit.missing, (*WHOLE, "eval.random-head"), WITH_NAME),
    Entry("fit.unexpected", {PEFT: fit.unexpected, ADAPTERS: fit.unexpected, COMPOSITIONS: fit.unexpected,
                             NOT_RUN: foreign.unexpected},
          (*WHOLE, "fit.missing"), WITH_NAME | {NOT_RUN: ("tensors",)}),
    Entry("fit.shape", {PEFT: fit.shape, ADAPTERS: fit.shape, COMPOSITIONS: fit.shape, NOT_RUN: foreign.shape},
          (*WHOLE, "fit.missing", "eval.random-head"), WITH_NAME | {NOT_RUN: ("tensors", "fit.unexpected")}),
    Entry("run.not-here", foreign.not_run, ("file", "config", "tensors", "fit")),
    Entry("card.license", files.license),
    Entry("card.base", files.base, READ),
    Entry("card.task", files.task, READ),
    Entry("privacy.training-data", privacy.training_data, ("file",), BY_CONFIG),
    Entry("privacy.secret", privacy.secret),
    Entry("load.error", stage="engine"),
    Entry("run.not-finite", needs=("load",), stage="engine"),
    Entry("run.no-effect", needs=RAN, stage="engine"),
    Entry("run.not-deterministic", needs=RAN, stage="engine"),
    Entry("run.random-weights", needs=RAN, stage="engine"),
    Entry("run.cost", needs=RAN, stage="engine"),
    Entry("load.changed-base", needs=("load.error",), stage="engine"),
    Entry("eval.worse-than-base", needs=RAN, stage="engine"),
    Entry("eval.claim", needs=RAN, stage="engine"),
    Entry("eval.regression", stage="hub"),
    Entry("eval.rows", stage="told"),
    Entry("eval.expected", needs=RAN, stage="engine"),
    Entry("eval.neutral", needs=RAN, stage="engine"),
    Entry("eval.degenerate", needs=RAN, stage="engine"),
    Entry("run.merge", needs=RAN, stage="engine"),
    Entry("limits.time", stage="told"),
    Entry("limits.memory", stage="told"),
    Entry("engine.check-crashed", stage="told"),
)  # fmt: skip


def ids(*stages: str) -> tuple[str, ...]:
    """Return the ids of some stages, in the order of the list."""
    return tuple(entry.id for entry in CHECKS if entry.stage in stages)


Checks = tuple[Check[Any], ...]
COMPOSED = ("composition", "fusion")  # the kinds of the adapters library that are made of several adapters
CLEAN = "its loader reads no config of the author: the engine writes a new one from an allow-list"
OF_PEFT = "only PEFT selects modules by name or pattern"
IN_FILE = "the head is a file of its own, which `file.missing` requires"
TOLD = "the config fixes the shapes, and `fit.shape` compares every tensor"


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
    "config.missing": "its config identifies the family",
    "config.code": CLEAN,
    "config.fetch": CLEAN,
    "config.changes-base": CLEAN,
    "config.pattern": OF_PEFT,
    "config.rank": TOLD,
    "tensors.pair": TOLD,
    "tensors.targets": OF_PEFT,
    "tensors.layers": OF_PEFT,
    "base.unpinned": "its config has no field for a revision",
    "base.vocabulary": "embeddings are not loaded with the adapter (see `config.kind`)",
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
)
FAMILIES = (
    Family(PEFT, "PEFT", Folder, {"run.not-here": "an engine runs it"}),
    Family(ADAPTERS, "adapters library", Library, _OF_LIBRARY),
    Family(
        COMPOSITIONS,
        "compositions",
        Composition,
        _OF_LIBRARY | {"file.ambiguous": "the composition names each of its files"},
    ),
    Family(NOT_RUN, "formats that no engine runs", Foreign, {
        "file.twins-differ": "no loader of these formats chooses between a pickle and a safetensors file",
        "file.size": "an adapter for images may contain whole matrices",
        "config.missing": "most of these formats have no config",
        "config.code": "its loaders import no code named in a config",
        "config.fetch": "its loaders open no file named in a config",
        "config.changes-base": "its loaders do not change the base",
        "config.pattern": OF_PEFT,
        "tensors.dtype": "its loaders convert every dtype",
        "tensors.replaces-base": "its loaders read no base weights from the file",
        "tensors.targets": OF_PEFT, "tensors.layers": OF_PEFT,
        **dict.fromkeys(OTHER_BASES, "few of these formats name a base, and no base is loaded"),
        "fit.missing": "only the modules in the file are compared",
        "card.base": "few of these formats are for a base on a hub",
        "card.task": "the trainer defines the task",
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
        settle(folder, format)
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
