"""The dialect of OCI: its errors in JSON, and the challenge that sends clients for a bearer token."""

import re
from http import HTTPStatus
from typing import Any, TypedDict
from urllib.parse import quote

from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse

from features.oci.images import ImageNotReady
from hub.addresses import absolute
from hub.answers import answer
from hub.dialects import DialectView
from hub.errors import http_form, in_full
from hub.identity import caller_of
from registry.kernel import errors
from registry.kernel.errors import RegistryError, TokenInvalid
from registry.kernel.policy import NOBODY, Caller, Permission
from registry.models import Repository, Revision
from registry.people.tokens import tokens
from registry.repos import lookup, pull

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
            raise TokenInvalid(f"This bearer token is not for {full_name[:200]}.", fix="Ask for one with its scope.")
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
