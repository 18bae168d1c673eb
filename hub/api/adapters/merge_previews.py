"""The preview of merging two adapters: overlap of their subspaces, norms of the sum, conflicts and interference."""

from typing import Annotated

from rest_framework import serializers as s
from rest_framework.request import Request

from dovetail.adapters.shapes.merge_preview import Merge, ModulePair, Overlap
from dovetail.answers.record import Answer
from hub.api import pages
from hub.api.asking import View
from hub.api.pages import Data
from hub.api.records import of_row, operation
from hub.api.versions.revisions import resolved
from registry.kernel.policy import Permission
from registry.models import Revision
from registry.proof.weights import merge_previews
from registry.proof.weights.merge_previews import Preview
from registry.repos import pull


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
    @operation("merge_preview", query=MergeOther)
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


def _answer(preview: Preview, side: MergeSide, other: MergeSide) -> MergePreview:
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
