"""Groups of SCIM 2.0 (RFC 7643, 7644): teams of the organisation that DOVETAIL_SCIM_ORGANIZATION names."""

import re
from collections.abc import Iterable, Mapping
from functools import partial

from django.conf import settings
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from features.sso.wire.people import answer, body_of, directory, error, listed, people
from registry.kernel.errors import NamespaceNotFound, NameTaken, ValueInvalid
from registry.kernel.texts.phrases import absolute
from registry.models import Organization, Team, User
from registry.people.organizations import organizations, teams

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
TRIES = 20  # names of teams that are tried for a group
MAX_NAME = 90
ONE_MEMBER = re.compile(r'members\[value eq "(\d{1,18})"\]', re.IGNORECASE)
Json = Mapping[str, object]


@directory("GET", "POST")
def groups(request: HttpRequest) -> HttpResponse:
    organization = _organization()
    if request.method == "POST":
        return _create(organization, body_of(request))
    rows = _filtered(organization, request.GET.get("filter", ""))
    return listed(request, rows, partial(shape, with_members=_asks_members(request)))


@directory("GET", "PUT", "PATCH", "DELETE")
def group(request: HttpRequest, number: int) -> HttpResponse:
    team = _rows(_organization()).filter(pk=number).first()
    if team is None:
        return error(404, f"There is no group {number}.")
    if request.method == "DELETE":
        teams.delete_team(team, by=None)
        return HttpResponse(status=204)
    if request.method != "GET":
        body = body_of(request)
        with organizations.lock_organization(team.organization):  # two groups must not take one name at once
            if request.method == "PUT":
                _rename(team, body.get("displayName"))
                _replace(team, body.get("members", []))
            else:
                _patch(team, body.get("Operations"))
            team = _rows(team.organization).get(pk=team.pk)
    return answer(shape(team, with_members=_asks_members(request)))


def shape(team: Team, *, with_members: bool = True) -> Json:
    """Return a team as a directory reads it."""
    document = {
        "schemas": [GROUP],
        "id": str(team.pk),
        "displayName": team.full_name or team.name,
        "meta": {
            "resourceType": "Group",
            "created": team.created_at.isoformat(),
            "location": absolute(reverse("scim-group", args=[team.pk])),
        },
    }
    if not with_members:
        return document
    users = sorted((member.membership.user for member in team.members.all()), key=lambda user: user.pk)
    return {**document, "members": [_member(user) for user in users]}


def _member(user: User) -> Json:
    address = absolute(reverse("scim-user", args=[user.pk]))
    return {"value": str(user.pk), "display": user.username, "type": "User", "$ref": address}


def _asks_members(request: HttpRequest) -> bool:
    return "members" not in request.GET.get("excludedAttributes", "").replace(" ", "").split(",")


def _organization() -> Organization:
    """Return the organisation whose teams the groups are. Raises NamespaceNotFound."""
    name = settings.SCIM_ORGANIZATION
    rows = Organization.objects.select_related("namespace").filter(namespace__name__lower=name.lower())
    organization = rows.first() if name else None
    if organization is None:
        raise NamespaceNotFound(
            f"There is no organisation {name!r} for groups."
            if name
            else "This hub does not accept groups from a directory.",
            fix="Set DOVETAIL_SCIM_ORGANIZATION to the name of an organisation; groups become its teams.",
        )
    return organization


def _rows(organization: Organization) -> QuerySet[Team]:
    rows = organization.teams.select_related("organization__namespace").order_by("pk")
    return rows.prefetch_related("members__membership__user")


def _filtered(organization: Organization, text: str) -> QuerySet[Team]:
    """Return the teams that `displayName eq "…"` names, all without a filter. Raises ValueInvalid."""
    if not text:
        return _rows(organization)
    attribute, operator, value = [*text.split(maxsplit=2), "", ""][:3]
    if attribute.lower() != "displayname" or operator.lower() != "eq" or len(value) < 2 or value[0] + value[-1] != '""':
        raise ValueInvalid(f"The filter {text[:100]!r} is not supported.", fix='Use displayName eq "NAME".')
    name = re.sub(r"\\(.)", r"\1", value[1:-1]).lower()
    return _rows(organization).filter(Q(full_name__lower=name) | Q(full_name="", name__lower=name))


def _create(organization: Organization, body: Json) -> HttpResponse:
    name = _display_name(body.get("displayName"))
    with organizations.lock_organization(organization):  # as above
        _refuse_taken(organization, name)
        team = teams.create_team(organization, _free_name(organization, name), full_name=name, by=None)
        _replace(team, body.get("members", []))
    return answer(shape(_rows(organization).get(pk=team.pk)), 201)


def _display_name(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueInvalid("A group needs a displayName.")
    return value.strip()


def _refuse_taken(organization: Organization, name: str, but: Team | None = None) -> None:
    rows = organization.teams.filter(Q(full_name__lower=name.lower()) | Q(full_name="", name__lower=name.lower()))
    if (rows.exclude(pk=but.pk) if but else rows).exists():
        raise NameTaken(f"A group {name[:100]!r} already exists.")


def _free_name(organization: Organization, display_name: str) -> str:
    """Return a name for addresses: the group's, as far as it can be one, with a number where it is taken."""
    name = re.sub(r"[-.]{2,}", "-", re.sub(r"[^A-Za-z0-9._-]+", "-", display_name)).strip("-._")
    name = name[:MAX_NAME].rstrip("-._") or "group"
    names = [name, *(f"{name}-{number}" for number in range(2, TRIES))]
    taken = {row.lower() for row in organization.teams.values_list("name", flat=True)}
    return next((free for free in names if free.lower() not in taken), name)


# --- changes ---------------------------------------------------------------------------------------------------------
def _patch(team: Team, operations: object) -> None:
    """Apply the operations of a PATCH in order. Raises ValueInvalid for one that is not known here."""
    if not isinstance(operations, list):
        raise ValueInvalid("A PATCH needs a list of Operations.")
    for operation in operations:
        if not isinstance(operation, dict):
            raise ValueInvalid("Each of the Operations must be a JSON object.")
        _apply(team, str(operation.get("op", "")).lower(), str(operation.get("path") or ""), operation.get("value"))


def _apply(team: Team, verb: str, attribute: str, value: object) -> None:
    if verb not in {"add", "remove", "replace"}:
        raise ValueInvalid(f"Unknown operation {verb[:50]!r}.", fix="Use add, remove or replace.")
    if not attribute and isinstance(value, dict):
        for name in ("displayName", "members"):
            if name in value:
                _apply(team, verb, name, value[name])
    elif one := ONE_MEMBER.fullmatch(attribute):
        if verb != "remove":
            raise ValueInvalid(f"One member can only be removed by {attribute[:50]!r}.", fix="Use the path members.")
        _remove(team, [one[1]])
    elif attribute.lower() == "displayname":
        _rename(team, value)
    elif attribute.lower() != "members":
        if attribute.lower() != "externalid":  # the directory's own name for it is not kept
            raise ValueInvalid(f"The path {attribute[:100]!r} is not supported.", fix="Use members or displayName.")
    elif verb == "add":
        teams.change_by_directory(team, add=_users(value))
    elif verb == "replace" or value is None:
        _replace(team, value or [])
    else:
        _remove(team, _ids(value))


def _rename(team: Team, value: object) -> None:
    name = _display_name(value)
    _refuse_taken(team.organization, name, but=team)
    teams.change_team(team, full_name=name, by=None)


def _replace(team: Team, value: object) -> None:
    new = _users(value)
    old = User.objects.filter(memberships__teams__team=team).exclude(pk__in=[user.pk for user in new])
    teams.change_by_directory(team, add=new, remove=list(old))


def _remove(team: Team, ids: Iterable[str]) -> None:
    teams.change_by_directory(team, remove=list(User.objects.filter(pk__in=ids)))


def _users(value: object) -> list[User]:
    """Return the people of a list of members. Raises ValueInvalid for an unknown one."""
    ids = _ids(value)
    users = list(people().filter(pk__in=ids))
    known = {str(user.pk) for user in users}
    if missing := [number for number in ids if number not in known]:
        raise ValueInvalid(f"There is no person {', '.join(missing[:5])}.", fix="Add the people at /Users first.")
    return users


def _ids(value: object) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    ids = [str(entry.get("value")) for entry in listed if isinstance(entry, dict)]
    if len(ids) < len(listed) or not all(re.fullmatch(r"[1-9]\d{0,17}", number) for number in ids):
        raise ValueInvalid('members must be a list of {"value": ID of a person}.')
    return list(dict.fromkeys(ids))
