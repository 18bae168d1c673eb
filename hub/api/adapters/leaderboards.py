"""Leaderboards: the tasks and bases with measured adapters, and the adapters of a task on the same rows."""

from collections.abc import Iterable
from dataclasses import replace

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages
from hub.api.asking import View
from hub.api.shapes import Data
from hub.api.shapes.adapters import leaderboards as shapes
from registry.proof import leaderboards
from registry.proof.leaderboards import Standing
from registry.repos import bases


class Leaderboards(View):
    @extend_schema(
        operation_id="leaderboards", summary="Tasks and bases with measured adapters, the commonest first",
        responses=shapes.LeaderboardsPage,
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        pages.parameters(request, pages.Nothing)
        items = [
            {
                "task": task,
                "adapters": sum(counts.values()),
                "bases": [{"base": base, "adapters": count} for base, count in counts.items() if base],
            }
            for task, counts in leaderboards.count_measured(self.caller).items()
        ]
        return Response(pages.page(request, items))


class OneLeaderboard(View):
    @extend_schema(
        operation_id="task_leaderboards", summary="Measured adapters of a task, those on the same rows together",
        description=f"The {leaderboards.MOST} with the greatest gain over their head alone or their base; `alone` are "
        "those on rows that nothing else here was measured on. Each list has the same weights once.",
        parameters=[shapes.OfTask], responses=shapes.TaskLeaderboards,
    )  # fmt: skip
    def get(self, request: Request, task: str) -> Response:
        asked = pages.parameters(request, shapes.OfTask)
        named = list(bases.canonical_names(asked.get("base", ())).values())
        found = leaderboards.compare(self.caller, task, named, asked["sort"])
        return Response({
            "task": task,
            "boards": [
                {
                    "rows_of": board.rows_of,
                    "oldest": board.oldest.full_name if board.oldest else None,
                    "metric": board.measured.metric,
                    "better": board.measured.better,
                    "rows": board.measured.rows,
                    "rows_sha256": board.measured.rows_sha256,
                    "standings": _standings(board.standings),
                }
                for board in found.boards
            ],
            "alone": _standings(found.alone),
            "is_capped": found.is_capped,
        })  # fmt: skip


def _standings(standings: Iterable[Standing]) -> list[Data]:
    return [
        {
            "adapter": standing.repository.full_name,
            "place": standing.place or None,
            "copies": [copy.full_name for copy in standing.copies],
            "base": standing.repository.base,
            "revision": standing.version.revision.oid,
            "is_verified": standing.version.is_verified,
            "kind": standing.version.kind,
            "rank": standing.rank,
            "size": standing.version.size,
            "gain": standing.gain,
            "evaluation": replace(standing.evaluation, scores=None, weights=None).as_json(),  # they are long
            "engines": standing.version.engines,
            "updated_at": standing.repository.updated_at,
        }
        for standing in standings
    ]
