"""The page that compares two to four adapters, or two versions of one: everything that is known, side by side."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from dovetail.adapters.files import config as configs
from dovetail.adapters.results.report import Evaluation
from dovetail.adapters.serving import ENGINES
from features.compare import comparisons, measurements
from features.compare.comparisons import Conclusion, EvaluationChange, Measured
from features.compare.models import RowsMeasurement
from features.compare.pages.compared import LETTERS, ComparedFile, Side, colour_of, compared_files, headline, word_of
from features.compare.pages.flips import flips
from hub.site.measures import number, size
from hub.site.pictures import Axis, Dumbbell, dumbbell
from hub.site.proof import NEUTRAL, Served
from hub.site.repository.repository_header import RepositoryHeader, shown_header
from hub.site.routing import RepositoryAddress
from hub.site.templatetags.dovetail import kind_name, license
from hub.site.visitor import caller, person
from hub.site.words import task_name
from registry.kernel import refusals
from registry.kernel.errors import RegistryError, StoreUnavailable, ValueInvalid
from registry.kernel.policy import Caller, Permission
from registry.models import Repository, Verdict
from registry.proof.verdicts import requests
from registry.repos import lookup, pull, refs
from registry.repos.contents import facts
from registry.repos.contents.facts import Facts
from registry.repos.eligibility import is_neutral

MAX_ADDRESS, MAX_KEYS = 400, 300


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table with a value for each side; None where a side has none."""

    name: str
    values: Sequence[Any]
    seen: Sequence[Any] = ()  # what a reader sees of the values, where that is less

    @property
    def differs(self) -> bool:
        first, *others = self.seen or self.values
        return any(value != first for value in others)


@dataclass(frozen=True, slots=True)
class Measurement:
    """A metric of one side: its change from the first side with the class of its colour or a word, and its drawing."""

    letter: str
    value: Evaluation | None
    change: float | None
    colour: str
    word: str
    p: float | None
    picture: Dumbbell


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of all sides; their drawings have one axis."""

    name: str
    less_is_better: bool
    sides: Sequence[Measurement]
    axis: Axis | None


@require_safe
def compare(request: HttpRequest) -> HttpResponse:
    """Compare what `ids` names (NS/NAME or NS/NAME@REV, repeated or with commas); without two, ask for them."""
    typed = [part.strip()[:MAX_ADDRESS] for value in request.GET.getlist("ids") for part in value.split(",")]
    names = list(dict.fromkeys(filter(None, typed)))
    if len(names) > len(LETTERS):
        raise ValueInvalid(f"{len(names)} adapters are too many to compare.", fix=f"Choose at most {len(LETTERS)}.")
    by = caller(request)
    headers = [_named(name, by) for name in names]
    if len(headers) == 2 and headers[0].repository == headers[1].repository:
        older, newer = sorted(headers, key=lambda header: (header.revision.created_at, header.revision.pk))
        oids = [older.revision.oid, newer.revision.oid]
        return HttpResponseRedirect(reverse("compare-versions", args=[older.repository, *oids]))
    return _page(request, headers)


@require_safe
def compare_versions(request: HttpRequest, address: RepositoryAddress, a: str, b: str) -> HttpResponse:
    """Compare two versions of one repository."""
    by = caller(request)
    repository = lookup.find_at_address(address.full_name, by, type=address.type)
    swapped = reverse("compare-versions", args=[repository, b, a])
    return _page(request, [_header(repository, rev, by) for rev in (a, b)], swapped)


def _named(name: str, by: Caller) -> RepositoryHeader:
    full_name, _, rev = name.partition("@")
    return _header(lookup.find_by_any_name(full_name, by, Permission.READ), rev or "main", by)


def _header(repository: Repository, rev: str, by: Caller) -> RepositoryHeader:
    """Return a side. Raises what the page of the revision raises."""
    if repository.is_quarantined:
        raise refusals.quarantined(repository)
    return shown_header(repository, rev, by)


def _page(request: HttpRequest, headers: Sequence[RepositoryHeader], swapped: str = "") -> HttpResponse:
    sides = [Side(letter, header, _refusal(header)) for letter, header in zip(LETTERS, headers, strict=False)]
    page: dict[str, object] = {"sides": sides, "has_room": len(sides) < len(LETTERS), "swapped": swapped}
    if len(sides) > 1:
        kept = _older(sides)
        shared = _shared(sides)
        said = headline([side.report for side in sides], [side.header.size for side in sides], shared.more, kept=kept)
        chosen = sides[said.chosen] if said.chosen is not None else None
        page |= {"shared": shared, "may_measure": said.conclusion.outcome in ("other-rows", "not-measured")}
        page |= {"headline": said.words, "alike": said.alike, "chosen": chosen}
        page |= {"deeds": _deeds(sides, chosen) if kept is not None else []}
        page |= {"facts": _facts(sides), "metrics": _metrics(sides, said.conclusion), "engines": _engines(sides)}
        page |= {"flips": flips(sides, said.conclusion), "config": _config(sides), "weights": _weights(sides)}
        if request.headers.get("HX-Request") and not shared.pending:
            return HttpResponse(headers={"HX-Refresh": "true"})
    return render(request, "compare/page.html", page)


@dataclass(frozen=True, slots=True)
class SharedRows:
    """The rows of one side on which the others can be measured, and what became of that.

    `owner` is None where no side has such rows; `left` are the sides that nobody has asked for.
    """

    owner: Side | None = None
    left: Sequence[Side] = ()
    pending: Sequence[RowsMeasurement] = ()
    problems: Sequence[tuple[Side, str]] = ()
    more: Sequence[Sequence[Evaluation]] = ()

    @property
    def is_running(self) -> bool:
        return any(row.is_running for row in self.pending)


def _shared(sides: Sequence[Side]) -> SharedRows:
    """Return what was measured on the rows of the first side that has any; nothing if a side withholds its files."""
    owner = next((side for side in sides if measurements.find_rows(side.header.revision, side.report)), None)
    if owner is None or any(side.refusal for side in sides):
        return SharedRows()
    revision = owner.header.revision
    known = measurements.known([side.header.revision for side in sides])
    rows = [known.get((side.header.revision.pk, revision.pk)) for side in sides]
    others = [(side, row) for side, row in zip(sides, rows, strict=True) if side is not owner]
    return SharedRows(
        owner,
        [side for side, row in others if row is None and measurements.runner_of(_verdict(side))],
        [row for _, row in others if row and row.free_at],
        [(side, row.problem) for side, row in others if row and row.problem],
        [[Evaluation.parse(row.evaluation)] if row and row.evaluation else [] for row in rows],
    )


def _verdict(side: Side) -> Verdict | None:
    return requests.in_force(side.header.revision)


def measure_sides(request: HttpRequest) -> HttpResponse:
    """Ask for measurements of all sides on the rows of one of them, and lead back to their comparison."""
    person(request)
    names = request.POST.getlist("ids")[: len(LETTERS)]
    headers = [_named(name[:MAX_ADDRESS], caller(request)) for name in names]
    for header in headers:
        pull.require_files(header.revision, header.by)
    sides = [Side(letter, header, None) for letter, header in zip(LETTERS, headers, strict=False)]
    shared = _shared(sides)
    if shared.owner:
        again = [side for side, _ in shared.problems]
        measurements.ask([side.header.revision for side in (*shared.left, *again)], shared.owner.header.revision)
    return HttpResponseRedirect(f"{reverse('compare')}?{urlencode([('ids', name) for name in names])}")


def _older(sides: Sequence[Side]) -> int | None:
    """Return the index of the older of two versions; None for different adapters."""
    if len({side.header.repository for side in sides}) > 1:
        return None
    return min(range(len(sides)), key=lambda at: (sides[at].header.revision.created_at, sides[at].header.revision.pk))


@dataclass(frozen=True, slots=True)
class Deed:
    """Actions of a writer on a version: move an alias to it, or roll back to it."""

    side: Side
    alias: str
    is_rollback: bool


def _deeds(sides: Sequence[Side], chosen: Side | None) -> list[Deed]:
    """Return how the aliases of the repository can be moved to the chosen version, or to each without one."""
    header = sides[0].header
    if not header.may_write or header.repository.is_archived:
        return []
    states = refs.listed(header.repository)
    backs = refs.rollbacks(header.repository, [state.alias for state in states]) if states else {}
    return [
        Deed(side, state.name, backs.get(state.name) == side.header.revision)
        for side in ([chosen] if chosen else sides)
        if side.report and side.report.is_passed and not side.header.revision.is_yanked
        for state in states
        if state.alias.revision != side.header.revision
    ]


def _refusal(header: RepositoryHeader) -> RegistryError | None:
    """Return what stands between the visitor and the files of a side."""
    try:
        pull.require_files(header.revision, header.by)
    except StoreUnavailable:
        raise
    except RegistryError as refusal:
        return refusal
    return None


def _facts(sides: Sequence[Side]) -> list[Row]:
    """Return what the versions say of themselves, as texts."""
    described = [side.header.described for side in sides]
    rows = [
        Row(gettext("Base"), [one["base"] or "" for one in described]),
        Row(gettext("Task"), [task_name(one["task"] or "") for one in described]),
        Row(gettext("Kind"), [_kind(one) for one in described]),
        Row(gettext("License"), [license(side.header.facts.card.license) for side in sides]),
        Row(gettext("Parameters"), [_parameters(side.header.facts) for side in sides]),
        Row(gettext("Size"), [size(side.header.size) for side in sides]),
        Row(gettext("Downloads"), [number(side.header.repository.downloads) for side in sides]),
    ]
    return sorted((row for row in rows if any(row.values)), key=lambda row: not row.differs)


def _parameters(found: Facts) -> str:
    return f"{number(found.parameter_count)} {', '.join(found.parameters)}".strip()


def _kind(described: Mapping[str, Any]) -> str:
    kind, rank = kind_name(described["kind"] or ""), described["rank"]
    return f"{kind} r{rank}" if rank else kind


def _config(sides: Sequence[Side]) -> list[Row]:
    """Return the keys of the configs by name, those that differ first; none if a side withholds its files."""
    if any(side.refusal for side in sides):
        return []
    files = [_config_of(side.header) for side in sides]
    keys = sorted({key for file in files for key in file})[:MAX_KEYS]
    rows = [
        Row(key, [_as_text(file, key) for file in files], [_stated(file.get(key)) for file in files]) for key in keys
    ]
    return sorted(rows, key=lambda row: not row.differs)


def _stated(value: object) -> object:
    """Return a value of a config to compare: none for one that says nothing, and names in any order."""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return sorted(value)
    return value or None


def _as_text(file: configs.Config, key: str) -> str:
    """Return a value as JSON; "" for a key that the config lacks."""
    return json.dumps(file[key], ensure_ascii=False, sort_keys=True) if key in file else ""


def _config_of(header: RepositoryHeader) -> configs.Config:
    paths = (path for path in header.entries if path.rpartition("/")[2] == configs.NAME)
    first = next(paths, None)
    return facts.config_of(header.entries[first]) if first else {}


def _weights(sides: Sequence[Side]) -> list[tuple[Side, list[ComparedFile]]]:
    """Return the weight files of each other side beside those of the first."""
    first, *others = sides
    if any(side.refusal for side in sides):
        return []
    return [(side, list(compared_files(first.header.entries, side.header.entries))) for side in others]


def _engines(sides: Sequence[Side]) -> list[Row]:
    """Return each engine that was asked about a side, with its answers."""
    answers: list[dict[str, Served]] = [
        {line.answer.engine: line for line in side.header.proof.served} if side.header.proof else {} for side in sides
    ]
    asked = [(engine.name, engine.title) for engine in ENGINES if any(engine.name in one for one in answers)]
    rows = [(title, [one.get(name) for one in answers]) for name, title in asked]
    every = [Row(title, lines, [line and line.outcome for line in lines]) for title, lines in rows]
    return sorted(every, key=lambda row: not row.differs)


def _metrics(sides: Sequence[Side], found: Conclusion) -> list[Metric]:
    """Return the metrics of all sides, the deciding one first, those on plain sentences last."""
    rows = list(comparisons.measured_alike([side.report for side in sides]))
    if found.outcome in comparisons.COMPARES:  # maybe on rows of another version
        deciding = next(side.evaluation.metric for side in found.sides if side)
        others = [[one.evaluation for one in row if one and one.evaluation.metric == deciding] for row in rows]
        rows = [list(found.sides), *(row for row, same in zip(rows, others, strict=True) if all(map(is_neutral, same)))]
    known = [(values, [one for one in values if one]) for values in rows]
    return [_metric(*row) for row in sorted(known, key=lambda row: row[1][0].evaluation.name == NEUTRAL)]


def _metric(values: Sequence[Measured | None], known: Sequence[Measured]) -> Metric:
    evaluations = [one.evaluation for one in known]
    beside = [mark for one in evaluations for mark in (one.base, one.adapter, *(one.interval or ()))]
    first = evaluations[0]
    name = first.metric if first.name != NEUTRAL else gettext("{metric} on plain sentences").format(metric=first.metric)
    measurements = [
        _measurement(letter, comparisons.change_between(values[0], value, len(values) - 1), value is values[0], beside)
        for letter, value in zip(LETTERS, values, strict=False)
    ]
    axis = next((one.picture.axis for one in measurements if one.picture.axis), None)
    return Metric(name, first.better == "lower", measurements, axis)


def _measurement(letter: str, change: EvaluationChange, is_first: bool, beside: Sequence[float | None]) -> Measurement:
    value = change.after.evaluation if change.after else None
    picture = _drawn(value, beside)
    if is_first:
        return Measurement(letter, value, None, "", "", None, picture)
    return Measurement(letter, value, change.change, colour_of(change), word_of(change), change.p, picture)


def _drawn(value: Evaluation | None, beside: Sequence[float | None]) -> Dumbbell:
    if value is None:
        return Dumbbell(())
    marks = (
        ("base", gettext("base"), value.base),
        ("head", gettext("head alone"), value.head_alone),
        ("adapter", gettext("it"), value.adapter),
    )
    return dumbbell(marks, value.interval, beside)
