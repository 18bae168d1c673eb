"""Teams: create and delete them, put members of the organisation in, and open repositories to them by name pattern."""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from django.db.models import QuerySet

from registry.kernel import audit
from registry.kernel.callers import TeamRole
from registry.kernel.errors import NameTaken, QuotaExceeded, TeamNotFound, ValueInvalid
from registry.kernel.policy import Caller
from registry.kernel.texts import names
from registry.models import Membership, Organization, Repository, Team, TeamGrant, TeamMember, User
from registry.people.organizations import organizations

MAX_TEAMS = 200  # of one organisation
MAX_GRANTS = 50  # of one team
BATCH = 500
NAMED_IN_REFUSAL = 5  # people
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
        raise _not_found(organization, name)
    return team


def _not_found(organization: Organization, name: str) -> TeamNotFound:
    return TeamNotFound(f"{organization} has no team {name[:100]!r}.")


def _with_rows(organization: Organization) -> QuerySet[Team]:
    rows = organization.teams.select_related("organization__namespace").order_by("name")
    return rows.prefetch_related("members__membership__user", "grants")


def create_team(organization: Organization, name: str, *, full_name: str = "", by: User | None) -> Team:
    """Create a team without members and grants. Raises NameInvalid, NameTaken, ValueInvalid, QuotaExceeded."""
    names.check_name(name)
    full_name = names.check_text(full_name, "full name", 200)
    with organizations.lock_organization(organization):
        if organization.teams.filter(name__lower=name.lower()).exists():
            raise NameTaken(
                f"{organization} already has a team {name!r}.", fix="Change that team, or use another name."
            )
        if organization.teams.count() >= MAX_TEAMS:
            raise QuotaExceeded(f"{organization} already has {MAX_TEAMS} teams.", fix="Delete one first.")
        team = Team.objects.create(organization=organization, name=name, full_name=full_name)
        audit.record(by, "team:create", str(team), about=organization, after={"full_name": full_name})
    return team


def change_team(team: Team, *, full_name: str, by: User | None) -> bool:
    """Change a team's name for people; returns whether anything changed. Raises ValueInvalid."""
    full_name = names.check_text(full_name, "full name", 200)
    with _locked(team):
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
    with _locked(team):
        members = list(team.members.values_list("membership", flat=True))
        before = {
            "members": sorted(team.members.values_list("membership__user__username", flat=True)),
            "grants": [describe(grant) for grant in team.grants.all()],
        }
        audit.record(by, "team:delete", str(team), about=team.organization, before=before)
        Team.objects.filter(pk=team.pk).delete()
        _copy_grants(Membership.objects.filter(pk__in=members))


def add_member(team: Team, user: User, *, by: User | None) -> bool:
    """Put a member of the organisation into a team; returns whether anything changed. Raises as change_members does."""
    return change_members(team, add=[user], by=by)


def remove_member(team: Team, user: User, *, by: User | None) -> bool:
    """Take a person out of a team; returns whether they were in it."""
    return change_members(team, remove=[user], by=by)


def change_members(team: Team, *, add: Collection[User] = (), remove: Collection[User] = (), by: User | None) -> bool:
    """Put people into a team and take others out, all or nothing; returns whether anything changed.

    Raises ValueInvalid for people who are no members of the organisation, QuotaExceeded.
    """
    with _locked(team):
        memberships = {row.user_id: row for row in team.organization.memberships.filter(user__in=[*add, *remove])}
        strangers = sorted(user.username for user in add if user.pk not in memberships)
        if strangers:
            verb = "is not a member" if len(strangers) == 1 else "are not members"
            raise ValueInvalid(
                f"{', '.join(strangers[:NAMED_IN_REFUSAL])} {verb} of {team.organization}.",
                fix="Invite them first; with the role `member` they only get what their teams grant.",
            )
        inside = set(team.members.values_list("membership__user", flat=True))
        new = {user.pk: user for user in add if user.pk not in inside}
        gone = {user.pk: user for user in remove if user.pk in inside}
        TeamMember.objects.bulk_create(TeamMember(team=team, membership=memberships[pk]) for pk in new)
        team.members.filter(membership__user__in=gone).delete()
        _copy_grants(Membership.objects.filter(organization=team.organization, user__in=[*new, *gone]))
        for user in new.values():
            audit.record(by, "team:member", str(team), about=team.organization, after={"member": user.username})
        for user in gone.values():
            audit.record(by, "team:member", str(team), about=team.organization, before={"member": user.username})
    return bool(new or gone)


def change_by_directory(team: Team, *, add: Collection[User] = (), remove: Collection[User] = ()) -> bool:
    """Do as change_members does for a directory that the operator trusts; returns whether anything changed.

    People who are no members of the organisation become members with the role `member`. Raises QuotaExceeded.
    """
    with _locked(team):
        members = set(team.organization.memberships.filter(user__in=add).values_list("user", flat=True))
        for user in add:
            if user.pk not in members:
                organizations.admit(team.organization, user, Membership.Role.MEMBER, by=None)
        return change_members(team, add=add, remove=remove, by=None)


def set_grant(team: Team, pattern: str, role: str, *, type: str = "", by: User | None) -> bool:
    """Give a team a role in the repositories whose names match; returns whether anything changed.

    `type` is model, dataset, space, or empty for any. Raises ValueInvalid, QuotaExceeded.
    """
    pattern = _check_grant(pattern, role, type)
    with _locked(team):
        old = team.grants.filter(pattern=pattern, type=type).first()
        if old is not None and old.role == role:
            return False
        if old is None and team.grants.count() >= MAX_GRANTS:
            raise QuotaExceeded(
                f"The team {team} already has {MAX_GRANTS} patterns.", fix="Remove one, or use a broader one."
            )
        new, _ = TeamGrant.objects.update_or_create(team=team, pattern=pattern, type=type, defaults={"role": role})
        _copy_grants(Membership.objects.filter(teams__team=team))
        before = describe(old) if old else None
        audit.record(by, "team:grant", str(team), about=team.organization, before=before, after=describe(new))
    return True


def remove_grant(team: Team, pattern: str, *, type: str = "", by: User | None) -> bool:
    """Take from a team the role that it has by this very pattern; returns whether it had one."""
    with _locked(team):
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
            f"The pattern {pattern[:100]!r} is not valid.",
            fix="Write the name without the organisation, with * for any characters and ? for one: `*` or `ner-*`.",
            field="pattern",
        )
    if role not in TeamGrant.Role.values:
        raise ValueInvalid(
            f"A team cannot have the role {role!r}.",
            fix=f"Use one of {', '.join(TeamGrant.Role.values)}.",
            field="role",
        )
    if type and type not in Repository.Type.values:
        raise ValueInvalid(
            f"Unknown type {type!r}.", fix=f"Use any, {', '.join(Repository.Type.values)}.", field="type"
        )
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
                f"The teams of {row.user} would have {len(row.grants)} patterns; the limit is {MAX_OPENED}.",
                fix="Use fewer, broader patterns, or add the person to fewer teams.",
            )
    Membership.objects.bulk_update(rows.values(), ["grants"], batch_size=BATCH)


@contextmanager
def _locked(team: Team) -> Iterator[None]:
    """Allow one change of teams and members of its organisation at a time: the copies must be those of the last one.

    Raises TeamNotFound if the team was deleted meanwhile, and what organizations.lock_organization raises.
    """
    with organizations.lock_organization(team.organization):
        if not Team.objects.filter(pk=team.pk).exists():
            raise _not_found(team.organization, team.name)
        yield
