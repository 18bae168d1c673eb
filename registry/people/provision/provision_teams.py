"""Apply what an operator's file says of the teams of an organisation and what they open, and of its robots."""

from collections.abc import Iterator

from registry.models import Organization, Team, Token, User
from registry.people import accounts
from registry.people.organizations import robots, teams
from registry.people.provision.provision_file import Entry, at, moment
from registry.people.tokens import tokens


def apply_team(organization: Organization, entry: Entry) -> Iterator[str]:
    """Create or change a team; yield one line for each change. Raises ValueInvalid, which says where in the file."""
    name = entry.needed("name")
    entry.where += f" ({name})"
    with at(entry.where):
        full_name, members, grants = entry.text("full_name"), entry.entries("members"), entry.parts("grants")
        entry.end()
        team = organization.teams.filter(name__lower=name.lower()).first()
        if team is None:
            team = teams.create_team(organization, name, full_name=full_name or "", by=None)
            yield f"team {team}: made"
        elif full_name is not None and teams.change_team(team, full_name=full_name, by=None):
            yield f"team {team}: changed"
        for member in members:
            if teams.add_member(team, accounts.get_person(str(member)), by=None):
                yield f"team {team}: {member} is in it"
    for grant in grants:
        yield from _apply_grant(team, grant)


def _apply_grant(team: Team, entry: Entry) -> Iterator[str]:
    pattern, role, type = entry.needed("pattern"), entry.needed("role"), entry.text("type") or "any"
    entry.end()
    with at(entry.where):
        if teams.set_grant(team, pattern, role, type="" if type == "any" else type, by=None):
            yield f"team {team}: {role} on {pattern} ({type})"


def apply_robot(organization: Organization, entry: Entry) -> Iterator[str]:
    """Make or change a robot and its tokens; yield a line for each change."""
    name = entry.needed("name")
    with at(entry.where):
        purpose, parts = entry.text("purpose"), entry.parts("tokens")
        entry.end()
        robot, has_changed = robots.set_robot(organization, name, purpose)
    if has_changed:
        yield f"robot {robot}: set"
    for token in parts:
        yield from _token(organization, robot, token)


def _token(organization: Organization, robot: User, entry: Entry) -> Iterator[str]:
    name, value = entry.needed("name"), entry.needed("value")
    with at(entry.where):
        expires_at, grants = moment(entry.text("expires_at")), entry.words("repos")
        entry.end()
        robots.check_terms(organization, grants, expires_at)
        if tokens.set_token(robot, name, Token.Role.FINE_GRAINED, value=value, expires_at=expires_at, grants=grants):
            yield f"token {name} of {robot}: set"
