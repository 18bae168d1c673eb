"""The base class of our REST views: caller, JSON whatever Accept says, rate limits, and ETags."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.utils.decorators import method_decorator
from django.views.decorators.http import conditional_page
from rest_framework.exceptions import NotFound, ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser, JSONParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from hub.api import idempotency
from hub.api.openapi import deprecations
from hub.api.throttle import PerMinute
from hub.limits import Family
from hub.read_only import refuse_write
from hub.shared.session_proofs import is_recent, lacks_second_factor
from hub.verified_view import viewer
from registry.kernel import policy
from registry.kernel.errors import ReauthenticationRequired, SessionRequired, SignInRequired, TokenInvalid
from registry.kernel.idempotency import Ticket
from registry.kernel.policy import NOBODY, Caller
from registry.models import User
from registry.repos.viewers import Viewer

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
    throttle: PerMinute | None = None
    ticket: Ticket | None = None

    def get_throttles(self) -> list[BaseThrottle]:
        self.throttle = PerMinute(self.family)
        return [self.throttle]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        refuse_write(request._request)
        if "\0" in request.path:  # PostgreSQL takes no NUL, so nothing here is called by such a name
            raise NotFound("There is no route with a NUL in it.")
        self.ticket = idempotency.begin(request._request, self.caller)

    def handle_exception(self, exc: Exception) -> Any:
        return exc.response if isinstance(exc, idempotency.Replay) else super().handle_exception(exc)

    def perform_authentication(self, request: Request) -> None:
        try:
            super().perform_authentication(request)
        except TokenInvalid:  # a bad token counts too, against guessing
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
            raise SignInRequired("This needs a signed-in person.")
        return self.caller.user

    def person_in_session(self, doing: str) -> User:
        """Return the user of a browser session. Raises SignInRequired, and SessionRequired for a token."""
        user = self.person()
        if self.caller.token is not None:
            raise SessionRequired(f"{doing} needs a browser session; this request carries a token.")
        return user

    def require_moderator(self, *, final: bool = False) -> User:
        """Return the moderator who acts in a session that has passed their second factor, if they have one.

        A final deed cannot be undone, so the session must have proven lately who acts. Raises what
        policy.require_moderator raises, and ReauthenticationRequired.
        """
        user = policy.require_moderator(self.caller)
        if lacks_second_factor(self.request._request):
            raise ReauthenticationRequired("This session has not passed your second factor.")
        if final and not is_recent(self.request._request):
            raise ReauthenticationRequired("This cannot be undone, and this session has not proven lately who you are.")
        return user

    def require_administrator(self) -> User:
        """Return the administrator who acts in a session that has passed their second factor, if they have one."""
        user = policy.require_admin(self.caller)
        if lacks_second_factor(self.request._request):
            raise ReauthenticationRequired("This session has not passed your second factor.")
        return user

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        answer = super().finalize_response(request, response, *args, **kwargs)
        # Permissions can change at any time (a quarantine, a lost role), so caches must revalidate each use.
        answer.headers.setdefault("Cache-Control", "private, no-cache")
        for name, value in self.throttle.headers().items() if self.throttle else ():
            answer.headers[name] = value
        for name, value in deprecations.headers_of(request._request).items():
            answer.headers[name] = value
        if self.ticket is not None:
            idempotency.end(self.ticket, answer)
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
