"""The two stages of a jailed child: one reads files, the other loads and runs. Both only report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy  # noqa: F401 - the jail lets no child import it later

from dovetail.adapters.checks import IDS, checks_of, opened
from dovetail.adapters.files.header import HeaderError
from dovetail.adapters.formats.description import describe
from dovetail.adapters.methods import task_of
from dovetail.adapters.readers.composition import Composition
from dovetail.adapters.readers.folder import Base, Folder, files_in
from dovetail.adapters.readers.library import Library
from dovetail.adapters.results.findings import Check, Subject
from dovetail.adapters.results.findings import run as ask
from dovetail.adapters.results.report import CRASHED, CheckResult, Strength
from dovetail.adapters.results.usage import AdapterUsage
from dovetail.adapters.serving import Base as ServedBase
from dovetail.adapters.serving import serving_of
from dovetail.adapters.shapes.fit import decode
from workers.engine.job import Job
from workers.engine.processes.stage import Facts, Frame, Run, Say

if TYPE_CHECKING:
    from workers.engine.models.frozen import Frozen
    from workers.engine.trials.trial import Trial

MAX_TEXT = 1800
MEMORY_FIX = "Make it smaller: use a lower rank, fewer target modules, no whole embeddings."
LOAD_FIX = "Load it yourself with its library on the base it names, and save it again."
CRASH_FIX = "There is nothing to fix in the adapter: the operators of this hub are informed, and it is tried again."
STATIC_IDS = tuple(IDS)
UNDER_HEADS = ("MASKED_LM", "IMAGE_CLS", "CTC")  # for which PEFT has no task_type
MEMORY_WORDS = (
    "can't allocate memory",
    "not enough memory",
    "bad_alloc",
    "Cannot allocate memory",
    "DefaultCPUAllocator",
)


def static(job: Job, frozen: Frozen | None, say: Say) -> None:
    """Check the files, and report the facts that the next stage needs. torch is used for shapes alone."""
    folder = opened(files_in(job.folder), job.card, known_bases=job.known_bases, place=job.place)
    folder.adapter_base = job.adapter_base
    description = describe(folder.files)
    task, labels = "", 2
    if frozen is not None:
        task, labels = _task(folder, frozen)
        folder.base = frozen.facts(task, labels) if frozen.has(task) else None
    elif job.shapes is not None:
        folder.base = _outline(job.shapes, folder)
    if folder.base is not None:
        folder.base = replace(
            folder.base, revision=job.base_revision, names=tuple(job.base_names), license=job.base_license
        )
    largest = max(folder.sizes.values(), default=0)
    form, kind = (description.format, description.kind) if description else (None, None)
    say({"facts": asdict(Facts(form, kind, task, labels, largest))})
    if _report(checks_of(folder), folder, say):
        served = serving_of(folder.files, base=_served_with(job, frozen))
        say({"serving": [answer.as_json() for answer in served]})


def _outline(document: Mapping[str, Any], folder: Folder) -> Base:
    """Return a base without weights: names and shapes, with as many labels as the head in the file has."""
    shapes = decode(document["shapes"])
    try:
        labels = folder.layout.labels if folder.kind else None
    except (ValueError, LookupError, HeaderError):
        labels = None  # the checks say what is wrong
    return Base(str(document["id"]), shapes.for_labels(labels), shapes.vocabulary, architectures=shapes.architectures)


def _served_with(job: Job, frozen: Frozen | None) -> ServedBase:
    """Return the facts about the base that the rules of serving engines use."""
    if frozen is not None:
        text = frozen.config.get_text_config()
        return ServedBase(
            frozen.id,
            tuple(frozen.config.architectures or ()),
            int(getattr(text, "vocab_size", 0) or 0),
            int(getattr(text, "num_hidden_layers", 0) or 0),
            bool(getattr(frozen.config, "tie_word_embeddings", False)),
        )
    if job.shapes is None:
        return ServedBase()
    shapes = decode(job.shapes["shapes"])
    return ServedBase(str(job.shapes["id"]), shapes.architectures, shapes.vocabulary, shapes.layers, shapes.tied)


def _task(folder: Folder, frozen: Frozen) -> tuple[str, int]:
    """Return the task and the number of labels of the model that the adapter needs, judged by its files."""
    from workers.engine.models.frozen import MAX_LABELS
    from workers.engine.models.library import TASK

    if isinstance(folder, Library):
        return TASK, 2
    try:
        task = frozen.meant(task_of(folder.config)) or _unnamed_task(folder, frozen)
        labels = (folder.layout.labels if folder.kind else None) or frozen.labels(task)
    except (ValueError, LookupError, HeaderError):
        return frozen.own_task, 2  # the checks say what is wrong
    return task, min(labels, MAX_LABELS)


def _unnamed_task(folder: Folder, frozen: Frozen) -> str:
    """Return the task if the config names none: tensor names tell whether it was trained with the base's own head."""
    under = f"base_model.model.{frozen.backbone.base_model_prefix}."
    if frozen.head_task in UNDER_HEADS and folder.kind and any(name.startswith(under) for name in folder.tensors):
        return str(frozen.head_task)
    return frozen.own_task


def loaded(job: Job, frozen: Frozen, task: str, labels: int, work: Path, say: Say) -> None:
    """Load the adapter onto the base and run it."""
    began = time.process_time()
    from workers.engine.checks import CHECKS
    from workers.engine.evals.choice import rows_for
    from workers.engine.trials.further_runs import on_earlier_rows

    folder = opened(files_in(job.folder), job.card, place=job.place)
    folder.base = frozen.facts(task, labels)
    if isinstance(folder, Library):
        folder.card = {"label_names": folder.label_names, **(folder.card or {})}
    rows = rows_for(folder, frozen, task, labels, lambda result: say({"check": as_frame(result)}), job.rows_from)
    trial = trial_class(folder)(folder, frozen, task, labels, work, rows)
    done = _report(CHECKS, trial, say)
    for evaluation in trial.evals:
        say({"eval": evaluation.as_json()})
    for earlier in on_earlier_rows(trial, job, began) if done else ():
        say({"earlier": earlier.as_json()})
    if done and (strength := _strength(trial, job.seconds)):
        say({"strength": strength.as_json()})
    if done and trial.cost:
        say({"run": Run(trial.cost, trial.conditions, trial.samples, _usage(trial, job.place)).as_json()})
    if done:
        say({"ran": True})


def trial_class(folder: Folder) -> type[Trial]:
    """Return the class of trials for the reader of a folder."""
    from workers.engine.trials.further_runs import ComposedTrial
    from workers.engine.trials.trial import LibraryTrial, Trial

    trials: list[tuple[type, Any]] = [(Composition, ComposedTrial), (Library, LibraryTrial), (Folder, Trial)]
    found: type[Trial] = next(trial for reader, trial in trials if isinstance(folder, reader))
    return found


def _usage(trial: Trial, place: str) -> AdapterUsage | None:
    """Return how the adapter is used, None where that cannot be told: no check depends on it, and it ends nothing."""
    from workers.engine.trials.usage import usage_of

    try:
        return usage_of(trial, place)
    except (RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError):
        return None


def _strength(trial: Trial, seconds: float) -> Strength | None:
    """Return the strength curve, which has no check: what it raises is its reason and ends nothing."""
    from workers.engine.trials.further_runs import curve

    try:
        return curve(trial, seconds)
    except (RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError) as problem:
        return Strength(left_out=f"It could not be run at other scales: {type(problem).__name__}.")


def _report(checks: Iterable[Check[Subject]], subject: Subject, say: Say) -> bool:
    """Run checks and report them; return False if one raised, which ends the stage."""
    last = ""
    waiting = iter([check.id for check in checks])
    with blamed(say, lambda: next(waiting, last)):
        for result in ask(checks, subject):
            last = next(waiting)
            say({"check": as_frame(result)})
        return True
    return False


@contextmanager
def blamed(say: Say, doing: Callable[[], str]) -> Iterator[None]:
    """Report what the block raises, as ours unless it was the loader or memory; the one broad `except` is here.

    `doing` returns the id of the check that raised.
    """
    try:
        yield
    except Exception as problem:  # noqa: BLE001 - whatever it is, it is reported
        say({"check": as_frame(_blame(problem, doing()))})


def _blame(problem: Exception, check: str) -> CheckResult:
    text = " ".join(str(problem).split())[:400] or type(problem).__name__
    if isinstance(problem, MemoryError) or any(word in text for word in MEMORY_WORDS):
        return CheckResult(
            "limits.memory",
            "failed",
            f"It needs more memory than a validation may use ({check}: {text[:200]}).",
            MEMORY_FIX,
        )
    if check == "load.error":
        return CheckResult(
            check, "failed", f"It cannot be loaded: {type(problem).__name__}: {text.rstrip('.')}.", LOAD_FIX
        )
    return CheckResult(CRASHED, "failed", f"The check {check} raised {type(problem).__name__}: {text}", CRASH_FIX)


def as_frame(check: CheckResult) -> Frame:
    return replace(check, message=_cut(check.message), fix=_cut(check.fix)).as_json()


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
