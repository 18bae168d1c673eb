"""Leaderboards: tasks and bases with measured adapters, and the adapters of one task on the same rows."""

import math
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from hub.site.pictures.scatter import Measured, Scatter, scatter
from hub.site.visitor import caller
from hub.site.words import english
from registry.proof import leaderboards
from registry.proof.leaderboards import Board
from registry.repos import bases

MOST_BASES = 12  # that are named beside a task
SORTS = {"score": _("score"), "gain": _("gain over the base"), "size": _("size"), "updated": _("newest version")}


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Show the tasks with their bases, the commonest first; with `base`, the tasks of this one."""
    asked = request.GET.get("base", "").strip()
    counts = leaderboards.count_measured(caller(request))
    if asked:
        base = bases.canonical_name(asked)
        counts = {task: {base: of[base]} for task, of in counts.items() if base in of}
    rows = [
        (task, sum(of.values()), [(base, n, _address(task, base=base)) for base, n in of.items() if base][:MOST_BASES])
        for task, of in counts.items()
    ]
    return render(request, "site/leaderboards.html", {"section": "leaderboards", "rows": rows, "base": asked})


@require_safe
def one(request: HttpRequest, task: str) -> HttpResponse:
    """Show the boards of a task, of one base with `base`; a wrong order is said above them."""
    base, sort = request.GET.get("base", "").strip(), request.GET.get("sort") or "score"
    base = bases.canonical_name(base) if base else ""
    wrong = f"There is no order {sort[:40]!r}. Use one of {', '.join(SORTS)}."
    problems = () if sort in SORTS else (english(wrong),)
    sort = sort if sort in SORTS else "score"
    found = leaderboards.compare(caller(request), task, [base] if base else (), sort)
    shown = {
        "section": "leaderboards",
        "task": task,
        "base": base,
        "problems": problems,
        "found": found,
        "boards": [(board, _picture(board)) for board in found.boards],
        "most": leaderboards.MOST,
        "sort": SORTS[sort],
        "sorts": [(label, _address(task, base=base, sort=name)) for name, label in SORTS.items()],
        "everything": _address(task, sort=sort) if base else "",
        "catalogue": f"{reverse('adapters')}?{urlencode({'task': task, 'sort': 'score'})}",
    }
    return render(request, "site/leaderboard.html", shown)


def _picture(board: Board) -> Scatter | None:
    points = [
        Measured(
            standing.repository.full_name,
            reverse("verdict", args=[standing.repository, standing.named]),
            standing.version.size,
            math.nan if standing.evaluation.adapter is None else standing.evaluation.adapter,
        )
        for standing in board.standings
    ]
    return scatter(points, lower_is_better=board.measured.better == "lower")


def _address(task: str, **chosen: str) -> str:
    wanted = urlencode({name: value for name, value in chosen.items() if value and (name, value) != ("sort", "score")})
    return reverse("leaderboard", args=[task]) + (f"?{wanted}" if wanted else "")
