"""The OCI routes: manifests by tag and by digest, blobs by digest, and bearer tokens.

A name has two parts, namespace/name; clients write it in lower case, and it is found in any. Layers are built while
they are sent; configs and verdicts are kept.
"""

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, TypedDict
from urllib.parse import quote, urlencode

from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import URLPattern, URLResolver, include, path, reverse
from django.utils import timezone

from features.oci import images, tars
from features.oci.images import EMPTY, ImageNotReady
from features.oci.models import Image, ImageDocument, ImageLayer
from hub import limits
from hub.addresses import absolute
from hub.answers import DialectView, answer, mark_yanked
from hub.errors import http_form, in_full
from hub.identity import caller_of
from hub.server.large_bodies import Unsatisfiable, holding, span, unsatisfiable
from registry.kernel import errors
from registry.kernel.errors import FileNotFound, RegistryError, RevisionNotFound, TokenInvalid
from registry.kernel.policy import NOBODY, Caller, Permission
from registry.models import Repository, Revision
from registry.people.tokens import tokens
from registry.repos import downloads, lookup, pull, refs

SECONDS = 900  # that a bearer token of /v2/token is good for
_SALT = "dovetail.oci"
DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
API_VERSION = "Docker-Distribution-API-Version"
CODES: dict[type[RegistryError], str] = {
    errors.RepositoryNotFound: "NAME_UNKNOWN",
    errors.RevisionNotFound: "MANIFEST_UNKNOWN",
    errors.FileNotFound: "BLOB_UNKNOWN",
    errors.TooOften: "TOOMANYREQUESTS",
    ImageNotReady: "TOOMANYREQUESTS",
    errors.NotSupported: "UNSUPPORTED",
    errors.ValueInvalid: "MANIFEST_INVALID",
    errors.StoreUnavailable: "UNAVAILABLE",
    errors.FileNotSearched: "UNAVAILABLE",
}
HEADERS = {"Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff"}
MOST_ASKED = 100  # revisions with one layer that are asked whether the caller may have it
OCTETS = "application/octet-stream"


class OciDoor(DialectView):
    """One OCI route: bearer tokens from /v2/token, ours in their place, and Basic with ours as the password."""

    opens: frozenset[str] | None = None  # the repositories that the bearer token is for; None: all

    def identify(self, request: HttpRequest) -> Caller:
        header = request.META.get("HTTP_AUTHORIZATION", "")
        if not header:
            return NOBODY  # a session does not count here
        scheme, _, value = header.partition(" ")
        if scheme.lower() != "bearer":
            return caller_of(request)
        caller, self.opens = redeem(value.strip())
        return caller

    def repository(self, ns: str, name: str, permission: Permission = Permission.DOWNLOAD) -> Repository:
        """Return the repository of the address. Raises TokenInvalid if the bearer token is for others."""
        full_name = f"{ns}/{name}"
        if self.opens is not None and full_name.lower() not in self.opens:
            raise TokenInvalid(f"This bearer token is not for {full_name[:200]}.", fix="Request one with its scope.")
        return lookup.find_by_any_name(full_name, self.caller, permission)

    def require_served(self, revision: Revision) -> None:
        """Raise the refusal for a revision that this caller may not have."""
        pull.require_shown(revision, self.caller)
        pull.require_served(revision, self.caller)

    def refuse(self, error: RegistryError) -> HttpResponseBase:
        status, code = http_form(error).status, CODES.get(type(error), "DENIED")
        detail, fix = in_full(error.detail, self.request), in_full(error.fix, self.request)
        message = f"{detail} {fix}".strip()
        if isinstance(error, errors.RepositoryNotFound):
            message = "There is no such repository, or you may not see it."
            if self.caller.is_anonymous:  # with a token it might be there
                status = HTTPStatus.UNAUTHORIZED
        if status == HTTPStatus.UNAUTHORIZED:
            code = "UNAUTHORIZED"
        response = refusal(code, message, status, reason=error.code)
        if seconds := http_form(error).retry_seconds:
            response["Retry-After"] = str(seconds)
        return self.challenge(response) if status == HTTPStatus.UNAUTHORIZED else response

    def challenge(self, response: HttpResponse) -> HttpResponse:
        """Add where a bearer token is to be had, and for what."""
        names = self.kwargs if hasattr(self, "kwargs") else {}
        scope = ""
        if "ns" in names:  # quoted: a header holds no line ends
            scope = f',scope="repository:{quote(names["ns"])}/{quote(names["name"])}:pull"'
        realm = absolute(self.request, reverse("oci:token"))
        response["WWW-Authenticate"] = f'Bearer realm="{realm}",service="dovetail"{scope}'
        return response

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = refusal("UNSUPPORTED", "By OCI this hub is read-only. Push with `hf upload`.", 405)
        response["Allow"] = "GET, HEAD"
        return response

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = super().dispatch(request, *args, **kwargs)
        response[API_VERSION] = "registry/2.0"
        return response


class Unserved(OciDoor):
    """Any other address below /v2/: no such name to read, and nothing to write to."""

    def get(self, request: HttpRequest, path: str) -> HttpResponse:
        return refusal("NAME_UNKNOWN", "This hub has no such address below /v2/: names are namespace/name.", 404)


def refusal(code: str, message: str, status: int, *, reason: str = "") -> HttpResponse:
    """Return an error in OCI's form; `reason` is our own code of it."""
    item = {"code": code, "message": message, "detail": {"code": reason} if reason else {}}
    response = answer({"errors": [item]}, status)
    response.refusal = reason or code, message  # type: ignore[attr-defined]  # for the log
    return response


def hex_of(digest: str) -> str:
    """Return the hex digits of a digest, "" for one of another form: nothing here has such."""
    match = DIGEST.fullmatch(digest)
    return match[1] if match else ""


# --- bearer tokens: signed, short-lived, bound to our token and to the repositories of their scope --------------------
class Bound(TypedDict):
    """The content of a ticket: the id of our token, None for nobody's, and the repositories that it opens."""

    token: int | None
    names: list[str]


def issue(by: Caller, names: list[str]) -> str:
    """Return a ticket for a caller; what they may read is asked again at each request."""
    bound: Bound = {"token": by.token.pk if by.token else None, "names": names}
    return signing.dumps(bound, salt=_SALT)


def redeem(value: str) -> tuple[Caller, frozenset[str] | None]:
    """Return the caller of a bearer token and the repositories that it opens, None for all: one of ours is taken too.

    Raises TokenInvalid, also for a ticket whose token is revoked.
    """
    try:
        bound: Bound = signing.loads(value, salt=_SALT, max_age=SECONDS)
    except signing.SignatureExpired:
        raise TokenInvalid("The bearer token has expired.") from None
    except signing.BadSignature:
        return tokens.caller_of(value), None
    caller = NOBODY if bound["token"] is None else tokens.caller_of_id(bound["token"])
    return caller, frozenset(bound["names"])


class Manifest(OciDoor):
    """GET and HEAD /v2/{name}/manifests/{reference}: a tag is a branch, tag, alias, commit id or `verified`."""

    def get(self, request: HttpRequest, ns: str, name: str, reference: str) -> HttpResponse:
        repository = self.repository(ns, name)
        document = self._by_digest(repository, reference) if ":" in reference else self._by_tag(repository, reference)
        if request.method == "GET":
            limits.count_download(request, repository, self.caller, document.revision.oid)
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
    return FileNotFound(f"Unknown blob {digest[:100]}.")


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


_SCOPE = re.compile(r"repository:([^:\s]{1,200}):([a-z*,]*)")
MOST_NAMES = 50


class Check(OciDoor):
    """GET /v2/: whether the credentials are good; a challenge without any, or `login` would take every password."""

    def get(self, request: HttpRequest) -> HttpResponse:
        if "HTTP_AUTHORIZATION" not in request.META:
            return self.challenge(refusal("UNAUTHORIZED", "Ask for a bearer token first.", 401))
        return answer({})


class Token(OciDoor):
    """GET and POST /v2/token: a bearer token for the scopes; the password is one of our tokens, if there is one."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return _token(self.caller, request.GET.getlist("scope"))

    def post(self, request: HttpRequest) -> HttpResponse:
        grant = request.POST.get("grant_type", "")
        value = request.POST.get({"password": "password", "refresh_token": "refresh_token"}.get(grant, ""), "")
        if not value:
            return refusal("UNSUPPORTED", "Send grant_type=password, with a token of this hub as the password.", 400)
        return _token(tokens.caller_of(value), request.POST.getlist("scope"))


def _token(caller: Caller, scopes: Iterable[str]) -> HttpResponse:
    asked = [_SCOPE.fullmatch(scope) for line in scopes for scope in line.split()]
    names = [match[1].lower() for match in asked if match and {"pull", "*"} & set(match[2].split(","))]
    value = issue(caller, sorted(set(names))[:MOST_NAMES])
    made = timezone.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    return answer({"token": value, "access_token": value, "expires_in": SECONDS, "issued_at": made})


OF_A_REPOSITORY = [
    path("manifests/<str:reference>", Manifest.as_view(), name="manifest"),
    path("blobs/<str:digest>", Blob.as_view(), name="blob"),
    path("tags/list", Tags.as_view(), name="tags"),
    path("referrers/<str:digest>", Referrers.as_view(), name="referrers"),
]
ROUTES: list[URLPattern | URLResolver] = [
    path("v2", Check.as_view()),
    path("v2/", Check.as_view(), name="check"),
    path("v2/token", Token.as_view(), name="token"),
    path("v2/<str:ns>/<str:name>/", include(OF_A_REPOSITORY)),
    path("v2/<path:path>", Unserved.as_view()),
]
WIRE = [path("", include((ROUTES, "oci")))]
