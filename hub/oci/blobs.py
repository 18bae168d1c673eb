"""Blobs by digest: layers, which are built while they are sent, and configs and verdicts, which are kept."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from hub.oci.dialect import OciDoor, hex_of
from hub.oci.manifests import HEADERS, document_response
from hub.server.large_bodies import holding
from hub.server.sending import Unsatisfiable, span, unsatisfiable
from registry.kernel.errors import FileNotFound, RegistryError, RevisionNotFound
from registry.models import ImageLayer, Repository, Revision
from registry.proof.image_verdicts import EMPTY
from registry.repos import pull, unsearched_files
from registry.repos.delivery import images, tars

MOST_ASKED = 100  # revisions with one layer that are asked whether the caller may have it
OCTETS = "application/octet-stream"


class Blob(OciDoor):
    """GET and HEAD /v2/{name}/blobs/{digest}, of revisions alone that the caller may have; with one Range."""

    def get(self, request: HttpRequest, ns: str, name: str, digest: str) -> HttpResponseBase:
        repository, wanted = self.repository(ns, name), hex_of(digest)
        if wanted == EMPTY:
            return _bytes(b"{}", EMPTY)
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
            unsearched_files.require_searched((entries[file.path] for file in files), revision.repository, self.caller)


def _not_found(digest: str) -> FileNotFound:
    return FileNotFound(f"There is no blob {digest[:100]}.")


def _bytes(data: bytes, digest: str) -> HttpResponse:
    response = HttpResponse(data, content_type=OCTETS)
    for header, value in (
        HEADERS | {"Docker-Content-Digest": f"sha256:{digest}", "Content-Length": str(len(data))}
    ).items():
        response[header] = value
    return response


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
