"""Answers of the wires: JSON, refusals with the codes that clients compare, and the view of dialects that only read."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote

from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from hub import limits
from hub.addresses import absolute, at_new_name
from hub.errors import http_form, in_full, of_database
from hub.read_only import viewer
from registry.kernel import errors
from registry.kernel.errors import RegistryError, TooOften
from registry.kernel.policy import NOBODY, Caller
from registry.models import Revision
from registry.repos.refs import Viewer

Response = TypeVar("Response", bound=HttpResponseBase)


def answer(data: object, status: int = 200) -> JsonResponse:
    """Return JSON with its length, which keeps connections alive without chunking."""
    response = JsonResponse(data, status=status, safe=False)
    response["Content-Length"] = str(len(response.content))
    response["Cache-Control"] = "private, no-store"
    return response


def refuse(request: HttpRequest, error: errors.RegistryError, *, is_anonymous: bool = False) -> JsonResponse:
    """Return a refusal in the Hub's form: status, X-Error-Code, X-Error-Message, and a JSON object."""
    form = http_form(error)
    detail, fix = in_full(error.detail, request), in_full(error.fix, request)
    status, message = form.status, f"{detail} {fix}".strip()
    if isinstance(
        error, errors.RepositoryNotFound
    ):  # the Hub's exact words, which clients drop from their own messages
        message = "Repository not found"
        if is_anonymous:  # with a token it might be there
            status, message = HTTPStatus.UNAUTHORIZED, "Invalid username or password."
    body = {"error": message, "code": error.code, "detail": detail, "fix": fix, **_existing(request, error)}
    response = answer(body, status)
    response.refusal = error.code, detail  # type: ignore[attr-defined]  # for the log
    if form.hub_code:
        response["X-Error-Code"] = form.hub_code
    response["X-Error-Message"] = _header_text(form.hub_message or message)
    if status == HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = "Bearer"
    form.say_when(response)
    if isinstance(error, errors.RepositoryMoved):
        response["Location"] = at_new_name(request, error)
    return response


def mark_yanked(response: Response, revision: Revision) -> Response:
    """Add a header with the reason, percent-encoded, to an answer about a yanked revision; clients may show it."""
    if revision.is_yanked:
        response["X-Dovetail-Yanked"] = quote(revision.yank_reason, safe=" ")
    return response


def refuse_nul(request: HttpRequest) -> None:
    """Raise ValueInvalid for an address with a NUL: no name holds one, and PostgreSQL takes none in a query."""
    if "\0" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
        raise errors.ValueInvalid("The URL contains a NUL character.", fix="Remove it.")


def _existing(request: HttpRequest, error: errors.RegistryError) -> dict[str, object]:
    """Return where the existing thing is, by its path or slug: with `exist_ok`, clients continue with it."""
    if isinstance(error, errors.RepositoryExists):
        return {"url": absolute(request, str(error.facts["path"]))}
    return {"slug": error.facts["slug"]} if "slug" in error.facts else {}


def _header_text(text: str) -> str:
    one_line = "".join(char if char.isprintable() else " " for char in text.replace("…", "..."))
    return one_line.encode("latin-1", "replace").decode("latin-1")[:1000]


def without_body(response: HttpResponseBase) -> HttpResponseBase:
    """Return the answer to a HEAD: servers send what they are given, and a body would be read as the next answer."""
    if isinstance(response, HttpResponse) and not response.streaming:
        length = response.headers.get("Content-Length", str(len(response.content)))
        response.content = b""
        response["Content-Length"] = length
    return response


READS = frozenset({"GET", "HEAD"})


class Refused(Exception):
    """A refusal in the words of one dialect; `answer` is the whole response."""

    def __init__(self, answer: HttpResponseBase) -> None:
        super().__init__()
        self.answer = answer


class DialectView(View):
    """One route of a dialect that reads. Methods return a response or raise a RegistryError or Refused."""

    caller: Caller = NOBODY
    family = limits.Family.FILES

    @classmethod
    def as_view(cls, **initial: Any) -> Callable[..., HttpResponseBase]:
        return csrf_exempt(super().as_view(**initial))  # no cookie counts here, and nothing is written

    def identify(self, request: HttpRequest) -> Caller:
        """Return the caller by the dialect's own credentials. Raises TokenInvalid and Refused."""
        raise NotImplementedError

    def refuse(self, error: RegistryError) -> HttpResponseBase:
        """Return a refusal of the catalogue in the dialect's form."""
        raise NotImplementedError

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        taken: limits.Taken | None = None
        try:
            refuse_nul(request)
            self.caller, problem = self._identify(request)
            taken = limits.take(request, self.family, self.caller)
            if taken and taken.is_refused:
                raise TooOften(*taken.words)
            if problem:
                raise problem
            response = super().dispatch(request, *args, **kwargs)
        except Refused as refusal:
            response = refusal.answer
        except RegistryError as error:
            response = self.refuse(error)
        except OperationalError as problem:
            response = self.refuse(of_database(problem))
        for header, value in taken.headers().items() if taken else ():
            response[header] = value
        if request.method not in READS and request.META.get("CONTENT_LENGTH") not in (None, "", "0"):
            response["Connection"] = "close"  # its body stays unread
        return without_body(response) if request.method == "HEAD" else response

    def _identify(self, request: HttpRequest) -> tuple[Caller, RegistryError | Refused | None]:
        """Return the caller, or the refusal of bad credentials: it is raised after the request counted."""
        try:
            return self.identify(request), None
        except (RegistryError, Refused) as refusal:
            return NOBODY, refusal

    @property
    def viewer(self) -> Viewer:
        """The caller as names of revisions are resolved for them."""
        return viewer(self.request, self.caller)
