"""Leaderboards of tasks and bases in our REST."""

from collections.abc import Iterable
from typing import Annotated

from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.adapters.results.report import Evaluation
from dovetail.answers.record import Answer, OneOf, Page, Time
from features.compare import leaderboards
from features.compare.leaderboards import SORTS
from hub.api import bases, pages
from hub.api.records import of_row, operation
from hub.api.views import View
from hub.list_parameters import one_of
from registry.models import Repository, Verdict
from registry.repos import bases as names
from registry.repos.lists import catalog
from registry.repos.refs import VERIFIED


class OfTask(s.Serializer[pages.Data]):
    base = s.ListField(child=s.CharField(), required=False, max_length=20, help_text="any of its names")
    sort = one_of(SORTS, required=False, default="score", help_text="of each list; the best, smallest or newest first")


class MeasuredBase(Answer):
    base: str
    adapters: int


class MeasuredTask(Answer):
    task: str
    adapters: Annotated[int, "measured ones that you may see"]
    bases: tuple[MeasuredBase, ...]


class Standing(Answer):
    adapter: str
    place: Annotated[int | None, "in this order; equals share one: 1, 1, 3. null in `alone`"]
    copies: Annotated[tuple[str, ...], "adapters with the same weights that came later and would stand in this list"]
    base: str
    revision: Annotated[str, "its version that measured best on these rows"]
    is_verified: Annotated[bool, "the version is the one that `verified` names; else one before it"]
    kind: str
    rank: Annotated[int | None, "of `verified`; null for a version before it"]
    size: int
    gain: Annotated[
        float, "of the metric over its trained head alone, where it has one, or the frozen base; negative: worse"
    ]
    evaluation: Evaluation
    engines: Annotated[tuple[str, ...], "that serve it"]
    updated_at: Time


class Board(Answer):
    rows_of: Annotated[
        str,
        "the data set of the rows, else the one that the oldest adapter's card names, else `smoke.jsonl`; "
        "empty for built-in samples",
    ]
    oldest: Annotated[
        str | None, "the oldest adapter, where another board has this `rows_of`, metric and number of rows"
    ]
    metric: str
    better: Annotated[str, OneOf("higher", "lower")]
    rows: float
    rows_sha256: str
    standings: tuple[Standing, ...]


class TaskLeaderboards(Answer):
    task: str
    boards: Annotated[tuple[Board, ...], "the longest first; all of one were measured on the same rows"]
    alone: tuple[Standing, ...]
    is_capped: Annotated[bool, "there are more adapters than were compared"]


class Leaderboards(View):
    @operation("leaderboards", callers="anyone")
    def get(self, request: Request) -> Page[MeasuredTask]:
        """Tasks and bases with measured adapters, the commonest first."""
        pages.parameters(request, pages.Nothing)
        items = [
            MeasuredTask(
                task=task,
                adapters=sum(counts.values()),
                bases=tuple(MeasuredBase(base=base, adapters=count) for base, count in counts.items() if base),
            )
            for task, counts in leaderboards.count_measured(self.caller).items()
        ]
        return pages.page(request, items)


class OneLeaderboard(View):
    @operation(
        "task_leaderboards",
        query=OfTask,
        callers="anyone",
        description=f"The {leaderboards.MOST} with the greatest gain over their head alone or their base; `alone` are "
        "those on rows that nothing else here was measured on. Each list has the same weights once.",
    )
    def get(self, request: Request, task: str) -> TaskLeaderboards:
        """Measured adapters of a task, those on the same rows together."""
        asked = pages.parameters(request, OfTask)
        named = list(names.canonical_names(asked.get("base", ())).values())
        found = leaderboards.compare(self.caller, task, named, asked["sort"])
        boards = tuple(
            of_row(
                Board,
                board.measured,
                rows_of=board.rows_of,
                oldest=board.oldest.full_name if board.has_namesakes else None,
                standings=_standings(board.standings),
            )
            for board in found.boards
        )
        alone = _standings(found.alone)
        return TaskLeaderboards(task=task, boards=boards, alone=alone, is_capped=found.is_capped)


def _standings(standings: Iterable[leaderboards.Standing]) -> tuple[Standing, ...]:
    return tuple(
        of_row(
            Standing,
            standing.version,
            adapter=standing.repository.full_name,
            place=standing.place or None,
            copies=tuple(copy.full_name for copy in standing.copies),
            base=standing.repository.base,
            revision=standing.version.revision.oid,
            rank=standing.rank,
            gain=standing.gain,
            evaluation=standing.evaluation.without_rows(),
            updated_at=standing.repository.updated_at,
        )
        for standing in standings
    )


class LeaderboardPaging(pages.Paging):
    task = s.ListField(child=s.CharField(), required=False, help_text="repeated ones are alternatives")


class Rank(Answer):
    """The measurements of one adapter."""

    adapter: str
    revision: Annotated[str, "that was measured: `verified`"]
    task: str
    kind: str
    score: Annotated[float, "gain of the first metric over the frozen base; negative: worse"]
    evals: tuple[Evaluation, ...]
    finished_at: Time


class Leaderboard(View):
    @operation("leaderboard", query=LeaderboardPaging, callers="anyone")
    def get(self, request: Request, base: str) -> Page[Rank]:
        """Measured adapters of a base, the greatest gain first.

        Of the deciding metric over the head alone or the frozen base, in the verdict of `verified`. Each gain is on
        rows of its own: what an adapter adds, not which of two is better.
        """
        asked = pages.parameters(request, LeaderboardPaging)
        query = catalog.Query(
            base=[bases.find_base(self, base).id], task=asked.get("task", ()), sort="score", only_measured=True
        )
        page = catalog.search(
            self.caller, query, cursor=asked.get("cursor", ""), limit=asked["limit"], with_verdicts=False
        )
        measured = _verified_verdicts(page.items)
        items = [_rank(repository, measured[repository.pk]) for repository in page.items if repository.pk in measured]
        return pages.page(request, items, page.next)


def _verified_verdicts(repositories: Iterable[Repository]) -> dict[int, Verdict]:
    """Return repository id → newest decided verdict of what `verified` names; one query."""
    rows = Verdict.objects.filter(
        revision__refs__name=VERIFIED, revision__repository__in=list(repositories), state__in=Verdict.DECIDED
    )
    newest_last = rows.select_related("revision").order_by("number")
    return {verdict.revision.repository_id: verdict for verdict in newest_last}


def _rank(repository: Repository, verdict: Verdict) -> Rank:
    return of_row(
        Rank,
        repository,
        adapter=repository.full_name,
        revision=verdict.revision.oid,
        evals=verdict.report.evals,
        finished_at=verdict.finished_at,
    )
