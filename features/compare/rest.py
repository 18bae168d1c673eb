"""Leaderboards and the preview of a merge in our REST."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated

from django.urls import path
from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.adapters.results.report import Evaluation
from dovetail.adapters.shapes.merge_preview import Merge, ModulePair, Overlap
from dovetail.answers.record import Answer, OneOf, Page, Time
from features.compare import leaderboards, merge_previews
from features.compare.leaderboards import SORTS
from hub.api import pages
from hub.api.pages import Data
from hub.api.records import of_row, operation
from hub.api.versions.revisions import resolved
from hub.api.views import View
from hub.shared.list_parameters import one_of
from registry.kernel.policy import Permission
from registry.models import Revision
from registry.repos import bases, pull

REVISION = "adapters/<str:ns>/<str:name>/revisions/<api_revision:rev>"


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


class MergeOther(s.Serializer[Data]):
    other = s.CharField(max_length=400, help_text="the other adapter: NS/NAME or NS/NAME@REV")


class MergeSide(Answer):
    adapter: str
    revision: str
    path: Annotated[str | None, "the file whose weights were compared"]


Norms = Annotated[tuple[float, ...], "of both, Frobenius"]
Merged = Annotated[float, "norm of the sum"]
Growth = Annotated[float, "merged by the norm that a sum of orthogonal changes has: below 1 they cancel"]
Changed = Annotated[
    tuple[float, ...],
    "interference: what the other adds on the inputs that this one reads, by its own norm; both ways",
]


class MergeSum(Answer):
    """The sum of both changes, with the scales of their configs."""

    norms: Norms
    merged: Merged
    cosine: float
    growth: Growth
    changed: Changed


class SubspaceOverlap(Answer):
    """Two subspaces, by principal angles; the overlap is that of section 7.2 of the paper on LoRA, 0 to 1."""

    overlap: float
    by_chance: Annotated[float, "the mean of two random subspaces of these dimensions"]
    distance: Annotated[float, "projection metric: the norm of the sines of the angles"]
    dimensions: tuple[int, ...]
    angles: Annotated[tuple[float, ...], "principal angles in degrees, the smallest first; at most 64"]


class MergeOfModule(Answer):
    module: str
    norms: Norms
    merged: Merged
    cosine: float
    growth: Growth
    changed: Changed
    columns: Annotated[SubspaceOverlap, "the spaces in which both write"]
    rows: Annotated[SubspaceOverlap, "the spaces that both read"]
    sign_conflict: Annotated[
        float | None, "share of opposite signs among the values in the largest fifth of both (TIES)"
    ]
    kept_by_both: Annotated[float, "the share of all values that these are; of a sample of rows"]


class MergePreview(MergeSide):
    """The modules of both adapters that have the same name and shape."""

    other: MergeSide
    reason: Annotated[str | None, "why nothing was compared"]
    shared: Annotated[int, "modules of the same name and shape"]
    compared: Annotated[int, "of these, spread evenly; at most 64"]
    alone: Annotated[tuple[int, ...], "modules that one of them alone has"]
    total: Annotated[MergeSum | None, "all compared modules together"]
    column_overlap: Annotated[float | None, "mean over the modules, as the rest"]
    column_overlap_by_chance: float | None
    row_overlap: float | None
    row_overlap_by_chance: float | None
    sign_conflict: float | None
    modules: tuple[MergeOfModule, ...]


class OneMergePreview(View):
    @operation("merge_preview", query=MergeOther, callers="anyone")
    def get(self, request: Request, ns: str, name: str, rev: str) -> MergePreview:
        """What merging with another adapter would do.

        Up to 64 modules that both change, spread over all of them, within about a second.
        """
        one = resolved(f"{ns}/{name}", rev, self.viewer, Permission.DOWNLOAD)
        other, _, other_rev = pages.parameters(request, MergeOther)["other"].partition("@")
        two = resolved(other, other_rev or "main", self.viewer, Permission.DOWNLOAD)
        for revision in (one, two):
            pull.require_served(revision, self.caller)
        preview = merge_previews.preview(one, two)
        return _answer(preview, _side(one, preview.paths[0]), _side(two, preview.paths[1]))


def _side(revision: Revision, path: str) -> MergeSide:
    return MergeSide(adapter=revision.repository.full_name, revision=revision.oid, path=path or None)


def _answer(preview: merge_previews.Preview, side: MergeSide, other: MergeSide) -> MergePreview:
    pairs, total = preview.pairs, preview.total
    columns, rows = preview.mean("columns"), preview.mean("rows")
    return of_row(
        MergePreview,
        side,
        other=other,
        reason=preview.problem or None,
        shared=pairs.shared,
        compared=len(pairs.modules),
        alone=pairs.alone,
        total=of_row(MergeSum, total) if total else None,
        column_overlap=columns[0],
        column_overlap_by_chance=columns[1],
        row_overlap=rows[0],
        row_overlap_by_chance=rows[1],
        sign_conflict=preview.conflict,
        modules=tuple(_module(*both) for both in zip(pairs.modules, preview.merges, strict=False)),
    )


def _module(pair: ModulePair, merge: Merge) -> MergeOfModule:
    columns, rows = _overlap(pair.columns), _overlap(pair.rows)
    stated = {"module": pair.module, "sign_conflict": pair.conflict, "kept_by_both": pair.kept}
    return of_row(MergeOfModule, merge, **stated, columns=columns, rows=rows)


def _overlap(overlap: Overlap) -> SubspaceOverlap:
    return SubspaceOverlap(
        overlap=overlap.value,
        by_chance=overlap.chance,
        distance=overlap.distance,
        dimensions=(overlap.first, overlap.second),
        angles=tuple(overlap.angles),
    )


REST = [
    path("leaderboards", Leaderboards.as_view(), name="rest-leaderboards"),
    path("leaderboards/<str:task>", OneLeaderboard.as_view(), name="rest-task-leaderboards"),
    path(f"{REVISION}/merge-preview", OneMergePreview.as_view(), name="rest-merge-preview"),
]
