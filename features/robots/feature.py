"""Robots in the domain: in an operator's file, and among the accounts in the administration."""

from collections.abc import Iterator

from features.robots import verbs
from registry.kernel.seams import Feature
from registry.models import Organization, Token, User
from registry.people.provision_file import Entry, at, moment
from registry.people.tokens import tokens


def _apply(organization: Organization, entry: Entry) -> Iterator[str]:
    """Make or change a robot and its tokens; yield a line for each change."""
    name = entry.needed("name")
    with at(entry.where):
        purpose, parts = entry.text("purpose"), entry.parts("tokens")
        entry.end()
        robot, has_changed = verbs.set_robot(organization, name, purpose)
    if has_changed:
        yield f"robot {robot}: set"
    for token in parts:
        yield from _token(organization, robot, token)


def _token(organization: Organization, robot: User, entry: Entry) -> Iterator[str]:
    """Give a robot a token of the value that the file has; yield a line if it has not got it already."""
    name, value = entry.needed("name"), entry.needed("value")
    with at(entry.where):
        expires_at, grants = moment(entry.text("expires_at")), entry.words("repos")
        entry.end()
        verbs.check_terms(organization, grants, expires_at)
        if tokens.set_token(robot, name, Token.Role.FINE_GRAINED, value=value, expires_at=expires_at, grants=grants):
            yield f"token {name} of {robot}: set"


FEATURE = Feature(
    organization_parts=(("robots", _apply),),
    acts=(("User", "disable", "Disable robot", verbs.disable),),
)
