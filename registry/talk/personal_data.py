"""The export of what the hub knows about a person, as JSON documents by name."""

import json
from collections.abc import Iterator, Mapping

from allauth.socialaccount.models import SocialAccount
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Q

from registry.kernel import policy, seams
from registry.kernel.policy import Caller
from registry.models import (
    AuditEvent,
    DiscussionEvent,
    Membership,
    Repository,
    SignInPlace,
    Token,
    User,
)
from registry.moderation import audit_log

MOST_ROWS = 100_000  # of one kind


def documents(user: User) -> Iterator[tuple[str, str]]:
    """Yield (file name, JSON) of each kind of data: no secrets, and nothing that concerns other people."""
    for name, rows in (
        ("profile", [_profile(user)]),
        ("tokens", _tokens(user)),
        ("identities", _identities(user)),
        ("sign-in-places", SignInPlace.objects.filter(user=user).values("sha256", "used_at")),
        ("organizations", _organizations(user)),
        ("repositories", _repositories(user)),
        ("comments", _comments(user)),
        *(part for feature in seams.joined() for part in feature.personal_data(user)),
        ("log", _log(user)),
    ):
        yield f"{name}.json", json.dumps(list(rows), cls=DjangoJSONEncoder, indent=1, ensure_ascii=False)


def _profile(user: User) -> dict[str, object]:
    fields = "username full_name email email_verified bio links role created_at last_login mail_alerts"
    return {field: getattr(user, field) for field in fields.split()}


def _tokens(user: User) -> Iterator[Mapping[str, object]]:
    rows = Token.objects.filter(user=user)
    yield from rows.values("name", "role", "grants", "created_at", "last_used_at", "expires_at")


def _identities(user: User) -> Iterator[Mapping[str, object]]:
    rows = SocialAccount.objects.filter(user=user)
    yield from rows.values("provider", "uid", "extra_data", "date_joined", "last_login")


def _organizations(user: User) -> Iterator[Mapping[str, object]]:
    rows = Membership.objects.filter(user=user).select_related("organization__namespace")
    for row in rows.prefetch_related("teams__team"):
        names = [place.team.name for place in row.teams.all()]
        yield {"organization": str(row.organization), "role": row.role, "teams": names}


def _repositories(user: User) -> Iterator[Mapping[str, object]]:
    made = Q(created_by=user) & policy.visible_to(Caller(user=user))  # not what an organisation keeps private
    rows = Repository.objects.filter(Q(namespace=user.namespace) | made).select_related("namespace")
    for row in rows[:MOST_ROWS]:
        dates = {"created_at": row.created_at, "updated_at": row.updated_at}
        yield {"id": row.full_name, "type": row.type, "private": row.private, "gated": row.gated, **dates}


def _comments(user: User) -> Iterator[Mapping[str, object]]:
    rows = DiscussionEvent.objects.filter(author=user).select_related("discussion__repository__namespace")
    rows = rows.annotate(is_visible=_is_visible(user, "discussion__repository"))
    for row in rows.order_by("pk")[:MOST_ROWS]:
        yield {
            "discussion": str(row.discussion) if row.is_visible else None,
            "at": row.created_at,
            "kind": row.kind,
            "text": row.text,
            "data": row.data,
        }


def _log(user: User) -> Iterator[Mapping[str, object]]:
    """Yield the log as the person may read it on pages: without names of moderators and of what is hidden from them."""
    of_own = Q(namespace=user.namespace_id)
    rows = AuditEvent.objects.filter(Q(actor=user.username) | of_own).order_by("pk")
    is_shown = of_own | Q(repository__isnull=True) | _is_visible(user, "repository")
    for event in rows.annotate(is_shown=ExpressionWrapper(is_shown, BooleanField()))[:MOST_ROWS]:
        seen = audit_log.as_owners_see(event, Caller(user=user), {user.username})
        subject = {name: getattr(seen, name) if event.is_shown else None for name in ("object", "before", "after")}
        yield {"at": seen.at, "action": seen.action, "reason": seen.reason, "actor": seen.actor, **subject}


def _is_visible(user: User, column: str) -> Exists:
    """Return the condition that the repository in a column is visible to the person, as lists show it."""
    return Exists(Repository.objects.filter(policy.visible_to(Caller(user=user)), pk=OuterRef(column)))
