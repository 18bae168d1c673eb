"""The preview of merging two adapters: overlap of their subspaces, norms of the sum, conflicts and interference."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from dovetail.adapters.shapes.merge_preview import Merge, ModulePair, Overlap
from hub.api import pages
from hub.api.asking import View
from hub.api.shapes import Data
from hub.api.shapes.adapters import merge_previews as shapes
from hub.api.versions.revisions import resolved
from registry.kernel.policy import Permission
from registry.models import Revision
from registry.proof.weights import merge_previews
from registry.proof.weights.merge_previews import Preview
from registry.repos import pull


class MergePreview(View):
    @extend_schema(
        operation_id="merge_preview", summary="What merging with another adapter would do",
        description="Up to 64 modules that both change, spread over all of them, within about a second.",
        parameters=[shapes.MergeOther], responses=shapes.MergePreview,
    )  # fmt: skip
    def get(self, request: Request, ns: str, name: str, rev: str) -> Response:
        one = resolved(f"{ns}/{name}", rev, self.viewer, Permission.DOWNLOAD)
        other, _, other_rev = pages.parameters(request, shapes.MergeOther)["other"].partition("@")
        two = resolved(other, other_rev or "main", self.viewer, Permission.DOWNLOAD)
        for revision in (one, two):
            pull.require_served(revision, self.caller)
        preview = merge_previews.preview(one, two)
        return Response(
            _side(one, preview.paths[0])
            | {"other": _side(two, preview.paths[1]), "reason": preview.problem or None}
            | _totals(preview)
            | {"modules": [_module(*both) for both in zip(preview.pairs.modules, preview.merges, strict=False)]}
        )


def _side(revision: Revision, path: str) -> Data:
    return {"adapter": revision.repository.full_name, "revision": revision.oid, "path": path or None}


def _totals(preview: Preview) -> Data:
    pairs, total = preview.pairs, preview.total
    columns, rows = preview.mean("columns"), preview.mean("rows")
    return {
        "shared": pairs.shared,
        "compared": len(pairs.modules),
        "alone": list(pairs.alone),
        "total": _sum(total) if total else None,
        "column_overlap": columns[0],
        "column_overlap_by_chance": columns[1],
        "row_overlap": rows[0],
        "row_overlap_by_chance": rows[1],
        "sign_conflict": preview.conflict,
    }


def _sum(merge: Merge) -> Data:
    return {
        "norms": list(merge.norms), "merged": merge.merged, "cosine": merge.cosine, "growth": merge.growth,
        "changed": list(merge.changed),
    }  # fmt: skip


def _module(pair: ModulePair, merge: Merge) -> Data:
    return {
        "module": pair.module, **_sum(merge), "columns": _overlap(pair.columns), "rows": _overlap(pair.rows),
        "sign_conflict": pair.conflict, "kept_by_both": pair.kept,
    }  # fmt: skip


def _overlap(overlap: Overlap) -> Data:
    return {
        "overlap": overlap.value, "by_chance": overlap.chance, "distance": overlap.distance,
        "dimensions": [overlap.first, overlap.second], "angles": list(overlap.angles),
    }  # fmt: skip
