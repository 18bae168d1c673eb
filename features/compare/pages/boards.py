"""Leaderboards on the page of a base, and the best of them on the front page and above the list of bases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext, pgettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from dovetail.adapters.results.report import Evaluation
from features.compare import leaderboards
from features.compare.leaderboards import BestBoard, Board, Standing
from hub.site.measures import decimals, number
from hub.site.pictures import Axis, Measured, Scatter, around, finite, scatter, with_interval
from hub.site.proof import ENGINE_TITLES
from hub.site.visitor import caller
from hub.site.words import english
from registry.proof.reports import start_of
from registry.repos import bases

SORTS = {"score": _("score"), "gain": _("gain"), "size": _("size"), "updated": _("newest version")}
SHOWN = 10  # lines of a board before the rest
FINE_ROWS = 400  # fewer allow no third digit: one of them is more
LEAST_DRAWN = 3  # adapters by size: of two the table says as much
OPEN = 3  # boards that are not folded
ON_INDEX = 12  # boards above the list of bases


@dataclass(frozen=True, slots=True)
class Line:
    """A standing with its place in words, and the places in percent of the axis of what is drawn."""

    standing: Standing
    place: str
    written: str  # the score, with as many digits as its rows allow
    change: str
    engines: Sequence[str]
    score: float
    start: Sequence[float]  # of its own head alone, or the frozen base; none where that is not finite
    interval: Sequence[float]


@dataclass(frozen=True, slots=True)
class ShownBoard:
    """A board with its lines on one axis, the first ones apart from the rest, and its picture by size."""

    board: Board
    axis: Axis
    lines: Sequence[Line]
    rest: Sequence[Line]
    picture: Scatter | None


def base_boards(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return the boards of one task on the base of a page, and its other tasks; None where nothing was measured."""
    request: HttpRequest = page["request"]
    if "cursor" in request.GET:
        return None
    by, base = caller(request), page["name"]
    counts = {task: of[base] for task, of in leaderboards.count_measured(by).items() if base in of}
    asked, sort = request.GET.get("task", "").strip(), request.GET.get("sort") or "score"
    if not counts and not asked:
        return None
    task = asked or next(iter(counts))
    wrong = f"There is no order {sort[:40]!r}. Use one of {', '.join(SORTS)}."
    problems = () if sort in SORTS else (english(wrong),)
    sort = sort if sort in SORTS else "score"
    found = leaderboards.compare(by, task, [base], sort)
    boards = [_shown(board, leaderboards.MOST if "all" in request.GET else SHOWN) for board in found.boards]
    return {
        "task": task,
        "tasks": [(name, n, _address(base, name)) for name, n in counts.items()],
        "found": found,
        "boards": boards[:OPEN],
        "folded": boards[OPEN:],
        "most": leaderboards.MOST,
        "problems": problems,
        "sort": SORTS[sort],
        "sorts": [(label, _address(base, task, name)) for name, label in SORTS.items()],
        "all": _address(base, task, sort, all="1"),
        "catalogue": f"{reverse('adapters')}?{urlencode({'base': base, 'task': task, 'sort': 'score'})}",
    }


def _address(base: str, task: str, sort: str = "score", **more: str) -> str:
    wanted = {"task": task} | ({"sort": sort} if sort != "score" else {}) | more
    return f"{reverse('base', args=[base])}?{urlencode(wanted)}#boards"


def _shown(board: Board, most: int) -> ShownBoard:
    evaluations = [standing.evaluation for standing in board.standings]
    axis = around([value for one in evaluations for value in _values(one)], 2, 98)
    lines = [_line(board, standing, axis) for standing in board.standings]
    return ShownBoard(board, axis, lines[:most], lines[most:], _picture(board))


def _values(measured: Evaluation) -> list[float]:
    return [*with_interval(measured.adapter, measured.interval), *finite(start_of(measured))]


def _line(board: Board, standing: Standing, axis: Axis) -> Line:
    measured = standing.evaluation
    score, *interval = map(axis.at, with_interval(measured.adapter, measured.interval) or [axis.low])
    written, change = _written(measured.adapter or 0.0, board), _written(standing.change, board)
    return Line(
        standing,
        _place(board, standing),
        written,
        f"+{change}" if standing.change > 0 else change,
        [ENGINE_TITLES.get(engine, engine) for engine in standing.version.engines],
        score,
        [*map(axis.at, finite(start_of(measured)))],
        interval,
    )


def _written(value: float, board: Board) -> str:
    is_coarse = board.measured.rows < FINE_ROWS and abs(board.best.evaluation.adapter or 0.0) >= 0.1
    return decimals(value, 2) if is_coarse else number(value)


def _place(board: Board, standing: Standing) -> str:
    """Return the place of a standing by its score in words."""
    place, is_shared = board.place(standing)
    words = {"place": _ordinal(place), "count": len(board.standings)}
    if is_shared:
        words["place"] = gettext("shared {place}").format(place=words["place"])
    if place > 1 and board.is_near(standing):
        return gettext("{place} of {count}, within chance of the 1st").format(**words)
    return gettext("{place} of {count}").format(**words)


def _ordinal(place: int) -> str:
    ends = {
        1: pgettext("ordinal", "{n}st"),
        2: pgettext("ordinal", "{n}nd"),
        3: pgettext("ordinal", "{n}rd"),
        0: pgettext("ordinal", "{n}th"),
    }
    last = place % 10 if place % 100 not in (11, 12, 13) else 0
    return ends.get(last, ends[0]).format(n=place)


def _picture(board: Board) -> Scatter | None:
    points = [
        Measured(
            standing.repository.full_name,
            reverse("verdict", args=[standing.repository, standing.named]),
            standing.version.size,
            with_interval(standing.evaluation.adapter, standing.evaluation.interval),
            standing.version.kind,
        )
        for standing in board.standings
    ]
    return scatter(points if len(points) >= LEAST_DRAWN else (), lower_is_better=board.measured.better == "lower")


# --- the best boards -------------------------------------------------------------------------------------------------
MOST_LINES = 3


@dataclass(frozen=True, slots=True)
class BestLines:
    """The first lines of the best board of a task on a base, and where the rest stands."""

    best: BestBoard
    shown: ShownBoard
    address: str


def best_of_home(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return the boards of the front page; None without any."""
    return _best(page["request"], 3)


def best_of_bases(page: Mapping[str, Any]) -> Mapping[str, object] | None:
    """Return the boards above the list of bases, of the task of the address; None without any, and on later pages."""
    request: HttpRequest = page["request"]
    return None if "cursor" in request.GET else _best(request, ON_INDEX, request.GET.get("task", "").strip())


def _best(request: HttpRequest, limit: int, task: str = "") -> Mapping[str, object] | None:
    found = leaderboards.best_boards(caller(request), limit, task)
    lines = [BestLines(one, _shown(one.board, MOST_LINES), _address(one.base, one.task)) for one in found]
    return {"best": lines, "task": task} if lines or task else None


# --- former addresses ------------------------------------------------------------------------------------------------
@require_safe
def leaderboard_tasks(request: HttpRequest) -> HttpResponse:
    """Lead on to the bases, to one of them with `base`."""
    base = request.GET.get("base", "").strip()
    return redirect("base", bases.canonical_name(base)) if base else redirect("bases")


@require_safe
def leaderboard(request: HttpRequest, task: str) -> HttpResponse:
    """Lead on to the board of a task on its base: the one of the address, else the only one that has adapters of it."""
    base = request.GET.get("base", "").strip()
    of_task = leaderboards.count_measured(caller(request)).get(task, {})
    known = [bases.canonical_name(base)] if base else [base for base in of_task if base]
    if len(known) == 1:
        return redirect(_address(known[0], task, request.GET.get("sort") or "score"))
    return redirect(f"{reverse('bases')}?{urlencode({'task': task})}")
