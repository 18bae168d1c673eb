"""The base class of our REST views: caller, JSON whatever Accept says, rate limits, ETags, headers of each answer.

A request with an Idempotency-Key (IETF draft-ietf-httpapi-idempotency-key-header) that is sent again has the same
answer. Operations that will go away say so by RFC 9745 (Deprecation) and RFC 8594 (Sunset); docs/stability.md has the
policy, and one is listed in DEPRECATED from the release that announces it to the one without it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from django.utils.http import http_date
from django.views.decorators.http import conditional_page
from rest_framework.exceptions import NotFound, ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser, JSONParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from hub import limits
from hub.identity import has_proven_lately, is_recent, lacks_second_factor
from hub.limits import Family, Taken
from hub.read_only import refuse_write, viewer
from registry.kernel import errors, idempotency, policy, seams
from registry.kernel.idempotency import Answer, Ticket
from registry.kernel.policy import NOBODY, Caller, Permission
from registry.models import Repository, Revision, User
from registry.repos import lookup, pull
from registry.repos.refs import Viewer


class PerMinute(BaseThrottle):
    """Counts one request of the caller; `taken` is None while throttling is off."""

    taken: Taken | None = None

    def __init__(self, family: Family) -> None:
        self.family = family

    def allow_request(self, request: Request, view: Any) -> bool:
        caller = request.auth if isinstance(request.auth, Caller) else None
        self.taken = limits.take(request._request, self.family, caller)
        return self.taken is None or not self.taken.is_refused

    def wait(self) -> float | None:
        return self.taken.reset_seconds if self.taken else None

    def headers(self) -> dict[str, str]:
        """Return the headers that say what is left; Retry-After comes from the framework."""
        return self.taken.headers() if self.taken else {}


_KEY_HEADER = "HTTP_IDEMPOTENCY_KEY"
_GIVING = frozenset({"POST", "PUT", "PATCH"})  # DELETE takes rights away
_KEYED_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_KEY = re.compile(r"[!-~]{1,255}")
_KEPT_HEADERS = ("Content-Type", "Location", "Cache-Control")


class Replay(Exception):
    """A request whose answer is kept; not an error."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("answered before")
        headers = {**answer.headers, "Idempotency-Replayed": "true"}
        self.response = HttpResponse(answer.body, status=answer.status, headers=headers)


def _begin_keyed(request: HttpRequest, by: Caller) -> Ticket | None:
    """Return the ticket of a request with a key, None for one without. Raises Replay, ValueInvalid and refusals."""
    text = request.META.get(_KEY_HEADER)
    if text is None or by.user is None or request.method not in _KEYED_METHODS:
        return None
    key = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text  # the draft has it in quotation marks
    if not _KEY.fullmatch(key):
        raise errors.ValueInvalid(
            "The Idempotency-Key is not 1 to 255 visible ASCII characters.", fix="Send a new UUID."
        )
    same = f"{request.method} {request.get_full_path()}\n".encode() + request.body
    begun = idempotency.begin(by, key, same)
    if isinstance(begun, Answer):
        raise Replay(begun)
    return begun


def _end_keyed(ticket: Ticket, response: HttpResponseBase) -> None:
    """Keep the answer, or give the key back."""
    if isinstance(response, Response):
        response.render()
    body = response.content if isinstance(response, HttpResponse) else b""
    headers = {name: response[name] for name in _KEPT_HEADERS if response.has_header(name)}
    idempotency.finish(ticket, Answer(response.status_code, headers, body))


@dataclass(frozen=True, slots=True)
class Deprecated:
    """When an operation was deprecated, when it may be gone, and the page that says what replaces it."""

    since: datetime
    sunset: datetime
    link: str  # an address below /docs

    def headers(self) -> dict[str, str]:
        """Return the headers of its answers."""
        since, sunset = (int(at.astimezone(UTC).timestamp()) for at in (self.since, self.sunset))
        link = f'<{self.link}>; rel="deprecation"; type="text/html"'
        return {"Deprecation": f"@{since}", "Sunset": http_date(sunset), "Link": link}


DEPRECATED: Mapping[str, Deprecated] = {}  # "GET /api/v1/adapters/{ns}/{name}" →


def deprecation_headers(request: HttpRequest) -> dict[str, str]:
    """Return what an answer says of its own operation."""
    match = request.resolver_match
    if not DEPRECATED or match is None:
        return {}
    template = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", match.route)
    deprecated = DEPRECATED.get(f"{request.method} /{template}")
    return deprecated.headers() if deprecated else {}


MAX_JSON = 4 << 20  # bytes


class AlwaysJson(BaseContentNegotiation):
    """Answers a browser's or curl's Accept with JSON instead of 406: there is only one form of an answer."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        kind = request.content_type.partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == kind), None)

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        only = next(iter(renderers))
        return only, only.media_type


class Json(JSONParser):
    """JSON of a limited size and nesting."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        if int((parser_context or {})["request"].META.get("CONTENT_LENGTH") or 0) > MAX_JSON:
            raise ParseError(f"The body is longer than the {MAX_JSON:,} bytes allowed.")
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError("The JSON is nested too deep.") from None


# ETag and If-None-Match over the answer's bytes: right for what never changes, and honest for what does.
@method_decorator(conditional_page, name="dispatch")
class View(APIView):
    # One route of our REST. No docstring: OpenAPI would take it for the description of every operation.

    content_negotiation_class = AlwaysJson
    parser_classes = (Json,)
    family = Family.REST
    asks_for_proof = False  # whether it gives rights: a session must have proven lately who asks
    throttle: PerMinute | None = None
    ticket: Ticket | None = None

    def get_throttles(self) -> list[BaseThrottle]:
        self.throttle = PerMinute(self.family)
        return [self.throttle]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        refuse_write(request._request)
        is_asked = self.asks_for_proof and request.method in _GIVING and self.caller.token is None
        if is_asked and self.caller.user and not has_proven_lately(request._request):
            raise errors.ReauthenticationRequired("This session has not proven lately who you are.")
        if "\0" in request.path:  # PostgreSQL takes no NUL, so nothing here is called by such a name
            raise NotFound("There is no route with a NUL in it.")
        self.ticket = _begin_keyed(request._request, self.caller)

    def handle_exception(self, exc: Exception) -> Any:
        return exc.response if isinstance(exc, Replay) else super().handle_exception(exc)

    def perform_authentication(self, request: Request) -> None:
        try:
            super().perform_authentication(request)
        except errors.TokenInvalid:  # a bad token counts too, against guessing
            request.user, request.auth = AnonymousUser(), NOBODY
            self.check_throttles(request)
            raise

    @property
    def caller(self) -> Caller:
        caller = self.request.auth
        return caller if isinstance(caller, Caller) else NOBODY

    @property
    def viewer(self) -> Viewer:
        """The caller, and whether they read below /verified."""
        return viewer(self.request._request, self.caller)

    def person(self) -> User:
        """Return the signed-in user, by session or token. Raises SignInRequired."""
        if self.caller.user is None:
            raise errors.SignInRequired("Sign in to do this.")
        return self.caller.user

    def person_in_session(self, doing: str) -> User:
        """Return the user of a browser session. Raises SignInRequired, and SessionRequired for a token."""
        user = self.person()
        if self.caller.token is not None:
            raise errors.SessionRequired(f"{doing} requires a browser session; this request uses a token.")
        return user

    def require_moderator(self, *, final: bool = False) -> User:
        """Return the moderator who acts in a session that has passed their second factor, if they have one.

        A final deed cannot be undone, so the session must have proven lately who acts. Raises what
        policy.require_moderator raises, and ReauthenticationRequired.
        """
        user = policy.require_moderator(self.caller)
        if lacks_second_factor(self.request._request):
            raise errors.ReauthenticationRequired("This session has not passed your second factor.")
        if final and not is_recent(self.request._request):
            raise errors.ReauthenticationRequired("This cannot be undone, so please confirm that it is you.")
        return user

    def require_administrator(self) -> User:
        """Return the administrator who acts in a session that has passed their second factor, if they have one."""
        user = policy.require_admin(self.caller)
        if lacks_second_factor(self.request._request):
            raise errors.ReauthenticationRequired("This session has not passed your second factor.")
        return user

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)
        # Permissions can change at any time (a quarantine, a lost role), so caches must revalidate each use.
        answer.headers.setdefault("Cache-Control", "private, no-cache")
        for name, value in self.throttle.headers().items() if self.throttle else ():
            answer.headers[name] = value
        for name, value in deprecation_headers(request._request).items():
            answer.headers[name] = value
        if self.ticket is not None:
            _end_keyed(self.ticket, answer)
        return answer


class NoSuchRoute(View):
    """Any other path below /api/v1: 404."""

    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        raise no_route(request)


def no_route(request: Request) -> NotFound:
    """Return the refusal for an address at which there is nothing."""
    return NotFound(f"There is no route {request.method} {request.path}.")


def resolved(full_name: str, rev: str, viewer: Viewer, permission: Permission = Permission.BROWSE) -> Revision:
    """Return the revision that a name means, if the caller may have the adapter.

    A feature may know why it is not here yet: its refusal is raised then.
    """
    try:
        repository = lookup.find_at_address(full_name, viewer.by, permission)
    except errors.RepositoryNotFound:
        for feature in seams.joined():
            feature.not_here(full_name, Repository.Type.MODEL, viewer.by)
        raise
    revision = pull.resolve_pulled(repository, rev, viewer)
    pull.require_shown(revision, viewer.by)
    return revision
