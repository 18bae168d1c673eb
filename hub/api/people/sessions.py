"""The caller's sessions at the website: where they are signed in, and ending one."""

from typing import Annotated

from allauth.usersessions.internal.flows import sessions as session_flows
from allauth.usersessions.models import UserSession
from django.contrib.sessions import models
from django.utils import timezone
from rest_framework.request import Request

from dovetail.answers.record import Answer, Page, Time
from hub.api import pages
from hub.api.asking import View
from hub.api.records import of_row, operation
from hub.shared.browsers import browser_name
from registry.models import User

MAX_SESSIONS = 200


class Session(Answer):
    """A browser in which the person is signed in."""

    id: int
    browser: Annotated[str, "and the system: Firefox on Linux"]
    address: Annotated[str, "IP address of its latest use"]
    created_at: Time
    last_seen_at: Annotated[Time, "written at most every ten minutes"]
    current: Annotated[bool, "whether it is the one that asks"]


class Sessions(View):
    @operation("sessions")
    def get(self, request: Request) -> Page[Session]:
        """Where the caller is signed in, the latest use first.

        From a session only.
        """
        pages.parameters(request, pages.Nothing)
        user = self.person_in_session("Listing sessions")
        current = request._request.session.session_key
        return pages.page(request, [_line(row, current) for row in _live(user)])


class OneSession(View):
    @operation("end_session")
    def delete(self, request: Request, id: int) -> None:
        """End one of the caller's sessions.

        From a session only; also the one that asks.
        """
        user = self.person_in_session("Ending a session")
        session_flows.end_sessions(request._request, list(UserSession.objects.filter(user=user, pk=id)))


def _live(user: User) -> list[UserSession]:
    """Return the sessions that have not ended, in two queries."""
    rows = list(UserSession.objects.filter(user=user).order_by("-last_seen_at", "-pk")[:MAX_SESSIONS])
    keys = [row.session_key for row in rows]
    live = set(
        models.Session.objects.filter(session_key__in=keys, expire_date__gt=timezone.now()).values_list("pk", flat=True)
    )
    return [row for row in rows if row.session_key in live]


def _line(row: UserSession, current: str | None) -> Session:
    is_current = row.session_key == current
    return of_row(Session, row, browser=browser_name(row.user_agent), address=row.ip, current=is_current)
