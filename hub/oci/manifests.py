"""Manifests by tag and by digest."""

from django.http import HttpRequest, HttpResponse

from hub.answers import mark_yanked
from hub.oci.dialect import OciDoor, hex_of
from hub.server import downloads
from registry.models import ImageDocument, Repository
from registry.repos import pull, refs
from registry.repos.delivery import images

HEADERS = {"Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff"}


class Manifest(OciDoor):
    """GET and HEAD /v2/{name}/manifests/{reference}: a tag is a branch, tag, alias, commit id or `verified`."""

    def get(self, request: HttpRequest, ns: str, name: str, reference: str) -> HttpResponse:
        repository = self.repository(ns, name)
        document = self._by_digest(repository, reference) if ":" in reference else self._by_tag(repository, reference)
        if request.method == "GET":
            downloads.count(request, repository, self.caller)
        return mark_yanked(document_response(document), document.revision)

    def _by_digest(self, repository: Repository, reference: str) -> ImageDocument:
        document = images.find_document(repository, hex_of(reference))
        if document is None or document.media_type != images.MANIFEST:
            raise refs.revision_not_found(reference)
        document.revision.repository = repository
        document.revision.asked = reference  # what is held back answers as what never was
        self.require_served(document.revision)
        return document

    def _by_tag(self, repository: Repository, reference: str) -> ImageDocument:
        revision = pull.resolve_pulled(repository, reference, self.viewer)
        self.require_served(revision)
        image = images.find_or_make(revision)
        document = ImageDocument.objects.get(revision=revision, digest=image.digest)
        document.revision = revision
        return document


def document_response(document: ImageDocument, media_type: str = "") -> HttpResponse:
    """Return a document word for word, with its digest."""
    response = HttpResponse(document.text.encode(), content_type=media_type or document.media_type)
    facts = {"Docker-Content-Digest": f"sha256:{document.digest}", "ETag": f'"sha256:{document.digest}"'}
    for header, value in (HEADERS | facts | {"Content-Length": str(len(response.content))}).items():
        response[header] = value
    return response
