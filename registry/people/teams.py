"""Teams: create and delete them, put members of the organisation in, and open repositories to them by name pattern."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction
from django.db.models import QuerySet

from registry.kernel import audit, names
from registry.kernel.callers import TeamRole
from registry.kernel.errors import NamespaceNotFound, NameTaken, QuotaExceeded, TeamNotFound, ValueInvalid
from registry.kernel.policy import Caller
from registry.models import Membership, Organization, Repository, Team, TeamGrant, TeamMember, User
from registry.people import organizations

MAX_TEAMS = 200  # of one organisation
MAX_GRANTS = 50  # of one team
BATCH = 500
MAX_OPENED = 100  # grants of all teams of one member: each is a condition in every list that the member sees
PATTERN = re.compile(r"[A-Za-z0-9._*?-]{1,96}")


def list_teams(name: str, by: Caller) -> list[Team]:
    """Return the organisation's teams by name, with members and grants. Raises what require_administered raises."""
    return list(_with_rows(organizations.require_administered(name, by, writing=False)))


def get_team(organization_name: str, name: str, by: Caller, *, writing: bool = True) -> Team:
    """Return a team of an organisation that the caller administers.

    Raises TeamNotFound and what organizations.require_administered raises.
    """
    organization = organizations.require_administered(organization_name, by, writing=writing)
    team = _with_rows(organization).filter(name__lower=name.lower()).first()
    if team is None:
        raise TeamNotFound(f"{organization} has no team {name[:100]!r}.")
    return team


def _with_rows(organization: Organization) -> QuerySet[Team]:
    rows = organization.teams.select_related("organization__namespace").order_by("name")
    return rows.prefetch_related("members__membership__user", "grants")


def create_team(organization: Organization, name: str, *, full_name: str = "", by: User | None) -> Team:
    """Create a team without members and grants. Raises NameInvalid, NameTaken, ValueInvalid, QuotaExceeded."""
    names.check_name(name)
    full_name = names.check_text(full_name, "full name", 200)
    with _locked(organization):
        if organization.teams.filter(name__lower=name.lower()).exists():
            raise NameTaken(f"{organization} has a team {name!r} already.", fix="Change that one, or use another name.")
        if organization.teams.count() >= MAX_TEAMS:
            raise QuotaExceeded(f"{organization} has {MAX_TEAMS} teams already.", fix="Delete one first.")
        team = Team.objects.create(organization=organization, name=name, full_name=full_name)
        audit.record(by, "team:create", str(team), about=organization, after={"full_name": full_name})
    return team


def change_team(team: Team, *, full_name: str, by: User | None) -> bool:
    """Change a team's name for people; returns whether anything changed. Raises ValueInvalid."""
    full_name = names.check_text(full_name, "full name", 200)
    with _locked(team.organization):
        before = Team.objects.values_list("full_name", flat=True).get(pk=team.pk)
        if before == full_name:
            return False
        Team.objects.filter(pk=team.pk).update(full_name=full_name)
        old, new = {"full_name": before}, {"full_name": full_name}
        audit.record(by, "team:change", str(team), about=team.organization, before=old, after=new)
    team.full_name = full_name
    return True


def delete_team(team: Team, *, by: User | None) -> None:
    """Delete a team, and with it the roles that it gave; its members stay in the organisation."""
    with _locked(team.organization):
        members = list(team.members.values_list("membership", flat=True))
        before = {
            "members": sorted(team.members.values_list("membership__user__username", flat=True)),
            "grants": [describe(grant) for grant in team.grants.order_by("pattern", "type")],
        }
        audit.record(by, "team:delete", str(team), about=team.organization, before=before)
        Team.objects.filter(pk=team.pk).delete()
        _copy_grants(Membership.objects.filter(pk__in=members))


def add_member(team: Team, user: User, *, by: User | None) -> bool:
    """Put a member of the organisation into a team; returns whether anything changed.

    Raises ValueInvalid for a person who is no member of the organisation, QuotaExceeded.
    """
    with _locked(team.organization):
        membership = team.organization.memberships.filter(user=user).first()
        if membership is None:
            raise ValueInvalid(
                f"{user} is not a member of {team.organization}.",
                fix="Invite them first; with the role `member` they have only what their teams open.",
            )
        if not TeamMember.objects.get_or_create(team=team, membership=membership)[1]:
            return False
        _copy_grants(Membership.objects.filter(pk=membership.pk))
        audit.record(by, "team:member", str(team), about=team.organization, after={"member": user.username})
    return True


def remove_member(team: Team, user: User, *, by: User | None) -> bool:
    """Take a person out of a team; returns whether they were in it."""
    with _locked(team.organization):
        membership = Membership.objects.filter(teams__team=team, user=user).first()
        if membership is None:
            return False
        TeamMember.objects.filter(team=team, membership=membership).delete()
        _copy_grants(Membership.objects.filter(pk=membership.pk))
        audit.record(by, "team:member", str(team), about=team.organization, before={"member": user.username})
    return True


def set_grant(team: Team, pattern: str, role: str, *, type: str = "", by: User | None) -> bool:
    """Give a team a role in the repositories whose names match; returns whether anything changed.

    `type` is model, dataset, space, or empty for any. Raises ValueInvalid, QuotaExceeded.
    """
    pattern = _check_grant(pattern, role, type)
    with _locked(team.organization):
        old = team.grants.filter(pattern=pattern, type=type).first()
        if old is not None and old.role == role:
            return False
        if old is None and team.grants.count() >= MAX_GRANTS:
            raise QuotaExceeded(
                f"The team {team} has {MAX_GRANTS} patterns already.", fix="Remove one, or use a wider one."
            )
        new, _ = TeamGrant.objects.update_or_create(team=team, pattern=pattern, type=type, defaults={"role": role})
        _copy_grants(Membership.objects.filter(teams__team=team))
        before = describe(old) if old else None
        audit.record(by, "team:grant", str(team), about=team.organization, before=before, after=describe(new))
    return True


def remove_grant(team: Team, pattern: str, *, type: str = "", by: User | None) -> bool:
    """Take from a team the role that it has by this very pattern; returns whether it had one."""
    with _locked(team.organization):
        grant = team.grants.filter(pattern=pattern.lower(), type=type).first()
        if grant is None:
            return False
        before = describe(grant)
        grant.delete()
        _copy_grants(Membership.objects.filter(teams__team=team))
        audit.record(by, "team:grant", str(team), about=team.organization, before=before)
    return True


def describe(grant: TeamGrant) -> dict[str, str]:
    """Return a grant as the audit log and answers show it."""
    return {"pattern": grant.pattern, "type": grant.type or "any", "role": grant.role}


def _check_grant(pattern: str, role: str, type: str) -> str:
    """Return the pattern in lower case. Raises ValueInvalid."""
    if not PATTERN.fullmatch(pattern):
        raise ValueInvalid(
            f"The pattern {pattern[:100]!r} matches no name.",
            fix="Write the name without the organisation, with * for any characters and ? for one: `*` or `ner-*`.",
        )
    if role not in TeamGrant.Role.values:
        raise ValueInvalid(
            f"A team cannot have the role {role!r}.", fix=f"Use one of {', '.join(TeamGrant.Role.values)}."
        )
    if type and type not in Repository.Type.values:
        raise ValueInvalid(f"There is no type {type!r}.", fix=f"Use any, {', '.join(Repository.Type.values)}.")
    return pattern.lower()


def _copy_grants(memberships: QuerySet[Membership]) -> None:
    """Write Membership.grants again. Raises QuotaExceeded for a member with too many."""
    rows = {row.pk: row for row in memberships.select_related("user")}
    grants: dict[int, set[tuple[str, str, str]]] = {pk: set() for pk in rows}
    opened = TeamMember.objects.filter(membership__in=rows, team__grants__isnull=False)
    for pk, *grant in opened.values_list("membership", *(f"team__grants__{name}" for name in TeamRole._fields)):
        grants[pk].add((grant[0], grant[1], grant[2]))
    for pk, row in rows.items():
        row.grants = sorted(grants[pk])
        if len(row.grants) > MAX_OPENED:
            raise QuotaExceeded(
                f"The teams of {row.user} would have {len(row.grants)} patterns, of {MAX_OPENED} possible.",
                fix="Use fewer, wider patterns, or put the person into fewer teams.",
            )
    Membership.objects.bulk_update(rows.values(), ["grants"], batch_size=BATCH)


@contextmanager
def _locked(organization: Organization) -> Iterator[None]:
    """Allow one change of teams and members at a time: the copies must be those of the last one.

    Raises NamespaceNotFound if the organisation was deleted meanwhile.
    """
    with transaction.atomic():
        if not Organization.objects.select_for_update().filter(pk=organization.pk).exists():
            raise NamespaceNotFound(f"There is no organisation {organization.namespace.name!r}.")
        yield
