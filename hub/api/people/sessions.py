"""The caller's sessions at the website: where they are signed in, and ending one."""

from allauth.usersessions.internal.flows import sessions as session_flows
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from hub.api import pages
from hub.api.asking import View
from hub.api.shapes import Data
from hub.api.shapes.people import account as shapes
from hub.shared.browsers import browser_name
from registry.models import User

MAX_SESSIONS = 200


class Sessions(View):
    @extend_schema(
        operation_id="sessions", summary="Where the caller is signed in, the latest use first",
        description="From a session only.", responses=shapes.SessionPage,
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        pages.parameters(request, pages.Nothing)
        user = self.person_in_session("Listing sessions")
        current = request._request.session.session_key
        return Response(pages.page(request, [_line(row, current) for row in _live(user)]))


class OneSession(View):
    @extend_schema(
        operation_id="end_session", summary="End one of the caller's sessions",
        description="From a session only; also the one that asks.", responses={204: None},
    )  # fmt: skip
    def delete(self, request: Request, id: int) -> Response:
        user = self.person_in_session("Ending a session")
        session_flows.end_sessions(request._request, list(UserSession.objects.filter(user=user, pk=id)))
        return Response(status=status.HTTP_204_NO_CONTENT)


def _live(user: User) -> list[UserSession]:
    """Return the sessions that have not ended, in two queries."""
    rows = list(UserSession.objects.filter(user=user).order_by("-last_seen_at", "-pk")[:MAX_SESSIONS])
    keys = [row.session_key for row in rows]
    live = set(
        Session.objects.filter(session_key__in=keys, expire_date__gt=timezone.now()).values_list("pk", flat=True)
    )
    return [row for row in rows if row.session_key in live]


def _line(row: UserSession, current: str | None) -> Data:
    return {
        "id": row.pk,
        "browser": browser_name(row.user_agent),
        "address": row.ip,
        "created_at": row.created_at,
        "last_seen_at": row.last_seen_at,
        "current": row.session_key == current,
    }
