"""The button on the page of the account, and the zip of what the hub knows about a person, as JSON documents."""

import json
from collections.abc import Iterator, Mapping
from tempfile import SpooledTemporaryFile
from typing import cast
from zipfile import ZIP_DEFLATED, ZipFile

from allauth.socialaccount.models import SocialAccount
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Q
from django.http import FileResponse, HttpRequest, HttpResponse

from hub.site.panels import Pages, Panel
from hub.site.routing import forms
from hub.site.sign_in.sessions import needs_recent_authentication as recent
from hub.site.visitor import person
from registry.kernel import policy, seams
from registry.kernel.policy import Caller
from registry.models import Membership, Repository, SignInPlace, Token, User

EXPORT_MEMORY_BYTES = 4 << 20  # of an export; what is larger goes to a temporary file


def export_account(request: HttpRequest) -> HttpResponse:
    """Send what the hub knows about the person as a zip of JSON documents."""
    user = person(request)
    packed = SpooledTemporaryFile(max_size=EXPORT_MEMORY_BYTES)  # noqa: SIM115  # FileResponse closes it
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        for name, document in documents(user):
            archive.writestr(name, document)
    packed.seek(0)
    answer = FileResponse(packed, as_attachment=True, filename=f"{user.username}.zip")
    return cast(HttpResponse, answer)  # a streamed one: middleware takes both


def documents(user: User) -> Iterator[tuple[str, str]]:
    """Yield (file name, JSON) of each kind of data: no secrets, and nothing that concerns other people."""
    for name, rows in (
        ("profile", [_profile(user)]),
        ("tokens", _tokens(user)),
        ("identities", _identities(user)),
        ("sign-in-places", SignInPlace.objects.filter(user=user).values("sha256", "used_at")),
        ("organizations", _organizations(user)),
        ("repositories", _repositories(user)),
        *(part for feature in seams.joined() for part in feature.personal_data(user)),
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
    for row in rows[: seams.MOST_EXPORTED]:
        dates = {"created_at": row.created_at, "updated_at": row.updated_at}
        yield {"id": row.full_name, "type": row.type, "private": row.private, "gated": row.gated, **dates}


PAGES = Pages(
    routes=forms("account", "settings/account", ("export", recent(export_account), "export-account")),
    panels=(Panel("account-data", "account_export/button.html"),),
)
