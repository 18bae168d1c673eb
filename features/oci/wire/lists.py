"""The lists: of tags, and of the artifacts that refer to a manifest."""

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from features.oci import images
from features.oci.models import Image
from features.oci.wire.dialect import OciDoor, hex_of, refusal
from hub.answers import answer
from registry.kernel.errors import RegistryError
from registry.kernel.policy import Permission
from registry.repos import pull

INDEX = "application/vnd.oci.image.index.v1+json"
MOST_TAGS = 1000


class Tags(OciDoor):
    """GET /v2/{name}/tags/list: branches, tags, aliases and `verified`, in order; `n` and `last` page."""

    def get(self, request: HttpRequest, ns: str, name: str) -> HttpResponse:
        repository = self.repository(ns, name, Permission.BROWSE)
        text, last = request.GET.get("n", ""), request.GET.get("last", "")
        if text and not (text.isascii() and text.isdigit() and len(text) < 10):
            return refusal("PAGINATION_NUMBER_INVALID", "`n` must be a whole number.", 400)
        limit = min(int(text), MOST_TAGS) if text else MOST_TAGS
        rest = [tag for tag in images.tag_names(repository, pull.shown_refs(repository, self.caller)) if tag > last]
        response = answer({"name": f"{ns}/{name}", "tags": rest[:limit]})
        if len(rest) > limit > 0:
            place = reverse("oci:tags", args=[ns, name])
            response["Link"] = f'<{place}?{urlencode({"n": limit, "last": rest[limit - 1]})}>; rel="next"'
        return response


class Referrers(OciDoor):
    """GET /v2/{name}/referrers/{digest}: the verdict of an image; an empty index for all other digests."""

    def get(self, request: HttpRequest, ns: str, name: str, digest: str) -> HttpResponse:
        repository, wanted = self.repository(ns, name), hex_of(digest)
        if not wanted:
            return refusal("DIGEST_INVALID", "A digest here is sha256: and 64 hex digits.", 400)
        image = Image.objects.filter(revision__repository=repository, digest=wanted).select_related("revision").first()
        found = []
        if image is not None:
            image.revision.repository = repository
            try:
                self.require_served(image.revision)
                found = images.referrers(image, image.revision)
            except RegistryError:  # held back: as one that never was
                found = []
        kind = request.GET.get("artifactType", "")
        found = [item for item in found if kind in ("", item["artifactType"])]
        response = answer({"schemaVersion": 2, "mediaType": INDEX, "manifests": found})
        response["Content-Type"] = INDEX
        if kind:
            response["OCI-Filters-Applied"] = "artifactType"
        return response
