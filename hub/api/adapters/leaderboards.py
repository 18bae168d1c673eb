"""Leaderboards: the tasks and bases with measured adapters, and the adapters of a task on the same rows."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated

from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.adapters.results.report import Evaluation
from dovetail.answers.record import Answer, OneOf, Page, Time
from hub.api import pages
from hub.api.asking import View
from hub.api.pages import Data
from hub.api.records import of_row, operation
from hub.shared.choices import one_of
from registry.proof import leaderboards
from registry.proof.leaderboards import SORTS
from registry.repos import bases


class OfTask(s.Serializer[Data]):
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
    @operation("leaderboards")
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
        description=f"The {leaderboards.MOST} with the greatest gain over their head alone or their base; `alone` are "
        "those on rows that nothing else here was measured on. Each list has the same weights once.",
    )
    def get(self, request: Request, task: str) -> TaskLeaderboards:
        """Measured adapters of a task, those on the same rows together."""
        asked = pages.parameters(request, OfTask)
        named = list(bases.canonical_names(asked.get("base", ())).values())
        found = leaderboards.compare(self.caller, task, named, asked["sort"])
        boards = tuple(
            of_row(
                Board,
                board.measured,
                rows_of=board.rows_of,
                oldest=board.oldest.full_name if board.oldest else None,
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
            evaluation=replace(standing.evaluation, scores=None, weights=None),  # they are long
            updated_at=standing.repository.updated_at,
        )
        for standing in standings
    )
