"""How every Hub route asks and answers: who calls, JSON whatever the Accept, refusals with the codes clients know."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from hub import limits
from hub.errors import face, in_full, of_database
from hub.hf import bodies
from hub.identity import wire_caller
from hub.limits import Family, Taken
from hub.moved import at_new_name
from registry import moves
from registry.errors import AdapterMoved, AdapterNotFound, NotSupported, RegistryError, TokenInvalid, TooOften
from registry.models import Adapter
from registry.policy import NOBODY, Caller, Permission, missing


class Route(View):
    """One address of the wire. Methods return a response or raise a RegistryError."""

    caller: Caller = NOBODY
    family = Family.API

    @classmethod
    def as_view(cls, **initial: Any) -> Callable[..., HttpResponseBase]:
        # No CSRF tokens here: in identity.wire_caller a session counts for safe methods only.
        return csrf_exempt(super().as_view(**initial))

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.type = kwargs.pop("type", "model")
        taken: Taken | None = None
        try:
            bodies.refuse_nul(request)
            self.caller, unknown = _caller(request)
            taken = limits.take(request, self.family, self.caller)
            if taken and taken.is_refused:
                raise TooOften(taken.sentence)
            if unknown:
                raise unknown
            response = super().dispatch(request, *args, **kwargs)
        except RegistryError as error:
            response = refuse(request, error, self.caller)
            if isinstance(error, AdapterMoved):
                response["Location"] = at_new_name(request, error)
        except OperationalError as problem:
            response = refuse(request, of_database(problem), self.caller)
        for header, value in taken.headers().items() if taken else ():
            response[header] = value
        if response.status_code >= 300:
            bodies.drain(request)
        return _without_body(response) if request.method == "HEAD" else response

    def adapter(self, ns: str, name: str, permission: Permission = Permission.BROWSE) -> Adapter:
        """Return the repository of the address, if the caller has the permission; AdapterMoved for an old name."""
        return moves.find(f"{ns}/{name}", self.caller, permission, type=self.type)

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = answer({"error": f"{request.method} is not possible here."}, status=405)
        response["Allow"] = ", ".join(verb.upper() for verb in self.http_method_names if hasattr(self, verb))
        return response


def _caller(request: HttpRequest) -> tuple[Caller, TokenInvalid | None]:
    """Return who asks, or the refusal of his token: it is raised later, since who guesses tokens is counted too."""
    try:
        return wire_caller(request), None
    except TokenInvalid as refusal:
        return NOBODY, refusal


class Unserved(Route):
    """A Hub route that is known and not served; says so with 501."""

    sentence = ""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        bodies.drain(request)
        return refuse(request, NotSupported(self.sentence, fix="See docs/wire.md for what this hub speaks."), NOBODY)


class NoNamespace(Route):
    """An id without a namespace (gpt2): clients ask for them, and no such repository can be here."""

    def get(self, request: HttpRequest, name: str, rest: str = "") -> HttpResponseBase:
        raise missing(name)

    post = put = delete = get


class Unknown(Route):
    """Everything else below /api/."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        bodies.drain(request)
        return answer({"error": f"There is no route {request.path[:200]}."}, status=404)


def answer(data: object, status: int = 200) -> JsonResponse:
    """Return JSON with its length, which keeps connections alive without chunking."""
    response = JsonResponse(data, status=status, safe=False)
    response["Content-Length"] = str(len(response.content))
    response["Cache-Control"] = "private, no-store"
    return response


def refuse(request: HttpRequest, error: RegistryError, caller: Caller) -> JsonResponse:
    """Return a refusal as the Hub's clients understand it: status, X-Error-Code, X-Error-Message, and a JSON object."""
    look = face(error)
    detail, fix = in_full(error.detail, request), in_full(error.fix, request)
    status, message = look.status, f"{detail} {fix}".strip()
    if isinstance(error, AdapterNotFound):  # word for word the Hub's: clients leave these sentences out of their own
        message = "Repository not found"
        if caller.is_anonymous:  # with a token it might be there
            status, message = HTTPStatus.UNAUTHORIZED, "Invalid username or password."
    response = answer({"error": message, "code": error.code, "detail": detail, "fix": fix}, status)
    if look.hub_code:
        response["X-Error-Code"] = look.hub_code
    response["X-Error-Message"] = _header_text(look.hub_message or message)
    if status == HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = "Bearer"
    return response


def _header_text(text: str) -> str:
    one_line = "".join(char if char.isprintable() else " " for char in text.replace("…", "..."))
    return one_line.encode("latin-1", "replace").decode("latin-1")[:1000]


def _without_body(response: HttpResponseBase) -> HttpResponseBase:
    # Servers send what they are given, and a body after HEAD would be read as the next answer.
    if isinstance(response, HttpResponse) and not response.streaming:
        length = response.headers.get("Content-Length", str(len(response.content)))
        response.content = b""
        response["Content-Length"] = length
    return response
