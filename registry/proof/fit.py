"""Finds the known bases that an adapter fits, by names and shapes; stores and queries the measurements of engines."""

import gzip
import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet

from dovetail.adapters.files import config as configs
from dovetail.adapters.files import header as headers
from dovetail.adapters.files.header import Header, HeaderError, Opener
from dovetail.adapters.files.patterns import PatternError
from dovetail.adapters.formats.description import WEIGHTS
from dovetail.adapters.methods import task_of
from dovetail.adapters.results.findings import some
from dovetail.adapters.results.report import CheckResult, Fits, KnownBase, Report
from dovetail.adapters.shapes.base_fits import Adapter, Fit, NotComputable
from dovetail.adapters.shapes.fit import Shapes, decode
from registry.kernel.errors import SHELF, ShelfProblem
from registry.models import Base, BaseManifest
from registry.repos import bases

MAX_BASES = 200
MAX_TOLD = 60  # in a verdict
BASELESS = ("base.local-path", "base.unnamed")
BUDGET_SECONDS = 2.0  # for all bases together; an honest adapter takes a few milliseconds each
NOT_MEASURED = "Not measured yet: {}."
TELL_APART = "Shapes alone cannot tell {} apart: name the one it was trained on."


@dataclass(frozen=True)
class Answer:
    """The fit of an adapter to one base; `fit` is None where the base has no model for the adapter's task."""

    base: str
    has_weights: bool
    fit: Fit | None
    why: str

    @property
    def fits(self) -> bool:
        return self.fit is not None and self.fit.fits


@dataclass(frozen=True)
class Survey:
    """An adapter against all known bases.

    `left_out` bases were not asked: too many, or the patterns cost too much, or nobody has measured them yet; the last
    are `unmeasured`.
    """

    task: str
    answers: list[Answer] = field(default_factory=list)
    left_out: int = 0
    unmeasured: tuple[str, ...] = ()

    @property
    def fitting(self) -> list[str]:
        return [answer.base for answer in self.answers if answer.fits]

    @property
    def note(self) -> str:
        """The limits of what the answers prove."""
        apart = TELL_APART.format(some(self.fitting)) if len(self.fitting) > 1 else ""
        return f"{apart} {NOT_MEASURED.format(some(self.unmeasured))}".strip() if self.unmeasured else apart

    def awaited(self, names: Iterable[str]) -> str:
        """Return the one of these bases that is known here and not measured yet, "" if none is."""
        stated = {bases.canonical_name(name).casefold() for name in names}
        return next((base for base in self.unmeasured if base.casefold() in stated), "")


# --- keeping ---------------------------------------------------------------------------------------------------------
def remember(base: Base, engine: str, measurement: Mapping[str, Any]) -> int:
    """Keep what an engine measured: `transformers`, `own_task`, `tasks` (task → shapes). Returns how many tasks.

    Raises ShelfProblem for what no engine says.
    """
    try:
        rows = [
            _row(base, engine, str(measurement["transformers"])[:32], task, shapes)
            for task, shapes in measurement["tasks"].items()
        ]
        own_task = str(measurement["own_task"])[:24]
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise ShelfProblem(f"The engine {engine} measured {base.id} in an unknown format: {problem}.") from problem
    with transaction.atomic():
        Base.objects.select_for_update(no_key=True).get(pk=base.pk)
        BaseManifest.objects.filter(base=base, engine=engine).delete()
        BaseManifest.objects.bulk_create(rows)
        Base.objects.filter(pk=base.pk).update(own_task=own_task)
    return len(rows)


def _row(base: Base, engine: str, version: str, task: str, shapes: Mapping[str, Any]) -> BaseManifest:
    decode(shapes)  # what cannot be read is not kept
    plain = json.dumps(shapes, separators=(",", ":"), sort_keys=True).encode()
    return BaseManifest(
        base=base,
        revision=base.revision,
        engine=engine,
        version=version,
        task=task[:24],
        data=gzip.compress(plain, mtime=0),
        digest=hashlib.sha256(plain).hexdigest(),
    )


def unmeasured() -> list[Base]:
    """Return the bases whose shapes nobody has measured at the revision they have now."""
    return list(_unmeasured())


def _unmeasured() -> QuerySet[Base]:
    return Base.objects.exclude(manifests__revision=F("revision")).order_by("added_at")


# --- asking ----------------------------------------------------------------------------------------------------------
def shapes_of(base: Base, task: str) -> tuple[str, Shapes]:
    """Return a task and the base's shapes for it: the task named, else the base's own. Raises ShelfProblem."""
    rows = {row.task: row for row in reversed(_newest(BaseManifest.objects.filter(base=base)))}
    row = rows.get(task) or rows.get(base.own_task)
    if row is None:
        raise ShelfProblem(f"The shapes of {base.id} have not been measured yet.", fix=f"Run `{SHELF} measure`.")
    return row.task, _shapes(row.pk, row.digest)


def survey(config: configs.Config, header: Header) -> Survey:
    """Ask every known base. Raises `NotComputable` for a method whose tensors are not known here."""
    adapter = Adapter(config, header)
    task = adapter.task or ""
    rows = _rows(task)
    answers = list(_answers(adapter, rows[:MAX_BASES]))
    waiting = tuple(_unmeasured().values_list("id", flat=True))
    left_out = len(rows) - len(answers) + len(waiting)
    answers += _without_task(task, [row.base_id for row in rows]) if task else ()
    return Survey(task, sorted(answers, key=lambda answer: (not answer.fits, answer.base)), left_out, waiting)


def _answers(adapter: Adapter, rows: list[BaseManifest]) -> Iterator[Answer]:
    fits: dict[str, Fit] = {}  # by digest: many bases are fine-tunes of one
    deadline = time.monotonic() + BUDGET_SECONDS
    for row in rows:
        if time.monotonic() > deadline:
            return
        if row.digest not in fits:
            fits[row.digest] = _lay(adapter, _shapes(row.pk, row.digest))
        fit = fits[row.digest]
        yield Answer(row.base_id, row.base.has_weights, fit, fit.why)


def task_in(files: Mapping[str, Opener]) -> str:
    """Return the task that the config in files names, "" where it names none or cannot be read."""
    try:
        with files[configs.NAME]() as file:
            return task_of(configs.read(file)) or ""
    except (KeyError, configs.ConfigError):
        return ""


def survey_files(files: Mapping[str, Opener]) -> Survey | None:
    """Ask every known base about the adapter in files; None where they cannot be read or its method is not known."""
    try:
        with files[configs.NAME]() as file:
            config = configs.read(file)
        with files[WEIGHTS]() as file:
            header = headers.read(file)
        return survey(config, header)
    except (KeyError, configs.ConfigError, HeaderError, NotComputable):
        return None


def with_fits(report: Report, survey: Survey | None, card_bases: Sequence[str] = ()) -> Report:
    """Return the report with the bases that the adapter fits; a base that is a path or missing gets them as its fix.

    `card_bases` are the bases that its card names; one of them that fits is preferred.
    """
    if survey is None:
        return report
    checks = tuple(_with_fix(check, survey, card_bases) for check in report.checks)
    base_fits = tuple(KnownBase(each.base, each.fits, each.has_weights, each.why) for each in survey.answers[:MAX_TOLD])
    return replace(report, checks=checks, fits=Fits(base_fits, survey.note, survey.left_out))


def _with_fix(check: CheckResult, survey: Survey, card_bases: Sequence[str]) -> CheckResult:
    if check.outcome != "failed" or check.id not in BASELESS:
        return check
    if awaited := survey.awaited(card_bases):
        return replace(check, fix=f"Its card names {awaited}, which this hub has not measured yet; {check.fix}")
    if not survey.fitting:
        return check
    where = {**check.where, "fits": survey.fitting[:20]}
    if base := preferred_base(survey, card_bases):
        meant, which = f"Set base_model_name_or_path to {base!r}, which it fits.", "."
    else:
        meant = f"It fits {some(survey.fitting)}." + (f" {survey.note}" if survey.note else "")
        which = "; --base says which."
    fix = f"{meant} `dovetail repair` proposes it in a pull request{which}"
    return replace(check, fix=fix, where=where)


def preferred_base(survey: Survey, card_bases: Sequence[str] = ()) -> str:
    """Return the fitting base that the card names, else the only base that fits, else "".

    "" as well if the card names a base whose shapes are not known yet: to advise any other would be wrong.
    """
    if survey.awaited(card_bases):
        return ""
    stated = {bases.canonical_name(name).casefold() for name in card_bases}
    meant = [base for base in survey.fitting if base.casefold() in stated] or survey.fitting
    return meant[0] if len(meant) == 1 else ""


def _lay(adapter: Adapter, shapes: Shapes) -> Fit:
    try:
        return adapter.on(shapes)
    except PatternError as problem:
        raise NotComputable(f"A pattern in the config cannot be used: {problem}.") from problem


def _rows(task: str) -> list[BaseManifest]:
    """One row for each base: of the task, or of the base's own where the adapter names none."""
    of_task = Q(task=task) if task else Q(task=F("base__own_task"))
    return _newest(BaseManifest.objects.filter(of_task))


def _newest(rows: Any) -> list[BaseManifest]:
    """Return the engine whose name sorts last, which is the newest."""
    newest: dict[tuple[str, str], BaseManifest] = {}
    for row in rows.select_related("base").defer("data").order_by("base_id", "engine"):
        newest[row.base_id, row.task] = row
    return list(newest.values())


def _without_task(task: str, asked: list[str]) -> Iterator[Answer]:
    for base in Base.objects.exclude(pk__in=asked).exclude(own_task="").order_by("id")[:MAX_BASES]:
        yield Answer(base.id, base.has_weights, None, f"It has no model for the task {task}.")


@lru_cache(maxsize=256)
def _shapes(pk: int, digest: str) -> Shapes:
    """Measured shapes, decoded once a process; a new measurement is another row."""
    data = BaseManifest.objects.values_list("data", flat=True).get(pk=pk, digest=digest)
    return decode(json.loads(gzip.decompress(bytes(data))))
