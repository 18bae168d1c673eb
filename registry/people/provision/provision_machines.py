"""Robots and trusted publishers in an operator's file, as parts of their organisation."""

from collections.abc import Iterator

from registry.models import Organization, Token, User
from registry.people.organizations import robots
from registry.people.provision.provision_file import Entry, at, moment
from registry.people.tokens import publishers, tokens


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


def apply_publisher(organization: Organization, entry: Entry) -> Iterator[str]:
    """Trust a CI job; yield a line unless it is trusted already."""
    repository, issuer = entry.needed("repository"), entry.needed("issuer")
    with at(entry.where):
        type, claims = entry.text("type") or "model", entry.lists("claims")
        entry.end()
        if publishers.declare(organization.namespace, repository, type, issuer, claims):
            yield f"publisher of {organization}/{repository}: trusted"
