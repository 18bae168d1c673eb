"""Measurements of the weights of a revision, and the other adapters that hold nearly the same."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages
from hub.api.asking import View
from hub.api.shapes import Data
from hub.api.shapes.adapters import weights as shapes
from hub.api.versions.revisions import resolved
from registry.kernel.policy import Permission
from registry.models import Revision
from registry.proof.weights import passports
from registry.proof.weights.passports import MeasuredFile, Relative
from registry.repos import pull

MAX_FILES, MAX_MODULES, MAX_OUTLIERS = 8, 2000, 20


class Weights(View):
    @extend_schema(
        operation_id="weights", summary="Norms, ranks and relatives of the weights",
        description="`files` has those that are measured by now: a worker does it soon after the push.",
        responses=shapes.Weights,
    )  # fmt: skip
    def get(self, request: Request, ns: str, name: str, rev: str) -> Response:
        pages.parameters(request, pages.Nothing)
        revision = resolved(f"{ns}/{name}", rev, self.viewer, Permission.DOWNLOAD)
        pull.require_served(revision, self.caller)
        entries = pull.entries(revision)
        files = passports.measured_files(revision, entries, self.caller, MAX_FILES)
        return Response(_of(revision) | {"files": [_file(file) for file in files]})


def _of(revision: Revision) -> Data:
    return {"adapter": revision.repository.full_name, "revision": revision.oid}


def _file(file: MeasuredFile) -> Data:
    modules = file.modules
    return {
        "path": file.path,
        "sha256": file.row.file,
        "spectrum": file.row.spectrum,
        "modules": [
            {"module": one.name, "rank": one.rank, "effective_rank": one.effective_rank, "norm": one.norm,
             "largest": one.largest, "base_norm": share.base_norm, "share": share.value, "reason": share.reason or None}
            for one, share in zip(modules[:MAX_MODULES], file.shares, strict=False)
        ],
        "layers": [
            {"layer": one.name, "norm": one.norm, "base_norm": one.base_norm, "share": one.share}
            for one in file.layers[:MAX_MODULES]
        ],
        "base": {"id": file.base.base or None, "sha256": file.base.sha256 or None, "reason": file.base.reason or None},
        "modules_left_out": max(0, len(modules) - MAX_MODULES),
        "outliers": [
            {"module": one.module, "times": one.times, "kind": one.kind, "population": one.population,
             "of": "adapters" if one.is_of_adapters else "modules"}
            for one in file.outliers[:MAX_OUTLIERS]
        ],
        "relatives": [_relative(one) for one in file.relatives],
    }  # fmt: skip


def _relative(one: Relative) -> Data:
    return {
        **_of(one.revision),
        "type": one.revision.repository.type,
        "path": one.place.path,
        "cosine": round(one.cosine, 4),
        "relation": "copy" if one.is_copy else "part" if one.is_part else "near",
        "original": one.is_original,
    }
