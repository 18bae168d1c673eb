"""The caller's own account, tokens and browser sessions, and the limits that administrators set for one owner."""

from typing import Annotated

from allauth.usersessions.internal.flows import sessions as session_flows
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session as StoredSession
from django.utils import timezone
from rest_framework import serializers as s
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from dovetail.answers import versions
from dovetail.answers.record import Answer, Page, Time
from dovetail.answers.versions import OrganizationRole, Token, Usage
from hub.api import pages
from hub.api.pages import Data, Text
from hub.api.records import of_row, operation
from hub.api.views import View
from hub.identity import browser_name
from registry import models
from registry.kernel import quotas
from registry.kernel.errors import NotAllowed
from registry.models import Namespace, User
from registry.people.tokens import tokens


class NewToken(s.Serializer[Data]):
    name = Text(max_length=100)
    role = s.ChoiceField(choices=models.Token.Role.choices)
    expires_at = s.DateTimeField(required=False, allow_null=True)
    repos = s.DictField(
        child=s.ChoiceField(choices=["read", "write"]),
        required=False,
        help_text="fine-grained only: namespace/name → right",
    )


class MadeToken(Token):
    """A new token; this is the only answer that ever holds its value."""

    value: str


class RepositoryUsage(Answer):
    type: str
    name: str
    bytes: int
    in_bin: Annotated[bool, "deleted, and not gone for good yet"]


class UsageInFull(Usage):
    """The contents of a namespace, the bin included; each file counts once in a repository."""

    binned_bytes: Annotated[int, "the part of the bytes that lies in the bin"]
    repositories: Annotated[int, "how many, those in the bin too"]
    repository_limit: Annotated[int | None, "null: no limit"]
    largest: Annotated[tuple[RepositoryUsage, ...], "the repositories that hold most"]


class Me(View):
    @operation("me")
    def get(self, request: Request) -> versions.Me:
        """Return the account of the caller.

        With a fine-grained token without e-mail address and organisations.
        """
        user, is_whole = self.person(), not self.caller.is_fine_grained  # what a token for CI must not give away
        rows = user.memberships.select_related("organization__namespace").order_by("organization__namespace__name")
        held = quotas.usage_of(user.namespace)
        return versions.Me(
            name=user.username,
            full_name=user.full_name,
            email=user.email if is_whole else "",
            role=user.role,
            organizations=tuple(
                OrganizationRole(name=str(row.organization), role=row.role) for row in rows if is_whole
            ),
            usage=Usage(bytes=held.bytes, limit=held.limit or None),
            token=of_row(Token, self.caller.token) if self.caller.token else None,
        )


class OwnUsage(View):
    @operation("own_usage")
    def get(self, request: Request) -> UsageInFull:
        """The storage that the caller's own repositories use, and the quota.

        Not with a fine-grained token, which must not tell what else there is.
        """
        user = self.person()
        if self.caller.is_fine_grained:
            raise NotAllowed("A fine-grained token cannot see the account's usage.")
        return usage_in_full(user.namespace)


def usage_in_full(namespace: Namespace) -> UsageInFull:
    """Return what a namespace holds, as UsageInFull describes it."""
    held = quotas.usage_of(namespace)
    return of_row(
        UsageInFull,
        held,
        limit=held.limit or None,
        repository_limit=held.repository_limit or None,
        largest=tuple(
            of_row(RepositoryUsage, row, bytes=row.stored_bytes, in_bin=row.is_binned)
            for row in quotas.by_repository(namespace)
        ),
    )


class Tokens(View):
    @operation("tokens")
    def get(self, request: Request) -> Page[Token]:
        """The caller's tokens.

        From a session; a token is shown itself alone.
        """
        self.person()
        return pages.page(request, [of_row(Token, row) for row in tokens.list_tokens(self.caller)])

    @operation(
        "make_token", body=NewToken, answers={201: MadeToken}, callers="session", example={"name": "ci", "role": "read"}
    )
    def post(self, request: Request) -> Response:
        """Make a token.

        From a session only. The value is in this answer and nowhere else.
        """
        user = self.person_in_session("Making a token")
        wish = pages.body(request, NewToken)
        value = tokens.create_token(
            user,
            wish["name"],
            wish["role"],
            expires_at=wish.get("expires_at"),
            grants=wish.get("repos"),
        )
        answer = of_row(MadeToken, user.tokens.get(sha256=tokens.digest(value)), value=value)
        return Response(answer, status.HTTP_201_CREATED, headers={"Cache-Control": "no-store"})


class OneToken(View):
    @operation("token")
    def get(self, request: Request, id: int) -> Token:
        """One of the caller's tokens."""
        self.person()
        return of_row(Token, tokens.get_token(self.caller, id))

    @operation("revoke_token", callers="session")
    def delete(self, request: Request, id: int) -> None:
        """Revoke a token.

        From a session only.
        """
        tokens.revoke_token(self.person_in_session("Revoking a token"), id)


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
    @operation("sessions", callers="session")
    def get(self, request: Request) -> Page[Session]:
        """List the caller's sessions, the latest use first.

        From a session only.
        """
        pages.parameters(request, pages.Nothing)
        user = self.person_in_session("Listing sessions")
        current = request._request.session.session_key
        return pages.page(request, [_session_line(row, current) for row in _live_sessions(user)])


class OneSession(View):
    @operation("end_session", callers="session")
    def delete(self, request: Request, id: int) -> None:
        """End one of the caller's sessions.

        From a session only; also the one that asks.
        """
        user = self.person_in_session("Ending a session")
        session_flows.end_sessions(request._request, list(UserSession.objects.filter(user=user, pk=id)))


def _live_sessions(user: User) -> list[UserSession]:
    """Return the sessions that have not ended, in two queries."""
    rows = list(UserSession.objects.filter(user=user).order_by("-last_seen_at", "-pk")[:MAX_SESSIONS])
    keys = [row.session_key for row in rows]
    live = set(
        StoredSession.objects.filter(session_key__in=keys, expire_date__gt=timezone.now()).values_list("pk", flat=True)
    )
    return [row for row in rows if row.session_key in live]


def _session_line(row: UserSession, current: str | None) -> Session:
    is_current = row.session_key == current
    return of_row(Session, row, browser=browser_name(row.user_agent), address=row.ip, current=is_current)
