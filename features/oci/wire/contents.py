"""Manifests by tag and by digest, and blobs by digest.

Layers are built while they are sent; configs and verdicts are kept.
"""

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from features.oci import images, tars
from features.oci.images import EMPTY
from features.oci.models import ImageDocument, ImageLayer
from features.oci.wire.dialect import OciDoor, hex_of
from hub import limits
from hub.answers import mark_yanked
from hub.server.large_bodies import Unsatisfiable, holding, span, unsatisfiable
from registry.kernel.errors import FileNotFound, RegistryError, RevisionNotFound
from registry.models import Repository, Revision
from registry.repos import downloads, pull, refs

HEADERS = {"Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff"}
MOST_ASKED = 100  # revisions with one layer that are asked whether the caller may have it
OCTETS = "application/octet-stream"


class Manifest(OciDoor):
    """GET and HEAD /v2/{name}/manifests/{reference}: a tag is a branch, tag, alias, commit id or `verified`."""

    def get(self, request: HttpRequest, ns: str, name: str, reference: str) -> HttpResponse:
        repository = self.repository(ns, name)
        document = self._by_digest(repository, reference) if ":" in reference else self._by_tag(repository, reference)
        if request.method == "GET":
            limits.count_download(request, repository, self.caller)
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
    return _whole(document.text.encode(), document.digest, media_type or document.media_type)


def _whole(data: bytes, digest: str, media_type: str) -> HttpResponse:
    response = HttpResponse(data, content_type=media_type)
    facts = {"Docker-Content-Digest": f"sha256:{digest}", "ETag": f'"sha256:{digest}"'}
    for header, value in (HEADERS | facts | {"Content-Length": str(len(data))}).items():
        response[header] = value
    return response


class Blob(OciDoor):
    """GET and HEAD /v2/{name}/blobs/{digest}, of revisions alone that the caller may have; with one Range."""

    def get(self, request: HttpRequest, ns: str, name: str, digest: str) -> HttpResponseBase:
        repository, wanted = self.repository(ns, name), hex_of(digest)
        if wanted == EMPTY:
            return _whole(b"{}", EMPTY, OCTETS)
        try:
            document = images.find_document(repository, wanted)
            if document is not None and document.media_type != images.MANIFEST:
                document.revision.repository = repository
                self.require_served(document.revision)
                return document_response(document, OCTETS)
            return _layer(request, self._layer(repository, wanted, digest))
        except RevisionNotFound:  # held back: as what never was
            raise _not_found(digest) from None

    def _layer(self, repository: Repository, wanted: str, digest: str) -> ImageLayer:
        refusal: RegistryError = _not_found(digest)
        for revision in images.revisions_with_layer(repository, wanted)[:MOST_ASKED]:
            revision.repository = repository
            try:
                self.require_served(revision)
                if (layer := images.layer(wanted)) is not None:
                    self._require_searched(layer, revision)
                    return layer
            except RegistryError as error:
                refusal = error
        raise refusal

    def _require_searched(self, layer: ImageLayer, revision: Revision) -> None:
        """Raise FileNotSearched if a file of the layer waits."""
        if revision.has_unsearched_files:  # type: ignore[attr-defined]  # annotated
            entries, files = pull.entries(revision), images.files_of(layer)
            downloads.require_searched((entries[file.path] for file in files), revision.repository, self.caller)


def _not_found(digest: str) -> FileNotFound:
    return FileNotFound(f"There is no blob {digest[:100]}.")


def _layer(request: HttpRequest, layer: ImageLayer) -> HttpResponseBase:
    try:
        bounds = span(request.META.get("HTTP_RANGE", ""), layer.size)
    except Unsatisfiable:
        return unsatisfiable(layer.size)
    start, end = bounds or (0, layer.size)
    is_head = request.method == "HEAD"
    response: HttpResponseBase = HttpResponse()
    if not is_head:
        parts = holding(end - start, lambda: tars.read(images.files_of(layer), start, end))
        response = StreamingHttpResponse(parts)
    facts = {"Docker-Content-Digest": f"sha256:{layer.digest}", "ETag": f'"sha256:{layer.digest}"'}
    facts |= {"Content-Type": OCTETS, "Content-Length": str(end - start), "Accept-Ranges": "bytes"}
    for header, value in (HEADERS | facts).items():
        response[header] = value
    if bounds:
        response.status_code = 206
        response["Content-Range"] = f"bytes {start}-{end - 1}/{layer.size}"
    return response
