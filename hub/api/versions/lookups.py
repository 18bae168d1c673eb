"""Revisions by the digests of their files or of the tensors in them; of what a caller may not see, nothing is told."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages
from hub.api.asking import View
from hub.api.shapes import Data
from hub.api.shapes.versions import lookups as shapes
from hub.api.versions.lifecycle import yank_state
from registry.repos import digests
from registry.repos.digests import MAX_PLACES, Place


class Lookup(View):
    @extend_schema(
        operation_id="lookup", summary="Revisions that hold a file or its tensors",
        description="Either `sha256` or `tensor_digest`; the newest revisions first, at most 1,000 places.",
        request=shapes.LookupBody, responses=shapes.LookupAnswer,
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        pages.parameters(request, pages.Nothing)
        given = pages.body(request, shapes.LookupBody)
        if given.get("sha256"):
            places = digests.places_of_files(given["sha256"], self.caller)
        else:
            places = digests.places_of_tensors(given["tensor_digest"], self.caller)
        items = [_place(place) for place in places[:MAX_PLACES]]
        return Response({"items": items, "truncated": len(places) > MAX_PLACES})


def _place(place: Place) -> Data:
    revision = place.file.revision
    return {
        "digest": place.digest,
        "adapter": revision.repository.full_name,
        "type": revision.repository.type,
        "revision": revision.oid,
        "path": place.file.path,
        "size": place.file.size,
        "sha256": place.file.blob_id,
        "yanked": yank_state(revision)["yanked"],
    }
