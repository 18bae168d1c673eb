"""The base models that adapters name or the shelf holds."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages, shapes
from hub.api.asking import View
from registry import catalog
from registry.models import Base


class Bases(View):
    @extend_schema(operation_id="bases", summary="Base models", responses=shapes.BasePage)
    def get(self, request: Request) -> Response:
        named = catalog.bases(self.caller)
        shelf = Base.objects.only("id", "revision", "sha256", "size", "has_weights").in_bulk([id for id, _ in named])
        return Response(pages.page(request, [_base(id, number, shelf.get(id)) for id, number in named]))


def _base(id: str, adapters: int, base: Base | None) -> dict[str, object]:
    return {
        "id": id,
        "adapters": adapters,
        "on_shelf": base is not None and base.has_weights,
        "revision": base.revision if base else None,
        "sha256": base.sha256 if base else None,
        "size": base.size if base else None,
    }
