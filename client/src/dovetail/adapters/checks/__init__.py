"""The list of all checks, in the order in which they run. A new check is a function and a line here.

The function is in the file of its area if the rule holds for every family of formats, else in the file of the family
that has its own rule (`library`, `compositions`, `foreign`). `checks.families` states the checks that a
family does not answer, and why. Checks of the stage "engine" need the base in memory: their functions are in
`workers/engine/checks`, under the same names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from dovetail.adapters.checks import base, compositions, config, files, fit, foreign, library, privacy, tensors
from dovetail.adapters.checks.compositions import each
from dovetail.adapters.results.findings import Check, Finding

# The families of formats; each has its own reader.
PEFT, ADAPTERS, COMPOSITIONS, NOT_RUN = "peft", "adapters", "compositions", "not-run"
FAMILIES = (PEFT, ADAPTERS, COMPOSITIONS, NOT_RUN)

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
                           COMPOSITIONS: compositions.missing},
          ("file.pickle",), BY_CONFIG | {COMPOSITIONS: ("config.invalid",)}),
    Entry("file.ambiguous", {PEFT: files.ambiguous, ADAPTERS: files.ambiguous, NOT_RUN: foreign.ambiguous},
          HELD, BY_CONFIG),
    Entry("file.twins-differ", files.twins_differ, HELD, BY_CONFIG),
    Entry("file.header", files.header, HELD, BY_CONFIG),
    Entry("file.size", files.size, HELD, BY_CONFIG),
    Entry("config.missing", config.missing),
    Entry("config.invalid", {PEFT: config.invalid, ADAPTERS: library.invalid, COMPOSITIONS: compositions.invalid,
                             NOT_RUN: foreign.invalid},
          ("config.missing",)),
    Entry("config.code", config.code, READ),
    Entry("config.fetch", config.fetch, READ),
    Entry("config.changes-base", config.changes_base, READ),
    Entry("config.kind", {PEFT: config.kind, ADAPTERS: library.kind, COMPOSITIONS: compositions.kind,
                          NOT_RUN: foreign.kind},
          (*READ, "config.fetch"), {COMPOSITIONS: ("file.missing",)}),
    Entry("config.pattern", config.pattern, ("file", *READ)),
    Entry("config.rank", {PEFT: fit.rank, NOT_RUN: foreign.rank}, SOUND),
    Entry("tensors.dtype", tensors.dtype, ("file",), BY_CONFIG),
    Entry("tensors.not-finite", tensors.not_finite, ("file",), BY_CONFIG),
    Entry("tensors.unused", {PEFT: tensors.unused, ADAPTERS: library.unused, COMPOSITIONS: compositions.unused,
                             NOT_RUN: foreign.unused},
          SOUND),
    Entry("tensors.replaces-base", {PEFT: tensors.replaces_base, ADAPTERS: library.replaces_base,
                                    COMPOSITIONS: compositions.replaces_base},
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
