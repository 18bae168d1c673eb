"""The lineage of an adapter: what it was made from, what was made of it, and what holds or names it."""

from collections.abc import Iterable

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages
from hub.api.asking import View
from hub.api.shapes import Data
from hub.api.shapes.adapters import lineages as shapes
from hub.api.versions.lifecycle import yank_state
from hub.shared import lineage
from registry.kernel.policy import Permission
from registry.proof.weights.passports import Relative
from registry.publish.made.lineage import Step
from registry.repos import lookup, pull
from registry.repos.refs import MAIN


class AdapterLineage(View):
    @extend_schema(
        operation_id="adapter_lineage", summary="What an adapter was made from, and what was made of it",
        description="As far as you find it in lists, over three steps; `…_left_out` steps more found no room.",
        responses=shapes.AdapterLineage,
    )  # fmt: skip
    def get(self, request: Request, ns: str, name: str) -> Response:
        pages.parameters(request, pages.Nothing)
        repository = lookup.find_at_address(f"{ns}/{name}", self.caller, Permission.READ)
        main = pull.resolve_pulled(repository, MAIN, self.viewer)
        pull.require_shown(main, self.caller)
        found = lineage.read(repository, {} if main.is_expired else pull.entries(main), self.caller)
        return Response({
            "bases": [
                {"id": base.id, "named": base.name, "adapter": str(base.repository) if base.repository else None}
                for base in found.bases
            ],
            "made_from": _steps(found.made_from.items),
            "made_from_left_out": found.made_from.left_out,
            "made_of_it": _steps(found.made_of_it.items),
            "made_of_it_left_out": found.made_of_it.left_out,
            "other_forms": [
                {"method": form.method, "revision": form.revision.oid} for form in found.other_forms if form.revision
            ],
            "copies": [_copy(one) for one in found.copies],
            "named_by": [repository.full_name for repository in found.named_by.items],
            "collections": [collection.slug for collection in found.collections.items],
        })  # fmt: skip


def _steps(steps: Iterable[Step]) -> list[Data]:
    return [{"source": step.source.full_name, "result": step.result.full_name, "method": step.method} for step in steps]


def _copy(one: Relative) -> Data:
    return {
        "adapter": one.revision.repository.full_name,
        "revision": one.revision.oid,
        "path": one.place.path,
        "cosine": one.cosine,
        "copy": one.is_copy,
        "original": one.is_original,
        "yanked": yank_state(one.revision)["yanked"],
    }
