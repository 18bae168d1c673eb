"""Measurements of the weights of a revision, and the other adapters that hold nearly the same."""

from collections.abc import Sequence

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from dovetail.adapters import passport
from dovetail.adapters.passport import Module
from hub.api import pages
from hub.api.asking import View
from hub.api.revisions import resolved
from hub.api.shapes import Data
from hub.api.shapes import weights as shapes
from registry.kernel.policy import Permission
from registry.models import Revision, WeightPassport
from registry.proof import passports
from registry.proof.passports import Relative
from registry.repos import facts, pull

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
        files = []
        for path, row in passports.of_entries(entries.values(), MAX_FILES).items():
            modules = passports.modules_of(row, facts.config_beside(entries, path))
            related = passports.relatives(row, revision.repository, self.caller)
            files.append(_file(path, row, modules) | {"relatives": [_relative(one) for one in related]})
        return Response(_of(revision) | {"files": files})


def _of(revision: Revision) -> Data:
    return {"adapter": revision.repository.full_name, "revision": revision.oid}


def _file(path: str, row: WeightPassport, modules: Sequence[Module]) -> Data:
    outliers = list(passport.outliers(modules))[:MAX_OUTLIERS]
    return {
        "path": path,
        "sha256": row.file,
        "spectrum": row.spectrum,
        "modules": [
            {"module": one.name, "rank": one.rank, "effective_rank": one.effective_rank, "norm": one.norm,
             "largest": one.largest}
            for one in modules[:MAX_MODULES]
        ],
        "modules_left_out": max(0, len(modules) - MAX_MODULES),
        "outliers": [
            {"module": one.module, "times": one.times, "kind": one.kind, "population": one.population}
            for one in outliers
        ],
    }  # fmt: skip


def _relative(one: Relative) -> Data:
    return {
        **_of(one.revision),
        "type": one.revision.repository.type,
        "path": one.place.path,
        "cosine": round(one.cosine, 4),
        "relation": "copy" if one.is_copy else "near",
    }
