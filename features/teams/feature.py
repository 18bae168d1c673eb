"""Teams in an operator's file."""

from collections.abc import Iterator

from registry.kernel.seams import Feature
from registry.models import Organization, Team
from registry.people import accounts
from registry.people.organizations import teams
from registry.people.provision import Entry, at


def _apply(organization: Organization, entry: Entry) -> Iterator[str]:
    """Make or change a team, its members and grants; yield a line for each change."""
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
        yield from _grant(team, grant)


def _grant(team: Team, entry: Entry) -> Iterator[str]:
    pattern, role, type = entry.needed("pattern"), entry.needed("role"), entry.text("type") or "any"
    entry.end()
    with at(entry.where):
        if teams.set_grant(team, pattern, role, type="" if type == "any" else type, by=None):
            yield f"team {team}: {role} on {pattern} ({type})"


FEATURE = Feature(organization_parts=(("teams", _apply),))
