"""Sessions of a person: noted with browser, address and the time when they were last used."""

import time
from collections.abc import Callable

from allauth.usersessions.models import UserSession
from django.http import HttpRequest, HttpResponse

from registry.models import User

NOTED_EVERY_SECONDS = 600


class LastSeen:
    """Middleware: notes the use of a session, at most once in ten minutes, and only where a view asked for the person.

    Everything else costs nothing: no session is read for it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer = self.get_response(request)
        user = getattr(request, "_cached_user", None)  # Django keeps the session's person there
        if isinstance(user, User) and user.is_active and answer.status_code < 500:
            _note(request)
        return answer


def _note(request: HttpRequest) -> None:
    if request.session.session_key and time.time() - request.session.get("seen_at", 0) >= NOTED_EVERY_SECONDS:
        note_use(request)


def note_use(request: HttpRequest) -> None:
    """Note that the session of this request is used now."""
    request.session["seen_at"] = int(time.time())
    UserSession.objects.create_from_request(request)
